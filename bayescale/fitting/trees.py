"""From draws to a fit: the DataTree of a posterior, its runs, and what a fit says of itself."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.fitting.fits import Fit, digest, stamp
from bayescale.language.priors import Prior, as_prior
from bayescale.language.variables import LOSS_UNIT, variable
from bayescale.posterior.density import Problem, log_posterior
from bayescale.posterior.noise import features_centre

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["prior_draws", "prior_fit", "run_labels", "sampled_fit", "storable_options"]


#: Unit and meaning of a coefficient by its role.
_ROLES = {
    "floor": (LOSS_UNIT, "loss that no size and no data remove"),
    "amplitude": (LOSS_UNIT, "its term's contribution at the centre of the runs"),
    "exponent": ("1", "how fast its term falls"),
    "plain": ("1", "coefficient of the law"),
}
_OTHERS = {
    "noise_scale": "scale of a run's log loss about its law",
    "noise_dof": "degrees of freedom of that noise",
    "discrepancy": "slope of the law's discrepancy at its nodes, per decade",
    "discrepancy_level": "log of its factor at the runs' geometric mean",
    "discrepancy_z": "its components that the runs see, standard normal under the prior",
}


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
    # What leaving a run out takes away: ArviZ's functions divide by it.
    of = "weighted log density" if about["options"]["weights"] is not None else "log density"
    likelihood = {"long_name": f"each run's part of the log-likelihood: its {of}"}
    groups = {
        "posterior": _posterior(task, c, coords, about["seed"]),
        "log_likelihood": xr.Dataset(
            {"log_loss": (("chain", "draw", "run"), log_likelihood * task.weights, likelihood)},
            coords | labels,
        ),
        "sample_stats": stats,
        "observed_data": xr.Dataset({"log_loss": ("run", np.log(task.loss))}, labels),
    }
    return _fit(task, runs, groups, about)


def prior_fit(task: Problem, runs: pd.DataFrame, draws: int, seed: int | None) -> Fit:
    """The fit of so many draws from the prior, in one chain."""
    groups = {"posterior": prior_draws(task, draws, seed)}
    return _fit(task, runs, groups, {"method": "prior", "seed": seed})


def prior_draws(task: Problem, draws: int, seed: int | None) -> xr.Dataset:
    """Draws from the prior of everything that the posterior has, in one chain."""
    rng = np.random.default_rng(seed)
    shape, scale = (1, draws), task.loss_scale
    c: dict[str, Any] = {
        name: prior.sample(rng, shape, scale)[..., None]
        for name, prior in task.coordinates.priors.items()
    }
    if task.groups:
        c |= task.groups.sample(rng, c, scale)
    c |= {name: rng.standard_normal(shape)[..., None] for name in task.normals}
    coords = {"chain": np.arange(1), "draw": np.arange(draws)}
    return _posterior(task, c, coords, seed)


def run_labels(task: Problem) -> np.ndarray:
    """Names of the runs: their table's index, or numbers where that repeats itself."""
    labels = np.array([str(x) if not isinstance(x, (int, np.integer)) else x for x in task.labels])
    return labels if len(set(labels)) == len(labels) else np.arange(len(labels))


def storable_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of :func:`bayescale.fit` as JSON holds them, to repeat it on other runs."""
    kept = {name: list(x) if isinstance(x, tuple) else x for name, x in options.items()}
    stated = {name: as_prior(p) for name, p in (options.get("priors") or {}).items()}
    priors = {
        name: dataclasses.asdict(p) if isinstance(p, Prior) else float(p)
        for name, p in stated.items()
    }
    return kept | {"priors": priors}


def _fit(
    task: Problem, runs: pd.DataFrame, groups: dict[str, xr.Dataset], about: Mapping[str, Any]
) -> Fit:
    """The fit of some groups, with the table of runs and all that is known of both."""
    import xarray as xr

    table = _run_table(task, runs)
    unit = str(runs.attrs.get("loss_unit", LOSS_UNIT))
    for name, draws in groups["posterior"].data_vars.items():
        of, words = _described(task, str(name))
        draws.attrs = {"units": unit if of == LOSS_UNIT else of, "long_name": words}
    if "observed_data" in groups:
        words = f"logarithm of the loss in {unit}"
        groups["observed_data"].log_loss.attrs = {"units": "1", "long_name": words}
    # What the package needs of the runs is in a group of its own: PyMC and ArviZ write to
    # ``constant_data`` and ``observed_data`` as they see fit.
    tree = xr.DataTree.from_dict(groups | {"constant_data": _labelled(task, table), "runs": table})
    said = {**_about(task, runs), **about, "runs": digest(table)}
    tree.attrs["bayescale"] = json.dumps(stamp(task.law, said))
    return Fit(task.law, tree)


def _coords(draws: Mapping[str, np.ndarray]) -> dict[str, Any]:
    chains, kept = next(iter(draws.values())).shape
    return {"chain": np.arange(chains), "draw": np.arange(kept)}


def _posterior(
    task: Problem,
    c: Mapping[str, Any],
    coords: dict[str, Any],
    seed: int | None,
) -> xr.Dataset:
    """Draws by name; what varies over groups or nodes has these as a third dimension."""
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
    if task.field:
        # What no run sees is drawn from its prior, once: one draw of the posterior is one curve,
        # whatever is asked of it.
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))
        known = {n: np.asarray(c[n])[..., 0] for n in (*task.field.names, *task.field.priors)}
        slopes, level = task.field.slopes(known, known, rng)
        z = [known[name] for name in task.field.names]
        if z:
            draws["discrepancy_z"] = ((*axes, "discrepancy_component"), np.stack(z, axis=-1))
        draws["discrepancy"] = ((*axes, "node"), slopes)
        draws["discrepancy_level"] = (axes, level)
        coords = coords | {
            "discrepancy_component": list(task.field.names),
            "node": task.field.labels,
        }
    return xr.Dataset(draws, coords)


def _described(task: Problem, name: str) -> tuple[str, str]:
    """Unit and meaning of what a posterior holds, in reference units."""
    of, _, what = name.rpartition("_")
    if what in ("centre", "spread") and of in task.priors:
        unit, words = _ROLES[task.priors[of].role]
        if what == "centre":
            return unit, f"{of}, {words}: about which groups lie"
        return "1", f"spread of {of} between groups"
    if name in task.priors:
        unit, words = _ROLES[task.priors[name].role]
        return unit, f"{name}, {words}"
    return "1", _OTHERS.get(name, name.replace("_", " "))


def _run_table(task: Problem, runs: pd.DataFrame) -> xr.Dataset:
    import xarray as xr

    # A slash would make a folder of the file, and the runs' dimension has a name already.
    names = {name: str(name).replace("/", "_") for name in runs.columns}
    columns = {names[n]: ("run", _storable(runs[n])) for n in runs.columns if names[n]}
    if task.groups:
        columns[task.groups.by] = ("run", np.array(task.groups.levels)[task.groups.member])
    columns |= {name: ("run", value) for name, value in task.inputs.items()}
    columns["loss"] = ("run", task.loss)
    columns.pop("run", None)
    return xr.Dataset(columns, {"run": run_labels(task)})


def _labelled(task: Problem, table: xr.Dataset) -> xr.Dataset:
    """The law's inputs as ArviZ has them: plain units, which their attributes name."""
    inputs = table[list(task.law.inputs)]
    for name in task.law.inputs:
        known = variable(name, task.law.variables)
        words = {"units": known.unit, "long_name": known.description or name}
        inputs[name] = inputs[name].assign_attrs(words)
    return inputs


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
        "directions": [one.about for one in task.field.directions] if task.field else [],
        "noise_centre": features_centre(task.law, task.inputs) if task.noise.scaled else {},
        "table": str(runs.attrs.get("name", "")),
        "understood": runs.attrs.get("understood", []),
        "loss_unit": str(runs.attrs.get("loss_unit", LOSS_UNIT)),
        "where": str(runs.attrs.get("where", "")),
        "simulated": bool(runs.attrs.get("simulated", False)),
    }
