"""The tables that come with the package: complete, usable, and what they say they are."""

import numpy as np
import pandas as pd
import pytest

from bayescale.common.errors import InputError
from bayescale.language.columns import check_values, read_columns
from bayescale.language.variables import VARIABLES
from bayescale.tables.bundled import list_runs, load_runs

ROWS = {
    "olmo_ladder": 32,
    "hoffmann2022": 245,
    "gadre2024": 104,
    "gemstones2025": 199,
    "muennighoff2023": 307,
    "frantar2023_t5": 49,
    "frantar2023_vit": 112,
    "clark2022": 223,
    "krajewski2024_optimal": 7,
    "krajewski2024_design": 78,
    "liew2025": 479,
    "marin_moe": 37,
    "marin_optimizers": 32,
}
# Blank where a run has no such property; everything else is complete.
BLANK = {"olmo_ladder": {"chinchilla_multiplier"}, "muennighoff2023": {"seed"}}
# What a law of each table's kind takes, with what is derived.
INPUTS = {
    "frantar2023_t5": ["N", "N_active", "S", "D", "loss"],
    "frantar2023_vit": ["N", "N_active", "S", "D", "loss"],
    "muennighoff2023": ["N", "D", "D_unique", "flops", "loss"],
    "clark2022": ["N", "N_active", "S", "experts", "D", "flops", "loss"],
    "krajewski2024_optimal": ["N", "N_active", "S", "expansion", "G", "D", "flops", "loss"],
    "krajewski2024_design": ["N", "N_active", "S", "expansion", "G", "D", "flops"],
    "liew2025": ["N", "D_dense", "D_upcycled", "experts", "loss"],
    "marin_moe": ["N", "N_active", "S", "experts", "D", "flops", "loss"],
}

every_table = pytest.mark.parametrize("name", ROWS)


def test_the_list_is_complete():
    listed = list_runs()
    assert listed["rows"].to_dict() == ROWS
    assert listed.index.name == "name"
    assert list(listed.columns) == ["rows", "what", "identifies", "source", "terms"]
    assert (listed.drop(columns="rows").map(len) > 2).all(axis=None)


@every_table
def test_rows_and_columns_are_complete(name):
    runs = load_runs(name)
    assert len(runs) == ROWS[name]
    assert list(runs.index) == list(range(ROWS[name]))
    assert not runs.duplicated().any()
    blank = set(runs.columns[runs.isna().any()])
    assert blank == BLANK.get(name, set())


@every_table
def test_vocabulary_columns_pass_their_checks(name):
    runs = load_runs(name)
    for column in VARIABLES.keys() & set(runs.columns):
        assert runs[column].dtype == np.float64
        check_values(column, runs[column])
    inputs = INPUTS.get(name, ["N", "D", "flops", "loss"])
    columns = read_columns(runs, inputs)
    assert all(np.isfinite(values).all() for values in columns.values())


@every_table
def test_attributes_are_complete(name):
    runs = load_runs(name)
    attrs = runs.attrs
    assert attrs["name"] == name
    for key in ("title", "kind", "source", "citation", "identifier", "origin", "terms", "notes"):
        assert isinstance(attrs[key], str)
        assert attrs[key]
    assert attrs["identifier"].startswith(("arXiv:", "marin-community/marin "))
    if attrs["identifier"].startswith("arXiv:"):
        assert attrs["identifier"] in attrs["citation"]
    assert "://" not in " ".join(str(value) for value in attrs.values())
    assert list(attrs["units"]) == list(attrs["columns"]) == list(runs.columns)
    assert all(attrs["columns"].values())
    assert attrs["units"]["N"] == "parameters"


@every_table
def test_losses_have_no_more_digits_than_the_source_supports(name):
    runs = load_runs(name)
    if "loss" in runs:
        digits = 4 if name == "hoffmann2022" else 6
        assert (runs["loss"] == runs["loss"].round(digits)).all()


def test_attributes_stay_when_rows_are_chosen():
    runs = load_runs("olmo_ladder")
    assert runs[~runs["target"]].attrs == runs.attrs


def test_changing_one_copy_leaves_the_next_alone():
    first = load_runs("olmo_ladder")
    first["loss"] = 0.0
    first.attrs["units"]["loss"] = "bits"
    second = load_runs("olmo_ladder")
    assert second["loss"].min() > 2
    assert second.attrs["units"]["loss"] == "nats per token"


def test_only_measurements_are_called_runs():
    kinds = {name: load_runs(name).attrs["kind"] for name in ROWS}
    published = {name for name, kind in kinds.items() if kind == "published configurations"}
    assert published == {"krajewski2024_optimal", "krajewski2024_design"}
    assert set(kinds.values()) == {"runs", "published configurations"}
    assert "loss" not in load_runs("krajewski2024_design")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("olmo", "did you mean 'olmo_ladder'"),
        ("Hoffman2022", "did you mean 'hoffmann2022'"),
        ("muennighof2023", "did you mean 'muennighoff2023'"),
        ("nothing like it", "there are 'olmo_ladder', "),
        ("../data/olmo_ladder", "no table"),
    ],
)
def test_an_unknown_name_is_refused(name, words):
    with pytest.raises(InputError, match=words):
        load_runs(name)


# --- what each table is known for ---------------------------------------------------------------


def test_compute_of_real_runs_does_not_overflow():
    runs = load_runs("olmo_ladder")
    flops = 6 * runs["N"] * runs["D"]
    assert (flops > 1e18).all()
    np.testing.assert_allclose(flops, runs["flops"], rtol=1e-15)
    assert runs["flops"].max() == pytest.approx(3.960789e23, rel=1e-6)


def test_olmo_ladder_has_its_targets_and_its_repeats():
    runs = load_runs("olmo_ladder")
    targets = runs[runs["target"]]
    assert targets["D"].round(-11).tolist() == [3.9e12, 5.0e12]
    pairs = runs[~runs["target"]].groupby(["N", "chinchilla_multiplier"])["loss"]
    spread = pairs.std().dropna()
    assert len(spread) == runs["rerun"].sum() == 5
    assert np.sqrt((spread**2).mean()) == pytest.approx(0.0005, abs=1e-4)


def test_hoffmann_outliers_are_the_highest_losses():
    runs = load_runs("hoffmann2022")
    assert runs["outlier"].sum() == 5
    assert runs.loc[runs["outlier"], "loss"].min() == runs["loss"].nlargest(5).min()
    # The published coefficients of Besiroglu et al. describe the rows they kept.
    kept = runs[~runs["outlier"]]
    predicted = 1.8172 + 482.01 * kept["N"] ** -0.3478 + 2085.43 * kept["D"] ** -0.3658
    assert np.log(kept["loss"] / predicted).abs().median() < 0.005


def test_gadre_has_three_corpora_and_marks_long_warm_ups():
    runs = load_runs("gadre2024")
    assert runs["corpus"].value_counts().to_dict() == {
        "c4_original": 34,
        "rpj": 35,
        "rw_original": 35,
    }
    assert (runs["warm_frac"] > 0.25).sum() == 24
    assert not runs.duplicated(["corpus", "N", "chinchilla_multiplier"]).any()
    np.testing.assert_allclose(runs["D"], 20 * runs["chinchilla_multiplier"] * runs["N"], rtol=1e-3)
    # Embeddings of 50,432 words in this width make the difference.
    np.testing.assert_array_equal(runs["N"] - runs["N_nonembedding"], 50_432 * runs["width"])


def test_gemstones_cool_downs_belong_to_runs():
    runs = load_runs("gemstones2025")
    assert sorted(runs["run"].value_counts()) == [9] + 19 * [10]
    assert (runs.groupby("run")[["N", "width", "depth"]].nunique() == 1).all(axis=None)


def test_muennighoff_repeats_data_and_seeds():
    runs = load_runs("muennighoff2023")
    np.testing.assert_allclose(runs["epochs"], runs["D"] / runs["D_unique"], rtol=1e-6)
    assert (runs["single_epoch"] == (runs["epochs"] == 1)).all()
    assert runs["single_epoch"].sum() == 41
    seeded = runs[runs["seed"].notna()].groupby(["N", "D", "D_unique"])
    assert seeded.ngroups == 16
    assert (seeded["seed"].nunique() == 4).all()
    assert runs["variant"].value_counts()["dedup"] == 12


def test_frantar_is_a_factorial_in_sparsity():
    runs = load_runs("frantar2023_t5")
    ladder = runs[~runs["target"]]
    assert ladder.groupby(["N_active", "S", "D"]).size().tolist() == 48 * [1]
    assert sorted(ladder["S"].unique()) == [0, 0.5, 0.75, 0.875]
    target = runs[runs["target"]].iloc[0]
    assert target["N"] == pytest.approx(2.4e9, rel=0.01)
    assert target["S"] == 0.75
    vision = load_runs("frantar2023_vit")
    assert vision.attrs["units"]["D"] == "images"
    assert set(vision["S"]) == {0, 0.5, 0.75, 0.875, 0.9375}


def test_clark_main_grid_and_active_parameters():
    runs = load_runs("clark2022")
    main = runs.query("top_k == 1 and routing_frequency == 0.5 and seed == 42")
    assert main["router"].value_counts().to_dict() == {
        "RL-R": 54,
        "S-Base": 53,
        "Hash": 51,
        "Dense": 5,
    }
    assert not main.duplicated(["router", "experts", "N_base"]).any()
    assert (main["N_active"] == main["N_base"]).all()
    dense = runs[runs["router"] == "Dense"]
    assert (dense["S"] == 0).all()
    # Two experts a token, or a dense layer twice as wide, use the same number of parameters.
    wide = dense.query("top_k == 2").set_index("size")["N_active"]
    routed = runs.query("router == 'S-Base' and top_k == 2").groupby("size")["N_active"]
    np.testing.assert_allclose(routed.mean(), wide[routed.mean().index], rtol=1e-3)


def test_krajewski_counts_follow_the_paper():
    optimal, design = load_runs("krajewski2024_optimal"), load_runs("krajewski2024_design")
    for table in (optimal, design):
        factor = (8 * table["expansion"] + 4) / 12
        np.testing.assert_allclose(table["N"], factor * table["N_active"], rtol=1e-12)
    assert (optimal["D_p10"] < optimal["D"]).all()
    assert (optimal["D"] < optimal["D_p90"]).all()
    assert optimal["G"].between(optimal["G_p10"], optimal["G_p90"]).all()
    # Routing costs extra.
    assert optimal["flops"].div(6 * optimal["N_active"] * optimal["D"]).between(1.04, 1.13).all()
    np.testing.assert_array_equal(design["N_active"], 12 * design["width"] ** 2 * design["depth"])
    assert set(design["G"]) == {1, 2, 4, 8, 16}


def test_liew_tells_the_parent_from_the_mixture():
    runs = load_runs("liew2025")
    assert "parent" in runs.attrs["columns"]["N"]
    # Three quarters of a parent's parameters are feed-forward: those are what is copied.
    for column, copies in (("mixture_N_total", "experts"), ("mixture_N_active", "top_k")):
        expected = runs["N"] * (1 + 0.75 * (runs[copies] - 1))
        np.testing.assert_allclose(runs[column], expected, rtol=4e-4)
    with pytest.raises(InputError):  # the parent's size gives no sparsity of the mixture
        read_columns(runs, ["S"])
    with pytest.raises(InputError):
        read_columns(runs, ["flops"])
    table_2 = runs.query("experts == 8 and top_k == 2")
    assert table_2.groupby("N").size().tolist() == 6 * [25]
    assert not runs.duplicated(["N", "experts", "top_k", "D_dense", "D_upcycled"]).any()
    # Published Table 2 describes them to about one per cent.
    law = 16.3 * table_2["D_dense"] ** -0.043
    law *= table_2["D_upcycled"] ** (7.98e-4 * np.log(table_2["D_dense"]) - 0.085)
    law += 8.53 * table_2["N"] ** -0.112 + 0.165
    error = np.log(law / table_2["loss"])
    assert np.sqrt((error**2).mean()) == pytest.approx(0.0103, abs=2e-4)


def test_marin_mixtures_are_two_groups():
    runs = load_runs("marin_moe")
    assert runs["recipe"].value_counts().to_dict() == {"overtrained": 26, "experts": 11}
    grid, sweep = (runs[runs["recipe"] == name] for name in ("overtrained", "experts"))
    ratio = (grid["D"] / grid["N_active"]).round()
    assert set(ratio) == {30, 60, 150, 300, 600}
    np.testing.assert_allclose(grid["flops"], 6 * grid["N_active"] * grid["D"], rtol=1e-5)
    assert (sweep["flops"] / (6 * sweep["N_active"] * sweep["D"])).between(1.49, 2.2).all()
    falling = sweep.sort_values("experts").groupby("D")["loss"].diff().dropna()
    assert (falling < 0).all()


def test_marin_optimizers_pair_by_configuration():
    runs = load_runs("marin_optimizers")
    assert runs["optimizer"].value_counts().to_dict() == {"adamw": 18, "muon": 14}
    sides = runs.pivot(index=["N", "D"], columns="optimizer", values="loss")
    both = sides.dropna()
    assert len(both) == 14
    assert (both["muon"] < both["adamw"]).all()


def test_flags_can_choose_rows():
    flags = {
        "olmo_ladder": ["rerun", "target"],
        "hoffmann2022": ["outlier"],
        "muennighoff2023": ["single_epoch"],
        "frantar2023_t5": ["target"],
    }
    for name, columns in flags.items():
        runs = load_runs(name)
        assert all(pd.api.types.is_bool_dtype(runs[column]) for column in columns)
