"""A density as a list of elementary operations, with its gradient.

A law's log posterior is called once with symbols in place of coordinates and data; what it does is
written down and differentiated in reverse. A symbol is a number, or a *row*: one number a run.
What a law may use is known here: operators, comparisons, the functions of
:mod:`bayescale.language.maths` and, as PyTensor's variables do, NumPy's functions of one argument.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

__all__ = ["Symbol", "UntraceableError", "constant", "gradient", "ordered", "sum_rows", "variable"]


class UntraceableError(TypeError):
    """A law does what a symbol cannot follow."""


# What each operation does to numbers: of constants and of data it is done at once, by NumPy.
NUMPY: Mapping[str, Callable[..., Any]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "max": np.maximum,
    "min": np.minimum,
    "pow": lambda base, exponent, log_base: np.power(base, exponent),
    "less": lambda a, b: np.less(a, b) * 1.0,
    "at_most": lambda a, b: np.less_equal(a, b) * 1.0,
    "equal": lambda a, b: np.equal(a, b) * 1.0,
    "where": lambda condition, a, b: np.where(condition != 0, a, b) * 1.0,
}


@dataclass(frozen=True, eq=False)
class Symbol:
    """A number or a row that is not known yet.

    Attributes
    ----------
    op
        The operation: a key of ``NUMPY``, or ``"constant"``, ``"coordinate"``, ``"data"``,
        ``"sum"`` (of a row over the runs).
    args
        What it works on.
    row
        Whether it is one number a run.
    unknown
        Whether it depends on the coordinates, and not on data alone.
    value
        Of a constant the number, of a coordinate or data its name.
    """

    op: str
    args: tuple[Symbol, ...] = ()
    row: bool = False
    unknown: bool = False
    value: Any = None
    functions: ClassVar[ModuleType] = sys.modules[__name__]  # for `language.maths`
    __hash__ = object.__hash__

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        known = _UFUNCS.get(ufunc.__name__)
        if method != "__call__" or kwargs or known is None:
            raise UntraceableError(f"numpy.{ufunc.__name__} of a symbol")
        return known(*inputs)

    def __bool__(self) -> bool:
        raise UntraceableError("a symbol has no truth value yet: use bayescale.where")

    def __float__(self) -> float:
        raise UntraceableError("a symbol has no value yet")

    def __add__(self, other: Any) -> Symbol:
        return apply("add", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return apply("add", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return apply("sub", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return apply("sub", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return apply("mul", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return apply("mul", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Symbol:
        return apply("div", other, self)

    def __pow__(self, other: Any) -> Symbol:
        return power(self, other)

    def __rpow__(self, other: Any) -> Symbol:
        return power(other, self)

    def __neg__(self) -> Symbol:
        return apply("neg", self)

    def __pos__(self) -> Symbol:
        return self

    def __abs__(self) -> Symbol:
        return apply("abs", self)

    def __lt__(self, other: Any) -> Symbol:
        return apply("less", self, other)

    def __le__(self, other: Any) -> Symbol:
        return apply("at_most", self, other)

    def __gt__(self, other: Any) -> Symbol:
        return apply("less", other, self)

    def __ge__(self, other: Any) -> Symbol:
        return apply("at_most", other, self)

    def __eq__(self, other: Any) -> Symbol:  # type: ignore[override]
        return apply("equal", self, other)

    def __ne__(self, other: Any) -> Symbol:  # type: ignore[override]
        return 1.0 - apply("equal", self, other)

    def __and__(self, other: Any) -> Symbol:
        return apply("mul", self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Symbol:
        return apply("max", self, other)

    __ror__ = __or__

    def __invert__(self) -> Symbol:
        return 1.0 - self


def constant(value: Any) -> Symbol:
    """A number as a symbol.

    Raises
    ------
    UntraceableError
        If it is not one number.
    """
    if isinstance(value, Symbol):
        return value
    if isinstance(value, (bool, int, float, np.generic)) or np.ndim(value) == 0:
        try:
            return Symbol("constant", value=float(value))
        except (TypeError, ValueError) as error:
            raise UntraceableError(f"{type(value).__name__} among symbols") from error
    raise UntraceableError(f"an array of shape {np.shape(value)} among symbols")


def variable(op: str, name: str, *, row: bool = False) -> Symbol:
    """A coordinate or data, by name."""
    return Symbol(op, row=row, unknown=op == "coordinate", value=name)


def sum_rows(row: Symbol) -> Symbol:
    """The sum of a row over the runs."""
    return Symbol("sum", (row,), unknown=row.unknown)


def apply(op: str, *values: Any) -> Symbol:
    """An operation on symbols and numbers; what needs no symbol is worked out."""
    args = tuple(constant(value) for value in values)
    numbers = [a.value if a.op == "constant" else None for a in args]
    if None not in numbers:
        with np.errstate(all="ignore"):
            return constant(NUMPY[op](*map(np.float64, numbers)))
    if (op in ("add", "sub") and numbers[1] == 0.0) or (op in ("mul", "div") and numbers[1] == 1.0):
        return args[0]
    if (op == "add" and numbers[0] == 0.0) or (op == "mul" and numbers[0] == 1.0):
        return args[1]
    return Symbol(op, args, any(a.row for a in args), any(a.unknown for a in args))


def exp(x: Any) -> Symbol:
    """Exponential of a symbol."""
    return apply("exp", x)


def log(x: Any) -> Symbol:
    """Natural logarithm of a symbol."""
    return apply("log", x)


def log1p(x: Any) -> Symbol:
    """Natural logarithm of one plus a symbol."""
    return apply("log1p", x)


def sqrt(x: Any) -> Symbol:
    """Square root of a symbol."""
    return apply("sqrt", x)


def where(condition: Any, x: Any, y: Any) -> Symbol:
    """``x`` where the condition holds and ``y`` elsewhere."""
    return apply("where", condition, x, y)


def maximum(x: Any, y: Any) -> Symbol:
    """The larger of two; not a number where either is not one."""
    return apply("max", x, y)


def minimum(x: Any, y: Any) -> Symbol:
    """The smaller of two; not a number where either is not one."""
    return apply("min", x, y)


def power(base: Any, exponent: Any) -> Symbol:
    """``base ** exponent``: by products for whole exponents, else through the logarithm."""
    exponent = constant(exponent)
    if exponent.op == "constant" and abs(exponent.value) <= 64 and exponent.value.is_integer():
        whole = constant(1.0)
        for _ in range(int(abs(exponent.value))):
            whole = whole * base
        return whole if exponent.value >= 0 else 1.0 / whole
    # The logarithm of data is worked out once, which leaves an exponential for each run.
    return apply("pow", base, exponent, apply("log", base))


def log_gamma(x: Any) -> Symbol:
    """Logarithm of the gamma function of a positive symbol: Stirling's series, ten further up."""
    x = constant(x)
    product = x
    for i in range(1, 10):
        product = product * (x + float(i))
    y = x + 10.0
    r = 1.0 / (y * y)
    series = 1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r * (1 / 1188))))
    stirling = (y - 0.5) * apply("log", y) - y + 0.5 * math.log(2 * math.pi) + series / y
    return stirling - apply("log", product)


def ordered(results: Sequence[Symbol]) -> list[Symbol]:
    """All that the results are made of, each after what it is made of itself."""
    found: dict[Symbol, None] = {}
    for result in results:
        stack = [(result, iter(result.args))]
        while stack:
            symbol, rest = stack[-1]
            following = next((a for a in rest if a not in found), None)
            if following is None:
                found[symbol] = None
                stack.pop()
            else:
                stack.append((following, iter(following.args)))
    return list(found)


def gradient(value: Symbol, coordinates: Sequence[Symbol]) -> list[Symbol]:
    """Derivatives of a number by each coordinate, by going through its operations backwards."""
    by: dict[Symbol, Symbol] = {value: constant(1.0)}
    by_run: dict[Symbol, Symbol] = {}  # Of numbers, what each run adds to the derivative.
    for symbol in reversed(ordered([value])):
        if symbol in by_run:
            by[symbol] = by.get(symbol, constant(0.0)) + sum_rows(by_run[symbol])
        if symbol not in by or not symbol.unknown:
            continue
        for arg, part in zip(symbol.args, _partials(symbol, by[symbol]), strict=False):
            if arg.unknown and part is not None:
                into = by_run if symbol.row and not arg.row else by
                into[arg] = into[arg] + part if arg in into else part
    return [by.get(u, constant(0.0)) for u in coordinates]


def _partials(symbol: Symbol, g: Symbol) -> tuple[Any, ...]:
    """What each argument's derivative receives from that of the result, ``g``."""
    a, b, c = (*symbol.args, g, g, g)[:3]  # as many as there are
    match symbol.op:
        case "add":
            return g, g
        case "sub":
            return g, -g
        case "mul":
            return g * b, g * a
        case "div":
            over = g / b
            return over, -(over * symbol)
        case "neg":
            return (-g,)
        case "abs":
            return (apply("where", a < 0.0, -g, g),)
        case "sqrt":
            return (g * 0.5 / symbol,)
        case "exp":
            return (g * symbol,)
        case "log":
            return (g / a,)
        case "log1p":
            return (g / (1.0 + a),)
        case "pow":  # c is log(a); zero to a positive power stays zero.
            flat = apply("where", apply("less", 0.0, a), c, 0.0)
            return g * b * apply("pow", a, b - 1.0, c), g * symbol * flat
        case "max":
            return apply("where", a < b, 0.0, g), apply("where", a < b, g, 0.0)
        case "min":
            return apply("where", b < a, 0.0, g), apply("where", b < a, g, 0.0)
        case "where":
            return None, apply("where", a, g, 0.0), apply("where", a, 0.0, g)
        case "sum":
            return (g,)
    return ()


_UFUNCS: Mapping[str, Callable[..., Symbol]] = {
    **{
        name: lambda *a, op=op: apply(op, *a)
        for name, op in {
            "add": "add",
            "subtract": "sub",
            "multiply": "mul",
            "divide": "div",
            "negative": "neg",
            "absolute": "abs",
            "sqrt": "sqrt",
            "exp": "exp",
            "log": "log",
            "log1p": "log1p",
            "less": "less",
            "less_equal": "at_most",
            "equal": "equal",
        }.items()
    },
    "log2": lambda a: apply("log", a) / math.log(2.0),
    "log10": lambda a: apply("log", a) / math.log(10.0),
    "greater": lambda a, b: apply("less", b, a),
    "greater_equal": lambda a, b: apply("at_most", b, a),
    "not_equal": lambda a, b: 1.0 - apply("equal", a, b),
    "square": lambda a: a * a,
    "power": power,
    "float_power": power,
    "gammaln": log_gamma,
}
