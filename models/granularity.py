r"""The granularity law of Krajewski et al. 2024 (arXiv:2402.07871), "Scaling laws for fine-grained
mixture of experts", equation 9.

.. math:: L(N, D, G) = c + \left(\frac{g}{G^{\gamma}} + a\right) N^{-\alpha} + b D^{-\beta}

Splitting each expert into ``G`` smaller ones and routing every token to ``G`` of them lowers the
model-size term. ``N`` is **total** parameters without embeddings and routers,
:math:`N = (8E + 4)\,d^2 n` for width :math:`d`, :math:`n` blocks and expansion rate :math:`E`:
at ``E = 64`` that is 43 times the active parameters. Coefficients hold at one expansion rate;
with ``g = 0`` the law is the dense one. Routing costs grow with ``G``
(:func:`bayescale.cost.granular_flops`), so the best granularity is finite.
"""

from __future__ import annotations

from typing import Any

from bayescale.cost import granular_flops
from bayescale.language.law import Coefficients, law
from bayescale.language.priors import amplitude, exponent, floor

__all__ = ["granularity"]

PUBLISHED = {
    "krajewski2024": Coefficients(
        values={"c": 0.47, "g": 2.1, "gamma": 0.58, "a": 18.1, "alpha": 0.115, "b": 30.8,
                "beta": 0.147},
        source="Krajewski et al. 2024, Table 1, expansion rate 64",
        certainty="full text",
        note="N = (8E + 4) d^2 n total parameters. Rounded: losses come out 0.01 to 0.02 below "
        "Table 2.",
    ),
    "krajewski2024_trimmed": Coefficients(
        values={"c": 0.472, "g": 2.07, "gamma": 0.570, "a": 17.6, "alpha": 0.114, "b": 26.7,
                "beta": 0.140},
        source="Krajewski et al. 2024, Table 5, expansion rate 64, best 20 % of runs left out",
        certainty="full text",
    ),
    "krajewski2024_e16": Coefficients(
        values={"c": 0.472, "g": 1.18, "gamma": 0.986, "a": 19.64, "alpha": 0.124, "b": 57.07,
                "beta": 0.169},
        source="Krajewski et al. 2024, Table 8, expansion rate 16",
        certainty="full text",
        note="Use with fixed={'expansion': 16}.",
    ),
}  # fmt: skip


@law(published=PUBLISHED, cost=granular_flops)
def granularity(
    N: Any,
    D: Any,
    G: Any,
    *,
    c: Any = floor(0.3, 0.7),
    g: Any = amplitude(0.05),
    gamma: Any = exponent(0.7),
    a: Any = amplitude(0.3),
    alpha: Any = exponent(0.15),
    b: Any = amplitude(0.3),
    beta: Any = exponent(0.15),
) -> Any:
    r"""Krajewski 2024: :math:`c + (g G^{-\gamma} + a) N^{-\alpha} + b D^{-\beta}`.

    Parameters
    ----------
    N
        Total parameters without embeddings and routers.
    D
        Training tokens.
    G
        Granularity: width of the dense feed-forward layer over that of an expert.
    c
        Irreducible loss, nats per token.
    g, gamma
        Amplitude and exponent of the gain from granularity.
    a, alpha
        Amplitude and exponent of the model-size term.
    b, beta
        Amplitude and exponent of the data term.
    """
    return c + (g * G**-gamma + a) * N**-alpha + b * D**-beta
