"""Importing the package is cheap: what is heavy loads when it is first needed."""

import subprocess
import sys

import pytest

import bayescale as bs

HEAVY = ("pymc", "pytensor", "nutpie", "arviz", "arviz_stats", "matplotlib", "numba", "scipy")


def loaded_after(code: str) -> list[str]:
    # xarray imports Dask, and with it SciPy, wherever Dask is installed.
    code = f"sys.modules['dask'] = None\n{code}"
    report = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import bayescale") == []


def test_neither_do_laws_runs_and_published_coefficients():
    code = (
        "import bayescale as bs\n"
        "from bayescale.models import dense\n"
        "bs.load_runs('olmo_ladder')\n"
        "fit = bs.published(dense, 'besiroglu2024')\n"
        "bs.predict(fit, mean=True, N=7e9, D=1e12)\n"
        "bs.allocate(fit, 1e24)"
    )
    assert loaded_after(code) == []


def test_the_probe_would_notice():
    assert "scipy" in loaded_after("import scipy")


def test_every_public_name_is_there():
    for name in bs.__all__:
        assert getattr(bs, name) is not None
        assert name in dir(bs)
    with pytest.raises(AttributeError, match=r"no attribute 'fitt'"):
        bs.fitt  # noqa: B018
