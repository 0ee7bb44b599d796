"""A log density traced, differentiated and compiled: one Python function in, machine code out.

Why it exists: PyTensor compiles the density of a law and its gradient in some eight seconds of
processor time, most of what a first fit took. A law's density is one loop over the runs of
elementary operations, for which LLVM needs about .15 s.

What it covers: operators and comparisons; ``exp``, ``log``, ``log1p``, ``where``, ``maximum`` and
``minimum`` of :mod:`bayescale`; NumPy's exponential, logarithms, absolute value, roots, squares and
powers; sums over the runs. Anything else raises `UntraceableError`, and
:func:`bayescale.sampling.nuts.compiled_density` then has PyTensor compile the density.

``bs.fit(..., compile="pytensor")`` does without all this, and ``compile="llvm"`` without PyTensor:
two fits check one against the other.

`symbolic` writes down what the function does and differentiates it; `machine_code` puts that into
LLVM's assembly and compiles it; `machine_functions` has exponentials and logarithms in assembly.
"""

from bayescale.sampling.compiler.machine_code import Density, compile_density
from bayescale.sampling.compiler.symbolic import UntraceableError, sum_rows

__all__ = ["Density", "UntraceableError", "compile_density", "sum_rows"]
