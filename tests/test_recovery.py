"""Simulate and recover: where a law is true, its posterior finds the coefficients.

For each law, coefficients are drawn from their priors, losses are simulated on a factorial design,
and the law is fitted. A 95 % interval that means what it says holds the true coefficient in 95 of
100 simulations.
"""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayescale as bs
from bayescale.models import laws

pytestmark = pytest.mark.slow

SIMULATIONS = 20
NOISE = 0.005
LEVELS = {
    "N": [1e8, 3e8, 1e9, 3e9],
    "N_active": [1e8, 3e8, 1e9, 3e9],
    "D": [3e9, 1e10, 3e10, 1e11],
    "D_dense": [1e10, 3e10, 1e11],
    "D_upcycled": [1e10, 3e10, 1e11],
    "D_unique": [2e9, 1e10, 5e10],
    "S": [0.0, 0.5, 0.8, 0.9],
    "S_experts": [0.0, 0.5, 0.8, 0.95],
    "G": [1.0, 2.0, 4.0, 8.0, 16.0],
    "experts": [1.0, 2.0, 8.0, 32.0, 128.0],
}


def design(law):
    return pd.DataFrame(
        itertools.product(*(LEVELS[name] for name in law.inputs)), columns=law.inputs
    )


def draw_truth(law, runs, seed):
    """A coefficient set from the priors in reference units, and losses with noise."""
    prior = bs.prior(law, runs.assign(loss=2.5), draws=200, seed=seed)
    inputs = {name: xr.DataArray(runs[name].to_numpy(), dims="run") for name in law.inputs}
    losses = bs.predict(prior, mean=True, **inputs).squeeze("chain")
    # A law may give impossible losses somewhere in its prior; the first possible draw is taken.
    possible = (np.isfinite(losses) & (losses > 0.05) & (losses < 90)).all("run")
    which = int(np.argmax(possible.values))
    assert possible[which]
    noise = NOISE * np.random.default_rng(seed).standard_normal(len(runs))
    return (
        prior.posterior.isel(chain=0, draw=which),
        runs.assign(loss=losses[which].values * np.exp(noise)),
    )


@pytest.mark.parametrize("name", laws())
def test_intervals_hold_the_truth(name):
    law = laws()[name]
    runs = design(law)
    inside = dict.fromkeys(law.coefficients, 0)
    for seed in range(SIMULATIONS):
        truth, simulated = draw_truth(law, runs, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bs.FitWarning)  # the interval is what is asked about
            fit = bs.fit(law, simulated, seed=seed, draws=500, tune=700)
        bounds = bs.interval(fit.posterior, 0.95)
        for coefficient in law.coefficients:
            low, high = bounds[coefficient].values
            inside[coefficient] += bool(low <= float(truth[coefficient]) <= high)
    assert min(inside.values()) >= 0.9 * SIMULATIONS, inside
