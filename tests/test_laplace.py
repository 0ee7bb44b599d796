"""The quick posterior agrees with NUTS where it says so, and says so where it does not."""

import numpy as np
import pytest

import bayescale as bs
from bayescale.diagnostics import MAX_PARETO_K
from bayescale.models import abnar, dense


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


def test_a_seed_fixes_it(quick):
    runs = bs.load_runs("hoffmann2022").query("not outlier")
    again = bs.fit(dense, runs, method="laplace", seed=1)
    other = bs.fit(dense, runs, method="laplace", seed=2)
    assert again.posterior.equals(quick.posterior)
    assert not other.posterior.equals(quick.posterior)


def test_it_says_when_it_is_not_to_be_trusted():
    # Ten coefficients of which twelve runs at one sparsity determine a few.
    runs = bs.load_runs("olmo_ladder").query("not target").assign(S_experts=0.5).head(12)
    with pytest.warns(bs.FitWarning, match='use method="nuts"'):
        fit = bs.fit(abnar, runs, method="laplace", seed=1)
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
