r"""The weight-sparsity law of Frantar et al. 2023 (arXiv:2309.08520), "Scaling laws for
sparsely-connected foundation models", equation 1.

.. math:: L(S, N, D) = \left(a_S (1 - S)^{b_S} + c_S\right) N^{-b_N}
   + \left(\frac{a_D}{D}\right)^{b_D} + c

Sparsity lowers the amplitude of the model-size term and nothing else. ``N_active`` is the number
of **non-zero** weights, embeddings left out, and ``S`` the share of zero ones. ``D`` is training
tokens for T5 and images for the vision transformers. At ``S = 0`` the law is the dense one.

Two closed forms follow: how much larger a dense model would have to be
(:func:`dense_equivalent`), and the best sparsity where sparse weights are trained at the dense cost
(:func:`optimal_sparsity`).
"""

from __future__ import annotations

from typing import Any

from bayescale.cost import sparse_training_flops
from bayescale.language.law import Coefficients, law
from bayescale.language.maths import exp, log, maximum
from bayescale.language.priors import Prior, amplitude, exponent, floor

__all__ = ["dense_equivalent", "frantar", "optimal_sparsity"]

# The authors' notebook has N in millions, D in 65,536 x 1e5 tokens (T5) or 1e9 images (ViT), and
# the data term as e D^-f: here they are, unrounded, in raw counts.
_T5_TOKENS = 65_536 * 1e5

PUBLISHED = {
    "frantar2023_t5": Coefficients(
        values={"a_S": 0.56778512 * 1e6**0.24513173, "b_S": 0.72161276,
                "c_S": 1.52265016 * 1e6**0.24513173, "b_N": 0.24513173,
                "a_D": 0.63361517 ** (1 / 0.20270772) * _T5_TOKENS, "b_D": 0.20270772,
                "c": 0.65074219},
        source="Frantar et al. 2023, the authors' notebook, T5 on C4 (rounded in the paper)",
        certainty="official code",
        note="Non-zero weights without embeddings; a span-corruption loss, not next-token.",
    ),
    "frantar2023_vit": Coefficients(
        values={"a_S": 1.30485411 * 1e6**0.39222675, "b_S": 0.82101251,
                "c_S": 2.07506343 * 1e6**0.39222675, "b_N": 0.39222675,
                "a_D": 0.27818217 ** (1 / 0.88979104) * 1e9, "b_D": 0.88979104,
                "c": 4.51669257},
        source="Frantar et al. 2023, the authors' notebook, ViT on JFT-4B (rounded in the "
        "paper)",
        certainty="official code",
        note="D counts images; a classification loss.",
    ),
}  # fmt: skip


def _raw(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    size = reference["N_active"] ** c["b_N"]
    return {"a_S": c["a_S"] * size, "c_S": c["c_S"] * size, "a_D": c["a_D"] * reference["D"]}


@law(published=PUBLISHED, cost=sparse_training_flops, raw=_raw)
def frantar(
    N_active: Any,
    D: Any,
    S: Any,
    *,
    a_S: Any = amplitude(0.1),
    b_S: Any = exponent(0.75, 0.4),
    c_S: Any = amplitude(0.2),
    b_N: Any = exponent(0.25),
    a_D: Any = Prior("lognormal", 0.02, 3.0, role="amplitude"),
    b_D: Any = exponent(0.25),
    c: Any = floor(),
) -> Any:
    r"""Frantar 2023: :math:`(a_S(1-S)^{b_S} + c_S) N^{-b_N} + (a_D/D)^{b_D} + c`.

    Parameters
    ----------
    N_active
        Non-zero weights.
    D
        Training tokens (or images).
    S
        Share of the weights that are zero.
    a_S, b_S
        Part of the model-size amplitude that sparsity removes, and how fast.
    c_S
        Part that it leaves.
    b_N
        Exponent of the model-size term.
    a_D, b_D
        Tokens at which the data term is one nat, and its exponent.
    c
        Irreducible loss, nats.
    """
    return (a_S * (1 - S) ** b_S + c_S) * N_active**-b_N + (a_D / D) ** b_D + c


def dense_equivalent(S: Any, *, a_S: Any, b_S: Any, c_S: Any, b_N: Any) -> Any:
    r"""How many times larger a dense model of equal loss is than the non-zero part of a sparse one.

    :math:`\left(\frac{a_S + c_S}{a_S (1-S)^{b_S} + c_S}\right)^{1/b_N}`, for any size and data.

    Parameters
    ----------
    S
        Share of the weights that are zero.
    a_S, b_S, c_S, b_N
        Coefficients of :func:`frantar`, in either unit: their ratio alone counts.

    Examples
    --------
    >>> c = PUBLISHED["frantar2023_t5"].values
    >>> names = ("a_S", "b_S", "c_S", "b_N")
    >>> round(dense_equivalent(0.75, **{name: c[name] for name in names}), 3)
    2.157
    """
    return ((a_S + c_S) / (a_S * (1 - S) ** b_S + c_S)) ** (1 / b_N)


def optimal_sparsity(
    N_active: Any, flops: Any, *, a_S: Any, b_S: Any, b_N: Any, a_D: Any, b_D: Any
) -> Any:
    r"""Sparsity of least loss for given non-zero weights, trained at the dense cost.

    :math:`S^* = \max\left\{0, 1 - \left(\frac{b_D}{a_S b_S} N^{b_N}\right)^{1/(b_D+b_S)}
    \left(\frac{6 a_D N}{C}\right)^{b_D/(b_D+b_S)}\right\}` under :math:`C = 6 N D / (1 - S)`:
    sparser models see fewer tokens.

    Parameters
    ----------
    N_active
        Non-zero weights.
    flops
        Training FLOPs, counted dense (:func:`bayescale.cost.sparse_training_flops`).
    a_S, b_S, b_N, a_D, b_D
        Coefficients of :func:`frantar`, in raw units.

    Notes
    -----
    Derived by setting the derivative of the loss to zero, and checked against a numerical minimum.

    Examples
    --------
    >>> c = PUBLISHED["frantar2023_t5"].values
    >>> names = ("a_S", "b_S", "b_N", "a_D", "b_D")
    >>> round(float(optimal_sparsity(1e8, 1e22, **{name: c[name] for name in names})), 3)
    0.827
    """
    ratio = (log(b_D / (a_S * b_S)) + b_N * log(N_active)) / (b_D + b_S)
    return maximum(0.0, 1 - exp(ratio) * (6 * a_D * N_active / flops) ** (b_D / (b_D + b_S)))
