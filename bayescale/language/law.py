"""What a scaling law is: one function.

Positional arguments are inputs, keyword-only arguments are coefficients, and each
coefficient's default is its prior. The same function builds the PyMC model, predicts on labelled
posterior draws, simulates, and is differentiated for allocation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, overload

from bayescale.common.errors import InputError
from bayescale.language.docstrings import parameters
from bayescale.language.priors import Prior, as_prior
from bayescale.language.variables import VARIABLES, Variable, variable

__all__ = ["RESERVED_PREFIXES", "Coefficients", "Law", "law"]

# Dimensions and variables of a fit, and arguments of the functions that take inputs by name.
_RESERVED = {"budget", "chain", "draw", "error", "fit", "level", "mean", "node", "run", "seed"}
_RESERVED |= {
    "discrepancy_component",
    "discrepancy",
    "log_loss",
    "log_posterior",
    "loss",
    "loss_scale",
}
_RESERVED |= {"product", "weights"}
#: Of the parameters and data of the noise, the discrepancy and the groups.
RESERVED_PREFIXES = ("noise_", "discrepancy_", "member_", "probe_", "shift_")


@dataclass(frozen=True)
class Coefficients:
    """A published set of coefficients, in the paper's raw units.

    Attributes
    ----------
    values
        Coefficient by name, for counts in plain parameters and tokens and losses in nats.
    source
        Paper and table.
    certainty
        How the numbers were read: ``"full text"``, ``"official code"``, ``"third-party code"``,
        ``"notes"`` (of a careful reader) or ``"second-hand"``; ``"refit"`` where this package
        fitted them to the authors' own runs.
    errors
        Published standard errors, where there are any.
    note
        What the inputs mean in the source where that is not plain, and known trouble.
    """

    values: Mapping[str, float]
    source: str = ""
    certainty: str = ""
    errors: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, eq=False)
class Law:
    """A scaling law: made by :func:`law`, called like the function it was made from.

    Attributes
    ----------
    function
        The formula.
    name
        The function's name.
    inputs
        Names of the inputs, in the order of the positional arguments.
    priors
        Prior by coefficient, in the order of the keyword-only arguments.
    published
        Published coefficient sets by name.
    cost
        The default cost model: training FLOPs as a function of inputs.
    variables
        Inputs as this law means them: those that the vocabulary does not know, and of those that
        it knows what the docstring says of them, or an entry of the law's own.
    raw
        From coefficients in reference units and the reference of every input to raw units;
        needed only by laws whose terms are not plain powers of their count inputs.
    """

    function: Callable[..., Any]
    name: str
    inputs: tuple[str, ...]
    priors: Mapping[str, Prior]
    published: Mapping[str, Coefficients] = field(default_factory=dict)
    cost: Callable[..., Any] | None = None
    variables: tuple[Variable, ...] = ()
    raw: Callable[[dict[str, Any], dict[str, float]], dict[str, Any]] | None = None

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Loss at the inputs, which may be given by position or by name."""
        values = dict(zip(self.inputs, inputs, strict=False))
        wanted = (*self.inputs, *self.priors)
        wrong = {
            "given twice": [name for name in named if name in values],
            "missing": [name for name in wanted if name not in values and name not in named],
            "unknown": [name for name in named if name not in wanted],
            "one input too many": inputs[len(self.inputs) :],
        }
        for what, names in wrong.items():
            if names:
                raise TypeError(f"{self.signature()}: {what}: {', '.join(map(str, names))}")
        values |= named
        arguments = [values[name] for name in self.inputs]
        try:
            return self.function(*arguments, **{name: values[name] for name in self.priors})
        except (TypeError, ValueError) as error:
            raise InputError(
                f"law {self.name!r} fails on {_kinds(values)}: {error}; write its formula with "
                "operators, and with exp, log, where, maximum and minimum from bayescale, which "
                "work on numbers, arrays and symbols alike"
            ) from error

    @property
    def coefficients(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return tuple(self.priors)

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (self.__doc__ or "").strip().split("\n")[0]

    def signature(self) -> str:
        """Inputs and coefficients, by which a saved fit recognises its law."""
        return f"{self.name}({', '.join(self.inputs)}; {', '.join(self.priors)})"

    def __repr__(self) -> str:
        return f"<law {self.signature()}>"

    def __reduce__(self) -> Any:
        # Like a function, a law is pickled as the name that it is bound to: workers in other
        # processes import its module, and one without such a name is refused here, not there.
        return self.function.__qualname__


def _kinds(values: Mapping[str, Any]) -> str:
    return ", ".join(sorted({type(value).__name__ for value in values.values()}))


@overload
def law(function: Callable[..., Any], /) -> Law: ...
@overload
def law(
    *,
    published: Mapping[str, Coefficients | Mapping[str, float]] | None = None,
    cost: Callable[..., Any] | None = None,
    variables: tuple[Variable, ...] = (),
    raw: Callable[[dict[str, Any], dict[str, float]], dict[str, Any]] | None = None,
) -> Callable[[Callable[..., Any]], Law]: ...
def law(
    function: Callable[..., Any] | None = None,
    /,
    *,
    published: Mapping[str, Coefficients | Mapping[str, float]] | None = None,
    cost: Callable[..., Any] | None = None,
    variables: tuple[Variable, ...] = (),
    raw: Callable[[dict[str, Any], dict[str, float]], dict[str, Any]] | None = None,
) -> Law | Callable[[Callable[..., Any]], Law]:
    """Make a scaling law of a function.

    Parameters
    ----------
    function
        Positional arguments are inputs, keyword-only arguments are coefficients with priors as
        defaults; it returns the loss in nats. Inputs named as in the package's vocabulary
        (``N``, ``N_active``, ``D``, ``S``, ``G``, ``experts`` …) are checked against it.
    published
        Published coefficient sets by name, in raw units: a mapping, or a :class:`Coefficients`
        that also says where they come from.
    cost
        Training FLOPs as a function of inputs, used by ``allocate`` and ``decide``.
    variables
        Descriptions of inputs that the vocabulary does not know, or by whose name this law means
        something narrower. For others, what the docstring says under ``Parameters`` replaces
        the vocabulary's description wherever the law's inputs are listed.
    raw
        From coefficients in reference units to raw units; see :class:`Law`.

    Returns
    -------
    Law
        Callable like the function.

    Raises
    ------
    InputError
        If a coefficient has no prior, or a published set does not fit the coefficients.

    Examples
    --------
    >>> from bayescale import amplitude, exponent, floor, law
    >>> @law
    ... def tokens_only(D, *, E=floor(), B=amplitude(), beta=exponent()):
    ...     "Loss of one model size trained on D tokens."
    ...     return E + B * D**-beta
    >>> tokens_only
    <law tokens_only(D; E, B, beta)>
    >>> round(tokens_only(1e9, E=2.0, B=100.0, beta=0.25), 4)
    2.5623
    """

    def make(function: Callable[..., Any]) -> Law:
        inputs, priors = _read_signature(function)
        sets = {name: _as_set(name, given, priors) for name, given in (published or {}).items()}
        made = Law(
            function=function,
            name=function.__name__,
            inputs=inputs,
            priors=MappingProxyType(priors),
            published=MappingProxyType(sets),
            cost=cost,
            variables=_as_meant(function, inputs, tuple(variables)),
            raw=raw,
        )
        for attribute in ("__doc__", "__module__", "__qualname__", "__name__", "__wrapped__"):
            value = function if attribute == "__wrapped__" else getattr(function, attribute, None)
            object.__setattr__(made, attribute, value)
        return made

    return make if function is None else make(function)


def _as_meant(
    function: Callable[..., Any], inputs: tuple[str, ...], own: tuple[Variable, ...]
) -> tuple[Variable, ...]:
    """What is known of the inputs, in the words of the law's docstring where it has any."""
    told = {entry.name for entry in own}
    said = parameters(function.__doc__ or "")
    return own + tuple(
        replace(variable(name), description=_phrase(said[name]))
        for name in inputs
        if name in VARIABLES and name in said and name not in told
    )


def _phrase(text: str) -> str:
    """A sentence of a docstring as a description: ``Training tokens.`` is "training tokens"."""
    text = text.replace("``", "").removesuffix(".")
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def _read_signature(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Prior]]:
    inputs: list[str] = []
    priors: dict[str, Prior] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            if parameter.default is not parameter.empty:
                raise InputError(
                    f"law {function.__name__!r}: input {name!r} has a default, which runs would "
                    "override; if it is a coefficient, put it after a star: def my_law(N, D, *, "
                    "E=floor(), ...)"
                )
            inputs.append(name)
        elif parameter.kind is parameter.KEYWORD_ONLY:
            prior = as_prior(parameter.default)
            if not isinstance(prior, Prior):
                raise InputError(
                    f"law {function.__name__!r}: coefficient {name!r} has no prior; give it one as "
                    f"its default, such as {name}=amplitude() or {name}=exponent(0.25)"
                )
            priors[name] = prior
        else:
            raise InputError(
                f"law {function.__name__!r}: *args and **kwargs are not allowed; name every input "
                "before the star and every coefficient after it"
            )
    if not inputs or not priors:
        raise InputError(
            f"law {function.__name__!r} needs inputs before a star and coefficients after it, as "
            "in def my_law(N, D, *, E=floor(), A=amplitude(), alpha=exponent())"
        )
    reserved = [n for n in (*inputs, *priors) if n.startswith(RESERVED_PREFIXES) or n in _RESERVED]
    if reserved:
        raise InputError(
            f"law {function.__name__!r}: {reserved[0]!r} cannot name an input or a coefficient: "
            f"names that start with {', '.join(map(repr, RESERVED_PREFIXES))} are the noise's and "
            f"the like, and {', '.join(sorted(_RESERVED))} have meanings of their own; choose "
            "another name"
        )
    return tuple(inputs), priors


def _as_set(name: str, given: Any, priors: Mapping[str, Prior]) -> Coefficients:
    made = given if isinstance(given, Coefficients) else Coefficients(values=dict(given))
    if set(made.values) != set(priors):
        raise InputError(
            f"published set {name!r} names {sorted(made.values)}, the law's coefficients are "
            f"{sorted(priors)}"
        )
    return made
