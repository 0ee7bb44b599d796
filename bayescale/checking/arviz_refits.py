"""Refits for ArviZ: its leave-one-out, folds and leave-future-out, by this package's sampler."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.fitting.fits import Fit
from bayescale.fitting.refits import options_of, refit, table_of
from bayescale.prediction.scoring import log_densities

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["arviz_refits"]


def arviz_refits(fit: Fit, *, seed: int | None = None) -> Any:
    """What ArviZ refits a law with: an ``arviz_stats.SamplingWrapper``.

    ``az.reloo``, ``az.loo_kfold`` and ``az.lfo_cv`` leave runs out and ask for the fit to the
    others. They get it from here, of any law, at what sampling costs: the law is compiled once.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`. Refits are made as it was, with the same options.
    seed
        Of the refits; by default the fit's own.

    Returns
    -------
    arviz_stats.SamplingWrapper
        Its ``idata_orig`` is the fit's tree.

    Raises
    ------
    InputError
        If the fit does not say how it was made, or holds no runs; from ArviZ's functions, if runs
        are left out that a refit cannot do without.

    Notes
    -----
    ``az.lfo_cv(fit.tree, wrapper, ..., time_dim="run")`` takes the runs in their order: fit a table
    that is sorted by what is to be extrapolated, such as compute.

    Examples
    --------
    >>> import bayescale as bs, arviz_stats as az
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> found = az.loo_kfold(fit.tree, bs.arviz_refits(fit), k=3, seed=1)
    >>> found.n_folds
    3
    """
    from arviz_stats import SamplingWrapper

    options = options_of(fit)
    used = fit.about.get("seed") if seed is None else seed

    class Refits(SamplingWrapper):
        """Refits of one law."""

        def sel_observations(self, idx: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
            runs = table_of(fit)
            left_out = np.zeros(len(runs), dtype=bool)
            left_out[np.atleast_1d(np.asarray(idx))] = True
            return runs[~left_out], runs[left_out]

        def sample(self, modified_observed_data: pd.DataFrame) -> Fit:
            return refit(fit.law, [modified_observed_data], seed=used, progress=False, **options)[0]

        def get_inference_data(self, fitted_model: Fit) -> xr.DataTree:
            return fitted_model.tree

        def log_likelihood__i(
            self, excluded_obs: pd.DataFrame, idata__i: xr.DataTree
        ) -> xr.DataArray:
            return log_densities(Fit(fit.law, idata__i), excluded_obs, own=True)

    return Refits(fit.law, idata_orig=fit.tree)
