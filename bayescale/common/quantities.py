"""Numbers as people write them: ``7B`` parameters, ``1.4T`` tokens, ``5.8e23`` FLOP."""

from __future__ import annotations

import math
import re

from bayescale.common.errors import InputError

__all__ = ["format_number", "format_spread", "parse_number"]

_POWERS = {"k": 3, "M": 6, "B": 9, "T": 12}
_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_NUMBER = re.compile(
    rf"(?P<mantissa>[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS}))"
    rf"(?:(?P<exponent>[eE][+-]?{_DIGITS})|\s?(?P<suffix>[kKmMbBtT]))?"
)


def parse_number(text: str) -> float:
    """Read a number that a person typed.

    Parameters
    ----------
    text
        A decimal number, with underscores between digits, an exponent, or one of the suffixes
        k (thousand), M (million), B (billion) and T (trillion) in either case.

    Returns
    -------
    float
        The closest float: ``"1.1T"`` is exactly ``1.1e12``.

    Raises
    ------
    InputError
        If the text is anything else, or too large for a float.

    Examples
    --------
    >>> parse_number("7B"), parse_number("1.4T"), parse_number("5.8e23"), parse_number("1_000")
    (7000000000.0, 1400000000000.0, 5.8e+23, 1000.0)
    """
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        raise InputError(
            f"{text!r} is not a number; write it as 7B, 1.4T (suffixes k, M, B, T), 5.8e23 or 1_000"
        )
    mantissa, exponent, suffix = match.group("mantissa", "exponent", "suffix")
    if suffix:
        # As text, so that the result is rounded once.
        exponent = f"e{_POWERS[suffix.lower() if suffix in 'kK' else suffix.upper()]}"
    value = float(f"{mantissa}{exponent or ''}")
    if not math.isfinite(value):
        raise InputError(f"{text!r} is too large for a number")
    return value


def format_number(value: float, digits: int = 3) -> str:
    """Write a number for a person to read.

    Parameters
    ----------
    value
        Any number.
    digits
        Significant digits.

    Returns
    -------
    str
        With a suffix from a thousand up to a thousand trillions, with an exponent beyond.
        What is finite can be read back by :func:`parse_number`.

    Examples
    --------
    >>> format_number(7.216e10), format_number(1.33e12), format_number(5.76e23), format_number(0.25)
    ('72.2B', '1.33T', '5.76e+23', '0.25')
    """
    value = float(value)
    # Rounded first: 999_999 is a million, not a thousand thousands.
    rounded = float(f"{value:.{digits}g}") if math.isfinite(value) else value
    size = abs(rounded)
    for suffix, power in reversed(_POWERS.items()):
        if 10**power <= size < 1e15:
            return f"{_significant(rounded / 10**power, digits)}{suffix}"
    return _significant(rounded, digits)


def _significant(value: float, digits: int) -> str:
    """Significant digits without trailing zeros; no exponent where the integer has room."""
    if 1 <= abs(value) < 1000:
        return f"{value:.{max(digits, len(str(int(abs(value)))))}g}"
    return f"{value:.{digits}g}"


def format_spread(middle: float, low: float, high: float) -> tuple[str, str, str]:
    """Write a value and its interval with as many digits as the interval tells.

    Parameters
    ----------
    middle, low, high
        The value and the ends of its interval.

    Returns
    -------
    tuple of str
        The three, with two significant digits of half the interval's width and at least two
        decimals; four decimals where there is no width.

    Examples
    --------
    >>> format_spread(2.48612, 2.47321, 2.49948)
    ('2.486', '2.473', '2.499')
    >>> format_spread(2.486, 2.2, 2.8)
    ('2.49', '2.20', '2.80')
    """
    half = (high - low) / 2
    known = math.isfinite(half) and half > 0
    decimals = min(max(1 - math.floor(math.log10(half)), 2), 6) if known else 4
    return f"{middle:.{decimals}f}", f"{low:.{decimals}f}", f"{high:.{decimals}f}"
