r"""A law of transferred tokens for upcycling, in the sense of Hernandez et al. 2021
(arXiv:2102.01293), "Scaling laws for transfer".

.. math:: L(D_1, D_2, N_1) = E + A \left(D_2 + r D_1^{q}\right)^{-\alpha} + B N_1^{-\beta}

Hernandez et al. measure what pre-training is worth in tokens: the *effective data transferred*
:math:`D_T` are the further tokens that a model trained from scratch would need for the same loss,
so that the data term is a power of :math:`D_2 + D_T`. They let :math:`D_T` grow with the tokens of
fine-tuning and with the size of the model. Here it is a power of what the dense parent has seen,
:math:`D_T = r D_1^q`, and the model-size term is that of the upcycling law of Liew et al. 2025
(arXiv:2502.03009, :func:`~bayescale.models.upcycling.upcycling`), which has as many coefficients.
**The form is this package's own**: nobody has published it for upcycling, and there are no
published coefficients.

Both laws say that a better trained parent gains less from further tokens: Liew's by an exponent of
:math:`D_2` that depends on :math:`D_1`, this one because tokens that were transferred need not be
seen again. Nothing transferred, :math:`r = 0`, leaves the law of mixtures trained from scratch, and
no further tokens, :math:`D_2 = 0`, a power law of what was transferred. Many further tokens,
:math:`D_2 \gg D_T`, make the parent's tokens worthless, which Liew's law never does.

``D_dense`` is :math:`D_1`, ``D_upcycled`` is :math:`D_2` and ``N`` is :math:`N_1`, the size of the
dense **parent**. In reference units :math:`r` is what the typical parent's tokens are worth, in
typical numbers of further tokens.
"""

from __future__ import annotations

from typing import Any

from bayescale.cost import upcycling_flops
from bayescale.language.law import law
from bayescale.language.priors import amplitude, exponent, floor, lognormal
from bayescale.models.upcycling import PARENT

__all__ = ["transferred", "transferred_tokens"]


def _raw_tokens(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    seen, further = reference["D_dense"], reference["D_upcycled"]
    return {"A": c["A"] * further ** c["alpha"], "r": c["r"] * further / seen ** c["q"]}


def _raw(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    return _raw_tokens(c, reference) | {"B": c["B"] * reference["N"] ** c["beta"]}


@law(cost=upcycling_flops, raw=_raw, variables=(PARENT,))
def transferred(
    N: Any,
    D_dense: Any,
    D_upcycled: Any,
    *,
    A: Any = amplitude(0.4),
    alpha: Any = exponent(0.15),
    r: Any = lognormal(0.5, 1.0),
    q: Any = lognormal(0.7, 0.5),
    B: Any = amplitude(0.4),
    beta: Any = exponent(0.15),
    E: Any = floor(0.2, 1.0),
) -> Any:
    r"""Hernandez 2021 for upcycling: :math:`E + A (D_2 + r D_1^q)^{-\alpha} + B N_1^{-\beta}`.

    Parameters
    ----------
    N
        Parameters of the dense parent, without embeddings.
    D_dense
        Tokens that the dense parent was trained on.
    D_upcycled
        Tokens that the upcycled mixture is trained on.
    A, alpha
        Amplitude and exponent of the data term.
    r, q
        What the parent's tokens are worth in further tokens: a factor and a power.
    B, beta
        Amplitude and exponent of the model-size term.
    E
        Irreducible loss, nats per token.
    """
    return E + A * (D_upcycled + r * D_dense**q) ** -alpha + B * N**-beta


@law(raw=_raw_tokens)
def transferred_tokens(
    D_dense: Any,
    D_upcycled: Any,
    *,
    A: Any = amplitude(0.4),
    alpha: Any = exponent(0.15),
    r: Any = lognormal(0.5, 1.0),
    q: Any = lognormal(0.7, 0.5),
    E: Any = floor(0.4, 0.8),
) -> Any:
    r"""Hernandez 2021 for upcycling, at one size: :math:`E + A (D_2 + r D_1^q)^{-\alpha}`.

    Parameters
    ----------
    D_dense
        Tokens that the dense parent was trained on.
    D_upcycled
        Tokens that the upcycled mixture is trained on.
    A, alpha
        Amplitude and exponent of the data term.
    r, q
        What the parent's tokens are worth in further tokens: a factor and a power.
    E
        Loss of this model size with unlimited data, nats per token.
    """
    return E + A * (D_upcycled + r * D_dense**q) ** -alpha
