"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "bayescale": ROOT / "bayescale",
    "bayescale.cli": ROOT / "bayescale" / "cli",
    "bayescale.models": ROOT / "models",
    "bayescale.plotting": ROOT / "bayescale" / "plotting",
}
MODULES = [
    package if path.stem == "__init__" else f"{package}.{path.stem}"
    for package, folder in PACKAGES.items()
    for path in sorted(folder.glob("*.py"))
    if path.stem != "__main__"
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_print_what_they_say(name):
    result = doctest.testmod(
        importlib.import_module(name),
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.FAIL_FAST,
    )
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    assert result.failed == 0
