r"""The joint law of Kaplan et al. 2020 (arXiv:2001.08361), "Scaling laws for neural language
models", equation 1.5.

.. math:: L(N, D) = \left[\left(\frac{N_c}{N}\right)^{\alpha_N / \alpha_D}
   + \frac{D_c}{D}\right]^{\alpha_D}

Model size and data are coupled: the gain from either depends on the other. There is no floor, so
the loss falls towards zero; :func:`~bayescale.models.coupled.kaplan_floor` is the law with one.

``N`` leaves embeddings out. The losses behind the published coefficients were stopped early and may
come from several passes over the data.
"""

from __future__ import annotations

from typing import Any

from bayescale.cost import dense_flops
from bayescale.language.law import Coefficients, law
from bayescale.language.priors import exponent, lognormal

__all__ = ["kaplan"]

PUBLISHED = {
    "kaplan2020": Coefficients(
        values={"N_c": 6.4e13, "alpha_N": 0.076, "D_c": 1.8e13, "alpha_D": 0.103},
        source="Kaplan et al. 2020, Table 2, the joint fit",
        certainty="notes",
        note="N leaves embeddings out; WebText2, losses stopped early.",
    ),
}


def _raw(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    return {"N_c": c["N_c"] * reference["N"], "D_c": c["D_c"] * reference["D"]}


# N_c and D_c are the sizes at which either limit alone gives one nat. Seen from the centre of the
# data they are far off, some loss^(1/alpha) away, hence medians of 1e5 and 1e4 and wide spreads.
@law(published=PUBLISHED, cost=dense_flops, raw=_raw)
def kaplan(
    N: Any,
    D: Any,
    *,
    N_c: Any = lognormal(1e5, 4.0),
    alpha_N: Any = exponent(0.08),
    D_c: Any = lognormal(1e4, 4.0),
    alpha_D: Any = exponent(0.1),
) -> Any:
    r"""Kaplan 2020: :math:`[(N_c/N)^{\alpha_N/\alpha_D} + D_c/D]^{\alpha_D}`.

    Parameters
    ----------
    N
        Parameters without embeddings.
    D
        Training tokens.
    N_c, alpha_N
        Parameters at which unlimited data give one nat, and the exponent of that limit.
    D_c, alpha_D
        Tokens at which an unlimited model gives one nat, and the exponent of that limit.
    """
    return ((N_c / N) ** (alpha_N / alpha_D) + D_c / D) ** alpha_D
