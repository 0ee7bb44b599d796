"""Functions for law bodies that work on every kind of number a law is called with.

A law is evaluated on floats, NumPy arrays, labelled ``xarray.DataArray`` draws and symbolic
PyTensor variables. Operators work on all of them; the functions here do too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["exp", "log", "log1p", "maximum", "minimum", "sqrt", "where"]


def _symbolic(*values: Any) -> Any:
    """The module that understands symbols among the values, or None where all are numbers."""
    for value in values:
        module = type(value).__module__
        if module.startswith("pytensor.xtensor"):
            import pytensor.xtensor.math as xmath

            return xmath
        if module.startswith("pytensor"):
            import pytensor.tensor as pt

            return pt
        if functions := getattr(type(value), "functions", None):
            return functions  # a kind of symbol that brings its own
    return None


def log(x: Any) -> Any:
    """Natural logarithm of a number, array, labelled array or symbol.

    Examples
    --------
    >>> float(log(1.0))
    0.0
    """
    return (_symbolic(x) or np).log(x)


def log1p(x: Any) -> Any:
    """Natural logarithm of one plus ``x``, exact for small ``x``."""
    return (_symbolic(x) or np).log1p(x)


def exp(x: Any) -> Any:
    """Exponential of a number, array, labelled array or symbol."""
    return (_symbolic(x) or np).exp(x)


def sqrt(x: Any) -> Any:
    """Square root of a number, array, labelled array or symbol."""
    return (_symbolic(x) or np).sqrt(x)


def where(condition: Any, x: Any, y: Any) -> Any:
    """``x`` where the condition holds and ``y`` elsewhere.

    Examples
    --------
    >>> float(where(True, 1.0, 2.0))
    1.0
    """
    symbolic = _symbolic(condition, x, y)
    if symbolic is not None:
        return symbolic.where(condition, x, y)
    if any(type(value).__module__.startswith("xarray") for value in (condition, x, y)):
        import xarray as xr

        return xr.where(condition, x, y)
    return np.where(condition, x, y)


def maximum(x: Any, y: Any) -> Any:
    """The larger of two values; not a number where either is not one.

    Examples
    --------
    >>> float(maximum(1.0, 2.0))
    2.0
    """
    return (_symbolic(x, y) or np).maximum(x, y)


def minimum(x: Any, y: Any) -> Any:
    """The smaller of two values; not a number where either is not one."""
    return (_symbolic(x, y) or np).minimum(x, y)
