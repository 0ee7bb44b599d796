"""Comparing laws fitted to the same runs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayescale.diagnostics import FitWarning
from bayescale.errors import InputError
from bayescale.fits import Fit

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["compare"]


def compare(fits: Mapping[str, Fit], *, by: str = "loo") -> pd.DataFrame:
    """Rank laws by how well each predicts runs it has not seen.

    The score is the expected log predictive density (elpd) of the log losses, each run left out
    in turn (Pareto-smoothed importance sampling, computed by ArviZ).

    Parameters
    ----------
    fits
        Fit by name: any laws and noise models, all fitted to the same runs.
    by
        ``"loo"``: leave one run out.

    Returns
    -------
    pandas.DataFrame
        Best first, indexed by name: ``elpd`` (higher is better) and its standard error ``se``;
        ``elpd_diff`` to the best and its standard error ``dse``; ``p_worse``, the probability of
        being worse than the best; ``p``, the effective number of parameters; ``weight`` in the
        stacked mixture of all; ``pareto_k``, the largest of the diagnostic (above 0.7 the
        score of that run is unreliable). A difference within two ``dse``, or below 4, says little.

    Raises
    ------
    InputError
        If the fits are not of the same runs and losses, or there are fewer than two.

    Warns
    -----
    FitWarning
        If the score of some run is unreliable, naming the law.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense, sparse
    >>> runs = bs.load_runs("frantar2023_t5").query("not target")
    >>> fits = {law.name: bs.fit(law, runs, seed=1) for law in (dense, sparse)}  # doctest: +SKIP
    >>> bs.compare(fits)  # doctest: +SKIP
    """
    if by != "loo":
        raise InputError(f"by={by!r} is not known; choose 'loo'")
    _check_same_runs(fits)
    from arviz_stats import compare as compare_elpd
    from arviz_stats import loo

    with warnings.catch_warnings():
        # ArviZ says that there are high values of Pareto k but not of which fit.
        warnings.filterwarnings("ignore", message="Estimated shape parameter of Pareto")
        scores = {
            name: loo(fit.tree, var_name="log_loss", pointwise=True) for name, fit in fits.items()
        }
    for name, score in scores.items():
        high = int((score.pareto_k > score.good_k).sum())
        if high:
            warnings.warn(
                f"{name!r}: Pareto k exceeds {score.good_k:.2f} at {high} of {score.n_data_points} "
                "runs, so their scores are unreliable: leaving one out moves the posterior too "
                "far; do not read much into small differences to this law",
                FitWarning,
                stacklevel=2,
            )
    table = compare_elpd(scores, round_to="none")
    table["pareto_k"] = {name: float(score.pareto_k.max()) for name, score in scores.items()}
    columns = ["elpd", "se", "elpd_diff", "dse", "p_worse", "p", "weight", "pareto_k"]
    return table[columns].rename_axis("law")


def _check_same_runs(fits: Mapping[str, Fit]) -> None:
    if not isinstance(fits, Mapping):
        raise InputError(
            f"give fits by name, compare({{'dense': fit, 'sparse': other}}), not a "
            f"{type(fits).__name__}"
        )
    if len(fits) < 2:
        raise InputError(f"a comparison needs at least two fits, not {len(fits)}")
    first, *others = fits
    for name, fit in fits.items():
        if "log_likelihood" not in fit.tree:
            raise InputError(f"{name!r} was not fitted to runs, so it cannot be compared")
    losses = {n: fit.tree["observed_data"].to_dataset().log_loss.values for n, fit in fits.items()}
    ours = losses[first]
    for name in others:
        theirs = losses[name]
        if ours.shape != theirs.shape:
            raise InputError(
                f"{first!r} was fitted to {len(ours)} runs and {name!r} to {len(theirs)}: scores "
                "of different runs cannot be compared; fit both to the same table"
            )
        if not np.allclose(ours, theirs, rtol=0, atol=1e-12):
            row = int(np.argmax(~np.isclose(ours, theirs, rtol=0, atol=1e-12)))
            raise InputError(
                f"{first!r} and {name!r} were fitted to different losses (first at row {row}: "
                f"{np.exp(ours[row]):.6g} against {np.exp(theirs[row]):.6g} nats); fit both to the "
                "same rows in the same order"
            )
