"""Tables as people have them, at the prompt: what they read, and the numbers they get.

Every table here is simulated from published coefficients with a little noise, in the shape of one
that somebody was stuck with.
"""

import json

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale import models
from bayescale.cli.results import show_fit
from bayescale.models import dense
from command_line import error, run

SIZES = (2e7, 6e7, 1.5e8, 4e8)
TOKENS = (1.5e9, 6e9, 2.5e10)
TRUTH = dense.published["besiroglu2024"].values


def ladder(sizes=SIZES, tokens=TOKENS, noise=0.003, seed=0):
    """Simulated runs of every size on every count of tokens."""
    rng = np.random.default_rng(seed)
    n, d = (x.ravel() for x in np.meshgrid(sizes, tokens, indexing="ij"))
    loss = dense(n, d, **TRUTH) * np.exp(noise * rng.standard_normal(n.size))
    return pd.DataFrame({"N": n, "D": d, "loss": loss.round(5)})


def read(path, *options):
    """What the table becomes, and what is said of it."""
    result = run("runs", path, "--json", *options)
    return pd.DataFrame(json.loads(result.stdout)["rows"]), result.stderr


def save(path, table, **options):
    table.to_csv(path, index=False, **options)
    return path


def same(found, table, rtol=1e-12):
    for name in ("N", "D", "loss"):
        np.testing.assert_allclose(found[name], table[name], rtol=rtol)


# --- numbers, separators, encodings ---------------------------------------------------------------


def test_thousands_are_separated_and_a_mean_below_is_no_run(tmp_path):
    table = ladder()
    rows = [f'"{n:,.0f}","{d:,.0f}",{x}' for n, d, x in table.itertuples(index=False)]
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(["Parameters,Training tokens,Final loss", *rows, ",,", "mean,,2.9"]))
    found, said = read(path)
    same(found, table)
    assert "commas separate thousands, as in '20,000,000'" in said
    assert f"line {len(table) + 3} is no run and is left out: mean, , 2.9" in said


def test_decimal_commas_between_semicolons(tmp_path):
    table = ladder()
    path = save(tmp_path / "läufe.csv", table.assign(N=table.N / 1e6), sep=";", decimal=",")
    path.write_text(path.read_text().replace("N;", "Parameter (Mio);", 1))
    text = path.read_text().replace("Parameter (Mio)", "params (M)")
    path.write_bytes(text.encode("utf-8-sig"))
    found, said = read(path)
    same(found, table)
    assert "columns are separated by semicolons" in said
    assert "numbers have decimal commas" in said


def test_a_file_in_latin_1_is_read_and_that_is_said(tmp_path):
    table = ladder().assign(note="Größe")
    path = tmp_path / "runs.csv"
    path.write_bytes(table.to_csv(index=False).encode("latin-1"))
    found, said = read(path)
    same(found, table)
    assert found["note"][0] == "Größe"
    assert "is not UTF-8 and was read as Latin-1, as in" in said


def test_two_kinds_of_numbers_in_one_table_are_refused_with_both(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text('N;D;loss\n"1.000.000";2e9;"3,21"\n"2.000.000";2e9;3.1\n')
    said = error("runs", path)
    assert "'3.1' in column 'loss' has a decimal point" in said
    assert "decimal comma" in said


def test_a_number_of_two_readings_is_refused_with_both(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text('N,D,loss,lr\n1e8,2e9,3,"1,500"\n2e8,2e9,2,"2,500"\n')
    assert "'1,500' in column 'lr' may be 1500 or 1.500" in error("runs", path)
    path.write_text('N,D,loss\n1e8,2e9,"3,142"\n2e8,2e9,"2,987"\n')
    found, said = read(path)
    assert found["loss"].tolist() == [3.142, 2.987]
    assert "the other reading is no loss" in said


def test_a_table_pasted_from_a_discussion(tmp_path):
    path = tmp_path / "pasted.md"
    path.write_text(
        "| params | tokens | final loss |\n|---|---|---|\n"
        "| **70M** | 1.5 × 10^9 | 3.70† |\n| 160M | ~3B | **3.31** |\n| 410M | 8B | 2.95 ± 0.01 |\n"
    )
    found, said = read(path)
    assert found[["N", "D", "loss"]].to_numpy().tolist() == [
        [7e7, 1.5e9, 3.70], [1.6e8, 3e9, 3.31], [4.1e8, 8e9, 2.95],
    ]  # fmt: skip
    for word in ("Markdown table", "bold was left out of 2 cells", "a footnote", "an uncertainty"):
        assert word in said


@pytest.mark.parametrize("kind", ["array", "columns", "named"])
def test_json_of_every_shape(tmp_path, kind):
    table = ladder().rename(columns={"N": "parameters", "loss": "final_loss"})
    rows = table.to_dict("records")
    shapes = {"array": rows, "columns": table.to_dict("list"), "named": {"runs": rows, "by": "us"}}
    path = tmp_path / "curves.json"
    path.write_text(json.dumps(shapes[kind]))
    found, _ = read(path)
    same(found, ladder())


def test_nested_json_of_a_tracker(tmp_path):
    path = tmp_path / "runs.json"
    rows = [
        {"name": f"r{i}", "config": {"n_params": n}, "summary": {"train/tokens": d, "val_loss": x}}
        for i, (n, d, x) in enumerate(ladder().itertuples(index=False))
    ]
    path.write_text(json.dumps(rows))
    same(read(path)[0], ladder())


def test_excel(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "runs.xlsx"
    ladder().to_excel(path, index=False)
    same(read(path)[0], ladder())


def test_excel_without_its_package_is_to_be_saved_as_csv(tmp_path, monkeypatch):
    def missing(*_, **__):
        raise ImportError("Missing optional dependency 'openpyxl'")

    (tmp_path / "runs.xlsx").write_bytes(b"PK")
    monkeypatch.setattr(pd, "read_excel", missing)
    said = error("runs", tmp_path / "runs.xlsx")
    assert "needs openpyxl" in said
    assert "save the table as CSV" in said


def test_integers_beyond_64_bits_are_exact(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("n_params,flops,loss\n57047168,358909747396608000000000,3.8\n5e8,6e21,2.9\n")
    found, said = read(path)
    assert found["D"][0] == pytest.approx(358909747396608000000000 / (6 * 57047168), rel=1e-15)
    assert "D worked out: compute / (6 N), from 'flops', 'n_params'" in said


# --- what follows from what -----------------------------------------------------------------------


def test_tokens_follow_from_compute_and_sizes_follow_from_tokens(tmp_path):
    table = ladder().assign(compute_budget=lambda t: 6 * t.N * t.D)
    path = save(tmp_path / "a.csv", table[["N", "compute_budget", "loss"]])
    found, said = read(path)
    same(found, table)
    assert "D worked out: compute / (6 N), from 'compute_budget', 'N'" in said
    path = save(tmp_path / "b.csv", table[["D", "compute_budget", "loss"]])
    found, said = read(path)
    same(found, table)
    assert "N worked out: compute / (6 D)" in said


def test_nothing_is_assumed_of_a_table_with_experts(tmp_path):
    table = ladder().assign(flops=1e18, num_experts=8)
    path = save(tmp_path / "a.csv", table[["N", "flops", "num_experts", "loss"]])
    assert "no column 'D'" in error("fit", path, "--law", "dense")


def test_tokens_follow_from_steps_batch_and_sequence_length(tmp_path):
    table = ladder()
    steps = (table.D / (64 * 2048)).round()
    wide = table.assign(train_steps=steps, global_batch_size=64, seq_len=2048, D=steps * 64 * 2048)
    path = save(tmp_path / "a.csv", wide.drop(columns="D"))
    found, said = read(path)
    same(found, wide)
    assert "steps × batch × sequence length, from 'train_steps', 'global_batch_size'" in said
    odd = wide.drop(columns="D").rename(columns={"global_batch_size": "b", "seq_len": "ctx"})
    path = save(tmp_path / "b.csv", odd)
    found, _ = read(path, "--column", "D=train_steps*b*2048")
    same(found, wide)


def test_different_tokens_follow_from_epochs(tmp_path):
    table = ladder().assign(epochs=4)
    found, said = read(save(tmp_path / "a.csv", table))
    np.testing.assert_allclose(found["D_unique"], table.D / 4)
    assert "D_unique worked out: D / epochs" in said


def test_passes_over_the_data_stand_beside_every_plan(tmp_path):
    fit = tmp_path / "published.nc"
    repetition = models.repetition
    bs.published(repetition, next(iter(repetition.published))).save(fit)
    options = ("--budget", "1e22", "--fixed", "D_unique=2e10")
    plan = json.loads(run("decide", fit, *options, "--json").stdout)["budgets"][0]
    assert plan["passes"] == pytest.approx(plan["plan"]["D"] / 2e10)
    assert "passes over the different tokens" in run("decide", fit, *options).stdout
    assert "passes" in run("allocate", fit, *options).stdout


def test_sizes_out_of_names_by_a_stated_pattern(tmp_path):
    table = ladder(noise=0)
    names = [f"bsz1M.model-{n / 1e6:.0f}m.s{i}" for i, n in enumerate(table.N)]
    path = save(tmp_path / "a.csv", table.drop(columns="N").assign(Name=names))
    said = error("fit", path, "--law", "dense")
    assert "sizes seem to be in 'Name' (model-20m in" in said
    assert '--column "N=Name:model-{}"' in said
    same(read(path, "--column", "N=Name:model-{}")[0], table)


def test_all_that_is_unclear_is_said_at_once(tmp_path):
    table = ladder(noise=0)
    names = [f"moe.model-{n / 1e6:.0f}m.seed{i}" for i, n in enumerate(table.N)]
    rows = pd.DataFrame({
        "Name": names, "State": "failed", "optim/n_tokens": table.D, "model.number_of_experts": 8,
        "eval/ppl//data/c4.jsonl": np.exp(table.loss), "eval/ppl//data/wiki.jsonl": 9 + table.loss,
    })  # fmt: skip
    path = save(tmp_path / "runs.csv", rows, quoting=1)
    said = error("fit", path, "--law", "dense")
    assert "'eval/ppl//data/c4.jsonl' or 'eval/ppl//data/wiki.jsonl'" in said
    assert '--column "loss=eval/ppl//data/c4.jsonl"' in said
    assert '--column "N=Name:model-{}"' in said
    options = ("--column", "loss=eval/ppl//data/c4.jsonl", "--column", "N=Name:model-{}")
    found, said = read(path, *options)
    same(found, table)
    assert "experts from column 'model.number_of_experts'" in said
    assert "column 'State' says 'failed'" in said


def test_counts_side_by_side(tmp_path):
    table = ladder().assign(
        N_approx=lambda t: t.N.round(-7), params_non_embedding=lambda t: 0.8 * t.N,
        planned_tokens=lambda t: 1.01 * t.D,
    ).rename(columns={"D": "actual_tokens"})  # fmt: skip
    found, said = read(save(tmp_path / "a.csv", table))
    same(found, ladder())
    assert "N from column 'N' ('N_approx' and 'params_non_embedding' are left aside)" in said
    assert "D from column 'actual_tokens' ('planned_tokens' is left aside)" in said


def test_every_count_is_fitted_and_what_the_plan_owes_to_it_is_shown(tmp_path, capsys):
    table = ladder(noise=0.001).assign(
        params_non_embedding=lambda t: t.N - 3e5 * (t.N / 1e7) ** 0.5,
        planned_tokens=lambda t: 1.25 * t.D,
        params_wte=lambda t: t.N / 10,
    ).rename(columns={"N": "params_total", "D": "actual_tokens"})  # fmt: skip
    path = save(tmp_path / "a.csv", table)
    options = ("--law", "dense", "--every-count", "1e21", "--draws", "250", "--tune", "500")
    found = json.loads(run("fit", path, *options, "--json").stdout)
    columns = ["params_total", "params_non_embedding", "planned_tokens"]  # its embeddings are not
    assert [one["column"] for one in found["counts"]] == columns
    assert [one["count"] for one in found["counts"]] == ["N", "N", "D"]
    taken, bare, planned = found["counts"]
    # A quarter more tokens of the same runs move the plan, which spends the same compute.
    assert planned["D"] / taken["D"] == pytest.approx(1.25**0.5, rel=0.1)
    for one in (taken, bare, planned):
        assert 6 * one["N"] * one["D"] == pytest.approx(1e21, rel=1e-6)
    show_fit(found)
    said = " ".join(capsys.readouterr().out.split())
    assert "N = params_non_embedding" in said
    assert "By which of 3 counts is taken, the plan for 1e+21 FLOP has" in said
    path = save(tmp_path / "b.csv", ladder())
    said = run("fit", path, "--law", "dense", "--every-count", "1e21", code=2).stderr
    assert "counts parameters and tokens in one way each" in said


def test_parts_of_a_model_are_named_as_other_counts(tmp_path):
    table = ladder().rename(columns={"N": "params_total"})
    table = table.assign(params_wte=table.params_total / 10, params_scalars=20)
    _, said = read(save(tmp_path / "a.csv", table))
    assert "N from column 'params_total' (other counts of parameters: 'params_wte')" in said


# --- kinds of files -------------------------------------------------------------------------------


def chart(path, runs):
    steps = np.arange(100, 2100, 100)
    columns = {"Step": steps}
    for name, end in runs.items():
        curve = end + 3 * steps**-0.3
        for suffix in ("", "__MIN", "__MAX"):
            columns[f"{name} - eval/loss{suffix}"] = curve
    return save(path, pd.DataFrame(columns))


def test_a_tracker_s_chart_is_named_and_taken_with_a_table_of_sizes(tmp_path):
    path = chart(tmp_path / "chart.csv", {"tiny": 3.2, "small": 2.8, "mid": 2.5})
    said = error("fit", path, "--law", "dense")
    assert "is the export of a tracker's chart: 3 runs side by side" in said
    assert "no model sizes and no tokens" in said
    assert "--sizes sizes.csv" in said
    sizes = tmp_path / "sizes.csv"
    sizes.write_text("run,N,D\ntiny,20M,1B\nsmall,60M,3B\nmid,0.2B,8B\n")
    found, said = read(path, "--sizes", sizes)
    assert found["N"].tolist() == [2e7, 6e7, 2e8]
    assert found["D"].tolist() == [1e9, 3e9, 8e9]
    assert found["loss"].round(1).tolist() == [3.5, 3.1, 2.8]
    assert "the mean over the last 5 % of it" in said
    sizes.write_text("run,N,D\ntiny,20M,1B\n")
    assert "has no row for small and mid" in error("runs", path, "--sizes", sizes)


def test_one_run_s_curve_is_named_and_several_are_taken(tmp_path):
    for i, end in enumerate((3.2, 2.8, 2.5)):
        steps = np.arange(100, 2100, 100)
        curve = pd.DataFrame(
            {"Wall time": 1e9 + steps, "Step": steps, "Value": end + 3 * steps**-0.3}
        )
        save(tmp_path / f"run{i}.csv", curve)
    said = error("fit", tmp_path / "run0.csv", "--law", "dense")
    assert "is the curve of one run (20 steps" in said
    assert "a column 'curve' that names each run's file" in said
    path = tmp_path / "table.csv"
    path.write_text("run,N,D,curve\na,20M,1B,run0.csv\nb,60M,3B,run1.csv\nc,.2B,8B,run2.csv\n")
    found, said = read(path)
    assert found["N"].tolist() == [2e7, 6e7, 2e8]
    assert found["loss"].round(1).tolist() == [3.5, 3.1, 2.8]
    assert "losses are from 3 files of curves" in said


def test_a_wide_table_is_named_and_turned(tmp_path):
    path = tmp_path / "wide.md"
    path.write_text(
        "| model | 1e18 | 3e18 | 1e19 |\n|---|---|---|---|\n"
        "| 20M | 4.02 | **3.81** | — |\n| 60M | 3.92 | 3.55 | 3.36 |\n"
        "| 150M | — | 3.57 (partial) | 3.20 |\n| 400M | diverged | 3.80 | 3.25 |\n"
    )
    said = error("fit", path, "--law", "dense")
    assert "is a wide table: 'model' down, 1e+18, 3e+18, 1e+19 across" in said
    assert "--across flops" in said
    found, said = read(path, "--across", "flops")
    assert len(found) == 8
    assert found.query("N == 6e7").loss.tolist() == [3.92, 3.55, 3.36]
    np.testing.assert_allclose(found["D"], found["flops"] / (6 * found["N"]))
    assert "150M at 3e18 (partial) and 400M at 1e18 (diverged)" in said


def test_checkpoints_named_by_model(tmp_path):
    rows = pd.DataFrame([
        {"model": f"L{n / 1e6:.0f}M", "params": n, "step": s, "tokens": s * 1e8, "loss": 5 - s / 99}
        for n in SIZES for s in (10, 20, 30)
    ])  # fmt: skip
    path = save(tmp_path / "a.csv", rows)
    said = error("fit", path, "--law", "dense")
    assert "the 12 rows are checkpoints of 4 runs (run 'L20M' at 1B, 2B, 3B tokens)" in said
    assert "--checkpoints last" in said
    found, _ = read(path, "--checkpoints", "last")
    assert found["D"].tolist() == [3e9] * 4


# --- losses ---------------------------------------------------------------------------------------


def test_a_metric_that_rises_with_compute_is_no_loss(tmp_path):
    table = ladder().assign(**{"pass@1": lambda t: (t.N * t.D / 1e21) ** 0.2})
    path = save(tmp_path / "a.csv", table.drop(columns="loss"))
    said = error("fit", path, "--law", "dense")
    assert "no column 'loss'" in said
    assert "'pass@1' is a score that rises with compute" in said
    said = error("fit", path, "--law", "dense", "--column", "loss=pass@1")
    assert "column 'pass@1' rises with compute" in said
    assert "is no loss" in said


def test_bits_per_byte_are_fitted_as_they_are_everywhere(tmp_path):
    table = ladder(noise=0.001).rename(columns={"loss": "val_bpb"})
    path = save(tmp_path / "a.csv", table.assign(val_bpb=table.val_bpb / 3))
    fit = tmp_path / "fit.nc"
    done = run("fit", path, "--law", "dense", "-o", fit)
    assert "loss from column 'val_bpb' (validation; in bits per byte" in done.stderr
    assert "hoffmann2022" not in done.stdout  # whose floor is in nats
    found = json.loads(run("decide", fit, "--budget", "1e21", "--json").stdout)
    assert found["loss_unit"] == "bits per byte"
    said = run("decide", fit, "--budget", "1e21").stdout
    assert "bits per byte" in said
    assert "nats" not in said
    page = tmp_path / "report.html"
    run("report", fit, "--budget", "1e21", "-o", page)
    text = page.read_text()
    assert "bits per byte" in text
    assert " nats" not in text


# --- states, missing values, outliers -------------------------------------------------------------


@pytest.fixture
def diverged(tmp_path):
    table = ladder().assign(state="finished")
    table.insert(0, "name", [f"run{i}" for i in range(len(table))])
    table["loss"] = table["loss"].astype(object)
    table.loc[2, "loss"], table.loc[5, "loss"] = "NaN", "Infinity"
    table.loc[7, ["loss", "state"]] = 10.93, "crashed"
    return save(tmp_path / "runs.csv", table)


def test_missing_losses_are_refused_by_name_with_one_option(diverged):
    said = error("fit", diverged, "--law", "dense")
    assert "column 'loss', run2 (line 4)" in said
    assert "also run5 (line 7)" in said
    assert "--drop-missing" in said
    assert "column 'state' says 'crashed' of run7 (line 9)" in said
    assert "runs." not in said


def test_what_is_dropped_is_listed_and_the_outlier_named(diverged):
    found, said = read(diverged, "--drop-missing")
    assert len(found) == 10
    assert "run2 (line 4): loss is missing and run5 (line 7): loss is infinite" in said
    assert "run7 (line 9) stands out: loss 10.93" in said


def test_a_filter_comes_before_validation_and_is_kept(diverged, tmp_path):
    bad = pd.read_csv(diverged)
    bad["n"] = range(len(bad))
    bad["D"] = bad["D"].astype(object)
    bad.loc[7, "D"] = "oops"
    path = save(tmp_path / "bad.csv", bad)
    assert "'oops' is not a number" in error("runs", path)
    query = "state == 'finished' and n not in (2, 5)"
    found, said = read(path, "--where", query)
    assert len(found) == 9
    assert f"9 of 12 rows are kept, where {query}" in said
    fit = tmp_path / "fit.nc"
    run("fit", path, "--law", "dense", "--where", query, "--method", "laplace", "-o", fit)
    page = tmp_path / "page.html"
    run("report", fit, "--budget", "1e21", "-o", page)
    assert "those where state == " in page.read_text()


def test_errors_are_one_object_under_json(diverged):
    result = run("fit", diverged, "--law", "dense", "--json", code=2)
    found = json.loads(result.stdout)["error"]
    assert found["code"] == "missing-values"
    assert "--drop-missing" in found["message"]
    result = run("fit", diverged, "--law", "dense", "--nonsense", "--json", code=2)
    assert json.loads(result.stdout)["error"]["code"] == "usage"


# --- sweeps and repeats ---------------------------------------------------------------------------


def test_a_sweep_is_noticed_and_its_best_taken(tmp_path):
    parts = [
        ladder(noise=0).assign(lr=lr, gbsz=b, loss=lambda t, w=w: t.loss * (1 + w))
        for lr, b, w in [(1e-3, 64, 0.01), (1e-3, 256, 0.02), (4e-3, 64, 0.0), (4e-3, 256, 0.015)]
    ]
    path = save(tmp_path / "sweep.csv", pd.concat(parts))
    _, said = read(path)
    assert (
        "48 rows are 12 configurations of N, D with 4 rows each, which differ in lr and gbsz"
        in said
    )
    assert "--best-of lr,gbsz" in said
    found, said = read(path, "--best-of", "lr,gbsz")
    same(found.sort_values(["N", "D"]), ladder(noise=0))
    assert "The best of several noisy runs is low" in said


def test_seeds_are_repeats(tmp_path):
    parts = [ladder(noise=0.01, seed=s).round(2).assign(seed=s) for s in range(3)]
    path = save(tmp_path / "seeds.csv", pd.concat(parts))
    found, said = read(path)
    assert len(found) == 36
    assert "36 rows are 12 configurations of N, D with 3 rows each, which differ in seed" in said
    assert "they count as repeats, whose scatter is the noise of a run" in said


# --- few runs, compute alone ----------------------------------------------------------------------


def test_two_runs_are_refused_with_what_would_do(tmp_path):
    path = save(tmp_path / "two.csv", ladder(sizes=(6e9, 34e9), tokens=(3e12,)))
    said = run("fit", path, "--law", "dense", code=2).stderr
    assert "2 rows cannot inform the 5 coefficients of law 'dense'" in said
    for way in ("--fixed E=1.6", "--prior E=1.6±0.1", "--prior-from besiroglu2024"):
        assert way in said
    assert "priors=" not in said


def test_published_coefficients_serve_few_runs_and_their_share_is_said(tmp_path):
    table = ladder(sizes=(1e9, 3e9, 1e10), tokens=(1,), noise=0).assign(D=lambda t: 20 * t.N)
    table["loss"] = dense(table.N, table.D, **TRUTH)
    path = save(tmp_path / "three.csv", table)
    options = ("--prior-from", "besiroglu2024", "--prior", "E=1.8±0.1")
    fit = tmp_path / "few.nc"
    done = run("fit", path, "--law", "dense", *options, "-o", fit)
    assert "close to their priors" in done.stderr
    found = json.loads(run("predict", fit, "N=1.3e11", "D=2.6e12", "--json").stdout)
    loss = found["runs"][0]["loss"]
    assert loss["lower"] < dense(1.3e11, 2.6e12, **TRUTH) < loss["upper"]
    said = error("fit", path, "--law", "dense", "--prior", "E=1.6")
    assert "does not say how sure it is" in said
    assert "--prior names 'F'" in error("fit", path, "--law", "dense", "--prior", "F=1.6±0.1")


def test_compute_alone_predicts_later_budgets(tmp_path):
    budgets = np.array([1e18, 3e18, 1e19, 3e19, 1e20, 3e20])
    truth = {"E": 1.8, "A": 1850.0, "alpha": 0.17}

    def best(c):
        return truth["E"] + truth["A"] * c ** -truth["alpha"]

    noise = np.random.default_rng(3).standard_normal(6)
    table = pd.DataFrame({"flops": budgets, "loss": best(budgets) * np.exp(0.001 * noise)})
    path = save(tmp_path / "envelope.csv", table)
    assert "no column 'N'" in error("fit", path, "--law", "dense")
    fit = tmp_path / "fit.nc"
    run("fit", path, "--law", "envelope", "-o", fit)
    runs = json.loads(run("predict", fit, "flops=1e21,1e23", "--json").stdout)["runs"]
    for one, c in zip(runs, (1e21, 1e23), strict=True):
        assert one["loss"]["lower"] < best(c) < one["loss"]["upper"]
        assert one["loss"]["upper"] - one["loss"]["lower"] < 0.15


# --- what one learns of such a table --------------------------------------------------------------


def test_one_number_of_tokens_tells_nothing_of_the_split(tmp_path):
    path = save(tmp_path / "a.csv", ladder(tokens=(3e9,), sizes=np.geomspace(2e7, 1e9, 8)))
    said = run("fit", path, "--law", "dense", "--method", "laplace").stderr
    assert "warning: all runs have one D, 3B, so what another would do" in said
    assert "is known from the prior alone; a run such as N = 20M, D = 12B" in said


def test_a_rung_off_the_trend_is_named_by_check(tmp_path):
    table = ladder(noise=0.001)
    table.loc[table["N"].eq(SIZES[0]), "loss"] *= 1.06
    path, fit = save(tmp_path / "a.csv", table), tmp_path / "fit.nc"
    run("fit", path, "--law", "dense", "-o", fit)
    said = " ".join(run("check", fit, "N=10B", "D=200B").stdout.split())
    assert "Without the 3 runs of N = 20M, the loss at N = 10B, D = 200B is" in said


def test_badly_tuned_runs_are_said_to_lie_above(tmp_path):
    table = ladder(sizes=np.geomspace(2e7, 4e9, 8), tokens=(1.5e9, 6e9, 2.5e10, 1e11), noise=0.002)
    table.loc[[2, 9, 13, 20], "loss"] *= (1.08, 1.12, 1.06, 1.1)
    path, fit = save(tmp_path / "a.csv", table), tmp_path / "fit.nc"
    run("fit", path, "--law", "dense", "-o", fit)
    said = " ".join(run("check", fit).stdout.split())
    assert "Misfits are mostly upwards: 4 of 32 runs lie far above their prediction" in said
    assert "--noise skewed" in said


def test_sizes_that_a_flat_curve_cannot_tell_apart_are_a_band(tmp_path):
    compute, shift = (x.ravel() for x in np.meshgrid([1e18, 1e19, 1e20], 2.0 ** np.arange(-2, 3)))
    n = shift * np.sqrt(compute / 6) / 4
    tokens = compute / 6 / n
    rng = np.random.default_rng(1)
    loss = dense(n, tokens, **TRUTH) * np.exp(0.001 * rng.standard_normal(n.size))
    table = pd.DataFrame({"flops": compute, "tokens": tokens, "loss": loss.round(4)})
    path, fit = save(tmp_path / "a.csv", table), tmp_path / "fit.nc"
    said = run("fit", path, "--law", "dense", "-o", fit).stderr
    assert "read: N worked out: compute / (6 D), from 'flops', 'tokens'" in said
    asked = ("decide", fit, "--budget", "1e20", "--within", "0.005")
    found = json.loads(run(*asked, "--json").stdout)["budgets"][0]
    band = found["band"]["N"]
    # By the true law sizes from one end of the band to the other lose some .005 and no more.
    ends = np.array([band["lower"], band["upper"]])
    best = min(dense(n, 1e20 / 6 / n, **TRUTH) for n in np.geomspace(1e8, 1e10, 400))
    lost = dense(ends, 1e20 / 6 / ends, **TRUTH) - best
    assert (lost > 0.002).all()
    assert (lost < 0.01).all()
    assert "costs at most 0.005 nats more" in " ".join(run(*asked).stdout.split())


def test_two_short_ladders_are_judged_at_their_own_ratio(tmp_path):
    sizes, gain = np.array([5e7, 1e8, 2e8, 4e8]), 1.2
    rng = np.random.default_rng(1)
    rows = []
    for recipe, times in (("old", 1.0), ("new", gain**0.5)):
        loss = dense(sizes * times, 20 * sizes * times, **TRUTH)
        loss = (loss * np.exp(0.001 * rng.standard_normal(4))).round(4)
        rows.append(pd.DataFrame({"N": sizes, "D": 20 * sizes, "loss": loss, "recipe": recipe}))
    path, fit = save(tmp_path / "a.csv", pd.concat(rows)), tmp_path / "fit.nc"
    run("fit", path, "--law", "dense", "--by", "recipe", "--vary", "A", "--vary", "B", "-o", fit)
    asked = ("versus", fit, "--budget", "1e20", "--ratio", "20")
    assert "both at 20 tokens a parameter: new has the lowest loss" in " ".join(
        run(*asked).stdout.split()
    )
    found = json.loads(run(*asked, "--json").stdout)["budgets"][0]["fits"]
    old, new = (next(one for one in found if one["fit"] == name) for name in ("old", "new"))
    assert new["best"] > 0.95
    # What the old recipe needs less than the new: the inverse of the gain.
    assert old["multiplier"]["lower"] < 1 / gain < old["multiplier"]["upper"]
