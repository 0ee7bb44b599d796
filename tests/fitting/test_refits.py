"""Refits: those of fit, without compiling again, here, in other processes and on a cluster."""

import os
import signal
import warnings
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import numpy as np
import pytest

import bayescale as bs
from bayescale.fitting.refits import options_of, refit, table_of
from bayescale.models import dense
from bayescale.prediction.scoring import log_score
from bayescale.sampling import nuts

QUICK = {"draws": 200, "tune": 300, "chains": 2, "seed": 1}


def centre_of(fit):
    return fit.runs.sizes["run"], float(fit.posterior.E.mean())


def against(fit, truth):
    return float(fit.posterior.E.mean()) - truth


@pytest.fixture(scope="module")
def tables(olmo):
    return [olmo, olmo[:24], olmo[6:]]


@pytest.fixture(scope="module")
def here(tables):
    return refit(dense, tables, then=centre_of, **QUICK)


def test_refits_are_those_of_fit(tables):
    fits = refit(dense, tables, method="laplace", seed=1)
    for fit, runs in zip(fits, tables, strict=True):
        alone = bs.fit(dense, runs, method="laplace", seed=1)
        assert (fit.posterior.E.values == alone.posterior.E.values).all()
        assert fit.runs.sizes["run"] == len(runs)


def test_refits_to_tables_of_any_length_compile_at_most_once(tables, monkeypatch):
    compiled = []
    original = nuts._compile
    monkeypatch.setattr(
        nuts, "_compile", lambda task, by: compiled.append(len(task.loss)) or original(task, by)
    )
    nuts._compiled_densities.clear()
    sizes = [size for size, _ in refit(dense, tables, then=centre_of, **QUICK)]
    assert sizes == [30, 24, 24]
    assert compiled == [30]


def test_threads_give_the_same_in_silence(tables, here):
    with ThreadPoolExecutor(2) as pool, warnings.catch_warnings():
        warnings.simplefilter("error", bs.FitWarning)
        assert refit(dense, tables, then=centre_of, executor=pool, **QUICK) == here


def test_other_processes_give_the_same_in_the_same_order(tables, olmo):
    # Workers cannot import this module, so what they are sent is the package's.
    quick = QUICK | {"method": "laplace"}
    others = [olmo[:1], olmo[1:3], olmo[3:6]]
    ours = refit(dense, tables, then=log_score, others=others, **quick)
    assert [len(scores) for scores in ours] == [1, 2, 3]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        theirs = refit(dense, tables, then=log_score, others=others, executor=pool, **quick)
    for one, other in zip(ours, theirs, strict=True):
        assert (one == other).all()


def test_a_dask_cluster_gives_the_same(tables):
    quick = QUICK | {"method": "laplace"}
    with dask_client() as client:
        theirs = refit(dense, tables, executor=client.get_executor(), **quick)
    for fit, alone in zip(theirs, refit(dense, tables, **quick), strict=True):
        assert (fit.posterior.E.values == alone.posterior.E.values).all()


@pytest.mark.slow
def test_a_dask_cluster_samples_and_compiles_the_same(tables, here):
    with dask_client() as client:
        theirs = refit(dense, tables, executor=client.get_executor(), **QUICK)
    assert [centre_of(fit) for fit in theirs] == here


@pytest.mark.slow
def test_nothing_is_lost_when_a_worker_of_a_cluster_dies(olmo, tmp_path):
    every = [olmo[i:] for i in range(6)]
    quick = QUICK | {"method": "laplace"}
    killed = tmp_path / "killed"

    def centre_or_die(fit):  # local, so that it travels by value
        if fit.runs.sizes["run"] == 28 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return fit.runs.sizes["run"], float(fit.posterior.E.mean())

    with dask_client() as client:
        theirs = refit(dense, every, then=centre_or_die, executor=client.get_executor(), **quick)
    assert killed.exists()
    assert theirs == refit(dense, every, then=centre_of, **quick)


@contextmanager
def dask_client():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_a_failed_refit_is_raised_and_the_rest_called_off(olmo):
    bad = olmo.assign(loss=-1.0)
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(bs.InputError, match=r"'loss'"),
    ):
        refit(dense, [bad, *[olmo] * 3], executor=pool, method="laplace", seed=1)
    with pytest.raises(bs.InputError, match=r"others has 1 values for 2 tables"):
        refit(dense, [olmo, olmo], then=against, others=[1.0])


def test_options_and_table_make_a_fit_again(olmo, tmp_path):
    priors = {"alpha": bs.lognormal(0.3, 0.2), "beta": 0.3}
    fit = bs.fit(dense, olmo, noise="normal", priors=priors, method="laplace", draws=300, seed=4)
    fit.save(tmp_path / "fit.nc")
    loaded = bs.load_fit(tmp_path / "fit.nc")
    again = bs.fit(dense, table_of(loaded), **options_of(loaded), seed=4)
    assert again.about["options"] == fit.about["options"]
    for name in fit.posterior:
        assert (again.posterior[name].values == fit.posterior[name].values).all()


def test_grouped_fits_are_made_again(mixture_runs):
    runs = mixture_runs.assign(corpus=np.tile(["books", "web", "code"], 9))
    made = {"by": "corpus", "vary": ("E",), "method": "laplace", "draws": 200}
    fit = bs.fit(dense, runs, **made, seed=2)
    again = bs.fit(dense, table_of(fit), **options_of(fit), seed=2)
    assert (again.posterior.E.values == fit.posterior.E.values).all()


def test_what_cannot_be_made_again_is_refused(olmo):
    published = bs.published(dense, "besiroglu2024")
    with pytest.raises(bs.InputError, match=r"does not say how it was made"):
        options_of(published)
    with pytest.raises(bs.InputError, match=r"holds no runs"):
        table_of(published)
