"""Efficiency leverage: how much more compute a dense model needs for a mixture of experts' loss."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.decisions.allocation import AllocationWarning, allocate
from bayescale.decisions.plans import plans, training_cost
from bayescale.fitting.fits import Fit
from bayescale.language.law import Coefficients
from bayescale.language.maths import exp, log

__all__ = [
    "TIAN2025",
    "budget_for",
    "efficiency_leverage",
    "inverted",
    "reach",
    "tian_leverage",
]

_HALVINGS = 40  # of a step of the grid
_JUMP = 0.05  # of a step's gain by which the cubic bends where the optimum jumps
_ROUGHLY = 4  # budgets a decade, where the crossings are first looked for
_FINER = 4  # times as many about them: the cubic between is then good to 1e-6 of the compute
_BELOW, _ABOVE, _FARTHEST = 1e-2, 1e2, 1e6

TIAN2025 = Coefficients(
    values={"a": 1.23, "d": -7.61e-2, "gamma": 1.67e-2, "beta": -1.17e-1, "A_start": 1.63e-2,
            "A_max": 5.28e16},
    source="Tian et al. 2025, arXiv:2507.17702, Table 2",
    certainty="full text",
    note="The bases of the logarithms, 10 for compute and 2 for granularity, are inferred: they "
    "alone give the paper's example of more than 7. Fitted to leverages below 6.",
)  # fmt: skip
"""Coefficients of :func:`tian_leverage`."""


def efficiency_leverage(
    dense: Fit,
    moe: Fit,
    budget: Any,
    *,
    dense_plan: Mapping[str, Any] | None = None,
    moe_plan: Mapping[str, Any] | None = None,
) -> xr.DataArray:
    """Compute that a dense model needs for the loss of a mixture of experts, over the mixture's.

    At every budget the mixture is trained at its own optimal allocation, and the dense model at
    the optimal allocation of whatever budget gives it the same loss. Above one the
    mixture is the better buy. The two fits must be of one loss on one corpus, with parameters and
    FLOPs counted alike.

    Parameters
    ----------
    dense, moe
        Fits of any two laws. Their draws are independent and are paired in order; a fit of one
        draw, such as published coefficients, is paired with every draw of the other.
    budget
        Training FLOPs of the mixture of experts: a number, or a row of them.
    dense_plan, moe_plan
        Arguments of ``allocate`` for either: ``cost``, ``choose``, ``fixed``, ``bounds``.

    Returns
    -------
    xarray.DataArray
        ``C_dense / C_moe`` over chain, draw and budget. It is infinite where a million times the
        largest budget does not take the dense model to that loss, for instance because its
        floor lies above it, and zero where a hundredth of the smallest budget does.

    Raises
    ------
    InputError
        If the two fits have different numbers of draws, or a plan makes no sense.

    Examples
    --------
    Granularity against dense models, published coefficients of Krajewski et al. 2024:

    >>> import bayescale as bs
    >>> from bayescale.models import dense, granularity
    >>> gain = bs.efficiency_leverage(
    ...     bs.published(dense, "krajewski2024"),
    ...     bs.published(granularity, "krajewski2024"),
    ...     [1e20, 1e25],
    ...     moe_plan={"choose": {"G": [1, 2, 4, 8, 16, 32, 64]}},
    ... )
    >>> gain.squeeze().round(1).values
    array([21.3, 32. ])
    """
    best = allocate(moe, budget, **(moe_plan or {}))
    sizes = {name: (dense.posterior.sizes[name], best.sizes[name]) for name in ("chain", "draw")}
    if any(mine != other and 1 not in (mine, other) for mine, other in sizes.values()):
        raise InputError(
            f"the dense fit has {sizes['chain'][0]} x {sizes['draw'][0]} draws and the other "
            f"{sizes['chain'][1]} x {sizes['draw'][1]}; sample both with equal chains= and draws="
        )
    target = best.loss.values.reshape(*best.loss.shape[:2], -1)
    budgets = np.atleast_1d(best.budget.values)
    low, high = budgets.min() * _BELOW, budgets.max() * _ABOVE
    needed = budget_for(
        dense, target, low, high, dense_plan or {}, farthest=budgets.max() * _FARTHEST
    )
    ratio = (needed / budgets).reshape(*needed.shape[:2], *best.loss.shape[2:])
    larger = dense.posterior if ratio.shape[:2] != best.loss.shape[:2] else best
    return xr.DataArray(
        ratio,
        dims=best.loss.dims,
        coords={"chain": larger.chain, "draw": larger.draw, "budget": best.budget},
        name="leverage",
        attrs={"units": "", "long_name": "dense compute over the mixture's at equal loss"},
    )


def budget_for(
    fit: Fit,
    target: np.ndarray,
    low: float,
    high: float,
    plan: Mapping[str, Any],
    *,
    farthest: float,
) -> np.ndarray:
    """The budget whose optimal loss is the target, over chain, draw and the targets.

    The optimal loss falls smoothly with the budget, so it is worked out on a rough grid from
    ``low`` to ``high``, which grows upwards as far as ``farthest`` until every target is met, then
    on a finer one about all crossings, and inverted by a cubic through the four nearest points. It
    is zero where the loss at ``low`` is below the target already, and infinite where nothing as far
    as ``farthest`` meets it. The bounds of the plans may end the search on either side.
    """
    least, most = reach(fit, plan)
    low, farthest = max(low, least), min(farthest, most)
    high = min(high, farthest)
    grid = _grid(low, high)
    loss = _optimal_loss(fit, grid, plan)
    while (loss[..., -1:] > target).any() and grid[-1] < farthest * (1 - 1e-6):
        more = _grid(grid[-1], min(10 * grid[-1], farthest))[1:]
        grid = np.concatenate([grid, more])
        loss = np.concatenate([loss, _optimal_loss(fit, more, plan)], axis=-1)
        if np.isnan(loss[..., -1]).any():
            break
    allowed = ~np.isnan(loss).any(axis=(0, 1))
    if allowed.sum() < 4:
        allocate(fit, grid, **plan)  # complains
    grid, loss = grid[allowed], loss[..., allowed]
    reached = loss[..., None, :] <= target[..., None]
    crossed = reached.argmax(axis=-1)[reached.any(axis=-1)]
    if crossed.size and crossed.max() > 0:
        # A step more on either side, for the cubic.
        first, last = np.clip([crossed[crossed > 0].min() - 2, crossed.max() + 1], 0, len(grid) - 1)
        part = np.log(grid[first : last + 1])
        steps = part[:-1, None] + np.diff(part)[:, None] * np.arange(1, _FINER) / _FINER
        fine = np.exp(steps.ravel())
        loss = np.concatenate([loss, _optimal_loss(fit, fine, plan)], axis=-1)
        grid = np.concatenate([grid, fine])
    order = np.argsort(grid)
    return inverted(np.log(grid[order]), loss[..., order], target)


def _grid(low: float, high: float) -> np.ndarray:
    return np.geomspace(low, high, max(int(np.ceil(np.log10(high / low) * _ROUGHLY)) + 1, 4))


def _optimal_loss(fit: Fit, budgets: np.ndarray, plan: Mapping[str, Any]) -> np.ndarray:
    """Optimal losses over chain, draw and budget; NaN at budgets that the bounds do not allow."""
    with warnings.catch_warnings():
        # Nobody asked for these budgets, and what their bounds say is beside the point.
        warnings.simplefilter("ignore", AllocationWarning)
        try:
            return np.asarray(allocate(fit, budgets, **plan).loss.values)
        except InputError:
            if len(budgets) == 1:
                sizes = fit.posterior.sizes
                return np.full((sizes["chain"], sizes["draw"], 1), np.nan)
    half = len(budgets) // 2
    parts = [_optimal_loss(fit, part, plan) for part in (budgets[:half], budgets[half:])]
    return np.concatenate(parts, axis=-1)


def reach(fit: Fit, plan: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the largest budget that plans within the bounds can spend."""
    space = plans(fit, **plan)
    ends = []
    for end, pick in enumerate((min, max)):
        corner = space.corner(end)
        costs = [
            float(space.spend({**space.fixed, **listed, **corner}, corner[space.balance]))
            for listed in space.listed
        ]
        ends.append(pick(costs))
    trained = training_cost(fit, space)
    smallest = 0.0 if trained is None else trained.min() * 1e-3
    return max(ends[0], smallest) * (1 + 1e-6), ends[1] * (1 - 1e-6)


def inverted(log_grid: np.ndarray, loss: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The least budget on a grid (last axis) whose loss meets each target (last axis).

    A law whose discrepancy wanders may lose again beyond it, in single draws.
    """
    shape = np.broadcast_shapes(loss.shape[:-1], target.shape[:-1])
    loss = np.broadcast_to(loss, (*shape, loss.shape[-1]))
    target = np.broadcast_to(target, (*shape, target.shape[-1]))
    reached = loss[..., None, :] <= target[..., None]
    at = reached.argmax(axis=-1)
    step = _Step.around(log_grid, loss[..., None, :], at)
    left, right = log_grid[np.maximum(at - 1, 0)], log_grid[at]
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        above = step.loss(middle) > target
        left, right = np.where(above, middle, left), np.where(above, right, middle)
    found = np.where(at == 0, -np.inf, (left + right) / 2)
    return np.exp(np.where(reached.any(axis=-1), found, np.inf))


@dataclass(frozen=True)
class _Step:
    """The optimal loss within a step of the grid, which ends at ``at``.

    It is a cubic through the four points about it, but where the optimum jumps from one basin to
    another nearby: there it is a straight line, right at both ends.
    """

    x: np.ndarray
    y: np.ndarray
    left: tuple[np.ndarray, np.ndarray]
    slope: np.ndarray
    jumps: np.ndarray

    @classmethod
    def around(cls, log_grid: np.ndarray, loss: np.ndarray, at: np.ndarray) -> _Step:
        window = np.clip(at - 2, 0, len(log_grid) - 4)[..., None] + np.arange(4)
        x, y = log_grid[window], np.take_along_axis(loss, window, axis=-1)
        ends = np.stack([np.maximum(at - 1, 0), at], axis=-1)
        (a, b), losses = np.moveaxis(log_grid[ends], -1, 0), np.take_along_axis(loss, ends, axis=-1)
        gain = losses[..., 1] - losses[..., 0]
        bend = np.abs(cubic(x, y, (a + b) / 2) - losses.mean(axis=-1))
        slope = gain / np.where(b > a, b - a, 1.0)
        return cls(x, y, (a, losses[..., 0]), slope, bend > _JUMP * np.abs(gain))

    def loss(self, at: np.ndarray) -> np.ndarray:
        """Loss at a place each."""
        straight = self.left[1] + self.slope * (at - self.left[0])
        return np.where(self.jumps, straight, cubic(self.x, self.y, at))


def cubic(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The cubic through four points (last axis) at a place each."""
    total = np.zeros(at.shape)
    for i in range(4):
        others = [j for j in range(4) if j != i]
        weights = [(at - x[..., j]) / (x[..., i] - x[..., j]) for j in others]
        total += y[..., i] * np.prod(weights, axis=0)
    return total


def tian_leverage(active_share: Any, granularity: Any, flops: Any) -> Any:
    r"""Efficiency leverage by the closed formula of Tian et al. 2025 (arXiv:2507.17702).

    :math:`\hat A^{\,\alpha + \gamma (\log_2 G)^2 + \beta \log_2 G}` with
    :math:`\alpha = a + d \log_{10} C` and :math:`\hat A` the activated share, raised at its low
    end: :math:`1/\hat A = 1/(A + (1/A_{start} - 1/A_{max})^{-1}) + 1/A_{max}`.

    Parameters
    ----------
    active_share
        Share of the experts that a token uses, shared experts included:
        :math:`A = (E_a + E_s) / (E + E_s)`.
    granularity
        **Tian's** granularity, ``2 d_model / d_expert``: half of the vocabulary's ``G``.
    flops
        Training compute of the mixture of experts, by the paper's count.

    Returns
    -------
    float, array or DataArray
        Dense compute over the mixture's at equal loss.

    Examples
    --------
    >>> round(float(tian_leverage(0.031, 12, 1e22)), 2)
    7.24
    """
    c = TIAN2025.values
    log_2 = log(granularity) / np.log(2.0)
    alpha = c["a"] + c["d"] * log(flops) / np.log(10.0)
    lifted = active_share + 1 / (1 / c["A_start"] - 1 / c["A_max"])
    share = 1 / (1 / lifted + 1 / c["A_max"])
    return exp(log(share) * (alpha + c["gamma"] * log_2**2 + c["beta"] * log_2))
