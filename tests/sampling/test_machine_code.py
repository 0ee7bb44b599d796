"""The compiled density is the posterior, to rounding, with its exact gradient."""

import ctypes
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.special import digamma, gammaln

import bayescale as bs
from bayescale import amplitude, exponent, floor, law
from bayescale.common.errors import InputError
from bayescale.language.maths import sqrt
from bayescale.models import coupled, dense, experts, laws
from bayescale.posterior.problem import problem
from bayescale.sampling import nuts
from bayescale.sampling.compiler.machine_code import Density, compile_density
from bayescale.sampling.compiler.symbolic import UntraceableError, log_gamma, sum_rows, where
from bayescale.sampling.modes import find_mode
from properties import examples

EVERY = laws()
COUNTS, BUDGETS = (1e7, 1e12), (1e17, 1e22)
SHARES, WHOLE = ("S", "S_experts"), ("G", "experts")


def design(law, count=20, seed=0):
    """Generic runs of a law, with losses that no test relies on."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name in law.inputs:
        if name in SHARES:
            columns[name] = rng.uniform(0, 0.95, count)
        elif name in WHOLE:
            columns[name] = rng.integers(1, 64, count) * 1.0
        else:
            ends = BUDGETS if name == "flops" else COUNTS
            columns[name] = np.exp(rng.uniform(*np.log(ends), count))
    return pd.DataFrame(columns | {"loss": rng.uniform(2, 4, count)})


def evaluate(density, data, x):
    """Code, log density and gradient that compiled code returns at coordinates ``x``."""
    block, *arrays = density.arguments(data)
    types = [ctypes.c_uint64, *[ctypes.c_void_p] * 4]
    function = ctypes.CFUNCTYPE(ctypes.c_int64, *types)(density.logp)
    x, slope, value = np.array(x, float), np.zeros(len(x)), np.zeros(1)
    code = function(len(x), *(a.ctypes.data for a in (x, slope, value, block)))
    assert len(arrays) == 2  # alive until here
    return code, float(value[0]), slope


def slopes(function, x, steps=1e-4):
    """Derivatives by central differences of fourth order."""
    found = []
    for axis in np.eye(len(x)) * steps:
        at = [function(x + k * axis) for k in (-2, -1, 1, 2)]
        found.append((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * axis.sum()))
    return np.array(found)


def assert_compiled(task):
    density = nuts.compiled_density(task)
    assert isinstance(density, Density)
    mode, rng, data = find_mode(task), np.random.default_rng(0), task.data
    root = np.linalg.cholesky(mode.covariance)
    for _ in range(3):
        x = mode.u + 0.5 * root @ rng.standard_normal(len(mode.u))
        code, value, slope = evaluate(density, data, x)
        assert code == 0
        assert value == pytest.approx(task.log_density(x[None])[0], rel=1e-11, abs=1e-9)
        # What one coordinate must move, the others held, to change the density by about one half.
        scale = np.diag(np.linalg.inv(mode.covariance)) ** -0.5
        numeric = slopes(lambda at: task.log_density(at[None])[0], x, 0.01 * scale)
        np.testing.assert_allclose(slope * scale, numeric * scale, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_of_every_law(name):
    assert_compiled(problem(EVERY[name], design(EVERY[name])))


@pytest.mark.parametrize(
    ("law", "options"),
    [
        (dense, {"noise": "normal"}),
        (dense, {"noise": "scaled", "error": "sd"}),
        (dense, {"noise": "skewed"}),
        (dense, {"priors": {"E": 1.5, "alpha": bs.gamma_prior(3.0, 9.0)}}),
        (dense, {"by": "kind", "vary": ("A", "alpha")}),
        (dense, {"by": "kind", "vary": ("E",), "pool": "none"}),
        (coupled, dict(bs.CALIBRATED)),
        (coupled, dict(bs.CALIBRATED) | {"by": "kind", "vary": ("E",)}),
    ],
)
def test_of_every_option(law, options):
    runs = design(law).assign(kind=np.arange(20) % 3, sd=0.01)
    assert_compiled(problem(law, runs, **options))


def test_one_density_serves_tables_of_every_length():
    density = nuts.compiled_density(problem(dense, design(dense)))
    for count in (7, 31, 400):
        task = problem(dense, design(dense, count, seed=count))
        assert nuts.compiled_density(task) is density
        x = find_mode(task).u
        assert evaluate(density, task.data, x)[1] == pytest.approx(task.log_density(x[None])[0])


def test_tables_with_other_coordinates_have_a_density_of_their_own():
    runs = design(experts)
    tasks = [problem(experts, runs.assign(experts=count)) for count in (1.0, 64.0)]
    assert tasks[0].coordinates.centre != tasks[1].coordinates.centre
    for task in tasks:
        assert_compiled(task)


def test_a_fit_loads_no_pymc():
    code = (
        "import sys, bayescale as bs\n"
        "from bayescale.models import dense\n"
        "runs = bs.load_runs('olmo_ladder').query('not target')\n"
        "bs.fit(dense, runs, draws=50, tune=100, chains=1, seed=1, progress=False)\n"
        "print([name in sys.modules for name in ('nutpie', 'pymc', 'pytensor')])"
    )
    options = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(options, capture_output=True, text=True)
    assert done.stdout.strip() == "[True, False, False]", done.stderr


# --- operations -----------------------------------------------------------------------------------


def assert_derivative(function, x, y):
    """Compiled, the function of two numbers and its derivatives are what NumPy makes of it."""
    rows = np.array([0.3, 1.0, 2.5])

    def symbols(u, data):
        return sum_rows(function(u["x"], u["y"]) * data["row"])

    density = compile_density(symbols, ("x", "y"), {"row": rows})
    code, value, slope = evaluate(density, {"row": rows}, (x, y))
    assert code == 0

    def number(at):
        return float(function(np.float64(at[0]), np.float64(at[1]))) * rows.sum()

    assert value == pytest.approx(number((x, y)), rel=1e-12)
    numeric = slopes(number, np.array([x, y]))
    np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-8 * max(1.0, abs(value)))


FUNCTIONS = {
    "arithmetic": lambda x, y: 2 - x * y + (x - 3 * y) / (1 + x) - -y,
    "powers": lambda x, y: x**y + 2.0**x + x**-2 + y**3 + x**0.5 + y**1.7,
    "logarithms": lambda x, y: bs.log(x) * bs.log1p(y) + np.log10(x) + np.log2(y) + np.log1p(x),
    "exponentials": lambda x, y: bs.exp(-x) * np.exp(y - x) + sqrt(x + y) + np.square(x),
    "choices": lambda x, y: bs.maximum(x, 2 * y) + bs.minimum(x, y) * bs.where(x > y, x * y, 3 * x),
    "absolute": lambda x, y: abs(x - y) + np.abs(y - 2 * x),
    "both": lambda x, y: bs.where((x > 0.2) & (y <= 9), x * x, y) + bs.where(
        (x < 0.1) | (x >= y), y, x * y
    ),
}  # fmt: skip

#: No function above has a kink or a jump between 1.05 x and 1.9 x, but one has at x = 0.2.
AWAY_FROM_JUMPS = st.floats(0.11, 0.199) | st.floats(0.201, 4.0)


@pytest.mark.parametrize("name", FUNCTIONS)
@examples(10)
@given(x=AWAY_FROM_JUMPS, apart=st.floats(1.05, 1.9))
@example(x=0.15, apart=1.5)
@example(x=3.5, apart=1.2)
def test_operations_and_their_derivatives(name, x, apart):
    assert_derivative(FUNCTIONS[name], x, x * apart)


def compiled(function, x):
    """The function at every number of a row, from compiled code."""

    def one(u, data):
        return sum_rows(where(data["chosen"] > 0, function(data["row"] * u["x"]), 0.0))

    rows = [{"row": x, "chosen": chosen} for chosen in np.eye(len(x))]
    density = compile_density(one, ("x",), rows[0])
    return np.array([evaluate(density, row, (1.0,))[1] for row in rows])


def test_exponentials_and_logarithms_are_exact_to_two_units():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-700, 700, 200), rng.normal(0, 1, 200), [0.0, -1e-300, 1e-17]])
    np.testing.assert_allclose(compiled(bs.exp, x), np.exp(x), rtol=4.5e-16)
    x = np.concatenate([10 ** rng.uniform(-300, 300, 200), rng.uniform(0.4, 2.5, 200)])
    x = np.concatenate([x, [1.0, 5e-324, 1e-310, np.nextafter(1, 0), np.nextafter(1, 2)]])
    np.testing.assert_allclose(compiled(bs.log, x), np.log(x), rtol=4.5e-16)
    x = np.concatenate([10 ** rng.uniform(-300, 300, 200), rng.uniform(-0.99, 2.5, 200), [0.0]])
    np.testing.assert_allclose(compiled(bs.log1p, x), np.log1p(x), rtol=6e-16)


def test_exponentials_and_logarithms_at_their_ends():
    x = np.array([-np.inf, -1e4, -0.0, 1e4, np.inf, np.nan])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(compiled(bs.exp, x), np.exp(x))
        for function, numpy in ((bs.log, np.log), (bs.log1p, np.log1p)):
            x = np.array([-np.inf, -2.0, -1.0, 0.0, np.inf, np.nan])
            np.testing.assert_array_equal(compiled(function, x), numpy(x))


@pytest.mark.parametrize("x", [0.01, 0.4, 1.0, 3.3, 40.0, 1e4])
def test_the_gamma_function(x):
    density = compile_density(lambda u, _: log_gamma(u["x"]), ("x",), {"row": np.ones(2)})
    _, value, slope = evaluate(density, {"row": np.ones(2)}, (x,))
    assert value == pytest.approx(gammaln(x), rel=1e-13, abs=1e-13)
    assert slope[0] == pytest.approx(digamma(x), rel=1e-12)


def test_where_an_operation_has_an_edge():
    rows = {"zero": np.array([0.0, 1.0])}

    def symbols(u, data):
        chosen = where(u["x"] > 0.0, bs.log(u["x"]), u["x"])
        return sum_rows(data["zero"] ** u["y"]) + bs.maximum(u["y"], u["x"]) + chosen

    density = compile_density(symbols, ("x", "y"), rows)
    # Zero to a power is zero and stays so; a branch that is not taken does no harm.
    assert evaluate(density, rows, (-1.0, 2.0))[:2] == (0, 1.0 + 2.0 - 1.0)
    np.testing.assert_array_equal(evaluate(density, rows, (0.5, 2.0))[2], [2.0, 1.0])
    # Not a number and infinity are no density.
    assert evaluate(density, rows, (1.0, np.nan))[0] != 0
    assert evaluate(density, rows, (1.0, np.inf))[0] != 0


# --- what symbols cannot follow -------------------------------------------------------------------


@law
def softened(N, D, *, E=floor(), A=amplitude(), alpha=exponent(), B=amplitude(), beta=exponent()):
    return E + A * N**-alpha + B * np.exp(-beta * np.arcsinh(D))


def test_a_law_that_only_pytensor_follows_is_compiled_by_pymc(olmo):
    task = problem(softened, olmo)
    assert not isinstance(nuts.compiled_density(task), Density)
    fit = bs.fit(softened, olmo, seed=1, draws=200, tune=300, chains=2)
    assert np.isfinite(fit.posterior.to_array()).all()


def test_llvm_alone_refuses_it_and_leaves_nothing_half_done(olmo):
    with pytest.raises(InputError, match=r"numpy.arcsinh of a symbol.*or leave out compile="):
        bs.fit(softened, olmo, seed=1, compile="llvm")
    with pytest.raises(InputError, match=r"compile='numba' is not known; choose auto"):
        bs.fit(dense, olmo, seed=1, compile="numba")


def test_one_compiler_against_the_other(olmo):
    one, other = (bs.fit(dense, olmo, seed=1, compile=by).posterior for by in ("llvm", "pytensor"))
    for name in one:  # means agree to a tenth of their spread, some five Monte Carlo errors
        assert abs(one[name].mean() - other[name].mean()) < 0.1 * one[name].std(), name
        assert float(one[name].std() / other[name].std()) == pytest.approx(1, abs=0.1), name


@pytest.mark.parametrize(
    "wrong",
    [
        lambda u, data: u["x"] if u["x"] > 0 else 0.0,
        lambda u, data: float(u["x"]),
        lambda u, data: np.tanh(u["x"]),
        lambda u, data: u["x"] * "one",
        lambda u, data: np.add.reduce(u["x"]),
        lambda u, data: sum_rows(u["x"] * data["row"] / sum_rows(u["x"] * data["row"])),
    ],
)
def test_what_cannot_be_followed_is_refused(wrong):
    with pytest.raises(UntraceableError):
        compile_density(wrong, ("x",), {"row": np.ones(3)})
