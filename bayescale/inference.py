"""From a law and runs to a posterior."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.errors import InputError
from bayescale.fits import Fit, stamp
from bayescale.law import Law
from bayescale.maths import log
from bayescale.mode import Mode, find_mode
from bayescale.posterior import Problem, log_posterior, problem
from bayescale.priors import Prior
from bayescale.progress import Report, progress_bar

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    import xarray as xr

__all__ = ["FitWarning", "diagnose", "fit", "model", "prior"]

#: A fit is trusted when every coefficient meets these (Vehtari et al. 2021).
MAX_RHAT = 1.01
MIN_ESS = 400


class FitWarning(UserWarning):
    """The sampler did not reach what a trustworthy posterior needs."""


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
        ``"nuts"``.
    by, vary, pool
        Column that names each run's group (corpus, architecture, router …) and the coefficients
        that differ between groups: drawn about a shared centre with a learned spread
        (``pool="partial"``), or each with the coefficient's prior (``pool="none"``).
    priors
        Replaces priors by coefficient, in reference units; a number fixes a coefficient.
    draws, tune, chains
        Kept draws and tuning steps of each chain, and the number of chains.
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
    if method != "nuts":
        raise InputError(f"method={method!r} is not known; choose 'nuts'")
    draws, tune, chains = _whole("draws", draws), _whole("tune", tune), _whole("chains", chains)
    seed = None if seed is None else _whole("seed", seed, least=0)
    task = problem(law, runs, noise=noise, priors=priors, by=by, vary=vary, pool=pool)
    used_seed = int(np.random.SeedSequence(seed).generate_state(1)[0])
    with progress_bar(f"{law.name}, {len(runs)} runs", progress) as report:
        report("finding the mode")
        mode = find_mode(task)
        report("compiling")
        compiled = _compiled(task)
        sampled = _sample(compiled, task, mode, draws, tune, chains, used_seed, report)
        report("finishing")
        fitted = _assemble(task, runs, sampled, seed, draws, tune, chains)
        _warn(fitted)
    return fitted


def _whole(name: str, value: Any, least: int = 1) -> int:
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        whole = least - 1
    if whole != value or whole < least:
        raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return whole


def _sample(
    compiled: Any,
    task: Problem,
    mode: Mode,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    report: Report,
) -> xr.DataTree:
    import nutpie

    root = np.linalg.cholesky(mode.covariance)

    def start(chain_seed: Any) -> np.ndarray:
        rng = np.random.default_rng(chain_seed)
        for shrink in 0.5 ** np.arange(12):
            u = mode.u + shrink * root @ rng.standard_normal(len(mode.u))
            if np.isfinite(task.log_density(u[None])[0]):
                return u
        return mode.u

    total = chains * (draws + tune)

    def callback(states: list[Any]) -> None:
        done = sum(state.finished_draws for state in states)
        report(f"sampling {chains} chains", done / total)

    # A law without floors and amplitudes makes no use of the loss scale: its density lacks it.
    used = {shared.name for shared in compiled.shared_var_keys}
    data = {_DATA + name: value for name, value in task.data.items() if _DATA + name in used}
    ready = dataclasses.replace(compiled.with_data(**data), initial_point_func=start)
    sampling = nutpie.sample(
        ready,
        draws=draws,
        tune=tune,
        chains=chains,
        seed=seed,
        adaptation="low_rank",
        # The spread between groups makes a funnel, which takes shorter steps to enter.
        target_accept=0.99 if task.groups else 0.95,
        save_warmup=False,
        progress_bar=False,
        progress_callback=callback,
        progress_rate=100,
        blocking=False,
    )
    try:
        return sampling.wait()
    except BaseException:
        # When it waits itself, nutpie returns what an interrupt left as if it were all the draws.
        sampling.cancel()
        raise


# Compiling takes seconds and sampling less than one, so a law is compiled once a process: runs
# are data of the compiled density, and any table of the same law reuses it.
_compiled_densities: OrderedDict[Any, Any] = OrderedDict()
_KEPT = 32
_DATA = "data_"


def _compiled(task: Problem) -> Any:
    key = (
        task.law.function,
        task.noise.name,
        tuple(task.coordinates.priors.items()),
        tuple(task.fixed.items()),
        task.groups and (len(task.groups.levels), task.groups.vary, task.groups.pooled),
        task.groups and tuple(task.groups.coordinates.priors.items()),
    )
    if key not in _compiled_densities:
        _compiled_densities[key] = _compile(task)
        while len(_compiled_densities) > _KEPT:
            _compiled_densities.popitem(last=False)
    _compiled_densities.move_to_end(key)
    return _compiled_densities[key]


def _compile(task: Problem) -> Any:
    import nutpie
    import pymc as pm

    with pm.Model() as built:
        data = {name: pm.Data(_DATA + name, value) for name, value in task.data.items()}
        u = {name: pm.Flat(name) for name in task.names}
        log_prior, rows, _ = log_posterior(task, u, data)
        pm.Potential("log_posterior", log_prior + rows.sum())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Cannot cache compiled function")
        return nutpie.compile_pymc_model(built, backend="numba")


def _labels(task: Problem) -> np.ndarray:
    labels = np.array([str(x) if not isinstance(x, (int, np.integer)) else x for x in task.labels])
    return labels if len(set(labels)) == len(labels) else np.arange(len(labels))


def _assemble(
    task: Problem,
    runs: pd.DataFrame,
    sampled: xr.DataTree,
    seed: int | None,
    draws: int,
    tune: int,
    chains: int,
) -> Fit:
    import xarray as xr

    unconstrained = sampled["posterior"].to_dataset()
    u = {name: unconstrained[name].values[..., None] for name in task.names}
    _, log_likelihood, c = log_posterior(task, u, task.data)
    axes = ("chain", "draw")
    coords = {"chain": np.arange(chains), "draw": np.arange(draws)}
    labels = {"run": _labels(task)}
    tree = xr.DataTree.from_dict(
        {
            "posterior": _posterior(task, c, coords),
            "log_likelihood": xr.Dataset(
                {"log_loss": ((*axes, "run"), log_likelihood)}, coords | labels
            ),
            "sample_stats": sampled["sample_stats"].to_dataset()[
                ["diverging", "energy", "logp", "n_steps", "step_size", "depth"]
            ],
            "observed_data": xr.Dataset({"log_loss": ("run", np.log(task.loss))}, labels),
            "constant_data": _run_table(task, runs, labels),
        }
    )
    about = {
        "law": task.law.name,
        "noise": task.noise.name,
        "priors": {name: str(prior) for name, prior in task.coordinates.priors.items()},
        "fixed": dict(task.fixed),
        "reference": dict(task.reference),
        "loss_scale": task.loss_scale,
        "method": "nuts",
        "by": task.groups.by if task.groups else None,
        "vary": task.groups.vary if task.groups else (),
        "seed": seed,
        "draws": draws,
        "tune": tune,
        "chains": chains,
        "table": str(runs.attrs.get("name", "")),
        "simulated": bool(runs.attrs.get("simulated", False)),
    }
    tree.attrs["bayescale"] = json.dumps(stamp(task.law, about))
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


def diagnose(fit: Fit) -> pd.DataFrame:
    """Sampler diagnostics of every coefficient.

    Parameters
    ----------
    fit
        A sampled fit.

    Returns
    -------
    pandas.DataFrame
        Indexed by coefficient: ``rhat``, ``ess_bulk``, ``ess_tail``, ``ok``. Its ``attrs`` hold
        the number of divergences and ``ok`` of the whole fit.
    """
    import pandas as pd
    from arviz_stats import ess, rhat

    if "sample_stats" not in fit.tree:
        raise InputError("this fit holds no sampler's chains: there is nothing to diagnose")
    draws = fit.posterior
    by = fit.about.get("by")
    for name in [str(n) for n, v in draws.data_vars.items() if by in v.dims]:
        each = {f"{name}[{level.item()}]": draws[name].sel({by: level}, drop=True)
                for level in draws[by]}  # fmt: skip
        draws = draws.drop_vars(name).assign(each)
    measures = {
        "rhat": rhat(draws),
        "ess_bulk": ess(draws, method="bulk"),
        "ess_tail": ess(draws, method="tail"),
    }
    table = pd.DataFrame(
        {what: {str(n): float(v) for n, v in one.items()} for what, one in measures.items()}
    )
    table["ok"] = (
        (table.rhat <= MAX_RHAT) & (table.ess_bulk >= MIN_ESS) & (table.ess_tail >= MIN_ESS)
    )
    table.attrs["divergences"] = int(fit.tree["sample_stats"]["diverging"].sum())
    table.attrs["ok"] = bool(table.ok.all()) and table.attrs["divergences"] == 0
    return table


def _warn(fit: Fit) -> None:
    table = diagnose(fit)
    if table.attrs["ok"]:
        return
    found = []
    if table.attrs["divergences"]:
        found.append(f"{table.attrs['divergences']} divergent draws")
    for name, row in table[~table.ok].iterrows():
        found.append(f"{name}: R-hat {row.rhat:.3f}, ESS {row.ess_bulk:.0f}/{row.ess_tail:.0f}")
    warnings.warn(
        f"the posterior of {fit.law.name!r} is not to be trusted yet ({'; '.join(found)}); draw "
        "more (draws=4000), or fix or inform what the runs do not determine through priors=...",
        FitWarning,
        stacklevel=3,
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
    about = {
        "law": law.name,
        "noise": task.noise.name,
        "priors": {name: str(p) for name, p in task.coordinates.priors.items()},
        "fixed": dict(task.fixed),
        "reference": dict(task.reference),
        "loss_scale": task.loss_scale,
        "method": "prior",
        "simulated": bool(runs.attrs.get("simulated", False)),
        "seed": seed,
    }
    tree.attrs["bayescale"] = json.dumps(stamp(law, about))
    return Fit(law, tree)
