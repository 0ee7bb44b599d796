"""Sardana et al. 2024 (arXiv:2401.00448): training and inference together."""

import numpy as np
import pytest

import bayescale as bs
from bayescale import cost
from bayescale.models import dense

RANGES = ["sardana2024_100", "sardana2024_250", "sardana2024_500", "sardana2024_all"]


@pytest.mark.parametrize("name", ["hoffmann2022", "besiroglu2024", "sardana2024_all"])
@pytest.mark.parametrize("inference_tokens", [0.0, 1e11, 1e13])
def test_the_optimum_meets_the_first_order_condition(name, inference_tokens):
    # eps_N / eps_D = 1 + D_inference / (3 D), where eps is each term's local slope.
    c = dense.published[name].values
    best = bs.allocate(
        bs.published(dense, name),
        1e23,
        cost=cost.with_inference,
        fixed={"inference_tokens": inference_tokens},
    )
    N, D = best.N.item(), best.D.item()
    slopes = (c["alpha"] * c["A"] * N ** -c["alpha"]) / (c["beta"] * c["B"] * D ** -c["beta"])
    assert slopes == pytest.approx(1 + inference_tokens / (3 * D), rel=1e-5)
    assert cost.with_inference(N, D, inference_tokens=inference_tokens) == pytest.approx(1e23)


def test_inference_makes_models_smaller_and_training_longer():
    fit = bs.published(dense, "hoffmann2022")
    optima = [
        bs.allocate(fit, 1e23, cost=cost.with_inference, fixed={"inference_tokens": tokens})
        for tokens in (0.0, 1e11, 1e12, 1e13)
    ]
    assert (np.diff([best.N.item() for best in optima]) < 0).all()
    assert (np.diff([(best.D / best.N).item() for best in optima]) > 0).all()


def test_a_7b_quality_model_with_1e11_inference_tokens():
    # The paper: 6 billion parameters on 1.18 times the data. From its first-order condition and the
    # rounded coefficients of Hoffmann et al. it is 6.34 billion on 1.11 times; the optimum is flat.
    c = {"E": 1.69, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28}
    chosen = (c["alpha"] * c["A"] * 7e9 ** -c["alpha"] / (c["beta"] * c["B"])) ** (-1 / c["beta"])
    loss = dense(7e9, chosen, **c)
    N = np.linspace(4e9, 8e9, 40_001)
    D = ((loss - c["E"] - c["A"] * N ** -c["alpha"]) / c["B"]) ** (-1 / c["beta"])
    spent = cost.with_inference(N, D, inference_tokens=1e11)
    best = int(spent.argmin())
    assert N[best] == pytest.approx(6.34e9, rel=0.002)
    assert D[best] / chosen == pytest.approx(1.11, abs=0.005)
    saved = 1 - spent[best] / cost.with_inference(7e9, chosen, inference_tokens=1e11)
    assert saved == pytest.approx(0.003, abs=0.0015)


def test_exponents_grow_with_the_range_of_the_runs():
    first, *_, last = (dense.published[name].values for name in RANGES)
    assert first["alpha"] < last["alpha"]
    assert first["beta"] < last["beta"]
    assert first["E"] < last["E"]


@pytest.mark.parametrize("inference_tokens", [1e11, 1e12, 1e13])
def test_the_inference_adjusted_optimum_with_its_interval(hoffmann_fit, inference_tokens):
    # Of the same runs: the optimum of the published coefficients is credible, and every draw has
    # a smaller model, trained on more, than without inference.
    options = {"cost": cost.with_inference, "fixed": {"inference_tokens": inference_tokens}}
    best = bs.allocate(hoffmann_fit, 1e23, **options)
    published = bs.allocate(bs.published(dense, "besiroglu2024"), 1e23, **options)
    without = bs.allocate(hoffmann_fit, 1e23)
    low, high = bs.interval(best.N, 0.9).values
    assert low < published.N.item() < high
    assert (best.N < without.N).all()
    assert (best.D / best.N > without.D / without.N).all()
    # The first-order condition holds in every draw.
    c = bs.coefficients(hoffmann_fit, units="raw")
    slopes = (c.alpha * c.A * best.N**-c.alpha) / (c.beta * c.B * best.D**-c.beta)
    np.testing.assert_allclose(slopes, 1 + inference_tokens / (3 * best.D), rtol=1e-4)
