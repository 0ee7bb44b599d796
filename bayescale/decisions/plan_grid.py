"""Plans of one budget side by side, and the loss of each in every posterior draw."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescale.decisions.allocation import AllocationWarning, allocate
from bayescale.decisions.decision import decide
from bayescale.decisions.plans import plans
from bayescale.decisions.risk import losses_of
from bayescale.fitting.fits import Fit

__all__ = ["PlanGrid", "plan_losses"]

_SIZE = 64


@dataclass(frozen=True)
class PlanGrid:
    """Some of the plans that a budget allows.

    Attributes
    ----------
    inputs
        Value of each of the law's inputs, one a plan.
    loss
        Loss of the law, nats, over draws (of chains one after the other) and plans; bounded as in
        :func:`bayescale.decide`, so that its mean exists.
    optimum
        Loss of each draw's own best plan, nats.
    """

    inputs: Mapping[str, np.ndarray]
    loss: np.ndarray
    optimum: np.ndarray


def plan_losses(fit: Fit, budget: float, *, trust: bool = False, **options: Any) -> PlanGrid:
    """The plans among which a decision at a budget is made, now or after more runs.

    They are the plan of least expected loss and the optima of some draws, evenly spread over all:
    whatever may vary, no further run can lead far from these.

    Parameters
    ----------
    fit
        A fit.
    budget
        Training FLOPs.
    trust
        As for :func:`bayescale.decide`.
    **options
        ``cost``, ``choose``, ``fixed``, ``bounds``, as for :func:`bayescale.allocate`.
    """
    with warnings.catch_warnings():
        # Of the decision itself ``decide`` has warned or will; the grid is a means.
        warnings.simplefilter("ignore", AllocationWarning)
        best = allocate(fit, budget, **options)
        decided = decide(fit, budget, trust=trust, **options)
    names = fit.law.inputs
    draws = {name: best[name].values.ravel() for name in names}
    # Sorted by what varies most, so that the draws picked are spread over the optima.
    spread = {name: np.ptp(np.log(np.maximum(x, 1e-12))) for name, x in draws.items()}
    order = np.argsort(draws[max(names, key=lambda name: spread[name])], kind="stable")
    some = order[np.unique(np.linspace(0, len(order) - 1, _SIZE).round().astype(int))]
    table = np.stack([np.append(draws[name][some], decided[name].item()) for name in names])
    inputs = dict(zip(names, np.unique(table, axis=1), strict=True))
    loss = losses_of([fit], [plans(fit, **options)])[1](inputs)
    # The search for a draw's optimum ends within rounding of it, or a little above a plan here.
    return PlanGrid(inputs, loss, np.minimum(best.loss.values.ravel(), loss.min(axis=1)))
