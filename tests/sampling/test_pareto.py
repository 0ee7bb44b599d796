"""Smoothed weights are ArviZ's where these can be had, and say so where not."""

import numpy as np
import pytest
from arviz_stats.base import array_stats

from bayescale.sampling.pareto import smoothed

RATIOS = np.random.default_rng(0).standard_t(4, (3, 2000))


def test_the_weights_are_those_of_arviz():
    log_weights, pareto_k = smoothed(RATIOS, efficiency=0.7)
    for row, ours, k in zip(RATIOS, log_weights, pareto_k, strict=True):
        theirs, theirs_k = array_stats.psislw(-row, r_eff=0.7)
        np.testing.assert_allclose(ours, theirs - np.log(np.exp(theirs).sum()), atol=1e-10)
        assert k == pytest.approx(float(theirs_k))


@pytest.mark.parametrize("ratios", [np.repeat(RATIOS[0, :20], 200), RATIOS[0, :7], RATIOS[0, :1]])
def test_where_no_tail_can_be_told_weights_stay_as_they_are(ratios):
    log_weights, pareto_k = smoothed(ratios)
    np.testing.assert_allclose(log_weights, ratios - np.log(np.exp(ratios).sum()), atol=1e-12)
    assert pareto_k == np.inf
