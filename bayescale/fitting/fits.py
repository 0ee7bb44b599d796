"""A fit: a law and its posterior, saved and loaded as NetCDF."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.files import is_intact, replacing, sealed
from bayescale.common.version import __version__
from bayescale.fitting.files import about_saved, damaged, read_tree, wrong_about, wrong_draws
from bayescale.language.law import Law
from bayescale.language.variables import LOSS_UNIT, variable

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FORMAT", "Fit", "coefficients", "digest", "load_fit", "published", "stamp"]

#: Version of the file format; files of another one are refused.
FORMAT = 3


@dataclass(frozen=True, eq=False)
class Fit:
    """A law and what is known of its coefficients.

    Attributes
    ----------
    law
        The law.
    tree
        ArviZ ``DataTree`` with groups ``posterior`` (coefficients in reference units and noise
        parameters), ``log_likelihood`` (of the log loss), ``sample_stats``, ``observed_data``,
        ``constant_data`` (the law's inputs) and ``runs``, the table that was fitted, where PyMC and
        ArviZ write nothing. Published coefficients have ``posterior`` only.
    """

    law: Law
    tree: xr.DataTree

    @property
    def posterior(self) -> xr.Dataset:
        """Draws of every coefficient and noise parameter, over chain and draw."""
        return self.tree["posterior"].to_dataset()

    @property
    def about(self) -> dict[str, Any]:
        """How the fit was made: noise, priors, seed, versions, references."""
        return json.loads(self.tree.attrs["bayescale"])

    @property
    def reference(self) -> dict[str, float]:
        """What each input is divided by before it enters the law."""
        return self.about["reference"]

    @property
    def loss_unit(self) -> str:
        """Unit of the losses that were fitted, in which every loss of the fit is."""
        return str(self.about.get("loss_unit", LOSS_UNIT))

    @property
    def runs(self) -> xr.Dataset | None:
        """The table of runs, or None for published coefficients.

        Raises
        ------
        InputError
            If the tree's group ``runs`` is no longer what was fitted.
        """
        if "runs" not in self.tree:
            return None
        runs = self.tree["runs"].to_dataset()
        if self.about.get("runs") not in (None, digest(runs)):
            raise InputError(
                f"the runs in this fit of {self.law.name!r} are not those that it was made from: "
                "the group 'runs' of its tree has been changed; load the file it was saved to "
                "(bs.load_fit), or fit the runs again"
            )
        return runs

    @property
    def run_weights(self) -> np.ndarray | None:
        """Weight of each run's likelihood, if the fit was made with weights."""
        column = self.about.get("options", {}).get("weights")
        if column is None:
            return None
        assert self.runs is not None
        return self.runs[column.replace("/", "_")].values.astype(float)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fit to a NetCDF file.

        The file is written beside its place and renamed, so a failure never harms a file that
        is already there.

        Parameters
        ----------
        path
            Where to.

        Raises
        ------
        InputError
            If the folder does not exist, or the disk is full.
        """
        with replacing(path) as part:
            # By way of memory, since a full disk makes HDF5 end the process.
            part.write_bytes(sealed(bytes(self.tree.to_netcdf(engine="h5netcdf"))))

    def __repr__(self) -> str:
        rows = f"{self.tree['runs'].sizes['run']} runs" if "runs" in self.tree else "published"
        sizes = self.posterior.sizes
        return f"<Fit of {self.law.name}: {rows}, {sizes['chain']} x {sizes['draw']} draws>"

    def _repr_html_(self) -> str:
        from bayescale.fitting.summary import as_html

        try:
            draws, units = coefficients(self, units="raw"), "raw"
        except InputError:
            draws, units = coefficients(self), "reference"
        return as_html(self.law, self.tree, draws, units)


def load_fit(path: str | os.PathLike[str], law: Law | None = None) -> Fit:
    """Read a fit from a NetCDF file.

    A file is data: nothing in it is ever run.

    Parameters
    ----------
    path
        A file written by :meth:`Fit.save`.
    law
        The law of the fit, needed only if it is not one of the package's.

    Returns
    -------
    Fit
        All in memory; the file is closed.

    Raises
    ------
    InputError
        If there is no such file, it is not a fit, it is of another format version, or the law
        (its name, inputs, coefficients or formula) is not the one it was made with.
    """
    source = Path(path)
    if not source.is_file():
        raise InputError(f"there is no file {source}; fit.save(path) writes one")
    about = about_saved(source)
    if about is None:
        raise damaged(source, "it holds no fit" if is_intact(source) else "it has changed since")
    version = about.get("format")
    if version != FORMAT:
        raise InputError(
            f"{source} has file format {version} (written by bayescale {about.get('version')}); "
            f"this bayescale reads format {FORMAT}: fit the runs again, or use that version"
        )
    if law is not None and not isinstance(law, Law):
        raise InputError(f"law= is a law (made by @bayescale.law), not {type(law).__name__}")
    if wrong := wrong_about(about):
        raise damaged(source, wrong)
    if law is None:
        from bayescale.models import laws

        law = laws().get(about["law"])
        if law is None:
            raise InputError(
                f"{source} holds a fit of {about['signature']}, which is not one of the package's "
                "laws; pass it as load_fit(path, law=...)"
            )
    if law.signature() != about["signature"]:
        raise InputError(
            f"{source} holds a fit of {about['signature']}, not of {law.signature()}; load it with "
            "the law it was made with, or fit the runs again"
        )
    then, now = about.get("probe"), _probe(law)
    if then is not None and now is not None and not math.isclose(then, now, rel_tol=1e-9):
        raise InputError(
            f"{source} was made with another formula of {law.name!r}, which gave {then:.6g} where "
            f"it now gives {now:.6g}; load it with the law it was made with, or fit the runs again"
        )
    tree = read_tree(source)
    if wrong := wrong_draws(law, about, tree):
        raise damaged(source, wrong)
    fit = Fit(law, tree)
    try:
        _ = fit.runs
    except InputError:
        raise damaged(source, "its runs are not those that were fitted") from None
    return fit


def published(law: Law, name: str) -> Fit:
    """A published coefficient set as a fit of one draw.

    ``predict(..., mean=True)``, ``allocate`` and the plots work on it as on a fitted posterior. It
    carries no noise, so a new run's loss cannot be predicted.

    Parameters
    ----------
    law
        A law with published coefficients.
    name
        One of ``law.published``.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> fit = bs.published(dense, "besiroglu2024")
    >>> round(float(bs.predict(fit, mean=True, N=70e9, D=1.4e12).squeeze()), 3)
    1.974
    """
    import xarray as xr

    if name not in law.published:
        raise InputError(
            f"law {law.name!r} has no published set {name!r}; it has {list(law.published)}"
        )
    chosen = law.published[name]
    draws = {c: (("chain", "draw"), [[float(value)]]) for c, value in chosen.values.items()}
    posterior = xr.Dataset(draws, coords={"chain": [0], "draw": [0]})
    about = {
        "law": law.name,
        "published": name,
        "source": chosen.source,
        "certainty": chosen.certainty,
        "noise": None,
        "fixed": {},
        "reference": dict.fromkeys(law.inputs, 1.0),
    }
    tree = xr.DataTree.from_dict({"posterior": posterior})
    tree.attrs["bayescale"] = json.dumps(stamp(law, about))
    return Fit(law, tree)


def digest(runs: xr.Dataset) -> str:
    """What tells a table of runs from any other: of names and values, whatever their storage."""
    import hashlib

    found = hashlib.sha256()
    for name in sorted(map(str, runs.variables)):
        values = runs[name].values
        found.update(name.encode())
        number = values.dtype.kind in "fiub"
        found.update(values.astype(float).tobytes() if number else repr(values.tolist()).encode())
    return found.hexdigest()[:16]


def stamp(law: Law, about: Mapping[str, Any]) -> dict[str, Any]:
    """What every fit says of itself, with the format, the version and the law added."""
    return {
        "format": FORMAT,
        "version": __version__,
        "signature": law.signature(),
        "probe": _probe(law),
        **about,
    }


def _probe(law: Law) -> float | None:
    """The law at arbitrary inputs and coefficients, by which a changed formula is noticed."""
    scales = {n: 1.0 if variable(n, law.variables).scale is None else 2.0 for n in law.inputs}
    inputs, _ = _points(law, scales, 1.5)
    c = {name: np.float64(0.1 + 0.07 * i) for i, name in enumerate(law.coefficients)}
    with np.errstate(all="ignore"):
        value = float(law(**inputs, **c))
    return value if math.isfinite(value) else None


def coefficients(fit: Fit, *, units: str = "reference") -> xr.Dataset:
    """Draws of the law's coefficients, in reference units or in the paper's.

    In reference units counts are divided by their geometric mean over the runs
    (``fit.reference``), so an amplitude is its term's contribution in nats at the centre of the
    data. In raw units counts are plain, as papers state their coefficients.

    Parameters
    ----------
    fit
        A fit.
    units
        ``"reference"`` or ``"raw"``.

    Returns
    -------
    xarray.Dataset
        One variable a coefficient (fixed ones included), over chain and draw.

    Raises
    ------
    InputError
        If the law's terms are not plain powers of its counts and it does not say how its
        coefficients convert.
    """
    if units not in ("reference", "raw"):
        raise InputError(f"units={units!r} is not known; choose 'reference' or 'raw'")
    draws = fit.posterior
    names = fit.law.coefficients
    fixed = fit.about["fixed"]
    blank = 0.0 * draws["chain"] * draws["draw"]
    values = {name: draws[name] if name in draws else blank + fixed[name] for name in names}
    if units == "raw" and any(scale != 1.0 for scale in fit.reference.values()):
        values = _to_raw(fit.law, values, fit.reference)
    dataset = draws[[name for name in names if name in draws]]
    return dataset.assign({name: values[name] for name in names})[list(names)]


def _to_raw(law: Law, c: dict[str, Any], reference: Mapping[str, float]) -> dict[str, Any]:
    points = [_points(law, reference, stretch) for stretch in (1.0, 2.0)]
    raw = dict(c)
    with np.errstate(all="ignore"):
        if law.raw is not None:
            raw |= law.raw(dict(c), dict(reference))
        else:
            # An amplitude takes up what its term, a power of the counts, is scaled by.
            additive = [n for n, p in law.priors.items() if p.role in ("floor", "amplitude")]
            for name in additive:
                alone = c | {n: 0.0 for n in additive if n != name} | {name: 1.0}
                scaled, plain = points[0]
                raw[name] = c[name] * (law(**scaled, **alone) / law(**plain, **alone))
        agree = [
            np.allclose(law(**scaled, **c), law(**plain, **raw), rtol=1e-6, atol=0, equal_nan=True)
            for scaled, plain in points
        ]
    if not all(agree):
        raise InputError(
            f"law {law.name!r} is no sum of plain powers of its counts, so its coefficients in raw "
            "units are not known; use units='reference', or give the law its own raw=..."
            if law.raw is None
            else f"law {law.name!r}: its raw= gives coefficients that change the loss; correct it"
        )
    return raw


def _points(
    law: Law, reference: Mapping[str, float], stretch: float
) -> tuple[dict[str, float], dict[str, float]]:
    """One point in scaled and in raw inputs; unscaled inputs are put inside their range."""
    scaled, plain = {}, {}
    for i, name in enumerate(law.inputs, start=1):
        known = variable(name, law.variables)
        low = known.low if math.isfinite(known.low) else 1.0
        inside = low + (min(known.high, low + 1) - low) * i / (len(law.inputs) + 1)
        scaled[name] = inside if reference[name] == 1.0 else stretch**i
        plain[name] = scaled[name] * reference[name]
    return scaled, plain
