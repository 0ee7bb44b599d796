"""Hossain et al. 2025 (arXiv:2508.06617): the generalised sparse law."""

import numpy as np
import pytest

import bayescale as bs
from bayescale.models import dense, sparse


def test_table_2_is_the_dense_law_of_hoffmann():
    # Table II: S = 0 and the coefficients of Hoffmann et al. as printed; gamma and c drop out.
    table = {
        "e": 1.69,
        "a": 406.4,
        "b": 410.7,
        "c": 0.0,
        "alpha": 0.34,
        "beta": 0.28,
        "gamma": 0.01,
    }
    hoffmann = {"E": 1.69, "A": 406.4, "alpha": 0.34, "B": 410.7, "beta": 0.28}
    N, D = np.meshgrid([1e8, 1e10], [1e10, 1e12])
    np.testing.assert_allclose(sparse(N, D, 0.0, **table), dense(N, D, **hoffmann), rtol=1e-14)


def test_the_mixture_set_near_a_held_out_point():
    # 18.8 billion parameters, 2 % of them active, 110.2 billion tokens.
    c = sparse.published["hossain2025_moe"].values
    assert sparse(0.376e9, 110.2e9, 0.98, **c) == pytest.approx(2.213, abs=0.0005)
    # N is active parameters: with total ones the law would be half a nat lower.
    assert sparse(18.8e9, 110.2e9, 0.98, **c) == pytest.approx(1.685, abs=0.0005)


def test_the_pruning_set_on_the_t5_runs():
    runs = bs.load_runs("frantar2023_t5").query("not target")
    c = sparse.published["hossain2025_pruning"].values
    residual = sparse(runs.N_active, runs.D, runs.S, **c) - runs.loss
    assert np.sqrt((residual**2).mean()) == pytest.approx(0.078, abs=0.0005)
    bias = residual.groupby(runs.S).mean()
    np.testing.assert_allclose(bias, [-0.07, -0.02, -0.05, -0.11], atol=0.005)


def test_the_set_of_the_authors_code_belongs_to_other_runs():
    runs = bs.load_runs("frantar2023_t5").query("not target")
    residual = sparse(runs.N_active, runs.D, runs.S, **sparse.published["hossain2025_code"].values)
    assert np.sqrt(((residual - runs.loss) ** 2).mean()) == pytest.approx(1.62, abs=0.005)


@pytest.mark.parametrize("name", ["hossain2025_pruning", "hossain2025_moe"])
def test_more_sparsity_always_helps_at_given_active_parameters(name):
    S = np.linspace(0, 0.98, 50)
    losses = sparse(1e9, 2e10, S, **sparse.published[name].values)
    assert (np.diff(losses) < 0).all()
