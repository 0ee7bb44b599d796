"""Every public verb on every kind of fit: it is right, or it says why not and what to do.

Each verb is checked against another: an optimum's loss is the one predicted there, a plan's is the
one predicted there, and so on. What is refused is listed, with what is said.
"""

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import KINDS

import bayescale as bs
from bayescale import plotting

BUDGET = 1e23
#: Inputs of a run of each law, plain units.
RUN = {"N": 7e9, "D": 4e12, "depth": 32.0}


def run_for(fit):
    """A run as the fit's law (an average's first law) takes it."""
    law = next(iter(fit.fits.values())).law if isinstance(fit, bs.Average) else fit.law
    return {name: RUN[name] for name in law.inputs}


def choices(fit):
    """What the budget cannot decide."""
    return {"fixed": {"depth": 32.0}} if "depth" in run_for(fit) else {}


def law_at(fit, **inputs):
    return bs.predict(fit, mean=True, **inputs)


# --- the verbs: each with a fit, and what must then hold ------------------------------------------


def predict(fit):
    inputs = run_for(fit)
    centre = law_at(fit, **inputs)
    assert (centre > 0).all()
    new = bs.predict(fit, seed=1, **inputs)
    assert new.sizes == centre.sizes
    # A run's median is the law's loss, and runs scatter about it.
    z = np.log(new / centre)
    assert abs(float(z.median())) < 4 * float(z.std()) / np.sqrt(z.size)
    assert float(np.log(new).std()) > float(np.log(centre).std())


def interval(fit):
    low, high = bs.interval(law_at(fit, **run_for(fit)), 0.5).T.values.reshape(2, -1)
    assert (low <= high).all()


def allocate(fit):
    best = bs.allocate(fit, [1e21, BUDGET], **choices(fit))
    plan = {name: best[name] for name in run_for(fit)}
    members = fit.members.values() if isinstance(fit, bs.Average) else [fit]
    start = 0
    for one in members:
        here = slice(start, start := start + one.posterior.sizes["draw"])
        part = best.isel(draw=here) if isinstance(fit, bs.Average) else best
        labels = {name: one.posterior[name].values for name in ("chain", "draw")}
        own = {name: part[name].drop_vars("law", errors="ignore") for name in plan}
        own = {name: x.assign_coords(labels) for name, x in own.items()}
        np.testing.assert_allclose(law_at(one, **own), part.loss, rtol=1e-9)
    np.testing.assert_allclose(6 * best.N * best.D / best.budget, 1.0, rtol=1e-6)


def decide(fit):
    plan = bs.decide(fit, BUDGET, **choices(fit))
    again = law_at(fit, **{name: plan[name].item() for name in run_for(fit)})
    np.testing.assert_allclose(np.sort(plan.loss.values.ravel()), np.sort(again.values.ravel()))
    assert plan.expected_loss.item() == pytest.approx(float(again.mean()))
    best = bs.allocate(fit, BUDGET, **choices(fit)).loss
    assert plan.expected_regret.item() == pytest.approx(float(again.mean() - best.mean()), abs=1e-9)


def required_budget(fit):
    best = bs.allocate(fit, BUDGET, **choices(fit))
    goal = float(best.loss.quantile(0.6)) + 1e-6
    need = bs.required_budget(fit, goal, **choices(fit))
    # As many draws need less than the budget as do better than the goal at it.
    assert float((need < BUDGET).mean()) == pytest.approx(
        float((best.loss < goal).mean()), abs=0.02
    )


def probability(fit):
    options = choices(fit)
    for at in ("optimum", "plan"):
        odds = bs.probability(fit, fit, BUDGET, plan_a=options, plan_b=options, at=at)
        assert odds.probability.item() == 0.0
    small = options | {"bounds": {"N": (1e8, 3e8)}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.AllocationWarning)
        odds = bs.probability(fit, fit, BUDGET, plan_a=options, plan_b=small)
    assert odds.probability.item() > 0.9


def choices_of_a_size(fit):
    sizes = [3e9, 12e9, 48e9]
    found = bs.choices(fit, BUDGET, choose={"N": sizes}, trust=True, **choices(fit))
    assert found.probability.sum() == pytest.approx(1.0)
    for i, size in enumerate(sizes):
        options = choices(fit).get("fixed", {}) | {"N": size}
        plan = bs.decide(fit, BUDGET, fixed=options, trust=True)
        assert found.expected_loss[i].item() == pytest.approx(plan.expected_loss.item())


def score_plans(fit):
    plan = bs.decide(fit, BUDGET, trust=True, **choices(fit))
    row = {name: [plan[name].item()] for name in run_for(fit)}
    found = bs.score_plans(fit, pd.DataFrame(row), **choices(fit))
    assert found.flops.item() == pytest.approx(BUDGET)
    for name in ("expected_loss", "expected_regret"):
        assert found[name].item() == pytest.approx(plan[name].item(), abs=1e-6)


def worth_of_more(fit):
    found = bs.worth_of_more(fit, BUDGET, times=4.0, **choices(fit))
    best = bs.allocate(fit, [BUDGET, 4 * BUDGET], **choices(fit)).loss
    gain = best.isel(budget=0).values - best.isel(budget=1).values
    np.testing.assert_allclose(found.gain.values, gain, atol=1e-9)


def efficiency_leverage(fit):
    found = bs.efficiency_leverage(fit, fit, BUDGET, dense_plan=choices(fit), moe_plan=choices(fit))
    # It is the least budget that does as well: a wandering discrepancy may have come there before.
    assert float(found.max()) == pytest.approx(1.0, abs=1e-5)
    assert float((found > 0.99999).mean()) > 0.98


def next_runs(fit):
    ranked = bs.next_runs(fit, target=run_for(fit), most=3e21)
    assert len(ranked) > 0


def propose_runs(fit):
    found = bs.propose_runs(fit)
    assert set(run_for(fit)) <= set(found.columns)


def coefficients(fit):
    drawn = bs.coefficients(fit, units="raw")
    inputs = run_for(fit)
    again = fit.law(**inputs, **drawn)
    reference = {n: x / fit.reference[n] for n, x in inputs.items()}
    own = fit.law(**reference, **bs.coefficients(fit))
    np.testing.assert_allclose(again, own.transpose(*again.dims), rtol=1e-9)


def diagnose(fit):
    table = bs.diagnose(fit)
    assert table.attrs["ok"]
    assert (table[["ess_bulk", "ess_tail"]] >= table.attrs["needed_ess"]).all(axis=None)


def save_and_load(fit, tmp_path):
    fit.save(tmp_path / "fit.nc")
    again = bs.load_fit(tmp_path / "fit.nc", law=fit.law)
    xr.testing.assert_equal(again.posterior, fit.posterior)
    assert again.about == fit.about
    if fit.runs is not None:
        pd.testing.assert_frame_equal(
            again.runs.to_dataframe(), fit.runs.to_dataframe(), check_dtype=False
        )


def shown_in_a_notebook(fit):
    if isinstance(fit, bs.Average):
        assert "Average of" in repr(fit)
        return
    shown = fit._repr_html_()
    assert fit.law.name in shown
    assert all(name in shown for name in fit.law.coefficients)


def compare(fit):
    other = fit
    if isinstance(fit, bs.Fit) and "discrepancy" in fit.posterior:
        # One textbook fit in place of the same refits twice.
        other = bs.fit(fit.law, fit.runs.to_dataframe(), method="laplace", seed=1)
    table = bs.compare({"one": fit, "other": other}, progress=False)
    assert table.elpd_diff.iloc[0] == 0.0
    assert (other is fit) == (table.elpd_diff.iloc[1] == 0.0)
    assert np.isfinite(table.elpd).all()


def residuals(fit):
    table = bs.residuals(fit)
    assert len(table) == 30
    assert table.pit.between(0, 1).all()


def check_residuals(fit):
    # Refits of single runs are what `residuals` asks, of every kind of fit.
    assert "LOO-PIT" in bs.check_residuals(fit, exact=False).index


def check_law_free(fit):
    found = bs.check_law_free(fit)
    # No budget of this table was spent on several sizes, but it tells whether size and data couple.
    assert found.index.tolist() == (
        ["product", "coupling k"] if set(run_for(fit)) == {"N", "D"} else []
    )
    assert found.attrs["reading"]


def prior_overlap(fit):
    table = bs.prior_overlap(fit)
    assert table.overlap.between(0, 1).all()
    assert set(fit.law.coefficients) <= {str(name).split("[")[0] for name in table.index}


def prior_sensitivity(fit):
    group = str(fit.posterior.corpus.values[0]) if fit.about.get("by") else None
    budget = BUDGET if "N" in run_for(fit) else None  # without a cost model no budget buys a run
    table = bs.prior_sensitivity(fit, budget, group=group, **choices(fit))
    assert np.isfinite(table.select_dtypes("number")).all(axis=None)


def average(fit):
    both = bs.average({"one": fit, "same": fit}, {"one": 1, "same": 1})
    inputs = run_for(fit)
    ours, theirs = (float(law_at(x, **inputs).mean()) for x in (both, fit))
    assert ours == pytest.approx(theirs, rel=2e-3)


def to_arviz(fit):
    tree = bs.to_arviz(fit, prior_draws=50)
    assert set(tree["prior"].data_vars) == set(fit.posterior.data_vars)
    assert tree["posterior_predictive"]["log_loss"].sizes["run"] == 30


def arviz_refits(fit):
    wrapper = bs.arviz_refits(fit)
    kept, left_out = wrapper.sel_observations([0, 3])
    assert (len(kept), len(left_out)) == (28, 2)
    density = wrapper.log_likelihood__i(left_out, fit.tree)
    stored = fit.tree["log_likelihood"]["log_loss"].isel(run=[0, 3])
    weights = 1.0 if fit.run_weights is None else fit.run_weights[[0, 3]]
    np.testing.assert_allclose(density * weights, stored, rtol=1e-6, atol=1e-8)


def write_report(fit, tmp_path):
    path = tmp_path / "report.html"
    bs.write_report(fit, path, budget=BUDGET, **choices(fit))
    said = f"{bs.decide(fit, BUDGET, **choices(fit)).expected_regret.item():.4f}"
    if fit.about.get("published"):
        said = "Published coefficients carry no uncertainty"
    assert said in path.read_text()


def plot_fit(fit):
    assert plotting.plot_fit(fit) is not None


def plot_pit(fit):
    assert plotting.plot_pit(fit, exact=False) is not None


def plot_residuals(fit):
    assert plotting.plot_residuals(fit, exact=False) is not None


def plot_prior_posterior(fit):
    assert plotting.plot_prior_posterior(fit) is not None


def plot_coefficients(fit):
    assert plotting.plot_coefficients(fit) is not None


def plot_predictions(fit):
    runs = pd.DataFrame({"N": [7e9, 13e9], "D": [4e12, 5e12], "depth": 32.0, "loss": [2.1, 2.0]})
    runs = runs.assign(corpus="web") if getattr(fit, "runs", None) is not None else runs
    assert plotting.plot_predictions(fit, runs) is not None


def plot_allocation(fit):
    assert plotting.plot_allocation(fit, (1e21, BUDGET), **choices(fit)) is not None


def plot_isoflop(fit):
    assert plotting.plot_isoflop(fit, BUDGET, **choices(fit)) is not None


def plot_regret(fit):
    assert plotting.plot_regret(fit, (1e21, BUDGET), **choices(fit)) is not None


VERBS = {"choices": choices_of_a_size} | {
    function.__name__: function
    for function in (
        *(predict, interval, allocate, decide, required_budget, probability, efficiency_leverage),
        *(score_plans, worth_of_more),
        *(next_runs, propose_runs, coefficients, diagnose, save_and_load, shown_in_a_notebook),
        *(compare, residuals, check_residuals, check_law_free, prior_overlap, prior_sensitivity),
        average,
        *(to_arviz, arviz_refits, write_report),
        *(plot_fit, plot_pit, plot_residuals, plot_prior_posterior, plot_coefficients),
        *(plot_predictions, plot_allocation, plot_isoflop, plot_regret),
    )
}

#: What is refused, and what is said.
REFUSED = {
    **{
        (verb, "averaged"): "(?i)average"
        for verb in (
            *("choices", "efficiency_leverage", "next_runs", "propose_runs", "coefficients"),
            *("diagnose", "check_law_free"),
            *("save_and_load", "compare", "residuals", "check_residuals", "prior_overlap"),
            *("prior_sensitivity", "average", "to_arviz", "arviz_refits", "write_report"),
            *("plot_fit", "plot_pit", "plot_residuals", "plot_prior_posterior"),
            *("plot_coefficients", "plot_predictions", "plot_allocation", "plot_isoflop"),
            "plot_regret",
        )
    },
    **{
        (verb, "published"): "published coefficients"
        for verb in (
            *("predict", "next_runs", "propose_runs", "residuals", "check_residuals"),
            *("prior_overlap", "prior_sensitivity", "to_arviz", "plot_fit", "plot_pit"),
            *("plot_residuals", "plot_prior_posterior", "check_law_free"),
        )
    },
    ("diagnose", "published"): "no sampler's chains",
    ("compare", "published"): "was not fitted to runs",
    ("arviz_refits", "published"): "does not say how it was made",
    **{
        (verb, "one_input"): "has no cost model"
        for verb in (
            *("allocate", "decide", "required_budget", "probability", "efficiency_leverage"),
            *("choices", "score_plans", "worth_of_more"),
            *("next_runs", "propose_runs", "write_report"),
            *("plot_allocation", "plot_isoflop", "plot_regret"),
        )
    },
    **{
        (verb, "grouped"): "say for which one: group"
        for verb in (
            *("allocate", "decide", "required_budget", "probability", "efficiency_leverage"),
            *("choices", "score_plans", "worth_of_more"),
            *("next_runs", "write_report", "plot_fit", "plot_regret", "check_law_free"),
        )
    },
}


@pytest.mark.usefixtures("closed_figures")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_right_or_says_why_not(of_kind, tmp_path, verb, kind):
    function, fit = VERBS[verb], of_kind(kind)
    given = [tmp_path] if "tmp_path" in inspect.signature(function).parameters else []
    if (verb, kind) in REFUSED:
        with pytest.raises(bs.InputError, match=REFUSED[verb, kind]):
            function(fit, *given)
    else:
        function(fit, *given)


def test_no_verb_is_left_out():
    """Whatever is public and takes a fit first is among them, or has a test of its own."""
    of_two_laws = {"upcycling_probability", "upcycling_threshold", "plot_upcycling"}
    of_groups = {"contrast", "group"}
    by_refits = {"nested", "influence"}
    of_plans = {"forecast"}
    found = set()
    for module in (bs, plotting):
        for name in module.__all__:
            value = getattr(module, name)
            if not inspect.isfunction(value):
                continue
            first = next(iter(inspect.signature(value).parameters), "")
            if first in ("fit", "fits", "fit_a", "dense", "upcycled"):
                found.add(name)
    assert found <= set(VERBS) | of_two_laws | of_groups | by_refits | of_plans
