"""The report: its numbers are the package's, and it says what it must."""

import html
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayescale as bs
from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.fitting.fits import Fit
from bayescale.models import dense, granularity
from bayescale.report.checks import checks, trust
from bayescale.report.content import content, plan_words
from bayescale.report.page import curve, spoken

BUDGET = 1e23


def found_for(fits, **given):
    """What a report says, with every setting at its default unless given."""
    usual = {
        "budget": BUDGET, "span": None, "question": None, "prob": 0.9, "within": 0.005,
        "options": dict.fromkeys(("cost", "choose", "fixed", "bounds")), "backtest": None,
        "seed": 0,
    }  # fmt: skip
    return content(fits if isinstance(fits, dict) else {"dense": fits}, **usual | given)


def changed(fit, **about):
    """The fit with something else said of it."""
    tree = fit.tree.copy()
    tree.attrs["bayescale"] = json.dumps(fit.about | about)
    return Fit(fit.law, tree)


def backtest(error, runs=10):
    """A made-up backtest: predictions whose median is off by a share of the loss."""
    loss = np.linspace(3.0, 2.5, runs)
    middle = loss * (1 + error)
    return pd.DataFrame({"loss": loss, "q05": middle - 0.02, "q50": middle, "q95": middle + 0.02})


@pytest.fixture(scope="module")
def found(olmo_fit):
    return found_for(olmo_fit)


@pytest.fixture(scope="module")
def text(olmo_fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    bs.write_report(olmo_fit, path, budget=BUDGET, question="Is <b> & it worth it?")
    return path.read_text()


# --- numbers --------------------------------------------------------------------------------------


def test_every_budget_has_the_package_s_plan_loss_and_regret(olmo_fit, found):
    budgets = [row["budget"] for row in found.rows]
    plan = bs.decide(olmo_fit, budgets)
    best = bs.interval(bs.allocate(olmo_fit, budgets))
    loss = bs.predict(olmo_fit, N=plan.N.values, D=plan.D.values, seed=0)
    lower, upper = bs.interval(loss).values.T
    for i, row in enumerate(found.rows):
        assert row["plan"] == {"N": plan.N[i].item(), "D": plan.D[i].item()}
        assert row["loss"]["lower"] == lower[i]
        assert row["loss"]["upper"] == upper[i]
        assert row["loss"]["median"] == loss.isel(run=i).median().item()
        assert row["regret"]["mean"] == plan.expected_regret[i].item()
        assert row["band"]["N"] == plan.N_band[i].values.tolist()
        assert row["optimum"]["N"] == best.N[i].values.tolist()
        assert row["extrapolation"] == plan.extrapolation[i].item()


def test_the_question_s_budget_is_on_the_slider_among_round_ones(found):
    assert found.answer["budget"] == BUDGET
    budgets = np.array([row["budget"] for row in found.rows])
    assert 38 <= len(budgets) <= 42
    assert (np.diff(budgets) > 0).all()
    assert all(float(f"{x:.2g}") == x for x in budgets if x != BUDGET)
    assert budgets[-1] == pytest.approx(10 * BUDGET)
    assert found.rows[0]["extrapolation"] <= 1.01


def test_draws_of_a_budget_are_quantiles_of_all(olmo_fit, found):
    row = found.answer
    loss = bs.predict(olmo_fit, seed=0, **{n: [r["plan"][n] for r in found.rows] for n in "ND"})
    at = loss.isel(run=found.at).values
    for wanted in np.quantile(at, [0.03, 0.4, 0.8]):
        share = np.mean(np.array(row["draws"]) <= wanted)
        assert share == pytest.approx((at <= wanted).mean(), abs=0.006)


def test_other_sizes_cost_what_decide_says(olmo_fit, found):
    plan = bs.decide(olmo_fit, BUDGET)
    assert [one["factor"] for one in found.sizes] == [0.25, 0.5, 2.0, 4.0]
    for one in found.sizes:
        held = bs.decide(olmo_fit, BUDGET, fixed={"N": one["factor"] * plan.N.item()})
        assert one["more"] == pytest.approx((held.expected_loss - plan.expected_loss).item())
        assert one["more"] > 0


def test_a_budget_that_is_not_given_is_ten_times_the_largest_run(olmo, olmo_fit):
    largest = float((6 * olmo.N * olmo.D).max())
    assert found_for(olmo_fit, budget=None).budget == float(f"{10 * largest:.1g}")


def test_the_slider_goes_where_it_is_told(olmo_fit):
    found = found_for(olmo_fit, span=(1e22, 1e25))
    assert [found.rows[i]["budget"] for i in (0, -1)] == [1e22, 1e25]


def test_bounds_narrow_the_slider_rather_than_fail(olmo_fit):
    options = {"cost": None, "choose": None, "fixed": None, "bounds": {"N": (1e9, 3e10),
               "D": (1e11, 2e12)}}  # fmt: skip
    found = found_for(olmo_fit, options=options)
    assert found.answer["budget"] == BUDGET
    assert 1 < len(found.rows) < 40


def test_published_coefficients_answer_without_an_interval(tmp_path):
    fit = bs.published(dense, "besiroglu2024")
    bs.write_report(fit, tmp_path / "report.html", budget=BUDGET)
    page = (tmp_path / "report.html").read_text()
    plan = bs.decide(fit, BUDGET)
    assert f"N = {format_number(plan.N.item())}" in page
    assert "with 90" not in page
    assert "no uncertainty" in page
    assert "published, " in page


def test_listed_inputs_are_part_of_the_plan(tmp_path):
    fit = bs.published(granularity, "krajewski2024")
    bs.write_report(fit, tmp_path / "report.html", budget=BUDGET, choose={"G": [1, 4, 16]})
    page = (tmp_path / "report.html").read_text()
    best = bs.decide(fit, BUDGET, choose={"G": [1, 4, 16]})
    assert f'data-plan="G">{format_number(best.G.item())}<' in page


# --- words ----------------------------------------------------------------------------------------


def test_the_sentence_has_the_plan_the_loss_and_the_interval(found):
    said = spoken(found, found.answer)["sentence"]
    loss = found.answer["loss"]
    assert said.startswith("With 1e+23 FLOP train N = ")
    assert f"expect a loss of {loss['median']:.4f} nats per token" in said
    assert f"between {loss['lower']:.4f} and {loss['upper']:.4f} with 90\u00a0% probability" in said
    # How far that is to be believed is said beside it, as it was measured.
    assert "if the law holds" not in said


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"N": 7e9, "D": 2e12}, "N = 7B on D = 2T tokens"),
        ({"N": 7e9, "D": 2e12, "G": 4.0}, "N = 7B and G = 4 on D = 2T tokens"),
        ({"experts": 8.0}, "experts = 8"),
        ({"N": 1e9, "D_dense": 1e11, "D_upcycled": 1e10},
         "N = 1B on D_dense = 100B tokens and D_upcycled = 10B tokens"),
    ],
)  # fmt: skip
def test_plans_in_words(plan, said):
    assert plan_words(plan) == said


def test_the_page_has_every_part(text):
    titles = re.findall(r"<h2[^>]*>([^<]+)</h2>", text)
    assert titles == ["The plans", "The risk", "Other budgets", "The pictures", "The checks",
                      "Where this is from"]  # fmt: skip
    pictures = re.findall(r'<figure id="(\w+)">', text)
    assert pictures == ["isoflop", "frontier", "fit", "posterior"]
    assert "Is &lt;b&gt; &amp; it worth it?" in text
    assert "<code>bayescale report --backtest</code>" in text
    plain = html.unescape(re.sub(r"<[^>]+>", " ", text))
    for said in ("30 runs of olmo_ladder", "bayescale " + bs.__version__, "numpy", "pymc",
                 "dense_flops(N, D)", "R-hat"):  # fmt: skip
        assert said in plain


def test_every_picture_is_in_the_page_and_described(text):
    images = re.findall(r'<img [^>]*?src="([^"]{40})[^"]*" alt="([^"]+)">', text)
    assert len(images) == 4
    for source, alt in images:
        assert source.startswith("data:image/svg+xml;base64,")
        assert len(alt) > 60


def test_the_page_asks_for_nothing(text):
    assert not re.findall(r'(?:src|href|srcset|action)="(?!data:|#)[^"]*"', text)
    assert "url(" not in re.sub(r"base64,[^\"]+", "", text)
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text


def test_the_page_is_small_enough_to_mail(hoffmann_fit, tmp_path, text):
    assert len(text.encode()) < 1_000_000
    fits = {"runs": hoffmann_fit, "quick": hoffmann_fit}
    table = backtest(0.0, runs=240)
    bs.write_report(fits, tmp_path / "two.html", budget=1e24, backtest=table)
    assert (tmp_path / "two.html").stat().st_size < 1_000_000


def test_equal_fits_give_equal_pages(olmo_fit, tmp_path, text):
    bs.write_report(
        olmo_fit, tmp_path / "again.html", budget=BUDGET, question="Is <b> & it worth it?"
    )
    again = (tmp_path / "again.html").read_text()
    when = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
    assert when.sub("", again) == when.sub("", text)


def test_simulated_losses_are_called_simulated(olmo_fit, tmp_path, text):
    bs.write_report(changed(olmo_fit, simulated=True), tmp_path / "r.html", budget=BUDGET)
    assert "<strong>simulated</strong>" in (tmp_path / "r.html").read_text()
    assert "simulated" not in text


def test_limits_on_plans_are_told(tmp_path):
    fit, path = bs.published(granularity, "krajewski2024"), tmp_path / "report.html"
    bounds = {"N": (5e-324, 1e11), "D": (1e10, 1e14)}
    bs.write_report(fit, path, budget=BUDGET, choose={"G": [1, 4]}, bounds=bounds)
    said = "G one of 1, 4; N at most 100B; D at least 10B and at most 100T"
    assert said in path.read_text()


# --- checks ---------------------------------------------------------------------------------------


def verdicts(found):
    return {one.name: one.verdict for one in checks(found)}


def test_a_good_fit_far_out_passes_with_caution(found):
    made = verdicts(found)
    assert made.pop("Runs scatter as the fit says") in ("passed", "caution")
    assert made == {
        "Chains agree": "passed",
        "Enough independent draws": "passed",
        "Nothing was missed": "passed",
        "Within the runs' compute": "caution",
        "Within the runs' sizes": "caution",
        "Optimum inside bounds": "passed",
        "No pattern in what is left over": "caution",
        "Intervals held on these runs": "not done",
    }
    words = {one.name: one.words for one in checks(found)}
    assert "8.3× the compute" in words["Within the runs' compute"]
    assert "8.3×" in trust(found)


def test_a_failed_sampler_is_said_at_the_top(olmo_fit, tmp_path):
    tree = olmo_fit.tree.copy()
    stats = tree["sample_stats"].to_dataset()
    tree["sample_stats"] = xr.DataTree(stats.assign(diverging=stats.diverging | True))
    bs.write_report(Fit(dense, tree), tmp_path / "r.html", budget=BUDGET)
    top = (tmp_path / "r.html").read_text().split("<h2>")[0]
    assert "Nothing was missed: failed." in top


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("alike", "Enough independent draws"),
        ("apart", "Chains agree"),
        ("divergent", "Nothing was missed"),
        ("missed", "Nothing was missed"),
    ],
)
def test_the_report_s_judge_is_that_of_the_verbs(olmo_fit, found, fault, check):
    """What ``decide`` refuses fails in the report, each fault in its own check."""
    tree = olmo_fit.tree.copy(deep=True)
    draws, stats = tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset()
    if fault == "alike":  # Of 4,000 draws some 500 are distinct: too few by every rule but one.
        kept = np.repeat(np.arange(0, 1000, 8), 8)
        draws = draws.assign(E=(draws.E.dims, draws.E.values[:, kept]))
    elif fault == "apart":
        draws = draws.assign(E=draws.E + draws.E.std() * xr.DataArray([0, 0, 0, 2], dims="chain"))
    elif fault == "divergent":
        stats = stats.assign(diverging=stats.diverging | True)
    else:
        stats = stats.assign(missed_mode=True)
    tree["posterior"], tree["sample_stats"] = xr.DataTree(draws), xr.DataTree(stats)
    fit = Fit(dense, tree)
    made = verdicts(replace(found, fits={"dense": fit}))
    assert made[check] == "failed"
    assert not bs.diagnose(fit).attrs["ok"]
    with pytest.raises(bs.InputError, match="failed its diagnostics"):
        bs.decide(fit, BUDGET)


def test_a_budget_within_the_runs_passes(olmo_fit):
    found = found_for(olmo_fit, budget=5e21)
    assert verdicts(found)["Within the runs' compute"] == "passed"
    assert "rests on data near it" in trust(found)


def test_what_the_law_leaves_over_is_judged(olmo, olmo_fit, found):
    table = bs.check_residuals(olmo_fit, prob=0.98, seed=0)
    shape, pattern = "Runs scatter as the fit says", "No pattern in what is left over"
    made = {one.name: one for one in checks(found)}
    assert made[shape].verdict == ("passed" if table.ok["LOO-PIT"] else "caution")
    # The ladder's runs of ten tokens per parameter lose more than the law says.
    assert made[pattern].verdict == "caution"
    assert table.said["tokens_per_parameter"][1:] in made[pattern].words
    ladder = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37}
    sound = bs.simulate(dense, olmo[["N", "D"]], ladder, seed=1)
    fit = bs.fit(dense, sound, method="laplace", noise="normal", seed=1)
    made = {one.name: one for one in checks(found_for(fit))}
    assert made[shape].verdict == made[pattern].verdict == "passed"
    assert "training compute, tokens per parameter, N, D do not err" in made[pattern].words


def test_published_coefficients_have_no_residuals():
    found = found_for(bs.published(dense, "besiroglu2024"))
    (row,) = [one for one in checks(found) if one.name == "No pattern in what is left over"]
    assert row.verdict == "not done"
    assert "published coefficients" in row.words


def test_a_bound_that_decides_is_told(olmo_fit):
    options = dict.fromkeys(("cost", "choose", "fixed")) | {"bounds": {"N": (1e8, 2e9)}}
    assert verdicts(found_for(olmo_fit, options=options))["Optimum inside bounds"] == "failed"


@pytest.mark.parametrize(
    ("error", "runs", "verdict", "words"),
    [
        (0.0, 10, "passed", "10 of 10"),
        (0.05, 10, "failed", "0 of 10"),
        (0.0, 3, "caution", "3 of 3"),
    ],
)
def test_a_backtest_is_judged_and_told(olmo_fit, error, runs, verdict, words):
    found = found_for(olmo_fit, backtest=backtest(error, runs))
    assert verdicts(found)["Intervals held on these runs"] == verdict
    assert words in trust(found)


def test_a_backtest_is_drawn(olmo_fit, tmp_path):
    table = backtest(0.01).assign(cut=0.2, beyond=np.arange(10.0))
    bs.write_report(olmo_fit, tmp_path / "r.html", budget=BUDGET, backtest=table)
    page = (tmp_path / "r.html").read_text()
    assert '<figure id="calibration">' in page
    assert "--backtest" not in page


def test_several_laws_are_compared(olmo_fit, tmp_path):
    score = olmo_fit.tree["log_likelihood"].to_dataset()
    tree = olmo_fit.tree.copy()
    tree["log_likelihood"] = xr.DataTree(score + 1.0)
    better = Fit(dense, tree)
    found = found_for({"mine": olmo_fit, "better": better})
    assert verdicts(found)["No other law predicts better"] == "caution"
    bs.write_report({"mine": olmo_fit, "better": better}, tmp_path / "r.html", budget=BUDGET)
    page = (tmp_path / "r.html").read_text()
    assert "<h2>Other laws</h2>" in page
    assert (
        "better predicts these 30 runs, each left out in turn, better than mine"
        in html.unescape(page)
    )
    assert '<figure id="laws">' in page


def test_a_law_that_cannot_answer_says_why(olmo_fit, tmp_path):
    other = bs.published(granularity, "krajewski2024")
    bs.write_report({"mine": olmo_fit, "fine": other}, tmp_path / "r.html", budget=BUDGET)
    page = html.unescape((tmp_path / "r.html").read_text())
    assert "say which values of 'G' may be chosen" in page
    assert "'fine' was not fitted to runs, so it cannot be compared" in page


# --- the slider's curve ---------------------------------------------------------------------------


def test_the_curve_is_inside_its_axes_and_falls(found):
    drawn = curve(found)
    places = np.array([drawn["x"], drawn["y"]])
    assert (np.diff(places) > 0).all()  # to the right, and down the image
    assert (places[0] >= drawn["left"]).all()
    assert (places[0] <= drawn["right"]).all()
    assert (places[1] >= drawn["top"]).all()
    assert (places[1] <= drawn["bottom"]).all()
    assert drawn["left"] < drawn["largest"] < drawn["right"]
    assert [text for _, text in drawn["across"]] == ["1e22", "1e23", "1e24"][
        -len(drawn["across"]) :
    ]
    assert 3 <= len(drawn["up"]) <= 7


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget": 1e5}, "below the smallest plausible run"),
        ({"prob": 90}, "prob is a probability"),
        ({"span": (1e24, 1e22)}, "span is a lowest and a highest budget"),
        ({"backtest": pd.DataFrame({"loss": [3.0]})}, "lacks q05, q50, q95"),
        ({"fixed": {"S": 0.5}}, "'S'"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_the_file(olmo_fit, tmp_path, given, said):
    path = tmp_path / "report.html"
    path.write_text("precious")
    with pytest.raises(InputError, match=re.escape(said)):
        bs.write_report(olmo_fit, path, **{"budget": BUDGET} | given)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_fits_that_are_none_are_refused(olmo_fit, tmp_path):
    path = tmp_path / "report.html"
    for wrong in ({}, {"dense": "fit.nc"}):
        with pytest.raises(InputError, match="a report is on a Fit"):
            bs.write_report(wrong, path)
    with pytest.raises(InputError, match="at most 6"):
        bs.write_report({str(i): olmo_fit for i in range(7)}, path)
    with pytest.raises(InputError, match="give a budget"):
        bs.write_report(bs.published(dense, "besiroglu2024"), path)
    levels = xr.DataArray([1.0, 1.1], coords={"corpus": ["a", "b"]})
    tree = changed(olmo_fit, by="corpus").tree
    tree["posterior"] = xr.DataTree(olmo_fit.posterior.assign(E=olmo_fit.posterior.E * levels))
    with pytest.raises(InputError, match=r"group\(fit, 'a'\)"):
        bs.write_report(Fit(dense, tree), path)
