"""Coefficients that differ between groups of runs."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayescale as bs
from bayescale.models import dense, sparse
from bayescale.posterior.groups import SPREAD
from bayescale.posterior.problem import problem


@pytest.fixture(scope="module")
def runs():
    return bs.load_runs("gadre2024").query("warm_frac <= 0.25")


@pytest.fixture(scope="module")
def pooled(runs):
    """One real fit: the floor and the size term by corpus, every setting at its default."""
    return bs.fit(dense, runs, by="corpus", vary=("E", "A"), seed=1)


# --- the density --------------------------------------------------------------------------------

CASES = {
    "amplitudes": (dense, {"vary": ("E", "A")}),
    "an exponent alone": (dense, {"vary": ("alpha",)}),
    "an amplitude and its exponent": (dense, {"vary": ("A", "alpha")}),
    "all": (dense, {"vary": ("E", "A", "alpha", "B", "beta")}),
    "one fixed": (dense, {"vary": ("B",), "priors": {"E": 1.7}}),
    "signed": (sparse, {"vary": ("e", "c", "gamma")}),
    "unpooled": (dense, {"vary": ("E", "alpha"), "pool": "none"}),
    "unpooled and signed": (sparse, {"vary": ("c", "gamma", "alpha"), "pool": "none"}),
}


def flat(task, u):
    """Every coefficient at coordinates ``u``, by name; those of groups by name and group."""
    point = dict(zip(task.names, u, strict=True))
    shared, _ = task.coordinates.to_coefficients(point, task.loss_scale)
    found = dict(shared)
    for i in range(len(task.groups.levels)):
        own = {name: point[f"{name}_{i}"] for name in task.groups.coordinates.names}
        c, _ = task.groups.coordinates.to_coefficients(own, task.loss_scale, shared)
        found |= {f"{name}_{i}": value for name, value in c.items()}
    return found


def log_jacobian(task, u):
    """Log determinant of the derivative of all coefficients, by central differences."""
    step = 1e-5
    columns = [
        (
            np.array(list(flat(task, u + step * unit).values()), float)
            - np.array(list(flat(task, u - step * unit).values()), float)
        )
        / (2 * step)
        for unit in np.eye(len(u))
    ]
    return np.linalg.slogdet(np.array(columns))[1]


@pytest.mark.parametrize("case", CASES)
def test_the_coordinates_have_the_density_of_the_named_model(case, mixture_runs):
    law, settings = CASES[case]
    table = mixture_runs.assign(corpus=np.resize(["web", "books", "code"], len(mixture_runs)))
    task = problem(law, table, by="corpus", **settings)
    model = bs.model(law, table, by="corpus", **settings)
    density = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    groups = range(len(task.groups.levels))
    vary = set(settings["vary"])

    rng = np.random.default_rng(5)
    differences = []
    while len(differences) < 5:
        u = rng.normal(_centre(task), 0.3)
        c = flat(task, u)
        point = {}
        for rv in model.free_RVs:
            name = rv.name
            value = np.array([c[f"{name}_{i}"] for i in groups] if name in vary else c[name], float)
            transform = model.rvs_to_transforms[rv]
            if transform is not None:
                value = np.log(value - (2.0 if name == "noise_dof" else 0.0))
            point[model.rvs_to_values[rv].name] = value
        theirs, ours = density(point), task.log_density(u[None])[0]
        if np.isfinite(ours):
            differences.append(ours - log_jacobian(task, u) - theirs)
    np.testing.assert_allclose(differences, differences[0], atol=1e-4)


def _centre(task):
    scale = task.loss_scale
    c = {name: prior.median(scale) for name, prior in task.coordinates.priors.items()}
    u = task.coordinates.from_coefficients(c, scale)
    own = {name: prior.median(scale) for name, prior in task.groups.coordinates.priors.items()}
    u |= task.groups.at(c | own, scale)
    return np.array([u[name] for name in task.names], float)


def test_at_gives_every_group_the_same_coefficients(runs):
    task = problem(dense, runs, by="corpus", vary=("E", "A", "alpha"))
    given = {"E": 1.5, "A": 0.7, "alpha": 0.31, "B": 0.9, "beta": 0.22}
    noise = {"noise_scale": 0.01, "noise_dof": 8.0}
    hyper = {f"{n}_{what}": 0.4 for n in ("E", "A", "alpha") for what in ("centre", "spread")}
    c = given | noise | hyper
    u = task.coordinates.from_coefficients(c, task.loss_scale)
    u |= task.groups.at(c, task.loss_scale)
    found = flat(task, np.array([u[name] for name in task.names], float))
    for name, value in found.items():
        assert value == pytest.approx(c[name.rstrip("_012")], rel=1e-12), name


def test_without_pooling_each_group_has_the_prior_to_itself(mixture_runs):
    """The density is the sum of one prior a group, the shared priors and the likelihood."""
    table = mixture_runs.assign(corpus=np.resize(["web", "books"], len(mixture_runs)))
    task = problem(dense, table, by="corpus", vary=("E", "A", "alpha"), pool="none")
    scale, loss = task.loss_scale, np.log(table.loss.to_numpy())
    N, D = (table[name].to_numpy() / task.reference[name] for name in ("N", "D"))
    shares = {"E": (0.5, 0.4, scale), "A": (0.2, 1.0, scale), "B": (0.2, 1.0, scale)}
    plain = {"alpha": (0.25, 0.5, 1.0), "beta": (0.25, 0.5, 1.0), "noise_scale": (0.01, 1.0, 1.0)}

    rng = np.random.default_rng(7)
    differences = []
    for _ in range(5):
        u = rng.normal(_centre(task), 0.3)
        c = flat(task, u)
        dof = stats.gamma(2.0, scale=10.0)  # cut off below two
        expected = dof.logpdf(c["noise_dof"]) - dof.logsf(2.0)
        for name, value in c.items():
            if name != "noise_dof":
                median, spread, unit = (shares | plain)[name.rstrip("_01")]
                expected += stats.lognorm.logpdf(value, spread, scale=median * unit)
        first = task.groups.levels[0]
        for level in task.groups.levels:
            i = int(level != first)
            here = (table.corpus == level).to_numpy()
            mean = (
                c[f"E_{i}"]
                + c[f"A_{i}"] * N[here] ** -c[f"alpha_{i}"]
                + c["B"] * D[here] ** -c["beta"]
            )
            residual = loss[here] - np.log(mean)
            expected += stats.t.logpdf(residual, c["noise_dof"], scale=c["noise_scale"]).sum()
        differences.append(task.log_density(u[None])[0] - log_jacobian(task, u) - expected)
    np.testing.assert_allclose(differences, 0, atol=1e-4)


def test_pooled_coefficients_spread_about_a_shared_centre(mixture_runs):
    table = mixture_runs.assign(corpus=np.resize(["web", "books"], len(mixture_runs)))
    model = bs.model(sparse, table, by="corpus", vary=("a", "gamma"))
    names = [rv.name for rv in model.free_RVs]
    assert names[-2:] == ["a", "gamma"]
    assert {"a_centre", "a_spread", "gamma_centre", "gamma_spread"} < set(names)
    assert model.named_vars_to_dims["a"] == ("corpus",)
    assert list(model.coords["corpus"]) == ["books", "web"]
    assert str(problem(sparse, table, by="corpus", vary=("a",)).coordinates.priors["a_spread"]) == (
        str(SPREAD)
    )


# --- a real fit ---------------------------------------------------------------------------------


def test_a_pooled_fit_to_real_runs_passes_its_diagnostics(pooled):
    table = bs.diagnose(pooled)
    assert table.attrs["ok"], table.to_string()
    assert {"E[rpj]", "A[c4_original]", "E_centre", "A_spread", "alpha"} <= set(table.index)
    draws = pooled.posterior
    assert draws["E"].dims == ("chain", "draw", "corpus")
    assert draws["corpus"].values.tolist() == ["c4_original", "rpj", "rw_original"]
    assert "corpus" not in draws["alpha"].dims
    assert pooled.about["vary"] == ["E", "A"]


def test_predictions_follow_each_groups_coefficients(pooled, runs):
    every = bs.predict(pooled, mean=True, N=runs.N, D=runs.D)
    assert every.sizes == {"chain": 4, "draw": 1000, "run": 80, "corpus": 3}
    each = bs.predict(pooled, mean=True, N=runs.N, D=runs.D, corpus=runs.corpus)
    assert each.sizes == {"chain": 4, "draw": 1000, "run": 80}
    labels = xr.DataArray(runs.corpus.to_numpy(str), dims="run", coords={"run": runs.index})
    xr.testing.assert_allclose(
        each, every.sel(corpus=labels).drop_vars("corpus").transpose(*each.dims)
    )
    one = bs.predict(pooled, mean=True, N=1e9, D=1e11, corpus="rpj")
    assert one.dims == ("chain", "draw")

    residual = np.log(runs.loss.to_numpy()) - np.log(each.mean(("chain", "draw")).values)
    assert np.abs(residual).max() < 0.1
    wrong = np.roll(["c4_original", "rpj", "rw_original"], 1)
    swapped = runs.corpus.map(dict(zip(sorted(set(runs.corpus)), wrong, strict=True)))
    other = bs.predict(pooled, mean=True, N=runs.N, D=runs.D, corpus=swapped)
    worse = np.log(runs.loss.to_numpy()) - np.log(other.mean(("chain", "draw")).values)
    assert np.std(worse) > 2 * np.std(residual)


def test_new_runs_of_a_group_scatter(pooled):
    mean = bs.predict(pooled, mean=True, N=1e9, D=1e11, corpus="rpj")
    new = bs.predict(pooled, N=1e9, D=1e11, corpus="rpj", seed=1)
    assert new.dims == mean.dims
    assert new.std() > mean.std()


def test_a_group_is_a_fit_of_its_own(pooled, runs):
    one = bs.group(pooled, "rpj")
    assert one.law is dense
    assert not one.about["by"]
    assert "corpus" not in one.posterior.dims
    assert one.runs.sizes["run"] == (runs.corpus == "rpj").sum()
    assert set(one.runs.corpus.values) == {"rpj"}
    xr.testing.assert_equal(
        bs.predict(one, mean=True, N=1e9, D=1e11),
        bs.predict(pooled, mean=True, N=1e9, D=1e11, corpus="rpj").drop_vars(
            "corpus", errors="ignore"
        ),
    )
    best = bs.allocate(one, 1e22)
    assert np.isfinite(best.N).all()
    assert np.isfinite(bs.decide(one, 1e22).expected_loss)
    raw = bs.coefficients(one, units="raw")
    at = raw.isel(chain=0, draw=0)
    assert dense(1e9, 1e11, **{name: float(x) for name, x in at.items()}) == pytest.approx(
        bs.predict(one, mean=True, N=1e9, D=1e11).values[0, 0]
    )


def test_a_new_group_is_drawn_about_the_shared_centre(pooled, tmp_path):
    new = bs.group(pooled, None, seed=1)
    draws = pooled.posterior
    z = np.log(new.posterior["A"] / draws["A_centre"]) / draws["A_spread"]
    assert stats.kstest(z.values.ravel(), "norm").pvalue > 0.001
    xr.testing.assert_equal(new.posterior["alpha"], draws["alpha"])
    assert "corpus" not in new.posterior.dims
    # Less is known of it than of any group that was seen.
    loss = bs.predict(new, mean=True, N=1e9, D=1e11)
    seen = bs.predict(pooled, mean=True, N=1e9, D=1e11)
    assert float(loss.std()) > float(seen.std(("chain", "draw")).max())
    assert np.isfinite(bs.allocate(new, 1e22).N).all()
    new.save(tmp_path / "new.nc")
    xr.testing.assert_identical(bs.load_fit(tmp_path / "new.nc").posterior, new.posterior)
    xr.testing.assert_identical(bs.group(pooled, None, seed=1).posterior, new.posterior)


@pytest.mark.filterwarnings("ignore::bayescale.FitWarning")
def test_a_signed_coefficient_of_a_new_group_spreads_by_its_prior(mixture_runs):
    table = mixture_runs.assign(corpus=np.resize(["web", "books"], len(mixture_runs)))
    quick = {"draws": 200, "tune": 200, "chains": 2, "seed": 1}
    fit = bs.fit(sparse, table, by="corpus", vary=("c",), **quick)
    new, draws = bs.group(fit, None, seed=1).posterior, fit.posterior
    prior = sparse.priors["c"]
    unit = prior.b * (fit.about["loss_scale"] if prior.share else 1.0)
    z = (new["c"] - draws["c_centre"]) / draws["c_spread"] / unit
    assert not prior.positive
    assert stats.kstest(z.values.ravel(), "norm").pvalue > 0.001


def test_groups_that_share_nothing_say_nothing_of_a_new_one(mixture_runs):
    table = mixture_runs.assign(corpus=np.resize(["web", "books"], len(mixture_runs)))
    fit = bs.prior(sparse, table, by="corpus", vary=("a",), pool="none", seed=1)
    with pytest.raises(bs.InputError, match="fit with pool='partial'"):
        bs.group(fit, None)


def test_a_contrast_is_a_difference_of_draws(pooled):
    difference = bs.contrast(pooled, "E", "rpj", "c4_original")
    assert difference.dims == ("chain", "draw")
    floors = pooled.posterior["E"]
    np.testing.assert_array_equal(
        difference, floors.sel(corpus="rpj").values - floors.sel(corpus="c4_original").values
    )
    back = bs.contrast(pooled, "E", "c4_original", "rpj")
    np.testing.assert_array_equal(back, -difference)
    assert difference.name == "E: rpj - c4_original"


def test_a_pooled_fit_comes_back_from_its_file(pooled, tmp_path):
    path = tmp_path / "pooled.nc"
    pooled.save(path)
    again = bs.load_fit(path)
    xr.testing.assert_identical(again.posterior, pooled.posterior)
    assert again.about == pooled.about
    xr.testing.assert_identical(
        bs.contrast(again, "A", "rpj", "rw_original"),
        bs.contrast(pooled, "A", "rpj", "rw_original"),
    )
    one = bs.group(again, "rw_original")
    one.save(path)
    xr.testing.assert_identical(bs.load_fit(path).posterior, one.posterior)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"by": "tokenizer", "vary": ("E",)}, "'tokenizer' is not a column"),
        ({"by": "corpus", "vary": ()}, "must name coefficients"),
        ({"by": "corpus", "vary": ("E", "kappa")}, "must name coefficients .* E, A, alpha"),
        ({"by": "corpus", "vary": ("noise_scale",)}, "must name coefficients"),
        ({"by": "corpus", "vary": ("E",), "priors": {"E": 1.7}}, "must name coefficients"),
        ({"by": "corpus", "vary": ("E",), "pool": "complete"}, "pool='complete' is not known"),
        ({"vary": ("E",)}, "needs by="),
        ({"by": "run", "vary": ("E",)}, "rename the column"),
        ({"by": "D", "vary": ("E",)}, "by='D' names an input .*another name"),
    ],
)
@pytest.mark.parametrize("use", [bs.fit, bs.model])
def test_settings_that_make_no_sense_are_refused(use, settings, says, runs):
    with pytest.raises(bs.InputError, match=says):
        use(dense, runs, **settings)


def test_tables_without_groups_are_refused(runs):
    with pytest.raises(bs.InputError, match=r"one group only \('rpj'\)"):
        bs.model(dense, runs.query("corpus == 'rpj'"), by="corpus", vary=("E",))
    missing = runs.assign(corpus=runs.corpus.where(runs.index != runs.index[4]))
    with pytest.raises(bs.InputError, match=f"row {runs.index[4]}: no group is named"):
        bs.model(dense, missing, by="corpus", vary=("E",))


def test_groups_may_be_numbers(runs):
    numbered = runs.assign(corpus=pd.factorize(runs.corpus)[0])
    task = problem(dense, numbered, by="corpus", vary=("E",))
    assert task.groups.levels == ("0", "1", "2")


def test_what_does_not_exist_in_a_grouped_fit_is_refused(pooled):
    for use in (
        lambda: bs.group(pooled, "pile"),
        lambda: bs.contrast(pooled, "E", "rpj", "pile"),
        lambda: bs.predict(pooled, mean=True, N=1e9, D=1e11, corpus="pile"),
    ):
        with pytest.raises(bs.InputError, match=r"no group 'pile' .*'rpj'"):
            use()
    with pytest.raises(bs.InputError, match=r"'alpha' does not vary over 'corpus'; .*'E'"):
        bs.contrast(pooled, "alpha", "rpj", "c4_original")
    with pytest.raises(bs.InputError, match=r"group\(fit, 'c4_original'\)"):
        bs.allocate(pooled, 1e22)


def test_a_fit_without_groups_has_none():
    fit = bs.published(dense, "besiroglu2024")
    for use in (lambda: bs.group(fit, "rpj"), lambda: bs.contrast(fit, "E", "a", "b")):
        with pytest.raises(bs.InputError, match="this fit has no groups"):
            use()


def test_groups_named_by_numbers_keep_their_runs():
    runs = bs.load_runs("olmo_ladder").query("not target")
    runs = runs.assign(rate=np.where(runs.N > 1e9, 0.1, 0.25).astype("float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.FitWarning)  # how good the draws are is not asked here
        fit = bs.fit(dense, runs, by="rate", vary=("E",), method="laplace", seed=1)
    levels = [str(level) for level in fit.posterior.rate.values]
    assert len(levels) == 2
    parts = [bs.group(fit, level).runs.sizes["run"] for level in levels]
    assert sorted(parts) == sorted([(runs.N > 1e9).sum(), (runs.N <= 1e9).sum()])
