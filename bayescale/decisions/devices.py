"""Peak speeds of accelerators: dense BF16 (FP16 where there is no BF16) tensor FLOP/s of one chip.

Data sheets often print the figure with structured sparsity, which is twice the dense one and is not
what training attains a share of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["DEVICES", "Device", "find_device"]


@dataclass(frozen=True)
class Device:
    """An accelerator.

    Attributes
    ----------
    name
        What it is called.
    peak
        Dense tensor FLOP/s of one chip, in BF16 (FP16 where there is no BF16).
    source
        Whose figure that is, and of when.
    aliases
        What else it is called.
    """

    name: str
    peak: float
    source: str
    aliases: tuple[str, ...] = ()


DEVICES: tuple[Device, ...] = (
    Device("V100", 125e12, "NVIDIA V100 data sheet, January 2020 (SXM2, FP16)", ("V100 SXM",)),
    Device(
        "A100", 312e12, "NVIDIA A100 data sheet, June 2021 (BF16, dense)",
        ("A100 SXM", "A100 PCIe", "A100 80GB", "A100 40GB", "A800"),
    ),
    Device(
        "H100", 989.4e12, "NVIDIA H100 data sheet, 2023 (SXM, BF16: 1979e12 with sparsity, halved)",
        ("H100 SXM", "H100 80GB", "H800", "GH200"),
    ),
    Device(
        "H100 PCIe", 756.5e12,
        "NVIDIA H100 data sheet, 2023 (PCIe, BF16: 1513e12 with sparsity, halved)",
    ),
    Device(
        "H200", 989.4e12, "NVIDIA H200 data sheet, 2024 (SXM, BF16: 1979e12 with sparsity, halved)",
        ("H200 SXM",),
    ),
    Device("B200", 2250e12, "NVIDIA DGX B200 data sheet, 2024 (BF16, dense, an eighth)"),
    Device("GB200", 2500e12, "NVIDIA GB200 NVL72 page, 2024 (BF16, dense, of one of 72 GPUs)"),
    Device("L40S", 362.1e12, "NVIDIA L40S data sheet, 2023 (BF16, dense)"),
    Device(
        "RTX 4090", 165.2e12,
        "NVIDIA Ada GPU architecture paper, 2023 (BF16 with FP32 accumulation, dense)", ("4090",),
    ),
    Device(
        "RTX 3090", 71e12,
        "NVIDIA GA102 architecture paper, 2021 (BF16 with FP32 accumulation, dense)", ("3090",),
    ),
    Device("MI250X", 383e12, "AMD Instinct MI250X data sheet, 2021 (BF16, both dies)"),
    Device("MI300X", 1307.4e12, "AMD Instinct MI300X data sheet, December 2023 (BF16, dense)"),
    Device("TPU v4", 275e12, "Google Cloud documentation of TPU v4, 2024 (BF16, one chip)"),
    Device("TPU v5e", 197e12, "Google Cloud documentation of TPU v5e, 2024 (BF16, one chip)"),
    Device("TPU v5p", 459e12, "Google Cloud documentation of TPU v5p, 2024 (BF16, one chip)"),
    Device(
        "TPU v6e", 918e12, "Google Cloud documentation of TPU v6e, 2024 (BF16, one chip)",
        ("Trillium",),
    ),
)  # fmt: skip
"""Accelerators whose peak is known here."""


def _pattern(name: str) -> str:
    return re.sub(r"\\? ", r"[\\s-]*", re.escape(name))


_NAMES = sorted(
    ((alias, device) for device in DEVICES for alias in (device.name, *device.aliases)),
    key=lambda pair: -len(pair[0]),
)


def find_device(text: str) -> tuple[Device, tuple[int, int]] | None:
    """The first accelerator that a text names and where, the longest name first.

    Examples
    --------
    >>> found = find_device("64 h100s for a week")
    >>> found[0].name, found[0].peak
    ('H100', 989400000000000.0)
    """
    for name, device in _NAMES:
        match = re.search(
            rf"(?i)(?:(?<![A-Za-z0-9])|(?<=\dx)){_pattern(name)}s?(?![A-Za-z0-9])", text
        )
        if match:
            return device, match.span()
    return None
