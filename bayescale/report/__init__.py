"""A report on a fit: one self-contained page for the person who signs off the budget."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bayescale.common.errors import InputError
from bayescale.common.files import replacing
from bayescale.fitting.averaging import Average
from bayescale.fitting.fits import Fit
from bayescale.prediction.draws import check_one_group

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["write_report"]

_MOST_FITS = 6


def write_report(
    fits: Fit | Mapping[str, Fit],
    path: str | os.PathLike[str],
    *,
    budget: float | str | None = None,
    span: tuple[float, float] | None = None,
    question: str | None = None,
    prob: float = 0.9,
    within: float = 0.005,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    backtest: pd.DataFrame | None = None,
    influence: pd.DataFrame | None = None,
    ledger: pd.DataFrame | None = None,
    seed: int = 0,
    progress: bool | None = None,
) -> None:
    """Write a report on what to train: an HTML page that needs nothing but a browser.

    The page answers in one sentence, with an interval; then come the plans, what they risk, a
    slider over budgets, pictures, checks in words, and where everything is from. All numbers are
    worked out when it is written, by ``decide``, ``allocate`` and ``predict``.

    Parameters
    ----------
    fits
        A fit, or several of the same runs by name. The first one answers; the others are compared
        with it.
    path
        Where to write. A file of that name is replaced.
    budget
        Training FLOPs to answer for, or what they are worked out from, such as ``"64 H100 x 21
        days at 40% MFU"`` (:func:`bayescale.parse_budget`), of which the page then states every
        factor; by default ten times the compute of the largest fitted run.
    span
        Lowest and highest budget of the slider; by default from the largest fitted run, or a tenth
        of the budget if that is less, to ten times the budget.
    question
        The question, if it is not what to train with the budget.
    prob
        Posterior probability of all intervals.
    within
        Expected loss, in nats, that near-optimal plans may give up.
    cost, choose, fixed, bounds
        As for :func:`bayescale.allocate`.
    backtest
        How the law predicted the largest of these runs from smaller ones, one row a prediction:
        ``loss`` observed and the predictive quantiles ``q05``, ``q50`` and ``q95``, nats.
    influence
        What :func:`bayescale.influence` found of the budget: which runs the answer hangs on.
    ledger
        Forecasts and their outcomes, as ``bayescale.prediction.forecasts.ledger_table`` has them.
    seed
        Of the noise of predicted runs.
    progress
        Whether to say on standard error how far the page is; by default, if that is a terminal.

    Raises
    ------
    InputError
        If the fits, the budget or the choices cannot be used, before anything is written.

    Examples
    --------
    >>> import tempfile, pathlib, bayescale as bs
    >>> from bayescale.models import dense
    >>> fit = bs.published(dense, "besiroglu2024")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = pathlib.Path(folder, "report.html")
    ...     bs.write_report(fit, page, budget=1e23)
    ...     "a model of 29.4B parameters on 566B tokens" in page.read_text()
    True
    """
    from bayescale.common.progress import progress_bar
    from bayescale.report.content import content
    from bayescale.report.page import page

    named = _named(fits)
    if not 0 < prob < 1:
        raise InputError(f"prob is a probability between 0 and 1, not {prob}")
    options = {"cost": cost, "choose": choose, "fixed": fixed, "bounds": bounds}
    with progress_bar(f"report on {', '.join(named)}", progress) as tell:
        found = content(
            named,
            budget=budget,
            span=span,
            question=question,
            prob=prob,
            within=within,
            options=options,
            backtest=backtest,
            influence=influence,
            ledger=ledger,
            seed=seed,
            tell=tell,
        )
        tell("pictures")
        text = page(found)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def _named(fits: Any) -> dict[str, Fit]:
    """Fits by name, none of which has groups."""
    named = {fits.law.name: fits} if isinstance(fits, Fit) else fits
    if (
        not isinstance(named, Mapping)
        or not named
        or not all(isinstance(fit, Fit) for fit in named.values())
    ):
        remedy = ": give those of an average, average.fits" if isinstance(fits, Average) else ""
        raise InputError(f"a report is on a Fit, or a mapping from names to Fits{remedy}")
    if len(named) > _MOST_FITS:
        raise InputError(f"a report compares at most {_MOST_FITS} fits, not {len(named)}")
    for name, fit in named.items():
        check_one_group(fit, repr(name))
    return {str(name): fit for name, fit in named.items()}
