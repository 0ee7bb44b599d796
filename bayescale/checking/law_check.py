"""Checks of a law that somebody has just written, before it is believed or fitted."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.law_bench import Bench, bench
from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.language.law import Law
from bayescale.language.variables import VARIABLES, variable
from bayescale.posterior.coordinates import find_coordinates

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_law"]

_NOISE = 0.005
_DRAWS = 500
#: Losses of language models in nats, very generously.
_LOW, _HIGH = 0.1, 20.0
_NOT_TRIED = (False, "not tried: the formula comes first")
#: Shares of the losses at prior draws.
#: Share of the loss that a term may have at prior medians before it counts as gone, or as all.
_LEAST_TERM, _MOST_TERM = 1e-3, 30.0
_MOST_BAD, _LEAST_SENSIBLE = 0.05, 0.8


def check_law(
    law: Law, runs: pd.DataFrame | None = None, *, seed: int = 0, fit: bool = True
) -> pd.DataFrame:
    """Try out a law: whether everything works on it, and whether its priors make sense.

    Parameters
    ----------
    law
        A law made by :func:`bayescale.law`.
    runs
        A table of the runs it is meant for. Without one the law is tried on a factorial design
        over its inputs, with losses about 2.5 nats.
    seed
        Of prior draws, simulated losses and the sampler.
    fit
        Whether to fit the law to losses simulated from it, which takes some ten seconds.

    Returns
    -------
    pandas.DataFrame
        One row a check: its ``name``, whether it ``passed``, and the ``detail``, which names the
        remedy where it did not.

        ``inputs``: each is in the vocabulary or described by a ``Variable`` of the law.
        ``formula``: it gives equal losses on numbers, arrays, labelled arrays and symbols; the
        rest is tried only if it does.
        ``derivatives``: they are finite, and every coefficient makes a difference.
        ``positive``: at least 95 % of losses are finite and positive at prior draws, on counts up
        to 100 times smaller and larger than the runs'.
        ``monotone``: at prior medians more parameters or tokens never raise the loss.
        ``prior``: what the prior alone predicts; at least 80 % lies between 0.1 and 20 nats.
        ``coordinates``: what the sampler found out about the terms (always passed).
        ``raw units``: coefficients convert to plain counts.
        ``file``: a fit is saved and loaded.
        ``recovery`` and ``sampling``, of a fit to simulated losses: 95 % intervals hold the
        coefficients the losses came from, and the sampler's diagnostics are good.

    Raises
    ------
    InputError
        If ``law`` is no law or the runs cannot be used with it.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> checks = bs.check_law(dense, fit=False)
    >>> bool(checks.passed.all()), checks.name.tolist()[:3]
    (True, ['inputs', 'formula', 'derivatives'])
    """
    import pandas as pd

    tried = bench(law, runs, seed)
    rows = [(name, *_outcome(_CHECKS[name], tried)) for name in ("inputs", "formula")]
    works = rows[-1][1]
    for name in [name for name in _CHECKS if name not in ("inputs", "formula")]:
        rows.append((name, *(_outcome(_CHECKS[name], tried) if works else _NOT_TRIED)))
    if fit:
        rows += _recovery(tried) if works else [("recovery", *_NOT_TRIED)]
    return pd.DataFrame(rows, columns=["name", "passed", "detail"])


# --- the checks: whether passed, and in what detail -----------------------------------------------


def _outcome(check: Callable[[Bench], tuple[bool, str]], tried: Bench) -> tuple[bool, str]:
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return check(tried)
    except Exception as error:  # Whatever a law raises is a finding.
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        return False, f"{kind}{' '.join(str(error).split())}"


def _check_inputs(tried: Bench) -> tuple[bool, str]:
    described = {entry.name for entry in tried.law.variables} | set(VARIABLES)
    unknown = [name for name in tried.law.inputs if name not in described]
    if unknown:
        name = unknown[0]
        return False, (
            f"{', '.join(unknown)} not in the vocabulary, so values are not checked; describe with "
            f"@law(variables=(Variable({name!r}, unit=..., description=..., low=..., high=...),)); "
            "a count takes scale= as well, and is then divided by its geometric mean"
        )
    counts = [n for n in tried.law.inputs if variable(n, tried.law.variables).scale is not None]
    return True, f"{', '.join(tried.law.inputs)}; counts: {', '.join(counts) or 'none'}"


def _check_formula(tried: Bench) -> tuple[bool, str]:
    import xarray as xr

    law, inputs, draws = tried.law, tried.scaled(), tried.draws(3)
    count, one = len(tried.loss), {name: float(values[0, 0]) for name, values in draws.items()}
    arrays = tried.loss_at(draws)
    if arrays.shape != (3, count):
        return False, f"of arrays ({count} runs, 3 draws) it gives the shape {arrays.shape}"
    floats = [
        float(law(**{name: float(x[i]) for name, x in inputs.items()}, **one)) for i in range(count)
    ]
    labelled = law(
        **{name: xr.DataArray(x, dims="run") for name, x in inputs.items()},
        **{name: xr.DataArray(values[:, 0], dims="draw") for name, values in draws.items()},
    )
    symbols = _symbolic(law, inputs, one)
    for what, values, wanted in (
        ("numbers", floats, arrays[0]),
        ("labelled arrays", labelled.transpose("draw", "run").values, arrays),
        ("symbols", symbols["loss"], arrays[0]),
    ):
        if not np.allclose(values, wanted, rtol=1e-8, atol=0, equal_nan=True):
            return False, f"{what} give other losses than arrays do"
    return True, "numbers, arrays, labelled arrays and symbols give equal losses"


def _check_derivatives(tried: Bench) -> tuple[bool, str]:
    slopes = _symbolic(tried.law, tried.scaled(), tried.typical)
    del slopes["loss"]
    for name, slope in slopes.items():
        if not np.isfinite(slope).all():
            where = tried.at(int(np.argmin(np.isfinite(slope))))
            return False, (
                f"the derivative by {name} is not finite at {where}, and the sampler would stall; "
                "keep powers and logarithms away from zero"
            )
    idle = [name for name, slope in slopes.items() if not slope.any()]
    if idle:
        return False, (
            f"{' and '.join(idle)} made no difference to any of {len(tried.loss)} losses: leave it "
            "out, or give runs in which it matters"
        )
    return True, "finite, and every coefficient makes a difference"


def _symbolic(
    law: Law, inputs: Mapping[str, np.ndarray], coefficients: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """The loss of every run, and its derivative by each coefficient, through PyTensor."""
    import pytensor.tensor as pt
    from pytensor.compile.maker import function
    from pytensor.gradient import grad

    # A coefficient for each run: one derivative of the sum then gives that of every run.
    x = {name: pt.dvector(name) for name in inputs}
    c = {name: pt.dvector(name) for name in coefficients}
    loss = law(**x, **c)
    ignored: Any = {"disconnected_inputs": "ignore", "return_disconnected": "zero"}
    slopes: list[Any] = [grad(loss.sum(), one, **ignored) for one in c.values()]
    compiled = function(
        [*x.values(), *c.values()], [loss, *slopes], mode="FAST_COMPILE", on_unused_input="ignore"
    )
    count = len(next(iter(inputs.values())))
    values = [np.full(count, coefficients[name]) for name in c]
    return dict(zip(("loss", *c), compiled(*inputs.values(), *values), strict=True))


def _check_positive(tried: Bench) -> tuple[bool, str]:
    rng = np.random.default_rng(tried.seed)
    inputs = {}
    for name, x in tried.inputs.items():
        known = variable(name, tried.law.variables)
        picked = rng.choice(x, 64)
        if known.scale is not None:
            picked = np.clip(picked * 100.0 ** rng.uniform(-1, 1, 64), known.low, known.high)
        inputs[name] = picked
    loss = tried.loss_at(tried.draws(_DRAWS), inputs)
    bad = ~(np.isfinite(loss) & (loss > 0))
    said = f"{bad.mean():.2%} of {loss.size} losses at prior draws are not finite and positive"
    if not bad.any():
        return True, f"all {loss.size} losses at prior draws are finite and positive"
    draw, row = np.argwhere(bad)[0]
    where = f"{said}, such as {loss[draw, row]:.3g} at {tried.at(int(row), inputs)}"
    if bad.mean() <= _MOST_BAD:
        return True, f"{where}: rare enough, the sampler avoids them"
    return False, f"{where}; narrow the priors, or keep terms positive with amplitude() and exp"


def _check_monotone(tried: Bench) -> tuple[bool, str]:
    law, medians = tried.law, tried.medians
    counts = [n for n in law.inputs if variable(n, law.variables).unit in ("parameters", "tokens")]
    if not counts:
        return True, "no input counts parameters or tokens"
    for name in counts:
        x = tried.inputs[name]
        path = np.geomspace(x.min() / 10, x.max() * 10, 60)[:, None]
        inputs = {**tried.inputs, name: path}
        loss = tried.loss_at(medians, inputs)
        rise = np.diff(np.broadcast_to(loss, (60, len(x))), axis=0) > 1e-12
        if rise.any():
            step, row = np.argwhere(rise)[0]
            others = {n: v for n, v in tried.inputs.items() if n != name}
            held = f" at {tried.at(int(row), others)}" if others else ""
            return False, (
                f"the loss rises with {name} from {format_number(path[step, 0])} to "
                f"{format_number(path[step + 1, 0])}{held}; check the signs, unless it is meant"
            )
    return True, f"more of {' or '.join(counts)} never raises the loss at prior medians"


def _check_prior(tried: Bench) -> tuple[bool, str]:
    loss = tried.loss_at(tried.draws(_DRAWS))
    finite = loss[np.isfinite(loss)]
    share = float(((finite >= _LOW) & (finite <= _HIGH)).sum() / loss.size)
    low, middle, high = np.quantile(finite, [0.05, 0.5, 0.95]) if finite.size else (np.nan,) * 3
    against = "the runs" if tried.measured else "a factorial design"
    said = (
        f"before any data, losses on {against} have median {middle:.3g} nats and 90 % within "
        f"{low:.3g} to {high:.3g}; {share:.0%} lie within {_LOW:g} to {_HIGH:g}"
    )
    if gone := _vanishing(tried):
        return False, gone
    if share >= _LEAST_SENSIBLE:
        return True, said
    return False, (
        f"{said}: the priors are absurd; state them in reference units, where counts are divided "
        "by their geometric mean and an amplitude is its term's share of the loss there"
    )


def _vanishing(tried: Bench) -> str:
    """What is said of terms that the priors make nothing of, or everything, at the runs."""
    typical, terms = tried.typical, {}
    whole = tried.loss_at(typical)
    for name, prior in tried.law.priors.items():
        if prior.role == "amplitude":
            part = abs(whole - tried.loss_at(typical | {name: 0.0}))
            terms[name] = float(np.median(part[np.isfinite(part)])) / tried.loss_scale
    for name, share in terms.items():
        if _LEAST_TERM <= share <= _MOST_TERM:
            continue
        far = {
            n: float(np.exp(np.log(x).mean()))
            for n, x in tried.inputs.items()
            if tried.reference[n] == 1.0 and (x > 0).all() and np.log(x).mean() > math.log(1e3)
        }
        if not far:
            continue
        where = " and ".join(f"{n} = {format_number(x)}" for n, x in far.items())
        first = next(iter(far))
        return (
            f"the prior of {name} acts where {' and '.join(far)} is 1, and the runs have about "
            f"{where}: there its term is {share:.1g} of the loss, so the priors are absurd; divide "
            f"{first} by its centre, as counts are: @law(variables=(Variable({first!r}, "
            f"scale={first!r}, low=..., high=...),))"
        )
    return ""


def _check_coordinates(tried: Bench) -> tuple[bool, str]:
    priors = tried.law.priors
    found = find_coordinates(tried.law, priors, {}, {})
    additive = [n for n, p in priors.items() if p.role in ("floor", "amplitude")]
    if not found.amplitudes:
        why = (
            f"the loss is not the sum of its terms in {', '.join(additive)}"
            if additive
            else "no coefficient is a floor or an amplitude"
        )
        return True, f"{why}: each is sampled on its own scale, and may need more draws"
    moves = [f"{n} moves {', '.join(terms) or 'none'}" for n, terms in found.moved.items()]
    return True, f"the terms of {', '.join(additive)} add up; {'; '.join(moves) or 'no exponents'}"


def _check_raw(tried: Bench) -> tuple[bool, str]:
    from bayescale.fitting.fits import coefficients
    from bayescale.fitting.inference import prior

    coefficients(prior(tried.law, tried.table(), draws=20, seed=tried.seed), units="raw")
    return True, "through the law's raw=" if tried.law.raw else "by calling the law"


def _check_file(tried: Bench) -> tuple[bool, str]:
    from bayescale.fitting.fits import load_fit
    from bayescale.fitting.inference import prior

    made = prior(tried.law, tried.table(), draws=5, seed=tried.seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fit.nc"
        made.save(path)
        again = load_fit(path, law=tried.law)
    same = again.posterior.equals(made.posterior) and again.about == made.about
    return same, "comes back as it was" if same else "does not come back as it was"


_CHECKS = {
    "inputs": _check_inputs,
    "formula": _check_formula,
    "derivatives": _check_derivatives,
    "positive": _check_positive,
    "monotone": _check_monotone,
    "prior": _check_prior,
    "coordinates": _check_coordinates,
    "raw units": _check_raw,
    "file": _check_file,
}


def _recovery(tried: Bench) -> list[tuple[str, bool, str]]:
    """Fit the law to losses simulated from it at the middle of its priors."""
    from scipy.stats import binom

    from bayescale.fitting.diagnostics import FitWarning, diagnose
    from bayescale.fitting.inference import fit as sample
    from bayescale.prediction.predict import interval

    truth = tried.typical
    rng = np.random.default_rng(tried.seed)
    loss = tried.loss_at(truth) * np.exp(_NOISE * rng.standard_normal(len(tried.loss)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)
            fitted = sample(tried.law, tried.table(loss), seed=tried.seed, progress=False)
    except Exception as error:
        return [("recovery", False, f"the fit failed: {' '.join(str(error).split())}")]
    bounds = interval(fitted.posterior[list(truth)], 0.95)
    ends = {name: bounds[name].values for name in truth}
    missed = [name for name, value in truth.items() if not ends[name][0] <= value <= ends[name][1]]
    needed = int(binom.ppf(0.01, len(truth), 0.95))
    said = f"{len(truth) - len(missed)} of {len(truth)} coefficients lie in their 95 % intervals"
    for name in missed:
        said += f"; {name} is {truth[name]:.3g}, found {ends[name][0]:.3g} to {ends[name][1]:.3g}"
    table = diagnose(fitted)
    least = table[["ess_bulk", "ess_tail"]].min().min()
    sampler = (
        f"R-hat at most {table.rhat.max():.3f}, effective draws at least {least:.0f} of "
        f"{fitted.posterior.sizes['chain'] * fitted.posterior.sizes['draw']}, "
        f"{table.attrs['divergences']} divergences"
    )
    if not table.attrs["ok"]:
        sampler += "; draw more, or give the coefficients that these runs do not inform less room"
    return [
        ("recovery", len(truth) - len(missed) >= needed, said),
        ("sampling", bool(table.attrs["ok"]), sampler),
    ]
