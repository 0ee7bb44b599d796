"""Budgets as people have them: FLOPs, chips for some weeks, or money; with every factor named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bayescale.common.errors import InputError
from bayescale.common.quantities import parse_number
from bayescale.decisions.devices import DEVICES, Device, find_device

__all__ = ["MFU", "Budget", "chip_hours", "parse_budget", "parse_chip"]

#: Share of a chip's peak that training attains, where nothing is said. Published dense runs on
#: hundreds to thousands of chips report 0.3 to 0.55 (PaLM 0.46, Llama 3 405B 0.38 to 0.43).
MFU = 0.4

_NUMBER = r"(?:\d[\d,_]*\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s?(?:[kKmMbBtT](?![A-Za-z]))?"
_WORDS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "sixteen": 16,
}  # fmt: skip
_COUNT = rf"(?:{_NUMBER}|\b(?:{'|'.join(_WORDS)})\b)"
_SECONDS = {"h": 3600.0, "d": 86400.0, "w": 604800.0, "m": 2592000.0}
_TIME = re.compile(
    rf"(?i)(?P<count>{_COUNT})[\s-]*"
    r"(?P<unit>h|hrs?|hours?|d|days?|w|wks?|weeks?|months?)(?![A-Za-z0-9])"
)
_MONEY = re.compile(
    rf"(?i)(?P<sign>[$€£])\s*(?P<amount>{_NUMBER})|"
    rf"(?P<more>{_NUMBER})\s*(?P<word>usd|dollars|eur|euros?|gbp)\b"
)
_PRICE = re.compile(
    rf"(?i)(?:\bat|@)?\s*[$€£]?\s*(?P<price>{_NUMBER})\s*(?:usd|eur|dollars|euros?)?\s*(?:/|\bper|\ban?\b)\s*"
    r"(?:(?:gpu|chip|device|card|tpu|accelerator)[\s-]*)?(?:h|hr|hour)s?(?![A-Za-z])"
)
_MFU = re.compile(
    r"(?i)(?:\bat|@)?\s*(?:mfu\s*(?:of|=|:)?\s*)?(?P<share>\d+(?:\.\d+)?)\s*%\s*"
    r"(?:mfu|hfu|utili[sz]ation|of peak)?|\bmfu\s*(?:of|=|:)?\s*(?P<plain>0?\.\d+)"
    r"|(?:\bat|@)?\s*(?P<before>0?\.\d+)\s*mfu\b"
)
_NODES = re.compile(
    rf"(?i)(?P<nodes>{_COUNT})\s*nodes?\s*(?:of|with|x|×|\*)?\s*(?P<each>{_COUNT})\s*(?:x|×)?\s*$"
)
_BEFORE = re.compile(rf"(?i)(?P<count>{_COUNT})\s*(?:x|×|\*)?\s*(?:nvidia|amd|google)?\s*$")
_CHIP_HOURS = re.compile(
    rf"(?i)(?P<count>{_NUMBER})\s*(?:(?:gpu|chip|device|tpu|accelerator)s?)?[\s-]*(?:h|hr|hour)s?"
    r"(?![A-Za-z0-9])"
)
_FLOPS = {
    "": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18, "z": 1e21, "y": 1e24,
    "kilo": 1e3, "mega": 1e6, "giga": 1e9, "tera": 1e12, "peta": 1e15, "exa": 1e18, "zetta": 1e21,
    "yotta": 1e24,
}  # fmt: skip
_PLAIN = re.compile(
    rf"(?i)(?P<amount>{_NUMBER})\s*(?:(?P<prefix>{'|'.join(filter(None, _FLOPS))})?flops?)?"
)
_DAYS = re.compile(rf"(?i)(?P<amount>{_NUMBER})\s*(?P<prefix>p|peta)f(?:lops?)?(?:/s)?[\s-]*days?")
_FILLERS = re.compile(r"(?i)\b(?:for|on|of|at|with|in|over|the|x|and|worth|nodes?)\b|[×*,;@/]")


@dataclass(frozen=True)
class Budget:
    """A budget in FLOPs, and what it was worked out from.

    Attributes
    ----------
    flops
        Training FLOPs.
    text
        As it was given.
    words
        Every factor, in a sentence; nothing for a budget that was given in FLOPs.
    chip_hours
        Hours of one chip, where chips are known.
    device
        Which chip, where one is named.
    mfu
        Share of its peak that is attained.
    """

    flops: float
    text: str = ""
    words: str = ""
    chip_hours: float | None = None
    device: Device | None = None
    mfu: float | None = None

    def hours_of(self, flops: float) -> float | None:
        """Hours of one chip that so many FLOPs take, where chips are known."""
        if self.device is None or self.mfu is None:
            return None
        return flops / (self.device.peak * self.mfu * 3600)


def parse_budget(text: str | float) -> Budget:
    """Read a budget of training compute as people have it.

    Parameters
    ----------
    text
        FLOPs (``"1e23 FLOP"``, ``"5e18"``, ``"300 PF-days"``), chips and a time
        (``"64 H100 x 21 days at 40% MFU"``, ``"5000 A100-hours"``), or money, a price and a chip
        (``"$50k at $2/GPU-hour on H100"``).

    Returns
    -------
    Budget
        Its FLOPs and the factors they were worked out from. Where no share of the peak is given,
        :data:`MFU` is assumed, and the words say so.

    Raises
    ------
    InputError
        If a factor is missing or a part of the text is not understood.

    Examples
    --------
    >>> budget = parse_budget("64 H100 x 21 days at 40% MFU")
    >>> f"{budget.flops:.3g}", budget.chip_hours
    ('4.6e+22', 32256.0)
    >>> parse_budget("5e18").flops
    5e+18
    """
    if isinstance(text, (int, float)):
        return Budget(float(text), str(text))
    stripped = text.strip()
    if match := _PLAIN.fullmatch(stripped):
        scale = _FLOPS[(match["prefix"] or "").lower()]
        return Budget(_number(match["amount"]) * scale, stripped)
    if match := _DAYS.fullmatch(stripped):
        flops = _number(match["amount"]) * 8.64e19
        words = f"{match['amount']} petaFLOP/s-days of 8.64e19 FLOP each: {flops:.3g} FLOP"
        return Budget(flops, stripped, words)
    return _of_chips(stripped)


def _of_chips(text: str) -> Budget:
    """A budget of chips and time, or of money."""
    rest = text
    found = find_device(rest)
    if found is None:
        known = ", ".join(device.name for device in DEVICES)
        raise InputError(
            f"budget {text!r} is not understood: give FLOPs (1e23), chips and a time (64 H100 x 21 "
            f"days at 40% MFU) or money ($50k at $2/GPU-hour on H100); the chips are {known}",
            code="budget",
        )
    device, (start, end) = found
    before, after = rest[:start], rest[end:]
    money = _MONEY.search(rest)
    price = _PRICE.search(rest)
    if money is not None and price is not None and money.span() != price.span():
        if money.start() >= price.start() and money.end() <= price.end():
            money = _MONEY.search(rest[: price.start()])
        if money is None:
            raise InputError(f"budget {text!r}: it has a price and no sum of money", code="budget")
        return _of_money(text, device, (start, end), money, price)
    if money is not None:
        raise InputError(
            f"budget {text!r}: money buys chip-hours at a price; add it, as in $50k at "
            f"$2/GPU-hour on {device.name}",
            code="budget",
        )
    share, after, before = _share(after, before)
    hours = re.match(r"(?i)[\s-]*(?:h|hr|hour)s?(?![A-Za-z0-9])", after)
    if hours is not None and (count := _BEFORE.search(before)):
        chip_hours, factors = (
            _count(count["count"]),
            f"{count['count'].strip()} {device.name}-hours",
        )
        left = before[: count.start()] + after[hours.end() :]
        return _made(text, device, share, chip_hours, factors, left)
    chips, before = _chips(text, device, before)
    time = _TIME.search(after) or _TIME.search(before)
    if time is None:
        raise InputError(
            f"budget {text!r}: for how long? Add a time, as in 64 {device.name} x 21 days",
            code="budget",
        )
    unit = time["unit"][0].lower()
    length = _count(time["count"]) * _SECONDS[unit]
    factors = f"{chips:g} {device.name} × {time['count'].strip()} {time['unit']}"
    if unit == "m":
        factors += " of 30 days"
    left = (before + after).replace(time[0], " ", 1)
    return _made(text, device, share, chips * length / 3600, factors, left)


def _of_money(
    text: str, device: Device, at: tuple[int, int], money: re.Match[str], price: re.Match[str]
) -> Budget:
    spent = _number(money["amount"] or money["more"])
    each = _number(price["price"])
    if each <= 0:
        raise InputError(f"budget {text!r}: a price is above zero", code="budget")
    spans = sorted([at, money.span(), price.span()], reverse=True)
    left = text
    for start, end in spans:
        left = f"{left[:start]} {left[end:]}"
    share, left, _ = _share(left, "")
    hours = spent / each
    sign = money["sign"] or ""
    factors = f"{sign}{spent:,.0f} / {sign}{each:g} an hour = {hours:,.0f} {device.name}-hours"
    return _made(text, device, share, hours, factors, left)


def _made(
    text: str, device: Device, share: float | None, hours: float, factors: str, left: str
) -> Budget:
    """The budget of so many hours of a chip; nothing of the text may be left."""
    left = _FILLERS.sub(" ", left).strip()
    if left:
        raise InputError(f"budget {text!r}: {left!r} is not understood", code="budget")
    mfu = MFU if share is None else share
    flops = hours * 3600 * device.peak * mfu
    assumed = " (assumed: none is given)" if share is None else ""
    words = (
        f"{factors} × {device.peak:.4g} FLOP/s a chip × {100 * mfu:g} % of peak attained{assumed} "
        f"= {flops:.3g} FLOP; {device.name}: {device.source}"
    )
    return Budget(flops, text, words, hours, device, mfu)


def _share(after: str, before: str) -> tuple[float | None, str, str]:
    """The share of peak, and the text without it."""
    for i, part in enumerate((after, before)):
        match = _MFU.search(part)
        if match is None:
            continue
        share = (
            float(match["share"]) / 100
            if match["share"]
            else float(match["plain"] or match["before"])
        )
        if not 0 < share <= 1:
            raise InputError(
                f"a share of peak is above 0 and at most 100 %, not {match[0].strip()}"
            )
        left = f"{part[: match.start()]} {part[match.end() :]}"
        return (share, left, before) if i == 0 else (share, after, left)
    return None, after, before


def _chips(text: str, device: Device, before: str) -> tuple[float, str]:
    """How many chips, and the text before them without that."""
    if match := _NODES.search(before):
        return _count(match["nodes"]) * _count(match["each"]), before[: match.start()]
    if match := _BEFORE.search(before):
        return _count(match["count"]), before[: match.start()]
    raise InputError(
        f"budget {text!r}: how many chips? Write the number before them, as in 64 {device.name}",
        code="budget",
    )


def _count(text: str) -> float:
    return float(_WORDS.get(text.strip().lower(), 0)) or _number(text)


def _number(text: str) -> float:
    return parse_number(text.replace(",", "").strip())


def parse_chip(text: str) -> Budget:
    """A chip and the share of its peak that is attained, to state FLOPs in its hours.

    Raises
    ------
    InputError
        If no chip is named that is known here, or a part of the text is not understood.

    Examples
    --------
    >>> round(parse_chip("H100 at 40% MFU").hours_of(1e22))
    7019
    """
    found = find_device(text)
    if found is None:
        known = ", ".join(device.name for device in DEVICES)
        raise InputError(f"{text!r} names no chip that is known here; there are {known}")
    device, (start, end) = found
    share, left, _ = _share(f"{text[:start]} {text[end:]}", "")
    return _made(text, device, share, 0.0, device.name, left)


def chip_hours(asked: Sequence[Budget], gpu: str | None) -> dict[float, dict[str, float]]:
    """Hours of a chip by budget in FLOPs: of the one that pays for it, or of the one asked for."""
    chip = None if gpu is None else parse_chip(gpu)
    found = {}
    for one in asked:
        of = chip or one
        hours = of.hours_of(one.flops)
        if hours is not None and of.device is not None and of.mfu is not None:
            found[one.flops] = {f"{of.device.name} at {100 * of.mfu:g} %": hours}
    return found
