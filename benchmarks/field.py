"""Every tool gets the same runs and the same questions: losses and best sizes beyond the runs.

    python benchmarks/field.py                      # a quarter of an hour on two cores
    python benchmarks/field.py "simple-scaling-laws" mine.py:answer

Of each dense series that comes with the package the top 20, 35 and 50 % of training compute are
held out, and each tool of benchmarks/field_tools.py fits the rest and predicts them. Then the tools
say which size is best for a budget. The truth is what held-out runs of that budget show without a
law, as in benchmarks/decision_coverage.py: five budgets of Hoffmann et al., each from the runs that
cost a tenth or less, and the dearest budget of other tables, if a folder has any
(BAYESCALE_SERIES, see benchmarks/measured.py: the committed results are with 14).

Each tool runs in a process of its own, on one thread of linear algebra, and is timed in CPU
seconds. What fails is counted: its intervals hold nothing. To enter a tool, give its file and
function, which answers as those of field_tools.py do; named tools are compared and nothing is kept.

A whole run writes to benchmarks/results/: field.csv, a row a tool and distance past the largest
fitted run; field_series.csv, by series; field_sizes.csv, a row a tool, on best sizes;
field_tools.csv, what each cost, its version and the machine; field_ahead.csv, who is ahead in what;
and docs/field.svg.

simple-scaling-laws is installed beside the package: `pip install simple-scaling-laws==0.2.0`.
"""

import importlib.metadata
import importlib.util
import os
import sys
import traceback
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

# One thread of linear algebra in every process, so that CPU seconds compare.
os.environ |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}

import numpy as np
import pandas as pd
from decision_coverage import judged
from decision_coverage import tables as isoflop_tables
from extrapolation import CUTS, DISTANCES
from field_tools import TOOLS
from made_with import keep, machine
from measured import own

import bayescale as bs
from bayescale.checking.folds import distinct, later_runs
from bayescale.checking.isoflop_profiles import Profile, isoflop_budgets
from bayescale.prediction.scoring import crps

HERE = Path(__file__).parent
REFERENCE = "bayescale, textbook"
HELD = ["inside_50", "inside_80", "inside_90"]
#: Losses are kept within this range, in nats, before their logarithm is taken.
LOSSES = (1e-6, 1e6)
#: The isoFLOP budgets of Hoffmann et al. 2022 (figure 3), and the decades that runs may be off.
BUDGETS, NEAR = (6e18, 1e19, 3e19, 6e19, 1e20, 3e20, 6e20, 1e21, 3e21), 0.06
BINS = ["up to 3", "3 to 10", "10 to 100", "beyond 100"]


def shipped():
    """Dense series that come with the package: those of measured.py, and of each optimizer."""
    tuned = bs.load_runs("marin_optimizers").groupby("optimizer")
    every = own() | {f"marin {name}": runs for name, runs in tuned}
    for name, runs in every.items():
        runs = runs.assign(flops=runs.get("flops", 6.0 * runs.N * runs.D))
        yield name, runs[["N", "D", "loss", "flops"]].astype(float).reset_index(drop=True)


def best_sizes():
    """Tables of isoFLOP budgets: name, runs to fit, the runs held out and their profile."""
    runs = dict(shipped())["hoffmann2022"]
    off = np.log10(runs.flops.to_numpy()[:, None] / BUDGETS)
    at = np.abs(off).argmin(axis=1)
    near = np.abs(off).min(axis=1) < NEAR
    runs["budget"] = np.where(near, np.array(BUDGETS)[at], np.nan)
    for budget in BUDGETS[-5:]:
        held = runs[runs.budget == budget]
        profile = Profile.of(held.N, held.loss, np.random.default_rng(0))
        if profile.inside:
            cheaper = runs[runs.flops <= budget / 10 * 10**NEAR]
            yield "hoffmann2022", cheaper.reset_index(drop=True), held, profile
    for name, runs, held, profile in isoflop_tables():
        yield name, runs.assign(budget=isoflop_budgets(runs.flops)), held, profile


def questions():
    """What every tool is asked: runs to fit, and runs to predict or a budget."""
    for name, runs in shipped():
        compute = runs.flops.to_numpy()
        for cut, held in distinct({cut: later_runs(compute, cut) for cut in CUTS}).items():
            yield {"series": name, "cut": cut, "runs": runs[~held], "new": runs[held]}
    for name, runs, held, profile in best_sizes():
        budget = float(np.median(6.0 * held.N * held.D))
        yield {"series": name, "runs": runs, "budget": budget, "profile": profile}


# --- a tool's process -----------------------------------------------------------------------------


def load(tool):
    """A tool's function, by its name or as FILE.py:FUNCTION."""
    if tool in TOOLS:
        return TOOLS[tool][0]
    path, _, name = tool.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def cpu():
    """CPU seconds of this process since it began, its children's included."""
    return sum(os.times()[:4])


def answer(tool, runs, new, budget):
    """In the tool's process: what it says, or how it failed, and CPU seconds."""
    warnings.simplefilter("ignore")
    begun = cpu()
    said = {}
    try:
        found = load(tool)(runs, new, budget)
        if new is not None:
            losses = np.asarray(found["losses"], float)
            if losses.shape[1] != len(new) or not np.isfinite(losses).all():
                raise ValueError("losses are not all finite, or not one for each run")
            # Thousands of draws of a tool are told by as many of their quantiles as matter here.
            said["losses"] = np.quantile(losses, np.arange(1, 1000) / 1000, axis=0)
            logs = np.log(np.clip(losses, *LOSSES))
            said["mean"], said["sd"] = logs.mean(axis=0), logs.std(axis=0)
        if budget is not None:
            sizes = np.asarray(found["sizes"], float)
            if not (np.isfinite(sizes).all() and (sizes > 0).all()):
                raise ValueError("sizes are not all finite and above zero")
            said |= {"sizes": sizes, "plan": found.get("plan", float(np.median(sizes)))}
    except ModuleNotFoundError as error:
        said = {"missing": error.name}
    except NotImplementedError as error:
        said = {"silent": str(error)}
    except Exception as error:
        said = {"failed": f"{type(error).__name__}: {error}", "where": traceback.format_exc()}
    return said | {"cpu": cpu() - begun, "since_start": cpu()}


# --- scores ---------------------------------------------------------------------------------------


def scores(question, said):
    """A row for each run that was held out."""
    new = question["new"]
    seen = np.log(new.loss.to_numpy())
    rows = pd.DataFrame(
        {"beyond": new.flops.to_numpy() / question["runs"].flops.max(), "failed": "failed" in said}
    )
    if "failed" in said:
        return rows.assign(**dict.fromkeys(HELD, False))
    draws = np.log(np.clip(said["losses"], *LOSSES))
    for percent in (50, 80, 90):
        low, high = np.quantile(draws, [0.5 - percent / 200, 0.5 + percent / 200], axis=0)
        rows[f"inside_{percent}"] = (low <= seen) & (seen <= high)
    rows["width"], rows["crps"] = high - low, crps(draws, seen)
    # Of the normal with the same mean and spread: proper, and asks for no density.
    mean, sd = said["mean"], np.maximum(said["sd"], 1e-9)
    rows["log_score"] = -((seen - mean) ** 2) / (2 * sd**2) - np.log(sd) - np.log(2 * np.pi) / 2
    return rows


def asked(tool, told):
    """Everything a tool says: held-out runs with their scores, best sizes, and what it cost."""
    losses, sizes, costs, pool = [], [], [], None
    for question in told:
        pool = pool or ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        new, budget = question.get("new"), question.get("budget")
        hidden = None if new is None else new.drop(columns="loss")
        try:
            said = pool.submit(answer, tool, question["runs"], hidden, budget).result()
        except BrokenProcessPool:
            said, pool = {"failed": "its process died", "cpu": np.nan, "since_start": np.nan}, None
        if "missing" in said:
            print(f"{tool}: left out, {said['missing']} is not installed", flush=True)
            break
        if "silent" in said:
            continue
        costs.append({"first": not costs, **{k: said[k] for k in ("cpu", "since_start")}})
        costs[-1]["failed"] = "failed" in said
        place = {"tool": tool, "series": question["series"]}
        line = f"{tool}, {question['series']}, {said['cpu']:.1f} s CPU"
        if "failed" in said:
            print(f"{line}: FAILED, {said['failed']}", flush=True)
        if new is not None:
            rows = scores(question, said).assign(**place, cut=question["cut"])
            losses.append(rows)
            line += f", cut {question['cut']}: {100 * rows.inside_90.mean():.0f} % inside 90 %"
        elif "failed" in said:
            sizes.append(place | dict.fromkeys(HELD, False) | {"failed": True})
        else:
            row = judged(said["sizes"], said["plan"], question["profile"])
            sizes.append(place | row | {"failed": False})
            line += f", best size {'in' if row['inside_90'] else 'out'}side 90 %"
        if "failed" not in said:
            print(line, flush=True)
    if pool:
        pool.shutdown()
    return losses, sizes, pd.DataFrame(costs)


# --- tables ---------------------------------------------------------------------------------------


def by_series(losses):
    """Means over held-out runs, all cuts together: a row a tool, distance and series."""
    bins = pd.cut(losses.beyond, DISTANCES, labels=BINS).astype(str)
    both = [losses.assign(times_largest=bins), losses.assign(times_largest="all")]
    grouped = pd.concat(both).groupby(["tool", "times_largest", "series"], sort=False)
    table = grouped[[*HELD, "width", "crps", "log_score", "failed"]].mean()
    table.insert(0, "runs", grouped.size())
    return table.reset_index()


def by_tool(table):
    """Each series with one vote: a row a tool and distance."""
    rows = []
    place = ["times_largest", "series"]
    reference = table[table.tool == REFERENCE].set_index(place)
    for (tool, times), part in table.groupby(["tool", "times_largest"], sort=False):
        other = reference.reindex(pd.MultiIndex.from_frame(part[place]))
        row = {"tool": tool, "times_largest": times, "series": len(part), "runs": part.runs.sum()}
        row |= part[HELD].mean()
        row["width_percent"] = 100 * part.width.median()
        for name in ("width", "crps"):
            row[f"{name}_ratio"] = np.exp(np.log(part[name].values / other[name].values)[
                ~part[name].isna().values].mean())  # fmt: skip
        row["log_score_more"] = np.nanmedian(part.log_score.values - other.log_score.values)
        rows.append(row | {"failed": part.failed.mean()})
    tools, times = list(dict.fromkeys(table.tool)), [*BINS, "all"]
    found = pd.DataFrame(rows).assign(
        tool=lambda t: pd.Categorical(t.tool, tools),
        times_largest=lambda t: pd.Categorical(t.times_largest, times),
    )
    return found.sort_values(["tool", "times_largest"]).round(4)


def of_sizes(sizes):
    """Best sizes: a row a tool and kind of table. Failures are counted, and have no regret."""
    own_table = sizes.series.eq("hoffmann2022").map({True: "hoffmann2022", False: "other tables"})
    rows = []
    for (tool, of), part in sizes.groupby(["tool", own_table], sort=False):
        row = {"tool": tool, "of": of, "budgets": len(part), "failed": int(part.failed.sum())}
        row |= part[HELD].astype(float).mean()
        row["decades"] = part.decades.median()
        row["error_decades"] = part.error_decades.abs().median()
        row |= {"regret_mean": part.regret.mean(), "regret_worst": part.regret.max()}
        rows.append(row)
    return pd.DataFrame(rows).sort_values("of", kind="stable")


def of_costs(tool, costs):
    """What a tool cost, and its version."""
    row = {"tool": tool, "package": "", "version": ""}
    if tool in TOOLS:
        row["package"] = TOOLS[tool][1]
        try:
            row["version"] = importlib.metadata.version(row["package"])
        except importlib.metadata.PackageNotFoundError:
            row["version"] = bs.__version__ if row["package"] == "bayescale" else "not installed"
    row |= {"questions": len(costs), "failed": int(costs.failed.sum()) if len(costs) else 0}
    if len(costs):
        later = costs[~costs["first"]]
        row |= {"first_cpu": costs.since_start.iloc[0], "median_cpu": later.cpu.median()}
        row["most_cpu"] = later.cpu.max()
    return row | {"machine": machine()}


def ahead(losses, sizes, costs):
    """Who is ahead in what, and by how much of this package's calibrated fit."""
    ours = "bayescale, calibrated"
    every = losses[losses.times_largest == "all"].set_index("tool")
    far = losses[losses.times_largest == "10 to 100"].set_index("tool")
    own_budgets = sizes[sizes.of == "hoffmann2022"].set_index("tool")
    others = sizes[sizes.of == "other tables"].set_index("tool")
    seconds = costs.set_index("tool").median_cpu
    told = {
        "90 % intervals of losses, share inside": (every.inside_90, "near"),
        "the same, 10 to 100 times the largest run": (far.inside_90, "near"),
        "CRPS, over textbook": (every.crps_ratio, "low"),
        "the same, 10 to 100 times the largest run ": (far.crps_ratio, "low"),
        "log score, more than textbook": (every.log_score_more, "high"),
        "90 % intervals of best sizes, Hoffmann et al.": (own_budgets.get("inside_90"), "near"),
        "mean regret, Hoffmann et al., nats": (own_budgets.get("regret_mean"), "low"),
        "90 % intervals of best sizes, other tables": (others.get("inside_90"), "near"),
        "mean regret, other tables, nats": (others.get("regret_mean"), "low"),
        "CPU seconds, median": (seconds, "low"),
    }
    rows = []
    for question, (values, wanted) in told.items():
        values = values.dropna()
        if values.empty:
            continue
        by = {"near": (values - 0.9).abs(), "low": values, "high": -values}[wanted]
        rest = values.drop([tool for tool in values.index if tool.startswith("bayescale")])
        other = by[rest.index].idxmin()
        row = {"question": question.strip(), "ahead": by.idxmin(), "best": values[by.idxmin()]}
        row |= {"calibrated": values.get(ours), "best_other": other, "other": values[other]}
        rows.append(row)
    return pd.DataFrame(rows)


def picture(table, path):
    """Coverage and error of each tool, by distance."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = table[table.times_largest.isin(BINS) & (table.series >= 3)]
    names = list(dict.fromkeys(shown.tool))
    colours = dict(zip(BINS, ("#9ec3e0", "#5b93c4", "#1f5d96", "#12304f"), strict=True))
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.4, 0.42 * len(names) + 1.3), sharey=True, layout="constrained"
    )
    for times in BINS:
        part = shown[shown.times_largest == times]
        if part.empty:
            continue
        y = [len(names) - 1 - names.index(tool) for tool in part.tool]
        style = {"ms": 6.5, "color": colours[times], "mew": 0, "clip_on": False}
        left.plot(100 * part.inside_90, y, "o", **style, label=times)
        right.plot(part.crps_ratio, y, "o", **style)
    left.axvline(90, color="#7a8ea6", lw=1, zorder=0)
    right.axvline(1, color="#7a8ea6", lw=1, zorder=0)
    left.set_xlim(0, 100)
    left.set_xticks(range(0, 101, 25))
    right.set_xscale("log")
    right.set_xlim(0.4, 2.5)
    ticks = [0.5, 1, 2]
    right.set_xticks(ticks, [f"{t:g}" for t in ticks])
    right.minorticks_off()
    left.set_yticks(range(len(names)), names[::-1], fontsize=9)
    left.set_xlabel("held-out losses inside\nthe 90 % interval, %")
    right.set_xlabel("CRPS over the textbook fit's\n(left is better)")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e3e8ee", lw=0.8)
        axes.set_axisbelow(True)
    title = "times the largest fitted run's compute"
    figure.legend(frameon=False, fontsize=8, title=title, title_fontsize=8, ncols=4,
                  loc="outside upper center")  # fmt: skip
    figure.savefig(path, metadata={"Date": None})


def main():
    chosen = sys.argv[1:]
    tools, told = list(dict.fromkeys([REFERENCE, *chosen] if chosen else TOOLS)), list(questions())
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # which wait for the tools' processes
        found = list(threads.map(lambda tool: asked(tool, told), tools))
    each = by_series(pd.concat([table for one in found for table in one[0]], ignore_index=True))
    sizes = pd.DataFrame([row for one in found for row in one[1]])
    costs = [of_costs(tool, cost) for tool, (*_, cost) in zip(tools, found, strict=True)]
    tables = {
        "field.csv": by_tool(each),
        "field_series.csv": each,
        "field_sizes.csv": of_sizes(sizes),
        "field_tools.csv": pd.DataFrame(costs),
    }
    if not chosen:
        of = (tables[f"field{kind}.csv"] for kind in ("", "_sizes", "_tools"))
        tables["field_ahead.csv"] = ahead(*of)
    for name, table in tables.items():
        if not chosen:
            keep(table, name, index=False, float_format="%.4g")
        if name != "field_series.csv":
            print(table.drop(columns="machine", errors="ignore").round(4).to_string(index=False))
    if not chosen:
        picture(tables["field.csv"], HERE.parent / "docs" / "field.svg")


if __name__ == "__main__":
    main()
