"""A fit as ArviZ has it: every group that its functions ask for, named and labelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.prior_scores import problem_of
from bayescale.common.errors import InputError
from bayescale.fitting.averaging import Average
from bayescale.fitting.fits import Fit, coefficients
from bayescale.fitting.refits import table_of
from bayescale.fitting.trees import prior_draws as draws_of_prior
from bayescale.language.variables import variable
from bayescale.posterior.density import Problem
from bayescale.posterior.noise import noise_model
from bayescale.prediction.predict import law_inputs, predict
from bayescale.prediction.scoring import scatter

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["to_arviz"]


def to_arviz(
    fit: Fit,
    *,
    units: str = "reference",
    predictions: Mapping[str, Any] | None = None,
    prior_draws: int = 1000,
    seed: int = 0,
) -> xr.DataTree:
    """The fit's tree with what ArviZ and PyMC expect of one: priors and predictive draws too.

    ``fit.tree`` has what a fit costs nothing to keep, and ``az.loo``, ``az.compare`` and the plots
    of posteriors take it as it is. Here are the other groups, made when they are asked for.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    units
        Of the law's coefficients: ``"reference"``, or ``"raw"`` as in the paper; see
        :func:`bayescale.coefficients`.
    predictions
        Inputs of new runs, as for :func:`bayescale.predict`: adds the groups ``predictions``
        (``loss``, nats) and ``predictions_constant_data``.
    prior_draws
        Draws of ``prior`` and ``prior_predictive``.
    seed
        Of everything random here: the prior's draws and the noise of predictive ones.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior``, ``sample_stats``, ``log_likelihood``, ``log_prior`` (of each
        coefficient that has a prior of its own, as ``pm.compute_log_prior`` has it),
        ``posterior_predictive``, ``prior``, ``prior_predictive``, ``observed_data`` and
        ``constant_data``. What is predicted and observed is ``log_loss`` over ``run``, under the
        runs' names.

    Raises
    ------
    InputError
        If the fit is an average, of published coefficients or of one group: these have no
        likelihood of their own; or if the law does not say how its coefficients convert.

    Examples
    --------
    >>> import bayescale as bs, arviz_stats as az
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> tree = bs.to_arviz(fit)
    >>> sorted(tree.children)[:4]
    ['constant_data', 'log_likelihood', 'log_prior', 'observed_data']
    >>> az.loo_pit(tree).log_loss.sizes["run"]
    30
    """
    import xarray as xr

    if isinstance(fit, Average):
        raise InputError(
            "an average of fits has no tree of its own; take those of its fits: average.fits, and "
            "for their mixture bs.predict(average, ...)"
        )
    task = problem_of(fit)
    rng = np.random.default_rng(seed)
    prior = draws_of_prior(task, prior_draws, seed)
    for name, draws in prior.data_vars.items():
        draws.attrs = fit.posterior[name].attrs
    tree = fit.tree.copy()
    groups = {
        "log_prior": _log_prior(task, fit),
        "posterior_predictive": _predictive(fit, rng),
        "prior": prior,
        "prior_predictive": _predictive(_holding(fit, prior), rng),
    }
    if units != "reference":
        groups["posterior"] = _in_units(fit, fit.posterior, units)
        groups["prior"] = _in_units(fit, prior, units)
    if predictions is not None:
        loss = predict(fit, seed=seed, **predictions)
        groups["predictions"] = loss.to_dataset(name="loss")
        groups["predictions_constant_data"] = _constant(fit, predictions)
    for name, dataset in groups.items():
        tree[name] = xr.DataTree(dataset)
    return tree


def _log_prior(task: Problem, fit: Fit) -> xr.Dataset:
    """Log density of the draws under each prior, as they are stated."""
    import xarray as xr

    draws, scale = fit.posterior, task.loss_scale
    sampled = dict(task.coordinates.priors)
    if task.groups and not task.groups.pooled:
        sampled |= task.groups.coordinates.priors
    found = {name: prior.log_density(draws[name], scale) for name, prior in sampled.items()}
    return xr.Dataset(found).assign_attrs(
        long_name="log density of each coefficient's prior; what is drawn given others is left out"
    )


def _predictive(fit: Fit, rng: np.random.Generator) -> xr.Dataset:
    """Replicated log losses of the fitted runs."""
    import xarray as xr

    table = table_of(fit)
    centre, scale, parameters = scatter(fit, table, own=True)
    noise = noise_model(fit.about["noise"])
    drawn = centre + noise.draw(rng, centre.shape, scale, parameters)
    sizes = fit.posterior.sizes
    values = drawn.reshape(sizes["chain"], sizes["draw"], -1)
    coords = {name: fit.posterior[name] for name in ("chain", "draw")}
    observed = fit.tree["observed_data"]["log_loss"]
    return xr.Dataset(
        {"log_loss": (("chain", "draw", "run"), values, observed.attrs)},
        coords | {"run": observed["run"]},
    )


def _holding(fit: Fit, posterior: xr.Dataset) -> Fit:
    """The fit with other draws."""
    import xarray as xr

    groups = {"posterior": posterior, "runs": fit.tree["runs"].to_dataset()}
    groups["observed_data"] = fit.tree["observed_data"].to_dataset()
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = fit.tree.attrs
    return Fit(fit.law, tree)


def _in_units(fit: Fit, draws: xr.Dataset, units: str) -> xr.Dataset:
    """Draws with the law's coefficients in other units; fixed ones are none of them."""
    raw = coefficients(_holding(fit, draws), units=units)
    kept = [name for name in fit.law.coefficients if name in draws]
    renamed = {n: raw[n].assign_attrs(draws[n].attrs | {"units": f"{units} units"}) for n in kept}
    return draws.assign(renamed)


def _constant(fit: Fit, given: Mapping[str, Any] | pd.DataFrame) -> xr.Dataset:
    """Inputs of predicted runs, with units."""
    import xarray as xr

    by = fit.about.get("by")
    inputs = law_inputs(fit.law, {name: x for name, x in given.items() if name != by})
    found = {name: xr.DataArray(x) for name, x in inputs.items()}
    for name, x in found.items():
        known = variable(name, fit.law.variables)
        x.attrs = {"units": known.unit, "long_name": known.description or name}
    return xr.Dataset(found)
