"""Cost models: training FLOPs as plain functions of a law's inputs.

Positional arguments are inputs in the package's vocabulary, keyword-only arguments are
settings. A cost model need not be one of these: any function of the law's inputs serves.
Counts are floats throughout, since ``6 * N * D`` overflows 64-bit integers for real runs.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "active_flops",
    "active_with_inference",
    "dense_flops",
    "expert_flops",
    "granular_flops",
    "sparse_training_flops",
    "upcycling_flops",
    "with_inference",
]


def dense_flops(N: Any, D: Any) -> Any:
    """Training FLOPs of a dense model: ``6 N D`` (Kaplan et al. 2020).

    Parameters
    ----------
    N
        Parameters.
    D
        Training tokens.

    Examples
    --------
    >>> f"{dense_flops(70e9, 1.4e12):.3g}"
    '5.88e+23'
    """
    return 6.0 * N * D


def active_flops(N_active: Any, D: Any) -> Any:
    """Training FLOPs of a model that uses ``N_active`` parameters a token: ``6 N_active D``."""
    return 6.0 * N_active * D


def expert_flops(N: Any, D: Any, S_experts: Any, *, expert_share: float = 1.0) -> Any:
    r"""FLOPs of a mixture of experts from its total parameters: ``6 N_active D``.

    :math:`N_{active} = N (1 - f S_{experts})` where experts hold a share :math:`f` of all
    parameters. Routing is left out.

    Parameters
    ----------
    N
        Total parameters.
    D
        Training tokens.
    S_experts
        Share of the experts that a token leaves unused (Abnar et al. 2025).
    expert_share
        :math:`f`. At one, every parameter belongs to an expert; attention and embeddings make it
        less.

    Examples
    --------
    >>> f"{expert_flops(1e10, 2e11, 0.75, expert_share=0.8):.3g}"
    '4.8e+21'
    """
    return 6.0 * N * (1.0 - expert_share * S_experts) * D


def sparse_training_flops(N_active: Any, D: Any, S: Any) -> Any:
    """FLOPs where sparse weights are trained at the dense cost: ``6 N_active D / (1 - S)``.

    Weight sparsity seldom speeds up training, so its cost is that of the dense model of
    ``N_active / (1 - S)`` parameters (Frantar et al. 2023).
    """
    return 6.0 * N_active * D / (1.0 - S)


def granular_flops(
    N: Any, D: Any, G: Any, *, expansion: float = 64.0, c_f: float = 6.0, c_r: float = 14.0
) -> Any:
    r"""FLOPs of a fine-grained mixture of experts, with routing (Krajewski et al. 2024, eq. 10).

    :math:`F = (12 d^2 c_f + d\,E\,G\,c_r)\,D\,n` for width :math:`d = 64 n`, :math:`n`
    blocks and expansion rate :math:`E`; width and blocks follow from
    :math:`N = (8E + 4)\,d^2 n`.

    Parameters
    ----------
    N
        Total parameters without embeddings and routers.
    D
        Training tokens.
    G
        Granularity: width of the dense feed-forward layer over that of an expert.
    expansion
        Expansion rate: total expert parameters over those of the dense feed-forward layer.
    c_f
        FLOPs a parameter and token.
    c_r
        FLOPs a routing parameter and token; the paper finds 6 to 20 plausible.
    """
    blocks = (N / ((8.0 * expansion + 4.0) * 64.0**2)) ** (1.0 / 3.0)
    width = 64.0 * blocks
    return (12.0 * width**2 * c_f + width * expansion * G * c_r) * D * blocks


def upcycling_flops(
    N: Any,
    D_dense: Any,
    D_upcycled: Any,
    *,
    sunk: bool = False,
    active_ratio: float = 5.0 / 3.0,
) -> Any:
    r"""FLOPs of training a dense model and upcycling it to a mixture of experts.

    :math:`6 N_1 D_1 + 6 N_2 D_2`, the first term left out where the dense model is there already.

    Parameters
    ----------
    N
        Parameters of the dense parent, :math:`N_1`.
    D_dense
        Tokens the dense parent is trained on, :math:`D_1`.
    D_upcycled
        Tokens the upcycled model is trained on, :math:`D_2`.
    sunk
        Whether the dense model's cost is already spent.
    active_ratio
        Active parameters of the upcycled model over the parent's, :math:`N_2 / N_1`. The
        default is top-2 routing where feed-forward layers hold two thirds of a block.
    """
    upcycled = 6.0 * active_ratio * N * D_upcycled
    return upcycled + 0.0 * D_dense if sunk else 6.0 * N * D_dense + upcycled


def with_inference(N: Any, D: Any, *, inference_tokens: float = 0.0) -> Any:
    """Training and lifetime inference: ``6 N D + 2 N inference_tokens`` (Sardana et al. 2024).

    Set the tokens through :func:`functools.partial`, or ``fixed={"inference_tokens": 1e12}``.

    Parameters
    ----------
    N
        Parameters.
    D
        Training tokens.
    inference_tokens
        Tokens read and written over the model's lifetime.
    """
    return 6.0 * N * D + 2.0 * N * inference_tokens


def active_with_inference(N_active: Any, D: Any, *, inference_tokens: float = 0.0) -> Any:
    """The same of a model that uses ``N_active`` parameters a token.

    ``6 N_active D + 2 N_active inference_tokens`` (Ludziejewski et al. 2025).

    Parameters
    ----------
    N_active
        Parameters used for a token.
    D
        Training tokens.
    inference_tokens
        Tokens read and written over the model's lifetime.
    """
    return 6.0 * N_active * D + 2.0 * N_active * inference_tokens
