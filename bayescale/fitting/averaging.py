"""Several fits as one: predictions and decisions that do not hang on the choice of a law."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit
from bayescale.language.columns import derive
from bayescale.language.law import Law

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["Average", "average", "inputs_for"]


@dataclass(frozen=True, eq=False)
class Average:
    """A mixture of fits: draws of each, in proportion to its weight.

    Attributes
    ----------
    fits
        Fit by name: laws and noise models alike.
    weights
        Weight by name; they add up to one.
    """

    fits: Mapping[str, Fit]
    weights: Mapping[str, float]

    @property
    def members(self) -> dict[str, Fit]:
        """Fits of one chain each, with as many draws as their weight is worth."""
        sizes = {n: f.posterior.chain.size * f.posterior.draw.size for n, f in self.fits.items()}
        # Published coefficients are a single draw, which is repeated.
        total = max(1000, min(sizes[name] for name, share in self.weights.items() if share))
        counts = _apportion(np.array([self.weights[name] for name in self.fits]), total)
        return {
            name: _thinned(fit, int(count))
            for (name, fit), count in zip(self.fits.items(), counts, strict=True)
            if count
        }

    def __getattr__(self, name: str) -> Any:
        # What else a fit has, an average has several of.
        if name in ("law", "tree", "posterior", "about", "reference", "save"):
            raise InputError(
                f"an average of fits has no {name} of its own; predict, allocate and decide take "
                "it, and for everything else there are its fits: average.fits"
            )
        raise AttributeError(f"'Average' object has no attribute {name!r}")

    @property
    def loss_unit(self) -> str:
        """Unit of the losses of the first fit."""
        return next(iter(self.fits.values())).loss_unit

    @property
    def runs(self) -> xr.Dataset | None:
        """The table of runs of the first fit."""
        return next(iter(self.fits.values())).runs

    def pooled[Labelled: (xr.DataArray, xr.Dataset)](
        self, function: Callable[[Fit, int], Labelled]
    ) -> Labelled:
        """What a function says of each member, one after the other along ``draw``.

        Parameters
        ----------
        function
            Called with a fit and its place; gives draws over chain and draw.

        Returns
        -------
        xarray.DataArray or xarray.Dataset
            One chain; the coordinate ``law`` names the fit that each draw is of.
        """
        import xarray as xr

        found = []
        for i, (name, fit) in enumerate(self.members.items()):
            each = function(fit, i)
            found.append(each.assign_coords(law=("draw", np.full(each.sizes["draw"], name))))
        pooled = xr.concat(found, dim="draw", coords="minimal", compat="override", join="override")
        return pooled.assign_coords(draw=np.arange(pooled.sizes["draw"]))

    def __repr__(self) -> str:
        shares = ", ".join(f"{name} {weight:.0%}" for name, weight in self.weights.items())
        return f"<Average of {shares}>"


def average(
    fits: Mapping[str, Fit], weights: Mapping[str, float] | pd.Series | pd.DataFrame
) -> Average:
    """Average fits of the same runs, so that what follows does not hang on one law.

    A prediction of the average is the mixture of the fits' predictive distributions: its interval
    is wider than theirs where they disagree. Noise models are averaged like laws.

    Parameters
    ----------
    fits
        Fit by name.
    weights
        Weight by name, or the table of :func:`bayescale.compare`, whose ``weight`` is taken. They
        are divided by their sum.

    Returns
    -------
    Average
        ``predict`` takes it like a fit, and so do ``allocate`` and ``decide`` where the laws have
        the same inputs.

    Raises
    ------
    InputError
        If a weight is missing, negative or of no fit, or all are zero.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> fits = {name: bs.published(dense, name) for name in ("besiroglu2024", "hoffmann2022")}
    >>> bs.average(fits, {"besiroglu2024": 3, "hoffmann2022": 1})
    <Average of besiroglu2024 75%, hoffmann2022 25%>
    """
    if not isinstance(fits, Mapping) or not all(isinstance(f, Fit) for f in fits.values()):
        raise InputError("give fits by name: average({'dense': fit, 'sparse': other}, weights)")
    column = getattr(weights, "columns", None)
    if column is not None and "weight" not in column:
        raise InputError("this table has no column 'weight'; give the table of bs.compare")
    chosen: Any = weights if column is None else weights["weight"]
    given = {str(name): float(value) for name, value in dict(chosen).items()}
    wrong = sorted(set(given) ^ set(fits))
    if wrong:
        where = "no fit" if wrong[0] in given else "no weight"
        raise InputError(f"{wrong[0]!r} has {where}; give a weight for each of {', '.join(fits)}")
    values = np.array([given[name] for name in fits])
    if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
        raise InputError(f"weights are at least zero and not all zero, not {given}")
    shares = values / values.sum()
    return Average(dict(fits), dict(zip(fits, map(float, shares), strict=True)))


def inputs_for(law: Law, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of inputs that serve several laws, those that one of them takes."""
    found = {}
    for name in law.inputs:
        value = given[name] if name in given else derive(name, given)
        if value is not None:
            found[name] = value
    return found


def _apportion(weights: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers in proportion to weights, by largest remainder."""
    exact = weights * total
    counts = np.floor(exact).astype(int)
    left = total - counts.sum()
    counts[np.argsort(counts - exact, kind="stable")[:left]] += 1
    return counts


def _thinned(fit: Fit, count: int) -> Fit:
    """A fit of one chain of so many of its draws, evenly spaced."""
    import xarray as xr

    flat = fit.posterior.stack(one=("chain", "draw"))
    at = ((np.arange(count) + 0.5) * flat.sizes["one"] / count).astype(int)
    kept = flat.isel(one=at).drop_vars(["one", "chain", "draw"]).rename(one="draw")
    kept = kept.assign_coords(draw=np.arange(count)).expand_dims(chain=[0])
    groups = {"posterior": kept.transpose("chain", "draw", ...)}
    if fit.runs is not None:
        groups["runs"] = fit.runs
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = fit.tree.attrs
    return Fit(fit.law, tree)
