"""One law fitted to many tables: what backtests, folds and simulation studies are made of.

A law is compiled once in a process and its runs are data of what was compiled, so a refit costs
what sampling costs, whatever the length of the table. The chains of one fit already share the
cores; an executor pays where there are more cores than chains, or more machines than one.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from bayescale.common.errors import InputError
from bayescale.fitting.design import DesignWarning
from bayescale.fitting.diagnostics import FitWarning
from bayescale.fitting.fits import Fit
from bayescale.language.law import Law
from bayescale.language.priors import Prior

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["options_of", "refit", "table_of"]


def refit(
    law: Law,
    tables: Sequence[pd.DataFrame],
    *,
    then: Callable[..., Any] | None = None,
    others: Sequence[Any] | None = None,
    executor: Executor | None = None,
    seed: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> list[Any]:
    """Fit one law to many tables, each as :func:`bayescale.fit` would.

    Parameters
    ----------
    law
        The law. With an executor of other processes it must be one that they can import: a law of
        the package, or one bound to a name in a module.
    tables
        Tables of runs, of any lengths.
    then
        Called with each fit where it was made, so that only its result travels: ``then(fit)``, or
        ``then(fit, other)`` with ``others``. By default the fits themselves are returned.
    others
        One value a table, for ``then``: held-out runs, the truth of a simulation.
    executor
        Any ``concurrent.futures.Executor``: of threads or processes of this machine, or of a
        cluster (Dask: ``client.get_executor()``). Its workers compile the law once each. By
        default one fit runs after the other in this process, whose cores the chains share.
    seed
        Of every fit, which makes the results reproducible on one machine.
    progress
        Whether to show progress on standard error; by default, if that is a terminal.
    **options
        As for :func:`bayescale.fit`: noise, priors, draws and so on.

    Returns
    -------
    list
        A fit for each table in their order, or what ``then`` made of it.

    Raises
    ------
    InputError
        If the tables or the options cannot be used.

    Notes
    -----
    Fits whose diagnostics failed do not warn here, since there may be many: ask
    :func:`bayescale.diagnose`.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> halves = [runs[::2], runs[1::2]]
    >>> [len(fit.runs.run) for fit in bs.refit(dense, halves, method="laplace", seed=1)]
    [15, 15]
    """
    from bayescale.common.progress import progress_bar

    extra: list[tuple[Any, ...]] = [()] * len(tables)
    if others is not None:
        if len(others) != len(tables):
            raise InputError(f"others has {len(others)} values for {len(tables)} tables; give each")
        extra = [(other,) for other in others]
    jobs = [
        (law, runs, {**options, "seed": seed}, then, *other)
        for runs, other in zip(tables, extra, strict=True)
    ]
    with progress_bar(f"{law.name}, {len(jobs)} fits", progress) as report, _in_silence():
        if executor is None:
            done = []
            for i, job in enumerate(jobs):
                report("fitting", i / len(jobs))
                done.append(_one(*job))
            return done
        waiting: list[Future[Any]] = [executor.submit(_one, *job) for job in jobs]
        try:
            for i, future in enumerate(as_completed(waiting)):
                future.result()
                report("fitting", (i + 1) / len(jobs))
        except BaseException:
            # What has not begun is not worth beginning.
            for future in waiting:
                future.cancel()
            raise
        return [future.result() for future in waiting]


def _one(
    law: Law,
    runs: pd.DataFrame,
    options: Mapping[str, Any],
    then: Callable[..., Any] | None,
    *other: Any,
) -> Any:
    from bayescale.fitting.inference import fit

    # Threads share the filters of warnings, which are those that ``refit`` has set.
    main = threading.current_thread() is threading.main_thread()
    with _in_silence() if main else nullcontext():
        fitted = fit(law, runs, progress=False, **options)
    return fitted if then is None else then(fitted, *other)


@contextmanager
def _in_silence() -> Iterator[None]:
    with warnings.catch_warnings():
        for category in (FitWarning, DesignWarning):
            warnings.simplefilter("ignore", category)
        yield


def table_of(fit: Fit) -> pd.DataFrame:
    """The table that a fit was made from: its inputs, losses and whatever else a run came with.

    Raises
    ------
    InputError
        If the fit is of published coefficients, which come without runs.
    """
    if fit.runs is None:
        raise InputError(f"this fit of {fit.law.name!r} holds no runs to fit again")
    runs = fit.runs.to_dataframe()
    about = fit.about
    runs.attrs = {"name": about.get("table", ""), "simulated": about.get("simulated", False)}
    runs.attrs |= {"loss_unit": fit.loss_unit, "where": about.get("where", "")}
    return runs


def options_of(fit: Fit) -> dict[str, Any]:
    """Keyword arguments of :func:`bayescale.fit` that a fit was made with, to make it again.

    The seed is left out: a refit has its own.

    Raises
    ------
    InputError
        If the fit was not made by :func:`bayescale.fit`, or by a version that did not keep them.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", noise="normal", priors={"E": 1.7}, seed=1)
    >>> options = options_of(fit)
    >>> options["noise"], options["priors"]
    ('normal', {'E': 1.7})
    """
    kept = fit.about.get("options")
    if kept is None:
        raise InputError(
            f"this fit of {fit.law.name!r} does not say how it was made, so it cannot be repeated "
            "on other runs; make it again with bs.fit"
        )
    priors = {
        name: Prior(**p) if isinstance(p, Mapping) else p for name, p in kept["priors"].items()
    }
    return {**kept, "priors": priors or None}
