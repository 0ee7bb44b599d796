"""Residuals without the run's own pull, and checks that notice misfit and seldom what is none."""

import json

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale.checking.elpd import loo_weights
from bayescale.checking.residual_bands import bins, hat_matrix, null_scores, uniformity
from bayescale.checking.residual_checks import examine
from bayescale.models import coupled, dense, frantar
from bayescale.posterior.noise import noise_model
from bayescale.prediction.scoring import scatter

QUICK = {"method": "laplace", "seed": 1}
SHORT = {"draws": 150, "tune": 300, "chains": 2, "seed": 1}
LADDER = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37}


@pytest.fixture(scope="module")
def quick(olmo):
    return bs.fit(dense, olmo, noise="normal", **QUICK)


@pytest.fixture(scope="module")
def far_off(olmo):
    """The ladder with one run whose loss is a tenth too high."""
    runs = olmo.copy()
    runs.iloc[7, olmo.columns.get_loc("loss")] *= 1.1
    return runs


def simulated(design, noise_scale=0.005, seed=0, **options):
    return bs.simulate(dense, design, LADDER, noise_scale=noise_scale, seed=seed, **options)


# --- residuals ------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::bayescale.FitWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"noise": "scaled"},
        {"noise": "normal", "weights": "weight", "error": "err"},
        {"by": "kind", "vary": ("A",)},
        bs.CALIBRATED,
    ],
    ids=lambda options: "+".join(options),
)
def test_runs_scatter_as_their_likelihood_says(olmo, options):
    # Its group's coefficients, its bend and its known error are the run's own.
    runs = olmo.assign(
        kind=np.arange(30) % 3, err=np.linspace(0.001, 0.02, 30), weight=np.linspace(0.2, 1.0, 30)
    )
    how = SHORT if "discrepancy" in options else QUICK
    fit = bs.fit(coupled if "discrepancy" in options else dense, runs, **how, **options)
    centre, scale, p = scatter(fit, fit.runs.to_dataframe(), own=True)
    noise = noise_model(fit.about["noise"])
    found = noise.log_density(np.log(runs.loss.to_numpy()) - centre, scale, p)
    kept = fit.tree["log_likelihood"].to_dataset().log_loss.transpose("chain", "draw", "run")
    # A run counts with its weight.
    counts = runs[options["weights"]].to_numpy() if "weights" in options else 1.0
    counted = np.asarray(found) * counts
    np.testing.assert_allclose(counted, kept.values.reshape(-1, 30), rtol=1e-7, atol=1e-7)
    table = bs.residuals(fit)
    assert len(table) == 30
    assert np.isfinite(table.drop(columns=["exact", "pareto_k"])).all(axis=None)
    assert 0.3 < table.z.std() < 1.5
    checked = bs.check_residuals(fit)
    assert np.isfinite(checked[["statistic", "band", "where"]]).all(axis=None)


def test_what_the_table_holds(olmo, quick):
    table = bs.residuals(quick)
    assert table.columns.tolist() == [
        *("N", "D", "flops", "tokens_per_parameter", "loss", "predicted", "residual", "scale"),
        *("pit", "z", "pareto_k", "exact"),
    ]
    assert table.index.tolist() == quick.tree["observed_data"].run.values.tolist()
    np.testing.assert_allclose(table.loss, olmo.loss)
    np.testing.assert_allclose(table.tokens_per_parameter, olmo.D / olmo.N)
    np.testing.assert_allclose(table.flops, olmo.flops)
    np.testing.assert_allclose(table.residual, np.log(olmo.loss.to_numpy() / table.predicted))
    np.testing.assert_allclose(scipy.stats.norm.cdf(table.z), table.pit)
    assert table.attrs == {"law": "dense", "runs": 30, "doubtful": []}
    pd.testing.assert_frame_equal(bs.residuals(quick), table)


def test_predictions_are_medians_and_the_spread_is_that_of_the_noise(olmo, quick):
    table = bs.residuals(quick)
    log_weights, _, _ = loo_weights(quick)
    centre, scale, _ = scatter(quick, olmo, own=True)
    rng = np.random.default_rng(0)
    for i in (0, 11, 29):
        drawn = rng.choice(centre.shape[0], 200_000, p=np.exp(log_weights[i]))
        losses = rng.normal(centre[drawn, i], scale[drawn, 0])
        assert np.mean(losses < np.log(table.predicted.iloc[i])) == pytest.approx(0.5, abs=0.005)
        assert np.mean(losses < np.log(table.loss.iloc[i])) == pytest.approx(
            table.pit.iloc[i], abs=0.005
        )
        assert losses.std() == pytest.approx(table.scale.iloc[i], rel=0.1)


def test_leaving_out_by_weights_is_leaving_out_by_a_refit(olmo):
    many = {"noise": "normal", "draws": 5000, **QUICK}
    table = bs.residuals(bs.fit(dense, olmo, **many))
    for i in (0, 5, 12, 29):
        left = bs.fit(dense, olmo.drop(olmo.index[i]), **many)
        run, found = olmo.iloc[i], table.iloc[i]
        loss = bs.predict(left, seed=1, N=run.N, D=run.D).values
        assert not found.exact
        assert np.mean(loss < run.loss) == pytest.approx(found.pit, abs=0.01)
        assert np.log(np.median(loss) / found.predicted) == pytest.approx(0, abs=0.06 * found.scale)


def test_a_run_is_predicted_without_its_own_pull(olmo, far_off):
    table = bs.residuals(bs.fit(dense, far_off, noise="normal", **QUICK))
    assert table.exact.tolist() == (table.pareto_k > 0.7).tolist()
    assert table.exact.iloc[7]
    left = bs.fit(dense, far_off.drop(far_off.index[7]), noise="normal", **QUICK)
    centre, scale, _ = scatter(left, far_off[7:8], own=True)
    observed = np.log(far_off.loss.iloc[7])
    z = scipy.stats.norm.sf(observed, centre, scale).mean()
    assert table.z.iloc[7] == pytest.approx(-scipy.stats.norm.ppf(z), rel=1e-9)
    assert table.z.iloc[7] > 6
    assert table.residual.iloc[7] == pytest.approx(observed - np.median(centre), abs=1e-4)


def test_weights_of_one_are_none(olmo, quick):
    weighted = bs.fit(dense, olmo.assign(w=1.0), noise="normal", weights="w", **QUICK)
    np.testing.assert_allclose(bs.residuals(weighted).z, bs.residuals(quick).z, atol=0.05)


def test_runs_that_cannot_be_refitted_are_doubtful(far_off):
    fit = bs.fit(dense, far_off, noise="normal", **QUICK)
    about = fit.about
    del about["options"]  # as if it came from a file that does not say how it was made
    tree = fit.tree.copy()
    tree.attrs["bayescale"] = json.dumps(about)
    old = bs.Fit(dense, tree)
    table = bs.residuals(old)
    assert not table.exact.any()
    assert str(fit.runs.run.values[7]) in table.attrs["doubtful"]
    assert "is doubtful" in bs.check_residuals(old).attrs["reading"]


def test_what_has_no_residuals_is_refused(olmo, quick):
    refused = {
        "published coefficients": bs.published(dense, "besiroglu2024"),
        "draws of a prior": bs.prior(dense, olmo, draws=5),
        "keeps no likelihood": bs.Fit(
            dense,
            xr.DataTree.from_dict({n: quick.tree[n].to_dataset() for n in ("posterior",)}),
        ),
    }
    refused["keeps no likelihood"].tree.attrs = quick.tree.attrs
    for words, fit in refused.items():
        for function in (bs.residuals, bs.check_residuals):
            with pytest.raises(bs.InputError, match=words):
                function(fit)
    with pytest.raises(bs.InputError, match="not of DataFrame"):
        bs.residuals(olmo)


# --- what residuals of a true law are -------------------------------------------------------------


def test_simulated_scores_are_those_of_a_linear_law():
    # A law that is linear in normal coefficients, known noise: everything can be worked out.
    rng = np.random.default_rng(0)
    n, p = 14, 3
    x = np.vander(np.linspace(-1, 1, n), p) * 3
    w = np.exp(-np.linspace(0, 2, n))
    for weights in (np.ones(n), w):
        hat = x @ np.linalg.inv(x.T @ (weights[:, None] * x) + np.eye(p)) @ x.T
        y = rng.standard_normal((4000, p)) @ x.T + rng.standard_normal((4000, n))
        z = np.empty_like(y)
        for i in range(n):
            rest = weights * (np.arange(n) != i)
            covariance = np.linalg.inv(x.T @ (rest[:, None] * x) + np.eye(p))
            mean = y @ (rest[:, None] * x) @ covariance @ x[i]
            z[:, i] = (y[:, i] - mean) / np.sqrt(1 + x[i] @ covariance @ x[i])
        # The noise's scale is taken to be estimated, which many runs that say nothing else do well.
        more = np.zeros((150, 150))
        wide = np.block([[hat, np.zeros((n, 150))], [np.zeros((150, n)), more]])
        found = null_scores(wide, np.concatenate([weights, np.ones(150)]), rng)[:, :n]
        expected = np.cov(z, rowvar=False)
        np.testing.assert_allclose(np.cov(found, rowvar=False), expected, atol=0.08)
        assert expected[0, 1] < -0.2 or expected[0, 1] > 0.05


def test_scores_of_few_runs_have_the_scale_of_one(quick):
    null = null_scores(*hat_matrix(quick), np.random.default_rng(1))
    assert null.std(axis=0) == pytest.approx(1, abs=0.1)
    # The noise is estimated from the residuals themselves: together they scatter less freely.
    assert (null**2).mean(axis=1).std() < 0.6 * np.sqrt(2 / 30)


def test_the_band_of_independent_scores_is_that_of_arviz():
    from arviz_stats.ecdf_utils import ecdf_pit

    rng = np.random.default_rng(0)
    pit = rng.uniform(size=40)
    ours = uniformity(pit, rng.standard_normal((4000, 40)), 0.9)
    at, ecdf, lower, upper = ecdf_pit(pit, 0.9, 4000, rng=rng)
    np.testing.assert_allclose(ours.at, at[1:-1])
    np.testing.assert_allclose(ours.ecdf, ecdf[1:-1])
    assert np.abs(ours.lower - lower[1:-1]).max() <= 1.001 / 40
    assert np.abs(ours.upper - upper[1:-1]).max() <= 1.001 / 40


@given(st.lists(st.sampled_from([0.0, 0.5, 0.75, 0.875, 3.0, 1e3]) | st.floats(0, 1e6), min_size=5))
def test_bins_never_part_equal_values(values):
    values = np.array(values)
    member = bins(values)
    assert sorted(set(member)) == list(range(member.max() + 1))
    assert member.max() < 8
    order = np.argsort(values, kind="stable")
    assert (np.diff(member[order]) >= 0).all()
    assert all(len(set(member[values == value])) == 1 for value in values)


def test_levels_of_a_design_are_bins():
    values = np.repeat([0.0, 0.5, 0.75, 0.875], 12)
    assert bins(values).tolist() == np.repeat(range(4), 12).tolist()
    assert np.bincount(bins(np.geomspace(1, 1e4, 240))).tolist() == [30] * 8
    sizes = np.repeat([190354176.0, 190400000.0, 3e9], 5)  # one size, counted in two ways
    assert bins(sizes).tolist() == [0] * 10 + [1] * 5


# --- checks ---------------------------------------------------------------------------------------


def test_a_true_law_is_seldom_noticed(olmo):
    design = olmo[["N", "D"]]
    failed = []
    for seed in range(10):
        fit = bs.fit(dense, simulated(design, seed=seed), noise="normal", **QUICK)
        failed.append(~bs.check_residuals(fit, seed=seed).ok)
    shares = pd.DataFrame(failed).mean()
    # Of ten tables one fails a check; four or more do with a probability of one in a hundred.
    assert (shares <= 0.4).all()
    assert shares.mean() <= 0.2


def test_a_bend_is_noticed_where_it_is(olmo):
    runs = simulated(olmo[["N", "D"]], seed=3)
    ratio = np.log10(runs.D / runs.N)
    runs["loss"] *= np.exp(0.04 * (ratio > 2.2) + 0.02 * (ratio < 1.1))
    table = bs.check_residuals(bs.fit(dense, runs, **QUICK))
    row = table.loc["tokens_per_parameter"]
    assert not row.ok
    assert not table.attrs["ok"]
    assert abs(row.statistic) > row.band > 0
    assert "tokens per parameter" in row.said
    assert row.said in table.attrs["reading"]
    assert "try another law" in table.attrs["reading"]


def test_a_law_without_sparsity_is_noticed_on_sparse_runs():
    runs = bs.load_runs("frantar2023_t5").query("not target")
    table = bs.check_residuals(bs.fit(dense, runs, **QUICK))
    row = table.loc["S"]
    assert not row.ok
    assert row["where"] == 0.875
    assert row.statistic > 2 * row.band
    assert row.said.startswith("runs at the highest S (0.875) have")
    assert row.said.endswith("% more loss than predicted")
    assert bs.check_residuals(bs.fit(frantar, runs, **QUICK)).ok["S"]


def test_the_size_in_words_is_that_of_the_residuals():
    runs = bs.load_runs("frantar2023_t5").query("not target")
    fit = bs.fit(dense, runs, **QUICK)
    said = bs.check_residuals(fit, against="S").said["S"]
    residual = bs.residuals(fit).residual[runs.S.to_numpy() == 0.875].mean()
    percent = float(said.split("have ")[1].split(" %")[0])
    assert percent == pytest.approx(100 * np.expm1(residual), rel=0.15)


def test_noise_of_the_wrong_size_is_noticed(olmo):
    runs = simulated(olmo[["N", "D"]]).assign(err=0.1)
    row = bs.check_residuals(bs.fit(dense, runs, error="err", **QUICK)).loc["LOO-PIT"]
    assert not row.ok
    assert "of 30 losses lie below the" in row.said
    assert row.said.endswith("intervals are wider than need be")


def test_outliers_in_normal_noise_are_noticed():
    ladder = np.array([(n, 20 * n * x) for n in np.geomspace(1e8, 4e9, 8) for x in (0.5, 1, 3, 9)])
    runs = simulated(pd.DataFrame(ladder, columns=["N", "D"]), seed=2)
    runs.loc[[5, 18, 27], "loss"] *= [1.1, 0.9, 1.1]
    row = bs.check_residuals(bs.fit(dense, runs, noise="normal", **QUICK)).loc["LOO-PIT"]
    assert not row.ok
    assert "too wide for most runs" in row.said
    assert row.said.endswith("far off")
    assert bs.check_residuals(bs.fit(dense, runs, **QUICK)).ok["LOO-PIT"]


def test_what_is_said_of_runs_that_fit(olmo):
    runs = simulated(olmo[["N", "D"]], seed=1)
    table = bs.check_residuals(bs.fit(dense, runs, noise="normal", **QUICK), prob=0.999)
    assert table.index.tolist() == ["LOO-PIT", "flops", "tokens_per_parameter", "N", "D"]
    assert table.columns.tolist() == ["statistic", "band", "where", "ok", "said"]
    assert table.attrs["ok"]
    assert table.attrs["runs"] == 30
    assert table.attrs["prob"] == 0.999
    reading = table.attrs["reading"]
    assert reading.startswith("Each of the 30 runs was predicted by a fit to the other 29.")
    assert "no pattern along training compute, tokens per parameter, N, D." in reading
    assert reading.endswith("not beyond them.")


def test_few_runs_say_little(olmo):
    table = bs.check_residuals(bs.fit(dense, olmo[::2], noise="normal", **QUICK))
    assert "15 runs show gross errors only" in table.attrs["reading"]


def test_against_columns_of_the_table(olmo):
    runs = olmo.assign(lr=np.linspace(1e-4, 1e-3, 30), text="a", gap=np.nan, same=1.0)
    fit = bs.fit(dense, runs, noise="normal", **QUICK)
    assert bs.check_residuals(fit, against=["lr", "N"]).index.tolist() == ["LOO-PIT", "lr", "N"]
    for name, words in {
        "text": "is no column of numbers.*lr",
        "nowhere": "is no column of numbers",
        "gap": "no value to hold",
        "same": "all runs have one value",
    }.items():
        with pytest.raises(bs.InputError, match=words):
            bs.check_residuals(fit, against=name)
    for prob in (0.0, 1.0, 90):
        with pytest.raises(bs.InputError, match="between 0 and 1"):
            bs.check_residuals(fit, prob=prob)


@pytest.mark.filterwarnings("ignore::bayescale.FitWarning", "ignore::bayescale.DesignWarning")
def test_quantities_that_say_the_same_are_checked_once(olmo):
    runs = olmo.assign(D=20 * olmo.N, S=0.0).drop(columns="flops")
    fit = bs.fit(dense, runs, **QUICK)
    # With one ratio for all, size, data and compute put the runs in one order.
    assert bs.check_residuals(fit).index.tolist() == ["LOO-PIT", "flops"]


def test_bands_are_wider_for_a_surer_pass(quick):
    narrow, wide = (examine(quick, against=None, prob=prob, seed=0) for prob in (0.5, 0.99))
    for one, other in zip(narrow.trends, wide.trends, strict=True):
        assert (one.edge < other.edge).all()
    assert (narrow.pit.upper <= wide.pit.upper).all()
    assert (narrow.pit.upper < wide.pit.upper).any()


def test_misfits_that_are_mostly_upwards_are_said_to_be():
    rng = np.random.default_rng(8)
    n, d = (x.ravel() for x in np.meshgrid([2e7, 1e8, 4e8, 1e9], [1e9, 4e9, 1e10, 4e10, 1e11]))
    loss = dense(n, d, **dense.published["besiroglu2024"].values)
    even = loss * np.exp(0.003 * rng.standard_normal(20))
    said = {}
    for name, lifted in (("even", 0.0), ("badly tuned", 0.06)):
        off = np.where(np.arange(20) % 5 == 2, 1 + lifted, 1.0)
        runs = pd.DataFrame({"N": n, "D": d, "loss": even * off})
        fit = bs.fit(dense, runs, method="laplace", seed=1)
        said[name] = bs.check_residuals(fit).attrs["reading"]
    assert "mostly upwards" not in said["even"]
    assert "Misfits are mostly upwards: 4 of 20 runs" in said["badly tuned"]
    assert "none as far below" in said["badly tuned"]
