"""Fits: what they hold, that files give back what was saved, and what is refused."""

import json
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayescale as bs
from bayescale import amplitude, exponent, floor, law
from bayescale.models import dense, laws, sparse, upcycling


@law
def dense_again(N, D, *, E=floor(), A=amplitude(), alpha=exponent()):
    return E + A * (N * D) ** -alpha


# --- what a fit holds ---------------------------------------------------------------------------


def test_a_fit_says_what_it_is(olmo, olmo_fit):
    assert repr(olmo_fit) == "<Fit of dense: 30 runs, 4 x 1000 draws>"
    assert set(olmo_fit.tree.children) == {
        *("posterior", "log_likelihood", "sample_stats", "observed_data", "constant_data", "runs")
    }
    about = olmo_fit.about
    assert (about["noise"], about["seed"], about["table"]) == ("student_t", 1, "olmo_ladder")
    assert about["version"] == bs.__version__
    assert about["priors"]["E"] == "LogNormal(median 0.5, 0.4) x reference loss"
    assert olmo_fit.reference["N"] == pytest.approx(np.exp(np.log(olmo.N).mean()))
    runs = olmo_fit.runs
    np.testing.assert_array_equal(runs.loss, olmo.loss)
    assert runs["size"].values.tolist() == olmo["size"].tolist()
    assert runs["rerun"].dtype == bool
    assert runs["run"].values.tolist() == olmo.index.tolist()


def test_a_fit_cannot_be_changed_by_accident(olmo_fit):
    with pytest.raises(AttributeError):
        olmo_fit.law = sparse
    olmo_fit.posterior["E"] = 0.0 * olmo_fit.posterior.E
    assert (olmo_fit.posterior.E > 0).all()


def test_what_pymc_writes_harms_no_verb(olmo, olmo_fit, tmp_path):
    """The idiom of everybody who uses PyMC: it puts inputs of its own into the tree."""
    import pymc as pm

    fit = bs.Fit(dense, olmo_fit.tree.isel(draw=slice(None, None, 20)).copy(deep=True))
    before = bs.decide(fit, 1e24, trust=True)
    pm.sample_posterior_predictive(
        fit.tree,
        model=bs.model(dense, olmo),
        extend_inferencedata=True,
        progressbar=False,
        random_seed=1,
    )
    assert "posterior_predictive" in fit.tree
    np.testing.assert_allclose(fit.tree["constant_data"]["N"], olmo.N)  # plain units, as the fit's
    fit.tree["constant_data"] = xr.DataTree(xr.Dataset({"N": ("run", [1.0, 2.0])}))
    xr.testing.assert_identical(bs.decide(fit, 1e24, trust=True), before)
    fit.save(tmp_path / "fit.nc")
    again = bs.load_fit(tmp_path / "fit.nc")
    xr.testing.assert_identical(bs.decide(again, 1e24, trust=True), before)
    bs.write_report(again, tmp_path / "report.html", budget=1e23)


def test_runs_that_were_changed_are_noticed(olmo_fit, tmp_path):
    tree = olmo_fit.tree.copy(deep=True)
    tree["runs"]["N"] = tree["runs"]["N"] / olmo_fit.reference["N"]
    fit = bs.Fit(dense, tree)
    with pytest.raises(bs.InputError, match=r"not those that it was made from: the group 'runs'"):
        bs.decide(fit, 1e24)
    fit.save(tmp_path / "fit.nc")
    with pytest.raises(bs.InputError, match="its runs are not those that were fitted"):
        bs.load_fit(tmp_path / "fit.nc")


def test_a_fit_pickles(olmo_fit):
    copy = pickle.loads(pickle.dumps(olmo_fit))
    assert copy.law is dense
    assert copy.tree.identical(olmo_fit.tree)


def test_published_coefficients_are_a_fit_of_one_draw():
    fit = bs.published(dense, "besiroglu2024")
    assert repr(fit) == "<Fit of dense: published, 1 x 1 draws>"
    assert fit.runs is None
    assert fit.posterior.A.item() == 482.01
    assert fit.about["certainty"] == "notes"
    with pytest.raises(bs.InputError, match=r"no published set 'nobody'; it has .*besiroglu2024"):
        bs.published(dense, "nobody")


# --- units --------------------------------------------------------------------------------------


#: Their coefficients at one reference have no counterpart at another.
WITHOUT_RAW_UNITS = {"farseer"}


@pytest.mark.parametrize("name", laws())
def test_raw_units_give_the_same_loss_or_are_refused(name, mixture_runs):
    law = laws()[name]
    runs = mixture_runs.assign(D_unique=mixture_runs.D / 2, S_experts=mixture_runs.S)
    fit = bs.prior(law, runs, draws=40, seed=3)
    if name in WITHOUT_RAW_UNITS:
        with pytest.raises(bs.InputError, match=r"in raw units are not known"):
            bs.coefficients(fit, units="raw")
        return
    raw = bs.coefficients(fit, units="raw")
    inputs = {n: runs[n].to_numpy() for n in law.inputs}
    labelled = {n: xr.DataArray(x, dims="run") for n, x in inputs.items()}
    found = law(**labelled, **{n: raw[n] for n in raw}).transpose("chain", "draw", "run")
    np.testing.assert_allclose(found, bs.predict(fit, mean=True, **inputs), rtol=1e-6)
    assert set(raw.data_vars) == set(law.coefficients)


def test_reference_units_are_what_was_sampled(olmo_fit):
    assert bs.coefficients(olmo_fit).equals(olmo_fit.posterior[list(dense.coefficients)])
    with pytest.raises(bs.InputError, match=r"units='metric' is not known"):
        bs.coefficients(olmo_fit, units="metric")


def test_amplitudes_inside_a_power_are_not_converted_as_if_they_were_not(olmo):
    @law
    def powered(N, D, *, E=floor(), A=amplitude(), B=amplitude(), alpha=exponent(), k=exponent()):
        return E + (A * N**-alpha + B * D**-alpha) ** k

    fit = bs.prior(powered, olmo, draws=5, seed=1)
    with pytest.raises(bs.InputError, match=r"'powered' is no sum of plain powers.*raw="):
        bs.coefficients(fit, units="raw")


def test_a_wrong_conversion_of_a_law_is_noticed(olmo):
    @law(raw=lambda c, reference: {"A": c["A"]})
    def wrong(N, D, *, E=floor(), A=amplitude(), alpha=exponent()):
        return E + A * N**-alpha + 0 * D

    fit = bs.prior(wrong, olmo, draws=5, seed=1)
    with pytest.raises(bs.InputError, match=r"'wrong': its raw= gives coefficients that change"):
        bs.coefficients(fit, units="raw")


# --- files --------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.nc"


@pytest.fixture
def fit(olmo):
    """A small fit: of the prior, which takes no time."""
    return bs.prior(dense, olmo, draws=20, seed=1)


def test_a_file_gives_back_what_was_saved(olmo_fit, path):
    olmo_fit.save(path)
    back = bs.load_fit(path)
    assert back.law is dense
    assert back.about == olmo_fit.about
    for name, group in olmo_fit.tree.children.items():
        assert back.tree[name].to_dataset().equals(group.to_dataset()), name
    for use in (
        lambda f: bs.predict(f, N=7e9, D=4e12, seed=1),
        lambda f: bs.allocate(f, [1e22, 1e23]),
        lambda f: bs.decide(f, 1e22),
        lambda f: bs.coefficients(f, units="raw"),
    ):
        assert use(back).equals(use(olmo_fit))
    pd.testing.assert_frame_equal(bs.diagnose(back), bs.diagnose(olmo_fit))


@pytest.mark.parametrize("kind", ["prior", "published"])
def test_every_kind_of_fit_goes_to_a_file(kind, fit, path):
    saved = fit if kind == "prior" else bs.published(upcycling, "liew2025")
    saved.save(str(path))
    back = bs.load_fit(str(path))
    assert back.tree.equals(saved.tree)
    assert back.law is saved.law


def test_a_loaded_fit_does_not_hold_on_to_its_file(fit, path):
    fit.save(path)
    back = bs.load_fit(path)
    path.unlink()
    assert float(bs.predict(back, mean=True, N=1e9, D=1e10).mean()) > 0


def test_columns_of_every_kind_go_to_a_file(olmo, path):
    n = 12
    runs = olmo.head(n).copy()
    runs["mixed"] = [1, "a", None, 2.5] * 3
    runs["flag"] = [True, False] * 6
    runs["flag or not"] = pd.array([True, None] * 6, dtype="boolean")
    runs["day"] = pd.to_datetime(["2024-01-01", None] * 6)
    runs["seed"] = pd.array([1, None] * 6, dtype="Int64")
    runs["step"] = pd.array(range(n), dtype="Int64")
    runs["half"] = np.arange(n, dtype="float16")
    runs["large"] = np.arange(n, dtype="uint64") + 2**63
    runs["kind"] = pd.Categorical(["a", "b"] * 6)
    runs["lists"] = [[1, 2]] * n
    runs["eval/c4"] = 1.0
    runs[7] = ["ä", "中\0"] * 6
    fit = bs.prior(dense, runs, draws=3, seed=1)
    fit.save(path)
    back = bs.load_fit(path).runs
    assert back.equals(fit.runs)
    first = {str(name): back[name].values[:2].tolist() for name in back}
    assert first["mixed"] == ["1", "a"]
    assert first["flag"] == [True, False]
    assert first["flag or not"][0] == 1.0
    assert np.isnan(first["flag or not"][1])
    assert first["day"] == ["2024-01-01 00:00:00", ""]
    assert first["seed"][0] == 1.0
    assert first["step"] == [0, 1]
    assert first["half"] == [0.0, 1.0]
    assert first["large"] == [2**63, 2**63 + 1]
    assert first["kind"] == ["a", "b"]
    assert first["lists"] == ["[1, 2]", "[1, 2]"]
    assert first["eval_c4"] == [1.0, 1.0]
    assert first["7"] == ["ä", "中"]


def test_a_file_is_written_over_only_when_the_new_one_is_complete(fit, path):
    fit.save(path)
    before = path.read_bytes()
    other = bs.prior(dense, fit_table(fit), draws=5, seed=9)
    other.tree["posterior"].attrs["unwritable"] = object()
    with pytest.raises(TypeError):
        other.save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    with pytest.raises(TypeError):
        other.save(path.with_name("new.nc"))
    assert os.listdir(path.parent) == [path.name]
    bs.prior(dense, fit_table(fit), draws=5, seed=9).save(path)
    assert bs.load_fit(path).posterior.sizes["draw"] == 5
    assert os.listdir(path.parent) == [path.name]


def fit_table(fit):
    return fit.runs[["N", "D", "loss"]].to_dataframe()


def test_a_new_file_has_the_usual_permissions(fit, path, tmp_path):
    fit.save(path)
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


def test_a_place_that_cannot_hold_a_file_is_refused(fit, tmp_path):
    missing = tmp_path / "no" / "fit.nc"
    with pytest.raises(bs.InputError, match=r"there is no folder .*no; make it first"):
        fit.save(missing)
    assert not missing.parent.exists()
    with pytest.raises(bs.InputError, match=r"it is a folder; name a file"):
        fit.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def changed(fit, **about):
    """The same fit, saying something else of itself."""
    tree = fit.tree.copy()
    tree.attrs = {"bayescale": json.dumps(fit.about | about)}
    return bs.Fit(fit.law, tree)


def test_files_that_are_no_fits_are_refused(fit, path, tmp_path):
    with pytest.raises(bs.InputError, match=r"there is no file .*nothing\.nc; fit\.save"):
        bs.load_fit(tmp_path / "nothing.nc")
    text = tmp_path / "text.nc"
    text.write_text("N,D,loss\n1e9,1e10,2.9\n")
    other = tmp_path / "other.nc"
    xr.Dataset({"x": ("y", [1.0])}).to_netcdf(other, engine="h5netcdf")
    empty = tmp_path / "empty.nc"
    empty.touch()
    fit.save(path)
    whole = path.read_bytes()
    truncated = [tmp_path / f"truncated_{share}.nc" for share in (10, 50, 90, 99)]
    for cut in truncated:
        cut.write_bytes(whole[: len(whole) * int(cut.stem.split("_")[1]) // 100])
    for bad in (text, other, empty, *truncated):
        with pytest.raises(
            bs.InputError, match=rf"{bad.name} is not a bayescale fit, or is damaged"
        ):
            bs.load_fit(bad)


def test_a_file_of_another_format_is_refused(fit, path):
    changed(fit, format=99, version="9.0").save(path)
    with pytest.raises(
        bs.InputError, match=r"format 99 \(written by bayescale 9.0\).*reads format"
    ):
        bs.load_fit(path)


def test_a_fit_is_loaded_with_the_law_that_it_was_made_with(fit, path, olmo):
    fit.save(path)
    assert bs.load_fit(path, law=dense).law is dense
    with pytest.raises(bs.InputError, match=r"holds a fit of dense\(N, D; .*not of sparse\("):
        bs.load_fit(path, law=sparse)
    with pytest.raises(bs.InputError, match=r"law= is a law .*not function"):
        bs.load_fit(path, law=dense.function)

    bs.prior(dense_again, olmo, draws=5, seed=1).save(path)
    with pytest.raises(bs.InputError, match=r"not one of the package's laws; pass it as .*law="):
        bs.load_fit(path)
    assert bs.load_fit(path, law=dense_again).law is dense_again


def test_a_law_whose_formula_has_changed_is_noticed(path, olmo):
    bs.prior(dense_again, olmo, draws=5, seed=1).save(path)

    def dense_again_changed(N, D, *, E=floor(), A=amplitude(), alpha=exponent()):
        return E + A * (N + D) ** -alpha

    dense_again_changed.__name__ = "dense_again"
    with pytest.raises(bs.InputError, match=r"made with another formula of 'dense_again'"):
        bs.load_fit(path, law=law(dense_again_changed))


def test_other_priors_do_not_make_another_formula(path, olmo):
    bs.prior(dense_again, olmo, draws=5, seed=1).save(path)

    def same(N, D, *, E=floor(0.1), A=amplitude(0.9), alpha=exponent(0.5)):
        return E + A * (N * D) ** -alpha

    same.__name__ = "dense_again"
    assert bs.load_fit(path, law=law(same)).posterior.sizes["draw"] == 5
