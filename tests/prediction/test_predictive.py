"""What a calibrated fit says of runs: its discrepancy, its noise, and decisions."""

import numpy as np
import pytest
import xarray as xr

import bayescale as bs
from bayescale.models import coupled, dense
from bayescale.posterior.density import log_posterior
from bayescale.posterior.noise import features, noise_model, run_scale
from bayescale.posterior.problem import problem
from bayescale.prediction.predictive import directions_of, new_run


def straight(fit, **inputs):
    """The law at the draws' coefficients, without its discrepancy."""
    c = bs.coefficients(fit)
    scaled = {name: x / fit.reference[name] for name, x in inputs.items()}
    return fit.law(**scaled, **{name: c[name] for name in c})


# --- a fit that is calibrated -----------------------------------------------------------------


def test_it_is_trusted_and_says_how_it_was_made(calibrated_fit):
    table = bs.diagnose(calibrated_fit)
    assert table.attrs["ok"]
    assert {"discrepancy_z", "discrepancy_N", "discrepancy_D_over_N"} <= set(table.index)
    assert "discrepancy" not in table.index
    about = calibrated_fit.about
    assert dict(bs.CALIBRATED).items() <= about["options"].items()
    lines = directions_of(calibrated_fit)
    assert [one.name for one in lines] == ["N", "D", "D_times_N", "D_over_N"]
    assert sum(len(one.nodes) for one in lines) == calibrated_fit.posterior.sizes["node"]


def test_the_ladder_s_targets_lie_in_its_intervals(calibrated_fit):
    targets = bs.load_runs("olmo_ladder").query("target")
    loss = bs.predict(calibrated_fit, seed=1, N=targets.N, D=targets.D)
    bounds = bs.interval(loss, 0.9).values
    assert ((bounds[:, 0] < targets.loss) & (targets.loss < bounds[:, 1])).all()


def test_the_log_likelihood_is_of_every_run_without_its_weight(calibrated_fit, olmo):
    # Leave-one-out asks how well each run is predicted, not how much it was made to count.
    weighted = problem(coupled, olmo, **bs.CALIBRATED)
    u = np.random.default_rng(0).normal(0, 0.1, (3, len(weighted.names)))
    columns = {name: u[:, [i]] for i, name in enumerate(weighted.names)}
    prior, rows, _ = log_posterior(weighted, columns, weighted.data)
    by_hand = (prior + (rows * weighted.weights).sum(axis=-1, keepdims=True))[:, 0]
    np.testing.assert_allclose(weighted.log_density(u), by_hand, rtol=1e-12)
    assert calibrated_fit.tree["log_likelihood"]["log_loss"].sizes["run"] == len(olmo)
    assert np.isfinite(calibrated_fit.tree["log_likelihood"]["log_loss"]).all()


def test_a_saved_fit_predicts_the_same(calibrated_fit, tmp_path):
    calibrated_fit.save(tmp_path / "fit.nc")
    loaded = bs.load_fit(tmp_path / "fit.nc")
    for mean in (True, False):
        one, other = (
            bs.predict(fit, mean=mean, seed=3, N=[3e8, 7e9], D=[1e10, 4e12])
            for fit in (calibrated_fit, loaded)
        )
        xr.testing.assert_identical(one, other)


# --- the mean loss --------------------------------------------------------------------------------


def test_the_law_bends_little_among_the_runs_and_more_the_further_from_them(calibrated_fit):
    factor = np.array([0.5, 2.0, 10.0, 100.0, 1000.0])
    centre = calibrated_fit.reference
    N, D = (xr.DataArray(factor * centre[name], dims="run") for name in "ND")
    mean = bs.predict(calibrated_fit, mean=True, N=N, D=D)
    c = bs.coefficients(calibrated_fit)
    bend = np.log((mean - c.E) / (straight(calibrated_fit, N=N, D=D) - c.E))
    spread = bend.std(("chain", "draw")).values
    assert (np.diff(spread[1:]) > 0).all()
    assert spread[:2].max() < 0.05
    assert spread[-1] > 10 * spread[:2].max()


def test_one_draw_is_one_curve(calibrated_fit):
    # What no run sees is drawn once: what is asked together or alone is the same.
    N, D = np.array([1e9, 3e10, 1e12]), np.array([1e11, 1e12, 1e13])
    together = bs.predict(calibrated_fit, mean=True, N=N, D=D).values
    for i in range(3):
        alone = bs.predict(calibrated_fit, mean=True, N=N[i], D=D[i]).values
        np.testing.assert_allclose(alone, together[..., i], rtol=1e-12)


def test_an_optimum_is_that_of_the_bent_law(calibrated_fit):
    budget = 1e22
    best = bs.allocate(calibrated_fit, budget, bounds={"N": (1e8, 1e11)})
    grid = xr.DataArray(np.geomspace(1e8, 1e11, 3001), dims="plan")
    few = {"chain": [0], "draw": np.arange(0, 500, 25)}
    loss = bs.predict(calibrated_fit, mean=True, N=grid, D=budget / 6 / grid).isel(few)
    np.testing.assert_allclose(best.loss.isel(few), loss.min("plan"), rtol=0, atol=2e-6)


# --- a new run ------------------------------------------------------------------------------------


def test_the_noise_of_a_new_run_follows_its_compute(calibrated_fit):
    values = {
        "N": xr.DataArray([1e8, 1e10], dims="run"),
        "D": xr.DataArray([2e9, 2e11], dims="run"),
    }
    _, scale, p = new_run(calibrated_fit, values)
    at = features(coupled, values, calibrated_fit.about["noise_centre"])
    expected = run_scale(noise_model("scaled"), calibrated_fit.posterior, at)
    np.testing.assert_allclose(scale, expected.transpose("chain", "draw", "run"), rtol=1e-12)
    assert set(p) == set(noise_model("scaled").priors)


# --- what the options refuse ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "mass"}, "weights='mass' is not a column of the runs"),
        ({"weights": 1.5}, "weights=1.5 is not the name of a column"),
        ({"weights": "D", "error": "noise"}, "error='noise' is not a column"),
        ({"method": "laplace", "discrepancy": True}, 'use method="nuts"'),
        ({"priors": {"discrepancy_N": 0.1}, "discrepancy": True}, "prior of a positive number"),
        ({"priors": {"discrepancy_N": bs.lognormal(0.1, 1)}}, "names .'discrepancy_N'., which law"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_work(olmo, options, message):
    with pytest.raises(bs.InputError, match=message):
        bs.fit(dense, olmo, **options)


def test_known_errors_widen_what_is_not_known(olmo):
    runs = olmo.assign(loss_error=0.05)
    exact, known = (
        bs.fit(dense, table, error=error, method="laplace", seed=1)
        for table, error in ((olmo, None), (runs, "loss_error"))
    )
    # Errors of 0.05 nats explain all of the scatter and leave the coefficients looser.
    assert known.posterior.noise_scale.median() < exact.posterior.noise_scale.median()
    assert known.posterior.alpha.std() > 1.5 * exact.posterior.alpha.std()


def test_a_run_without_weight_has_no_say(olmo):
    runs = olmo.assign(weight=1.0)
    runs.loc[runs.index[:3], "weight"] = 0.0
    wrong = runs.assign(loss=runs.loss.where(runs.weight > 0, 9.0))
    kept = runs[runs.weight > 0]
    with_them = problem(dense, wrong, weights="weight")
    without = problem(dense, kept)
    u = np.random.default_rng(0).normal(0, 0.2, (4, len(without.names)))
    c = [dict(zip(without.coordinates.names, row, strict=True)) for row in u]
    ours = [float((log_posterior(with_them, one, with_them.data)[1] * with_them.weights).sum())
            for one in c]  # fmt: skip
    # The same coordinates mean the same coefficients only in the same units.
    data = without.data | {"loss_scale": with_them.data["loss_scale"]}
    data |= {n: kept[n].to_numpy() / with_them.reference[n] for n in "ND"}
    theirs = [float(log_posterior(without, one, data)[1].sum()) for one in c]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_the_bends_of_a_plain_fit_are_none(olmo_fit):
    assert directions_of(olmo_fit) == ()
