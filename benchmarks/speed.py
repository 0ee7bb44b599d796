"""Seconds to an answer, against what people use instead; and how cost grows with the runs.

    python benchmarks/speed.py          # a quarter of an hour on two cores
    python benchmarks/speed.py speed    # only results/speed.csv
    python benchmarks/speed.py growth   # only results/growth.csv

speed.csv: a row a tool (benchmarks/rival_tools.py), each in a process of its own on the same 240
runs (Hoffmann's without the five outliers): wall and CPU seconds from the start of the process to a
point answer and to intervals, effective draws per CPU second, and all of these as ratios to
bayescale's. Then coverage: tools fit the runs below the top fifth of training compute of three
series; how many of the losses above lie inside the 90 % interval of a new run, and of the mean loss
alone? The Huber procedure's 4,000 bootstraps are timed on 100 of them and scaled; its coverage
rests on 400. A tool that is not installed has an empty row.

growth.csv: seconds and peak memory of a fit by rows, and of a prediction of 100,000 configurations
under 4,000 draws, each in a process of its own. The runs are simulated.

Both hold the machine and its load while they ran. CPU seconds are the fairer measure of the two
where the machine is shared.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from made_with import keep

import bayescale as bs
from bayescale.language.compute import training_compute
from bayescale.models import dense

HERE = Path(__file__).parent
TOOLS = (
    "bayescale",
    "bayescale, laplace",
    "bayescale, calibrated",
    "PyMC script",
    "Huber grid, bootstraps",
    "simple-scaling-laws",
)
TIMES = ("point_wall", "point_cpu", "intervals_wall", "intervals_cpu")
ROWS = (30, 300, 3000, 10_000)
PLANS = 100_000
MOST_SECONDS = 1200


def machine():
    """Processor, cores, Python and the load of the last minute."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}{load}"


def run(*command):
    """What a process of its own prints, as JSON; None if it takes too long or fails."""
    try:
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, timeout=MOST_SECONDS
        )
    except subprocess.TimeoutExpired:
        print("  took too long:", *command[:2], flush=True)
        return None
    if done.returncode:
        print(done.stderr[-2000:], flush=True)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def ask(tool, runs, plans):
    """One tool's answers."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("runs.csv", "plans.csv")]
        for path, table in zip(paths, (runs, plans), strict=True):
            table[["N", "D", "loss"]].to_csv(path, index=False)
        return run(str(HERE / "rival_tools.py"), tool, *paths, repr(time.time()))


def split(runs):
    """The runs below the top fifth of training compute, and those above."""
    compute = training_compute(dense, {n: runs[n].to_numpy(float) for n in ("N", "D")})
    large = compute > np.quantile(compute, 0.8)
    return runs[~large], runs[large]


def series():
    """Measured series whose largest runs are to be predicted."""
    gadre = bs.load_runs("gadre2024").query("warm_frac <= 0.25 and corpus == 'rpj'")
    return {
        "hoffmann2022": bs.load_runs("hoffmann2022").query("not outlier"),
        "olmo_ladder": bs.load_runs("olmo_ladder").query("not target"),
        "gadre2024 rpj": gadre,
    }


def inside(found, plans):
    """How many losses lie inside the intervals of a new run, and of the mean loss alone."""
    loss = plans.loss.to_numpy(float)
    counts = {}
    for what in ("run", "curve"):
        low, high = np.array(found[what]).T
        counts[what] = int(((loss >= low) & (loss <= high)).sum())
    return counts


def speed():
    """The table of tools."""
    runs = series()["hoffmann2022"]
    rows = []
    for tool in TOOLS:
        found = ask(tool, runs, runs.head(1))
        row = {"tool": tool}
        if found is None or "missing" in found:
            print(tool, "left out:", found, flush=True)
            rows.append(row | {"machine": f"left out: {found}"})
            continue
        for step in ("point", "intervals"):
            row |= {f"{step}_{clock}": seconds for clock, seconds in found[step].items()}
        row["effective"] = found["effective"]
        row["effective_per_cpu"] = found["effective"] / found["intervals"]["cpu"]
        row["trusted"] = found["trusted"]
        held, counts = 0, {"run": 0, "curve": 0}
        for table in series().values():
            below, above = split(table)
            answered = ask(tool, below, above)
            if answered is not None:
                held += len(above)
                for what, count in inside(answered, above).items():
                    counts[what] += count
        row |= {"held_out": held, "inside_90": counts["run"], "inside_90_mean": counts["curve"]}
        rows.append(row | {"machine": machine()})
        print({k: v for k, v in row.items() if k != "machine"}, flush=True)
    table = pd.DataFrame(rows).set_index("tool")
    for name in (*TIMES, "effective_per_cpu"):
        table[f"{name}_ratio"] = table[name] / table.loc["bayescale", name]
    return table


# --- how cost grows -------------------------------------------------------------------------------


def simulated(count):
    """Simulated runs: Besiroglu's coefficients on a generic design."""
    rng = np.random.default_rng(count)
    inputs = pd.DataFrame(
        {"N": 10 ** rng.uniform(7.5, 10.2, count), "D": 10 ** rng.uniform(9, 11.8, count)}
    )
    truth = dense.published["besiroglu2024"].values
    return bs.simulate(dense, inputs, truth, noise_scale=0.005, noise_dof=5.0, seed=count)


def worker(kind, count):
    """In a process of its own: seconds of one fit or prediction, and the peak of memory."""
    import resource
    import warnings

    warnings.simplefilter("ignore")
    count = int(count)
    if kind == "predict":
        fit, runs = bs.fit(dense, simulated(60), seed=1, method="laplace"), simulated(count)
        what = lambda: bs.predict(fit, N=runs.N, D=runs.D, seed=1)  # noqa: E731
    else:
        runs = simulated(count)
        bs.fit(dense, simulated(29), seed=1, method=kind)  # imports, and the one compilation
        what = lambda: bs.fit(dense, runs, seed=1, method=kind)  # noqa: E731
    wall, cpu = time.perf_counter(), time.process_time()
    what()
    used = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    unit = 2**20 if sys.platform == "darwin" else 2**10
    used["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(json.dumps(used))


def growth():
    """The table of rows: seconds and memory, and how they compare with the rows before."""
    rows = []
    for kind, counts in (("nuts", ROWS), ("laplace", ROWS), ("predict", (PLANS,))):
        for count in counts:
            found = run(__file__, "worker", kind, str(count))
            row = {"what": kind, "rows": count, **(found or {}), "machine": machine()}
            rows.append(row)
            print(row, flush=True)
    table = pd.DataFrame(rows)
    # The power of the rows that seconds go with, from one line of the table to the next.
    steps = table.groupby("what")[["rows", "cpu"]].transform(lambda x: np.log(x).diff())
    table["power"] = steps.cpu / steps.rows
    return table


def write(table, name, **kwargs):
    keep(table, name, float_format="%.3g", **kwargs)
    print(table.to_string())


def main():
    asked = sys.argv[1:] or ["speed", "growth"]
    if asked[0] == "worker":
        worker(*asked[1:])
        return
    if "speed" in asked:
        write(speed(), "speed.csv")
    if "growth" in asked:
        write(growth(), "growth.csv", index=False)


if __name__ == "__main__":
    main()
