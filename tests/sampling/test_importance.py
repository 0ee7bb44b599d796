"""Importance resampling: the quick posterior, and posteriors of several modes.

The quick one agrees with NUTS where it says so, and says so where it does not.
"""

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale import amplitude, exponent, floor, law, normal
from bayescale.models import dense
from bayescale.posterior.density import log_posterior
from bayescale.posterior.problem import problem
from bayescale.sampling.importance import laplace
from bayescale.sampling.modes import find_modes
from bayescale.sampling.nuts import compiled_density, sample_nuts
from bayescale.sampling.pareto import MAX_PARETO_K, effective_draws


@pytest.fixture(scope="module")
def quick():
    runs = bs.load_runs("hoffmann2022").query("not outlier")
    return bs.fit(dense, runs, method="laplace", seed=1)


def test_it_agrees_with_nuts(quick, hoffmann_fit):
    assert bs.diagnose(quick).attrs["ok"]
    for name, draws in hoffmann_fit.posterior.data_vars.items():
        sd = float(draws.std())
        # Monte Carlo error of a mean of 4,000 draws is 0.016 sd; of two, 0.022.
        assert abs(float(quick.posterior[name].mean() - draws.mean())) < 0.09 * sd, name
        assert float(quick.posterior[name].std()) == pytest.approx(sd, rel=0.09), name


def test_its_decisions_agree_with_those_of_nuts(quick, hoffmann_fit):
    ours, theirs = (bs.interval(bs.allocate(fit, 1e24)).N for fit in (quick, hoffmann_fit))
    np.testing.assert_allclose(np.log(ours), np.log(theirs), atol=0.03)


def test_it_is_a_fit_like_any_other(quick, tmp_path):
    quick.save(tmp_path / "quick.nc")
    loaded = bs.load_fit(tmp_path / "quick.nc")
    assert loaded.about["method"] == "laplace"
    assert bs.diagnose(loaded).attrs["pareto_k"] == bs.diagnose(quick).attrs["pareto_k"]
    assert loaded.tree["log_likelihood"]["log_loss"].shape == (4, 1000, 240)


@pytest.mark.parametrize("table", ["olmo_ladder", "hoffmann2022"])
def test_its_effective_draws_are_those_of_its_means(table):
    """Over forty seeds a mean varies as one of so many independent draws would."""
    runs = bs.load_runs(table).query("not target" if table == "olmo_ladder" else "not outlier")
    task = problem(dense, runs)
    modes = find_modes(task)
    means, variances, said = [], [], []
    for seed in range(40):
        found = laplace(task, modes, (1, 2000), 0, seed)
        u = found.u[0]
        means.append(u.mean(axis=0))
        variances.append(u.var(axis=0))
        said.append(effective_draws(u, found.weight[0]))
    true = np.mean(variances, axis=0) / np.var(means, axis=0, ddof=1)
    # A variance from 40 seeds is known to 23 %, and there are seven coordinates.
    ratio = np.mean(said, axis=0) / true
    assert (ratio < 1.8).all(), ratio
    assert 0.6 < np.exp(np.log(ratio).mean()) < 1.4, ratio


def test_a_seed_fixes_it(quick):
    runs = bs.load_runs("hoffmann2022").query("not outlier")
    again = bs.fit(dense, runs, method="laplace", seed=1)
    other = bs.fit(dense, runs, method="laplace", seed=2)
    assert again.posterior.equals(quick.posterior)
    assert not other.posterior.equals(quick.posterior)


def test_it_says_when_it_is_not_to_be_trusted():
    # Thirty-odd coordinates, many of which few runs determine: too many for a mixture to be fitted.
    runs = bs.load_runs("olmo_ladder").query("not target").assign(kind=np.arange(30) // 3)
    how = {"by": "kind", "vary": ("A", "alpha", "B")}
    with pytest.warns(bs.FitWarning, match='use method="nuts"'):
        fit = bs.fit(dense, runs, method="laplace", seed=1, **how)
    table = bs.diagnose(fit)
    assert not table.attrs["ok"]
    assert table.attrs["pareto_k"] > MAX_PARETO_K or (table.ess_bulk < 400).all()


def test_few_draws_are_not_trusted():
    runs = bs.load_runs("hoffmann2022").query("not outlier")
    with pytest.warns(bs.FitWarning):
        fit = bs.fit(dense, runs, method="laplace", draws=5, chains=1, seed=1)
    table = bs.diagnose(fit)
    assert (table.ess_bulk <= 5).all()
    assert not table.attrs["ok"]


@law
def even(N, *, E=floor(), A=amplitude(), alpha=exponent(0.3), s=normal(0.0, 1.0)):
    """Says the same for s and for -s."""
    return E + A * N ** -(alpha + 0.5 * s**2)


@pytest.fixture(scope="module")
def even_runs():
    """Simulated: runs that tell s = 1 or s = -1."""
    design = pd.DataFrame({"N": np.geomspace(1e7, 1e10, 12)})
    coefficients = {"E": 1.0, "A": 2e4, "alpha": 0.1, "s": 1.0}
    return bs.simulate(even, design, coefficients, noise_scale=1e-3, seed=1)


@pytest.mark.parametrize("method", ["nuts", "laplace"])
def test_modes_far_apart_have_their_shares(even_runs, method):
    fit = bs.fit(even, even_runs, method=method, priors={"alpha": bs.lognormal(0.1, 0.05)}, seed=1)
    s = fit.posterior.s.values
    assert bs.diagnose(fit).attrs["ok"]
    assert np.abs(s).min() > 0.5  # no draw between the modes: no chain crosses
    # By symmetry half; of 1,000 effective draws three standard errors are 0.05.
    assert (s > 0).mean() == pytest.approx(0.5, abs=0.05)


def test_a_fit_across_modes_agrees_with_a_long_run_of_nuts():
    """Twenty runs that two floors explain, between which chains of NUTS cross now and then."""
    runs = bs.load_runs("hoffmann2022").query("not outlier").sample(20, random_state=20)
    # Where the noise may have any tail.
    how = {"priors": {"noise_dof": bs.gamma_prior(2.0, 0.1)}}
    fit = bs.fit(dense, runs, seed=1, **how)
    table = bs.diagnose(fit)
    assert table.attrs["ok"]
    assert table.attrs["pareto_k"] <= MAX_PARETO_K
    task = problem(dense, runs, **how)
    chains = sample_nuts(
        compiled_density(task), task, find_modes(task)[0],
        draws=30_000, tune=1000, chains=4, seed=2, report=lambda *_: None,
    )["posterior"].to_dataset()  # fmt: skip
    u = {name: chains[name].values[..., None] for name in task.names}
    _, _, c = log_posterior(task, u, task.data)
    second = c["B"][..., 0] > 0.4
    # Chains stay in a mode for long, so what they say of its share differs between them.
    error = second.mean(axis=1).std(ddof=1) / 2
    assert 0 < error < 0.03
    assert abs((fit.posterior.B.values > 0.4).mean() - second.mean()) < 0.03 + 3 * error


def test_a_mode_that_cannot_be_weighed_is_reported(even_runs, monkeypatch):
    monkeypatch.setattr("bayescale.fitting.inference.across_modes", lambda *_: None)
    with pytest.warns(bs.FitWarning, match="missed another way"):
        fit = bs.fit(even, even_runs, priors={"alpha": bs.lognormal(0.1, 0.05)}, seed=1)
    assert bs.diagnose(fit).attrs["missed_mode"]
    assert not bs.diagnose(fit).attrs["ok"]
    with pytest.raises(bs.InputError, match=r"failed its diagnostics .*missed another way"):
        bs.compare({"one": fit, "other": fit})


@pytest.mark.parametrize(("draws", "chains"), [(1, 1), (2, 2), (3, 4)])
def test_hardly_any_draws_are_drawn_and_not_trusted(olmo, draws, chains):
    with pytest.warns(bs.FitWarning):
        fit = bs.fit(dense, olmo, draws=draws, chains=chains, tune=200, seed=1)
    assert fit.posterior.sizes == {"chain": chains, "draw": draws}
