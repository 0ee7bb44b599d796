r"""The law of routed language models of Clark et al. 2022 (arXiv:2202.01169), "Unified scaling laws
for routed language models", equation 1.

.. math:: \log_{10} L = a \log_{10} N + b \log_{10} \hat E + c \log_{10} N \log_{10} \hat E + d,
   \qquad \frac{1}{\hat E} = \frac{1}{E - 1 + (1/E_{start} - 1/E_{max})^{-1}} + \frac{1}{E_{max}}

Experts help like a power law between two saturating ends: :math:`\hat E(1) = E_{start}` and
:math:`\hat E(\infty) = E_{max}`. As :math:`c > 0` they help large models less, and beyond
:math:`N = 10^{-b/c}` not at all. Logarithms are to **base 10**.

``N_active`` is the paper's :math:`N`, the parameters of the **dense base model** that a token sees,
and ``experts`` its :math:`E`, in every second block. All runs used 130 billion tokens, so the law
says nothing about data; that the gain ends is contested for the same reason (Krajewski et al.
2024). At one expert it is the dense power law :math:`(N_c / N)^{\alpha_N}`.
"""

from __future__ import annotations

import math
from typing import Any

from bayescale.cost import active_flops
from bayescale.language.law import Coefficients, law
from bayescale.language.maths import exp, log
from bayescale.language.priors import lognormal, normal

__all__ = ["clark", "saturated"]

_LN10 = math.log(10.0)
_NOTE = "Rounded: 10^(-b/c) comes out up to three times off the published cut-off."
_REFIT = (
    "least squares in log10 loss on the runs that Clark et al. 2022 released (table 'clark2022', "
    "top_k 1, routing_frequency 0.5, seed 42), dense and {}"
)

PUBLISHED = {
    "clark2022_sbase": Coefficients(
        values={"a": -0.082, "b": -0.108, "c": 0.009, "d": 1.104, "E_start": 1.847,
                "E_max": 314.478},
        source="Clark et al. 2022, Table 3, S-Base",
        certainty="notes",
        note=_NOTE,
    ),
    "clark2022_rlr": Coefficients(
        values={"a": -0.083, "b": -0.126, "c": 0.012, "d": 1.111, "E_start": 1.880,
                "E_max": 469.982},
        source="Clark et al. 2022, Table 3, RL-R",
        certainty="notes",
        note=_NOTE,
    ),
    "clark2022_hash": Coefficients(
        values={"a": -0.087, "b": -0.136, "c": 0.012, "d": 1.157, "E_start": 4.175,
                "E_max": 477.741},
        source="Clark et al. 2022, Table 3, Hash",
        certainty="notes",
        note=_NOTE,
    ),
    "clark2022_sbase_refit": Coefficients(
        values={"a": -0.08302526, "b": -0.1180434, "c": 0.0099248, "d": 1.11358,
                "E_start": 2.074566, "E_max": 238.6779},
        source=_REFIT.format("S-Base"),
        certainty="refit",
    ),
    "clark2022_rlr_refit": Coefficients(
        values={"a": -0.08272952, "b": -0.1234166, "c": 0.01123255, "d": 1.107013,
                "E_start": 1.721928, "E_max": 470.0534},
        source=_REFIT.format("RL-R"),
        certainty="refit",
    ),
    "clark2022_hash_refit": Coefficients(
        values={"a": -0.08735666, "b": -0.1383638, "c": 0.01263522, "d": 1.15953,
                "E_start": 4.26876, "E_max": 427.3214},
        source=_REFIT.format("Hash"),
        certainty="refit",
    ),
}  # fmt: skip


def saturated(experts: Any, E_start: Any, E_max: Any) -> Any:
    r"""The saturating number of experts :math:`\hat E`, from ``E_start`` at one to ``E_max``.

    Parameters
    ----------
    experts
        Number of experts.
    E_start, E_max
        Its values for one expert and for infinitely many, ``E_start < E_max``.

    Examples
    --------
    >>> round(saturated(1.0, 2.0, 300.0), 9), round(saturated(1e12, 2.0, 300.0), 3)
    (2.0, 300.0)
    """
    return 1.0 / (1.0 / (experts - 1.0 + 1.0 / (1.0 / E_start - 1.0 / E_max)) + 1.0 / E_max)


def _raw(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    decades = math.log10(reference["N_active"])
    return {"b": c["b"] - c["c"] * decades, "d": c["d"] - c["a"] * decades}


# In reference units d is the log10 loss, and b the slope in experts, of a base model at the centre.
@law(published=PUBLISHED, cost=active_flops, raw=_raw)
def clark(
    N_active: Any,
    experts: Any,
    *,
    a: Any = normal(-0.08, 0.04),
    b: Any = normal(-0.04, 0.05),
    c: Any = normal(0.01, 0.01),
    d: Any = normal(0.4, 0.4),
    E_start: Any = lognormal(2.0, 0.4),
    E_max: Any = lognormal(350.0, 0.6),
) -> Any:
    r"""Clark 2022: :math:`\lg L = a \lg N + b \lg \hat E + c \lg N \lg \hat E + d`, base 10.

    Parameters
    ----------
    N_active
        Parameters of the dense base model that a token sees.
    experts
        Number of experts, one for a dense model.
    a, b, c
        Slopes in the logarithms of parameters and of experts, and their interaction.
    d
        Intercept: the base-10 logarithm of a loss in nats.
    E_start, E_max
        The ends between which the effect of experts saturates.
    """
    n, e = log(N_active) / _LN10, log(saturated(experts, E_start, E_max)) / _LN10
    return exp(_LN10 * (a * n + b * e + c * n * e + d))
