"""Does the floor's prior give way where it is wrong?

Losses of the dense law are simulated on a grid of 49 sizes and lengths, with a true floor of 15, 40
or 65 % of the typical loss, and the calibrated fit predicts mean losses at 3.5, 124 and 6,000 times
the compute of the largest run: with its own prior of the floor, and with one as narrow whose tails
are normal.

    python benchmarks/floor_prior.py     # five minutes on two cores

writes benchmarks/results/floor_prior.csv: how many 90 % intervals held, by floor and distance.
"""

import numpy as np
import pandas as pd
from extrapolation import SETTINGS, write

import bayescale as bs
from bayescale.models import coupled, dense

SHARES, TIMES, TABLES = (0.15, 0.4, 0.65), (3.5, 124.0, 6000.0), 6
PRIORS = {"heavy tails": {}, "normal tails": {"E": bs.floor(0.4, 0.18)}}
SIZES, LENGTHS = np.geomspace(1e8, 3e9, 7), np.geomspace(3e9, 1e11, 7)


def main():
    N, D = (x.ravel() for x in np.meshgrid(SIZES, LENGTHS))
    centre = np.exp(np.log(N).mean()), np.exp(np.log(D).mean())
    rows = []
    for share in SHARES:
        half, slope = 2.8 * (1 - share) / 2, 0.3 if share < 0.5 else 0.35
        true = {"E": 2.8 * share, "alpha": slope, "beta": slope}
        true |= {"A": half * centre[0] ** slope, "B": half * centre[1] ** slope}
        for table in range(TABLES):
            design = pd.DataFrame({"N": N, "D": D})
            runs = bs.simulate(dense, design, true, noise_scale=0.004, seed=table)
            for name, priors in PRIORS.items():
                how = {**SETTINGS, **bs.CALIBRATED, "priors": priors}
                fit = bs.fit(coupled, runs, seed=1, **how)
                for times in TIMES:
                    at = {"N": SIZES[-1] * times**0.5, "D": LENGTHS[-1] * times**0.5}
                    low, high = bs.interval(bs.predict(fit, mean=True, **at), 0.9).values
                    row = {"floor": share, "times_largest": times, "prior": name}
                    rows.append(row | {"held": low <= dense(**at, **true) <= high})
            print(share, table, flush=True)
    found = pd.DataFrame(rows).groupby(["floor", "times_largest", "prior"]).held
    write(found.agg(held="sum", tables="size"), "floor_prior.csv")
    print(found.agg(["sum", "size"]).to_string())


if __name__ == "__main__":
    main()
