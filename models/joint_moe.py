r"""The joint mixture-of-experts law of Ludziejewski et al. 2025 (arXiv:2502.05172), "Joint MoE
scaling laws: mixture of experts can be memory efficient".

.. math:: L(N, D, E) = a \hat E^{\delta} N^{\alpha + \gamma \ln \hat E}
   + b \hat E^{\omega} D^{\beta + \zeta \ln \hat E} + c

with the saturating :math:`\hat E` of Clark et al. 2022 (:func:`~bayescale.models.clark.saturated`).
The number of experts moves both terms' amplitudes and exponents; at any one number the law is the
dense one, :math:`m N^{\mu} + n D^{\nu} + c`.

**Exponents are written with a plus sign**, as in the paper, so :math:`\alpha` and :math:`\beta` are
negative. ``N_active`` is **active** parameters *with* embeddings and unembedding, and ``experts``
the number of full-size experts of which a token uses one. The law fits badly below one token a
parameter. In reference units :math:`\delta` and :math:`\omega` are the effect of experts at the
centre of the data.
"""

from __future__ import annotations

import math
from typing import Any

from bayescale.cost import active_flops
from bayescale.language.law import Coefficients, law
from bayescale.language.maths import log
from bayescale.language.priors import amplitude, floor, lognormal, normal
from bayescale.models.clark import saturated

__all__ = ["joint_moe"]

PUBLISHED = {
    "ludziejewski2025": Coefficients(
        values={"a": 35.91, "alpha": -0.1889, "delta": -0.2285, "gamma": 0.0098,
                "b": 35.98, "beta": -0.1775, "omega": 0.5529, "zeta": -0.0259,
                "E_start": 2.0732, "E_max": 290.4521, "c": 1.3637},
        source="Ludziejewski et al. 2025, the fit of the joint law",
        certainty="full text",
        note="Active parameters with embeddings (vocabulary of 50,257); 1 to 32 experts; "
        "FineWeb-Edu. Some second-hand copies have the signs of the exponents wrong.",
    ),
}  # fmt: skip


def _raw(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    log_n, log_d = math.log(reference["N_active"]), math.log(reference["D"])
    return {
        "a": c["a"] * reference["N_active"] ** -c["alpha"],
        "delta": c["delta"] - c["gamma"] * log_n,
        "b": c["b"] * reference["D"] ** -c["beta"],
        "omega": c["omega"] - c["zeta"] * log_d,
    }


@law(published=PUBLISHED, cost=active_flops, raw=_raw)
def joint_moe(
    N_active: Any,
    D: Any,
    experts: Any,
    *,
    a: Any = amplitude(),
    alpha: Any = normal(-0.2, 0.1, role="exponent"),
    delta: Any = normal(0.0, 0.2, role="exponent"),
    gamma: Any = normal(0.0, 0.02, role="exponent"),
    b: Any = amplitude(),
    beta: Any = normal(-0.2, 0.1, role="exponent"),
    omega: Any = normal(0.0, 0.2, role="exponent"),
    zeta: Any = normal(0.0, 0.02, role="exponent"),
    E_start: Any = lognormal(2.0, 0.4),
    E_max: Any = lognormal(350.0, 0.6),
    c: Any = floor(),
) -> Any:
    r"""Ludziejewski 2025: :math:`m(\hat E) N^{\mu(\hat E)} + n(\hat E) D^{\nu(\hat E)} + c`.

    Parameters
    ----------
    N_active
        Active parameters, embeddings and unembedding included.
    D
        Training tokens.
    experts
        Number of full-size experts, one for a dense model.
    a, alpha, delta, gamma
        Amplitude of the model-size term, its exponents in parameters and in experts, and their
        interaction.
    b, beta, omega, zeta
        The same of the data term.
    E_start, E_max
        The ends between which the effect of experts saturates.
    c
        Irreducible loss, nats per token.
    """
    e = saturated(experts, E_start, E_max)
    size = a * e**delta * N_active ** (alpha + gamma * log(e))
    return size + b * e**omega * D ** (beta + zeta * log(e)) + c
