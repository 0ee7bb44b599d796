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
from bayescale.models import dense, experts, granularity
from bayescale.report.checks import checks, trust
from bayescale.report.content import content, thinned
from bayescale.report.page import curve, page, spoken
from bayescale.report.words import more_or_less, plan_words

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
    """The question's budget from every draw, those of the slider from fewer."""
    some = [found.rows[0], found.answer, found.rows[-1]]
    for row in some:
        fit = olmo_fit if row is found.answer else thinned(olmo_fit)
        plan = bs.decide(fit, row["budget"], trust=True)
        best = bs.interval(bs.allocate(fit, row["budget"]))
        loss = bs.predict(fit, N=plan.N.item(), D=plan.D.item(), seed=0)
        lower, upper = bs.interval(loss).values
        # A search over many budgets ends within rounding of a search over one.
        close = {"rel": 0 if row is found.answer else 1e-6, "abs": 0}
        told = [*row["plan"].values(), *row["loss"].values(), row["expected"], row["extrapolation"]]
        wanted = [plan.N.item(), plan.D.item(), lower, loss.median().item(), upper]
        wanted += [plan.expected_loss.item(), plan.extrapolation.item()]
        assert told == pytest.approx(wanted, **close)
        assert row["regret"]["mean"] == pytest.approx(plan.expected_regret.item(), abs=1e-9)
        assert row["band"]["N"] == pytest.approx(plan.N_band.values.tolist(), rel=1e-6)
        assert row["optimum"]["N"] == pytest.approx(best.N.values.tolist(), rel=1e-6)


def test_fewer_draws_say_nearly_the_same(olmo_fit):
    few = thinned(olmo_fit)
    assert 400 <= few.posterior.sizes["chain"] * few.posterior.sizes["draw"] <= 500
    loss, fewer = (bs.interval(bs.predict(fit, N=7e9, D=1e12, seed=0)) for fit in (olmo_fit, few))
    assert np.abs(loss - fewer).max() < 0.15 * (loss[1] - loss[0]) / 2


def test_the_question_s_budget_is_on_the_slider_among_round_ones(found):
    assert found.answer["budget"] == BUDGET
    budgets = np.array([row["budget"] for row in found.rows])
    assert 22 <= len(budgets) <= 26
    assert (np.diff(budgets) > 0).all()
    assert all(float(f"{x:.2g}") == x for x in budgets if x != BUDGET)
    assert budgets[-1] == pytest.approx(10 * BUDGET)
    assert found.rows[0]["extrapolation"] <= 1.01


def test_draws_of_a_budget_are_quantiles_of_all(olmo_fit, found):
    row = found.answer
    at = bs.predict(olmo_fit, seed=0, **row["plan"]).values
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
    assert f"a model of {format_number(plan.N.item())} parameters on" in page
    assert "interval" not in page.split("<h2>")[0].split('class="answer"')[1].split("</p>")[0]
    assert "no uncertainty" in page
    assert "published, " in page


def test_listed_inputs_are_part_of_the_plan(tmp_path):
    fit = bs.published(granularity, "krajewski2024")
    bs.write_report(fit, tmp_path / "report.html", budget=BUDGET, choose={"G": [1, 4, 16]})
    page = (tmp_path / "report.html").read_text()
    best = bs.decide(fit, BUDGET, choose={"G": [1, 4, 16]})
    assert f'data-plan="G">{format_number(best.G.item())}<' in page


# --- words ----------------------------------------------------------------------------------------


def test_the_sentence_has_the_plan_the_loss_and_how_sure_it_is(olmo_fit, found):
    said = spoken(found, found.answer)["sentence"]
    plan = bs.decide(olmo_fit, BUDGET)
    loss = bs.predict(olmo_fit, N=plan.N.item(), D=plan.D.item(), seed=0)
    low, high = bs.interval(loss).values
    assert said.startswith(
        f"Train a model of {format_number(plan.N.item())} parameters on "
        f"{format_number(plan.D.item())} tokens (1e+23 FLOP)."
    )
    assert f"Expect a loss of {loss.median():.3f} nats per token" in said
    assert f"90\u00a0% interval {low:.3f} to {high:.3f}." in said
    # A plain fit's interval does not hold as often as it says so far out: that is said with it.
    assert "held 45 of 100 losses on 27 measured dense series" in said
    assert "probability" not in said


def test_the_budget_s_chips_are_in_the_sentence(olmo_fit):
    found = found_for(olmo_fit, budget="64 H100 x 21 days at 40% MFU", span=(1e22, 1e23))
    assert "32.3k H100 hours)" in spoken(found, found.answer)["sentence"]


def test_what_the_plan_is_worth_is_against_the_best_run(olmo, found):
    middle = found.answer["loss"]["median"]
    assert f"{olmo.loss.min() - middle:.3f} nats less than the best of the 30" in page_of(found)


def page_of(found):
    return html.unescape(re.sub(r"<[^>]+>", "", page(found)))


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"N": 7e9, "D": 2e12}, "7B parameters on 2T tokens"),
        ({"N": 7e9, "D": 2e12, "G": 4.0}, "7B parameters and G = 4 on 2T tokens"),
        ({"experts": 8.0}, "8 experts"),
        ({"N": 1e9, "D_dense": 1e11, "D_upcycled": 1e10},
         "1B parameters on 100B tokens before upcycling and 10B tokens after it"),
    ],
)  # fmt: skip
def test_plans_in_words(plan, said):
    assert plan_words(plan) == said


def test_the_page_has_every_part(text):
    titles = re.findall(r"<h2[^>]*>([^<]+)</h2>", text)
    assert titles == ["The plans", "The risk", "Other budgets", "The pictures", "The checks",
                      "Words used here", "Where this is from"]  # fmt: skip
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
        "Steps of the sampler": "passed",
        "Within the runs' compute": "caution",
        "Within the runs' inputs": "caution",
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
    assert "Steps of the sampler: failed." in top


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("alike", "Enough independent draws"),
        ("apart", "Chains agree"),
        ("divergent", "Steps of the sampler"),
        ("missed", "Steps of the sampler"),
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
    found = found_for(olmo_fit, budget=1e21)
    assert verdicts(found)["Within the runs' compute"] == "passed"
    assert "rests on data near it" in trust(found)


def test_what_the_law_leaves_over_is_judged(olmo, olmo_fit, found):
    table = bs.check_residuals(olmo_fit, prob=0.98, exact=False, seed=0)
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
    assert verdicts(found_for(olmo_fit, options=options))["Optimum inside bounds"] == "caution"


# --- sentences that were false --------------------------------------------------------------------


@pytest.fixture(scope="module")
def routed_fit():
    """A law of experts, fitted to simulated losses of 1 to 64 of them."""
    rows = [(n, d, e) for n in (1e8, 4e8, 8e8) for d in (1e10, 3e10) for e in (1, 8, 64)]
    table = pd.DataFrame(rows, columns=["N_active", "D", "experts"])
    truth = {"A": 20.0, "alpha": 0.1, "gamma": 0.03, "B": 30.0, "beta": 0.12, "sigma": 1.7}
    return bs.fit(experts, bs.simulate(experts, table, truth, seed=1), method="laplace", seed=1)


def test_every_input_of_the_plan_is_held_against_the_runs(routed_fit):
    options = dict.fromkeys(("cost", "choose", "fixed", "bounds"))
    found = found_for(
        routed_fit, budget=5e19, span=(4e19, 6e19),
        options=options | {"fixed": {"experts": 512, "N_active": 3e8}},
    )  # fmt: skip
    (row,) = [one for one in checks(found) if one.name == "Within the runs' inputs"]
    assert row.verdict == "caution"
    assert row.words == "In the plan 512 experts where the runs have 1 to 64."
    assert "rests on data near it" not in trust(found)
    assert "512 experts where the runs have 1 to 64" in trust(found)


def test_a_gain_is_called_less(found):
    assert more_or_less(-0.0158) == "0.0158 less"
    assert more_or_less(0.0158) == "0.0158 more"
    gain = {"factor": 2.0, "plan": found.answer["plan"], "more": -0.0158}
    assert "0.0158 less" in page_of(replace(found, sizes=[gain]))


def test_sizes_outside_the_bounds_asked_for_are_not_offered(olmo_fit):
    options = dict.fromkeys(("cost", "choose", "fixed")) | {"bounds": {"N": (1e8, 6e9)}}
    found = found_for(olmo_fit, options=options)
    assert [one["factor"] for one in found.sizes] == [0.25, 0.5]
    assert all(one["plan"]["N"] <= 6e9 for one in found.sizes)


def test_a_regret_too_small_to_print_is_not_at_most_less_than(found):
    rows = [{**row, "regret": {"mean": 5e-4, "upper": 1e-5}} for row in found.rows]
    said = page_of(replace(found, rows=rows))
    assert "0.0005 nats to that one on average" in said
    assert "probability less than 0.0001 nats" in said
    assert "at most less" not in said


def test_check_and_report_say_one_thing_at_one_level(olmo_fit, found):
    from bayescale.checking.residual_checks import LEVEL
    from bayescale.cli.check import _found

    told = _found(olmo_fit, 0, False, lambda stage: None)["residuals"]
    assert told["prob"] == LEVEL == found.residuals.attrs["prob"]
    assert told["reading"] == found.residuals.attrs["reading"]
    (row,) = [one for one in checks(found) if one.name == "No pattern in what is left over"]
    assert "98\u00a0% of tables" in row.words
    assert ("The law misses something" in row.words) == ("law misses" in told["reading"])


def test_what_one_level_would_call_a_pattern_and_another_not_is_told_once(olmo):
    from bayescale.cli.check import _found

    ladder = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37}
    sound = bs.simulate(dense, olmo[["N", "D"]], ladder, seed=1)
    fit = bs.fit(dense, sound, method="laplace", seed=1)
    assert not bs.check_residuals(fit, prob=0.9, exact=False, seed=0).ok.all()
    told = _found(fit, 0, False, lambda stage: None)["residuals"]
    (row,) = [
        one for one in checks(found_for(fit)) if one.name == "No pattern in what is left over"
    ]
    assert row.verdict == "passed"
    assert "no pattern" in told["reading"]
    assert "law misses" not in told["reading"]


def test_what_a_design_cannot_tell_is_on_the_first_screen(olmo):
    one_size = olmo[olmo.N.min() == olmo.N]
    with pytest.warns(bs.DesignWarning, match="one N"), pytest.warns(bs.FitWarning):
        fit = bs.fit(dense, one_size, method="laplace", seed=1)
    found = found_for(fit, budget=1e22)
    first = page_of(found).split("The plans")[0]
    assert "All runs have one N" in first
    # And so wherever an answer rests on it.
    assert "all runs have one N" in bs.decide(fit, 1e22, trust=True).attrs["not_known"]
    assert "all runs have one N" in bs.allocate(fit, 1e22).attrs["not_known"]


def test_no_literature_is_claimed_where_there_is_none(routed_fit):
    found = found_for(routed_fit, budget=5e19, span=(4e19, 6e19),
                      options=dict.fromkeys(("cost", "choose", "bounds"))
                      | {"fixed": {"experts": 8}})  # fmt: skip
    said = page(found)
    assert not routed_fit.law.published
    assert "The law&#39;s coefficients</h3>" in said
    assert "published" not in page_of(found)
    assert "literature" not in said


def test_extrapolation_and_a_limit_of_one_s_own_are_no_failure(olmo_fit):
    options = dict.fromkeys(("cost", "choose", "fixed")) | {"bounds": {"N": (1e8, 2e9)}}
    found = found_for(olmo_fit, budget=1e25, options=options)
    assert "failed" not in verdicts(found).values()
    (row,) = [one for one in checks(found) if one.name == "Optimum inside bounds"]
    assert row.words.startswith("A limit that was set (N at least 100M and at most 2B) decides")
    assert 'class="watch caution"' in page(found)


def test_a_calibrated_fit_s_left_over_is_not_judged_from_what_is_doubtful(found):
    table = found.residuals.copy()
    table.attrs = found.residuals.attrs | {"doubtful": list("abcdefghij")}
    (row,) = [
        one
        for one in checks(replace(found, residuals=table))
        if one.name == "No pattern in what is left over"
    ]
    assert row.verdict == "not done"
    assert "leans on 10 of 30 runs" in row.words


def test_the_ledger_of_forecasts_is_shown(found):
    ledger = pd.DataFrame([{"made": "2026-01-05", "run": "N = 7B, D = 4T", "median": 2.49,
                            "lower": 2.45, "upper": 2.53, "loss": 2.483, "pit": 0.4,
                            "inside": True}])  # fmt: skip
    said = page_of(replace(found, ledger=ledger))
    assert "Forecasts and what became of them" in said
    assert "2.483" in said
    assert "inside" in said


def test_an_architecture_of_other_runs_has_its_odds(olmo, olmo_fit):
    worse = olmo.assign(loss=olmo.loss + 0.05)
    other = bs.fit(dense, worse, method="laplace", seed=1)
    found = found_for({"mine": olmo_fit, "theirs": other}, span=(9e22, 1.1e23))
    assert [one["name"] for one in found.odds] == ["theirs"] * 3
    odds = bs.probability(thinned(olmo_fit), thinned(other), [1e22, 1e23, 1e24])
    assert [one["probability"] for one in found.odds] == odds.probability.values.tolist()
    assert found.odds[0]["probability"] > 0.9  # by a twentieth of a nat, close to the runs
    assert "One architecture against another" in page_of(found)
    assert found_for({"mine": olmo_fit, "again": olmo_fit}, span=(9e22, 1.1e23)).odds == []


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
