r"""The dense law of Hoffmann et al. 2022 (arXiv:2203.15556), "Training compute-optimal large
language models", equation 10.

.. math:: L(N, D) = E + A N^{-\alpha} + B D^{-\beta}

A floor ``E`` (nats, the entropy of the text), a term for the finite model and a term for the finite
data. The two terms are separable: neither depends on the other's input.

The compute-optimal allocation under :math:`C = 6 N D` has the closed form

.. math:: N^* = G (C/6)^{\beta/(\alpha+\beta)}, \quad D^* = G^{-1} (C/6)^{\alpha/(\alpha+\beta)},
   \quad G = (\alpha A / (\beta B))^{1/(\alpha+\beta)}.

Published sets count ``N`` differently and come from different corpora and tokenizers: their losses
at one point agree far better than their coefficients, and their floors do not compare.
"""

from __future__ import annotations

import math
from typing import Any

from bayescale.cost import dense_flops
from bayescale.language.law import Coefficients, law
from bayescale.language.priors import amplitude, exponent, floor

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
    "muennighoff2023": Coefficients(
        values={"E": math.exp(0.6254804), "A": math.exp(6.255414), "alpha": 0.3526596,
                "B": math.exp(7.3049974), "beta": 0.3526596},
        source="Muennighoff et al. 2023, arXiv:2305.16264, README of the authors' code, C4",
        certainty="official code",
        note="The single-epoch base of the law of repeated data; alpha and beta tied.",
    ),
    "krajewski2024": Coefficients(
        values={"E": 0.47, "A": 16.3, "alpha": 0.126, "B": 26.7, "beta": 0.127},
        source="Krajewski et al. 2024, arXiv:2402.07871, Table 1, dense",
        certainty="full text",
        note="N leaves embeddings out, 12 d^2 n. The floor was not fitted: it is that of the "
        "mixture of experts (granularity, set 'krajewski2024'). Smoothed training loss on C4.",
    ),
    "liew2025": Coefficients(
        values={"E": 0.165, "A": 12.3, "alpha": 0.116, "B": 8.83, "beta": 0.088},
        source="Liew et al. 2025, arXiv:2502.03009, Table 2, dense",
        certainty="notes",
        note="The dense parent of the upcycling law (set 'liew2025' there), whose floor it shares. "
        "Whether N counts embeddings is not known. Renamed from the paper's: A and alpha are "
        "those of N, its B and beta; B and beta those of D, its A and alpha.",
    ),
    "liew2025_moe": Coefficients(
        values={"E": 0.165, "A": 7.05, "alpha": 0.080, "B": 32.0, "beta": 0.161},
        source="Liew et al. 2025, arXiv:2502.03009, Table 2, mixture of experts from scratch",
        certainty="notes",
        note="Eight experts of which two are active. N is the size of the dense model that each "
        "expert set is built on, as in the upcycling law, not the mixture's own: 6 N D is not "
        "its cost. Renamed from the paper's as in 'liew2025'.",
    ),
    "sardana2024_100": Coefficients(
        values={"E": 0.17, "A": 7.199, "alpha": 0.08, "B": 25.97, "beta": 0.13},
        source="Sardana et al. 2024, arXiv:2401.00448, runs of at most 100 tokens per parameter",
        certainty="notes",
    ),
    "sardana2024_250": Coefficients(
        values={"E": 0.98, "A": 14.23, "alpha": 0.13, "B": 39.54, "beta": 0.16},
        source="Sardana et al. 2024, arXiv:2401.00448, runs of at most 250 tokens per parameter",
        certainty="notes",
    ),
    "sardana2024_500": Coefficients(
        values={"E": 0.95, "A": 17.07, "alpha": 0.13, "B": 35.80, "beta": 0.16},
        source="Sardana et al. 2024, arXiv:2401.00448, runs of at most 500 tokens per parameter",
        certainty="notes",
    ),
    "sardana2024_all": Coefficients(
        values={"E": 1.45, "A": 33.66, "alpha": 0.18, "B": 138.9, "beta": 0.24},
        source="Sardana et al. 2024, arXiv:2401.00448, all runs",
        certainty="notes",
    ),
}  # fmt: skip


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
