"""Loss curves and checkpoints: what becomes a run and what is refused."""

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale.common.errors import InputError


def curves(rows=100, *, decay=True, runs=3, tokens="train/tokens"):
    """What a tracker logged: rows of several runs with a cosine schedule or a constant rate."""
    parts = []
    for i in range(runs):
        share = np.arange(1, rows + 1) / rows
        rate = 0.55 + 0.45 * np.cos(np.pi * share) if decay else np.ones(rows)
        parts.append(
            pd.DataFrame(
                {
                    "run_id": f"r{i}",
                    "params": 10**8 * 4**i,
                    tokens: share * 2e9 * 4**i,
                    "_step": np.arange(1, rows + 1) * 10,
                    "train/lr": 3e-4 * rate,
                    "val_loss": 3 - 0.3 * i + (1 - share) + 0.01 * (-1.0) ** np.arange(rows),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def refused(data, **options):
    with pytest.raises(InputError) as caught:
        bs.read_runs(data, **options)
    return str(caught.value)


def test_a_curve_becomes_one_row_with_the_mean_of_its_tail():
    data = curves()
    runs = bs.read_runs(data)
    assert len(runs) == 3
    assert runs["D"].tolist() == [2e9, 8e9, 3.2e10]
    assert runs["N"].tolist() == [1e8, 4e8, 1.6e9]
    assert runs["run"].tolist() == ["r0", "r1", "r2"]
    first = data[data.run_id == "r0"]
    expected = first.val_loss[first["train/tokens"] >= 0.95 * 2e9].mean()
    assert runs["loss"][0] == pytest.approx(expected, abs=1e-12)
    assert "last 5 % of it (6 rows)" in runs.attrs["notes"]


def test_the_tail_may_be_longer():
    data = curves()
    runs = bs.read_runs(data, tail=0.2)
    first = data[data.run_id == "r0"]
    expected = first.val_loss[first["train/tokens"] >= 0.8 * 2e9 - 1].mean()
    assert runs["loss"][0] == pytest.approx(expected, abs=1e-12)


def test_the_order_of_rows_does_not_matter():
    data = curves()
    shuffled = bs.read_runs(data.sample(frac=1, random_state=1)).sort_values("run")
    expected = bs.read_runs(data)
    pd.testing.assert_frame_equal(
        shuffled.reset_index(drop=True)[list(expected)], expected, check_exact=False
    )


def test_rows_without_a_loss_are_passed_over():
    data = curves()
    data.loc[data.index % 4 != 3, "val_loss"] = np.nan
    runs = bs.read_runs(data)
    assert runs["loss"].notna().all()
    assert runs["D"].tolist() == [2e9, 8e9, 3.2e10]


def test_tokens_of_the_whole_run_and_steps_make_a_curve_as_well():
    data = curves().drop(columns="train/tokens")
    data["tokens"] = data.groupby("run_id")["params"].transform("first") * 20.0
    assert bs.read_runs(data)["D"].tolist() == [2e9, 8e9, 3.2e10]


def test_settings_of_a_run_are_kept_and_what_changes_along_it_is_not():
    data = curves().assign(corpus="web", wall_time=np.arange(300.0))
    runs = bs.read_runs(data)
    assert runs["corpus"].tolist() == ["web"] * 3
    assert "wall_time" not in runs


def test_checkpoints_are_refused_with_the_reason_and_the_remedy():
    data = curves(rows=5).drop(columns="train/lr")
    said = refused(data)
    assert "the 15 rows are checkpoints of 3 runs (run 'r0' at 400M, 800M, 1.2B ... tokens)" in said
    assert "a law is of final losses" in said
    assert "checkpoints='last'" in said
    assert "checkpoints='keep'" in said


def test_the_last_checkpoint_is_the_run_if_told():
    runs = bs.read_runs(curves(rows=5), checkpoints="last")
    assert runs["D"].tolist() == [2e9, 8e9, 3.2e10]
    assert runs["loss"].tolist() == curves(rows=5).groupby("run_id").val_loss.last().tolist()
    assert "the last row of each is kept" in runs.attrs["notes"]


def test_all_checkpoints_are_runs_if_told():
    runs = bs.read_runs(curves(rows=5), checkpoints="keep")
    assert len(runs) == 15
    assert "as told" in runs.attrs["notes"]


def test_curves_that_end_at_a_high_learning_rate_are_refused():
    said = refused(curves(decay=False))
    assert "3 of 3 runs had not finished" in said
    assert "run 'r0' ends at 100% of its largest learning rate" in said
    assert len(bs.read_runs(curves(decay=False), checkpoints="last")) == 3


def test_a_run_that_stopped_early_is_refused():
    data = curves().assign(max_steps=1000)
    data = data[(data.run_id != "r1") | (data["_step"] <= 600)]
    said = refused(data.drop(columns="train/lr"))
    assert "1 of 3 runs had not finished" in said
    assert "'r1' ends at 60% of its planned steps" in said


def test_a_run_that_diverged_is_refused():
    data = curves()
    data.loc[(data.run_id == "r2") & (data["_step"] > 500), "val_loss"] = np.nan
    assert "run 'r2' has no loss after 50% of its rows" in refused(data)


def test_a_run_without_any_loss_is_refused():
    data = curves()
    data.loc[data.run_id == "r2", "val_loss"] = np.nan
    assert "run 'r2' has no row with a loss" in refused(data)


def test_finished_runs_by_a_summary_are_runs():
    data = curves().groupby("run_id", as_index=False).last()
    assert len(bs.read_runs(data)) == 3
    planned = data.assign(max_steps=[1000, 1000, 4000])
    assert "row 2 ends at 25% of its planned steps" in refused(planned)


def test_curves_without_a_column_of_runs_are_refused():
    data = curves().drop(columns="run_id")
    said = refused(data)
    assert "100 rows of one configuration at steps 10 to 1000" in said
    assert "columns={'run': '...'}" in said
    assert "100 rows of one configuration" in refused(data.drop(columns="train/lr"))


def test_the_column_of_runs_may_be_told():
    data = curves().rename(columns={"run_id": "sweep item"})
    assert len(bs.read_runs(data, columns={"run": "sweep item"})) == 3


def test_a_name_of_families_does_not_tell_runs_apart():
    data = pd.DataFrame(
        {"name": ["a", "a", "b"], "N": [1e8, 2e8, 4e8], "D": [1e9, 2e9, 3e9], "loss": [4, 3, 2.0]}
    )
    pd.testing.assert_frame_equal(bs.read_runs(data), data)


def test_a_grid_of_sizes_and_tokens_is_no_curve():
    sizes, tokens = np.meshgrid([1e8, 4e8], [1e9, 2e9, 4e9, 8e9, 1.6e10, 3.2e10])
    data = pd.DataFrame({"N": sizes.ravel(), "D": tokens.ravel(), "loss": 3.0})
    data["step"] = data["D"] / 1e6  # the last step of each
    assert len(bs.read_runs(data)) == 12


def test_published_checkpoints_are_refused_from_a_file(tmp_path):
    bs.load_runs("gemstones2025").to_csv(tmp_path / "runs.csv", index=False)
    assert "checkpoints of 20 runs" in refused(tmp_path / "runs.csv")
    assert len(bs.read_runs(tmp_path / "runs.csv", checkpoints="keep")) == 199


@pytest.mark.parametrize(
    ("options", "said"),
    [({"checkpoints": "first"}, "'first'"), ({"tail": 0}, "tail=0"), ({"tail": 5}, "tail=5")],
)
def test_settings_that_mean_nothing_are_refused(options, said):
    assert said in refused(curves(), **options)
