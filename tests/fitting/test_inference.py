"""Sampling: that it converges, that it finds published answers, that it repeats itself."""

import warnings

import arviz
import numpy as np
import pandas as pd
import pytest
import scipy.stats

import bayescale as bs
from bayescale import amplitude, floor, law
from bayescale.models import coupled, dense
from bayescale.posterior.problem import problem
from bayescale.sampling.nuts import _compiled_densities


def quick_fit(runs, seed):
    """A fit too short to be trusted, which is no fault here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.FitWarning)
        return bs.fit(dense, runs, seed=seed, draws=300, tune=300, chains=2)


# --- whether the answer is right ----------------------------------------------------------------


def test_the_ladder_converges_at_default_settings(olmo_fit):
    sizes = olmo_fit.posterior.sizes
    assert (sizes["chain"], sizes["draw"]) == (4, 1000)
    table = arviz.summary(olmo_fit.tree, round_to="none")
    assert set(table.index) == {*dense.coefficients, "noise_scale", "noise_dof"}
    assert (table.r_hat <= 1.01).all(), table
    assert (table.ess_bulk >= 400).all(), table
    assert (table.ess_tail >= 400).all(), table
    assert int(olmo_fit.tree["sample_stats"]["diverging"].sum()) == 0


def test_the_ladder_predicts_the_model_that_it_was_made_to_predict(olmo_fit):
    target = bs.load_runs("olmo_ladder").query("target").nsmallest(1, "N").iloc[0]
    assert target["size"] == "7B"
    lower, upper = bs.interval(bs.predict(olmo_fit, N=target.N, D=target.D, seed=1), 0.9).values
    assert lower < target.loss < upper
    assert upper - lower < 0.1  # An interval that says something.


def test_the_chinchilla_runs_give_the_published_coefficients(hoffmann_fit):
    published = dense.published["besiroglu2024"]
    mean = bs.coefficients(hoffmann_fit, units="raw").mean()
    for name, error in published.errors.items():
        assert abs(float(mean[name]) - published.values[name]) < error, name
    assert set(published.errors) == set(dense.coefficients)


def test_the_noise_of_repeated_runs_is_found():
    design = bs.load_runs("hoffmann2022").drop(columns="loss")
    runs = bs.simulate(dense, design, "besiroglu2024", noise_scale=0.004, noise_dof=5.0, seed=3)
    lower, upper = bs.interval(quick_fit(runs, 1).posterior.noise_scale, 0.99)
    assert lower < 0.004 < upper < 0.006


@pytest.mark.slow
def test_the_truth_has_no_preferred_place_in_its_posterior():
    # Simulated tables whose coefficients and noise come from the prior (Talts et al. 2018).
    design = bs.load_runs("olmo_ladder").query("not target").drop(columns="loss")
    reference = {name: np.exp(np.log(design[name]).mean()) for name in ("N", "D")}
    scaled = {name: design[name] / reference[name] for name in reference}
    rng, ranks = np.random.default_rng(0), []
    while len(ranks) < 100:
        truth = {n: float(p.sample(rng, None, 2.6)) for n, p in dense.priors.items()}
        scale, dof = 0.01 * np.exp(rng.normal()), rng.gamma(2.0, 10.0)
        noise = scale * rng.standard_t(dof, len(design))
        runs = design.assign(loss=dense(**scaled, **truth) * np.exp(noise))
        # The prior is in shares of the losses' own mean: keep to tables where that is as assumed.
        if not (2.3 < np.exp(np.log(runs.loss).mean()) < 2.9 and runs.loss.between(0.5, 50).all()):
            continue
        draws = quick_fit(runs, seed=len(ranks)).posterior
        ranks.append({name: float((draws[name] < truth[name]).mean()) for name in truth})
    for name, values in pd.DataFrame(ranks).items():
        assert scipy.stats.kstest(values, "uniform").pvalue > 1e-3, name


def test_the_density_that_was_sampled_is_that_of_these_runs(olmo, olmo_fit, hoffmann_fit):
    # Both fits ran on one compiled density, to which the runs are data.
    for fit, runs in ((olmo_fit, olmo), (hoffmann_fit, fit_runs(hoffmann_fit))):
        task = problem(dense, runs)
        c = {name: fit.posterior[name].values.ravel() for name in task.names}
        u = task.coordinates.from_coefficients(c, task.loss_scale)
        ours = task.log_density(np.column_stack([u[name] for name in task.names]))
        sampled = fit.tree["sample_stats"]["logp"].values.ravel()
        np.testing.assert_allclose(ours, sampled, rtol=1e-8)


def fit_runs(fit):
    return fit.runs[["N", "D", "loss"]].to_dataframe()


# --- whether it repeats, and reuses what it compiled --------------------------------------------


def test_a_seed_fixes_the_posterior(olmo):
    first, again, other = (quick_fit(olmo, s).posterior for s in (5, 5, 6))
    assert first.equals(again)
    assert not first.equals(other)


def test_tables_of_every_length_share_one_compiled_density(olmo, olmo_fit):
    before = list(_compiled_densities)
    assert sum(key[0] is dense.function for key in before) >= 1
    for runs in (olmo.head(8), olmo.tail(13), pd.concat([olmo, olmo]), olmo.query("not rerun")):
        fit = quick_fit(runs, 1)
        assert fit.tree["log_likelihood"].sizes["run"] == len(runs)
    assert sorted(map(hash, _compiled_densities)) == sorted(map(hash, before))


# --- warnings, diagnostics ----------------------------------------------------------------------


def test_too_short_a_run_is_not_passed_off_as_a_posterior(olmo):
    with pytest.warns(bs.FitWarning, match=r"not to be trusted yet .*ESS.*draws=4000") as caught:
        fit = bs.fit(dense, olmo, seed=1, draws=30, tune=30, chains=2)
    assert caught[0].filename == __file__
    table = bs.diagnose(fit)
    assert not table.attrs["ok"]
    assert not table.ok.all()


def test_the_diagnostics_are_those_of_arviz(olmo_fit):
    table = bs.diagnose(olmo_fit)
    assert table.attrs == {"divergences": 0, "needed_ess": 1000, "ok": True}
    theirs = arviz.summary(olmo_fit.tree, round_to="none").loc[table.index]
    np.testing.assert_allclose(table.rhat, theirs.r_hat.astype(float), rtol=1e-9)
    np.testing.assert_allclose(table.ess_bulk, theirs.ess_bulk.astype(float), rtol=1e-9)
    np.testing.assert_allclose(table.ess_tail, theirs.ess_tail.astype(float), rtol=1e-9)


def test_what_was_not_sampled_has_no_diagnostics(olmo):
    for fit in (bs.published(dense, "besiroglu2024"), bs.prior(dense, olmo, draws=5)):
        with pytest.raises(bs.InputError, match=r"nothing to diagnose"):
            bs.diagnose(fit)


def test_a_fixed_coefficient_is_used_and_not_sampled(olmo):
    # Of the prior, so that nothing has to be compiled for it.
    fit = bs.prior(dense, olmo, priors={"E": 1.7}, draws=50, seed=1)
    assert "E" not in fit.posterior
    assert (bs.coefficients(fit).E == 1.7).all()
    assert bs.coefficients(fit).E.dims == ("chain", "draw")
    floor_only = bs.predict(fit, mean=True, N=1e16, D=1e18)
    assert (floor_only > 1.7).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"draws": 0}, "draws must be a whole number of at least 1, not 0"),
        ({"draws": 10.5}, "draws must be a whole number"),
        ({"draws": "many"}, "draws must be a whole number .*'many'"),
        ({"tune": None}, "tune must be a whole number"),
        ({"chains": -1}, "chains must be a whole number"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"seed": float("nan")}, "seed must be a whole number"),
        ({"method": "guess"}, "method='guess' is not known"),
    ],
)
def test_settings_that_make_no_sense_are_refused(olmo, settings, message):
    with pytest.raises(bs.InputError, match=message):
        bs.fit(dense, olmo, **settings)


def test_whole_numbers_of_any_kind_will_do(olmo):
    fit = bs.prior(dense, olmo, draws=np.int64(3), seed=np.int32(4))
    assert fit.about["seed"] == 4
    assert fit.posterior.equals(bs.prior(dense, olmo, draws=3.0, seed=4).posterior)


def test_a_formula_that_symbols_cannot_follow_is_refused(olmo):
    @law
    def clipped(N, D, *, E=floor(), A=amplitude()):
        return E + A / np.maximum(N, 1e-3) + 0 * D

    for use in (bs.fit, bs.model):
        with pytest.raises(
            bs.InputError, match=r"law 'clipped' fails .*where, maximum and minimum"
        ):
            use(clipped, olmo)


# --- the prior ----------------------------------------------------------------------------------


def test_prior_draws_have_the_stated_distribution(olmo):
    fit = bs.prior(dense, olmo, draws=4000, seed=2)
    scale = fit.about["loss_scale"]
    stated = {
        "E": scipy.stats.lognorm(0.4, scale=0.5 * scale),
        "A": scipy.stats.lognorm(1.0, scale=0.2 * scale),
        "alpha": scipy.stats.lognorm(0.5, scale=0.25),
        "B": scipy.stats.lognorm(1.0, scale=0.2 * scale),
        "beta": scipy.stats.lognorm(0.5, scale=0.25),
        "noise_scale": scipy.stats.lognorm(1.0, scale=0.01),
        "noise_dof": scipy.stats.gamma(2.0, scale=10.0),
    }
    assert set(fit.posterior) == set(stated)
    for name, distribution in stated.items():
        draws = fit.posterior[name].values.ravel()
        assert scipy.stats.kstest(draws, distribution.cdf).pvalue > 1e-3, name


@pytest.mark.parametrize(
    ("law", "options", "given"),
    [
        (dense, {}, {}),
        (coupled, dict(bs.CALIBRATED), {}),
        (dense, {"by": "half", "vary": ("E",)}, {"half": "b"}),
        (coupled, {"by": "half", "vary": ("E",), **bs.CALIBRATED}, {"half": "b"}),
        (dense, {"weights": "weight"}, {}),
        (dense, {"error": "error"}, {}),
        (dense, {"noise": "skewed"}, {}),
    ],
    ids=["plain", "calibrated", "by group", "calibrated by group", "weighted", "error", "skewed"],
)
def test_what_the_prior_expects_contains_what_was_seen(olmo, law, options, given):
    olmo = olmo.assign(half=np.resize(["a", "b"], len(olmo)), weight=2.0, error=0.001)
    fit = bs.prior(law, olmo, draws=2000, seed=1, **options)
    lower, upper = bs.interval(bs.predict(fit, N=olmo.N, D=olmo.D, seed=1, **given), 0.9).T.values
    assert (lower < olmo.loss).all()
    assert (olmo.loss < upper).all()


def test_the_model_is_the_one_that_a_reader_would_write(olmo):
    model = bs.model(dense, olmo)
    assert {rv.name for rv in model.free_RVs} == {*dense.coefficients, "noise_scale", "noise_dof"}
    assert [rv.name for rv in model.observed_RVs] == ["log_loss"]
    assert {"N", "D"} <= set(model.named_vars)
    assert model.named_vars_to_dims["log_loss"] == ("run",)
    np.testing.assert_allclose(
        model.rvs_to_values[model["log_loss"]].eval(), np.log(olmo.loss), rtol=1e-15
    )


def test_it_draws_on_where_draws_are_too_much_alike():
    # One ratio of tokens to parameters: size and data terms trade against each other freely.
    runs = bs.load_runs("olmo_ladder").query("chinchilla_multiplier == 1")
    fit = bs.fit(dense, runs, seed=1)
    table = bs.diagnose(fit)
    assert fit.about["thin"] > 1
    assert table[["ess_bulk", "ess_tail"]].min(axis=None) >= 1000
    assert fit.posterior.sizes == {"chain": 4, "draw": 1000}
    stats = fit.tree["sample_stats"].to_dataset()
    assert stats.sizes["draw"] == 1000
    # Every kept draw says whether one that it stands for diverged.
    assert stats.diverging.dtype == bool


def test_no_divergence_is_lost_where_one_draw_stands_for_many(olmo, monkeypatch):
    from bayescale.fitting import inference

    plain = inference.sample_nuts

    careful = []

    def with_one_divergence(*args, target_accept, **kwargs):
        sampled = plain(*args, target_accept=target_accept, **kwargs)
        careful.append(target_accept)
        if careful.count(inference.CARE[-1]) <= 1:  # the first draws of each care
            sampled["sample_stats"]["diverging"][0, 3] = True
        return sampled

    monkeypatch.setattr(inference, "sample_nuts", with_one_divergence)
    with pytest.warns(bs.FitWarning, match="1 divergent draws"):
        fit = bs.fit(dense, olmo, draws=50, chains=2, tune=300, seed=1)
    assert fit.about["thin"] > 1
    assert bs.diagnose(fit).attrs["divergences"] == 1
