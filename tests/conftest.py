"""Fits that tests share. Sampling is never mocked: each is made once a session, from real runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

import bayescale as bs
from bayescale.models import coupled, dense

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# The same examples every time, whatever the machine is busy with. pytest --hypothesis-profile=large
# draws ten times as many at random, and --hypothesis-seed=N says which.
settings.register_profile("steady", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("random", deadline=None, max_examples=100)
settings.register_profile("large", deadline=None, max_examples=1000)
settings.load_profile("steady")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium as the system has it, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    # Chromium refuses its sandbox to root, which containers run tests as.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def olmo() -> pd.DataFrame:
    """The OLMo 2 ladder without the 7B and 13B models that it is to predict."""
    return bs.load_runs("olmo_ladder").query("not target")


@pytest.fixture(scope="session")
def olmo_fit(olmo: pd.DataFrame) -> bs.Fit:
    """The dense law on the ladder, with every setting at its default."""
    return bs.fit(dense, olmo, seed=1)


@pytest.fixture(scope="session")
def calibrated_fit(olmo: pd.DataFrame) -> bs.Fit:
    """The coupled law on the ladder, with all that calibrates its extrapolation."""
    return bs.fit(coupled, olmo, seed=1, draws=500, **bs.CALIBRATED)


@pytest.fixture(scope="session")
def hoffmann_fit() -> bs.Fit:
    """The dense law on the runs of which Besiroglu et al. published a fit."""
    return bs.fit(dense, bs.load_runs("hoffmann2022").query("not outlier"), seed=1)


@bs.law
def by_tokens(D, *, E=bs.floor(), B=bs.amplitude(), beta=bs.exponent(0.3)):
    """Loss of models of one size: a law of one input."""
    return E + B * D**-beta


@bs.law(cost=lambda N, D, depth: 6 * N * D, variables=(bs.Variable("depth", "layers", low=1.0),))
def with_depth(
    N, D, depth, *, E=bs.floor(), A=bs.amplitude(), alpha=bs.exponent(0.3),
    B=bs.amplitude(), beta=bs.exponent(0.3), k=bs.normal(0.0, 0.1),
):  # fmt: skip
    """A user's own law, with an input of its own."""
    return E + A * N**-alpha * depth**k + B * D**-beta


#: How each kind of fit is made, from which table.
KINDS = (
    *("plain", "calibrated", "grouped", "weighted", "errors", "averaged", "published", "laplace"),
    *("one_input", "own_law"),
)


@pytest.fixture(scope="session")
def of_kind(olmo: pd.DataFrame) -> Callable[[str], Any]:
    """A short fit of each kind, made when it is first asked for."""
    short = {"draws": 500, "tune": 500, "chains": 2, "seed": 1}
    runs = olmo.assign(
        w=np.where(olmo.D.median() < olmo.D, 1.0, 0.5), sd=0.003, depth=np.resize([12, 24, 36], 30)
    )
    made: dict[str, Any] = {}

    def make(kind: str) -> Any:
        if kind == "averaged":
            pair = {"plain": of("plain"), "laplace": of("laplace")}
            return bs.average(pair, {"plain": 2, "laplace": 1})
        if kind == "published":
            return bs.published(dense, "besiroglu2024")
        if kind == "laplace":
            return bs.fit(dense, runs, method="laplace", seed=1)
        if kind == "grouped":
            two = runs.assign(corpus=np.resize(["web", "books"], 30))
            return bs.fit(dense, two, by="corpus", vary=("E",), **short)
        law, options = {
            "plain": (dense, {}),
            "calibrated": (dense, dict(bs.CALIBRATED)),
            "weighted": (dense, {"weights": "w"}),
            "errors": (dense, {"error": "sd"}),
            "one_input": (by_tokens, {}),
            "own_law": (with_depth, {}),
        }[kind]
        return bs.fit(law, runs, **short, **options)

    def of(kind: str) -> Any:
        if kind not in made:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made[kind] = make(kind)
        return made[kind]

    return of


@pytest.fixture
def mixture_runs() -> pd.DataFrame:
    """A design of dense models and mixtures of experts, with losses that no test relies on."""
    rng = np.random.default_rng(0)
    active, tokens, sparsity = np.meshgrid([1e8, 4e8, 2e9], [3e9, 3e10, 2e11], [0.0, 0.5, 0.875])
    runs = pd.DataFrame({"N_active": active.ravel(), "D": tokens.ravel(), "S": sparsity.ravel()})
    runs["N"] = runs.N_active / (1 - runs.S)
    runs["experts"] = np.round(1 / (1 - runs.S))
    runs["G"] = np.tile([1.0, 2.0, 8.0], 9)
    runs["D_dense"], runs["D_upcycled"] = runs.D[::-1].to_numpy(), runs.D
    runs["flops"] = 6 * runs.N_active * runs.D
    runs["loss"] = 1.8 + 3.0 * (runs.N_active / 1e8) ** -0.3 * rng.uniform(0.9, 1.1, len(runs))
    return runs


@pytest.fixture
def closed_figures() -> Iterator[None]:
    """For plots: none changes a setting of matplotlib, and their figures are closed."""
    import matplotlib.pyplot as plt

    before = dict(plt.rcParams)
    yield
    plt.close("all")
    assert dict(plt.rcParams) == before


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with an sdist and a wheel: the one named in BAYESCALE_DIST, or else built here."""
    if given := os.environ.get("BAYESCALE_DIST"):
        return ROOT / given
    pytest.importorskip("build")
    tree = tmp_path_factory.mktemp("packaging") / "tree"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info")
    shutil.copytree(ROOT, tree, ignore=ignored)
    # A copy, so that the checkout stays clean. The wheel is built from the sdist.
    build = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist"],
        cwd=tree,
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return tree / "dist"
