"""Comparison: scores are those of ArviZ on a model by hand, and unlike things are refused."""

import json
from dataclasses import replace

import arviz
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

import bayescale as bs
from bayescale.checking.comparison import _ranked
from bayescale.checking.elpd import held_out_scores, loo_scores
from bayescale.models import dense, sparse
from bayescale.prediction.scoring import log_score

UNRELIABLE = pytest.mark.filterwarnings("ignore:.*Pareto k is too high")


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


def test_the_score_is_that_of_arviz_on_the_model_by_hand(by_hand, olmo):
    # A score of 4,000 draws is uncertain by 0.1.
    fit = bs.fit(dense, olmo, seed=1, draws=5000)
    ours = bs.compare({"a": fit, "b": fit}).loc["a"]
    theirs = arviz.loo(by_hand, var_name="log_loss")
    assert ours.elpd == pytest.approx(theirs.elpd, abs=0.3)
    assert ours.se == pytest.approx(theirs.se, rel=0.1)
    assert ours.p == pytest.approx(theirs.p, abs=0.4)


@pytest.mark.slow
def test_the_score_of_a_sparse_law_is_that_of_arviz_on_the_model_by_hand():
    import pymc as pm

    runs = bs.load_runs("frantar2023_t5").query("not target")
    loss = runs["loss"].to_numpy()
    scale = np.exp(np.log(loss).mean())
    n, d = (runs[name].to_numpy() / np.exp(np.log(runs[name]).mean()) for name in ("N_active", "D"))
    left = 1 - runs["S"].to_numpy()

    def law(c):
        penalty = c["a"] * left ** c["alpha"] + c["c"] * (1 - left)
        return c["e"] * left ** c["gamma"] + penalty * n ** -c["alpha"] + c["b"] * d ** -c["beta"]

    with pm.Model():
        c = {
            "e": pm.LogNormal("e", np.log(0.4 * scale), 0.6),
            "gamma": pm.Normal("gamma", 0.0, 0.5),
            "a": pm.LogNormal("a", np.log(0.2 * scale), 1.0),
            "alpha": pm.LogNormal("alpha", np.log(0.25), 0.5),
            "c": pm.Normal("c", 0.0, 0.3 * scale),
            "b": pm.LogNormal("b", np.log(0.2 * scale), 1.0),
            "beta": pm.LogNormal("beta", np.log(0.25), 0.5),
        }
        sigma = pm.LogNormal("noise_scale", np.log(0.01), 1.0)
        pm.Normal("log_loss", pm.math.log(law(c)), sigma, observed=np.log(loss))
        tree = pm.sample(
            2500, tune=1000, chains=2, random_seed=1, nuts_sampler="nutpie", target_accept=0.95,
            progressbar=False,
        )  # fmt: skip
    c = {name: value.values[..., None] for name, value in tree["posterior"].data_vars.items()}
    density = scipy.stats.norm.logpdf(np.log(loss), np.log(law(c)), c["noise_scale"])
    tree["log_likelihood"] = xr.DataTree(
        xr.Dataset({"log_loss": (("chain", "draw", "run"), density)})
    )
    theirs = arviz.loo(tree, var_name="log_loss", pointwise=True)
    fit = bs.fit(sparse, runs, noise="normal", seed=1)
    ours = bs.compare({"a": fit, "b": fit})
    assert ours.elpd["a"] == pytest.approx(theirs.elpd, abs=0.6)
    assert ours.se["a"] == pytest.approx(theirs.se, rel=0.05)
    assert ours.p["a"] == pytest.approx(theirs.p, abs=0.6)
    points = pd.DataFrame(ours.attrs["pointwise"]).query("law == 'a'").elpd
    assert np.abs(points.to_numpy() - theirs.elpd_i.values).max() < 0.15


@pytest.mark.slow
def test_exact_leave_one_out_agrees_with_importance_sampling(olmo_fit):
    each = {i: np.arange(30) == i for i in range(30)}
    exact = held_out_scores(olmo_fit, each, what="run", executor=None, seed=1, progress=False)
    quick = arviz.loo(olmo_fit.tree, var_name="log_loss", pointwise=True)
    assert exact.exact.all()
    assert exact.doubtful == 0
    assert exact.elpd == pytest.approx(quick.elpd, abs=0.5)
    assert exact.se == pytest.approx(quick.se, rel=0.1)
    assert exact.effective == pytest.approx(quick.p, abs=0.5)
    good = (quick.pareto_k <= quick.good_k).values
    assert good.sum() >= 28
    assert exact.pointwise[good] == pytest.approx(quick.elpd_i.values[good], abs=0.25)


@pytest.fixture(scope="module")
def made_up(olmo_fit):
    """A fit to the same runs whose log-likelihood is lower by a known amount for each run."""

    def lowered(by):
        tree = olmo_fit.tree.copy()
        density = tree["log_likelihood"].to_dataset()
        tree["log_likelihood"] = xr.DataTree(density - by)
        about = olmo_fit.about
        del about["options"]  # or runs would be left out by refits, which are not made up
        tree.attrs["bayescale"] = json.dumps(about)
        return bs.Fit(dense, tree)

    return lowered


@UNRELIABLE
def test_the_better_law_comes_first(olmo_fit, made_up):
    loss = xr.DataArray(np.linspace(0.1, 0.5, 30), dims="run", coords={"run": olmo_fit.runs.run})
    table = bs.compare({"worse": made_up(loss), "best": made_up(0.0)})
    assert table.index.tolist() == ["best", "worse"]
    assert table.index.name == "law"
    assert table.columns.tolist() == [
        *("elpd", "se", "elpd_diff", "dse", "p_worse", "p", "weight", "pareto_k", "refits")
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


def test_different_losses_of_as_many_runs_are_refused(olmo, olmo_fit):
    changed = olmo.copy()
    changed.loc[changed.index[4], "loss"] *= 1.01
    other = bs.fit(dense, changed, method="laplace", seed=1)
    with pytest.raises(bs.InputError, match=r"different losses \(first at row 4: .*same order"):
        bs.compare({"one": olmo_fit, "other": other})


def test_the_same_losses_in_another_order_or_unit_are_refused(olmo, olmo_fit):
    other = bs.fit(dense, olmo[::-1], method="laplace", seed=1)
    with pytest.raises(bs.InputError, match=r"the same losses in another order"):
        bs.compare({"one": olmo_fit, "other": other})
    bits = bs.fit(dense, olmo.assign(loss=olmo.loss / np.log(2)), method="laplace", seed=1)
    with pytest.raises(bs.InputError, match=r"those of 'nats' times 1.4427: .*another scale"):
        bs.compare({"nats": olmo_fit, "bits": bits})


def test_a_fit_that_failed_its_diagnostics_is_refused(olmo, olmo_fit):
    with pytest.warns(bs.FitWarning):
        short = bs.fit(dense, olmo, draws=20, chains=2, seed=1)
    with pytest.raises(bs.InputError, match=r"'short' failed its diagnostics .*draws=4000"):
        bs.compare({"long": olmo_fit, "short": short})
    with pytest.warns(bs.FitWarning):
        few = bs.fit(dense, olmo, method="laplace", draws=50, chains=2, seed=1)
    with pytest.raises(bs.InputError, match=r"'few' failed its diagnostics \(Pareto k"):
        bs.compare({"few": few, "few again": few})


def test_a_weighted_run_is_left_out_with_its_weight_and_scored_without(olmo):
    weighted = olmo.assign(weight=np.linspace(0.2, 1.0, len(olmo)))
    fit = bs.fit(dense, weighted, weights="weight", method="laplace", seed=1)
    scores = loo_scores(fit, executor=None, seed=1, progress=False)
    for i in (0, 12, 20):
        left = bs.fit(
            dense, weighted.drop(weighted.index[i]), weights="weight", method="laplace", seed=1
        )
        by_hand = log_score(left, weighted.iloc[[i]])[0]
        assert scores.pointwise[i] == pytest.approx(by_hand, abs=0.05)
    # Weights of one change nothing but the noise of the estimate.
    plain = bs.fit(dense, olmo, method="laplace", seed=1)
    ones = bs.fit(dense, olmo.assign(weight=1.0), weights="weight", method="laplace", seed=1)
    assert loo_scores(ones, executor=None, seed=1, progress=False).elpd == pytest.approx(
        loo_scores(plain, executor=None, seed=1, progress=False).elpd, abs=0.02
    )


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
    with pytest.raises(bs.InputError, match=r"by='waic' is not known; choose 'loo', 'kfold'"):
        bs.compare({"one": olmo_fit, "two": olmo_fit}, by="waic")


def test_runs_that_importance_sampling_fails_on_are_left_out_by_refits(olmo, olmo_fit):
    far_off = olmo.copy()
    far_off.iloc[7, olmo.columns.get_loc("loss")] *= 1.1
    fit = bs.fit(dense, far_off, noise="normal", seed=1)
    table = bs.compare({"one": fit, "other": bs.fit(dense, far_off, seed=1)})
    points = pd.DataFrame(table.attrs["pointwise"]).query("law == 'one'").reset_index()
    assert points.pareto_k[7] > 0.7
    assert table.pareto_k["one"] == points.pareto_k.max()
    assert points.exact[7]
    assert points.exact.tolist() == (points.pareto_k > 0.7).tolist()
    assert table.refits["one"] == points.exact.sum() < 30
    left = bs.fit(dense, far_off.drop(far_off.index[7]), noise="normal", seed=1)
    assert points.elpd[7] == pytest.approx(log_score(left, far_off[7:8])[0], rel=1e-9)
    assert table.elpd["one"] == pytest.approx(points.elpd.sum())
    assert table.se["one"] == pytest.approx(np.sqrt(30) * points.elpd.std(ddof=0))
    assert table.index[0] == "other"


def test_scores_that_are_unreliable_are_said_to_be(olmo):
    far_off = olmo.copy()
    far_off.iloc[7, olmo.columns.get_loc("loss")] *= 1.1
    fit = bs.fit(dense, far_off, noise="normal", seed=1)
    about = fit.about
    del about["options"]  # as if it came from a file that does not say how it was made
    tree = fit.tree.copy()
    tree.attrs["bayescale"] = json.dumps(about)
    old = bs.Fit(dense, tree)
    with pytest.warns(bs.FitWarning, match=r"^'old': Pareto k is too high at 1 of 30 runs"):
        table = bs.compare({"old": old, "new": fit})
    assert table.refits.to_dict() == {"old": 0, "new": 1}
    assert "Some scores of old are not reliable" in table.attrs["reading"]


@pytest.fixture(scope="module")
def pair(olmo):
    """Two noise models, quickly fitted."""
    return {
        noise: bs.fit(dense, olmo, noise=noise, method="laplace", seed=1)
        for noise in ("student_t", "normal")
    }


def test_folds_are_held_out_together(olmo, pair):
    table = bs.compare(pair, by="kfold", folds="N")
    points = pd.DataFrame(table.attrs["pointwise"]).query("law == 'normal'")
    size = olmo.N.iloc[0]
    left = bs.fit(dense, olmo[size != olmo.N], noise="normal", method="laplace", seed=1)
    by_hand = log_score(left, olmo[size == olmo.N])
    assert len(by_hand) > 1
    assert points.elpd.to_numpy()[(size == olmo.N).to_numpy()] == pytest.approx(by_hand)
    assert len(points) == 30
    assert table.refits.tolist() == [30, 30]
    assert table.pareto_k.isna().all()
    assert "left out in folds" in table.attrs["reading"]


def test_random_folds_come_from_the_seed(pair):
    first, again, other = (bs.compare(pair, by="kfold", folds=2, seed=i) for i in (1, 1, 2))
    assert first.elpd.tolist() == again.elpd.tolist()
    assert first.elpd.tolist() != other.elpd.tolist()
    assert (first.p > 0).all()


def test_the_future_is_predicted_from_smaller_runs_only(olmo, pair):
    table = bs.compare(pair, by="future", cuts=(0.2, 0.4))
    points = pd.DataFrame(table.attrs["pointwise"]).query("law == 'student_t'").set_index("run")
    scores = bs.backtest(dense, olmo, cuts=(0.2, 0.4), method="laplace", seed=1)
    mean = scores.groupby("run").log_score.mean()
    assert len(mean) == len(points) == table.attrs["runs"] < 15
    assert points.elpd.sort_index().to_numpy() == pytest.approx(
        mean[points.index.sort_values().astype(str)]
    )
    assert table.p.isna().all()
    assert "larger runs from the smaller ones" in table.attrs["reading"]
    assert "the standard errors are too small" in table.attrs["reading"]


def test_different_held_out_runs_are_refused(olmo, pair):
    @bs.law(cost=lambda N, D: N)
    def by_size(N, D, *, E=bs.floor(), A=bs.amplitude(), alpha=bs.exponent(), b=bs.exponent()):
        return E + A * N**-alpha * D**-b

    runs = olmo.drop(columns="flops")
    fits = {law.name: bs.fit(law, runs, method="laplace", seed=1) for law in (dense, by_size)}
    with pytest.raises(bs.InputError, match=r"would hold out different runs .*order='D'"):
        bs.compare(fits, by="future")
    assert len(bs.compare(fits, by="future", order="N", cuts=(0.2,))) == 2


@UNRELIABLE
def test_weights_are_stacked_or_by_score(olmo_fit, made_up):
    # Each predicts one half of the runs better: a mixture beats both.
    half = xr.DataArray(np.repeat([0.0, 3.0], 15), dims="run", coords={"run": olmo_fit.runs.run})
    fits = {"first": made_up(half), "second": made_up(3.1 - half)}
    stacked, scored = (bs.compare(fits, weights=how) for how in ("stacking", "pseudo-bma"))
    for table in (stacked, scored):
        assert table.weight.sum() == pytest.approx(1)
        assert table.index[0] == "first"
    assert stacked.weight["first"] == pytest.approx(0.5, abs=0.1)
    assert "not distinguishable" in stacked.attrs["reading"]
    # Of log scores that no exponential can hold, too.
    scores = loo_scores(olmo_fit, executor=None, seed=1, progress=False)
    far = replace(scores, pointwise=scores.pointwise - 5000)
    lost = _ranked({"it": scores, "lost": far}, "stacking")
    assert lost.weight.to_dict() == pytest.approx({"it": 1, "lost": 0}, abs=1e-6)


def test_a_law_that_predicts_worse_than_the_mean_is_refused(olmo_fit, made_up):
    everywhere = xr.full_like(olmo_fit.runs.N, 5000.0)
    with pytest.raises(bs.InputError, match=r"'hopeless' failed .*worse than their mean"):
        bs.compare({"best": made_up(0.0), "hopeless": made_up(everywhere)})


@UNRELIABLE
def test_the_reading_says_what_the_table_supports(olmo_fit, made_up):
    steps = xr.DataArray(np.linspace(0.3, 0.5, 30), dims="run", coords={"run": olmo_fit.runs.run})
    fits = {"best": made_up(0.0), "close": made_up(steps / 10), "worse": made_up(steps)}
    table = bs.compare(fits)
    assert table.attrs["distinguishable"] == {"best": False, "close": False, "worse": True}
    reading = table.attrs["reading"]
    assert (
        "best predicts these 30 runs, each left out in turn, better than worse (by 12.0 ±"
        in reading
    )
    assert "best and close are not distinguishable by how they predict these 30 runs" in reading
    assert "the difference of 1.2 is below 4" in reading
    assert "With 30 runs the standard errors are themselves uncertain" in reading


def test_what_is_held_out_must_make_sense(pair):
    for options, said in [
        ({"by": "kfold", "folds": 1}, r"folds is a whole number from 2 to 30"),
        ({"by": "kfold", "folds": "corpus"}, r"folds='corpus' is neither a number nor a column"),
        ({"by": "future", "cuts": ()}, r"cuts is empty"),
        ({"by": "future", "cuts": (0.95,)}, r"cut 0.95 leaves 1 of 30 runs to fit the 5"),
        ({"by": "future", "order": "depth"}, r"no column 'depth'"),
        ({"weights": "waic"}, r"weights='waic' is not known"),
    ]:
        with pytest.raises(bs.InputError, match=said):
            bs.compare(pair, **options)
