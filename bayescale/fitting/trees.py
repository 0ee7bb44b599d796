"""From draws to a fit: the DataTree of a posterior, its runs, and what a fit says of itself."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.fitting.fits import Fit, stamp
from bayescale.language.priors import Prior
from bayescale.language.variables import LOSS_UNIT
from bayescale.posterior.density import Problem, log_posterior
from bayescale.posterior.discrepancy import spread_of
from bayescale.posterior.noise import features_centre

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["prior_fit", "run_labels", "sampled_fit", "storable_options"]


def sampled_fit(
    task: Problem,
    runs: pd.DataFrame,
    u: Mapping[str, np.ndarray],
    stats: xr.Dataset,
    about: Mapping[str, Any],
) -> Fit:
    """The fit of a posterior's draws.

    Parameters
    ----------
    task
        The posterior.
    runs
        The table that it was made from, of which the fit keeps every column.
    u
        Draws of the coordinates, each of shape (chains, draws).
    stats
        The fit's ``sample_stats``.
    about
        How the draws were made: method, seed, options (from :func:`storable_options`) and so on.
    """
    import xarray as xr

    columns = {name: values[..., None] for name, values in u.items()}
    _, log_likelihood, c = log_posterior(task, columns, task.data)
    coords = _coords(u)
    labels = {"run": run_labels(task)}
    weighted = about["options"]["weights"] is not None
    groups = {
        "posterior": _posterior(task, c, u, coords, about["seed"]),
        "log_likelihood": xr.Dataset(
            {"log_loss": (("chain", "draw", "run"), log_likelihood)}, coords | labels
        ),
        "sample_stats": stats,
        "observed_data": xr.Dataset(
            {"log_loss": ("run", np.log(task.loss))}
            | ({"weights": ("run", task.weights)} if weighted else {}),
            labels,
        ),
    }
    return _fit(task, runs, groups, about)


def prior_fit(
    task: Problem, runs: pd.DataFrame, draws: Mapping[str, np.ndarray], seed: int | None
) -> Fit:
    """The fit of the prior's draws, each of shape (chains, draws): coefficients and noise alone."""
    import xarray as xr

    values = {name: (("chain", "draw"), x) for name, x in draws.items()}
    groups = {"posterior": xr.Dataset(values, _coords(draws))}
    return _fit(task, runs, groups, {"method": "prior", "seed": seed})


def run_labels(task: Problem) -> np.ndarray:
    """Names of the runs: their table's index, or numbers where that repeats itself."""
    labels = np.array([str(x) if not isinstance(x, (int, np.integer)) else x for x in task.labels])
    return labels if len(set(labels)) == len(labels) else np.arange(len(labels))


def storable_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of :func:`bayescale.fit` as JSON holds them, to repeat it on other runs."""
    kept = {name: list(x) if isinstance(x, tuple) else x for name, x in options.items()}
    priors = {
        name: dataclasses.asdict(p) if isinstance(p, Prior) else float(p)
        for name, p in (options.get("priors") or {}).items()
    }
    return kept | {"priors": priors}


def _fit(
    task: Problem, runs: pd.DataFrame, groups: dict[str, xr.Dataset], about: Mapping[str, Any]
) -> Fit:
    """The fit of some groups, with the table of runs and all that is known of both."""
    import xarray as xr

    tree = xr.DataTree.from_dict(groups | {"constant_data": _run_table(task, runs)})
    tree.attrs["bayescale"] = json.dumps(stamp(task.law, {**_about(task, runs), **about}))
    return Fit(task.law, tree)


def _coords(draws: Mapping[str, np.ndarray]) -> dict[str, Any]:
    chains, kept = next(iter(draws.values())).shape
    return {"chain": np.arange(chains), "draw": np.arange(kept)}


def _posterior(
    task: Problem,
    c: Mapping[str, Any],
    u: Mapping[str, np.ndarray],
    coords: dict[str, Any],
    seed: int | None,
) -> xr.Dataset:
    """Draws by name; what varies over groups, knots or levels has these as a third dimension."""
    import xarray as xr

    axes: tuple[str, ...] = ("chain", "draw")
    draws: dict[str, Any] = {}
    for name in (*task.priors, *task.coordinates.names):
        if task.groups and name in task.groups.vary:
            levels = range(len(task.groups.levels))
            value = np.stack([np.asarray(c[f"{name}_{i}"])[..., 0] for i in levels], axis=-1)
            draws[name] = ((*axes, task.groups.by), value)
        elif name not in draws:
            draws[name] = (axes, np.asarray(c[name])[..., 0])
    if task.groups:
        coords = coords | {task.groups.by: np.array(task.groups.levels)}
    if task.walk:
        # Beyond the runs the slopes' changes are drawn from their prior, once: one draw of the
        # posterior is one curve, whatever is asked of it.
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
        shape = next(iter(u.values())).shape
        bends = [spread_of(k, c)[..., 0] * u[n] for n, k in task.walk.knots.items()]
        bends += [spread_of(k, c)[..., 0] * rng.standard_normal(shape) for k in task.walk.beyond]
        draws["discrepancy"] = ((*axes, "knot"), np.stack(bends, axis=-1))
        coords = coords | {"knot": [k.label(task.law, task.reference) for k in task.walk.all_knots]}
    if task.effects:
        named = task.effects.names[: len(task.effects.levels)]
        effect = np.stack([c["effect_scale"][..., 0] * u[name] for name in named], axis=-1)
        draws["effect"] = ((*axes, "level"), effect)
        coords = coords | {"level": np.array(task.effects.levels)}
    return xr.Dataset(draws, coords)


def _run_table(task: Problem, runs: pd.DataFrame) -> xr.Dataset:
    import xarray as xr

    # A slash would make a folder of the file, and the runs' dimension has a name already.
    names = {name: str(name).replace("/", "_") for name in runs.columns}
    columns = {names[n]: ("run", _storable(runs[n])) for n in runs.columns if names[n]}
    if task.groups:
        columns[task.groups.by] = ("run", np.array(task.groups.levels)[task.groups.member])
    if task.effects and task.effects.by in columns:
        # As the levels are called, which a number or a date read back might not be.
        levels = np.array(task.effects.levels).astype(str)
        columns[task.effects.by] = ("run", levels[task.effects.member])
    columns |= {name: ("run", value) for name, value in task.inputs.items()}
    columns["loss"] = ("run", task.loss)
    columns.pop("run", None)
    return xr.Dataset(columns, {"run": run_labels(task)})


def _storable(values: pd.Series) -> np.ndarray:
    """A column as NetCDF holds it: numbers (missing ones as nan), truth values, or text."""
    import pandas as pd

    kinds = pd.api.types
    if kinds.is_bool_dtype(values) and not values.hasnans:
        return values.to_numpy(bool)
    if kinds.is_integer_dtype(values) and not values.hasnans:
        return values.to_numpy(np.uint64 if kinds.is_unsigned_integer_dtype(values) else np.int64)
    if kinds.is_numeric_dtype(values) and not kinds.is_complex_dtype(values):
        return values.to_numpy(np.float64, na_value=np.nan)
    known = values.notna()
    return np.array(
        [str(x).replace("\0", "") if y else "" for x, y in zip(values, known, strict=True)]
    )


def _about(task: Problem, runs: pd.DataFrame) -> dict[str, Any]:
    """What a fit says of the law, its priors and its runs."""
    return {
        "law": task.law.name,
        "noise": task.noise.name,
        "priors": {name: str(p) for name, p in task.coordinates.priors.items()},
        "fixed": dict(task.fixed),
        "reference": dict(task.reference),
        "loss_scale": task.loss_scale,
        "by": task.groups.by if task.groups else None,
        "vary": task.groups.vary if task.groups else (),
        "knots": [k.about for k in task.walk.all_knots] if task.walk else [],
        "effects": task.effects.by if task.effects else None,
        "noise_centre": features_centre(task.law, task.inputs) if task.noise.scaled else {},
        "table": str(runs.attrs.get("name", "")),
        "understood": runs.attrs.get("understood", []),
        "loss_unit": str(runs.attrs.get("loss_unit", LOSS_UNIT)),
        "where": str(runs.attrs.get("where", "")),
        "simulated": bool(runs.attrs.get("simulated", False)),
    }
