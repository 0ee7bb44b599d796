r"""A law of compute alone: the best loss that each training budget reached, as in the technical
report of GPT-4 (OpenAI 2023, arXiv:2303.08774, section 3.1) and in Henighan et al. 2020.

.. math:: L(C) = E + A C^{-\alpha}

It is for tables that give the best run of each budget and say nothing of sizes. Where the dense law
holds and every budget is split at its optimum, it follows exactly, with
:math:`\alpha = \alpha_N \alpha_D / (\alpha_N + \alpha_D)`: 0.18 for Besiroglu's coefficients. It
says what loss to expect of a budget that is split as well as those of the table were, and nothing
of how to split it.
"""

from __future__ import annotations

from typing import Any

from bayescale.language.law import law
from bayescale.language.priors import amplitude, exponent, floor

__all__ = ["envelope"]


def compute(flops: Any) -> Any:
    """Training FLOPs, which are the law's input."""
    return 1.0 * flops


@law(cost=compute)
def envelope(
    flops: Any, *, E: Any = floor(), A: Any = amplitude(), alpha: Any = exponent(0.15)
) -> Any:
    r"""OpenAI 2023: the best loss of a training budget, :math:`E + A C^{-\alpha}`.

    Parameters
    ----------
    flops
        Training compute, FLOP.
    E
        Loss that no compute takes away.
    A, alpha
        What compute has yet to take away, and how fast it does.
    """
    return E + A * flops**-alpha
