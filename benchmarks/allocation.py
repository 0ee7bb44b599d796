"""How long does it take to allocate 100 budgets under each of 4,000 posterior draws?

Posteriors are of real runs where the package ships some (dense, sparse); elsewhere draws are spread
by a tenth about published coefficients, in logs, as a posterior would be. Times are of one call, in
seconds by the wall clock, with the process's own seconds beside it; nothing is checked here.

    python benchmarks/allocation.py

writes a row for each question to benchmarks/results/allocation.csv.
"""

import time
import warnings

import numpy as np
import pandas as pd
import xarray as xr
from made_with import keep

import bayescale as bs
from bayescale import amplitude, exponent, floor, law
from bayescale.models import dense, frantar, granularity, joint_moe, sparse, upcycling

BUDGETS = np.geomspace(1e20, 1e25, 100)


def routed_flops(N_active, D, S, G):
    """Active parameters, and routing that grows with the number of small experts."""
    return 6.0 * N_active * D * (1.0 + 2e-4 * G / (1.0 - S))


PUBLISHED = {
    "made_up": {"e": 1.2, "gamma": 0.05, "a": 20.0, "alpha": 0.15, "c": 9.0, "g": 2.0,
                "omega": 0.6, "b": 35.0, "beta": 0.16},
}  # fmt: skip


@law(cost=routed_flops, published=PUBLISHED)
def fine_grained(
    N_active, D, S, G, *,
    e=floor(), gamma=exponent(0.1), a=amplitude(), alpha=exponent(), c=amplitude(), g=amplitude(),
    omega=exponent(0.6), b=amplitude(), beta=exponent(),
):  # fmt: skip
    """Sparsity and granularity, both free."""
    size = (a * (1 - S) ** alpha + c * S**2 + g * G**-omega) * N_active**-alpha
    return e * (1 - S) ** gamma + size + b * D**-beta


def spread(chosen, name, draws=4000, width=0.1):
    """Draws about published coefficients (simulated)."""
    fit = bs.published(chosen, name)
    rng = np.random.default_rng(1)
    values = {
        n: (("chain", "draw"), x.item() * np.exp(width * rng.standard_normal((4, draws // 4))))
        for n, x in fit.posterior.data_vars.items()
    }
    tree = xr.DataTree.from_dict(
        {"posterior": xr.Dataset(values, {"chain": range(4), "draw": range(draws // 4)})}
    )
    tree.attrs = fit.tree.attrs
    return bs.Fit(chosen, tree)


def questions():
    ladder = bs.fit(dense, bs.load_runs("olmo_ladder").query("not target"), seed=1)
    moe, cut = spread(sparse, "hossain2025_moe"), spread(frantar, "frantar2023_t5")
    fine, split = spread(granularity, "krajewski2024"), spread(upcycling, "liew2025")
    joint, both = spread(joint_moe, "ludziejewski2025"), spread(fine_grained, "made_up")
    powers = [1.0, 2, 4, 8, 16, 32, 64]
    S, G = {"S": (0, 0.9)}, {"G": (1, 64)}
    return {
        "dense: N": (1, ladder, {}),
        "sparse: N_active, S of four": (1, moe, {"choose": {"S": [0, 0.5, 0.75, 0.875]}}),
        "granularity: N, G of seven": (1, fine, {"choose": {"G": powers}}),
        "joint: N_active, experts 1 to 64": (1, joint, {"choose": {"experts": range(1, 65)}}),
        "sparse: N_active, S": (2, moe, {"bounds": S}),
        "sparse: N_active, S, memory": (2, moe, {"bounds": S | {"N": (0, 1e11)}}),
        "frantar: N_active, S": (2, cut, {"bounds": {"S": (0, 0.98)}}),
        "granularity: N, G": (2, fine, {"bounds": G}),
        "upcycling: N, D_dense": (2, split, {}),
        "fine-grained: N_active, S, G": (3, both, {"bounds": S | G}),
        "fine-grained, memory": (3, both, {"bounds": S | G | {"N": (0, 1e11)}}),
    }


def main():
    warnings.simplefilter("ignore", bs.AllocationWarning)
    rows = []
    for name, (free, fit, settings) in questions().items():
        wall, own = time.perf_counter(), time.process_time()
        best = bs.allocate(fit, BUDGETS, **settings)
        wall, own = time.perf_counter() - wall, time.process_time() - own
        row = {"question": name, "free": free, "draws": best.loss[..., 0].size}
        row |= {"budgets": len(BUDGETS), "seconds": round(wall, 2), "cpu_seconds": round(own, 2)}
        rows.append(row | {"at_bound": round(float(best.at_bound.mean()), 3)})
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    keep(table, "allocation.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
