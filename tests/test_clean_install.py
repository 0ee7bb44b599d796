"""The wheel and the sdist in fresh environments, with nothing of the checkout beside them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
# Enough to notice a dependency that is too old; the rest is the same code.
QUICK = (
    "tables/test_reading",
    "common/test_quantities",
    "language/test_law",
    "fitting/test_fits",
    "fitting/test_inference",
    "cli/test_commands",
    "plotting/test_figures",
)

pytestmark = pytest.mark.slow


def interpreter(version):
    """A working Python of a version, on PATH or under pyenv; pyenv's shims may refuse to run."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [
        sys.executable,
        shutil.which(f"python{version}"),
        *sorted(root.glob(f"versions/{version}.*/bin/python"), reverse=True),
    ]
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    for python in filter(None, found):
        tried = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        if tried.stdout.strip() == version:
            return python
    return pytest.skip(f"there is no Python {version} on PATH or under pyenv")


@pytest.fixture
def run(tmp_path):
    """Run a program in a folder of its own, without what tells it of the checkout."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}

    def call(*command):
        done = subprocess.run(
            [str(part) for part in command],
            cwd=tmp_path,
            env=kept | {"MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
        return done.stdout

    return call


def installed(run, folder, version, *what):
    """The programs of a fresh environment in which something is installed."""
    run(interpreter(version), "-m", "venv", folder / "env")
    programs = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    run(programs / "python", "-m", "pip", "install", "--quiet", *what)
    return programs


@pytest.mark.parametrize(
    ("version", "kind"), [("3.12", "whl"), ("3.13", "tar.gz"), ("3.14", "whl")]
)
def test_it_installs_and_works_elsewhere(dist, run, tmp_path, version, kind):
    (package,) = dist.glob(f"*.{kind}")
    programs = installed(run, tmp_path, version, package)
    code = "import bayescale.models; print(bayescale.models.__file__)"
    assert Path(run(programs / "python", "-c", code).strip()).is_relative_to(tmp_path)

    command = programs / "bayescale"
    assert "For example:" in run(command, "--help")
    assert "dense(N, D;" in run(command, "laws")
    run(command, "template", "runs.csv")
    run(command, "fit", "runs.csv", "--law", "dense", "--seed", "1", "-o", "fit.nc")
    told = json.loads(run(command, "predict", "fit.nc", "N=7B", "D=2T", "--json"))
    assert 2.0 < told["runs"][0]["loss"]["median"] < 3.0
    if kind == "tar.gz":
        run(command, "demo", "-o", "shown")
        assert json.loads((tmp_path / "shown" / "summary.json").read_text())
        assert list((tmp_path / "shown").glob("*.png"))


def test_the_oldest_versions_that_are_promised_work(dist, run, tmp_path):
    listed = run(sys.executable, ROOT / "tools" / "lower_bounds.py")
    (tmp_path / "oldest.txt").write_text(listed)
    (package,) = dist.glob("*.whl")
    what = [package, "pytest", "hypothesis", "packaging"]
    programs = installed(run, tmp_path, "3.12", "--constraint", tmp_path / "oldest.txt", *what)
    code = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
    pins = [Requirement(line) for line in listed.splitlines()]
    found = run(programs / "python", "-c", code, *[pin.name for pin in pins]).split()
    assert all(pin.specifier.contains(Version(v)) for pin, v in zip(pins, found, strict=True))

    shutil.copytree(ROOT / "tests", tmp_path / "tests")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    chosen = [f"tests/{name}.py" for name in QUICK]
    run(programs / "python", "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen)
