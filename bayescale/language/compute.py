"""Where a run stands: its training compute and its tokens per parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bayescale.language.columns import derive
from bayescale.language.law import Law
from bayescale.language.variables import variable

__all__ = [
    "cost_arguments",
    "flops_of",
    "law_flops",
    "size_input",
    "tokens_per_parameter",
    "training_compute",
]


def law_flops(law: Law, inputs: Mapping[str, Any]) -> Any | None:
    """Training FLOPs under a law's own cost model; None where it has none or lacks an input.

    The cost model of a law may need an input that the law does not take, such as its tokens.

    Parameters
    ----------
    law
        The law.
    inputs
        Its inputs in plain units: numbers, arrays or DataArrays.

    Examples
    --------
    >>> from bayescale.models import dense
    >>> f"{law_flops(dense, {'N': 70e9, 'D': 1.4e12}):.3g}"
    '5.88e+23'
    """
    return None if law.cost is None else flops_of(law.cost, inputs)


def flops_of(cost: Callable[..., Any], values: Mapping[str, Any]) -> Any | None:
    """Training FLOPs under a cost model; None where an argument without a default is missing."""
    wanted = inspect.signature(cost).parameters
    given = cost_arguments(wanted, values)
    needed = [name for name, one in wanted.items() if one.default is inspect.Parameter.empty]
    return cost(**given) if all(name in given for name in needed) else None


def cost_arguments(names: Iterable[str], values: Mapping[str, Any]) -> dict[str, Any]:
    """A cost model's arguments, derived where they can be; what is left has a default."""
    found = {name: values[name] if name in values else derive(name, values) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def training_compute(law: Law, inputs: Mapping[str, Any]) -> Any:
    """FLOPs of runs (:func:`law_flops`); where they are not known, the product of the counts."""
    flops = law_flops(law, inputs)
    if flops is not None:
        return flops
    compute: Any = 1.0
    for name in _of_unit(law, "parameters") + _of_unit(law, "tokens"):
        compute = compute * inputs[name]
    return compute


def tokens_per_parameter(law: Law, inputs: Mapping[str, Any]) -> Any | None:
    """Tokens over parameters of runs; None for a law that does not take both."""
    tokens, sizes = _of_unit(law, "tokens"), _of_unit(law, "parameters")
    return inputs[tokens[-1]] / inputs[sizes[0]] if tokens and sizes else None


def size_input(law: Law) -> str | None:
    """The input that says how large a model is, if the law takes one."""
    return next(iter(_of_unit(law, "parameters")), None)


def _of_unit(law: Law, unit: str) -> list[str]:
    return [name for name in law.inputs if variable(name, law.variables).unit == unit]
