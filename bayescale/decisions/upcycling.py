"""Whether to upcycle a dense checkpoint or to train the mixture of experts from scratch.

Both are compared on the tokens that the mixture itself is trained on: the dense parent is there
already. What each reaches is a law of its own, fitted to runs of its own: the upcycling law in the
parent's size, its tokens and the further tokens; and the dense form in the **parent's** size and
tokens for mixtures trained from scratch, as Liew et al. 2025 fit it (arXiv:2502.03009, Table 2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.decisions.allocation import coefficient_draws, loss_of
from bayescale.fitting.fits import Fit
from bayescale.language.variables import VARIABLES
from bayescale.prediction.draws import paired
from bayescale.prediction.predict import law_inputs
from bayescale.prediction.predictive import evaluate

__all__ = ["upcycling_probability", "upcycling_threshold"]

#: Numbers of further tokens among which the threshold is looked for: those a run can have.
_FEWEST, _MOST = VARIABLES["D_upcycled"].low, VARIABLES["D_upcycled"].high
_SEED = 0  # of which draw goes with which
_GRID = 161
_HALVINGS = 36  # of a grid step of 0.17 in logs: rounding is larger


def upcycling_threshold(upcycled: Fit, scratch: Fit, *, N: Any, D_dense: Any) -> xr.DataArray:
    r"""Tokens beyond which training from scratch overtakes upcycling.

    The threshold :math:`D^*` solves :math:`L_{scratch}(N, D^*) = L_{upcycled}(N, D_{dense}, D^*)`
    in every posterior draw. With fewer further tokens the upcycled model has the lower loss,
    with more the one trained from scratch has.

    Parameters
    ----------
    upcycled
        A fit of the upcycling law.
    scratch
        A fit of a law in ``N`` and ``D`` to mixtures of experts trained from scratch, where ``N``
        is the size of the dense parent that each corresponds to.
    N
        Parameters of the dense parent. Inputs are given as to ``predict``: numbers, equally
        long rows, or DataArrays that broadcast by name.
    D_dense
        Tokens that the dense parent was trained on.

    Returns
    -------
    xarray.DataArray
        Tokens, over chain, draw and the inputs' dimensions. Infinite where upcycling wins at
        every number of tokens that a run can have (1e6 to 1e18), zero where it never does.

    Raises
    ------
    InputError
        If the laws take other inputs.

    Notes
    -----
    Draws of the two fits, which are independent, are paired at random (the same each time): in
    order, draws made with one seed may be correlated. Of a fit with fewer draws, such as published
    coefficients, they are repeated.

    Only the lowest crossing counts. The two laws have floors and size terms of their own,
    :math:`E + B N^{-\beta}`, so far beyond the data (near 1e13 tokens and more for the published
    coefficients) the curves can cross once more, and upcycling seems to win again. That compares
    two fitted constants; no run has shown it.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense, upcycling
    >>> upcycled = bs.published(upcycling, "liew2025")
    >>> scratch = bs.published(dense, "liew2025_moe")
    >>> limit = bs.upcycling_threshold(upcycled, scratch, N=1e9, D_dense=[1e10, 1e11, 2.4e12])
    >>> [f"{tokens:.2g}" for tokens in limit.values.ravel()]
    ['7.1e+09', '5.1e+10', 'inf']
    """
    upcycled, scratch = paired(upcycled, scratch, _SEED)
    given = _inputs(upcycled, scratch, N=N, D_dense=D_dense, D_upcycled=1e9)
    shape = _lead(upcycled, scratch, given)
    rows = (shape.sizes["chain"] * shape.sizes["draw"], -1)
    from_scratch = _curve(scratch, given, "D", shape)
    from_dense = _curve(upcycled, given, "D_upcycled", shape)

    def ahead(log_tokens: Any) -> Any:
        """Where upcycling has the lower loss."""
        tokens = np.exp(log_tokens)
        return from_dense(tokens) < from_scratch(tokens)

    # The first point of a grid at which upcycling is behind, one at a time: all would be too many.
    grid = np.linspace(np.log(_FEWEST), np.log(_MOST), _GRID)
    right = np.full(shape.shape, np.inf).reshape(rows)
    leading = np.ones(right.shape, bool)
    for log_tokens in grid:
        still = leading & ahead(log_tokens)
        right[leading & ~still] = log_tokens
        leading = still
        if not leading.any():
            break
    left = np.where(right > grid[0], right - (grid[1] - grid[0]), -np.inf)
    crossed = np.isfinite(left) & np.isfinite(right)
    for _ in range(_HALVINGS):
        middle = np.where(crossed, (left + right) / 2, 0.0)
        before = ahead(middle)
        np.copyto(left, middle, where=crossed & before)
        np.copyto(right, middle, where=crossed & ~before)
    found = np.exp(np.where(np.isfinite(right), (left + right) / 2, right))
    threshold = shape.copy(data=found.reshape(shape.shape))
    threshold.name = "D_upcycled"
    threshold.attrs = {
        "units": "tokens",
        "long_name": "tokens beyond which training from scratch wins",
    }
    return threshold


def upcycling_probability(
    upcycled: Fit, scratch: Fit, *, N: Any, D_dense: Any, D_upcycled: Any
) -> xr.DataArray:
    """Probability that upcycling gives a lower loss than training from scratch on as many tokens.

    Parameters
    ----------
    upcycled, scratch, N, D_dense
        As for :func:`upcycling_threshold`.
    D_upcycled
        Tokens that the mixture is trained on, either way. With ``D_dense`` and ``D_upcycled`` as
        DataArrays of different dimensions the result is the map over both.

    Returns
    -------
    xarray.DataArray
        Posterior probability that the law's loss is lower, over the inputs' dimensions.

    Raises
    ------
    InputError
        If the laws take other inputs.

    Notes
    -----
    Unlike the threshold it takes the laws at their word at any number of tokens, so it may rise
    again beyond a second crossing: see there.
    """
    upcycled, scratch = paired(upcycled, scratch, _SEED)
    given = _inputs(upcycled, scratch, N=N, D_dense=D_dense, D_upcycled=D_upcycled)
    probability = (_lead(upcycled, scratch, given) > 0).mean(("chain", "draw"))
    probability.name = "probability"
    probability.attrs = {"long_name": "probability that upcycling gives the lower loss"}
    return probability


def _lead(upcycled: Fit, scratch: Fit, given: dict[str, Any]) -> xr.DataArray:
    tokens = {**given, "D": given["D_upcycled"]}
    return evaluate(scratch, tokens) - evaluate(upcycled, tokens)


def _curve(
    fit: Fit, given: Mapping[str, Any], tokens: str, shape: xr.DataArray
) -> Callable[[Any], Any]:
    """The loss as a function of tokens: over draws and inputs, without the cost of labels."""
    rows = (shape.sizes["chain"] * shape.sizes["draw"], -1)

    def placed(x: Any) -> Any:
        if not isinstance(x, xr.DataArray):
            return x
        return x.broadcast_like(shape).transpose(*shape.dims).values.reshape(rows)

    draws = coefficient_draws(fit)
    inputs = {n: placed(given[n]) for n in fit.law.inputs if n != tokens}

    def loss(number: Any) -> Any:
        return loss_of(fit, fit.reference, {**inputs, tokens: number}, draws)

    return loss


def _inputs(upcycled: Fit, scratch: Fit, **given: Any) -> dict[str, Any]:
    """Check the laws and the inputs."""
    wanted = ("N", "D_dense", "D_upcycled"), ("N", "D")
    for what, fit, names in zip(("upcycled", "scratch"), (upcycled, scratch), wanted, strict=True):
        if set(fit.law.inputs) != set(names):
            raise InputError(
                f"{what} is a fit of law {fit.law.name!r} in {', '.join(fit.law.inputs)}; give a "
                f"fit of a law in {', '.join(names)}, where N is the size of the dense parent"
            )
    return law_inputs(upcycled.law, given)
