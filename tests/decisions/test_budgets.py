"""Budgets as people have them."""

import pytest

import bayescale as bs
from bayescale.common.errors import InputError
from bayescale.decisions.budgets import MFU, parse_chip
from bayescale.decisions.devices import DEVICES, find_device

H100 = 989.4e12


@pytest.mark.parametrize(
    ("text", "flops"),
    [
        ("1e23 FLOP", 1e23),
        ("5e18", 5e18),
        ("2.5 zettaFLOP", 2.5e21),
        ("300 PF-days", 300 * 8.64e19),
        ("64 H100 x 21 days at 40% MFU", 64 * 21 * 86400 * H100 * 0.4),
        ("64xH100 21d at 40%", 64 * 21 * 86400 * H100 * 0.4),
        ("64 H100s for three weeks, MFU 0.35", 64 * 21 * 86400 * H100 * 0.35),
        ("8 nodes of 8 A100 for 2 weeks at 35% MFU", 64 * 14 * 86400 * 312e12 * 0.35),
        ("5,000 A100-hours at 50% MFU", 5000 * 3600 * 312e12 * 0.5),
        ("$50k at $2/GPU-hour on H100 at 40% MFU", 25_000 * 3600 * H100 * 0.4),
        ("50,000 USD at $2.50 per hour on H100 at 40%", 20_000 * 3600 * H100 * 0.4),
    ],
)
def test_budgets_are_worked_out(text, flops):
    assert bs.parse_budget(text).flops == pytest.approx(flops, rel=1e-12)


def test_every_factor_is_said():
    found = bs.parse_budget("$50k at $2/GPU-hour on H100 at 40% MFU")
    for part in ("$50,000", "$2 an hour", "25,000 H100-hours", "9.894e+14", "40 %", "2023"):
        assert part in found.words
    assert found.chip_hours == 25_000


def test_an_assumed_share_of_peak_is_called_assumed():
    found = bs.parse_budget("64 H100 for three weeks")
    assert found.mfu == MFU
    assert f"{100 * MFU:g} % of peak attained (assumed: none is given)" in found.words
    assert "assumed" not in bs.parse_budget("64 H100 for three weeks at 40%").words


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("64 H100", "for how long?"),
        ("H100 for 3 weeks", "how many chips?"),
        ("$50k on H100", "at a price; add it"),
        ("64 GPUs for a week", "is not understood"),
        ("64 H100 for a week at 140% MFU", "at most 100 %"),
        ("64 H100 for a week and some luck", "'some luck' is not understood"),
        ("a lot", "is not understood"),
        ("-5", "is not understood"),
    ],
)
def test_what_lacks_a_factor_is_refused(text, said):
    with pytest.raises(InputError) as caught:
        bs.parse_budget(text)
    assert said in str(caught.value)


def test_the_longest_name_of_a_chip_is_meant():
    assert find_device("8 H100 PCIe")[0].name == "H100 PCIe"
    assert find_device("8 H100-PCIe")[0].name == "H100 PCIe"
    assert find_device("8 h100s")[0].name == "H100"
    assert find_device("8 H1000") is None


def test_every_chip_has_a_source_with_a_year():
    for device in DEVICES:
        assert 1e13 < device.peak < 1e16
        assert any(f"20{year}" in device.source for year in range(17, 27))


def test_flops_in_hours_of_a_chip():
    chip = parse_chip("A100 at 50% MFU")
    assert chip.hours_of(1e21) == pytest.approx(1e21 / (312e12 * 0.5 * 3600))
    assert bs.parse_budget("1e21").hours_of(1e21) is None
