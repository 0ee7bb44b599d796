"""NUTS on a law's posterior: the compiled density, kept for every table, and nutpie's chains."""

from __future__ import annotations

import dataclasses
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.progress import Report
from bayescale.posterior.density import Problem, log_posterior
from bayescale.sampling.compiler import Density, compile_density, sum_rows
from bayescale.sampling.modes import Mode

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["COMPILERS", "compiled_density", "sample_nuts"]

#: What compiles a density: LLVM and, where that cannot, PyTensor; or one of them alone.
COMPILERS = ("auto", "llvm", "pytensor")


def sample_nuts(
    compiled: Any,
    task: Problem,
    mode: Mode,
    *,
    draws: int,
    tune: int,
    chains: int,
    seed: int,
    report: Report,
    target_accept: float = 0.95,
) -> xr.DataTree:
    """Chains in the coordinates, started about the mode.

    Parameters
    ----------
    compiled
        From :func:`compiled_density`.
    task
        The posterior.
    mode
        Its mode and curvature.
    draws, tune, chains, seed
        As for :func:`bayescale.fit`.
    report
        Called with the share that is done.
    target_accept
        The nearer to one the shorter the steps, as narrow places need: funnels, corners of a prior.
    """
    import nutpie

    root = np.linalg.cholesky(mode.covariance)

    def start(chain_seed: Any) -> np.ndarray:
        rng = np.random.default_rng(chain_seed)
        for shrink in 0.5 ** np.arange(12):
            u = mode.u + shrink * root @ rng.standard_normal(len(mode.u))
            if np.isfinite(task.log_density(u[None])[0]):
                return u
        return mode.u

    total = chains * (draws + tune)

    def callback(states: list[Any]) -> None:
        done = sum(state.finished_draws for state in states)
        report(f"sampling {chains} chains", done / total)

    ready = _with_data(compiled, task, start)
    sampling = nutpie.sample(
        ready,
        draws=draws,
        tune=tune,
        chains=chains,
        seed=seed,
        adaptation="low_rank",
        target_accept=target_accept,
        save_warmup=False,
        progress_bar=False,
        progress_callback=callback,
        progress_rate=100,
        blocking=False,
    )
    try:
        return sampling.wait()
    except BaseException:
        # When it waits itself, nutpie returns what an interrupt left as if it were all the draws.
        sampling.cancel()
        raise


# A law is compiled once a process: runs are data of the compiled density, and any table of the
# same law reuses it.
_compiled_densities: OrderedDict[Any, Any] = OrderedDict()
_KEPT = 32
_DATA = "data_"


def compiled_density(task: Problem, compiler: str = "auto") -> Any:
    """The compiled density of a law with its priors and noise, made at most once a process.

    Raises
    ------
    InputError
        If the law does what LLVM alone cannot compile.
    """
    key = (
        task.law.function,
        task.law.variables,
        task.noise.name,
        tuple(task.coordinates.priors.items()),
        tuple(task.coordinates.centre.items()),
        tuple(task.fixed.items()),
        task.field and task.field.shape,
        task.field and len(task.field.probes),
        task.error is None,
        task.groups and (len(task.groups.levels), task.groups.vary, task.groups.pooled),
        task.groups and tuple(task.groups.coordinates.priors.items()),
        compiler,
    )
    if key not in _compiled_densities:
        _compiled_densities[key] = _compile(task, compiler)
        while len(_compiled_densities) > _KEPT:
            _compiled_densities.popitem(last=False)
    _compiled_densities.move_to_end(key)
    return _compiled_densities[key]


def _compile(task: Problem, compiler: str) -> Any:
    """A density of our own making; by PyMC, in seconds, for laws that call PyTensor themselves."""
    if compiler == "pytensor":
        return _compile_by_pymc(task)

    def density(u: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        log_prior, rows, _ = log_posterior(task, u, data)
        return log_prior + sum_rows(data["weights"] * rows)

    try:
        return compile_density(density, task.names, task.data)
    except Exception as error:
        if compiler == "llvm":
            raise InputError(f"{error}; or leave out compile=, and PyTensor compiles it") from error
        # A law may use functions that PyTensor knows and symbols do not. One that is wrong fails
        # once more, with PyTensor's reason.
        return _compile_by_pymc(task)


def _compile_by_pymc(task: Problem) -> Any:
    import nutpie
    import pymc as pm

    with pm.Model() as built:
        data = {name: pm.Data(_DATA + name, value) for name, value in task.data.items()}
        u = {name: pm.Flat(name) for name in task.names}
        log_prior, rows, _ = log_posterior(task, u, data)
        pm.Potential("log_posterior", log_prior + (data["weights"] * rows).sum())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Cannot cache compiled function")
        return nutpie.compile_pymc_model(built, backend="numba")


def _with_data(compiled: Any, task: Problem, start: Callable[[Any], np.ndarray]) -> Any:
    """The compiled density on a table's runs, as nutpie takes it."""
    if not isinstance(compiled, Density):
        # A law without floors and amplitudes makes no use of the loss scale: its density lacks it.
        used = {shared.name for shared in compiled.shared_var_keys}
        data = {_DATA + name: value for name, value in task.data.items() if _DATA + name in used}
        return dataclasses.replace(compiled.with_data(**data), initial_point_func=start)
    from nutpie.compile_pymc import CompiledPyMCModel

    block, *arrays = compiled.arguments(task.data)
    names = list(task.names)
    slices = [slice(i, i + 1) for i in range(len(names))]
    return CompiledPyMCModel(
        _n_dim=len(names),
        dims={},
        _coords={},
        _shapes=dict.fromkeys(names, ()),
        compiled_logp_func=_Code(compiled.logp, compiled),
        compiled_expand_func=_Code(compiled.copy, compiled),
        initial_point_func=start,
        shared_data={str(i): array for i, array in enumerate(arrays)},
        shared_var_keys={},
        user_data=block,
        n_expanded=len(names),
        shape_info=(names, slices, [()] * len(names)),
        logp_func=None,
        expand_func=None,
        reparameterized_names=[],
    )


@dataclasses.dataclass(frozen=True)
class _Code:
    """A compiled function, which lives as long as this does."""

    address: int
    owner: Density
