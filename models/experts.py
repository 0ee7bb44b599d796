r"""The dense-against-experts law of Wang et al. 2024 (arXiv:2410.05661), "Scaling laws across model
architectures".

.. math:: L(N, D, E) = \frac{A}{N^{\alpha} E^{\gamma}} + \frac{B}{D^{\beta}} + \sigma

One law for dense models (one expert) and mixtures of experts: more experts act like more active
parameters. ``N`` is **active** non-embedding parameters, ``E`` the number of experts, here the
input ``experts``. The paper's form holds below about 100 experts.

The exponents are shared, so this form alone gives dense and mixture models the same allocation
exponent; the paper reports different ones (:math:`N^* \propto C^{0.507}` dense,
:math:`C^{0.590}` mixture). Its coefficients could not be obtained, and none are given here.
"""

from __future__ import annotations

from typing import Any

from bayescale.cost import active_flops
from bayescale.language.law import law
from bayescale.language.priors import amplitude, exponent, floor

__all__ = ["experts"]


@law(cost=active_flops)
def experts(
    N_active: Any,
    D: Any,
    experts: Any,
    *,
    A: Any = amplitude(),
    alpha: Any = exponent(0.25),
    gamma: Any = exponent(0.12, 0.6),
    B: Any = amplitude(),
    beta: Any = exponent(0.25),
    sigma: Any = floor(),
) -> Any:
    r"""Wang 2024: :math:`A N^{-\alpha} E^{-\gamma} + B D^{-\beta} + \sigma`, dense at one expert.

    Parameters
    ----------
    N_active
        Active non-embedding parameters.
    D
        Training tokens.
    experts
        Number of experts, one for a dense model.
    A, alpha, gamma
        Amplitude of the model-size term and its exponents in active parameters and experts.
    B, beta
        Amplitude and exponent of the data term.
    sigma
        Irreducible loss, nats per token.
    """
    return A * N_active**-alpha * experts**-gamma + B * D**-beta + sigma
