"""Parts of a law that runs need: predictions, and the Bayes factor against integrals of both."""

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp

import bayescale as bs
from bayescale.models import coupled, dense
from bayescale.posterior.problem import problem
from bayescale.sampling.importance import _propose
from bayescale.sampling.mixtures import about_modes
from bayescale.sampling.modes import find_modes


def log_evidence(law, runs, **options):
    """Log probability of the runs, by importance sampling about the modes."""
    task = problem(law, runs, **options)
    proposal = about_modes(find_modes(task))
    found = _propose(task, proposal, 40_000, np.random.default_rng(0))
    d, dof = len(task.names), 8
    constant = gammaln((dof + d) / 2) - gammaln(dof / 2) - d / 2 * np.log(dof * np.pi)
    return logsumexp(found.log_ratio) - np.log(len(found.u)) - constant


def test_the_density_ratio_is_the_bayes_factor(olmo):
    fit = bs.fit(coupled, olmo, method="laplace", draws=4000, seed=1)
    k = float(fit.posterior.k.quantile(0.9))  # where the draws say enough to be held against
    table = bs.nested(fit, {"k": k}, progress=False)
    exact = np.exp(log_evidence(coupled, olmo, priors={"k": k}) - log_evidence(coupled, olmo))
    assert table.density_ratio["k"] == pytest.approx(exact, rel=0.15)
    assert not table.needed["k"]
    assert table.attrs["reading"].startswith("The runs do not need k: those left out are predicted")


def test_what_made_the_runs_is_needed_and_nothing_else(olmo):
    """Simulated runs: one law with a size term that matters, and one that is without."""
    true = dict(dense.published["besiroglu2024"].values)
    runs = bs.simulate(dense, olmo[["N", "D"]], true, noise_scale=0.003, seed=1)
    fit = bs.fit(dense, runs, method="laplace", seed=1)
    table = bs.nested(fit, {"A": 0.0, "alpha": true["alpha"]}, progress=False)
    assert table.needed.to_dict() == {"A": True, "alpha": False}
    assert np.isnan(table.density_ratio["A"])  # its prior has no density at zero
    assert table.density_ratio["alpha"] > 1
    said = table.attrs["reading"]
    assert "The runs need A: with A = 0 those left out are predicted worse" in said


def test_what_is_no_coefficient_is_refused(olmo):
    fit = bs.fit(dense, olmo, method="laplace", seed=1)
    with pytest.raises(bs.InputError, match="'k' is no sampled coefficient of law 'dense'"):
        bs.nested(fit, {"k": 1.0})
