r"""The upcycling law of Liew et al. 2025 (arXiv:2502.03009), "Scaling laws for upcycling
mixture-of-experts language models".

.. math:: L(D_1, D_2, N_1) = A D_1^{-\alpha_1} D_2^{-\alpha_2 + \alpha_3 \ln D_1}
   + B N_1^{-\beta} + E

A dense model of :math:`N_1` parameters is trained on :math:`D_1` tokens, its weights are copied
into experts, and the mixture is trained on :math:`D_2` further tokens. The interaction term
:math:`\alpha_3 \ln D_1` slows learning from :math:`D_2` the better trained the dense parent was.
Without it (:math:`\alpha_3 = 0`) the data term is separable.

Here ``D_dense`` is :math:`D_1`, ``D_upcycled`` is :math:`D_2` and ``N`` is :math:`N_1`, the size of
the dense **parent**. Logarithms are natural. In reference units :math:`\alpha_1, \alpha_2` are
the local exponents at the centre of the data.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bayescale.cost import upcycling_flops
from bayescale.language.law import Coefficients, law
from bayescale.language.maths import exp, log
from bayescale.language.priors import amplitude, exponent, floor, normal
from bayescale.language.variables import VARIABLES

__all__ = ["upcycling", "upcycling_tokens"]

PARENT = replace(
    VARIABLES["N"], description="parameters of the dense parent, without embeddings", aliases=()
)

PUBLISHED = {
    "liew2025": Coefficients(
        values={"A": 16.3, "alpha_1": 0.043, "alpha_2": 0.085, "alpha_3": 7.98e-4, "B": 8.53,
                "beta": 0.112, "E": 0.165},
        source="Liew et al. 2025, Table 2, upcycled, eight experts of which two are active",
        certainty="notes",
        note="N_1 leaves out embeddings: the counts of the runs are too small to hold them.",
    ),
}  # fmt: skip


def _raw_tokens(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    # With x = D_1 / r_1 and y = D_2 / r_2, multiply out the exponents and collect the logs.
    log_1, log_2 = float(log(reference["D_dense"])), float(log(reference["D_upcycled"]))
    shift = c["alpha_1"] * log_1 + c["alpha_2"] * log_2 + c["alpha_3"] * log_1 * log_2
    return {
        "A": c["A"] * exp(shift),
        "alpha_1": c["alpha_1"] + c["alpha_3"] * log_2,
        "alpha_2": c["alpha_2"] + c["alpha_3"] * log_1,
    }


def _raw(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    return _raw_tokens(c, reference) | {"B": c["B"] * reference["N"] ** c["beta"]}


@law(published=PUBLISHED, cost=upcycling_flops, raw=_raw, variables=(PARENT,))
def upcycling(
    N: Any,
    D_dense: Any,
    D_upcycled: Any,
    *,
    A: Any = amplitude(0.4),
    alpha_1: Any = exponent(0.04, 0.7),
    alpha_2: Any = exponent(0.08, 0.5),
    alpha_3: Any = normal(0.0, 0.002, role="exponent"),
    B: Any = amplitude(0.4),
    beta: Any = exponent(0.15),
    E: Any = floor(0.2, 1.0),
) -> Any:
    r"""Liew 2025: :math:`A D_1^{-\alpha_1} D_2^{-\alpha_2+\alpha_3\ln D_1} + B N_1^{-\beta} + E`.

    Parameters
    ----------
    N
        Parameters of the dense parent, without embeddings.
    D_dense
        Tokens that the dense parent was trained on.
    D_upcycled
        Tokens that the upcycled mixture is trained on.
    A, alpha_1, alpha_2, alpha_3
        Amplitude of the data term, its exponents in dense and upcycled tokens, and their
        interaction; either sign.
    B, beta
        Amplitude and exponent of the model-size term.
    E
        Irreducible loss, nats per token.
    """
    data = A * D_dense**-alpha_1 * D_upcycled ** (alpha_3 * log(D_dense) - alpha_2)
    return data + B * N**-beta + E


@law(raw=_raw_tokens)
def upcycling_tokens(
    D_dense: Any,
    D_upcycled: Any,
    *,
    A: Any = amplitude(0.4),
    alpha_1: Any = exponent(0.04, 0.7),
    alpha_2: Any = exponent(0.08, 0.5),
    alpha_3: Any = normal(0.0, 0.002, role="exponent"),
    E: Any = floor(0.4, 0.8),
) -> Any:
    r"""Liew 2025 at one model size: :math:`A D_1^{-\alpha_1} D_2^{-\alpha_2+\alpha_3\ln D_1} + E`.

    Parameters
    ----------
    D_dense
        Tokens that the dense parent was trained on.
    D_upcycled
        Tokens that the upcycled mixture is trained on.
    A, alpha_1, alpha_2, alpha_3
        Amplitude of the data term, its exponents in dense and upcycled tokens, and their
        interaction; either sign.
    E
        Loss of this model size with unlimited data, nats per token.
    """
    return A * D_dense**-alpha_1 * D_upcycled ** (alpha_3 * log(D_dense) - alpha_2) + E
