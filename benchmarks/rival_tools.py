"""What people use instead: each tool answers the same questions about the same runs, and is timed.

    python benchmarks/rival_tools.py TOOL RUNS.csv PLANS.csv STARTED

prints JSON: wall and CPU seconds from the start of the process (``STARTED`` is the clock's reading
then) to a point answer and to intervals, effective draws (the least of any coefficient), and for
each plan the central 90 % intervals of the mean loss and of a new run's loss. benchmarks/speed.py
calls it, one process a tool.
"""

import json
import os
import sys
import time
import warnings

import numpy as np
import pandas as pd

LEVELS = [0.05, 0.95]
DRAWS = 4000
TIMED = 100  # bootstraps that are made: their cost is what 4,000 of them would have cost, scaled


class Watch:
    """Wall and CPU seconds since the process was started, its children's included."""

    def __init__(self, started):
        self.started = started
        self.marks = {}

    def mark(self, name):
        cpu = sum(os.times()[:4])
        self.marks[name] = {"wall": time.time() - self.started, "cpu": cpu}


def intervals(curve, runs):
    """90 % intervals from draws (plans last) of the mean loss and of a new run's loss."""
    return {
        "curve": np.quantile(curve, LEVELS, axis=0).T.tolist(),
        "run": np.quantile(runs, LEVELS, axis=0).T.tolist(),
    }


def _bayescale(runs, plans, watch, law, **options):
    import bayescale as bs

    bs.fit(law, runs, seed=1, method="laplace")
    watch.mark("point")
    fit = bs.fit(law, runs, seed=1, **options)
    watch.mark("intervals")
    table = bs.diagnose(fit)
    n, d = (plans[c].to_numpy(float) for c in ("N", "D"))
    draws = {
        what: bs.predict(fit, N=n, D=d, mean=what == "curve", seed=1).values.reshape(-1, len(n))
        for what in ("curve", "run")
    }
    return {
        "effective": float(table.ess_bulk.min()),
        "trusted": table.attrs["ok"],
        **intervals(draws["curve"], draws["run"]),
    }


def bayescale(runs, plans, watch):
    """The dense law with every setting at its default."""
    from bayescale.models import dense

    return _bayescale(runs, plans, watch, dense)


def bayescale_laplace(runs, plans, watch):
    """The dense law, quickly: importance draws about the mode."""
    from bayescale.models import dense

    return _bayescale(runs, plans, watch, dense, method="laplace")


def bayescale_calibrated(runs, plans, watch):
    """The coupled law with what calibrates its extrapolation."""
    import bayescale as bs
    from bayescale.models import coupled

    return _bayescale(runs, plans, watch, coupled, **bs.CALIBRATED)


def pymc(runs, plans, watch):
    """A plain script: raw coefficients, vague priors, the default sampler."""
    import arviz_stats
    import pymc as pm

    n, d, loss = (runs[c].to_numpy(float) for c in ("N", "D", "loss"))
    with pm.Model():
        E = pm.LogNormal("E", np.log(1.7), 0.5)
        A = pm.LogNormal("A", np.log(400.0), 2.0)
        B = pm.LogNormal("B", np.log(400.0), 2.0)
        alpha = pm.LogNormal("alpha", np.log(0.3), 0.5)
        beta = pm.LogNormal("beta", np.log(0.3), 0.5)
        sigma = pm.HalfNormal("sigma", 0.1)
        nu = pm.Gamma("nu", 2.0, 0.1)
        mean = pm.math.log(E + A * n**-alpha + B * d**-beta)
        pm.StudentT("log_loss", nu=nu, mu=mean, sigma=sigma, observed=np.log(loss))
        pm.find_MAP(progressbar=False)
        watch.mark("point")
        sampled = pm.sample(random_seed=1, progressbar=False)
        watch.mark("intervals")
    posterior = sampled["posterior"].to_dataset()
    c = {name: posterior[name].values.reshape(-1, 1) for name in posterior.data_vars}
    n, d = plans["N"].to_numpy(float), plans["D"].to_numpy(float)
    curve = c["E"] + c["A"] * n ** -c["alpha"] + c["B"] * d ** -c["beta"]
    rng = np.random.default_rng(1)
    noise = c["sigma"] * rng.standard_t(np.broadcast_to(c["nu"], curve.shape))
    effective = float(arviz_stats.ess(posterior, method="bulk").to_array().min())
    trusted = float(arviz_stats.rhat(posterior).to_array().max()) <= 1.01
    trusted &= int(sampled["sample_stats"].diverging.sum()) == 0 and effective >= 1000
    found = {"effective": effective, "trusted": bool(trusted)}
    return found | intervals(curve, curve * np.exp(noise))


def huber_grid(runs, plans, watch):
    """Hoffmann's and Besiroglu's procedure: a Huber loss from 4,500 starts, then bootstraps.

    L-BFGS minimises the Huber loss (delta 1e-3) of the log loss over log A, log B, log E, alpha
    and beta. As in the replication each bootstrap starts from the point answer. Only 100 are made
    to be timed, and 400 where intervals are wanted; seconds are scaled to 4,000.
    """
    from itertools import product

    from scipy.optimize import minimize

    log_n, log_d, log_loss = (np.log(runs[c].to_numpy(float)) for c in ("N", "D", "loss"))
    delta = 1e-3

    def objective(x, log_n, log_d, log_loss):
        a, b, e, alpha, beta = x
        terms = np.stack([a - alpha * log_n, b - beta * log_d, np.full(len(log_n), e)])
        top = terms.max(axis=0)
        shares = np.exp(terms - top)
        total = shares.sum(axis=0)
        residual = top + np.log(total) - log_loss
        shares /= total
        size = np.abs(residual)
        value = np.where(size <= delta, residual**2 / 2, delta * (size - delta / 2)).sum()
        slope = np.clip(residual, -delta, delta) * shares
        by_a, by_b, by_e = slope.sum(axis=1)
        return value, np.array([by_a, by_b, by_e, -(slope[0] @ log_n), -(slope[1] @ log_d)])

    def best(start, *data):
        return minimize(objective, start, args=data, jac=True, method="L-BFGS-B")

    small, slopes = np.arange(0, 30, 5), np.arange(0, 2.5, 0.5)
    starts = product(small, small, np.arange(-1, 1.5, 0.5), slopes, slopes)
    whole = (log_n, log_d, log_loss)
    starts = list(starts)
    assert len(starts) == 4500
    found = min((best(np.array(s, float), *whole) for s in starts), key=lambda r: r.fun).x
    watch.mark("point")
    rng, draws = np.random.default_rng(1), []
    for _ in range(4 * TIMED):
        chosen = rng.integers(0, len(log_loss), len(log_loss))
        draws.append(best(found, *(x[chosen] for x in whole)).x)
        if len(draws) == TIMED:
            watch.mark("intervals")
    point, last = watch.marks["point"], watch.marks["intervals"]
    for clock in ("wall", "cpu"):
        last[clock] = point[clock] + (last[clock] - point[clock]) * DRAWS / TIMED
    a, b, e, alpha, beta = np.array(draws).T[:, :, None]
    n, d = np.log(plans["N"].to_numpy(float)), np.log(plans["D"].to_numpy(float))
    curve = np.exp(a - alpha * n) + np.exp(b - beta * d) + np.exp(e)
    # The procedure itself stops at the curve: a new run adds a residual, drawn with replacement.
    own = np.exp(found[0] - found[3] * log_n) + np.exp(found[1] - found[4] * log_d)
    residuals = log_loss - np.log(own + np.exp(found[2]))
    return {
        "effective": DRAWS,
        "trusted": None,
        **intervals(curve, curve * np.exp(rng.choice(residuals, curve.shape))),
    }


def simple_scaling_laws(runs, plans, watch):
    """The package of that name (0.2), at its defaults but for 4,000 bootstrap draws.

    It has no point answer without draws: that is timed with two.
    """
    # pip install simple-scaling-laws (an environment of its own will do: put it on PYTHONPATH)
    import polars as pl
    from simple_scaling_laws import fit

    columns = {"N": "model_size__n", "D": "dataset_size__n"}
    table = pl.DataFrame(
        {
            "training_run_id": [f"run{i}" for i in range(len(runs))],
            **{name: runs[c].to_numpy(float) for c, name in columns.items()},
            "test_loss__nats": runs["loss"].to_numpy(float),
        }
    )
    fit(table, law="separable-power", n_draws=2, seed=1)
    watch.mark("point")
    model = fit(table, law="separable-power", n_draws=DRAWS, seed=1)
    watch.mark("intervals")
    points = pl.DataFrame({name: plans[c].to_numpy(float) for c, name in columns.items()})
    found = {"effective": DRAWS, "trusted": not model.warnings}
    for what, kind in (("curve", "mean"), ("run", "new-run")):
        table = model.predict(points, kind=kind, quantiles=LEVELS, seed=1)
        low, high = (next(c for c in table.columns if c.endswith(q)) for q in ("q050", "q950"))
        found[what] = np.column_stack([table[low], table[high]]).tolist()
    return found


TOOLS = {
    "bayescale": bayescale,
    "bayescale, laplace": bayescale_laplace,
    "bayescale, calibrated": bayescale_calibrated,
    "PyMC script": pymc,
    "Huber grid, bootstraps": huber_grid,
    "simple-scaling-laws": simple_scaling_laws,
}


def main():
    name, runs, plans, started = sys.argv[1:]
    warnings.simplefilter("ignore")  # what they say is in the column trusted
    watch = Watch(float(started))
    try:
        found = TOOLS[name](pd.read_csv(runs), pd.read_csv(plans), watch)
    except ModuleNotFoundError as error:
        found = {"missing": error.name}
    print(json.dumps(watch.marks | found))


if __name__ == "__main__":
    main()
