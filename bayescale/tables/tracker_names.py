"""What the headers of experiment trackers mean: ``config.n_params``, ``tokens (B)``, ``val/loss``.

A header is compared without case, punctuation and the tracker's own prefixes. Single letters mean
something only as the vocabulary writes them: ``d`` is more often a width than a token count.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from bayescale.language.variables import VARIABLES

__all__ = [
    "LOGARITHM",
    "OWN_UNITS",
    "PARAMETERS",
    "Meaning",
    "is_count",
    "meaning_of",
    "measure_of",
]

#: What is to be said of a loss that was read from perplexities.
LOGARITHM = "perplexity; its natural logarithm is taken"
#: Units of loss that are fitted as they are: what they are in nats per token is in no table.
OWN_UNITS = ("bits per byte", "bits per character", "nats per byte", "nats per character")


class Meaning(NamedTuple):
    """What a header stands for.

    Attributes
    ----------
    quantity
        A name of the vocabulary, or ``run``, ``step``, ``max_steps`` or ``lr``.
    rank
        Which of several columns is meant: the lowest.
    note
        What is to be said of it.
    factor
        What its values are multiplied by.
    exact
        Whether the header is the vocabulary's own name.
    measure
        Of a loss that is not in nats: ``"perplexity"``, or one of :data:`OWN_UNITS`.
    """

    quantity: str
    rank: float = 1.0
    note: str = ""
    factor: float = 1.0
    exact: bool = False
    measure: str = ""


# Beside the vocabulary's aliases.
_MORE = {
    "N": "nparams param_count parameter_count params_total model_parameters num_model_params",
    "D": "ntokens token_count consumed_tokens train_consumed_tokens tokens_trained tokens_consumed "
    "n_train_tokens num_train_tokens total_train_tokens total_training_tokens seen_tokens "
    "throughput_total_tokens perf_total_tokens",
    "flops": "total_flops total_training_flops n_flops num_flops training_flop train_flop "
    "total_flop flops_budget flop_budget compute_budget budget compute_flops",
    "experts": "number_of_experts num_moe_experts moe_experts moe_num_experts n_routed_experts",
    "D_unique": "n_unique_tokens num_unique_tokens unique_train_tokens tokens_unique",
    "run": "run_id run_name runid wandb_run_id experiment_id experiment_name exp_id exp_name "
    "trial_id trial_name job_id id name job_name model_name model",
    "step": "global_step iteration iter steps n_steps train_step trainer_global_step train_steps",
    "max_steps": "total_steps max_iters train_iters num_train_steps num_training_steps max_step",
    "lr": "learning_rate train_lr train_learning_rate optim_lr optimizer_lr lr_adamw "
    "learning_rate_group0 optim_learning_rate_group0",
    "batch": "global_batch_size batch_size gbsz gbs train_batch_size total_batch_size bsz "
    "effective_batch_size",
    "batch_tokens": "batch_size_tokens batch_size_in_tokens tokens_per_batch tokens_per_step "
    "global_batch_tokens global_batch_size_tokens total_batch_size_tokens tokens_per_iteration",
    "seq_len": "sequence_length seqlen context_length context_size context_len block_size "
    "max_seq_len ctx_len max_sequence_length max_seq_length seq_length n_ctx",
    "epochs": "n_epochs num_epochs num_passes passes total_epochs",
}
_NAMES = ("run", "step", "max_steps", "lr", "batch", "batch_tokens", "seq_len", "epochs")
_OTHERS = {
    "N": (
        2.0,
        "embeddings left out",
        "n_nonembedding non_embedding_params n_params_non_embedding nonembedding_params "
        "params_non_embedding num_non_embedding_params n_non_embedding non_embed_params "
        "n_no_emb n_noemb n_no_embedding n_nonemb params_no_emb params_nonemb n_non_emb "
        "non_embedding_parameters parameters_non_embedding",
    ),
    "loss": (2.0, "", "final_loss cross_entropy ce_loss lm_loss nll final_cross_entropy"),
}
_EXACT = {*VARIABLES, *_NAMES}
_PREFIXES = (
    *("config", "summary", "metrics", "params", "model", "data", "args", "hparams", "optim"),
    *("optimizer", "trainer", "train", "training", "hyperparameters", "run"),
)
#: A tracker's statistic of what was logged last.
_STATISTIC = re.compile(r"_(?:avg|mean|last|final)$")
#: Counts that were aimed at, beside those that came out.
_PLANNED = re.compile(
    r"(?i)(?:planned|target|nominal|approx|approximate|intended|requested|expected|rounded)"
)
_ACTUAL = re.compile(r"(?i)(?:actual|real|measured|exact|true|final)")

_LOSS = r"(?:\w+_)?(?:loss|crossentropyloss|cross_entropy|ce|nll)"
_VALIDATION = re.compile(
    rf"(?:final_|lm_)?(?:val|valid|validation|eval|evaluation|test|heldout|held_out|dev)_{_LOSS}"
    r"|(?:lm_)?(?:loss|cross_entropy|ce)_(?:val|valid|validation|eval|test|heldout)"
    # A set's name may follow, but no statistic of the loss.
    rf"|(?:val|valid|validation|eval|evaluation|test|heldout)_{_LOSS}"
    r"(?!\w*_(?:se|std|stderr|err|error|sd|var|min|max|best|ratio|scale|weight|fn|type)$)_\w+"
)
_TRAINING = re.compile(rf"(?:final_)?(?:train|training)_{_LOSS}|(?:loss)_(?:train|training)")
# Parts of a training objective that are no language-model loss.
_PART = re.compile(r"(?:^|_)(?:aux|z|balance|balancing|router|moe|mtp|kl|l2)(?:_|$)")

_MEASURES = {
    "perplexity": re.compile(r"(?:^|(?<=_))(?:perplexity|ppl)(?=_|$)"),
    "bits per byte": re.compile(r"(?:^|(?<=_))(?:loss_)?(?:(?:in_)?bits_(?:per_)?byte|bpb)(?=_|$)"),
    "bits per character": re.compile(
        r"(?:^|(?<=_))(?:loss_)?(?:(?:in_)?bits_(?:per_)?char(?:acter)?|bpc)(?=_|$)"
    ),
    "nats per byte": re.compile(r"(?:^|(?<=_))(?:loss_)?(?:in_)?nats_(?:per_)?byte(?=_|$)"),
    "nats per character": re.compile(
        r"(?:^|(?<=_))(?:loss_)?(?:in_)?nats_(?:per_)?char(?:acter)?(?=_|$)"
    ),
}
# Perplexities of these are of something else than tokens.
_NO_TOKENS = re.compile(r"(?:^|_)(?:word|byte|char|character)(?:_|$)")

_SCALES = {
    "k": 1e3,
    "m": 1e6,
    "mm": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "g": 1e9,
    "t": 1e12,
    "thousand": 1e3,
    "thousands": 1e3,
    "million": 1e6,
    "millions": 1e6,
    "billion": 1e9,
    "billions": 1e9,
    "trillion": 1e12,
    "trillions": 1e12,
    "1e6": 1e6,
    "1e9": 1e9,
    "1e12": 1e12,
}
_COMPUTE = {
    "pf_days": 8.64e19,
    "pfdays": 8.64e19,
    "pflop_s_days": 8.64e19,
    "pflops_days": 8.64e19,
    "petaflop_s_days": 8.64e19,
    "petaflops_days": 8.64e19,
    "pflop": 1e15,
    "pflops": 1e15,
    "eflop": 1e18,
    "eflops": 1e18,
    "exaflop": 1e18,
    "exaflops": 1e18,
    "zflop": 1e21,
    "zflops": 1e21,
}
_PLAIN = {"", "params", "parameters", "tokens", "flop", "flops", "nats", "nats_token", "nat"}
_IN_PARENTHESES = re.compile(r"(?P<base>.+?)\s*[(\[](?:in\s+)?(?P<unit>[^)\]]+)[)\]]")


def meaning_of(header: str) -> Meaning | None:
    """What a header means, or None if it means nothing here.

    Examples
    --------
    >>> found = meaning_of("config.n_params (B)")
    >>> found.quantity, found.factor, found.note
    ('N', 1000000000.0, 'in billions')
    >>> meaning_of("val/loss").note
    'validation loss'
    >>> meaning_of("d") is None
    True
    """
    header = header.strip()
    if header in _EXACT:
        return Meaning(header, 2.0 if header == "loss" else 0.0, exact=True)
    if measure := measure_of(header):
        return _measured(_plain(header), measure)
    match = _IN_PARENTHESES.fullmatch(header)
    if match:
        named = _named(match["base"])
        scaled = None if named is None else _scale(named.quantity, _plain(match["unit"]))
        return None if named is None or scaled is None else _with_unit(named, *scaled)
    named = _named(header)
    if named is not None:
        return named
    words = _plain(header).split("_")
    for last in (3, 2, 1):
        if len(words) <= last:
            continue
        named = _named("_".join(words[:-last]))
        tail = words[-last:]
        unit = "_".join(tail[1:] if tail[0] == "in" and last > 1 else tail)
        scaled = None if named is None else _scale(named.quantity, unit)
        if named is not None and scaled is not None:
            return _with_unit(named, *scaled)
    return _aimed_at(header)


def _aimed_at(header: str) -> Meaning | None:
    """The meaning of a header that says whether a count was planned or came out."""
    words = [word for word in re.split(r"[^A-Za-z0-9.]+", header) if word]
    for at in (0, -1):
        if len(words) < 2:
            return None
        planned = _PLANNED.fullmatch(words[at])
        if not planned and not _ACTUAL.fullmatch(words[at]):
            continue
        rest = words[1:] if at == 0 else words[:-1]
        found = meaning_of("_".join(rest))
        if found is None or VARIABLES.get(found.quantity) is None or found.quantity == "loss":
            return None
        if not planned:
            return found._replace(rank=min(found.rank, 1.0) - 0.1, exact=False)
        note = "; ".join(filter(None, ("as planned", found.note)))
        return found._replace(rank=max(found.rank, 1.0) + 0.5, note=note, exact=False)
    return None


def measure_of(header: str) -> str:
    """What a header says of losses that are not in nats; see :class:`Meaning`.

    Examples
    --------
    >>> measure_of("eval/c4/Perplexity"), measure_of("val_loss (bits/byte)"), measure_of("loss")
    ('perplexity', 'bits per byte', '')
    """
    plain = _plain(header)
    return next((name for name, pattern in _MEASURES.items() if pattern.search(plain)), "")


def _measured(plain: str, measure: str) -> Meaning | None:
    """The meaning of a header that would be a loss if it were in nats."""
    named = _named(_MEASURES[measure].sub("loss", plain))
    if named is None or named.quantity != "loss":
        return None
    if measure != "perplexity":
        # What has no other loss is fitted in its own unit.
        note = f"{named.note.removesuffix(' loss')}; in {measure}, and fitted in that unit"
        return named._replace(rank=10.0 + named.rank, note=note.lstrip("; "), measure=measure)
    if _NO_TOKENS.search(plain):
        return None
    # A loss comes before a perplexity, unless it is that of training.
    rank = max(named.rank, 2.0) + named.rank / 10
    kind = named.note.removesuffix("loss")
    return named._replace(rank=rank, note=f"{kind}{LOGARITHM}", measure=measure)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _named(header: str) -> Meaning | None:
    """The meaning of a header without a unit."""
    if header.strip() in _EXACT:
        return Meaning(header.strip(), 2.0 if header.strip() == "loss" else 1.0)
    plain = _plain(header)
    if _STATISTIC.search(plain) and "loss" in plain:
        plain = _STATISTIC.sub("", plain)
    while True:
        if found := _TABLE.get(plain):
            return found
        if not _PART.search(plain):
            if _VALIDATION.fullmatch(plain):
                return Meaning("loss", 1.0, "validation loss")
            if _TRAINING.fullmatch(plain):
                return Meaning("loss", 3.0, "training loss")
        prefix, _, rest = plain.partition("_")
        if prefix not in _PREFIXES or not rest:
            return None
        plain = rest


def _scale(quantity: str, unit: str) -> tuple[float, str] | None:
    """Factor and words of a unit, or None if it is no unit of the quantity."""
    known = VARIABLES.get(quantity)
    if known is None:
        return None
    if quantity == "loss":
        bits = (math.log(2), "in bits")
        return {"bits": bits, "bits_token": bits, "bits_per_token": bits}.get(
            unit, (1.0, "") if unit in {*_PLAIN, "nats_per_token"} else None
        )
    if known.unit == "FLOP" and unit in _COMPUTE:
        return _COMPUTE[unit], f"× {_COMPUTE[unit]:g}"
    if not known.unit:
        return None
    first, _, rest = unit.partition("_")
    if unit in _PLAIN:
        return 1.0, ""
    if first in _SCALES and rest in _PLAIN:
        factor = _SCALES[first]
        words = {1e3: "thousands", 1e6: "millions", 1e9: "billions", 1e12: "trillions"}[factor]
        return factor, f"in {words}"
    return None


def _with_unit(named: Meaning, factor: float, words: str) -> Meaning:
    note = "; ".join(filter(None, (named.note, words)))
    return named._replace(factor=factor, note=note, exact=False)


def _headers() -> dict[str, Meaning]:
    """Meaning by header, plain."""
    table: dict[str, Meaning] = {}
    for name, known in VARIABLES.items():
        if name == "loss":
            continue
        for alias in (*known.aliases, *_MORE.get(name, "").split()):
            if len(alias) > 1:
                table[_plain(alias)] = Meaning(name)
        if len(name) > 1:
            table.setdefault(_plain(name), Meaning(name))
    for name in _NAMES:
        # The first are surer than the last: a name may be a family's, an id seldom is.
        for i, alias in enumerate((name, *_MORE[name].split())):
            table[alias] = Meaning(name, 1.0 + i / 100)
    for name, (rank, note, aliases) in _OTHERS.items():
        table |= {alias: Meaning(name, rank, note) for alias in aliases.split()}
    table["loss"] = Meaning("loss", 2.0)
    return table


_TABLE = _headers()


#: Words that say of a header that its column counts parameters.
PARAMETERS = {"param", "params", "parameters"}
#: Words of columns that count a part of a model, and words that leave such a part out.
_PARTS = {"wte", "wpe", "emb", "embed", "embeds", "embedding", "embeddings", "head", "scalars"}
_WITHOUT = {"non", "no", "without", "excl", "ex", "minus"}


def is_count(quantity: str, column: str) -> bool:
    """Whether a header says that its column counts parameters, of a whole model, or tokens."""
    meaning = meaning_of(column)
    if meaning is not None:
        return meaning.quantity == quantity
    words = set(re.split(r"[^a-z]+", column.lower()))
    parts = words & _PARTS and not words & _WITHOUT
    return quantity == "N" and bool(words & PARAMETERS) and not parts
