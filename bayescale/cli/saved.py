"""Saved fits: finding their laws, taking their groups, and where one may be saved."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bayescale.common.errors import InputError
from bayescale.fitting.files import about_saved
from bayescale.language.law import Law

if TYPE_CHECKING:
    from bayescale.fitting.fits import Fit

__all__ = ["check_fit_path", "check_ungrouped", "open_fit", "open_fits", "open_one"]


def open_fit(path: Path, law: Law | None = None, group: str | None = None) -> Fit:
    """Read a saved fit, and take one of its groups.

    Raises
    ------
    InputError
        If it is not a fit, or its law is neither given nor one of the package's.
    """
    from bayescale.fitting.fits import FORMAT, load_fit
    from bayescale.fitting.groups import group as one_group
    from bayescale.models import laws

    if law is None:
        about = about_saved(path) or {}
        known = about.get("format") == FORMAT and isinstance(about.get("law"), str)
        if known and about["law"] not in laws():
            raise InputError(
                f"{path} holds a fit of {about.get('signature')}, which is not one of the "
                f"package's laws; give it with --law path/to/file.py:{about.get('law')}"
            )
    fit = load_fit(path, law)
    return fit if group is None else one_group(fit, group)


def open_one(path: Path, law: str | None, group: str | None) -> Fit:
    """Read a fit as --law and --group say, for what needs one set of coefficients.

    Raises
    ------
    InputError
        As :func:`open_fit`, or if it has groups and none is chosen.
    """
    from bayescale.cli.inputs import find_law

    fit = open_fit(path, find_law(law) if law else None, group)
    check_ungrouped(fit, path)
    return fit


def open_fits(paths: Sequence[Path], laws: Sequence[Law] = ()) -> dict[str, Fit]:
    """Read fits by name, each with whichever of some laws it is a fit of.

    Raises
    ------
    InputError
        As :func:`open_fit`, or if a file is given twice.
    """
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise InputError("the same file is given twice; a comparison is of different fits")
    own = {law.name: law for law in laws}
    return {
        name: open_fit(path, own.get(str((about_saved(path) or {}).get("law"))))
        for name, path in zip(names, paths, strict=True)
    }


def check_ungrouped(fit: Fit, path: Path) -> None:
    """Refuse a fit with groups where one is needed."""
    by = fit.about.get("by")
    if by:
        levels = ", ".join(map(str, fit.posterior[by].values))
        raise InputError(f"{path} has coefficients by {by!r}; choose a --group: {levels}")


def check_fit_path(path: Path, *, force: bool = False) -> None:
    """Make sure that a fit can be saved, before any work is done for it.

    An earlier fit is replaced; any other file only with ``force``.

    Raises
    ------
    InputError
        If it cannot be, with the reason.
    """
    if path.is_dir():
        raise InputError(f"cannot save to {path}: it is a folder; name a file in it")
    if not path.parent.is_dir():
        raise InputError(f"cannot save to {path}: the folder {path.parent} does not exist")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot save to {path}: the folder {path.parent} may not be written to")
    if path.exists() and not force and about_saved(path) is None:
        raise InputError(
            f"{path} exists and is not a bayescale fit; give another name, or --force to replace it"
        )
