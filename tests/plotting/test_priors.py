"""The plot of priors and posteriors: what is drawn is the overlap that is said."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import bayescale as bs
from bayescale.models import dense
from bayescale.plotting import plot_prior_posterior

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _no_setting_changes_and_no_figure_stays_open():
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before


def curves(panel):
    prior, posterior = panel.lines
    return prior.get_xdata(), prior.get_ydata(), posterior.get_ydata()


def test_the_area_under_both_is_the_overlap(olmo_fit):
    table = bs.prior_overlap(olmo_fit)
    names = list(table.index)
    panels = plot_prior_posterior(olmo_fit, names=names)
    assert len(panels) == len(names)
    for name, panel in zip(names, panels, strict=True):
        x, prior, posterior = curves(panel)
        assert panel.get_xscale() == "log"
        along = np.log(x)
        assert np.trapezoid(prior, along) == pytest.approx(1, abs=0.02)
        assert np.trapezoid(posterior, along) == pytest.approx(1, abs=0.02)
        both = np.trapezoid(np.minimum(prior, posterior), along)
        assert both == pytest.approx(table.overlap[name], abs=0.01)
        assert panel.get_title("left").startswith(f"overlap {table.overlap[name]:.2f}")


def test_what_the_runs_leave_to_the_prior_is_said(olmo_fit):
    alpha, dof = plot_prior_posterior(olmo_fit, names=["alpha", "noise_dof"])
    assert "the prior's word" not in alpha.get_title("left")
    assert "the prior's word" in dof.get_title("left")
    labels = [text.get_text() for text in dof.get_legend().get_texts()]
    assert labels == ["prior", "posterior"]


def test_the_law_s_coefficients_are_the_default(olmo_fit):
    panels = plot_prior_posterior(olmo_fit)
    assert [panel.get_xlabel()[:3] for panel in panels] == ["$E$", "$A$", "$\\a", "$B$", "$\\b"]


def test_signed_parameters_have_a_linear_axis(calibrated_fit):
    panel = plot_prior_posterior(calibrated_fit, names=["noise_ratio"])
    assert panel.get_xscale() == "linear"
    x, prior, _ = curves(panel)
    assert x[0] < 0 < x[-1]
    assert np.trapezoid(prior, x) == pytest.approx(1, abs=0.02)


def test_groups_are_named():
    runs = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    fit = bs.fit(dense, runs, by="corpus", vary=("E",), pool="none", method="laplace", seed=1)
    panel = plot_prior_posterior(fit, names=["E[rpj]"])
    assert panel.get_title("left").startswith("rpj: overlap")
    assert len(plot_prior_posterior(fit)) == 3 + 4


def test_simulated_losses_are_called_so(olmo):
    simulated = bs.simulate(dense, olmo[["N", "D"]], "besiroglu2024", noise_scale=0.01, seed=1)
    fit = bs.fit(dense, simulated, method="laplace", seed=1)
    panel = plot_prior_posterior(fit, names=["alpha"])
    assert panel.get_legend().get_texts()[1].get_text() == "posterior, of simulated losses"


def test_it_draws_on_the_axes_given(olmo_fit):
    figure, panels = plt.subplots(1, 2)
    drawn = plot_prior_posterior(olmo_fit, names=["E", "A"], ax=panels)
    assert [*drawn] == [*panels]
    assert len(figure.axes) == 2


def test_wrong_names_are_refused(olmo_fit):
    for names in (["gamma"], "alpha", []):
        with pytest.raises(bs.InputError, match="names is a list of what has a prior"):
            plot_prior_posterior(olmo_fit, names=names)
    with pytest.raises(bs.InputError, match="published coefficients"):
        plot_prior_posterior(bs.published(dense, "besiroglu2024"))
