"""From a law and runs to a posterior."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.progress import Report, progress_bar
from bayescale.fitting.design import warn_of_design
from bayescale.fitting.diagnostics import diagnose, warn_if_untrusted
from bayescale.fitting.fits import Fit
from bayescale.fitting.judging import MAX_RHAT, MIN_ESS, needed_ess
from bayescale.fitting.trees import prior_fit, run_labels, sampled_fit, storable_options
from bayescale.language.law import Law
from bayescale.language.maths import log
from bayescale.language.priors import Prior
from bayescale.posterior.density import Problem
from bayescale.posterior.discrepancy import bent
from bayescale.posterior.noise import Noise, run_scale
from bayescale.posterior.problem import problem
from bayescale.sampling.importance import across_modes, laplace, misses_a_mode
from bayescale.sampling.modes import find_modes
from bayescale.sampling.nuts import COMPILERS, compiled_density, sample_nuts

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm
    import xarray as xr

__all__ = ["CALIBRATED", "fit", "model", "prior"]

#: Options of :func:`fit` for predicting beyond the runs; see docs/extrapolation.md for the model,
#: what each option is worth and how far its intervals may be trusted.
CALIBRATED: Mapping[str, Any] = MappingProxyType({"noise": "scaled", "discrepancy": True})

#: The most draws that NUTS makes for each one kept.
MOST_DRAWN = 16
#: Acceptance that NUTS aims at: the next where chains diverge.
CARE = (0.95, 0.99, 0.998)


# Data of the model beside the inputs: columns of the discrepancy, features of scaled noise.
_OF_RUNS = ("member_", "noise_at_", "error")


def model(
    law: Law,
    runs: pd.DataFrame,
    *,
    noise: str = "student_t",
    by: str | None = None,
    vary: Sequence[str] = (),
    pool: str = "partial",
    discrepancy: bool = False,
    weights: str | None = None,
    error: str | None = None,
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
    noise, by, vary, pool, discrepancy, weights, error
        As for :func:`fit`.
    priors
        Replaces priors by coefficient; a number fixes one, in reference units.

    Returns
    -------
    pymc.Model
        Coefficients in reference units, the law's inputs in plain units as ``pm.Data`` over the
        dimension ``run``, and the observed variable ``log_loss`` (with ``weights``, each run's
        density to the power of its weight).

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> [rv.name for rv in bs.model(dense, bs.load_runs("olmo_ladder")).free_RVs]
    ['E', 'A', 'alpha', 'B', 'beta', 'noise_scale', 'noise_dof']
    """
    import pymc as pm

    task = problem(
        law, runs, noise=noise, priors=priors, by=by, vary=vary, pool=pool,
        discrepancy=discrepancy, weights=weights, error=error,
    )  # fmt: skip
    data = task.data
    coords = {"run": run_labels(task), "discrepancy_component": list(task.normals)}
    if task.groups:
        coords[task.groups.by] = np.array(task.groups.levels)
    with pm.Model(coords=coords) as built:
        scale = np.float64(task.loss_scale)
        # In plain units, as the fit's tree has them: pm.set_data takes new runs as one writes them.
        plain = {name: pm.Data(name, task.inputs[name], dims="run") for name in law.inputs}
        inputs = {name: x / task.reference[name] for name, x in plain.items()}
        c = {n: p.random_variable(n, scale) for n, p in task.coordinates.priors.items()}
        if task.groups:
            varied = task.groups.random_variables(c, scale)
            c |= {name: value[task.groups.member] for name, value in varied.items()}
        coefficients = {**{n: c[n] for n in task.priors}, **task.fixed}
        value = law(**inputs, **coefficients)
        features = {n: pm.Data(n, x) for n, x in data.items() if n.startswith(_OF_RUNS)}
        if task.field and task.normals:
            every = pm.Normal("discrepancy_z", 0.0, 1.0, dims="discrepancy_component")
            z = {name: every[i] for i, name in enumerate(task.normals)}
            value = bent(law, inputs, coefficients, task.field.value(z, c, features))
        scale = run_scale(task.noise, c, features)
        observed = data["log_loss"]
        if weights is None:
            task.noise.random_variable(
                "log_loss", log(value), scale, c, observed=observed, dims="run"
            )
        else:
            weight = pm.Data("weights", data["weights"], dims="run")
            _weighted(task.noise, weight, log(value), scale, c, observed)
    return built


def _weighted(
    noise: Noise, weight: Any, mu: Any, scale: Any, c: Mapping[str, Any], observed: np.ndarray
) -> None:
    """The observed log loss, each run's density to the power of its weight; drawn without it."""
    import pymc as pm

    names = tuple(noise.priors)

    def logp(x: Any, weight: Any, mu: Any, scale: Any, *parameters: Any) -> Any:
        alone = noise.random_variable(None, mu, scale, dict(zip(names, parameters, strict=True)))
        return weight * pm.logp(alone, x)

    def random(
        weight: Any, mu: Any, scale: Any, *parameters: Any, rng: Any = None, size: Any = None
    ) -> np.ndarray:
        shape = np.shape(mu) if size is None else size
        own = dict(zip(names, parameters, strict=True))
        return mu + noise.draw(rng, shape, scale, own)

    given = [weight, mu, scale, *(c[name] for name in names)]
    pm.CustomDist(
        "log_loss", *given, logp=logp, random=random, observed=observed, dims="run",
        signature=",".join(["()"] * len(given)) + "->()",
    )  # fmt: skip


_KEPT = ["diverging", "energy", "logp", "n_steps", "step_size", "depth"]


def fit(
    law: Law,
    runs: pd.DataFrame,
    *,
    noise: str = "student_t",
    method: str = "nuts",
    by: str | None = None,
    vary: Sequence[str] = (),
    pool: str = "partial",
    discrepancy: bool = False,
    weights: str | None = None,
    error: str | None = None,
    priors: Mapping[str, Prior | float] | None = None,
    draws: int = 1000,
    tune: int = 500,
    chains: int = 4,
    seed: int | None = None,
    compile: str = "auto",
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
        How a run's log loss scatters: ``"student_t"``, ``"normal"``, ``"scaled"``: Student-t with
        a scale that depends on compute and on tokens per parameter, or ``"skewed"``: wider above
        the law than below it, with a scale that depends on compute, for badly tuned small runs;
        the law is then what well-tuned runs scatter about.
    method
        ``"nuts"``, or ``"laplace"``: importance resampling from a mixture fitted about the modes,
        without chains and with a check of its own (``diagnose``).
    by, vary, pool
        Column that names each run's group (corpus, architecture, router …) and the coefficients
        that differ between groups: drawn about a shared centre with a learned spread
        (``pool="partial"``), or each with the coefficient's prior (``pool="none"``).
    discrepancy
        Whether the law may be wrong in a structured way: what it has above the floor is multiplied
        by a factor whose slopes wander along each count and ratio, such as sparsity, and along
        products and quotients of two
        (:mod:`bayescale.posterior.discrepancy`), so that intervals widen with the distance from the
        runs.
    weights
        A column of weights of the runs' log-likelihoods, such as how many runs a row stands for.
    error
        A column of known standard errors of the loss (of its evaluation, say), nats.
    priors
        Replaces priors by coefficient, in reference units: ``bs.lognormal`` and the like, or a
        distribution of PyMC or PreliZ; a number fixes a coefficient.
    draws, tune, chains
        Kept draws and tuning steps of each chain, and the number of chains. Where a coefficient has
        fewer than 1,000 effective draws (or a quarter of those asked for), NUTS draws up to 16
        times as many, after more tuning, and keeps one in so many. Where chains are stuck between
        modes of the posterior, draws are resampled from a mixture fitted to them
        (:mod:`bayescale.sampling.importance`).
    seed
        Makes the result reproducible on one machine.
    compile
        What compiles the density that NUTS samples: ``"auto"``, LLVM in a tenth of a second and,
        for laws beyond it, PyTensor in some eight; or ``"llvm"`` or ``"pytensor"`` alone, to check
        one against the other (:mod:`bayescale.sampling.compiler`).
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
    DesignWarning
        If the runs' design leaves coefficients undetermined, such as where all share one D/N; the
        message names the run that would tell.
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
    if compile not in COMPILERS:
        raise InputError(f"compile={compile!r} is not known; choose {', '.join(COMPILERS)}")
    draws, tune, chains = _whole("draws", draws), _whole("tune", tune), _whole("chains", chains)
    seed = None if seed is None else _whole("seed", seed, least=0)
    asked: dict[str, Any] = {"noise": noise, "by": by, "vary": vary, "pool": pool, "priors": priors}
    asked |= {"discrepancy": discrepancy, "weights": weights, "error": error}
    task = problem(law, runs, **asked)
    gaps = warn_of_design(task)
    if method == "laplace" and task.field:
        raise InputError(
            'method="laplace" approximates a law without discrepancy; use '
            'method="nuts", or leave it out: it takes some seconds'
        )
    used_seed = int(np.random.SeedSequence(seed).generate_state(1)[0])
    settings = {"draws": draws, "tune": tune, "chains": chains}
    about: dict[str, Any] = {"method": method, "seed": seed, **settings}
    about["gaps"] = gaps  # What the runs cannot tell is said again wherever an answer rests on it.
    about["options"] = storable_options(asked | {"method": method, "compile": compile} | settings)
    with progress_bar(f"{law.name}, {len(runs)} runs", progress) as report:
        report("finding the mode")
        if method == "laplace":
            found = laplace(task, find_modes(task), (chains, draws), MIN_ESS, used_seed)
            fitted = sampled_fit(task, runs, found.coordinates(task.names), found.stats, about)
            table = diagnose(fitted)
        else:
            fitted, table = _nuts(task, runs, settings, about, used_seed, compile, report)
        warn_if_untrusted(fitted, table)
    return fitted


def _nuts(
    task: Problem,
    runs: pd.DataFrame,
    settings: dict[str, int],
    about: dict[str, Any],
    used_seed: int,
    compiler: str,
    report: Report,
) -> tuple[Fit, pd.DataFrame]:
    """Sample, and the diagnostics; longer where draws are alike, with care where they diverge.

    Where chains miss a mode, or still disagree in the end, they are taken for a sketch of the
    posterior, from which importance resampling may make it: NUTS seldom crosses between modes.
    """
    import xarray as xr

    modes = find_modes(task)
    report("compiling")
    compiled = compiled_density(task, compiler)
    made = settings["draws"] * settings["chains"]
    # What the judge will ask, if so many draws can ever meet it.
    wanted = needed_ess(made) if made >= MIN_ESS else made // 4
    # With a discrepancy draws are more alike: that is known before the first is made.
    thin, care = 2 if task.field else 1, 1 if task.groups else 0
    kept: list[tuple[xr.Dataset, xr.Dataset]] = []
    while True:
        have = sum(chains.sizes["draw"] for chains, _ in kept)
        missing = settings["draws"] * thin - have
        # Where many draws are needed it pays to tune longer.
        more_draws = settings | {"draws": missing, "tune": max(settings["tune"], missing // 4)}
        sampled = sample_nuts(
            compiled, task, modes[0], seed=used_seed + len(kept), report=report,
            target_accept=CARE[care], **more_draws,
        )  # fmt: skip
        report("finishing")
        kept.append(
            (sampled["posterior"].to_dataset(), sampled["sample_stats"].to_dataset()[_KEPT])
        )
        chains, stats = (xr.concat(parts, "draw") for parts in zip(*kept, strict=True))
        # A kept draw counts as divergent if any that it stands for was.
        diverging = stats.diverging.values.reshape(stats.sizes["chain"], -1, thin).any(axis=-1)
        stats = stats.isel(draw=slice(None, None, thin))
        stats = stats.assign(diverging=(("chain", "draw"), diverging))
        stats = stats.assign_coords(draw=np.arange(settings["draws"]))
        u = {name: chains[name].values[:, ::thin] for name in task.names}
        fitted = sampled_fit(task, runs, u, stats, about | {"thin": thin})
        table = diagnose(fitted)
        least = table[["ess_bulk", "ess_tail"]].min(axis=None)
        lacking = 1.2 * wanted / least if least < wanted else 1.0
        if not (table.rhat <= MAX_RHAT).all():
            lacking = max(lacking, 4.0)
        if table.attrs["divergences"] and care + 1 < len(CARE):
            care, kept = care + 1, []  # More draws would only diverge more often.
            continue
        more = lacking > 1.0 and thin < MOST_DRAWN
        points = np.stack([chains[name].values.ravel() for name in task.names], axis=-1)
        # With a discrepancy the mode is but a start, and draws need not lie about it.
        missed = not task.field and misses_a_mode(modes, points)
        shape = settings["chains"], settings["draws"]
        if (missed or (lacking > 1.0 and not more)) and math.prod(shape) >= MIN_ESS:
            report("weighing modes")
            needed = max(wanted, MIN_ESS)
            found = across_modes(task, modes, points, shape, needed, used_seed)
            if found:
                u = found.coordinates(task.names)
                weighed = sampled_fit(task, runs, u, found.stats, about | {"thin": thin})
                weighed_table = diagnose(weighed)
                if weighed_table.attrs["ok"]:
                    return weighed, weighed_table
        if missed and not more:
            stats = stats.assign(missed_mode=True)
            fitted = sampled_fit(task, runs, u, stats, about | {"thin": thin})
            table = diagnose(fitted)
        if not more:
            return fitted, table
        thin = min(MOST_DRAWN, math.ceil(thin * lacking))


def _whole(name: str, value: Any, least: int = 1) -> int:
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError):
        whole = least - 1
    if whole != value or whole < least:
        raise InputError(f"{name} must be a whole number of at least {least}, not {value!r}")
    return whole


def prior(
    law: Law,
    runs: pd.DataFrame,
    *,
    draws: int = 1000,
    seed: int | None = None,
    **options: Any,
) -> Fit:
    """Draws from the prior, as a fit: what the law says before it sees the losses.

    The runs supply the references and the scale of the loss. ``predict`` and ``allocate`` work on
    the result, so a prior predictive check is ``bs.predict(bs.prior(law, runs), ...)``.

    Parameters
    ----------
    law, runs
        As for :func:`fit`.
    draws
        Number of draws, in one chain.
    seed
        Makes the draws reproducible.
    **options
        Of the model, as for :func:`fit`: ``noise``, ``priors``, ``by`` and so on.
    """
    draws = _whole("draws", draws)
    seed = None if seed is None else _whole("seed", seed, least=0)
    return prior_fit(problem(law, runs, **options), runs, draws, seed)
