"""The tools of benchmarks/field.py: each is one function, and answers the same questions.

A tool is given the runs to fit, the runs to predict and a budget in FLOPs, and returns any of

- ``losses``: draws (or evenly spaced quantiles) of the loss of each new run, over draw and row;
- ``sizes``: draws of the optimal N at the budget, where training costs 6 N D;
- ``plan``: the N that it would train; by default the median of ``sizes``.

Tables have columns N, D, loss and flops; those to predict have no loss, and those asked about a
budget have the isoFLOP budget of each run (nan where it is of none). What a tool raises is counted
as a failure, but for NotImplementedError: that question it does not answer. A module that it needs
and that is not installed leaves it out.
"""

import functools
from itertools import product

import numpy as np

#: Evenly spaced, they stand for draws.
LEVELS = np.arange(1, 200) / 200
BOOTSTRAPS = 200
#: Starts of the Huber grid that are refined: the best of its 4,500.
REFINED = 100


# --- this package ---------------------------------------------------------------------------------


def _bayescale(runs, new, budget, law, **options):
    import bayescale as bs

    fit = bs.fit(law, runs[["N", "D", "loss"]], seed=1, **options)
    found = {}
    if new is not None:
        losses = bs.predict(fit, N=new.N.to_numpy(), D=new.D.to_numpy(), seed=1)
        found["losses"] = losses.values.reshape(-1, len(new))
    if budget is not None:
        found["sizes"] = bs.allocate(fit, budget=budget).N.to_numpy().ravel()
        found["plan"] = float(bs.decide(fit, budget=budget, trust=True).N.item())
    return found


def textbook(runs, new, budget):
    """The dense law with every setting at its default."""
    from bayescale.models import dense

    return _bayescale(runs, new, budget, dense)


def laplace(runs, new, budget):
    """The dense law, quickly: importance draws about the mode."""
    from bayescale.models import dense

    return _bayescale(runs, new, budget, dense, method="laplace")


def calibrated(runs, new, budget):
    """The coupled law with what calibrates its extrapolation."""
    import bayescale as bs
    from bayescale.models import coupled

    return _bayescale(runs, new, budget, coupled, **bs.CALIBRATED)


# --- the dense law, fitted as others do -----------------------------------------------------------


def _dense(c, new, budget, scattered):
    """Answers from draws of E, A, B, alpha and beta; `scattered` adds a run's noise to a loss."""
    found = {}
    if new is not None:
        E, A, B, alpha, beta = (c[name][:, None] for name in ("E", "A", "B", "alpha", "beta"))
        curve = E + A * new.N.to_numpy() ** -alpha + B * new.D.to_numpy() ** -beta
        found["losses"] = scattered(curve)
    if budget is not None:
        share = np.log(c["alpha"] * c["A"] / (c["beta"] * c["B"]))
        log_n = (share + c["beta"] * np.log(budget / 6)) / (c["alpha"] + c["beta"])
        found["sizes"] = np.exp(log_n)
    return found


@functools.cache
def _script():
    """The model, compiled once for all tables."""
    import nutpie
    import pymc as pm

    with pm.Model() as model:
        n, d, log_loss = (pm.Data(name, np.ones(9)) for name in ("n", "d", "log_loss"))
        E = pm.LogNormal("E", np.log(1.7), 0.5)
        A = pm.LogNormal("A", np.log(400.0), 2.0)
        B = pm.LogNormal("B", np.log(400.0), 2.0)
        alpha = pm.LogNormal("alpha", np.log(0.3), 0.5)
        beta = pm.LogNormal("beta", np.log(0.3), 0.5)
        sigma = pm.HalfNormal("sigma", 0.1)
        nu = pm.Gamma("nu", 2.0, 0.1)
        mean = pm.math.log(E + A * n**-alpha + B * d**-beta)
        pm.StudentT("observed", nu=nu, mu=mean, sigma=sigma, observed=log_loss)
    return nutpie.compile_pymc_model(model)


def pymc_nutpie(runs, new, budget):
    """A plain script: raw coefficients, vague priors, nutpie at its defaults."""
    import nutpie

    n, d, loss = (runs[c].to_numpy(float) for c in ("N", "D", "loss"))
    script = _script().with_data(n=n, d=d, log_loss=np.log(loss))
    posterior = nutpie.sample(script, seed=1, progress_bar=False)["posterior"].to_dataset()
    c = {name: posterior[name].values.ravel() for name in posterior.data_vars}
    rng = np.random.default_rng(1)

    def scattered(curve):
        t = rng.standard_t(np.broadcast_to(c["nu"][:, None], curve.shape))
        return curve * np.exp(c["sigma"][:, None] * t)

    return _dense(c, new, budget, scattered)


def huber_grid(runs, new, budget):
    """Approach 3 of Hoffmann et al. 2022, with bootstraps as in Besiroglu et al. 2024.

    L-BFGS minimises the Huber loss (delta 1e-3) of the log loss over log A, log B, log E, alpha
    and beta, from the best of their 4,500 starts. Bootstraps resample the runs, start from the
    point answer, and add a residual for a new run, which the procedure itself does not.
    """
    from scipy.optimize import minimize

    log_n, log_d, log_loss = (np.log(runs[c].to_numpy(float)) for c in ("N", "D", "loss"))
    delta = 1e-3

    def terms(x, log_n, log_d):
        a, b, e, alpha, beta = x
        return a - alpha * log_n, b - beta * log_d, e + 0.0 * log_n

    def huber(residual):
        # Over delta squared: the optimiser's tolerances suppose an objective of the order of one.
        size = np.abs(residual) / delta
        return np.where(size <= 1, size**2 / 2, size - 0.5).sum(axis=-1)

    def objective(x, log_n, log_d, log_loss):
        parts = np.stack(terms(x, log_n, log_d))
        total = np.logaddexp.reduce(parts)
        residual = total - log_loss
        slope = np.clip(residual / delta, -1, 1) / delta * np.exp(parts - total)
        by_a, by_b, by_e = slope.sum(axis=1)
        return huber(residual), np.array([by_a, by_b, by_e, -slope[0] @ log_n, -slope[1] @ log_d])

    def best(start, *data):
        return minimize(objective, start, args=data, jac=True, method="L-BFGS-B")

    small, slopes = np.arange(0, 30, 5.0), np.arange(0, 2.5, 0.5)
    starts = np.array(list(product(small, small, np.arange(-1, 1.5, 0.5), slopes, slopes)))
    at = np.logaddexp.reduce(terms(starts.T[:, :, None], log_n, log_d))
    promising = starts[np.argsort(huber(at - log_loss), kind="stable")[:REFINED]]
    whole = (log_n, log_d, log_loss)
    point = min((best(start, *whole) for start in promising), key=lambda r: r.fun).x
    rng, draws = np.random.default_rng(1), []
    for _ in range(BOOTSTRAPS):
        chosen = rng.integers(0, len(log_loss), len(log_loss))
        draws.append(best(point, *(x[chosen] for x in whole)).x)
    a, b, e, alpha, beta = np.array(draws).T
    residuals = log_loss - np.logaddexp.reduce(terms(point, log_n, log_d))
    c = {"E": np.exp(e), "A": np.exp(a), "B": np.exp(b), "alpha": alpha, "beta": beta}
    return _dense(c, new, budget, lambda x: x * np.exp(rng.choice(residuals, x.shape)))


def variable_projection(runs, new, budget):
    """Least squares by variable projection, in the manner of Czech et al. 2026 (arXiv:2603.22339).

    For each pair of exponents E, A and B follow from non-negative least squares, so only two
    numbers are searched: over a grid, then by Nelder and Mead. Bootstraps resample the residuals.
    """
    from scipy.optimize import minimize, nnls

    log_n, log_d = (np.log(runs[c].to_numpy(float)) for c in ("N", "D"))
    loss = runs.loss.to_numpy(float)
    at_n, at_d = log_n.mean(), log_d.mean()

    def projected(exponents, loss):
        alpha, beta = np.clip(exponents, 1e-3, 3.0)
        columns = [np.ones_like(loss), np.exp(-alpha * (log_n - at_n))]
        return nnls(np.column_stack([*columns, np.exp(-beta * (log_d - at_d))]), loss)

    def fitted(start, loss):
        found = minimize(
            lambda x: projected(x, loss)[1],
            start,
            method="Nelder-Mead",
            options={"xatol": 1e-4, "fatol": 1e-9 * np.linalg.norm(loss)},
        ).x
        return *projected(found, loss)[0], *np.clip(found, 1e-3, 3.0)

    grid = np.linspace(0.05, 1.0, 20)
    start = min(product(grid, grid), key=lambda x: projected(x, loss)[1])
    E, A, B, alpha, beta = fitted(start, loss)
    curve = E + A * np.exp(-alpha * (log_n - at_n)) + B * np.exp(-beta * (log_d - at_d))
    residuals = (loss - curve) * np.sqrt(len(loss) / max(len(loss) - 5, 1))
    rng, draws = np.random.default_rng(1), []
    for _ in range(BOOTSTRAPS):
        draws.append(fitted((alpha, beta), curve + rng.choice(residuals, len(loss))))
    E, A, B, alpha, beta = np.array(draws).T
    c = {"E": E, "A": A * np.exp(alpha * at_n), "B": B * np.exp(beta * at_d)}
    c |= {"alpha": alpha, "beta": beta}
    return _dense(c, new, budget, lambda x: x + rng.choice(residuals, x.shape))


def simple_scaling_laws(runs, new, budget):
    """The package of that name: its wild bootstrap, with residuals added for a new run."""
    # pip install simple-scaling-laws
    import polars as pl
    from simple_scaling_laws import cost_model, fit

    columns = {"N": "model_size__n", "D": "dataset_size__n"}

    def inputs(table):
        return {name: table[c].to_numpy(float) for c, name in columns.items()}

    told = {"training_run_id": [f"run{i}" for i in range(len(runs))]}
    loss = {"test_loss__nats": runs["loss"].to_numpy(float)}
    model = fit(pl.DataFrame(told | inputs(runs) | loss), n_draws=BOOTSTRAPS, seed=1)

    def draws(table, column):
        found = [c for c in table.columns if c.startswith(f"{column}__")]
        assert len(found) == len(LEVELS)
        return table.select(found).to_numpy().T

    found = {}
    if new is not None:
        points = pl.DataFrame(inputs(new))
        told = model.predict(points, kind="new-run", quantiles=LEVELS, seed=1)
        found["losses"] = draws(told, "test_loss__nats")
    if budget is not None:
        cost = cost_model("power", k=6.0, a=1.0, b=1.0)
        told = model.optimal_allocation([budget], cost=cost, quantiles=LEVELS)
        found["sizes"] = draws(told, "model_size__n")[:, 0]
    return found


# --- no law ---------------------------------------------------------------------------------------


def isoflop_profiles(runs, new, budget):
    """No law: a cubic of the log loss in log N at each budget, and a line through their minima.

    Bootstraps resample each profile's residuals, and the line's. It says nothing of losses.
    """
    from bayescale.checking.isoflop_profiles import SIZES

    if budget is None:
        raise NotImplementedError("isoFLOP profiles predict no losses")
    rng, compute, best = np.random.default_rng(1), [], []
    for _, profile in runs.groupby("budget"):
        x, y = np.log(profile.N.to_numpy()), np.log(profile.loss.to_numpy())
        if len(np.unique(x)) < SIZES:
            continue
        centre, degree = x.mean(), 3 if len(x) >= 7 else 2
        grid = np.linspace(x.min(), x.max(), 801)
        curve = np.polyfit(x - centre, y, degree)
        at = np.polyval(curve, x - centre)
        residuals = (y - at) * np.sqrt(len(y) / max(len(y) - degree - 1, 1))
        again = at + rng.choice(residuals, (BOOTSTRAPS, len(y)))
        curves = np.column_stack([curve, np.polyfit(x - centre, again.T, degree)])
        lowest = np.polyval(curves[:, :, None], grid - centre).argmin(axis=-1)
        if 0 < lowest[0] < len(grid) - 1:  # a profile that does not turn tells no minimum
            compute.append(np.log(6 * profile.N * profile.D).mean())
            best.append(grid[lowest])
    if len(best) < 2:
        raise ValueError(f"{len(best)} budgets have a minimum between their runs; a line needs two")
    compute, best = np.array(compute), np.array(best)
    line = np.polyfit(compute, best, 1)
    off = best[:, 0] - np.polyval(line[:, 0], compute)
    off *= np.sqrt(len(off) / max(len(off) - 2, 1))
    again = best[:, 1:] + rng.choice(off, (len(off), BOOTSTRAPS))
    told = np.polyval(np.polyfit(compute, again, 1), np.log(budget))
    return {"sizes": np.exp(told), "plan": float(np.exp(np.polyval(line[:, 0], np.log(budget))))}


#: By the names that tables print, each with the package whose version it goes with.
TOOLS = {
    "bayescale, textbook": (textbook, "bayescale"),
    "bayescale, laplace": (laplace, "bayescale"),
    "bayescale, calibrated": (calibrated, "bayescale"),
    "PyMC and nutpie script": (pymc_nutpie, "pymc"),
    "Huber grid, bootstraps": (huber_grid, "scipy"),
    "variable projection, bootstraps": (variable_projection, "scipy"),
    "simple-scaling-laws": (simple_scaling_laws, "simple-scaling-laws"),
    "isoFLOP profiles, no law": (isoflop_profiles, "numpy"),
}
