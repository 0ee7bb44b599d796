"""Fits for tests of plots: a law and its priors, with a posterior of random numbers."""

import itertools

import numpy as np
import pandas as pd
import xarray as xr

import bayescale as bs
from bayescale.language.variables import variable

__all__ = ["design", "made_up"]


def design(law):
    """A factorial design of a law's inputs, with losses that follow no law exactly."""
    levels = {
        "N": [1e8, 4e8, 1.6e9],
        "N_active": [1e8, 4e8, 1.6e9],
        "D": [3e9, 1.2e10, 5e10, 2e11],
        "S": [0.0, 0.5, 0.75, 0.875],
        "G": [1.0, 2.0, 8.0],
        "experts": [1.0, 4.0, 16.0, 64.0],
        "D_dense": [1e10, 1e11],
        "D_upcycled": [3e9, 3e10, 3e11],
        "D_unique": [2e9, 1e10],
        "flops": [1e18, 1e19, 1e20],
    }
    for name in law.inputs:
        known = variable(name, law.variables)
        inside = np.array([0.25, 0.75]) * known.high
        levels.setdefault(name, [1e9, 1e10] if known.scale else inside)
    rows = itertools.product(*(levels[name] for name in law.inputs))
    runs = pd.DataFrame(rows, columns=list(law.inputs))
    size = runs.get("N", runs.get("N_active", 1e9))
    tokens = runs.get("D", runs.get("D_upcycled", 1e11))
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(len(runs))
    return runs.assign(loss=(1.7 + 400 * size**-0.34 + 900 * tokens**-0.33) * noise)


def made_up(law, runs=None, draws=40, simulated=False):
    """A fit whose posterior is random numbers about the middle of the prior, in two chains."""
    runs = design(law) if runs is None else runs
    runs.attrs["simulated"] = simulated
    fit = bs.prior(law, runs, draws=1, seed=0)
    rng = np.random.default_rng(1)
    scale = fit.about["loss_scale"]
    posterior = {
        "noise_scale": 0.01 * np.exp(0.1 * rng.standard_normal((2, draws))),
        "noise_dof": 8 + rng.random((2, draws)),
    }
    for name, prior in law.priors.items():
        z = rng.standard_normal((2, draws))
        middle = prior.median(scale)
        posterior[name] = (
            middle * np.exp(0.05 * z) if prior.positive else middle + 0.1 * prior.b * z
        )
    dims = {name: (("chain", "draw"), values) for name, values in posterior.items()}
    tree = fit.tree.copy()
    tree["posterior"] = xr.DataTree(xr.Dataset(dims, {"chain": [0, 1], "draw": range(draws)}))
    return bs.Fit(law, tree)
