"""Files of fits as they are found: foreign, cut off, damaged, or made to look like one."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.files import is_intact
from bayescale.language.law import Law

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["about_saved", "damaged", "read_tree", "wrong_about", "wrong_draws"]

#: Most bytes of draws per byte of file; compressed by other tools it has far fewer.
_LARGEST = 2000

#: What entries may be, where they are there.
_KINDS: dict[str, tuple[type, ...]] = {
    "by": (str, int, float, NoneType),
    "directions": (list,),
    "loss_unit": (str,),
    "noise": (str, NoneType),
    "noise_centre": (dict,),
    "options": (dict,),
    "priors": (dict,),
    "runs": (str,),
    "probe": (int, float, NoneType),
    "seed": (int, NoneType),
    "simulated": (bool,),
    "table": (str,),
    "understood": (list,),
    "where": (str,),
}


def about_saved(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """What a file says of the fit it holds, without its draws; None if it holds none."""
    import h5py

    # A damaged file can keep HDF5 busy for ever, so that is found out before.
    try:
        if not is_intact(Path(path)):
            return None
        with h5py.File(path, "r") as file:
            about = json.loads(file.attrs["bayescale"])
    except Exception:
        return None
    return about if isinstance(about, dict) else None


def read_tree(source: Path) -> xr.DataTree:
    """All groups of a file, in memory.

    Raises
    ------
    InputError
        If they cannot be read, or are not laid out as a fit's are.
    """
    import h5py
    import xarray as xr

    try:
        with h5py.File(source, "r") as file:
            wrong = _wrong_layout(file, source.stat().st_size)
        if not wrong:
            with xr.open_datatree(source, engine="h5netcdf") as opened:
                return opened.load()
    except Exception as error:
        raise damaged(source, type(error).__name__) from error
    raise damaged(source, wrong)


def _wrong_layout(file: Any, size: int) -> str:
    """What would keep a reader busy for ever, or lead it elsewhere; nothing if all is well."""
    import h5py

    declared = 0
    for group in file.values():
        held = [group] if isinstance(group, h5py.Dataset) else [group[name] for name in group]
        if any(isinstance(one, h5py.Group) for one in held):
            return "it has groups in groups"
        declared += sum(one.nbytes for one in held)
    return "" if declared <= _LARGEST * size else f"it claims {declared:.1e} bytes, and has {size}"


def damaged(source: Path, why: str) -> InputError:
    """The error for a file that is no fit, or no longer."""
    return InputError(
        f"{source} is not a bayescale fit, or is damaged ({why}); make it again with fit.save(path)"
    )


def wrong_about(about: Mapping[str, Any]) -> str:
    """What is wrong with what a file says of its fit; nothing if it is right."""
    if not all(isinstance(about.get(name), str) for name in ("law", "signature")):
        return "it names no law"
    if "noise" not in about:
        return "it does not say what its noise is"
    for name, kinds in _KINDS.items():
        if name in about and not isinstance(about[name], kinds):
            return f"its {name} is {about[name]!r:.40}"
    if not all(_is_direction(one) for one in about.get("directions", ())):
        return "its directions are none"
    for name, least in (("reference", 0.0), ("fixed", -math.inf)):
        held = about.get(name)
        numbers = held.values() if isinstance(held, dict) else [None]
        if not all(isinstance(x, (int, float)) and least < x < math.inf for x in numbers):
            return f"its {name} values are no numbers"
    return ""


def _is_direction(one: Any) -> bool:
    """Whether it is a direction of a discrepancy, as a fit says of itself."""
    if not isinstance(one, dict):
        return False
    powers, nodes = one.get("powers"), one.get("nodes")
    if not isinstance(powers, dict) or not isinstance(nodes, list):
        return False
    numbers = all(isinstance(x, (int, float)) and math.isfinite(x) for x in nodes)
    return (
        bool(powers)
        and all(power in (1, -1) for power in powers.values())
        and len(nodes) > 1
        and numbers
        and all(low < high for low, high in pairwise(nodes))
    )


def wrong_draws(law: Law, about: Mapping[str, Any], tree: xr.DataTree) -> str:
    """What is wrong with the draws of a file; nothing if they are right."""
    import xarray as xr

    if missing := [name for name in law.inputs if name not in about["reference"]]:
        return f"it has no reference for {missing[0]}"
    draws = tree.children.get("posterior", xr.DataTree()).dataset
    for name in law.coefficients:
        if name in about["fixed"]:
            continue
        if name not in draws.data_vars or not {"chain", "draw"} <= set(draws[name].dims):
            return f"it has no draws of {name}"
        values = draws[name].values
        if values.dtype.kind != "f" or not values.size or not np.isfinite(values).all():
            return f"its draws of {name} are not all finite numbers"
    if directions := about.get("directions"):
        if not {name for one in directions for name in one["powers"]} <= set(law.inputs):
            return "its directions are not of the law's inputs"
        nodes = sum(len(one["nodes"]) for one in directions)
        if draws.sizes.get("node") != nodes or "discrepancy_level" not in draws:
            return "its directions are not those of its draws"
    runs = tree.children.get("runs")
    return "" if runs is None or "run" in runs.sizes else "its table has no runs"
