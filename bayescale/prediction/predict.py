"""Posterior predictions, their intervals, and simulated runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.fitting.averaging import Average, inputs_for
from bayescale.fitting.fits import Fit
from bayescale.language.columns import check_values, derive, read_columns
from bayescale.language.law import Coefficients, Law
from bayescale.language.variables import VARIABLES, variable
from bayescale.posterior.noise import noise_model
from bayescale.prediction.predictive import evaluate, new_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["interval", "law_inputs", "new_runs", "predict", "simulate"]

# Numbers above which a prediction is worked out in pieces, and numbers in a piece.
_LARGE, _PIECE = 100_000_000, 4_000_000
_OF_LAW = "loss of the law: a run's median"
_WELL_TUNED = "loss of the law: what well-tuned runs scatter about"


def predict(
    fit: Fit | Average, *, mean: bool = False, seed: int | None = None, **inputs: Any
) -> xr.DataArray:
    """Posterior predictive loss of training runs.

    Parameters
    ----------
    fit
        A fit, or an average of fits.
    mean
        If true, the loss that the law gives: the median of a run, the mean of its logarithm
        (with ``noise="skewed"`` what a well-tuned run reaches, below the median).
        Otherwise the loss of one new run, with its noise. (The mean loss of new runs is not
        known: of the logarithm's Student-t noise no such mean exists.)
    seed
        Makes the noise reproducible.
    **inputs
        The law's inputs, or inputs they can be derived from, in plain units. Scalars add no
        dimension; equally long one-dimensional arrays (or columns of a table) share the
        dimension ``run``; DataArrays broadcast by dimension name. If coefficients vary over
        groups, the group column may be given too; without it, the result has every group.

    Returns
    -------
    xarray.DataArray
        Loss in nats over chain, draw and the inputs' dimensions. Beyond a hundred million
        numbers they are in single precision, and are worked out in pieces.

    Raises
    ------
    InputError
        If an input is missing, unknown or impossible, or if noise is asked of published
        coefficients, which carry none.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> fit = bs.published(dense, "besiroglu2024")
    >>> bs.predict(fit, mean=True, N=[1e9, 70e9], D=[2e10, 1.4e12]).dims
    ('chain', 'draw', 'run')
    """
    if isinstance(fit, Average):
        return _predict_average(fit, mean, seed, inputs)
    if not mean:
        _check_noise(fit)
    rng = np.random.default_rng(seed)
    chosen, values = _asked(fit, inputs)
    loss = _in_pieces(chosen, values, partial(_losses, chosen, mean=mean, rng=rng))
    loss.name = "loss"
    of_law = _WELL_TUNED if fit.about["noise"] == "skewed" else _OF_LAW
    loss.attrs = {"units": fit.loss_unit, "long_name": of_law if mean else "new run's loss"}
    return loss


def _losses(
    fit: Fit, values: Mapping[str, Any], *, mean: bool, rng: np.random.Generator
) -> xr.DataArray:
    if mean:
        return evaluate(fit, values)
    loss, scale, parameters = new_run(fit, values)
    noise = noise_model(fit.about["noise"])
    return loss * np.exp(noise.draw(rng, loss.shape, scale, parameters))


def _in_pieces(
    fit: Fit, values: Mapping[str, Any], losses: Callable[[Mapping[str, Any]], xr.DataArray]
) -> xr.DataArray:
    """Losses at inputs; where there are very many, piece by piece and in single precision."""
    kept = fit.posterior.sizes
    sizes: dict[Any, int] = {}
    for x in values.values():  # Inputs may differ by draw: draws are counted once.
        sizes |= {n: k for n, k in getattr(x, "sizes", {}).items() if n not in ("chain", "draw")}
    draws = kept["chain"] * kept["draw"]
    if draws * math.prod(sizes.values()) <= _LARGE or "run" in kept:
        return losses(values)
    along = max(sizes, key=lambda name: sizes[name])
    step = max(1, _PIECE * sizes[along] // (draws * math.prod(sizes.values())))
    whole: xr.DataArray | None = None
    for start in range(0, sizes[along], step):
        here = slice(start, start + step)
        piece = losses(
            {
                name: x.isel({along: here}) if along in getattr(x, "dims", ()) else x
                for name, x in values.items()
            }
        )
        if whole is None:
            shape = [sizes.get(name, piece.sizes[name]) for name in piece.dims]
            labels = {n: x.coords[along] for n, x in values.items() if _labels(x, along)}
            coords = {n: x for n, x in piece.coords.items() if along not in x.dims}
            coords |= {along: next(iter(labels.values()))} if labels else {}
            whole = xr.DataArray(np.empty(shape, np.float32), dims=piece.dims, coords=coords)
        whole.values[..., *(here if n == along else slice(None) for n in piece.dims[2:])] = piece
    assert whole is not None
    return whole


def _labels(x: Any, along: Any) -> bool:
    return along in getattr(x, "coords", ())


def _check_noise(fit: Fit) -> None:
    if fit.about["noise"] is None:
        raise InputError(
            "published coefficients carry no noise, so a new run's loss is not known; use "
            "predict(..., mean=True)"
        )


def new_runs(
    fit: Fit, inputs: Mapping[str, Any], *, error: np.ndarray | None = None
) -> tuple[xr.DataArray, Any, dict[str, Any]]:
    """What new runs' losses scatter about, the scale of their noise, and the noise's parameters.

    Parameters
    ----------
    fit
        A fit.
    inputs
        As for :func:`predict`.
    error
        Known standard error of the log loss of each run.
    """
    _check_noise(fit)
    return new_run(*_asked(fit, inputs), error=error)


def _asked(fit: Fit, inputs: Mapping[str, Any]) -> tuple[Fit, dict[str, Any]]:
    """The fit of the groups that are asked for, and the law's inputs."""
    rest, by = dict(inputs), fit.about.get("by")
    if by in rest:
        fit = _of_groups(fit, by, rest.pop(by))
    return fit, law_inputs(fit.law, rest)


def _predict_average(
    mixture: Average, mean: bool, seed: int | None, inputs: Mapping[str, Any]
) -> xr.DataArray:
    columns = {fit.about.get("by") for fit in mixture.fits.values()}
    given = {n: x if n in columns else _labelled(n, x) for n, x in inputs.items()}
    used = set(columns)
    for fit in mixture.fits.values():
        used |= {n for n in given if n in fit.law.inputs or _needed(fit.law, n, given)}
    idle = [name for name in given if name not in used]
    if idle:
        laws = ", ".join(repr(name) for name in mixture.fits)
        raise InputError(f"{idle[0]!r} has no part in any of {laws}; leave it out")

    def one(fit: Fit, i: int) -> xr.DataArray:
        own: dict[str, Any] = inputs_for(fit.law, given)
        by = fit.about.get("by")
        own |= {by: given[by]} if by in given else {}
        # Noise of its own for each, or two equal laws would err alike.
        sown = None if seed is None else int(np.random.SeedSequence([seed, i]).generate_state(1)[0])
        return predict(fit, mean=mean, seed=sown, **own)

    return mixture.pooled(one)


def _of_groups(fit: Fit, by: str, levels: Any) -> Fit:
    """The fit with the coefficients of given groups: of one, or of one for each run."""
    wanted = np.asarray(levels).astype(str)
    known = fit.posterior[by].values.astype(str)
    unknown = sorted(set(np.atleast_1d(wanted).tolist()) - set(known.tolist()))
    if unknown:
        listed = known.tolist()
        raise InputError(f"there is no group {unknown[0]!r} in {by!r}; there are {listed}")
    pick = xr.DataArray(wanted, dims="run") if wanted.ndim else str(wanted)
    chosen = fit.posterior.sel({by: pick}).drop_vars(by)
    tree = xr.DataTree.from_dict({"posterior": chosen})
    tree.attrs = fit.tree.attrs
    return Fit(fit.law, tree)


def law_inputs(law: Law, given: Mapping[str, Any]) -> dict[str, Any]:
    """A law's inputs from what a user gave: floats and DataArrays, derived and checked."""
    unknown = [name for name in given if name not in law.inputs and name not in VARIABLES]
    if unknown:
        raise InputError(
            f"{unknown[0]!r} is not an input; law {law.name!r} takes {', '.join(law.inputs)}"
        )
    labelled = {name: _labelled(name, value) for name, value in given.items()}
    for name, value in labelled.items():
        check_values(name, value, extra=law.variables)
    lengths = {n: v.sizes["run"] for n, v in labelled.items() if "run" in getattr(v, "dims", ())}
    if len(set(lengths.values())) > 1:
        raise InputError(
            f"one-dimensional inputs describe the same runs and must be equally long: {lengths}; "
            "for every combination give DataArrays with dimension names of their own"
        )
    values = {}
    for name in law.inputs:
        value = labelled[name] if name in labelled else derive(name, labelled)
        if value is None:
            raise InputError(
                f"law {law.name!r} needs {name!r} "
                f"({variable(name, law.variables).description or 'an input of the law'}); it takes "
                f"{', '.join(law.inputs)}, and {', '.join(given) or 'nothing'} was given"
            )
        check_values(name, value, extra=law.variables)
        values[name] = value
    idle = [name for name in given if name not in law.inputs and not _needed(law, name, labelled)]
    if idle:
        raise InputError(
            f"{idle[0]!r} has no part in law {law.name!r}, which takes {', '.join(law.inputs)}; "
            "leave it out"
        )
    return values


def _needed(law: Law, name: str, given: Mapping[str, Any]) -> bool:
    """Whether one of the law's inputs can be derived only with this one."""
    rest = {other: value for other, value in given.items() if other != name}
    return any(n not in given and derive(n, rest) is None for n in law.inputs)


def _labelled(name: str, value: Any) -> Any:
    if isinstance(value, xr.DataArray):
        return value.astype(float)
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise InputError(
            f"input {name!r}: {value!r} is not a number or an array of numbers, such as 7e9"
        ) from None
    if array.ndim == 0:
        return float(array)
    if array.ndim > 1:
        raise InputError(
            f"input {name!r} has {array.ndim} dimensions; give a DataArray, which names them"
        )
    index = getattr(value, "index", None)
    labels = {} if index is None or callable(index) else {"run": np.asarray(index)}
    return xr.DataArray(array, dims="run", coords=labels)


def interval[Labelled: (xr.DataArray, xr.Dataset)](x: Labelled, prob: float = 0.9) -> Labelled:
    """Equal-tailed credible interval over chain and draw.

    Parameters
    ----------
    x
        Draws: a DataArray, or a Dataset each of whose variables has dimensions chain and draw.
    prob
        Posterior probability that the interval holds.

    Returns
    -------
    xarray.DataArray or xarray.Dataset
        As ``x``, with the dimension ``ci_bound`` (``lower``, ``upper``) in place of chain and draw.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> x = xr.DataArray(np.arange(101.0)[None], dims=("chain", "draw"))
    >>> interval(x, 0.9).values
    array([ 5., 95.])
    """
    if not 0 < prob < 1:
        raise InputError(f"prob is a probability between 0 and 1, not {prob}")
    if isinstance(x, xr.Dataset):
        drawn = [n for n, v in x.data_vars.items() if {"chain", "draw"} <= set(v.dims)]
        if not drawn:
            raise InputError("nothing in this Dataset has draws: no variable has chain and draw")
        return x[drawn].map(interval, prob=prob, keep_attrs=True)
    if not {"chain", "draw"} <= set(x.dims):
        raise InputError(f"an interval needs the dimensions chain and draw; these are {x.dims}")
    tails = [(1 - prob) / 2, (1 + prob) / 2]
    # Between two infinite draws (a threshold never reached) interpolation would give no number.
    method: Literal["inverted_cdf", "linear"] = "inverted_cdf" if np.isinf(x).any() else "linear"
    bounds = x.quantile(tails, dim=("chain", "draw"), method=method, keep_attrs=True)
    bounds = bounds.rename(quantile="ci_bound").assign_coords(ci_bound=["lower", "upper"])
    return bounds.transpose(..., "ci_bound")


def simulate(
    law: Law,
    design: pd.DataFrame,
    coefficients: str | Coefficients | Mapping[str, float],
    *,
    noise_scale: float = 0.005,
    noise_dof: float | None = None,
    seed: int | None = None,
) -> pd.DataFrame:
    """Losses that a law would give on a design, with noise: simulated runs.

    Parameters
    ----------
    law
        The law.
    design
        One row a run: the law's inputs, or columns they can be derived from.
    coefficients
        Name of a published set, or coefficients in raw units.
    noise_scale
        Scale of the noise on the log loss.
    noise_dof
        Degrees of freedom of Student-t noise; normal noise if None.
    seed
        Makes the losses reproducible.

    Returns
    -------
    pandas.DataFrame
        The design with the column ``loss``; ``attrs["simulated"]`` is True and stays with it.

    Examples
    --------
    >>> import bayescale as bs, pandas as pd
    >>> from bayescale.models import dense
    >>> design = pd.DataFrame({"N": [1e8, 1e9], "D": [1e10, 1e11]})
    >>> bs.simulate(dense, design, "besiroglu2024", noise_scale=0.0).loss.round(3).tolist()
    [3.071, 2.372]
    """
    if isinstance(coefficients, str):
        if coefficients not in law.published:
            raise InputError(
                f"law {law.name!r} has no published set {coefficients!r}; it has "
                f"{list(law.published)}"
            )
        coefficients = law.published[coefficients]
    values = coefficients.values if isinstance(coefficients, Coefficients) else coefficients
    missing, unknown = set(law.coefficients) - set(values), set(values) - set(law.coefficients)
    if missing or unknown:
        wrong = f"missing {sorted(missing)}" if missing else f"unknown {sorted(unknown)}"
        raise InputError(f"coefficients of law {law.name!r}: {wrong}; it has {law.coefficients}")
    if not (np.isfinite(noise_scale) and noise_scale >= 0):
        raise InputError(f"noise_scale is a number of at least 0, not {noise_scale!r}")
    if noise_dof is not None and not noise_dof > 0:
        raise InputError(f"noise_dof is a number above 0, or None, not {noise_dof!r}")
    inputs = read_columns(design, law.inputs, extra=law.variables)
    rng = np.random.default_rng(seed)
    z = (
        rng.standard_normal(len(design))
        if noise_dof is None
        else rng.standard_t(noise_dof, len(design))
    )
    simulated = design.assign(loss=law(**inputs, **values) * np.exp(noise_scale * z))
    simulated.attrs = {**design.attrs, "simulated": True}
    return simulated
