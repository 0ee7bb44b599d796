r"""The dense law of Hoffmann et al. 2022 (arXiv:2203.15556), "Training compute-optimal large
language models", equation 10.

.. math:: L(N, D) = E + A N^{-\alpha} + B D^{-\beta}

A floor ``E`` (nats, the entropy of the text), a term for the finite model and a term for the finite
data. The two terms are separable: neither depends on the other's input.

The compute-optimal allocation under :math:`C = 6 N D` has the closed form

.. math:: N^* = G (C/6)^{\beta/(\alpha+\beta)}, \quad D^* = G^{-1} (C/6)^{\alpha/(\alpha+\beta)},
   \quad G = (\alpha A / (\beta B))^{1/(\alpha+\beta)}.
"""

from __future__ import annotations

from typing import Any

from bayescale.cost import dense_flops
from bayescale.law import Coefficients, law
from bayescale.priors import amplitude, exponent, floor

__all__ = ["dense"]

PUBLISHED = {
    "hoffmann2022": Coefficients(
        values={"E": 1.6934, "A": 406.4, "alpha": 0.3392, "B": 410.7, "beta": 0.2849},
        source="Hoffmann et al. 2022, approach 3, coefficients of the TeX source",
        certainty="notes",
        note="The fit stopped early and its coefficients are rounded (Besiroglu et al. 2024 reject "
        "them); rounding beta to 0.28 moves the data term by 13 % at 1e11 tokens.",
    ),
    "besiroglu2024": Coefficients(
        values={"E": 1.8172, "A": 482.01, "alpha": 0.3478, "B": 2085.43, "beta": 0.3658},
        errors={"E": 0.03, "A": 124.58, "alpha": 0.02, "B": 1293.23, "beta": 0.02},
        source="Besiroglu et al. 2024, arXiv:2404.10102, 240 digitised runs",
        certainty="notes",
        note="The five runs with the fewest tokens per parameter are left out.",
    ),
    "besiroglu2024_245": Coefficients(
        values={"E": 1.89, "A": 463.3, "alpha": 0.345, "B": 12530.0, "beta": 0.452},
        errors={"E": 0.044, "A": 145.0, "alpha": 0.018, "B": 61650.0, "beta": 0.054},
        source="Besiroglu et al. 2024, arXiv:2404.10102, all 245 digitised runs",
        certainty="notes",
    ),
}


@law(published=PUBLISHED, cost=dense_flops)
def dense(
    N: Any,
    D: Any,
    *,
    E: Any = floor(),
    A: Any = amplitude(),
    alpha: Any = exponent(0.25),
    B: Any = amplitude(),
    beta: Any = exponent(0.25),
) -> Any:
    r"""Hoffmann 2022: :math:`E + A N^{-\alpha} + B D^{-\beta}`.

    Parameters
    ----------
    N
        Total parameters, embeddings included.
    D
        Training tokens.
    E
        Irreducible loss, nats per token.
    A, alpha
        Amplitude and exponent of the model-size term.
    B, beta
        Amplitude and exponent of the data term.
    """
    return E + A * N**-alpha + B * D**-beta
