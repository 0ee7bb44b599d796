"""What is shipped: the wheel, the sdist, the pins, and what the repository may hold."""

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

# Written so that neither matches its own source.
REGISTRY = re.compile(
    r"(?:pypi|pythonhosted|npmjs|anaconda)[.]org|--(?:extra-)?index[-]url|--find[-]links", re.I
)
MACHINE_PATH = re.compile(
    r"(?<![\w.~$}>)*/-])/(?:home|root|work|Users|tmp|opt|mnt|srv)/\w|\b[A-Z]:\\Users\\"
)
LARGEST = 1_000_000


@pytest.fixture(scope="session")
def wheel(dist):
    return dist / f"bayescale-{VERSION}-py3-none-any.whl"


def files(folder):
    """Files under a folder of the checkout that belong to the package."""
    return [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    ]


def test_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {*files("bayescale"), *(f"bayescale/{path}" for path in files("models"))}
    assert shipped == expected
    assert "bayescale/py.typed" in shipped
    assert any(name.startswith("bayescale/models/") for name in shipped)
    assert any(name.startswith("bayescale/tables/data/") for name in shipped)


def test_wheel_has_the_command_and_the_licence(wheel):
    info = f"bayescale-{VERSION}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        assert "bayescale = bayescale.cli:app" in archive.read(f"{info}/entry_points.txt").decode()
        assert "License-Expression: MIT" in archive.read(f"{info}/METADATA").decode()
        assert f"{info}/licenses/LICENSE" in archive.namelist()


def test_sdist_holds_what_its_wheel_and_tests_need(dist):
    with tarfile.open(dist / f"bayescale-{VERSION}.tar.gz") as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    needed = {
        path
        for name in ("bayescale", "models", "tests", "examples", "docs")
        for path in files(name)
    }
    needed |= {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "requirements.txt"}
    assert needed <= held


def test_laws_import_from_the_wheel_elsewhere(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = "import bayescale.models, bayescale.tables.bundled; print(bayescale.models.__file__)"
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert Path(run.stdout.strip()).is_relative_to(tmp_path)


def test_every_dependency_is_pinned_within_its_range():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    versions = {canonicalize_name(n): v for n, _, v in (pin.partition("==") for pin in pins)}
    assert all(versions.values()), "requirements.txt has a line that is not name==version"

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in map(Requirement, chain.from_iterable(groups)):
        if requirement.name != "bayescale":
            pin = versions.get(canonicalize_name(requirement.name))
            assert pin is not None, f"requirements.txt does not pin {requirement.name}"
            assert requirement.specifier.contains(pin), f"{requirement} does not admit {pin}"


def test_files_agree_on_the_version():
    assert (
        f'__version__ = "{VERSION}"' in (ROOT / "bayescale" / "common" / "version.py").read_text()
    )
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## [{VERSION}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture(scope="module")
def tracked():
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not in a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize(
    "pattern", [REGISTRY, MACHINE_PATH], ids=["registry address", "machine path"]
)
def test_no_tracked_file_names_a(pattern, tracked):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match.group()}"
        for path in tracked
        if b"\0" not in (content := path.read_bytes())
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1)
        if (match := pattern.search(line))
    ]
    assert not found


def test_no_tracked_file_is_large(tracked):
    large = [str(path.relative_to(ROOT)) for path in tracked if path.stat().st_size > LARGEST]
    assert not large
