r"""The data-constrained law of Muennighoff et al. 2023 (arXiv:2305.16264), "Scaling
data-constrained language models".

.. math:: L(N, D, U) = E + A N'^{-\alpha} + B D'^{-\beta}, \qquad
   D' = U_D \left(1 + R_D^* (1 - e^{-R_D / R_D^*})\right), \qquad
   N' = U_N \left(1 + R_N^* (1 - e^{-R_N / R_N^*})\right)

Repeated tokens are worth less than new ones: of :math:`R_D = D / U_D - 1` repetitions the first
count almost in full and about :math:`R_D^*` at most. Parameters beyond those that the unique tokens
call for, :math:`U_N = \min(N, N^*(U_D))`, lose their worth alike, :math:`R_N = N / U_N - 1`. Here
:math:`N^*(U)` is the compute-optimal size for :math:`U` tokens, where
:math:`\alpha A N^{-\alpha} = \beta B U^{-\beta}`.

``D`` is tokens seen, repeats included, ``D_unique`` different ones; :math:`U_D` is the fewer of the
two. With ``D_unique >= D`` and no more parameters than :math:`N^*(D)` this is the dense law. The
law never turns up again, however often data are repeated; real losses do after tens of passes.
"""

from __future__ import annotations

import math
from typing import Any

from bayescale.cost import dense_flops
from bayescale.language.law import Coefficients, law
from bayescale.language.maths import exp, log, maximum, minimum
from bayescale.language.priors import amplitude, exponent, floor, lognormal

__all__ = ["repetition"]

PUBLISHED = {
    "muennighoff2023": Coefficients(
        values={"E": math.exp(0.6254804), "A": math.exp(6.255414), "alpha": 0.3526596,
                "B": math.exp(7.3049974), "beta": 0.3526596, "R_N_star": 5.309743,
                "R_D_star": 15.387756},
        source="Muennighoff et al. 2023, README of the authors' code, C4",
        certainty="official code",
        note="Fitted in two stages with alpha and beta tied: the base on 54 runs, R* on 182.",
    ),
}  # fmt: skip


def _raw(c: dict[str, Any], reference: dict[str, float]) -> dict[str, Any]:
    # D and D_unique share a reference, and the optimal size scales along with its two terms.
    return {
        "A": c["A"] * reference["N"] ** c["alpha"],
        "B": c["B"] * reference["D"] ** c["beta"],
    }


@law(published=PUBLISHED, cost=dense_flops, raw=_raw)
def repetition(
    N: Any,
    D: Any,
    D_unique: Any,
    *,
    E: Any = floor(),
    A: Any = amplitude(),
    alpha: Any = exponent(0.3),
    B: Any = amplitude(),
    beta: Any = exponent(0.3),
    R_N_star: Any = lognormal(5.0, 0.6),
    R_D_star: Any = lognormal(15.0, 0.5),
) -> Any:
    r"""Muennighoff 2023: :math:`E + A N'^{-\alpha} + B D'^{-\beta}`, repeats counting less.

    Parameters
    ----------
    N
        Total parameters.
    D
        Tokens seen in training, repeats included.
    D_unique
        Different tokens in the training set.
    E
        Irreducible loss, nats per token.
    A, alpha
        Amplitude and exponent of the model-size term.
    B, beta
        Amplitude and exponent of the data term.
    R_N_star, R_D_star
        How many excess sizes and how many repetitions can at most be worth their first.
    """
    unique = minimum(D, D_unique)
    called_for = exp((log(alpha * A) - log(beta * B) + beta * log(unique)) / alpha)
    used = minimum(N, called_for)
    size = used * (1.0 + R_N_star * (1.0 - exp(-maximum(N / used - 1.0, 0.0) / R_N_star)))
    data = unique * (1.0 + R_D_star * (1.0 - exp(-maximum(D / unique - 1.0, 0.0) / R_D_star)))
    return E + A * size**-alpha + B * data**-beta
