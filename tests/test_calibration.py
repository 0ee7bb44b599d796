"""Simulation-based calibration in small; ``benchmarks/calibration.py`` runs it for every law."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

PATH = Path(__file__).parents[1] / "benchmarks" / "calibration.py"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("calibration", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_truth_s_rank_among_the_draws_is_uniform(study):
    p = study.uniformity(study.ranks("dense", simulations=40, seed=3))
    assert set(p) == {"E", "A", "alpha", "B", "beta", "noise_scale", "noise_dof"}
    assert min(p.values()) > 0.01 / len(p)


@pytest.mark.slow
def test_it_is_under_skewed_noise(study):
    p = study.uniformity(study.ranks("dense", simulations=40, seed=4, noise="skewed"))
    assert {"noise_above", "noise_compute"} < set(p)
    assert min(p.values()) > 0.01 / len(p)


@pytest.mark.parametrize(("shape", "calibrated"), [(1.0, True), (0.5, False), (2.0, False)])
def test_draws_that_are_too_sure_or_too_vague_are_noticed(study, shape, calibrated):
    ranks = np.random.default_rng(1).beta(shape, shape, 200) * study.KEPT
    p = study.uniformity(pd.DataFrame({"alpha": ranks.round()}))["alpha"]
    assert (p > 0.01) == calibrated


def test_the_simulated_losses_are_the_law_s_with_noise(study):
    law = study.laws()["dense"]
    task = study.at_unit_loss(study.problem(law, study.design(law)))
    residuals = []
    for seed in range(30):
        truth, loss = study.simulate(task, np.random.default_rng(seed))
        mean = law(**task.scaled_inputs, **{n: truth[n] for n in law.coefficients})
        residuals.append(np.log(loss / mean) / truth["noise_scale"])
    assert task.loss_scale == 1.0
    assert np.median(np.abs(residuals)) == pytest.approx(0.69, abs=0.05)
