r"""Farseer, Li et al. 2025 (arXiv:2506.10972), "Predictable scale part II: Farseer, a refined
scaling law in large language models", equation 3.

.. math:: L(N, D) = e^{a_3 N^{\gamma} + b_3} + e^{a_2 N^{\beta} + b_2} D^{-e^{a_1 N^{\alpha} + b_1}}

At each model size the loss is a floor and a power of the tokens, and the floor, the amplitude and
the exponent of that power all depend on the size.

*Certainty:* the form was read in notes on the paper; whether ``N`` counts embeddings was not, and
no coefficients could be obtained.

Two things differ from the paper. Powers of ``N`` are written :math:`(N^{\alpha} - 1) / \alpha`, so
that :math:`b` is the value and :math:`a` the slope at the reference, where in the paper's letters
one makes up for the other; the paper's are :math:`a / \alpha` and :math:`b - a / \alpha`. And a fit
counts tokens from their reference, where the paper counts from one token: as the exponent depends
on ``N`` these are not the same curves, and a fit has **no raw units**. With nine coefficients the
law needs many runs.
"""

from __future__ import annotations

from typing import Any

from bayescale.cost import dense_flops
from bayescale.language.law import law
from bayescale.language.maths import exp
from bayescale.language.priors import normal

__all__ = ["farseer"]


def _power(N: Any, slope: Any, exponent: Any) -> Any:
    return slope * (N**exponent - 1) / exponent


@law(cost=dense_flops)
def farseer(
    N: Any,
    D: Any,
    *,
    a_1: Any = normal(0.0, 0.15),
    b_1: Any = normal(-1.2, 0.6),
    alpha: Any = normal(0.0, 0.3),
    a_2: Any = normal(-0.1, 0.3),
    b_2: Any = normal(-0.5, 0.8),
    beta: Any = normal(0.0, 0.3),
    a_3: Any = normal(-0.1, 0.1),
    b_3: Any = normal(0.5, 0.7),
    gamma: Any = normal(0.0, 0.3),
) -> Any:
    r"""Li 2025: :math:`e^{a_3 N^\gamma + b_3} + e^{a_2 N^\beta + b_2} D^{-e^{a_1 N^\alpha + b_1}}`.

    Parameters
    ----------
    N
        Parameters.
    D
        Training tokens.
    a_1, b_1, alpha
        Slope in log size at the reference, value there, and curvature of the logarithm of the
        exponent of data.
    a_2, b_2, beta
        The same of the logarithm of the data term's amplitude.
    a_3, b_3, gamma
        The same of the logarithm of the loss with unlimited data.
    """
    exponent = exp(b_1 + _power(N, a_1, alpha))
    return exp(b_3 + _power(N, a_3, gamma)) + exp(b_2 + _power(N, a_2, beta)) * D**-exponent
