"""The one loss that stands for a plan wherever it is quoted: a new run's, median and interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayescale.common.quantities import format_number
from bayescale.fitting.fits import Fit
from bayescale.language.variables import variable
from bayescale.prediction.predict import predict

__all__ = ["outside_runs", "run_loss"]

_ROUNDING = 1e-9


def run_loss(fit: Fit, plans: Mapping[str, Any], *, seed: int = 0) -> xr.DataArray:
    """Loss of a new run at each plan: what ``predict`` says of that plan alone.

    Every plan has the same noise, so what is quoted for one does not depend on which others were
    asked with it. Published coefficients carry no noise: then it is the law's loss.

    Parameters
    ----------
    fit
        A fit.
    plans
        Every input of the law, a row of values each, plain units.
    seed
        Of the noise.

    Returns
    -------
    xarray.DataArray
        Loss in the fit's unit, over chain, draw and budget.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> fit = bs.published(dense, "besiroglu2024")
    >>> run_loss(fit, {"N": [7e10], "D": [1.4e12]}).round(3).values.ravel().tolist()
    [1.974]
    """
    noisy = fit.about["noise"] is not None
    rows = {name: np.atleast_1d(np.asarray(x, dtype=float)) for name, x in plans.items()}
    losses = [
        predict(
            fit, mean=not noisy, seed=seed if noisy else None, **dict(zip(rows, one, strict=True))
        )
        for one in zip(*(x.tolist() for x in rows.values()), strict=True)
    ]
    return xr.concat(losses, "budget").transpose("chain", "draw", "budget")


def _letter(name: str, value: float) -> str:
    return f"{name} = {format_number(value)}"


def outside_runs(
    fit: Fit, plan: Mapping[str, float], say: Callable[[str, float], str] = _letter
) -> list[str]:
    """Each input of a plan that lies outside what was trained, in words; none without runs.

    Parameters
    ----------
    fit
        A fit.
    plan
        Every input of the law, plain units.
    say
        An input and its value as words; by default the law's letter.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> outside_runs(fit, {"N": 7e9, "D": 1e11})
    ['N = 7B is 2.2 times the most that was trained']
    """
    if fit.runs is None:
        return []
    found = []
    for name in fit.law.inputs:
        if name not in fit.runs:
            continue
        value, values = float(plan[name]), fit.runs[name].values.astype(float)
        low, high = float(values.min()), float(values.max())
        room = _ROUNDING * max(abs(low), abs(high))
        if low - room <= value <= high + room:
            continue
        said = say(name, value)
        if variable(name, fit.law.variables).scale is None:
            ends = dict.fromkeys([format_number(low), format_number(high)])
            found.append(f"{said} where the runs have {' to '.join(ends)}")
        elif value > high:
            found.append(f"{said} is {_times(value / high)} times the most that was trained")
        else:
            found.append(f"{said} is {value / low:.2g} of the least that was trained")
    return found


def _times(ratio: float) -> str:
    return f"{ratio:.2g}" if ratio < 99.5 else f"{float(f'{ratio:.3g}'):,.0f}"
