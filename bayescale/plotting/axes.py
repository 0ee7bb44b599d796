"""Axes of plots: what they show and in which unit, their scale and their ticks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.quantities import format_number
from bayescale.language.variables import variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["axis_label", "is_log", "level_label", "log_ticks", "scale_axis", "symbol"]

_SYMBOLS = {
    "N": "$N$",
    "N_active": r"$N_\mathrm{active}$",
    "D": "$D$",
    "S": "$S$",
    "G": "$G$",
    "D_dense": r"$D_\mathrm{dense}$",
    "D_upcycled": r"$D_\mathrm{upcycled}$",
    "D_unique": r"$D_\mathrm{unique}$",
}
_TITLES = {
    "N": "model size",
    "N_active": "active size",
    "D": "training data",
    "S": "sparsity",
    "G": "granularity",
    "experts": "experts",
    "expansion": "expansion rate",
    "D_dense": "dense training",
    "D_upcycled": "upcycled training",
    "D_unique": "different data",
    "flops": "training compute",
    "tokens_per_parameter": "tokens per parameter",
    "budget": "training budget",
}
_UNITS = {"budget": "FLOP"}
_COMPUTE = ("budget", "flops")


def symbol(name: str) -> str:
    """An input as it is written in a formula."""
    return _SYMBOLS.get(name, name)


def axis_label(name: str, extra: Iterable[Any] = (), *, short: bool = False, unit: str = "") -> str:
    """What an axis shows and its unit: of an input, of ``loss`` or of ``budget``."""
    unit = unit or _UNITS.get(name) or variable(name, extra).unit
    words = symbol(name) if name in _SYMBOLS else _TITLES.get(name, name)
    if name in _SYMBOLS and not short:
        words = f"{_TITLES[name]} {words}"
    return f"{words} ({unit})" if unit else words


def level_label(name: str, value: float, extra: Iterable[Any] = ()) -> str:
    """A value of an input with its unit, such as ``190M parameters`` or ``S = 0.5``."""
    if name == "budget":
        return _flop(value)
    known = variable(name, extra)
    if known.name == "experts":
        return f"{value:.4g} expert{'' if value == 1 else 's'}"
    if known.unit:
        return f"{format_number(value)} {known.unit}"
    return f"{symbol(name)} = {value:.3g}"


def _flop(value: float) -> str:
    """A number of FLOPs for a legend."""
    exponent = int(np.floor(np.log10(value) + 1e-9))
    factor = f"{value / 10**exponent:.3g}"
    times = "" if factor == "1" else rf"{factor} \times "
    return rf"${times}10^{{{exponent}}}$ FLOP"


def is_log(name: str, values: Any, extra: Iterable[Any] = ()) -> bool:
    """Whether an axis of these values is logarithmic."""
    low, high = float(np.min(values)), float(np.max(values))
    if low <= 0:
        return False
    counts = variable(name, extra).scale is not None or name in _COMPUTE
    return counts or high / low >= 4


def scale_axis(
    ax: Axes,
    which: str,
    name: str,
    values: Any,
    *,
    log: bool,
    extra: Iterable[Any] = (),
    short: bool = False,
    unit: str = "",
) -> None:
    """Scale, ticks and label of the ``x`` or ``y`` axis for values of an input."""
    axis = getattr(ax, f"{which}axis")
    getattr(ax, f"set_{which}label")(axis_label(name, extra, short=short, unit=unit))
    if not log:
        return
    getattr(ax, f"set_{which}scale")("log")
    levels = np.unique(np.round(np.log2(np.asarray(values, dtype=float)), 6))
    if variable(name, extra).scale is None and name not in _COMPUTE and (levels % 1 == 0).all():
        log_ticks(axis, lambda value: f"{value:g}", base=2.0)
    else:
        log_ticks(axis, _power if name in _COMPUTE else format_number)


def log_ticks(axis: Any, write: Callable[[float], str], base: float = 10.0) -> None:
    """Ticks of a logarithmic axis that suit its range and its room, written as told."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    from bayescale.plotting.ticks import RoundTicks

    axis.set_major_locator(RoundTicks(base))
    axis.set_major_formatter(FuncFormatter(lambda value, _: write(value)))
    fine = LogLocator(base=10, subs=list(range(2, 10)), numticks=99)
    axis.set_minor_locator(fine if base == 10 else NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _power(value: float) -> str:
    return _flop(value).removesuffix(" FLOP") if value > 0 else ""
