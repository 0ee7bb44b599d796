"""Which runs share an effect, and what they share."""

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale import InputError
from bayescale.fitting.refits import table_of
from bayescale.models import dense, sparse
from bayescale.posterior.density import problem
from bayescale.posterior.effects import find_effects, size_input
from bayescale.posterior.noise import noise_model
from bayescale.prediction.scoring import scatter


@pytest.fixture
def runs():
    """Four sizes, five runs each, in four batches: losses that no test relies on."""
    N = np.repeat([1e8, 2e8, 4e8, 8e8], 5)
    D = np.tile([1e9, 3e9, 1e10, 3e10, 1e11], 4)
    loss = 1.8 + 0.6 * (N / 1e8) ** -0.3 + 0.5 * (D / 1e10) ** -0.3
    return pd.DataFrame({"N": N, "D": D, "loss": loss, "batch": np.tile(list("abcd"), 5)})


def found(runs, by):
    return find_effects(dense, runs, {"N": runs.N.to_numpy(), "D": runs.D.to_numpy()}, by)


def test_runs_of_one_size_share_an_effect(runs):
    effects = found(runs, "size")
    assert effects.by == "N"
    assert effects.levels == (1e8, 2e8, 4e8, 8e8)
    assert effects.member.tolist() == np.repeat(range(4), 5).tolist()
    u = dict(zip(effects.names, [1.0, -2.0, 0.5, 0.0], strict=True))
    value = effects.value(u, {"effect_scale": 0.01}, effects.members)
    np.testing.assert_allclose(value, 0.01 * np.repeat([1.0, -2.0, 0.5, 0.0], 5))


def test_runs_of_one_level_share_an_effect(runs):
    effects = found(runs, "batch")
    assert (effects.by, effects.levels) == ("batch", ("a", "b", "c", "d"))
    assert all(effects.levels[i] == b for i, b in zip(effects.member, runs.batch, strict=True))


def test_room_is_made_in_steps_and_stays_idle(runs):
    five = runs.assign(N=np.resize([1e8, 2e8, 3e8, 4e8, 5e8], 20))
    effects = found(five, "size")
    assert effects.room == 8
    assert not any(effects.members[f"member_effect_{i}"].any() for i in range(5, 8))


@pytest.mark.parametrize("sizes", [np.geomspace(1e8, 1e9, 20), np.full(20, 1e9)])
def test_sizes_that_do_not_repeat_or_do_not_differ_have_none(runs, sizes):
    assert found(runs.assign(N=sizes), "size") is None
    task = problem(dense, runs.assign(N=sizes), effects="size")
    assert task.effects is None
    assert "effect_scale" not in task.names


def test_the_size_of_a_law():
    assert size_input(dense) == "N"
    assert size_input(sparse) == "N_active"

    @bs.law
    def tokens_only(D, *, E=bs.floor(), B=bs.amplitude(), beta=bs.exponent()):
        return E + B * D**-beta

    assert size_input(tokens_only) is None


@pytest.mark.parametrize(
    ("change", "by", "message"),
    [
        ({}, "lab", r"effects='lab' is not a column of the runs, nor 'size'; they have \['N'"),
        ({"batch": [None, *"abcabcabcabcabcabca"]}, "batch", "column 'batch', row 0: no level"),
        ({"batch": range(20)}, "batch", "20 levels in 20 runs"),
        ({"batch": "a"}, "batch", "1 levels in 20 runs"),
    ],
)
def test_refused(runs, change, by, message):
    with pytest.raises(InputError, match=message):
        found(runs.assign(**change), by)


@pytest.mark.parametrize(
    "levels",
    [
        np.array([0.1, 0.2, 0.3], dtype=np.float32),
        pd.to_datetime(["2024-01-01", "2024-01-02", "2025-06-01"]).to_numpy(),
        np.array(["a", "b", "c"]),
        np.array([1, 2, 3]),
    ],
    ids=["float32", "dates", "text", "numbers"],
)
def test_runs_keep_their_level_whatever_it_is_called(olmo, levels):
    runs = olmo.assign(batch=levels[np.arange(len(olmo)) % 3])
    fit = bs.fit(dense, runs, effects="batch", draws=50, tune=200, chains=2, seed=1)
    centre, scale, p = scatter(fit, table_of(fit), own=True)
    stored = fit.tree["log_likelihood"].to_dataset().log_loss.values.reshape(100, -1)
    again = noise_model("student_t").log_density(np.log(runs.loss.values) - centre, scale, p)
    np.testing.assert_allclose(again, stored, atol=1e-6)
