"""Frantar et al. 2023 (arXiv:2309.08520): weight sparsity."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize_scalar

import bayescale as bs
from bayescale.models import frantar
from bayescale.models.frantar import dense_equivalent, optimal_sparsity

# The paper's table, rounded.
TABLE = {
    "frantar2023_t5": {"a_S": 16.8, "b_S": 0.722, "c_S": 45.0, "b_N": 0.245, "a_D": 6.90e8,
                       "b_D": 0.203, "c": 0.651},
    "frantar2023_vit": {"a_S": 2.94e2, "b_S": 0.821, "c_S": 4.68e2, "b_N": 0.392, "a_D": 2.37e8,
                        "b_D": 0.890, "c": 4.517},
}  # fmt: skip

# The authors' notebook: a, b, c, d, e, f, g of (a (1-S)^b + c)(N / 1e6)^-d + e D'^-f + g, where D'
# is steps of 65,536 tokens over 1e5 (T5) or images over 1e9 (ViT).
NOTEBOOK = {
    "frantar2023_t5": [
        0.56778512, 0.72161276, 1.52265016, 0.24513173, 0.63361517, 0.20270772, 0.65074219,
    ],
    "frantar2023_vit": [
        1.30485411, 0.82101251, 2.07506343, 0.39222675, 0.27818217, 0.88979104, 4.51669257,
    ],
}  # fmt: skip
UNIT_OF_D = {"frantar2023_t5": 65_536 * 1e5, "frantar2023_vit": 1e9}


def coefficients(name, *wanted):
    values = frantar.published[name].values
    return {n: values[n] for n in wanted or values}


def huber(residual, delta):
    size = np.abs(residual)
    return np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)).mean()


@pytest.mark.parametrize("name", TABLE)
def test_raw_coefficients_round_to_the_paper_s(name):
    for letter, printed in TABLE[name].items():
        digits = 4 if letter == "c" and name == "frantar2023_vit" else 3
        assert float(f"{coefficients(name)[letter]:.{digits}g}") == pytest.approx(printed, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "unrounded"),
    [
        ("frantar2023_t5", [16.787, 0.7216, 45.018, 0.2451, 6.90e8, 0.2027, 0.6507]),
        ("frantar2023_vit", [294.4, 0.8210, 468.2, 0.3922, 2.374e8, 0.8898, 4.5167]),
    ],
)
def test_raw_coefficients_unrounded(name, unrounded):
    np.testing.assert_allclose(list(coefficients(name).values()), unrounded, rtol=2e-4)


@pytest.mark.parametrize("name", NOTEBOOK)
def test_raw_units_give_the_notebook_s_losses(name):
    runs = bs.load_runs(name)
    a, b, c, d, e, f, g = NOTEBOOK[name]
    size = (a * (1 - runs.S) ** b + c) * (runs.N_active / 1e6) ** -d
    notebook = size + e * (runs.D / UNIT_OF_D[name]) ** -f + g
    raw = frantar(runs.N_active, runs.D, runs.S, **coefficients(name))
    np.testing.assert_allclose(raw, notebook, rtol=1e-13)


def test_the_fit_to_t5_is_as_good_as_the_authors():
    runs = bs.load_runs("frantar2023_t5").query("not target")
    assert len(runs) == 48
    fitted = frantar(runs.N_active, runs.D, runs.S, **coefficients("frantar2023_t5"))
    assert huber(np.log(fitted / runs.loss), 0.001) == pytest.approx(7.603605e-6, rel=1e-5)
    assert np.sqrt(((fitted - runs.loss) ** 2).mean()) == pytest.approx(0.0253, abs=5e-5)


def test_the_fit_to_vit_is_as_good_as_the_authors():
    runs = bs.load_runs("frantar2023_vit")
    fitted = frantar(runs.N_active, runs.D, runs.S, **coefficients("frantar2023_vit"))
    assert huber(fitted - runs.loss, 0.01) == pytest.approx(4.92909e-4, rel=1e-5)


def test_extrapolation_to_2_3_billion_weights():
    run = bs.load_runs("frantar2023_t5").query("target").iloc[0]
    assert run.S == 0.75
    assert run["N"] == pytest.approx(2.4e9, rel=0.01)
    fit = bs.published(frantar, "frantar2023_t5")
    predicted = bs.predict(fit, mean=True, N_active=run.N_active, D=run.D, S=run.S).item()
    assert predicted == pytest.approx(1.4683, abs=5e-5)
    assert run.loss == pytest.approx(1.4828, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "multipliers"),
    [("frantar2023_t5", [1.59, 2.157, 2.63]), ("frantar2023_vit", [1.60, 2.172, 2.63])],
)
def test_dense_size_of_equal_loss(name, multipliers):
    c = coefficients(name)
    S = np.array([0.5, 0.75, 0.875])
    ratio = dense_equivalent(S, **coefficients(name, "a_S", "b_S", "c_S", "b_N"))
    assert (abs(ratio - multipliers) < [0.005, 0.0005, 0.005]).all()
    # And it is what it says: the dense model of that size has the sparse model's loss.
    sparse, dense = frantar(1e8, 1e11, S, **c), frantar(1e8 * ratio, 1e11, 0.0, **c)
    np.testing.assert_allclose(dense, sparse, rtol=1e-12)


def test_dense_size_of_equal_loss_has_a_limit():
    for name, limit in {"frantar2023_t5": 3.64, "frantar2023_vit": 3.47}.items():
        c = coefficients(name, "a_S", "b_S", "c_S", "b_N")
        assert dense_equivalent(1 - 1e-12, **c) == pytest.approx(limit, abs=0.005)


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("N_active", [1e7, 1e8, 1e9])
@pytest.mark.parametrize("tokens", [20, 200, 5000])
def test_the_formula_of_optimal_sparsity_is_the_optimum(name, N_active, tokens):
    c = coefficients(name)
    flops = 6 * N_active * N_active * tokens

    def loss(S):
        return frantar(N_active, flops * (1 - S) / (6 * N_active), S, **c)

    best = minimize_scalar(loss, bounds=(0, 1 - 1e-9), options={"xatol": 1e-12})
    formula = optimal_sparsity(
        N_active, flops, **coefficients(name, "a_S", "b_S", "b_N", "a_D", "b_D")
    )
    assert loss(formula) <= best.fun + 1e-14
    assert formula == pytest.approx(best.x, abs=2e-6)


def test_some_optima_are_dense_and_some_sparse():
    c = coefficients("frantar2023_t5", "a_S", "b_S", "b_N", "a_D", "b_D")
    sparsities = optimal_sparsity(1e9, np.array([1e19, 1e22, 1e24]), **c)
    assert sparsities[0] == 0
    assert 0 < sparsities[1] < sparsities[2] < 1


def test_allocate_finds_the_optimal_sparsity():
    fit = bs.published(frantar, "frantar2023_t5")
    c = coefficients("frantar2023_t5", "a_S", "b_S", "b_N", "a_D", "b_D")
    levels = np.linspace(0, 0.99, 100)
    best = bs.allocate(fit, 1e22, choose={"S": levels}, fixed={"N_active": 1e8})
    assert best.S.item() == pytest.approx(float(optimal_sparsity(1e8, 1e22, **c)), abs=0.0051)


@pytest.fixture(scope="module")
def t5_fit():
    runs = bs.load_runs("frantar2023_t5").query("not target")
    return bs.fit(frantar, runs, method="laplace", seed=1)


def test_optimal_sparsity_over_budgets_with_its_interval(t5_fit):
    assert bs.diagnose(t5_fit).attrs["ok"]
    names = ("a_S", "b_S", "b_N", "a_D", "b_D")
    drawn = bs.coefficients(t5_fit, units="raw")
    budgets = xr.DataArray([1e20, 1e21, 1e22, 1e23], dims="budget")
    ours = optimal_sparsity(1e8, budgets, **{name: drawn[name] for name in names})
    published = optimal_sparsity(1e8, budgets, **coefficients("frantar2023_t5", *names))
    low, high = bs.interval(ours).transpose("ci_bound", "budget").values
    assert ((low < published) & (published < high)).all()
    assert (np.diff(low) > 0).all()
    assert (np.diff(high) > 0).all()
    assert (high - low < 0.2).all()


def test_allocate_gives_the_optimal_sparsity_of_every_draw(t5_fit):
    levels = np.linspace(0, 0.98, 99)
    best = bs.allocate(t5_fit, 1e22, choose={"S": levels}, fixed={"N_active": 1e8})
    names = ("a_S", "b_S", "b_N", "a_D", "b_D")
    drawn = bs.coefficients(t5_fit, units="raw")
    formula = optimal_sparsity(1e8, 1e22, **{name: drawn[name] for name in names})
    inside = formula < levels[-1]
    # The better of two levels need not be the nearer one, by a few per cent of their distance.
    np.testing.assert_allclose(best.S.values[inside], formula.values[inside], atol=0.0055)
