"""Two recipes at one number of tokens a parameter."""

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale.decisions.ladders import ladder
from bayescale.models import dense, granularity

PUBLISHED = bs.published(dense, "besiroglu2024")


def test_the_plan_of_a_rung_spends_the_budget_at_the_ratio():
    size = (1e22 / 6 / 20) ** 0.5
    at = ladder(PUBLISHED, [1e22], 20.0, {}).item()
    assert at == pytest.approx(bs.predict(PUBLISHED, mean=True, N=size, D=20 * size).item())


def test_at_the_ratio_of_the_optimum_both_questions_agree():
    best = bs.allocate(PUBLISHED, 1e22)
    ratio = (best.D / best.N).item()
    assert ladder(PUBLISHED, 1e22, ratio, {}).item() == pytest.approx(best.loss.item(), abs=1e-9)


def two_ladders():
    """Two recipes of six rungs at 20 tokens a parameter; B needs 1.2 times the compute of A."""
    sizes = np.geomspace(1e8, 3e9, 6)
    c = dense.published["besiroglu2024"].values
    rng = np.random.default_rng(0)
    made = {}
    for name, gain in (("a", 1.0), ("b", 1.2)):
        worth = sizes / gain**0.5
        loss = dense(worth, 20 * worth, **c) * np.exp(rng.normal(0, 0.001, 6))
        runs = pd.DataFrame({"N": sizes, "D": 20 * sizes, "loss": loss})
        runs.attrs["simulated"] = True
        made[name] = runs
    return made


@pytest.mark.filterwarnings("ignore")
def test_two_ladders_tell_at_their_own_ratio_what_they_cannot_tell_elsewhere():
    # The exponents known, so that the fits are quick: which of the two terms is large is not.
    known = {name: dense.published["besiroglu2024"].values[name] for name in ("alpha", "beta")}
    fits = {
        name: bs.fit(dense, runs, priors=known, method="laplace", draws=100, seed=1)
        for name, runs in two_ladders().items()
    }
    odds = {k: bs.probability(fits["a"], fits["b"], 5e19, ratio=k) for k in (20.0, None)}
    width = {k: np.diff(np.log(bs.interval(x.multiplier, 0.9).values)) for k, x in odds.items()}
    assert odds[20.0].probability.item() > 0.99
    low, high = bs.interval(odds[20.0].multiplier, 0.95).values
    assert low < 1.2 < high
    assert width[None] > 2 * width[20.0]
    assert odds[20.0].attrs["at"] == "ratio"


def test_a_crossover_at_a_ratio_and_what_is_refused():
    mixture = bs.published(granularity, "krajewski2024")
    other = bs.published(dense, "krajewski2024")
    choose = {"choose": {"G": [1, 8, 64]}}
    odds = bs.probability(mixture, other, [1e19, 1e21], ratio=20.0, plan_a=choose)
    assert odds.crossover.item() == 0
    assert (odds.multiplier > 2).all()
    with pytest.raises(bs.InputError, match="above zero"):
        bs.probability(mixture, other, 1e20, ratio=0.0, plan_a=choose)
    with pytest.raises(bs.InputError, match="give one of them"):
        bs.probability(mixture, other, 1e20, ratio=20.0, at="plan", plan_a=choose)
    with pytest.raises(bs.InputError, match="leave the size free"):
        bs.probability(PUBLISHED, PUBLISHED, 1e20, ratio=20.0, plan_a={"fixed": {"N": 1e9}})
