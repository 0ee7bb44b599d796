"""Power-scaling: reweighted decisions are those of refits, and what is said of them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import bayescale as bs
from bayescale.checking.prior_scores import log_priors, problem_of
from bayescale.checking.prior_sensitivity import MIN_SENSITIVITY
from bayescale.models import dense

BUDGET = 1e23
QUICK = {"method": "laplace", "seed": 1}
MANY = QUICK | {"draws": 10_000}


def raised(prior, power):
    """The prior to a power, which is of the same family."""
    if prior.distribution == "gamma":
        return replace(prior, a=prior.a * power, b=prior.b * power)
    return replace(prior, b=prior.b / math.sqrt(power))


@pytest.fixture(scope="module")
def in_conflict(olmo):
    """A fit with a prior that the runs contradict, and which therefore moves the plan."""
    return bs.fit(dense, olmo, priors={"beta": bs.exponent(0.35, 0.25)}, **MANY)


@pytest.fixture(scope="module")
def table(olmo_fit):
    return bs.prior_sensitivity(olmo_fit, BUDGET)


@pytest.mark.parametrize("what", ["beta", "all priors"])
def test_reweighted_medians_are_those_of_refits(olmo, in_conflict, what):
    row = bs.prior_sensitivity(in_conflict, BUDGET).loc[what]
    priors = problem_of(in_conflict).coordinates.priors
    names = list(priors) if what == "all priors" else [what]
    for power, column in [(0.8, "N_weaker"), (1.25, "N_stronger")]:
        changed = {"beta": priors["beta"]} | {n: raised(priors[n], power) for n in names}
        refitted = bs.allocate(bs.fit(dense, olmo, priors=changed, **MANY), BUDGET).N.median()
        assert abs(math.log(row[column] / row.N_as_is)) > 0.05
        # Of 40,000 draws in all: four standard errors of either median.
        assert math.log(row[column] / float(refitted)) == pytest.approx(0, abs=0.015)


def test_so_are_those_of_weighted_runs(olmo):
    fits = {
        w: bs.fit(dense, olmo.assign(weight=w), weights="weight", **MANY) for w in (0.5, 0.4, 0.625)
    }
    row = bs.prior_sensitivity(fits[0.5], BUDGET).loc["runs"]
    for weight, column in [(0.4, "N_weaker"), (0.625, "N_stronger")]:
        refitted = float(bs.allocate(fits[weight], BUDGET).N.median())
        assert abs(math.log(row[column] / row.N_as_is)) > 0.02
        assert math.log(row[column] / refitted) == pytest.approx(0, abs=0.015)


def test_the_index_is_arviz_s(olmo_fit, table):
    from arviz_stats import psense

    logs = log_priors(problem_of(olmo_fit), olmo_fit)
    axes = ("chain", "draw")
    posterior = xr.Dataset({"N": np.log(bs.allocate(olmo_fit, BUDGET).N)}).drop_vars("budget")
    tree = xr.DataTree.from_dict(
        {
            "posterior": posterior,
            "log_prior": xr.Dataset({n: (axes, x) for n, x in logs.items()}, posterior.coords),
            "log_likelihood": olmo_fit.tree["log_likelihood"].to_dataset(),
        }
    )
    assert table.psense["beta"] == pytest.approx(float(psense(tree, group_var_names="beta").N))
    assert table.psense["all priors"] == pytest.approx(float(psense(tree).N))
    assert table.psense["runs"] == pytest.approx(float(psense(tree, group="likelihood").N))


def test_a_table_of_every_component(olmo_fit, table):
    priors = [*dense.coefficients, "noise_scale", "noise_dof"]
    assert list(table.index) == [*priors, "all priors", "runs"]
    as_is = float(bs.allocate(olmo_fit, BUDGET).N.median())
    np.testing.assert_allclose(table.N_as_is, as_is, rtol=1e-3)
    assert table.attrs["budget"] == BUDGET
    assert table.attrs["of"] == "N"
    moved = np.log(table[["N_weaker", "N_stronger"]].div(table.N_as_is, axis=0)).abs().max(axis=1)
    np.testing.assert_allclose(np.log(table["shift"] / 100 + 1).abs(), moved)
    assert table.ok.all()
    # 6 N D is what there is to spend.
    np.testing.assert_allclose((1 + table["shift"] / 100) * (1 + table.D_shift / 100), 1, rtol=1e-3)


def test_the_runs_decide_where_no_prior_does(table):
    assert (table.psense.drop("runs") < MIN_SENSITIVITY).all()
    assert not table.said.any()
    reading = table.attrs["reading"]
    assert reading.startswith("Of the priors, that of beta moves the median N at 1e+23 FLOP")
    assert reading.endswith("No prior has a sensitivity of 0.05: the runs decide.")


def test_a_prior_that_the_runs_contradict_is_said(in_conflict):
    found = bs.prior_sensitivity(in_conflict, BUDGET)
    assert found.psense["beta"] > MIN_SENSITIVITY
    assert found.said["beta"] == "potential prior-data conflict"
    assert "depends on the runs and on the prior of beta" in found.attrs["reading"]


@pytest.mark.filterwarnings("ignore::bayescale.AllocationWarning")
def test_runs_that_say_little_leave_the_plan_to_the_priors(olmo):
    runs = olmo[(olmo.D / olmo.N).between(18, 22)]
    with pytest.warns(bs.DesignWarning, match="share one D/N"):
        fit = bs.fit(dense, runs, seed=1)
    found = bs.prior_sensitivity(fit, 1e22)
    assert (found.psense[["A", "B"]] > found.psense["runs"]).all()
    assert found.said["all priors"] == "potential strong prior or weak likelihood"
    assert found.said["runs"] == "weak likelihood"
    assert "it is the prior's word, mostly that of " in found.attrs["reading"]


def test_other_quantities(olmo_fit, table):
    loss = bs.prior_sensitivity(olmo_fit, BUDGET, of="loss")
    assert loss.attrs["of"] == "loss"
    np.testing.assert_allclose(loss["shift"], table.loss_shift)
    np.testing.assert_allclose(loss.N_shift, table["shift"])
    assert "median loss at 1e+23 FLOP" in loss.attrs["reading"]
    with pytest.raises(bs.InputError, match="of='S' is nothing that budget and draws decide"):
        bs.prior_sensitivity(olmo_fit, BUDGET, of="S")
    with pytest.raises(bs.InputError, match="choose one of 'loss'"):
        bs.prior_sensitivity(olmo_fit, BUDGET, of="N", fixed={"N": 1e10})


def test_the_default_budget_is_ten_times_the_largest_run(olmo, olmo_fit):
    found = bs.prior_sensitivity(olmo_fit)
    assert found.attrs["budget"] == pytest.approx(60 * (olmo.N * olmo.D).max())
    with pytest.raises(bs.InputError, match="budget is one number"):
        bs.prior_sensitivity(olmo_fit, [1e22, 1e23])


@bs.law
def without_cost(N, D, *, E=bs.floor(), A=bs.amplitude(), alpha=bs.exponent(), B=bs.amplitude()):
    """A law with no cost model."""
    return E + A * N**-alpha + B * D**-0.3


def test_a_law_without_cost_is_asked_for_the_loss_of_a_larger_run(olmo):
    fit = bs.fit(without_cost, olmo, priors={"B": 1.0}, **QUICK)
    found = bs.prior_sensitivity(fit)
    assert found.attrs["budget"] is None
    largest = olmo.loc[(olmo.N * olmo.D).idxmax()]
    there = {name: largest[name] * math.sqrt(10) for name in ("N", "D")}
    loss = bs.predict(fit, mean=True, **there).median()
    np.testing.assert_allclose(found.loss_as_is, float(loss), rtol=1e-6)
    assert "median loss at N = " in found.attrs["reading"]
    with pytest.raises(bs.InputError, match="no cost model"):
        bs.prior_sensitivity(fit, 1e23)


def test_groups_are_asked_one_at_a_time():
    runs = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    fit = bs.fit(dense, runs, by="corpus", vary=("E", "A"), pool="none", **QUICK)
    with pytest.raises(bs.InputError, match="coefficients for each 'corpus'"):
        bs.prior_sensitivity(fit, 1e22)
    found = bs.prior_sensitivity(fit, 1e22, group="rpj")
    one = float(bs.allocate(bs.group(fit, "rpj"), 1e22).N.median())
    np.testing.assert_allclose(found.N_as_is, one, rtol=1e-3)
    assert {"E", "A", "alpha"} < {*found.index}


def test_a_fit_that_failed_its_diagnostics_is_said(olmo):
    with pytest.warns(bs.FitWarning):
        fit = bs.fit(dense, olmo, method="laplace", draws=50, chains=2, seed=1)
    assert "failed its diagnostics" in bs.prior_sensitivity(fit, BUDGET).attrs["reading"]


def test_what_has_no_prior_is_refused(olmo_fit):
    with pytest.raises(bs.InputError, match="published coefficients"):
        bs.prior_sensitivity(bs.published(dense, "besiroglu2024"), BUDGET)
    with pytest.raises(bs.InputError, match="each of its fits"):
        bs.prior_sensitivity(bs.average({"a": olmo_fit, "b": olmo_fit}, {"a": 1, "b": 1}), BUDGET)
