r"""The generalised sparse law of Hossain et al. 2025 (arXiv:2508.06617), "Generalizing scaling laws
for dense and sparse large language models", equation 7.

.. math:: L(N, D, S) = e (1-S)^{\gamma} + \big(a (1-S)^{\alpha} + c S\big) N^{-\alpha}
   + b D^{-\beta}

One formula for dense models, pruned models and mixtures of experts. ``N`` is the number of
**active** parameters and ``S = 1 - active / total``, so :math:`a (1-S)^\alpha N^{-\alpha}` is the
dense term in *total* parameters, and :math:`c S N^{-\alpha}` a penalty on what is left active. At
``S = 0`` it is the dense law.

Contested: for :math:`\gamma > 0` the floor shrinks with sparsity, that is, the irreducible loss
depends on the architecture. The prior on ``gamma`` is centred at zero, so the runs must say it.
"""

from __future__ import annotations

from typing import Any

from bayescale.cost import active_flops
from bayescale.language.law import Coefficients, law
from bayescale.language.priors import amplitude, exponent, floor, normal

__all__ = ["sparse"]

_CODE = "as read in code that cites the paper's tables; the paper's version is not stated"

PUBLISHED = {
    "hossain2025_pruning": Coefficients(
        values={"e": 0.15, "gamma": 2.0, "a": 86.03, "alpha": 0.28, "c": 29.26, "b": 7.90,
                "beta": 0.08},
        source="Hossain et al. 2025, Table VIII, weight sparsity (runs of Frantar et al. 2023)",
        certainty="third-party code",
        note=f"{_CODE}. Root mean squared error 0.078 nats on the T5 runs.",
    ),
    "hossain2025_moe": Coefficients(
        values={"e": 0.57, "gamma": 1.19, "a": 8.26, "alpha": 0.08, "c": 3.57, "b": 6324.82,
                "beta": 0.40},
        source="Hossain et al. 2025, Table IX, mixtures of experts (law of Abnar et al. 2025)",
        certainty="third-party code",
        note=_CODE,
    ),
    "hossain2025_code": Coefficients(
        values={"e": 1.69, "gamma": 0.001, "a": 406.4, "alpha": 0.34, "c": 93.45, "b": 410.7,
                "beta": 0.28},
        source="Hossain et al. 2025, default of the authors' code",
        certainty="official code",
        note="At odds with Tables VIII and IX: probably of another version of the paper.",
    ),
}  # fmt: skip


@law(published=PUBLISHED, cost=active_flops)
def sparse(
    N_active: Any,
    D: Any,
    S: Any,
    *,
    e: Any = floor(0.4, 0.6),
    gamma: Any = normal(0.0, 0.5, role="exponent"),
    a: Any = amplitude(),
    alpha: Any = exponent(0.25),
    c: Any = amplitude(0.3, signed=True),
    b: Any = amplitude(),
    beta: Any = exponent(0.25),
) -> Any:
    r"""Hossain 2025: :math:`e(1-S)^\gamma + (a(1-S)^\alpha + cS) N^{-\alpha} + b D^{-\beta}`.

    Parameters
    ----------
    N_active
        Active (non-zero) parameters.
    D
        Training tokens.
    S
        Sparsity, ``1 - N_active / N``, at least 0 and below 1.
    e, gamma
        Irreducible loss of a dense model in nats, and how fast it falls with sparsity.
    a, alpha
        Amplitude and exponent of the model-size term.
    c
        Penalty of sparsity at a given number of active parameters; either sign.
    b, beta
        Amplitude and exponent of the data term.
    """
    return e * (1 - S) ** gamma + (a * (1 - S) ** alpha + c * S) * N_active**-alpha + b * D**-beta
