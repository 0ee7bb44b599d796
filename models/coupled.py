r"""Dense laws whose two terms are coupled: Videau et al. 2026 (arXiv:2608.07222), "Skaling:
Chinchilla's exponents meet Kaplan's coupling", and Kaplan's law with a floor.

.. math:: L(N, D) = E + A_S \left(N^{-\alpha_S} + R D^{-\beta_S}\right)^k

At :math:`k = 1` this is the separable law of Hoffmann et al.; below it, data help less where the
model is what limits, and the other way round. With :math:`\beta_S = 1` it is Kaplan's law
(:func:`~bayescale.models.kaplan.kaplan`) with a floor. The paper's claim is that the separable law
errs at both ends of tokens per parameter.

*Certainty:* the form was read second-hand, in the documentation of a package; no coefficients could
be obtained.

In the paper's letters :math:`k` trades against all others. The law is therefore written in the
exponents of the two limits, :math:`\alpha = k \alpha_S` and :math:`\beta = k \beta_S`, and in the
reducible loss at the reference, :math:`A = A_S (1 + R)^k`:

.. math:: L(N, D) = E + A \left(\frac{N^{-\alpha/k} + R D^{-\beta/k}}{1 + R}\right)^k

The law is meant for predicting larger runs than one has, and textbook fits overestimate the floor
there: its prior is narrower than other laws' and centred at 0.4 of the reference loss, with heavy
tails, so that it gives way where the runs say otherwise.
"""

from __future__ import annotations

from typing import Any

from bayescale.cost import dense_flops
from bayescale.language.law import law
from bayescale.language.priors import amplitude, exponent, floor, lognormal

__all__ = ["coupled", "kaplan_floor"]


def _raw(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    size = reference["N"] ** (c["alpha"] / c["k"])
    R = c["R"] * reference["D"] ** (c["beta"] / c["k"]) / size
    return {"A": c["A"] * (size * (1 + R) / (1 + c["R"])) ** c["k"], "R": R}


@law(cost=dense_flops, raw=_raw)
def coupled(
    N: Any,
    D: Any,
    *,
    E: Any = floor(0.4, 0.18, dof=3),
    A: Any = amplitude(0.5),
    R: Any = lognormal(1.0, 1.5),
    alpha: Any = exponent(0.3, 0.4),
    beta: Any = exponent(0.3, 0.4),
    k: Any = lognormal(0.6, 0.5),
) -> Any:
    r"""Videau 2026: :math:`E + A ((N^{-\alpha/k} + R D^{-\beta/k})/(1+R))^k`, dense at k = 1.

    Parameters
    ----------
    N
        Total parameters.
    D
        Training tokens.
    E
        Irreducible loss, nats per token.
    A
        Reducible loss at the reference.
    R
        Weight of the data term over that of the model-size term.
    alpha, beta
        Exponents in parameters with unlimited data, and in tokens with an unlimited model; the
        paper's are these over ``k``.
    k
        Coupling: one for separable terms, less the more they are coupled.
    """
    return E + A * ((N ** (-alpha / k) + R * D ** (-beta / k)) / (1 + R)) ** k


def _raw_floor(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    return {"N_c": c["N_c"] * reference["N"], "D_c": c["D_c"] * reference["D"]}


# With a floor N_c and D_c are of the order of the sizes in the data, where a limit is one nat.
@law(cost=dense_flops, raw=_raw_floor)
def kaplan_floor(
    N: Any,
    D: Any,
    *,
    E: Any = floor(0.4, 0.5),
    N_c: Any = lognormal(0.3, 3.0),
    alpha_N: Any = exponent(0.3),
    D_c: Any = lognormal(0.3, 3.0),
    alpha_D: Any = exponent(0.3),
) -> Any:
    r"""Kaplan 2020 with a floor: :math:`E + [(N_c/N)^{\alpha_N/\alpha_D} + D_c/D]^{\alpha_D}`.

    Parameters
    ----------
    N
        Total parameters.
    D
        Training tokens.
    E
        Irreducible loss, nats per token.
    N_c, alpha_N
        Parameters at which unlimited data leave one nat above the floor, and the exponent.
    D_c, alpha_D
        Tokens at which an unlimited model leaves one nat above the floor, and the exponent.
    """
    return E + ((N_c / N) ** (alpha_N / alpha_D) + D_c / D) ** alpha_D
