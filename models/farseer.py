r"""Farseer, Li et al. 2025 (arXiv:2506.10972), "Predictable scale part II: Farseer, a refined scaling
law in large language models", equation 3.

.. math:: L(N, D) = e^{a_3 N^{\gamma} + b_3} + e^{a_2 N^{\beta} + b_2} D^{-e^{a_1 N^{\alpha} + b_1}}
"""

from __future__ import annotations

from typing import Any

from bayescale.cost import dense_flops
from bayescale.law import law
from bayescale.maths import exp
from bayescale.priors import lognormal, normal

__all__ = ["farseer"]


@law(cost=dense_flops)
def farseer(
    N: Any,
    D: Any,
    *,
    a_1: Any = normal(0.0, 0.5),
    b_1: Any = normal(-1.2, 0.7),
    alpha: Any = lognormal(0.2, 0.5),
    a_2: Any = normal(0.0, 0.5),
    b_2: Any = normal(-0.7, 1.0),
    beta: Any = lognormal(0.2, 0.5),
    a_3: Any = normal(0.0, 0.5),
    b_3: Any = normal(0.5, 0.7),
    gamma: Any = lognormal(0.2, 0.5),
) -> Any:
    """Li 2025."""
    data = exp(a_2 * N**beta + b_2) * D ** -exp(a_1 * N**alpha + b_1)
    return exp(a_3 * N**gamma + b_3) + data
