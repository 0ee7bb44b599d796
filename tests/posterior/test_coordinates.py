"""The coordinates of every law: what they are, that they invert, and their Jacobian."""

import numpy as np
import pytest

import bayescale as bs
from bayescale import Variable, amplitude, exponent, floor, law, normal
from bayescale.models import dense, experts, granularity, laws, sparse, upcycling
from bayescale.posterior.coordinates import find_coordinates
from bayescale.posterior.noise import noise_model

NOISE = noise_model("student_t").priors
LOSS_SCALE = 2.6


@law
def linked(N, D, *, E=floor(), A=amplitude(), B=amplitude(), alpha=exponent()):
    return E + A * N**-alpha + B * D**-alpha


@law
def product(N, D, *, A=amplitude(), B=amplitude(), alpha=exponent()):
    return 1.0 + A * B * N**-alpha * D**-alpha


def coordinates(law, **fixed):
    priors = {name: prior for name, prior in law.priors.items() if name not in fixed}
    return find_coordinates(law, priors, fixed, NOISE)


def draw(found, seed):
    """Coefficients from their priors."""
    rng = np.random.default_rng(seed)
    return {n: float(p.sample(rng, None, LOSS_SCALE)) for n, p in found.priors.items()}


# --- what is found ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "amplitudes", "moved"),
    [
        (dense, ("E", "A", "B"), {"alpha": ("A",), "beta": ("B",)}),
        (linked, ("E", "A", "B"), {"alpha": ("A", "B")}),
        (
            experts,
            ("A", "B", "sigma"),
            {"alpha": ("A",), "gamma": ("A",), "beta": ("B",)},
        ),
        (
            granularity,
            ("c", "g", "a", "b"),
            {"gamma": ("g",), "alpha": ("g", "a"), "beta": ("b",)},
        ),
        # The signed amplitude c is no part of the total, nor of what an exponent moves.
        (sparse, ("e", "a", "b"), {"gamma": ("e",), "alpha": ("a",), "beta": ("b",)}),
        (
            upcycling,
            ("A", "B", "E"),
            {"alpha_1": ("A",), "alpha_2": ("A",), "alpha_3": ("A",), "beta": ("B",)},
        ),
        (product, (), {}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_terms_of_a_law_are_found_by_calling_it(law, amplitudes, moved):
    found = coordinates(law)
    assert (found.amplitudes, found.moved) == (amplitudes, moved)
    assert found.names == (*law.coefficients, "noise_scale", "noise_dof")


def test_a_fixed_amplitude_is_no_coordinate():
    found = coordinates(dense, A=0.5)
    assert (found.amplitudes, found.moved) == (("E", "B"), {"alpha": (), "beta": ("B",)})
    assert "A" not in found.names


def test_a_signed_exponent_centred_at_zero_still_moves_its_term():
    @law
    def tilted(N, *, E=floor(), A=amplitude(), slope=normal(0.0, 0.01, role="exponent")):
        return E + A * N**slope

    assert coordinates(tilted).moved == {"slope": ("A",)}


def test_they_are_the_loss_at_the_centre_and_the_slopes_there():
    found = coordinates(dense)
    c = {
        "E": 1.5,
        "A": 0.5,
        "alpha": 0.3,
        "B": 0.6,
        "beta": 0.2,
        "noise_scale": 0.01,
        "noise_dof": 9.0,
    }
    u = found.from_coefficients(c, LOSS_SCALE)
    centre = dense(1.0, 1.0, **{n: c[n] for n in dense.coefficients})
    assert np.exp(u["E"]) * LOSS_SCALE == pytest.approx(centre, rel=1e-14)
    step = 1e-6
    for name, moved in {"alpha": (np.exp(step), 1.0), "beta": (1.0, np.exp(step))}.items():
        slope = (centre - dense(*moved, **{n: c[n] for n in dense.coefficients})) / step
        assert np.exp(u[name]) * LOSS_SCALE == pytest.approx(slope, rel=1e-5)


@law(variables=(Variable("depth", unit="layers", description="blocks", low=1, high=1000),))
def lowered(N, depth, *, E=floor(), A=amplitude(), alpha=exponent(), B=amplitude(0.01)):
    return E + A * N**-alpha - B * bs.log(depth)


def test_a_term_that_is_negative_at_the_centre_counts_by_its_amplitude():
    found = coordinates(lowered)
    assert found.amplitudes == ("E", "A", "B")
    assert found.unit_term is None


def test_amplitudes_count_at_what_is_typical_of_the_runs():
    """Else what the runs leave open, here gamma, would be bound to what they determine, A."""

    def found(count):
        inputs = {"N_active": np.ones(8), "D": np.ones(8), "experts": np.asarray(count)}
        return find_coordinates(experts, experts.priors, {}, NOISE, inputs)

    dense_only = found(np.ones(8))
    assert dense_only.centre == {"N_active": 1.0, "D": 1.0, "experts": 1.0}
    c = draw(dense_only, 1)
    us = [dense_only.from_coefficients({**c, "gamma": x}, LOSS_SCALE) for x in (0.05, 0.5)]
    assert us[0]["A"] == us[1]["A"]
    # Between the runs, rounded so that leaving one out changes nothing.
    assert found(2.0 ** np.arange(8)).centre["experts"] == 10
    assert found(2.0 ** np.arange(7)).centre["experts"] == 8
    assert found([1, 1, 1, 1, 64, 64, 64, 64]).centre["experts"] == 8


def test_where_a_term_vanishes_at_what_is_typical_a_usual_value_serves():
    @law
    def vanishing(N, S, *, E=floor(), A=amplitude(), alpha=exponent(), B=amplitude()):
        return E + A * N**-alpha + B * S

    inputs = {"N": np.ones(5), "S": np.zeros(5)}
    found = find_coordinates(vanishing, vanishing.priors, {}, NOISE, inputs)
    assert found.centre == {"N": 1.0, "S": 0.5}


# --- the map and its Jacobian, for every law of the package and some others ----------------------

EVERY = {**laws(), "linked": linked, "product": product, "lowered": lowered}


@pytest.mark.parametrize("name", EVERY)
def test_there_and_back(name):
    found = coordinates(EVERY[name])
    for seed in range(20):
        c = draw(found, seed)
        u = found.from_coefficients(c, LOSS_SCALE)
        back, _ = found.to_coefficients(u, LOSS_SCALE)
        assert list(back) == list(c) == list(u)
        np.testing.assert_allclose(list(back.values()), list(c.values()), rtol=1e-11)


@pytest.mark.parametrize("name", EVERY)
def test_the_jacobian_is_that_of_finite_differences(name):
    found = coordinates(EVERY[name])
    for seed in range(5):
        u = found.from_coefficients(draw(found, seed), LOSS_SCALE)
        at = np.array(list(u.values()), dtype=float)

        def coefficients(x):
            c, _ = found.to_coefficients(dict(zip(found.names, x, strict=True)), LOSS_SCALE)
            return np.array(list(c.values()), dtype=float)

        # Columns differ by orders of magnitude, so each is taken in steps of its own size.
        steps = 1e-5 * np.maximum(np.abs(at), 1.0) * np.eye(len(at))
        columns = [
            (-coefficients(at + 2 * h) + 8 * coefficients(at + h)
             - 8 * coefficients(at - h) + coefficients(at - 2 * h)) / (12 * h.max())
            for h in steps
        ]  # fmt: skip
        rows = np.array(columns).T
        size = np.abs(rows).max(axis=1)
        _, numeric = np.linalg.slogdet(rows / size[:, None])
        _, stated = found.to_coefficients(u, LOSS_SCALE)
        assert float(stated) == pytest.approx(numeric + np.log(size).sum(), abs=1e-6)


def test_arrays_give_what_numbers_give():
    found = coordinates(sparse)
    points = [found.from_coefficients(draw(found, seed), LOSS_SCALE) for seed in range(4)]
    stacked = {name: np.array([[u[name]] for u in points]) for name in found.names}
    c, log_jacobian = found.to_coefficients(stacked, LOSS_SCALE)
    for i, u in enumerate(points):
        alone, alone_jacobian = found.to_coefficients(u, LOSS_SCALE)
        assert log_jacobian[i, 0] == pytest.approx(alone_jacobian, rel=1e-13)
        for name in found.names:
            assert c[name][i, 0] == pytest.approx(alone[name], rel=1e-13)


def test_a_law_that_fails_on_arrays_is_refused():
    @law
    def branching(N, *, E=floor(), A=amplitude()):
        return E + A / N if N > 1 else E + A

    with pytest.raises(bs.InputError, match=r"law 'branching' fails on .*ndarray"):
        coordinates(branching)
