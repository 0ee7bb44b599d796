"""Efficiency leverage: dense compute over a mixture's at equal loss."""

import numpy as np
import pytest
import xarray as xr

import bayescale as bs
from bayescale.models import dense, experts

ALPHA, BETA, GAMMA = 0.35, 0.37, 0.12


def made_up(law, shape, *, seed=0, **changed):
    """A fit whose draws scatter by a few per cent about plain coefficients."""
    rng = np.random.default_rng(seed)
    base = {"E": 1.8, "sigma": 1.8, "A": 480.0, "alpha": ALPHA, "B": 2100.0, "beta": BETA}
    base |= {"gamma": GAMMA} | changed
    drawn = {
        n: (("chain", "draw"), base[n] * np.exp(rng.normal(0, 0.02, shape))) for n in law.priors
    }
    fit = bs.published(law_with_a_set(law), "plain")
    tree = fit.tree.copy()
    coords = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    tree["posterior"] = xr.DataTree(xr.Dataset(drawn, coords))
    return bs.Fit(law, tree)


def law_with_a_set(law):
    plain = dict.fromkeys(law.priors, 1.0)
    return bs.law(published={"plain": plain}, cost=law.cost)(law.function)


def exact(law, **changed):
    return made_up(law, (1, 1), **changed)


@pytest.fixture(scope="module")
def pair():
    """Dense models, and mixtures whose experts are worth that many more parameters."""
    models, mixtures = made_up(dense, (2, 50)), made_up(experts, (2, 50))
    for name, other in {"A": "A", "alpha": "alpha", "B": "B", "beta": "beta", "E": "sigma"}.items():
        models.tree["posterior"][name] = mixtures.posterior[other]
    return models, mixtures


def test_experts_are_worth_a_closed_form(pair):
    # E experts act like E^(gamma/alpha) times the parameters, at any budget.
    models, mixtures = pair
    gain = bs.efficiency_leverage(
        models, mixtures, [1e20, 1e22, 1e24], moe_plan={"fixed": {"experts": 8}}
    )
    c = mixtures.posterior
    assert gain.dims == ("chain", "draw", "budget")
    assert gain.sizes == {"chain": 2, "draw": 50, "budget": 3}
    xr.testing.assert_allclose(
        gain.drop_vars(["at_bound", "extrapolation"], errors="ignore"),
        (8 ** (c["gamma"] / c["alpha"])).expand_dims(budget=gain.budget, axis=2),
        rtol=2e-6,
    )


def test_one_expert_gains_nothing(pair):
    gain = bs.efficiency_leverage(*pair, 1e21, moe_plan={"fixed": {"experts": 1}})
    assert gain.dims == ("chain", "draw")
    np.testing.assert_allclose(gain, 1, rtol=1e-6)
    assert gain.budget.item() == 1e21


def test_the_dense_model_may_be_the_better_buy(pair):
    models, mixtures = pair
    there = bs.efficiency_leverage(models, mixtures, 1e22, moe_plan={"fixed": {"experts": 4}})
    back = bs.efficiency_leverage(mixtures, models, 1e22, dense_plan={"fixed": {"experts": 4}})
    assert (back < 1).all()
    np.testing.assert_allclose(there * back, 1, rtol=2e-6)


def test_a_loss_below_the_dense_floor_is_never_met():
    plan = {"moe_plan": {"fixed": {"experts": 8}}}
    low, high = exact(experts, sigma=1.0), exact(dense, E=2.5)
    assert bs.efficiency_leverage(high, low, 1e22, **plan).item() == np.inf


def test_a_loss_that_little_compute_meets_is_zero():
    plan = {"moe_plan": {"fixed": {"experts": 1}}}
    assert bs.efficiency_leverage(exact(dense), exact(experts, sigma=3.0), 1e22, **plan).item() == 0


def test_published_coefficients_are_paired_with_every_draw(pair):
    models, mixtures = pair
    plan = {"moe_plan": {"fixed": {"experts": 8}}}
    one = bs.efficiency_leverage(exact(dense), mixtures, 1e22, **plan)
    other = bs.efficiency_leverage(models, exact(experts), 1e22, **plan)
    assert one.sizes == other.sizes == {"chain": 2, "draw": 50}
    for gain in (one, other):
        assert np.isfinite(gain).all()
        assert float(gain.std()) > 0


def test_other_numbers_of_draws_are_refused(pair):
    models, _ = pair
    with pytest.raises(bs.InputError, match=r"2 x 50 draws and the other 2 x 40"):
        bs.efficiency_leverage(
            models, made_up(experts, (2, 40)), 1e22, moe_plan={"fixed": {"experts": 8}}
        )


def test_the_loss_is_indeed_equal(pair):
    models, mixtures = pair
    plan = {"fixed": {"experts": 16}}
    gain = bs.efficiency_leverage(models, mixtures, 1e22, moe_plan=plan)
    mixture = bs.allocate(mixtures, 1e22, **plan).loss
    for chain, draw in ((0, 3), (1, 17)):
        needed = 1e22 * gain.isel(chain=chain, draw=draw).item()
        loss = bs.allocate(models, needed).loss.isel(chain=chain, draw=draw)
        assert loss.item() == pytest.approx(mixture.isel(chain=chain, draw=draw).item(), rel=1e-7)
