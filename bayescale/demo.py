"""The main job on real runs: fit, check, predict what was held out, allocate, compare.

Five studies, each of a law and the runs it is for. The granularity law's losses are not public and
are simulated from published coefficients on the published design: its tables and figures say so.
"""

from __future__ import annotations

import itertools
import json
import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.files import replacing
from bayescale.common.quantities import format_number

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.fitting.fits import Fit
    from bayescale.language.law import Law

__all__ = ["run"]

_SEED = 1


@dataclass(frozen=True)
class Study:
    """One study of the demonstration.

    Attributes
    ----------
    title, about
        A heading and what the runs are.
    runs, held_out
        Runs to fit and runs to predict.
    laws
        Law by name; the first is the one predicted and allocated with, but for ``calibrated``.
    published
        Name of the published set to show beside the first law's coefficients, if any.
    budgets
        Training FLOPs to allocate.
    options
        Keyword arguments of ``allocate``.
    caution
        What a reader must know before believing the allocation.
    priors
        Replaced priors, by the name of the law's entry in ``laws``.
    calibrated
        The law that is calibrated and predicted and allocated with.
    """

    title: str
    about: str
    runs: pd.DataFrame
    held_out: pd.DataFrame
    laws: Mapping[str, Law]
    budgets: Sequence[float]
    published: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    caution: str = ""
    priors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    calibrated: Law | None = None

    @property
    def slug(self) -> str:
        """The title as part of a file name."""
        return self.title.split(":")[0].lower().replace(" ", "-")

    @property
    def simulated(self) -> bool:
        """Whether the losses are simulated."""
        return bool(self.runs.attrs.get("simulated"))


def run(folder: Path) -> None:
    """Run every study, print the results and leave figures and a summary in a folder.

    Parameters
    ----------
    folder
        Made if it is not there; files of an earlier demonstration are replaced.
    """
    from rich.console import Console

    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    summary: dict[str, Any] = {}
    for study in (*_measured(), *_simulated()):
        console.rule(f"[bold]{study.title}")
        console.print(study.about)
        summary[study.slug] = _run_study(study, folder, console)
    text = json.dumps(summary, indent=2, allow_nan=False)
    with replacing(folder / "summary.json") as part:
        part.write_text(text + "\n", encoding="utf-8")
    console.rule()
    console.print(
        f"{len(summary)} studies in {time.monotonic() - started:.0f} s. "
        f"Figures and summary.json are in {folder}/",
        soft_wrap=True,
    )


def _measured() -> list[Study]:
    from bayescale.models import coupled, dense, experts, sparse, transferred, upcycling
    from bayescale.tables.bundled import load_runs

    ladder = load_runs("olmo_ladder")
    pruned = load_runs("frantar2023_t5")
    routed = load_runs("clark2022").query(
        "top_k == 1 and routing_frequency == 0.5 and seed == 42 and experts < 100"
    )
    largest = routed.N_active == routed.N_active.max()
    copied = load_runs("liew2025").query("experts == 8 and top_k == 2")
    copied_largest = copied.N.eq(copied.N.max())
    return [
        Study(
            "Dense: the OLMo ladder",
            "30 dense runs of 190M to 3B parameters (Bhagia et al. 2024). The 7B and 13B models "
            "were held out.",
            runs=ladder[~ladder.target],
            held_out=ladder[ladder.target].set_index("run"),
            laws={"dense": dense, "coupled": coupled},
            published="besiroglu2024",
            budgets=[1e22, 1e23, 1e24],
            calibrated=coupled,
        ),
        Study(
            "Sparse: pruned T5 models on C4",
            "48 runs at four sparsities (Frantar et al. 2023). The 2.3B model at 75 % sparsity was "
            "held out. The dense law sees total parameters only.",
            runs=pruned[~pruned.target],
            held_out=pruned[pruned.target],
            laws={"sparse": sparse, "dense": dense},
            published="hossain2025_pruning",
            budgets=[1e20, 1e21],
            options={"choose": {"S": [0.0, 0.5, 0.75, 0.875]}},
        ),
        Study(
            "Experts: routed language models",
            "Dense and routed models of 1 to 64 experts, all trained on 130B tokens (Clark et al. "
            "2022). The largest size was held out.",
            runs=routed[~largest],
            held_out=routed[largest],
            laws={"experts": experts, "dense": dense},
            budgets=[1e21, 1e22],
            options={"choose": {"experts": [1, 8, 64]}},
            caution="Every run has the same number of tokens, so how to split a budget between "
            "size and tokens rests on the priors, and the wide intervals say so. Experts are free "
            "under this cost model: memory and communication are not in it.",
        ),
        Study(
            "Upcycling: dense checkpoints into experts",
            "Dense parents of 15M to 522M parameters, copied into eight experts and trained on "
            "(Liew et al. 2025). The parents of 1.09B were held out. The separable law has no "
            "interaction of the two token counts; in the transferred one the parent's are worth "
            "some of the mixture's.",
            runs=copied[~copied_largest],
            held_out=copied[copied_largest],
            laws={"upcycling": upcycling, "separable": upcycling, "transferred": transferred},
            published="liew2025",
            budgets=[1e21, 1e22],
            # Of eight experts two are used: 1.75 times the parent's parameters.
            options={"fixed": {"N": 1e9, "active_ratio": 1.75}},
            priors={"separable": {"alpha_3": 0.0}},
        ),
    ]


def _simulated() -> list[Study]:
    from bayescale.models import dense, granularity
    from bayescale.prediction.predict import simulate
    from bayescale.tables.bundled import load_runs

    design = load_runs("krajewski2024_design")
    fine = simulate(granularity, design, "krajewski2024", noise_scale=0.005, seed=_SEED)
    fine_largest = fine.N.eq(fine.N.max())
    return [
        Study(
            "Granularity: fine-grained experts (SIMULATED losses)",
            "Losses SIMULATED from the published coefficients on the configurations that Krajewski "
            "et al. 2024 trained (their losses are not public), with 0.5 % noise. The largest size "
            "was held out.",
            runs=fine[~fine_largest],
            held_out=fine[fine_largest],
            laws={"granularity": granularity, "dense": dense},
            published="krajewski2024",
            budgets=[1.93e20, 6.46e21, 4.16e23],
            options={"choose": {"G": [1, 2, 4, 8, 16, 32, 64]}},
        ),
    ]


def _run_study(study: Study, folder: Path, console: Any) -> dict[str, Any]:
    from bayescale.checking.comparison import compare
    from bayescale.decisions.allocation import allocate
    from bayescale.decisions.decision import decide
    from bayescale.fitting.diagnostics import diagnose
    from bayescale.fitting.inference import CALIBRATED, fit
    from bayescale.prediction.measured import said_of_intervals

    fits = {
        name: fit(law, study.runs, seed=_SEED, priors=study.priors.get(name))
        for name, law in study.laws.items()
    }
    first, *others = fits
    by, far, trusted = first, fits[first], {}
    if study.calibrated:
        by = f"{study.calibrated.name}, calibrated"
        far = fit(study.calibrated, study.runs, seed=_SEED, **CALIBRATED)
    for name, one in {**fits, by: far}.items():
        table = diagnose(one)
        trusted[name] = bool(table.attrs["ok"])
        state = "pass" if trusted[name] else "FAIL"
        console.print(
            f"  {name}: {len(study.runs)} runs; diagnostics {state} (R-hat at most "
            f"{table.rhat.max():.3f}, effective draws at least "
            f"{min(table.ess_bulk.min(), table.ess_tail.min()):.0f}, "
            f"{table.attrs['divergences']} divergences)"
        )
    options = dict(study.options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        best = allocate(far, study.budgets, **options)
        plan = decide(far, study.budgets, **options)
        scores = compare(fits).reset_index() if others else None
    allocated = "Allocation: the plan of least expected loss, and the optimum's 90 % interval"
    parts = {
        f"Coefficients of the {first} law, raw units": _coefficients(fits[first], study.published),
        f"Held out: predicted ({by}) and observed loss": _held_out(far, study.held_out),
        allocated: _allocation(far, best, plan),
    }
    if scores is not None:
        parts["Comparison of laws, leave one run out"] = scores
    for title, table in parts.items():
        _print(console, f"{title}{' (simulated)' if study.simulated else ''}", table)
    for message in dict.fromkeys(str(one.message) for one in caught):
        console.print(f"  [yellow]Mind:[/] {message}")
    if study.caution:
        console.print(f"  [yellow]Mind:[/] {study.caution}")
    if said := said_of_intervals(far, float(best.extrapolation.max())):
        console.print(f"  [yellow]Mind:[/] {said}.")
    _draw(study, fits[first], far, folder)
    return {
        "title": study.title,
        "simulated": study.simulated,
        "diagnostics_ok": trusted,
        **{title: _plain(table) for title, table in parts.items()},
    }


def _coefficients(fit: Fit, published: str | None) -> pd.DataFrame:
    import pandas as pd

    from bayescale.fitting.fits import coefficients
    from bayescale.prediction.predict import interval

    draws = coefficients(fit, units="raw")
    bounds = interval(draws, 0.9)
    rows = {}
    for name in fit.law.coefficients:
        rows[name] = {
            "median": float(draws[name].median()),
            "5 %": float(bounds[name][0]),
            "95 %": float(bounds[name][1]),
        }
        if published:
            rows[name][published] = float(fit.law.published[published].values[name])
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("coefficient").reset_index()


def _held_out(fit: Fit, held_out: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    from bayescale.language.columns import read_columns
    from bayescale.prediction.predict import interval, predict

    inputs: dict[str, Any] = dict(read_columns(held_out, fit.law.inputs, extra=fit.law.variables))
    draws = predict(fit, seed=_SEED, **inputs)
    bounds = interval(draws, 0.9)
    return pd.DataFrame(
        {
            **inputs,
            "observed": held_out.loss.to_numpy(),
            "median": draws.median(("chain", "draw")).values,
            "5 %": bounds.values[:, 0],
            "95 %": bounds.values[:, 1],
            "inside": (held_out.loss.to_numpy() >= bounds.values[:, 0])
            & (held_out.loss.to_numpy() <= bounds.values[:, 1]),
        }
    )


def _allocation(fit: Fit, best: Any, plan: Any) -> pd.DataFrame:
    """A row for each budget and quantity: the plan and the interval of every draw's optimum."""
    import pandas as pd

    from bayescale.prediction.predict import interval

    optimum, outcome = interval(best, 0.9), interval(plan[["loss", "regret"]], 0.9)
    rows = []
    for i, budget in enumerate(best.budget.values):
        for name in fit.law.inputs:
            ends = optimum[name].values[i]
            rows.append((budget, f"optimal {name}", float(plan[name].values[i]), *ends))
        expected = {"loss": plan.expected_loss, "regret": plan.expected_regret}
        for name, value in expected.items():
            ends = outcome[name].values[i]
            rows.append((budget, f"{name} of the plan, nats", float(value.values[i]), *ends))
    return pd.DataFrame(rows, columns=["budget", "quantity", "plan", "5 %", "95 %"])


def _print(console: Any, title: str, table: pd.DataFrame, most: int = 16) -> None:
    from rich.table import Table

    console.print(f"\n  [bold]{title}[/]")
    shown = Table(box=None, pad_edge=True)
    for column in table.columns:
        text = column in ("quantity", "law", "coefficient")
        shown.add_column(str(column), justify="left" if text else "right", no_wrap=True)
    for row in itertools.islice(table.to_dict("records"), most):
        counts = str(row.get("quantity", "optimal")).startswith("optimal")
        shown.add_row(*[_cell(str(name), value, counts) for name, value in row.items()])
    console.print(shown)
    if "inside" in table:
        console.print(f"  {table.inside.sum()} of {len(table)} inside their 90 % interval.")
    if len(table) > most:
        console.print(f"  The other {len(table) - most} rows are in summary.json.")


_COUNTS = ("N", "N_active", "D", "D_dense", "D_upcycled", "budget")


def _cell(column: str, value: Any, counts: bool) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "NO"
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return "-"
    if column in ("weight", "p_worse"):
        return f"{value:.2f}"
    large = column in _COUNTS or (column in ("plan", "5 %", "95 %") and counts and value > 1e3)
    return format_number(float(value)) if large else f"{value:.4g}"


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON: numbers that are not finite become null."""
    rows = json.loads(table.to_json(orient="records", double_precision=15))
    return list(rows)


def _draw(study: Study, plain: Fit, fit: Fit, folder: Path) -> None:
    from matplotlib import pyplot as plt

    from bayescale import plotting

    options = dict(study.options)
    shown = [study.published] if study.published else []
    span = np.geomspace(min(study.budgets) / 10, max(study.budgets) * 10, 25)
    figures = {
        "fit": lambda: plotting.plot_fit(fit),
        "coefficients": lambda: plotting.plot_coefficients(plain, published=shown),
        "held-out": lambda: plotting.plot_predictions(fit, study.held_out, seed=_SEED),
        "isoflop": lambda: plotting.plot_isoflop(fit, study.budgets, **options),
        "allocation": lambda: plotting.plot_allocation(fit, span, **options),
    }
    note = " (SIMULATED losses)" if study.simulated else ""
    for name, draw in figures.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said once, beside the allocation
            figure = np.ravel(draw())[0].figure
        figure.suptitle(f"{study.title.split(' (')[0]}{note}", fontsize=10)
        with replacing(folder / f"{study.slug}-{name}.png") as part:
            figure.savefig(part, dpi=150)
        plt.close(figure)
