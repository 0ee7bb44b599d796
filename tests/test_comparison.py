"""Comparison: scores are those of ArviZ on a model by hand, and unlike things are refused."""

import warnings

import arviz
import numpy as np
import pytest
import scipy.stats
import xarray as xr

import bayescale as bs
from bayescale.models import dense


@pytest.fixture(scope="module")
def by_hand(olmo):
    """The dense law on the ladder in plain PyMC, with coefficients as they come."""
    import pymc as pm

    loss = olmo["loss"].to_numpy()
    scale = np.exp(np.log(loss).mean())
    n, d = (olmo[name].to_numpy() / np.exp(np.log(olmo[name]).mean()) for name in ("N", "D"))
    with pm.Model():
        E = pm.LogNormal("E", np.log(0.5 * scale), 0.4)
        A = pm.LogNormal("A", np.log(0.2 * scale), 1.0)
        B = pm.LogNormal("B", np.log(0.2 * scale), 1.0)
        alpha = pm.LogNormal("alpha", np.log(0.25), 0.5)
        beta = pm.LogNormal("beta", np.log(0.25), 0.5)
        sigma = pm.LogNormal("noise_scale", np.log(0.01), 1.0)
        nu = pm.Gamma("noise_dof", 2.0, 0.1)
        mean = pm.math.log(E + A * n**-alpha + B * d**-beta)
        pm.StudentT("log_loss", nu=nu, mu=mean, sigma=sigma, observed=np.log(loss))
        tree = pm.sample(
            2500, tune=1000, chains=2, random_seed=1, nuts_sampler="nutpie", target_accept=0.98,
            progressbar=False,
        )  # fmt: skip
    c = {name: value.values[..., None] for name, value in tree["posterior"].data_vars.items()}
    mean = np.log(c["E"] + c["A"] * n ** -c["alpha"] + c["B"] * d ** -c["beta"])
    density = scipy.stats.t.logpdf(np.log(loss), c["noise_dof"], mean, c["noise_scale"])
    tree["log_likelihood"] = xr.DataTree(
        xr.Dataset({"log_loss": (("chain", "draw", "run"), density)})
    )
    return tree


def test_the_posterior_is_that_of_the_model_by_hand(by_hand, olmo_fit):
    ours, theirs = olmo_fit.posterior, by_hand["posterior"].to_dataset()
    for name in ours:
        errors = [float(arviz.mcse(draws[name].values)) for draws in (ours, theirs)]
        difference = float(ours[name].mean() - theirs[name].mean())
        assert abs(difference) < 4 * np.hypot(*errors), name
        assert float(ours[name].std() / theirs[name].std()) == pytest.approx(1, abs=0.15), name


def test_the_score_is_that_of_arviz_on_the_model_by_hand(by_hand, olmo_fit):
    ours = bs.compare({"a": olmo_fit, "b": olmo_fit}).loc["a"]
    theirs = arviz.loo(by_hand, var_name="log_loss")
    assert ours.elpd == pytest.approx(theirs.elpd, abs=0.3)
    assert ours.se == pytest.approx(theirs.se, rel=0.1)
    assert ours.p == pytest.approx(theirs.p, abs=0.4)


@pytest.fixture(scope="module")
def made_up(olmo_fit):
    """A fit to the same runs whose log-likelihood is lower by a known amount for each run."""

    def lowered(by):
        tree = olmo_fit.tree.copy()
        density = tree["log_likelihood"].to_dataset()
        tree["log_likelihood"] = xr.DataTree(density - by)
        tree.attrs = olmo_fit.tree.attrs
        return bs.Fit(dense, tree)

    return lowered


def test_the_better_law_comes_first(olmo_fit, made_up):
    loss = xr.DataArray(np.linspace(0.1, 0.5, 30), dims="run", coords={"run": olmo_fit.runs.run})
    table = bs.compare({"worse": made_up(loss), "best": olmo_fit})
    assert table.index.tolist() == ["best", "worse"]
    assert table.index.name == "law"
    assert table.columns.tolist() == [
        *("elpd", "se", "elpd_diff", "dse", "p_worse", "p", "weight", "pareto_k")
    ]
    assert table.elpd_diff["best"] == 0
    assert table.elpd_diff["worse"] == pytest.approx(-loss.sum().item(), rel=1e-6)
    assert table.dse["worse"] == pytest.approx(np.sqrt(30) * loss.std().item(), rel=1e-6)
    assert table.p_worse["worse"] > 0.99
    assert table.weight["best"] == pytest.approx(1, abs=1e-3)
    scores = arviz.loo(olmo_fit.tree, var_name="log_loss", pointwise=True)
    assert table.elpd["best"] == pytest.approx(scores.elpd, rel=1e-9)
    assert table.pareto_k.tolist() == pytest.approx([float(scores.pareto_k.max())] * 2)


def test_different_runs_are_refused(olmo_fit, hoffmann_fit):
    with pytest.raises(
        bs.InputError, match=r"'ladder' was fitted to 30 runs and 'chinchilla' to 240: .*same table"
    ):
        bs.compare({"ladder": olmo_fit, "chinchilla": hoffmann_fit})


def test_different_losses_of_as_many_runs_are_refused(olmo_fit):
    tree = olmo_fit.tree.copy()
    losses = tree["observed_data"].to_dataset().copy(deep=True)
    losses["log_loss"][4] += 0.01
    tree["observed_data"] = xr.DataTree(losses)
    with pytest.raises(bs.InputError, match=r"different losses \(first at row 4: .*same order"):
        bs.compare({"one": olmo_fit, "other": bs.Fit(dense, tree)})


def test_what_cannot_be_compared_is_refused(olmo, olmo_fit):
    with pytest.raises(bs.InputError, match=r"at least two fits, not 1"):
        bs.compare({"one": olmo_fit})
    with pytest.raises(bs.InputError, match=r"at least two fits, not 0"):
        bs.compare({})
    with pytest.raises(bs.InputError, match=r"give fits by name, .*not a list"):
        bs.compare([olmo_fit, olmo_fit])
    for other in (bs.published(dense, "besiroglu2024"), bs.prior(dense, olmo, draws=5)):
        with pytest.raises(bs.InputError, match=r"'other' was not fitted to runs"):
            bs.compare({"one": olmo_fit, "other": other})
    with pytest.raises(bs.InputError, match=r"by='waic' is not known; choose 'loo'"):
        bs.compare({"one": olmo_fit, "two": olmo_fit}, by="waic")


def test_scores_that_are_unreliable_are_said_to_be(olmo):
    few = olmo.iloc[::3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.FitWarning)
        fits = {
            noise: bs.fit(dense, few, method="laplace", noise=noise, seed=1)
            for noise in ("normal", "student_t")
        }
    with pytest.warns() as caught:
        table = bs.compare(fits)
    # Ten runs and seven parameters: leaving one out moves the posterior. ArviZ's own words, which
    # name no law, are not repeated.
    for name in table.index[table.pareto_k > 0.7]:
        assert any(str(one.message).startswith(f"{name!r}: Pareto k") for one in caught)
    assert (table.pareto_k > 0.7).any()
    assert {one.category for one in caught} == {bs.FitWarning}
