"""Numbers as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number, format_spread, parse_number

FINITE = st.floats(allow_nan=False, allow_infinity=False)
POWERS = {"k": 3, "K": 3, "M": 6, "m": 6, "B": 9, "b": 9, "T": 12, "t": 12}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7B", 7e9),
        ("7b", 7e9),
        ("1.4T", 1.4e12),
        ("1.1T", 1.1e12),
        ("190M", 190e6),
        ("64k", 64e3),
        (" 2 T ", 2e12),
        (".5", 0.5),
        ("5.", 5.0),
        ("1_000", 1000.0),
        ("1e24", 1e24),
        ("5.8E+23", 5.8e23),
        ("-3", -3.0),
        ("0", 0.0),
    ],
)
def test_numbers_that_people_write(text, value):
    assert parse_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "B",
        "7BB",
        "7 billion",
        "1,000",
        "1e3B",
        "nan",
        "inf",
        "0x10",
        "1__0",
        "_1",
        "1e",
        "٣",
    ],
)
def test_anything_else_is_refused_with_the_remedy(text):
    with pytest.raises(InputError, match="is not a number; write it as 7B"):
        parse_number(text)


def test_a_number_too_large_for_a_float_is_refused():
    with pytest.raises(InputError, match="too large"):
        parse_number("1e400")
    with pytest.raises(InputError, match="too large"):
        parse_number("9" * 400)


@given(st.text())
def test_no_text_gives_anything_but_a_finite_number_or_the_error(text):
    try:
        value = parse_number(text)
    except InputError:
        return
    assert math.isfinite(value)


@given(FINITE)
def test_what_python_prints_is_read_back_exactly(value):
    assert parse_number(repr(value)) == value


@given(st.integers(-(10**6), 10**6), st.sampled_from(sorted(POWERS)))
def test_a_suffix_is_exactly_its_power_of_ten(number, suffix):
    assert parse_number(f"{number}{suffix}") == float(number * 10 ** POWERS[suffix])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.25, "0.25"),
        (12, "12"),
        (999, "999"),
        (999.6, "1k"),
        (1234, "1.23k"),
        (999_999, "1M"),
        (7.216e10, "72.2B"),
        (1.33e12, "1.33T"),
        (9.996e14, "1e+15"),
        (5.76e23, "5.76e+23"),
        (-7.2e9, "-7.2B"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_for_people(value, text):
    assert format_number(value) == text


@given(st.floats(-1e300, 1e300), st.integers(1, 6))
def test_reading_back_loses_no_more_than_the_digits_left_out(value, digits):
    back = parse_number(format_number(value, digits))
    assert back == pytest.approx(value, rel=0.5001 * 10 ** (1 - digits), abs=1e-307)


@given(st.floats(-1e300, 1e300))
def test_writing_what_was_read_back_changes_nothing(value):
    text = format_number(value)
    assert format_number(parse_number(text)) == text


@given(st.floats(1e-300, 1e300), st.floats(1e-300, 1e300))
def test_order_is_kept(first, second):
    low, high = sorted((first, second))
    assert parse_number(format_number(low)) <= parse_number(format_number(high))


@given(st.floats(1e-99, 9e99))
def test_three_digits_are_short(value):
    assert len(format_number(value)) <= len("1.23e+45")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((2.48612, 2.47321, 2.49948), ("2.486", "2.473", "2.499")),
        ((2.486, 2.2, 2.8), ("2.49", "2.20", "2.80")),
        ((2.486, 1.0, 6.0), ("2.49", "1.00", "6.00")),
        ((2.48612, 2.48612, 2.48612), ("2.4861", "2.4861", "2.4861")),
        ((2.48612, 2.486, 2.4863), ("2.48612", "2.48600", "2.48630")),
    ],
)
def test_digits_follow_the_width_of_the_interval(given, said):
    assert format_spread(*given) == said
