"""From a law and runs to a posterior."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.diagnostics import MAX_RHAT, diagnose, warn_if_untrusted
from bayescale.errors import InputError
from bayescale.fits import Fit, stamp
from bayescale.laplace import laplace
from bayescale.law import Law
from bayescale.maths import log
from bayescale.mode import Mode, find_mode
from bayescale.posterior import Problem, log_posterior, problem
from bayescale.priors import Prior
from bayescale.progress import Report, progress_bar
from bayescale.sampling import compiled_density, sample_nuts

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    import xarray as xr

__all__ = ["fit", "model", "prior"]

#: Effective draws that NUTS goes on for, and the most draws it makes for each one kept.
TARGET_ESS = 1000
MOST_DRAWN = 16


def model(
    law: Law,
    runs: pd.DataFrame,
    *,
    noise: str = "student_t",
    by: str | None = None,
    vary: Sequence[str] = (),
    pool: str = "partial",
    priors: Mapping[str, Prior | float] | None = None,
) -> pm.Model:
    """The PyMC model of a law on runs: named coefficients with their priors.

    This is the posterior as one would write it by hand, for anybody who wants PyMC itself.
    :func:`fit` samples the same posterior in coordinates that are easier for the sampler.

    Parameters
    ----------
    law
        The law.
    runs
        One row a run: the law's inputs and ``loss`` in nats.
    noise
        ``"student_t"`` or ``"normal"``.
    by, vary, pool
        Coefficients that vary between groups of runs; as for :func:`fit`.
    priors
        Replaces priors by coefficient; a number fixes one, in reference units.

    Returns
    -------
    pymc.Model
        Coefficients in reference units, data as ``pm.Data`` over the dimension ``run``, and the
        observed variable ``log_loss``.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> [rv.name for rv in bs.model(dense, bs.load_runs("olmo_ladder")).free_RVs]
    ['E', 'A', 'alpha', 'B', 'beta', 'noise_scale', 'noise_dof']
    """
    import pymc as pm

    task = problem(law, runs, noise=noise, priors=priors, by=by, vary=vary, pool=pool)
    data = task.data
    coords = {"run": _labels(task)}
    if task.groups:
        coords[task.groups.by] = np.array(task.groups.levels)
    with pm.Model(coords=coords) as built:
        scale = pm.Data("loss_scale", data["loss_scale"])
        inputs = {name: pm.Data(name, data[name], dims="run") for name in law.inputs}
        c = {n: p.random_variable(n, scale) for n, p in task.coordinates.priors.items()}
        if task.groups:
            varied = task.groups.random_variables(c, scale)
            c |= {name: value[task.groups.member] for name, value in varied.items()}
        value = law(**inputs, **{n: c[n] for n in task.priors}, **task.fixed)
        task.noise.random_variable(
            "log_loss", c, mu=log(value), observed=data["log_loss"], dims="run"
        )
    return built


def fit(
    law: Law,
    runs: pd.DataFrame,
    *,
    noise: str = "student_t",
    method: str = "nuts",
    by: str | None = None,
    vary: Sequence[str] = (),
    pool: str = "partial",
    priors: Mapping[str, Prior | float] | None = None,
    draws: int = 1000,
    tune: int = 1000,
    chains: int = 4,
    seed: int | None = None,
    progress: bool | None = None,
) -> Fit:
    """Sample the posterior of a law's coefficients given runs.

    Parameters
    ----------
    law
        The law.
    runs
        One row a run: a column for each of the law's inputs, or columns it can be derived from,
        and ``loss`` in nats.
    noise
        How a run's log loss scatters: ``"student_t"`` or ``"normal"``.
    method
        ``"nuts"``, or ``"laplace"``: importance resampling about the mode, in under a second and
        with a check of its own (``diagnose``).
    by, vary, pool
        Column that names each run's group (corpus, architecture, router …) and the coefficients
        that differ between groups: drawn about a shared centre with a learned spread
        (``pool="partial"``), or each with the coefficient's prior (``pool="none"``).
    priors
        Replaces priors by coefficient, in reference units; a number fixes a coefficient.
    draws, tune, chains
        Kept draws and tuning steps of each chain, and the number of chains. Where a coefficient
        has fewer than 1,000 effective draws (or a quarter of those asked for), NUTS draws up to
        16 times as many and keeps every fourth or sixteenth.
    seed
        Makes the result reproducible on one machine.
    progress
        Whether to show progress on standard error; by default, if that is a terminal.

    Returns
    -------
    Fit
        The law and its ``DataTree``.

    Raises
    ------
    InputError
        If the runs or the arguments cannot be used; nothing has been computed by then.

    Warns
    -----
    FitWarning
        If the chains disagree or diverge; the message names the coefficient and the remedy.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, draws=100, tune=200, chains=2, seed=1)  # doctest: +SKIP
    """
    if method not in ("nuts", "laplace"):
        raise InputError(f"method={method!r} is not known; choose 'nuts' or 'laplace'")
    draws, tune, chains = _whole("draws", draws), _whole("tune", tune), _whole("chains", chains)
    seed = None if seed is None else _whole("seed", seed, least=0)
    task = problem(law, runs, noise=noise, priors=priors, by=by, vary=vary, pool=pool)
    used_seed = int(np.random.SeedSequence(seed).generate_state(1)[0])
    with progress_bar(f"{law.name}, {len(runs)} runs", progress) as report:
        report("finding the mode")
        mode = find_mode(task)
        settings = {"draws": draws, "tune": tune, "chains": chains}
        if method == "laplace":
            found = laplace(task, mode, chains=chains, draws=draws, seed=used_seed)
            about = {"method": method, "seed": seed, **settings}
            fitted = _assemble(task, runs, found.coordinates(task.names), found.stats, about)
            table = diagnose(fitted)
        else:
            fitted, table = _nuts(task, runs, mode, settings, seed, used_seed, report)
        warn_if_untrusted(fitted, table)
    return fitted


def _nuts(
    task: Problem,
    runs: pd.DataFrame,
    mode: Mode,
    settings: dict[str, int],
    seed: int | None,
    used_seed: int,
    report: Report,
) -> tuple[Fit, pd.DataFrame]:
    """Sample, longer where draws are too much alike, keeping one in a few; and the diagnostics."""
    report("compiling")
    compiled = compiled_density(task)
    wanted = min(TARGET_ESS, settings["draws"] * settings["chains"] // 4)
    thin = 1
    while True:
        longer = settings | {"draws": settings["draws"] * thin}
        sampled = sample_nuts(compiled, task, mode, seed=used_seed, report=report, **longer)
        report("finishing")
        chains = sampled["posterior"].to_dataset()
        # A kept draw counts as divergent if any that it stands for was.
        stats = sampled["sample_stats"].to_dataset()[
            ["diverging", "energy", "logp", "n_steps", "step_size", "depth"]
        ]
        diverging = stats.diverging.astype(int).coarsen(draw=thin).max()
        stats = stats.isel(draw=slice(None, None, thin)).assign(diverging=diverging.astype(bool))
        stats = stats.assign_coords(draw=np.arange(settings["draws"]))
        u = {name: chains[name].values[:, ::thin] for name in task.names}
        about = {"method": "nuts", "seed": seed, **settings, "thin": thin}
        fitted = _assemble(task, runs, u, stats, about)
        table = diagnose(fitted)
        short = not table[["ess_bulk", "ess_tail"]].min(axis=None) >= wanted
        if thin >= MOST_DRAWN or not (short or (table.rhat > MAX_RHAT).any()):
            return fitted, table
        thin *= 4


def _whole(name: str, value: Any, least: int = 1) -> int:
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        whole = least - 1
    if whole != value or whole < least:
        raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return whole


def _labels(task: Problem) -> np.ndarray:
    labels = np.array([str(x) if not isinstance(x, (int, np.integer)) else x for x in task.labels])
    return labels if len(set(labels)) == len(labels) else np.arange(len(labels))


def _assemble(
    task: Problem,
    runs: pd.DataFrame,
    u: Mapping[str, np.ndarray],
    stats: xr.Dataset,
    about: dict[str, Any],
) -> Fit:
    """The fit of draws of the coordinates, each of shape (chains, draws)."""
    import xarray as xr

    columns = {name: values[..., None] for name, values in u.items()}
    _, log_likelihood, c = log_posterior(task, columns, task.data)
    axes = ("chain", "draw")
    chains, draws = next(iter(u.values())).shape
    coords = {"chain": np.arange(chains), "draw": np.arange(draws)}
    labels = {"run": _labels(task)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": _posterior(task, c, coords),
            "log_likelihood": xr.Dataset(
                {"log_loss": ((*axes, "run"), log_likelihood)}, coords | labels
            ),
            "sample_stats": stats,
            "observed_data": xr.Dataset({"log_loss": ("run", np.log(task.loss))}, labels),
            "constant_data": _run_table(task, runs, labels),
        }
    )
    tree.attrs["bayescale"] = json.dumps(stamp(task.law, _about(task, runs) | about))
    return Fit(task.law, tree)


def _posterior(task: Problem, c: Mapping[str, Any], coords: dict[str, Any]) -> xr.Dataset:
    """Draws by name; the coefficients that vary have the groups as a third dimension."""
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
    return xr.Dataset(draws, coords)


def _run_table(task: Problem, runs: pd.DataFrame, labels: dict[str, Any]) -> xr.Dataset:
    import xarray as xr

    # A slash would make a folder of the file, and the runs' dimension has a name already.
    names = {name: str(name).replace("/", "_") for name in runs.columns}
    columns = {names[n]: ("run", _storable(runs[n])) for n in runs.columns if names[n]}
    if task.groups:
        columns[task.groups.by] = ("run", np.array(task.groups.levels)[task.groups.member])
    columns |= {name: ("run", value) for name, value in task.inputs.items()}
    columns["loss"] = ("run", task.loss)
    columns.pop("run", None)
    return xr.Dataset(columns, labels)


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


def prior(
    law: Law,
    runs: pd.DataFrame,
    *,
    noise: str = "student_t",
    priors: Mapping[str, Prior | float] | None = None,
    draws: int = 1000,
    seed: int | None = None,
) -> Fit:
    """Draws from the prior, as a fit: what the law says before it sees the losses.

    The runs supply the references and the scale of the loss. ``predict`` and ``allocate`` work on
    the result, so a prior predictive check is ``bs.predict(bs.prior(law, runs), ...)``.

    Parameters
    ----------
    law, runs, noise, priors
        As for :func:`fit`.
    draws
        Number of draws, in one chain.
    seed
        Makes the draws reproducible.
    """
    import xarray as xr

    draws = _whole("draws", draws)
    seed = None if seed is None else _whole("seed", seed, least=0)
    task = problem(law, runs, noise=noise, priors=priors)
    rng = np.random.default_rng(seed)
    values = {
        name: (("chain", "draw"), p.sample(rng, (1, draws), task.loss_scale))
        for name, p in task.coordinates.priors.items()
    }
    coords = {"chain": [0], "draw": np.arange(draws)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(values, coords),
            "constant_data": _run_table(task, runs, {"run": _labels(task)}),
        }
    )
    about = _about(task, runs) | {"method": "prior", "seed": seed}
    tree.attrs["bayescale"] = json.dumps(stamp(law, about))
    return Fit(law, tree)


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
        "table": str(runs.attrs.get("name", "")),
        "simulated": bool(runs.attrs.get("simulated", False)),
    }
