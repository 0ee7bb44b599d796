"""Print the oldest version of every dependency that pyproject.toml admits, as ``name==version``.

A list for ``pip install --constraint``: with it, pip installs what the ranges promise at their
lower ends. Optional groups are named as arguments; without any, only what the package needs.
"""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lower_bounds(groups: list[str]) -> list[str]:
    """``name==version`` of each dependency's ``>=``, in the order of the file."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    listed = list(project["dependencies"])
    for group in groups:
        listed += project["optional-dependencies"][group]
    pins = []
    for requirement in map(Requirement, listed):
        if requirement.name == project["name"]:
            continue  # a group that names another group
        lowest = [one.version for one in requirement.specifier if one.operator == ">="]
        if len(lowest) != 1:
            raise SystemExit(f"{requirement} in pyproject.toml has no lower bound; give it a >=")
        pins.append(f"{requirement.name}=={lowest[0]}")
    return pins


if __name__ == "__main__":
    print("\n".join(lower_bounds(sys.argv[1:])))
