"""Progress on standard error, for people who watch and for nobody else."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Report", "progress_bar"]

#: Called with what is being done and, where it is known, the share that is done.
Report = Callable[..., None]


@contextmanager
def progress_bar(title: str, show: bool | None = None) -> Iterator[Report]:
    """A line that says what is being done, how far it is and how long it has taken.

    Parameters
    ----------
    title
        What the work is.
    show
        By default shown only where standard error is a terminal. If true, what is no terminal (a
        pipe, a log) gets a plain line for each stage.
    """
    terminal = sys.stderr.isatty()
    if show is None:
        show = terminal
    if not show:
        yield lambda stage, share=None: None
        return
    if not terminal:
        started = time.monotonic()

        def written(stage: str, share: float | None = None) -> None:
            took = time.monotonic() - started
            print(f"{title}: {stage} ({took:.0f} s so far)", file=sys.stderr, flush=True)

        yield written
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        line = bar.add_task(title, total=None)

        def report(stage: str, share: float | None = None) -> None:
            bar.update(
                line,
                description=f"{title}: {stage}",
                total=None if share is None else 1.0,
                completed=share or 0.0,
            )

        yield report
