"""The density that is sampled is the posterior of the model that is read."""

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale import amplitude, exponent, floor, law
from bayescale.language.variables import Variable
from bayescale.models import coupled, dense, experts, granularity, sparse, upcycling
from bayescale.posterior.density import log_posterior, undeparted
from bayescale.posterior.problem import problem
from bayescale.sampling.modes import find_mode


@law
def with_where(N, D, *, E=floor(), A=amplitude(), alpha=exponent(), B=amplitude(), beta=exponent()):
    return E + A * bs.maximum(N, 0.5) ** -alpha + B * bs.where(D > 1.0, D, 1.0) ** -beta


CASES = {
    "dense": (dense, {}),
    "dense, normal noise": (dense, {"noise": "normal"}),
    "dense, one fixed": (dense, {"priors": {"E": 1.7}}),
    "dense, other priors": (
        dense,
        {"priors": {"E": bs.gamma_prior(4.0, 2.0), "beta": bs.normal(0.3, 0.1)}},
    ),
    "sparse": (sparse, {}),
    "granularity": (granularity, {}),
    "experts": (experts, {}),
    "upcycling": (upcycling, {}),
    "where and maximum": (with_where, {}),
    "scaled noise": (sparse, {"noise": "scaled"}),
    "skewed noise": (dense, {"noise": "skewed"}),
    "skewed noise, weights": (dense, {"noise": "skewed", "weights": "weight"}),
    "known error": (dense, {"error": "loss_error"}),
    "weights in a column": (dense, {"weights": "weight"}),
    "discrepancy": (granularity, {"discrepancy": True}),
    "calibrated": (coupled, dict(bs.CALIBRATED)),
}


def _to_value(model, rv, priors):
    """From a coefficient to PyMC's value variable and its value."""
    name = model.rvs_to_values[rv].name
    if model.rvs_to_transforms[rv] is None:
        return lambda x: (name, np.asarray(x))
    return lambda x: (name, np.log(x - priors[rv.name].above))


@pytest.mark.parametrize("case", CASES)
def test_the_coordinates_have_the_density_of_the_named_model(case, mixture_runs):
    law, settings = CASES[case]
    rows = np.arange(len(mixture_runs))
    mixture_runs = mixture_runs.assign(loss_error=0.01 + 0.001 * rows, weight=1.0 + rows % 3)
    task = problem(law, mixture_runs, **settings)
    model = bs.model(law, mixture_runs, **settings)
    # The density of the coefficients themselves: without the Jacobian of PyMC's transforms.
    density = model.compile_logp(jacobian=False, mode="FAST_COMPILE")
    to_values = {rv.name: _to_value(model, rv, task.coordinates.priors) for rv in model.free_RVs}
    named = {*task.coordinates.names} | ({"discrepancy_z"} if task.normals else set())
    assert set(to_values) == named

    differences = []
    rng = np.random.default_rng(3)
    for _ in range(12):
        c = {n: p.sample(rng, None, task.loss_scale) for n, p in task.coordinates.priors.items()}
        u = task.coordinates.from_coefficients(c, task.loss_scale)
        if task.field:
            u = undeparted(task, u)
            u |= {name: u[name] + rng.standard_normal() for name in task.normals}
        at = {name: np.array([float(u[name])]) for name in task.names}
        with np.errstate(all="ignore"):
            _, rows, c = log_posterior(task, at, task.data)
        c = {name: float(np.ravel(x)[0]) for name, x in c.items()}
        priors = task.coordinates.priors
        ours = sum(p.log_density(c[n], task.loss_scale) for n, p in priors.items())
        z = np.array([c[name] for name in task.normals])
        ours = float(ours - (0.5 * z**2 + 0.5 * np.log(2 * np.pi)).sum() + rows @ task.weights)
        point = dict(to_values[n](z if n == "discrepancy_z" else c[n]) for n in to_values)
        theirs = float(density(point))
        # A signed amplitude can make the loss negative: then neither has a density.
        assert np.isfinite(ours) == np.isfinite(theirs)
        if np.isfinite(ours):
            differences.append(ours - theirs)
    assert len(differences) >= 10
    np.testing.assert_allclose(differences, 0.0, atol=1e-8)


def test_symbols_give_what_numbers_give():
    import pytensor
    import pytensor.tensor as pt

    task = problem(sparse, bs.load_runs("frantar2023_t5"))
    u = {name: pt.dscalar(name) for name in task.names}
    prior, rows, _ = log_posterior(task, u, task.data)
    symbolic = pytensor.function([*u.values()], prior + rows.sum(), mode="FAST_COMPILE")
    points = find_mode(task).u + np.random.default_rng(0).normal(0, 0.1, (5, len(u)))
    found = [float(symbolic(*point)) for point in points]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, task.log_density(points), rtol=1e-10)


def test_the_likelihood_is_of_the_log_loss(olmo):
    import scipy.stats

    task = problem(dense, olmo, noise="normal")
    c = {"E": 1.9, "A": 0.4, "alpha": 0.3, "B": 0.5, "beta": 0.3, "noise_scale": 0.02}
    u = task.coordinates.from_coefficients(c, task.loss_scale)
    _, rows, back = log_posterior(task, u, task.data)
    at = {name: olmo[name] / np.exp(np.log(olmo[name]).mean()) for name in ("N", "D")}
    mean = np.log(1.9 + 0.4 * at["N"] ** -0.3 + 0.5 * at["D"] ** -0.3)
    expected = scipy.stats.norm.logpdf(np.log(olmo["loss"]), mean, 0.02)
    np.testing.assert_allclose(rows, expected, rtol=1e-9)
    assert back == pytest.approx(c)


def test_impossible_coordinates_have_no_density(olmo):
    task = problem(dense, olmo)
    wild = np.full((2, len(task.names)), [[800.0], [-800.0]])
    assert (task.log_density(wild) == -np.inf).all()


# --- setting up ---------------------------------------------------------------------------------


def test_counts_are_divided_by_their_geometric_mean(olmo):
    task = problem(dense, olmo)
    assert task.reference["N"] == pytest.approx(np.exp(np.log(olmo.N).mean()), rel=1e-12)
    assert task.loss_scale == pytest.approx(np.exp(np.log(olmo.loss).mean()), rel=1e-12)
    assert np.log(task.data["N"]).mean() == pytest.approx(0, abs=1e-12)
    np.testing.assert_array_equal(task.inputs["D"], olmo.D)


def test_inputs_of_one_scale_share_a_reference():
    @law
    def repeated(D, D_unique, S, *, E=floor(), B=amplitude()):
        return E + B * D_unique / D * (1 - S)

    runs = pd.DataFrame(
        {"D": [1e9, 4e9, 9e9], "D_unique": [1e9, 1e9, 1e9], "S": 0.5, "loss": [3.0, 2.9, 2.8]}
    )
    reference = problem(repeated, runs).reference
    assert reference["D_unique"] == reference["D"] == pytest.approx(36 ** (1 / 3) * 1e9)
    assert reference["S"] == 1.0


def test_a_filtered_table_of_whole_numbers_is_read_as_it_is(olmo):
    whole = olmo.astype({"N": "int64", "D": "int64"})[5:25]
    task, floats = problem(dense, whole), problem(dense, olmo[5:25])
    assert task.labels == tuple(whole.index)
    np.testing.assert_array_equal(task.data["N"], floats.data["N"])
    assert task.inputs["D"].dtype == float


def test_a_replaced_prior_keeps_the_coefficients_role(olmo):
    task = problem(dense, olmo, priors={"A": bs.lognormal(0.4, 0.2)})
    assert (task.priors["A"].role, task.priors["A"].a) == ("amplitude", 0.4)
    assert task.coordinates.amplitudes == ("E", "A", "B")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"noise": "cauchy"}, "noise='cauchy' is not known"),
        ({"priors": {"gamma": 0.3}}, r"\['gamma'\], which law 'dense' does not have; .*'alpha'"),
        ({"priors": {"E": None}}, r"priors\['E'\] is a prior, .*or a number .*not None"),
        ({"priors": {"E": np.nan}}, r"priors\['E'\] is a prior, .*not nan"),
        ({"priors": {"E": "1.7"}}, r"priors\['E'\] is a prior, .*not '1.7'"),
        (
            {"priors": {"noise_scale": 0.01}},
            r"priors\['noise_scale'\] must be a prior of a positive",
        ),
        ({"priors": {"noise_scale": bs.normal(0, 1)}}, "must be a prior of a positive number"),
        (
            {"priors": dict.fromkeys(("E", "A", "alpha", "B", "beta"), 0.5)},
            "nothing is left to fit",
        ),
        ({"vary": ("E",)}, "needs by="),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message, olmo):
    with pytest.raises(bs.InputError, match=message):
        problem(dense, olmo, **settings)


def broken(runs, column, row, value):
    runs = runs.copy()
    runs.loc[row, column] = value
    return runs


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: r.rename(columns={"N": "params"}), r'no column .N.*columns=\{"params": "N"\}'),
        (lambda r: r.rename(columns={"loss": "val_loss"}), r'no column .loss.*"val_loss": "loss"'),
        (lambda r: broken(r, "loss", 7, np.nan), r"column 'loss', row 7: .*missing.*dropna"),
        (lambda r: broken(r, "loss", 7, 0.0), "column 'loss', row 7: 0 is not above 0"),
        (lambda r: broken(r, "N", 3, -1e9), "column 'N', row 3: -1e[+]09|-1000000000 is below"),
        (lambda r: broken(r, "D", 3, np.inf), "column 'D', row 3: the value is infinite"),
        (lambda r: r.assign(D=r.D / 1e9), "column 'D', row 0: .*billions, multiply it by 1e9"),
        (
            lambda r: r.head(4),
            r"4 rows cannot inform the 5 coefficients .*\(E, A, alpha, B, beta\); add",
        ),
        (lambda r: r.to_numpy(), "pandas DataFrame, not ndarray"),
    ],
)
def test_runs_that_cannot_be_used_are_refused_by_column_row_and_remedy(spoil, message, olmo):
    with pytest.raises(bs.InputError, match=message):
        bs.fit(dense, spoil(olmo))
    with pytest.raises(bs.InputError, match=message):
        bs.model(dense, spoil(olmo))


def test_sparsity_has_to_lie_below_one(mixture_runs):
    with pytest.raises(bs.InputError, match=r"column 'S', row 4: 1 is not below 1 .*no active"):
        bs.fit(sparse, broken(mixture_runs, "S", 4, 1.0))


def test_fixing_coefficients_lets_fewer_rows_serve(olmo):
    assert problem(dense, olmo.head(4), priors={"E": 1.7}).fixed == {"E": 1.7}


def test_a_function_is_no_law(olmo):
    with pytest.raises(bs.InputError, match=r"must be a law .*not function"):
        bs.fit(dense.function, olmo)


def test_an_input_with_a_scale_has_to_be_positive():
    @law(variables=(Variable("width", scale="width"),))
    def wide(width, *, E=floor(), A=amplitude()):
        return E + A / width

    runs = pd.DataFrame({"width": [-1.0, 1.0, 2.0], "loss": [3.0, 2.9, 2.8]})
    with pytest.raises(bs.InputError, match=r"column 'width' holds -1: .*above zero; give"):
        problem(wide, runs)


def test_a_positive_coefficient_is_not_fixed_below_zero(olmo):
    with pytest.raises(bs.InputError, match=r"priors\['A'\]=-1: the coefficient is positive"):
        problem(dense, olmo, priors={"A": -1.0})


def test_an_unknown_kind_of_pooling_is_refused_even_without_groups(olmo):
    with pytest.raises(bs.InputError, match="'partial' or 'none'"):
        problem(dense, olmo, pool="some")
