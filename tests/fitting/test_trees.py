"""What a fit keeps beside its draws: the runs with their labels, and the likelihood of each."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import bayescale as bs
from bayescale.models import dense


def test_the_log_likelihood_rides_along(olmo, olmo_fit):
    draw = olmo_fit.posterior.isel(chain=2, draw=17)
    mean = bs.predict(olmo_fit, mean=True, N=olmo.N, D=olmo.D).isel(chain=2, draw=17)
    residual = np.log(olmo.loss.to_numpy()) - np.log(mean.values)
    expected = scipy.stats.t.logpdf(residual, draw.noise_dof, scale=draw.noise_scale)
    found = olmo_fit.tree["log_likelihood"]["log_loss"].isel(chain=2, draw=17)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(olmo_fit.tree["observed_data"]["log_loss"], np.log(olmo.loss))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (range(40, 52), list(range(40, 52))),
        ([f"run {i}" for i in range(12)], [f"run {i}" for i in range(12)]),
        (["same"] * 12, list(range(12))),
        ([1, "1", *range(2, 12)], list(range(12))),
        (
            pd.MultiIndex.from_product([["a", "b"], range(6)]),
            [f"('{x}', {i})" for x in "ab" for i in range(6)],
        ),
    ],
    ids=["numbers", "text", "duplicates", "look-alikes", "two levels"],
)
def test_runs_keep_their_labels_where_they_are_unique(olmo, labels, expected):
    runs = olmo.head(12).set_axis(labels)
    assert bs.prior(dense, runs, draws=2, seed=1).runs.run.values.tolist() == expected
    model = bs.model(dense, runs)
    assert list(model.coords["run"]) == expected
