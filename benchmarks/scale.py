"""How cost grows with rows, groups and laws; and a thousand refits over a cluster.

    python benchmarks/scale.py          # half an hour on two cores
    python benchmarks/scale.py growth   # only results/growth.csv
    python benchmarks/scale.py refits   # only results/refits.csv
    python benchmarks/scale.py calibrated   # only results/calibrated.csv: some minutes

growth.csv: CPU seconds and peak memory of a fit by rows, by groups and by law, and of a prediction
of 100,000 configurations under 4,000 draws, each in a process of its own; `times` is the ratio of
the seconds to those of the first line of the same kind. The runs are simulated.

refits.csv: refits (bootstraps of OLMo's ladder, by method="laplace"): 200 one after the other in
one process; 200 over Dask's scheduler and two workers, started as docs/performance.md has it; and
1,000 of which a worker is killed when a third of their time has gone. It has fits a second, how
many answers came back, and how many of the first 200 are those of the one process.

calibrated.csv: seconds of the calibrated fit of each series of benchmarks/measured.py, whole, at
default settings and with what it does to be trusted, after imports; of the textbook fit beside it.

All hold the machine and its load while they ran. CPU seconds are the fairer measure of the two
where the machine is shared.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from made_with import keep, machine
from measured import series

import bayescale as bs
from bayescale import models
from bayescale.checking.law_bench import bench
from bayescale.models import coupled, dense

ROWS = (30, 300, 3000, 10_000)
#: Rows and groups: the last is as much as anybody has.
GROUPS = ((300, 1), (300, 3), (300, 10), (300, 30), (10_000, 30))
LAW_ROWS = 300
PLANS = 100_000
MOST_SECONDS = 1500
REFITS, TIMED, WORKERS = 1000, 200, 2


# --- how cost grows -------------------------------------------------------------------------------


def simulated(count, groups=1):
    """Simulated runs: Besiroglu's coefficients on a generic design, floors apart by group."""
    rng = np.random.default_rng(count)
    inputs = pd.DataFrame(
        {"N": 10 ** rng.uniform(7.5, 10.2, count), "D": 10 ** rng.uniform(9, 11.8, count)}
    )
    truth = dense.published["besiroglu2024"].values
    runs = bs.simulate(dense, inputs, truth, noise_scale=0.005, noise_dof=5.0, seed=count)
    at = np.arange(count) % groups
    return runs.assign(loss=runs.loss + rng.normal(0, 0.05, groups)[at], corpus=at.astype(str))


def of_law(law, count):
    """Simulated runs of any law at typical coefficients, on a factorial of its inputs."""
    tried, rng = bench(law, None, seed=0), np.random.default_rng(count)
    chosen = rng.integers(0, len(next(iter(tried.inputs.values()))), count)
    loss = tried.loss_at(tried.typical)[chosen] * np.exp(rng.normal(0, 0.005, count))
    return pd.DataFrame({n: x[chosen] for n, x in tried.inputs.items()} | {"loss": loss})


def worker(kind, count, groups, name):
    """In a process of its own: seconds of one fit or prediction, and the peak of memory."""
    import resource

    warnings.simplefilter("ignore")
    count, groups, law = int(count), int(groups), getattr(models, name)
    method = "laplace" if kind in ("laplace", "predict") else "nuts"
    if kind == "law":
        runs, small = of_law(law, count), of_law(law, count // 2)
    else:
        runs, small = simulated(count, groups), simulated(max(29, 2 * groups), groups)
    by = {"by": "corpus", "vary": ("E",)} if groups > 1 else {}
    fit = bs.fit(law, small, seed=1, method=method, **by)  # imports, and the one compilation
    wall, cpu = time.perf_counter(), time.process_time()
    if kind == "predict":
        bs.predict(fit, N=runs.N, D=runs.D, seed=1)
    else:
        fit = bs.fit(law, runs, seed=1, method=method, **by)
    used = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    unit = 2**20 if sys.platform == "darwin" else 2**10
    used["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    used["coefficients"] = int(sum(np.prod(x.shape[2:]) for x in fit.posterior.values()))
    print(json.dumps(used | {"trusted": bs.diagnose(fit).attrs["ok"]}))


def measured(kind, count, groups=1, law="dense"):
    """A row of growth.csv; one that took too long or failed has no seconds."""
    told = [sys.executable, __file__, "worker", kind, str(count), str(groups), law]
    found = {}
    try:
        done = subprocess.run(told, capture_output=True, text=True, timeout=MOST_SECONDS)
        if done.returncode:
            print(done.stderr[-2000:], flush=True)
        else:
            found = json.loads(done.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        print("  took too long", flush=True)
    row = {"what": kind, "law": law, "rows": count, "groups": groups, **found}
    print(row, flush=True)
    return row | {"machine": machine()}


def growth():
    """Seconds and memory by rows, groups and laws."""
    rows = [measured(kind, count) for kind in ("nuts", "laplace") for count in ROWS]
    rows += [measured("groups", count, groups) for count, groups in GROUPS]
    laws = sorted(models.laws(), key=lambda name: name != "dense")
    rows += [measured("law", LAW_ROWS, law=name) for name in laws]
    rows.append(measured("predict", PLANS))
    table = pd.DataFrame(rows)
    table["times"] = table.cpu / table.groupby("what").cpu.transform("first")
    return table


def timed_fit(law, runs, **options):
    """A fit, and the seconds of wall and processor that it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    fit = bs.fit(law, runs, seed=1, progress=False, **options)
    return fit, time.perf_counter() - wall, time.process_time() - cpu


def calibrated():
    """Seconds of a calibrated fit, series by series, and of the textbook fit beside it."""
    warnings.simplefilter("ignore", bs.FitWarning)  # noted in the column trusted
    tables, rows = series(), []
    first = next(iter(tables.values()))
    for law, options in ((dense, {}), (coupled, bs.CALIBRATED)):  # imports and compilations
        timed_fit(law, first, **options)
    for name, runs in tables.items():
        _, textbook_wall, textbook_cpu = timed_fit(dense, runs)
        fit, wall, cpu = timed_fit(coupled, runs, **bs.CALIBRATED)
        row = {"series": name, "rows": len(runs), "textbook_wall": textbook_wall}
        row |= {"textbook_cpu": textbook_cpu, "wall": wall, "cpu": cpu}
        row |= {"drawn": fit.about["thin"], "trusted": bs.diagnose(fit).attrs["ok"]}
        rows.append(row | {"machine": machine()})
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


# --- a thousand refits ----------------------------------------------------------------------------


def tables():
    """Bootstraps of the ladder."""
    runs = bs.load_runs("olmo_ladder").query("not target")
    rng = np.random.default_rng(1)
    return [runs.sample(len(runs), replace=True, random_state=rng) for _ in range(REFITS)]


def floor_of(fit):
    """What each refit is told by."""
    return float(fit.posterior.E.mean())


def warm():
    """A worker's imports."""
    bs.fit(dense, tables()[0], method="laplace", seed=1)


def kill_one(client, after):
    """Kill a worker's process after some seconds, as an operating system short of memory does."""
    time.sleep(after)
    os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)


def cluster(folder):
    """The commands of docs/performance.md, in the background."""
    dask, address = str(Path(sys.executable).with_name("dask")), Path(folder) / "scheduler.json"
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
    where = ["--scheduler-file", str(address)]
    scheduler = [dask, "scheduler", "--port", "0", "--dashboard-address", ":0", *where]
    workers = [dask, "worker", "--nworkers", str(WORKERS), "--nthreads", "1", *where]
    return [subprocess.Popen(told, **options) for told in (scheduler, workers)], address


def refits():
    """Throughput of one process, of a cluster, and of a cluster that loses a worker."""
    from distributed import Client

    every, rows, expected = tables(), [], []

    def timed(where, count, executor=None, killed=0):
        begun = time.perf_counter()
        options = {"executor": executor, "method": "laplace", "seed": 1}
        found = bs.refit(dense, every[:count], then=floor_of, **options)
        rate = len(found) / (time.perf_counter() - begun)
        expected.extend(found[: TIMED - len(expected)])
        same = sum(a == b for a, b in zip(found, expected, strict=False))
        row = {"where": where, "fits": count, "returned": len(found), "same": same, "of": TIMED}
        row |= {"workers_killed": killed, "fits_a_second": rate}
        row["times"] = rate / rows[0]["fits_a_second"] if rows else 1.0
        rows.append(row | {"machine": machine()})
        print(row, flush=True)
        return rate

    warm()
    timed("one process", TIMED)
    with tempfile.TemporaryDirectory() as folder:
        processes, address = cluster(folder)
        try:
            with Client(scheduler_file=str(address), timeout=60) as client:
                client.wait_for_workers(WORKERS, timeout=60)
                client.run(warm)
                rate = timed("Dask, two workers", TIMED, client.get_executor())
                killer = threading.Thread(target=kill_one, args=(client, REFITS / rate / 3))
                killer.start()
                where = "Dask, two workers, one killed"
                timed(where, REFITS, client.get_executor(), killed=1)
                killer.join()
        finally:
            for process in processes[::-1]:
                process.terminate()
                process.wait(60)
    return pd.DataFrame(rows)


def main():
    studies = {"growth": growth, "refits": refits, "calibrated": calibrated}
    asked = sys.argv[1:] or list(studies)
    if asked[0] == "worker":
        worker(*asked[1:])
        return
    for name, study in studies.items():
        if name in asked:
            table = study()
            keep(table, f"{name}.csv", index=False, float_format="%.3g")
            print(table.drop(columns="machine").to_string())


if __name__ == "__main__":
    main()
