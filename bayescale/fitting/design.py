"""What a table of runs cannot tell, whatever the losses: said as soon as it is fitted.

Where all runs share one ratio of tokens to parameters, the terms of a law in either fall together
and only a combination of their coefficients is determined (Kricheli et al. 2026, arXiv:2605.08541).
The same happens on a single IsoFLOP curve, and with an input that never changes. The posterior then
says what the prior says, and the remedy is a run, not a longer chain.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Mapping

import numpy as np

from bayescale.common.quantities import format_number
from bayescale.language.compute import law_flops
from bayescale.language.variables import variable
from bayescale.posterior.density import Problem

__all__ = ["DesignWarning", "design_gaps", "listed", "warn_of_design"]

#: Counts that differ by less than this factor count as one value.
_ALIKE = 1.3
#: How far the proposed run lies from the fitted ones, as a factor of each count.
_AWAY = 4.0
#: Slopes between counts, in logs, among which one is said to follow the other.
_SLOPES = 0.2, 5.0


class DesignWarning(UserWarning):
    """The runs leave some of the law's coefficients undetermined, whatever their losses."""


def warn_of_design(task: Problem) -> list[str]:
    """Warn of every gap in the runs' design, with the run that would close it; return them."""
    gaps = design_gaps(task)
    for gap in gaps:
        warnings.warn(gap, DesignWarning, stacklevel=3)
    return gaps


def design_gaps(task: Problem) -> list[str]:
    """What the runs' inputs leave undetermined, in words, each with the run that would cure it.

    Parameters
    ----------
    task
        The law, its priors and the runs, before they are fitted.

    Returns
    -------
    list of str
        One for each input that never changes, and for each pair of counts that change together;
        none where the coefficients concerned are fixed.
    """
    law = task.law
    matters = [name for name in law.inputs if _coefficients_of(task, name)]
    counts = [name for name in matters if variable(name, law.variables).scale is not None]
    still = [name for name in matters if _is_still(task.inputs[name], name in counts)]
    gaps = [_one_value(task, name) for name in still]
    moving = [name for name in counts if name not in still]
    for x, y in itertools.combinations(moving, 2):
        slope = _relation(np.log(task.inputs[x]), np.log(task.inputs[y]))
        if slope is not None:
            gaps.append(_one_relation(task, x, y, slope))
    return gaps


def _is_still(values: np.ndarray, count: bool) -> bool:
    low, high = values.min(), values.max()
    return bool(high / low < _ALIKE) if count else bool(high == low)


def _relation(x: np.ndarray, y: np.ndarray) -> float | None:
    """The slope of the line on which all points lie, if they do."""
    points = np.stack([x - x.mean(), y - y.mean()])
    across, up = np.linalg.svd(points, full_matrices=False)[0][:, 0]
    if not _SLOPES[0] * abs(across) < abs(up) < _SLOPES[1] * abs(across):
        return None
    slope = float(up / across)
    return slope if np.ptp(y - slope * x) < math.log(_ALIKE) else None


def _coefficients_of(task: Problem, name: str) -> list[str]:
    """The sampled coefficients on which the effect of an input depends."""
    law = task.law
    centre = {n: float(np.median(x)) / task.reference[n] for n, x in task.inputs.items()}
    known = variable(name, law.variables)
    low, high = (end / task.reference[name] for end in (known.low, known.high))
    # Up and down, since a law may take no notice of one: unique tokens beyond those trained on.
    up = 2 * centre[name] or 0.5
    places = [up if up < high else (centre[name] + high) / 2, centre[name] / 2]
    c = {n: p.median(task.loss_scale) for n, p in task.priors.items()} | dict(task.fixed)

    def effects(values: dict[str, float]) -> np.ndarray:
        points = [centre, *(centre | {name: x} for x in places if x >= low)]
        losses = [law(**{n: np.float64(x) for n, x in (p | values).items()}) for p in points]
        return np.array(losses[1:]) - losses[0]

    with np.errstate(all="ignore"):
        plain = effects(c)
        changed = {n: effects(c | {n: c[n] * 1.1 + 0.01}) for n in task.priors}
    return [n for n, x in changed.items() if not np.allclose(x, plain, rtol=1e-9, atol=1e-12)]


# --- in words -------------------------------------------------------------------------------------


def _one_value(task: Problem, name: str) -> str:
    values = task.inputs[name]
    typical = float(np.exp(np.log(values).mean())) if values.min() > 0 else float(values.mean())
    known = variable(name, task.law.variables)
    run = _cheapest(task)
    if known.scale is not None:
        run[name] = _AWAY * typical
    elif typical == 0:
        run[name] = min(known.high, 1.0) / 2
    else:
        run[name] = _AWAY * typical if _AWAY * typical < known.high else typical / 2
    free = _coefficients_of(task, name)
    return (
        f"all runs have {'about ' if np.ptp(values) else ''}one {name}, {format_number(typical)}, "
        f"so what another would do (by {listed(free)}) is known from the prior alone; "
        f"{_cure(task, run)}"
    )


def _one_relation(task: Problem, x: str, y: str, slope: float) -> str:
    law = task.law
    middle = {n: _typical(values) for n, values in task.inputs.items()}
    run = dict(middle)
    if variable(x, law.variables).scale == variable(y, law.variables).scale:
        # Counts of one kind, of which one is a part of the other.
        run[max(x, y, key=lambda name: middle[name])] *= _AWAY
    elif slope > 0:
        run[x], run[y] = middle[x] / _AWAY, middle[y] * _AWAY
    else:
        run[x], run[y] = middle[x] / _AWAY, middle[y] / _AWAY
    if abs(slope - 1) < 0.05:
        ratio = task.inputs[y] / task.inputs[x]
        what = f"all runs share one {y}/{x}, about {format_number(_typical(ratio))}"
    elif abs(slope + 1) < 0.05:
        what = f"all runs share one {x} times {y}: they lie on one IsoFLOP curve"
    else:
        what = f"in all runs {y} follows from {x}, as {x}^{slope:.2g}"
    terms = {*_coefficients_of(task, x), *_coefficients_of(task, y)}
    ordered = [name for name in task.priors if name in terms]
    return (
        f"{what}, so they tell the effects of {x} and {y} apart by the shape of one curve, and "
        f"{listed(ordered)} rest largely on the prior; {_cure(task, run)}"
    )


def _typical(values: np.ndarray) -> float:
    if values.min() > 0:
        return float(np.exp(np.log(values).mean()))
    return float(np.median(values))


def _cheapest(task: Problem) -> dict[str, float]:
    """Inputs of the run with the least counts, the product of which costs follow."""
    counts = [n for n in task.law.inputs if variable(n, task.law.variables).scale is not None]
    size = sum((np.log(task.inputs[n]) for n in counts), np.zeros(len(task.loss)))
    return {n: float(x[int(size.argmin())]) for n, x in task.inputs.items()}


def _cure(task: Problem, run: Mapping[str, float]) -> str:
    law = task.law
    bounded = {}
    for name in law.inputs:
        known = variable(name, law.variables)
        inside = min(max(run[name], known.low), known.high)
        bounded[name] = float(f"{inside:.2g}")
    named = ", ".join(f"{name} = {format_number(value, 2)}" for name, value in bounded.items())
    return f"a run such as {named}{_price(task, bounded)} would tell"


def _price(task: Problem, run: Mapping[str, float]) -> str:
    """What the run costs, where the law has a cost model."""
    flops, dearest = (law_flops(task.law, x) for x in (run, task.inputs))
    if flops is None or dearest is None:
        return ""
    return f" ({float(flops):.2g} FLOP; the dearest of these cost {float(np.max(dearest)):.2g})"


def listed(names: list[str]) -> str:
    """Names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
