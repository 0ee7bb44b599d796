"""Efficiency leverage: how much more compute a dense model needs for a mixture of experts' loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayescale.allocation import allocate
from bayescale.errors import InputError
from bayescale.fits import Fit
from bayescale.law import Coefficients
from bayescale.maths import exp, log

__all__ = ["TIAN2025", "efficiency_leverage", "tian_leverage"]

_PER_DECADE = 16  # the cubic between them is then good to 1e-6 of the compute
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
    the optimal allocation of whatever budget gives it the same mean loss. Above one the
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
    needed = _budget_for(dense, target, budgets, dense_plan or {})
    ratio = (needed / budgets).reshape(*needed.shape[:2], *best.loss.shape[2:])
    larger = dense.posterior if ratio.shape[:2] != best.loss.shape[:2] else best
    return xr.DataArray(
        ratio,
        dims=best.loss.dims,
        coords={"chain": larger.chain, "draw": larger.draw, "budget": best.budget},
        name="leverage",
        attrs={"units": "", "long_name": "dense compute over the mixture's at equal loss"},
    )


def _budget_for(
    fit: Fit, target: np.ndarray, budgets: np.ndarray, plan: Mapping[str, Any]
) -> np.ndarray:
    """The budget whose optimal loss is the target, over chain, draw and the targets.

    The optimal loss falls smoothly with the budget, so it is worked out on a grid, which grows
    upwards until every target is met, and inverted by a cubic through the four nearest points.
    """
    low, high = budgets.min() * _BELOW, budgets.max() * _ABOVE
    farthest = budgets.max() * _FARTHEST
    count = int(np.ceil(np.log10(high / low) * _PER_DECADE)) + 1
    grid = np.geomspace(low, high, count)
    loss = allocate(fit, grid, **plan).loss.values
    while (loss[..., -1:] > target).any() and grid[-1] * 10 <= farthest * (1 + 1e-9):
        more = grid[-1] * 10 ** (np.arange(1, _PER_DECADE + 1) / _PER_DECADE)
        grid = np.concatenate([grid, more])
        loss = np.concatenate([loss, allocate(fit, more, **plan).loss.values], axis=-1)
    return _invert(np.log(grid), loss, target)


def _invert(log_grid: np.ndarray, loss: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Where falling losses on a grid (last axis) meet the targets (last axis)."""
    shape = np.broadcast_shapes(loss.shape[:-1], target.shape[:-1])
    loss = np.broadcast_to(loss, (*shape, loss.shape[-1]))
    target = np.broadcast_to(target, (*shape, target.shape[-1]))
    above = (loss[..., None, :] > target[..., None]).sum(axis=-1)
    first = np.clip(above - 2, 0, len(log_grid) - 4)[..., None] + np.arange(4)
    x = np.take_along_axis(loss[..., None, :], first, axis=-1)
    y = log_grid[first]
    found = np.zeros(target.shape)
    for i in range(4):
        others = [j for j in range(4) if j != i]
        weights = [(target - x[..., j]) / (x[..., i] - x[..., j]) for j in others]
        found += y[..., i] * np.prod(weights, axis=0)
    found = np.where(above == 0, -np.inf, found)
    return np.exp(np.where(above == len(log_grid), np.inf, found))


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
