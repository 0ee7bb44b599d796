"""The vocabulary: what every input name means, its unit, and the values it can take.

A name means one thing everywhere: in a table of runs, in a law's arguments, in a prediction and
in an allocation. Papers use the same letters for different things, so a law's docstring says
which of these it takes and converts where its paper differs.

Names outside the vocabulary are allowed, because a law may take any input; they are only held to
being finite numbers unless the law describes them with a `Variable` of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from bayescale.common.errors import InputError

__all__ = ["LOSS_UNIT", "VARIABLES", "Variable", "short_unit", "variable"]

#: The unit of losses where a table says nothing else.
LOSS_UNIT = "nats per token"


@dataclass(frozen=True, slots=True)
class Variable:
    """One name that tables of runs, laws, predictions and allocations share.

    Parameters
    ----------
    name : str
        The name, as written in a table's header and in a law's arguments.
    unit : str, optional
        The unit of its values; "" for a pure number.
    description : str, optional
        One line on what it counts and what it leaves out.
    low, high : float, optional
        The plausible range, in `unit`. It is wide enough for any real run and narrow enough to
        notice a column written in billions or in per cent.
    low_open, high_open : bool, optional
        Whether that end of the range is itself excluded.
    scale : str, optional
        The group of inputs that share one reference when a fit divides them by their geometric
        mean, so that `N` and `N_active` stay comparable. None: never divided.
    integer : bool, optional
        Whether a run can only have a whole number of it.
    aliases : tuple of str, optional
        Headers by which other people's tables call it: ``read_runs`` takes them, and for a
        table that was read otherwise they are offered as a rename.

    Raises
    ------
    InputError
        If the range is empty.

    Examples
    --------
    >>> from bayescale.language.variables import Variable
    >>> Variable("batch", unit="tokens", description="tokens per step", low=0).high
    inf
    """

    name: str
    unit: str = ""
    description: str = ""
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = True
    high_open: bool = False
    scale: str | None = None
    integer: bool = False
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise InputError(
                f"variable {self.name!r}: its range ends at {self.high:g}, not above its start "
                f"{self.low:g}; give low < high"
            )


def _row(name: str, like: Variable, description: str, headers: str, **other: Any) -> Variable:
    aliases = tuple(headers.split())
    return replace(like, name=name, description=description, aliases=aliases, **other)


# Ranges as wide as any real run needs: a table with fewer than 1e4 parameters or 1e6 tokens in a
# row is written in thousands, millions or billions.
_SIZE = Variable("", unit="parameters", low=1e4, high=1e16, low_open=False, scale="parameters")
_TOKENS = Variable("", unit="tokens", low=1e6, high=1e18, low_open=False, scale="tokens")
_FROM_ONE = Variable("", low=1.0, high=1e6, low_open=False)
_SHARE = Variable("", low=0.0, high=1.0, low_open=False, high_open=True)
_RATIO = Variable("", low=1 / 64, high=4096.0, low_open=False)
_FLOP = Variable("", unit="FLOP", low=1e10, high=1e32, low_open=False, scale="flops")
_NATS = Variable("", unit=LOSS_UNIT, low=0.0, high=100.0)

# Name, range and unit, what it counts, and headers by which other people's tables call it.
_VOCABULARY = (
    _row("N", _SIZE, "total parameters, active or not",
         "params n_params num_params parameters n_parameters num_parameters total_params "
         "total_parameters model_size model_params n_total"),
    _row("N_active", _SIZE,
         "parameters used for one token; the non-zero ones of a sparse network",
         "active active_params active_parameters n_active_params activated_params n_act "
         "nonzero_params"),
    _row("D", _TOKENS, "training tokens seen, repeats included (images for an image model)",
         "tokens train_tokens training_tokens n_tokens num_tokens total_tokens tokens_seen"),
    _row("S", _SHARE,
         "sparsity: the share of parameters that a token leaves unused, 1 - N_active/N",
         "sparsity inactive_share"),
    _row("G", _RATIO,
         "granularity: the dense feed-forward width over one expert's, d_ff / d_expert",
         "granularity"),
    _row("experts", _FROM_ONE, "experts in a routed layer; 1 for a dense network",
         "n_experts num_experts n_expert expert_count", integer=True),
    _row("expansion", _FROM_ONE,
         "parameters of all experts of a layer over the dense feed-forward's",
         "expansion_rate expansion_factor"),
    _row("D_dense", _TOKENS, "tokens that the dense parent saw before it was upcycled",
         "dense_tokens pretrain_tokens pretraining_tokens", scale="D_dense"),
    _row("D_upcycled", _TOKENS, "tokens seen after upcycling",
         "upcycled_tokens upcycling_tokens", scale="D_upcycled"),
    _row("D_unique", _TOKENS, "different tokens in the training set, before any is repeated",
         "unique_tokens n_unique_tokens dataset_tokens dataset_size"),
    _row("flops", _FLOP, "training compute; 6 * N_active * D where a table does not give it",
         "flop compute training_flops train_flops training_compute C"),
    _row("loss", _NATS, "final loss of the run",
         "val_loss valid_loss validation_loss eval_loss test_loss final_loss train_loss "
         "training_loss cross_entropy"),
)  # fmt: skip

VARIABLES: Mapping[str, Variable] = MappingProxyType({entry.name: entry for entry in _VOCABULARY})
"""The vocabulary, by name (read only)."""


def short_unit(unit: str) -> str:
    """A unit of losses as it stands after a difference of two.

    Examples
    --------
    >>> short_unit("nats per token"), short_unit("bits per byte")
    ('nats', 'bits per byte')
    """
    return unit.removesuffix(" per token")


def variable(name: str, extra: Iterable[Variable] = ()) -> Variable:
    """Return what is known of an input name.

    Parameters
    ----------
    name : str
        The name of an input.
    extra : iterable of Variable, optional
        What a user's law says of its own inputs; it comes before the vocabulary.

    Returns
    -------
    Variable
        The entry of `extra` or of `VARIABLES`; for a name in neither, one that allows any finite
        number and has neither unit nor scale.

    Examples
    --------
    >>> from bayescale.language.variables import variable
    >>> variable("D").unit
    'tokens'
    >>> variable("learning_rate").scale is None
    True
    """
    for entry in extra:
        if entry.name == name:
            return entry
    return VARIABLES.get(name) or Variable(name)
