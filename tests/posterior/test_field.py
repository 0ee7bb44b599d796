"""What runs see of a discrepancy: the same whatever its nodes, and the same posterior."""

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale.models import coupled, dense, experts, frantar, sparse, upcycling
from bayescale.posterior.density import log_posterior, undeparted
from bayescale.posterior.discrepancy import departure
from bayescale.posterior.field import find_field
from bayescale.posterior.problem import problem

DRAWS = 4000


def task_of(law, runs, **options):
    return problem(law, runs, noise="scaled", discrepancy=True, **options)


def prior_field(field, draws=DRAWS, seed=0):
    """Slopes and levels from the prior, spreads at their medians."""
    rng = np.random.default_rng(seed)
    z = {name: rng.standard_normal(draws) for name in field.names}
    spreads = {name: np.full(draws, prior.median()) for name, prior in field.priors.items()}
    return z, spreads, field.slopes(z, spreads, rng)


@pytest.mark.parametrize(("law", "name"), [(coupled, "olmo_ladder"), (frantar, "frantar2023_t5")])
def test_what_a_power_law_explains_is_no_discrepancy(law, name):
    task = task_of(law, bs.load_runs(name))
    x = np.column_stack([np.ones(len(task.loss)), *(
        np.log(values) for values in task.scaled_inputs.values() if (values > 0).all()
    )])  # fmt: skip
    for one in task.field.components:
        np.testing.assert_allclose(x[:, :2].T @ one.columns, 0.0, atol=1e-8)
    assert max(np.abs(one.columns).max() for one in task.field.components) > 0.01


def test_the_curve_of_a_draw_goes_through_what_the_runs_saw(olmo):
    task = task_of(coupled, olmo)
    z, spreads, (slopes, level) = prior_field(task.field, 50)
    seen = task.field.value(
        {n: x[:, None] for n, x in z.items()},
        {n: x[:, None] for n, x in spreads.items()},
        task.field.members,
    )
    curve = departure(coupled, task.field.directions, task.scaled_inputs, slopes, level[:, None])
    np.testing.assert_allclose(curve, seen, atol=1e-9)
    assert seen.std() > 0.01


@pytest.mark.parametrize("law", [dense, coupled])
def test_half_the_spacing_gives_the_same_widths_at_any_distance(law, olmo):
    task = task_of(law, olmo)
    widths = {}
    for spacing in (0.25, 0.125):
        field = find_field(law, task.scaled_inputs, task.weights, spacing)
        _, _, (slopes, level) = prior_field(field, 20_000)
        far = {n: x.max() * 10.0 ** np.array([0.0, 0.25, 0.5, 1.0, 2.0])
               for n, x in task.scaled_inputs.items()}  # fmt: skip
        g = departure(law, field.directions, far, slopes, level[:, None])
        widths[spacing] = np.diff(np.quantile(g, [0.05, 0.95], axis=0), axis=0)[0]
    np.testing.assert_allclose(widths[0.125], widths[0.25], rtol=0.03)
    assert (np.diff(widths[0.25]) > 0).all()  # and they widen from the edge of the runs on


def test_far_from_every_run_the_laws_own_slope_holds(olmo):
    task = task_of(dense, olmo)
    _, _, (slopes, level) = prior_field(task.field, 200)
    at = {"N": task.scaled_inputs["N"].max() * np.array([1e7, 1e8, 1e9]), "D": np.ones(3)}
    g = departure(dense, task.field.directions, at, slopes, level[:, None])
    np.testing.assert_allclose(g, g[:, :1] @ np.ones((1, 3)), atol=1e-9)


@pytest.mark.parametrize(
    ("law", "name"),
    [(dense, "olmo_ladder"), (coupled, "olmo_ladder"), (frantar, "frantar2023_t5"),
     (sparse, "frantar2023_t5")],
)  # fmt: skip
def test_coordinates_give_the_prior_of_the_components_and_its_jacobian(law, name):
    """The density in the coordinates against that of what they stand for, by differences."""
    task = task_of(law, bs.load_runs(name))
    medians = {n: p.median(task.loss_scale) for n, p in task.coordinates.priors.items()}
    start = undeparted(task, task.coordinates.from_coefficients(medians, task.loss_scale))
    names = list(task.names)
    rng = np.random.default_rng(1)

    def both(u):
        at = {name: np.array([u[i]]) for i, name in enumerate(names)}
        log_prior, _, c = log_posterior(task, at, task.data)
        free = [*task.coordinates.names, *task.normals]
        own = sum(
            task.coordinates.priors[n].log_density(c[n], task.loss_scale)
            if n in task.coordinates.priors
            else -0.5 * c[n] ** 2
            for n in free
        )
        return (
            float(np.ravel(log_prior)[0]),
            float(np.ravel(own)[0]),
            np.array([np.ravel(c[n])[0] for n in free]),
        )

    for _ in range(3):
        u = np.array([float(start[n]) for n in names]) + 0.2 * rng.standard_normal(len(names))
        ours, own, _ = both(u)
        step = 1e-5
        jacobian = np.column_stack(
            [
                (both(u + step * e)[2] - both(u - step * e)[2]) / (2 * step)
                for e in np.eye(len(names))
            ]
        )
        assert ours == pytest.approx(own + np.linalg.slogdet(jacobian)[1], abs=1e-4)


@pytest.mark.parametrize("law", [dense, coupled])
def test_the_start_of_the_chains_has_no_discrepancy(law, olmo):
    task = task_of(law, olmo)
    at = undeparted(task, dict.fromkeys(task.coordinates.names, 0.1))
    u = {name: np.array([float(at[name])]) for name in task.names}
    _, _, c = log_posterior(task, u, task.data)
    np.testing.assert_allclose([np.ravel(c[name])[0] for name in task.normals], 0.0, atol=1e-9)


def test_one_ratio_of_tokens_to_parameters_tells_nothing_across_it(olmo):
    ladder = olmo.assign(D=20.0 * olmo.N)
    task = task_of(dense, ladder)
    across = next(c for c in task.field.components if c.direction.kind == "quotient")
    assert not across.names


@pytest.mark.parametrize(("law", "name"), [(frantar, "frantar2023_t5"), (experts, "clark2022")])
def test_laws_of_other_inputs_have_one_too(law, name):
    task = task_of(law, bs.load_runs(name))
    start = undeparted(task, dict.fromkeys(task.coordinates.names, 0.1))
    assert set(start) == set(task.names)
    assert np.isfinite(task.log_density(np.array([[float(start[n]) for n in task.names]]))).all()


def test_upcycling_has_one_too():
    design = bs.simulate(
        upcycling,
        pd.DataFrame(
            [(n, d, t) for n in (1e8, 4e8) for d in (1e10, 1e11) for t in (1e9, 1e10, 1e11)],
            columns=["N", "D_dense", "D_upcycled"],
        ),
        "liew2025",
        seed=1,
    )
    assert len(task_of(upcycling, design).field.directions) == 9
