"""What ArviZ and PyMC make of a fit: their functions on its tree, their numbers against ours."""

import inspect
import warnings

import arviz as az
import numpy as np
import pymc as pm
import pytest
import xarray as xr

import bayescale as bs
from bayescale.checking.elpd import loo_scores
from bayescale.fitting.refits import options_of, table_of
from bayescale.models import dense

QUIET = {"executor": None, "seed": 1, "progress": False}


@pytest.fixture(scope="module")
def tree(olmo_fit):
    return bs.to_arviz(olmo_fit)


def test_the_tree_has_what_arviz_expects(olmo, olmo_fit, tree):
    assert set(tree.children) == {
        *("posterior", "sample_stats", "log_likelihood", "log_prior", "observed_data"),
        *("posterior_predictive", "prior", "prior_predictive", "constant_data", "runs"),
    }
    for name in ("posterior_predictive", "prior_predictive", "log_likelihood"):
        assert tree[name]["log_loss"].dims == ("chain", "draw", "run")
        assert tree[name].run.equals(tree["observed_data"].run)
    assert set(tree["prior"].data_vars) == set(tree["posterior"].data_vars)
    assert tree["constant_data"]["N"].attrs["units"] == "parameters"
    assert tree["posterior"]["E"].attrs["units"] == "nats per token"
    np.testing.assert_array_equal(tree["constant_data"]["N"], olmo.N)
    # The fit is as it was, and what it saves is as small as it was.
    assert "prior" not in olmo_fit.tree


def test_runs_go_by_their_names(olmo):
    named = olmo.set_axis([f"run {i}" for i in range(len(olmo))])
    tree = bs.to_arviz(bs.fit(dense, named, method="laplace", seed=1))
    assert az.loo(tree, pointwise=True).elpd_i.run.values[3] == "run 3"


def test_coefficients_in_the_paper_s_units(olmo_fit, tree):
    raw = bs.to_arviz(olmo_fit, units="raw")
    for name, draws in bs.coefficients(olmo_fit, units="raw").items():
        xr.testing.assert_allclose(raw["posterior"][name], draws)
    assert raw["posterior"]["A"].attrs["units"] == "raw units"
    assert float(raw["prior"]["A"].median()) > 10 * float(tree["prior"]["A"].median())
    assert raw["log_prior"].equals(tree["log_prior"])


def test_leave_one_out_is_arviz_s(olmo_fit, tree):
    ours = loo_scores(olmo_fit, **QUIET)
    theirs = az.loo(olmo_fit.tree, pointwise=True)
    sampled = ~ours.exact
    np.testing.assert_allclose(ours.pointwise[sampled], theirs.elpd_i[sampled], atol=1e-6)
    np.testing.assert_allclose(ours.pareto_k, theirs.pareto_k, atol=1e-6)
    pit = az.loo_pit(tree).log_loss
    assert 0 <= float(pit.min()) <= float(pit.max()) <= 1
    # Probability of a smaller residual: from draws by ArviZ, in closed form by us.
    closed = bs.residuals(olmo_fit).pit
    np.testing.assert_allclose(pit, closed, atol=0.05)


def test_the_replicated_runs_are_those_of_predict(olmo, olmo_fit, tree):
    loss = bs.predict(olmo_fit, N=olmo.N, D=olmo.D, seed=5)
    ours = np.log(loss).quantile([0.1, 0.5, 0.9], dim=("chain", "draw"))
    theirs = tree["posterior_predictive"]["log_loss"].quantile(
        [0.1, 0.5, 0.9], dim=("chain", "draw")
    )
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_the_prior_is_that_of_bs_prior(olmo, tree):
    prior = bs.prior(dense, olmo, draws=1000, seed=0)
    for name, draws in prior.posterior.items():
        np.testing.assert_array_equal(tree["prior"][name], draws)


@pytest.mark.parametrize("noise", ["student_t", "scaled"])
def test_pymc_agrees_with_the_tree(olmo, noise):
    fit = bs.fit(dense, olmo, noise=noise, draws=40, chains=2, tune=300, seed=1)
    tree, model = bs.to_arviz(fit), bs.model(dense, olmo, noise=noise)
    bare = fit.tree.copy()
    del bare["log_likelihood"]
    with model:
        pm.compute_log_prior(bare, model=model, progressbar=False)
        pm.compute_log_likelihood(bare, model=model, progressbar=False)
    for name, density in tree["log_prior"].data_vars.items():
        np.testing.assert_allclose(density, bare["log_prior"][name], rtol=1e-6, atol=1e-6)
    ours, theirs = (one["log_likelihood"]["log_loss"] for one in (tree, bare))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["weighted", "errors", "grouped", "calibrated"])
def test_model_and_tree_agree_on_every_kind(of_kind, kind):
    """Names, likelihoods and replicated runs, of PyMC's model and of the tree."""
    fit = of_kind(kind)
    model = bs.model(fit.law, table_of(fit), **model_options(fit))
    followed = {"discrepancy", "discrepancy_level"}  # from what is sampled
    assert {rv.name for rv in model.free_RVs} == set(fit.posterior.data_vars) - followed
    few = fit.tree.copy(deep=True)
    kept = few["log_likelihood"]["log_loss"]
    del few["log_likelihood"]
    with model:
        pm.compute_log_likelihood(few, model=model, progressbar=False)
        pm.sample_posterior_predictive(
            few, extend_inferencedata=True, progressbar=False, random_seed=1
        )
    np.testing.assert_allclose(few["log_likelihood"]["log_loss"], kept, rtol=1e-6, atol=1e-6)
    ours = bs.to_arviz(fit)["posterior_predictive"]["log_loss"]
    q = {"q": [0.25, 0.5, 0.75], "dim": ("chain", "draw")}
    ours, theirs = (x.quantile(**q) for x in (ours, few["posterior_predictive"]["log_loss"]))
    # Of 1,000 draws a quartile's error is 0.045 of their range; of two, 0.063.
    width = ours.sel(quantile=0.75) - ours.sel(quantile=0.25)
    assert float((abs(ours - theirs) / width).max()) < 0.27


def model_options(fit):
    """What ``bs.model`` is told of a fit."""
    taken = inspect.signature(bs.model).parameters
    return {name: x for name, x in options_of(fit).items() if name in taken}


def test_pymc_predicts_new_runs_as_we_do(olmo_fit, olmo):
    """Its out-of-sample idiom, with inputs as one writes them."""
    few = bs.Fit(dense, olmo_fit.tree.isel(draw=slice(None, None, 5)))
    with bs.model(dense, olmo) as model:
        coords = {"run": ["7B", "13B"]}
        pm.set_data({"N": [7e9, 13e9], "D": [4e12, 5e12]}, coords=coords)
        found = pm.sample_posterior_predictive(
            few.tree, predictions=True, progressbar=False, random_seed=1, var_names=["log_loss"]
        )
    assert model.named_vars_to_dims["log_loss"] == ("run",)
    theirs = found["predictions"]["log_loss"].median(("chain", "draw"))
    ours = np.log(bs.predict(few, mean=True, N=[7e9, 13e9], D=[4e12, 5e12])).median(
        ("chain", "draw")
    )
    np.testing.assert_allclose(theirs, ours, atol=2e-3)


def test_predictions_have_constant_data_of_their_own(olmo_fit):
    inputs = {"N": [7e9, 13e9], "D": [4e12, 5e12]}
    tree = bs.to_arviz(olmo_fit, predictions=inputs, seed=3)
    expected = bs.predict(olmo_fit, seed=3, **inputs)
    np.testing.assert_array_equal(tree["predictions"]["loss"], expected)
    assert tree["predictions_constant_data"]["D"].values.tolist() == [4e12, 5e12]
    assert tree["predictions_constant_data"]["D"].attrs["units"] == "tokens"


# --- refits by ArviZ ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def quick(olmo):
    by_compute = olmo.sort_values("flops") if "flops" in olmo else olmo.sort_values("D")
    return bs.fit(dense, by_compute, method="laplace", seed=1)


def test_exact_leave_one_out_is_one_number_by_either(quick):
    ours = loo_scores(quick, **QUIET)
    good = 0.1  # refit whatever is not very good
    theirs = az.reloo(bs.arviz_refits(quick), k_threshold=good, pointwise=True)
    refitted = theirs.pareto_k.values == 0
    assert refitted.sum() >= 3
    both = refitted & ours.exact
    np.testing.assert_allclose(theirs.elpd_i.values[both], ours.pointwise[both], atol=1e-9)
    np.testing.assert_allclose(theirs.elpd_i, ours.pointwise, atol=0.25)


def test_folds_are_scored_alike_by_either(quick):
    groups = quick.runs["N"].values
    theirs = az.loo_kfold(
        quick.tree,
        bs.arviz_refits(quick),
        group_by=groups,
        k=len(np.unique(groups)),
        pointwise=True,
    )
    ours = bs.compare({"a": quick, "b": quick}, by="kfold", folds="N", progress=False)
    assert float(theirs.elpd) == pytest.approx(float(ours.elpd["a"]), abs=1e-6)


def test_leave_future_out(quick):
    found = az.lfo_cv(
        quick.tree,
        bs.arviz_refits(quick),
        min_observations=27,
        forecast_horizon=1,
        time_dim="run",
        method="exact",
    )
    runs = quick.runs.to_dataframe()
    first = bs.fit(dense, runs[:27], method="laplace", seed=1)
    from bayescale.prediction.scoring import log_score

    assert float(found.elpd_i[0]) == pytest.approx(log_score(first, runs[27:28], own=True)[0])


# --- every function on every kind -----------------------------------------------------------------

FUNCTIONS = {
    "loo": lambda fit, tree: az.loo(fit.tree),
    "summary": lambda fit, tree: az.summary(fit.tree),
    "diagnose": lambda fit, tree: az.diagnose(fit.tree),
    "loo_pit": lambda fit, tree: az.loo_pit(tree),
    "loo_score": lambda fit, tree: az.loo_score(tree),
    "psense_summary": lambda fit, tree: az.psense_summary(tree),
    "compare": lambda fit, tree: az.compare({"one": fit.tree, "other": tree}),
    "plot_ppc_dist": lambda fit, tree: az.plot_ppc_dist(tree, num_samples=10),
    "plot_loo_pit": lambda fit, tree: az.plot_loo_pit(tree),
    "plot_prior_posterior": lambda fit, tree: az.plot_prior_posterior(tree, var_names=["E", "A"]),
    "plot_forest": lambda fit, tree: az.plot_forest(fit.tree, var_names=["E", "alpha"]),
    "plot_khat": lambda fit, tree: az.plot_khat(az.loo(fit.tree, pointwise=True)),
    "plot_trace_dist": lambda fit, tree: az.plot_trace_dist(fit.tree, var_names=["E"]),
}


@pytest.mark.usefixtures("closed_figures")
@pytest.mark.parametrize(
    "kind", ["plain", "calibrated", "grouped", "weighted", "errors", "laplace"]
)
def test_arviz_s_functions_run_on_every_kind(of_kind, kind):
    fit = of_kind(kind)
    tree = bs.to_arviz(fit, prior_draws=200)
    for name, function in FUNCTIONS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert function(fit, tree) is not None or name == "diagnose", name
