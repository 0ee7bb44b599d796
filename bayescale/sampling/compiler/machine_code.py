"""A traced log posterior as machine code, in a tenth of a second and without PyTensor.

LLVM compiles what :mod:`bayescale.sampling.compiler.symbolic` wrote down: first what does not
depend on the run, then one loop over the runs, then the rest. What depends on data alone is worked
out by NumPy when the data are given, so that a density serves tables of any length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescale.sampling.compiler.machine_functions import functions, text
from bayescale.sampling.compiler.symbolic import (
    NUMPY,
    Symbol,
    UntraceableError,
    gradient,
    ordered,
    variable,
)

__all__ = ["Density", "compile_density"]


@dataclass(frozen=True)
class Density:
    """Compiled log density and gradient.

    Attributes
    ----------
    names
        The coordinates, in order.
    numbers, rows
        What the code reads of the data: numbers, and rows of one number a run.
    logp, copy
        Addresses of the compiled functions, as nutpie calls them: the density with its gradient,
        and what turns coordinates into what is kept of a draw (here: the coordinates).
    engine
        Owns the code.
    """

    names: tuple[str, ...]
    numbers: tuple[Symbol, ...]
    rows: tuple[Symbol, ...]
    logp: int
    copy: int
    engine: Any

    def arguments(self, data: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What the code needs of data: a block of pointers, and the two arrays it points to."""
        runs = max(np.size(value) for value in data.values())
        with np.errstate(all="ignore"):
            values = _evaluate(ordered([*self.numbers, *self.rows]), data, runs)
        numbers = np.array([float(values[s]) for s in self.numbers] or [0.0])
        rows = np.empty((max(len(self.rows), 1), runs))
        for i, symbol in enumerate(self.rows):
            rows[i] = values[symbol]
        block = np.array([runs, numbers.ctypes.data, rows.ctypes.data], dtype=np.uint64)
        return block, numbers, rows


def _evaluate(symbols: Sequence[Symbol], data: Mapping[str, Any], runs: int) -> dict[Symbol, Any]:
    found: dict[Symbol, Any] = {}
    for s in symbols:
        if s.op == "data":
            found[s] = np.asarray(data[s.value], dtype=float)
        elif s.op == "constant":
            found[s] = np.float64(s.value)
        elif s.op == "sum":
            found[s] = np.sum(np.broadcast_to(found[s.args[0]], runs))
        else:
            found[s] = NUMPY[s.op](*(found[a] for a in s.args))
    return found


def compile_density(
    density: Callable[[Mapping[str, Symbol], Mapping[str, Symbol]], Symbol],
    names: Sequence[str],
    data: Mapping[str, Any],
) -> Density:
    """Trace, differentiate and compile a log density.

    Parameters
    ----------
    density
        From coordinates and data by name to the log density.
    names
        The coordinates.
    data
        Their values do not matter, only which are rows.

    Raises
    ------
    UntraceableError
        If the density does what a symbol cannot follow.
    """
    import llvmlite.binding as llvm

    u = [variable("coordinate", name) for name in names]
    known = {n: variable("data", n, row=np.ndim(value) > 0) for n, value in data.items()}
    value = density(dict(zip(names, u, strict=True)), known)
    writer = _Writer(names)
    assembly = writer.module(value, gradient(value, u))
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
    )
    module = llvm.parse_assembly(assembly)
    module.verify()
    options = llvm.create_pipeline_tuning_options(2)
    options.loop_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    engine = llvm.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    return Density(
        names=tuple(names),
        numbers=tuple(writer.inputs[False]),
        rows=tuple(writer.inputs[True]),
        logp=engine.get_function_address("logp"),
        copy=engine.get_function_address("copy"),
        engine=engine,
    )


_HEAD = """
declare double @llvm.sqrt.f64(double)
declare double @llvm.fabs.f64(double)

define i64 @copy(i64 %dim, i64 %kept, ptr %x, ptr %out, ptr %data) {
  %bytes = mul i64 %dim, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %out, ptr %x, i64 %bytes, i1 false)
  ret i64 0
}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define i64 @logp(i64 %dim, ptr noalias %x, ptr noalias %grad, ptr noalias %value, ptr %data) {
before:
  %runs = load i64, ptr %data
  %at.numbers = getelementptr i64, ptr %data, i64 1
  %numbers = load ptr, ptr %at.numbers
  %at.rows = getelementptr i64, ptr %data, i64 2
  %rows = load ptr, ptr %at.rows
"""
_BINARY = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
_CALLS = {
    "exp": "exponential",
    "log": "logarithm",
    "log1p": "log_one_plus",
    "sqrt": "llvm.sqrt.f64",
    "abs": "llvm.fabs.f64",
}
_COMPARISONS = {"less": "olt", "at_most": "ole", "equal": "oeq"}


class _Writer:
    """Writes LLVM's assembly: code before the loop over runs, in it and after it."""

    def __init__(self, names: Sequence[str]) -> None:
        self.coordinates = {name: i for i, name in enumerate(names)}
        self.inputs: dict[bool, list[Symbol]] = {False: [], True: []}
        self.code: dict[str, list[str]] = {"before": [], "loop": [], "after": []}
        self.sums: list[tuple[str, str]] = []  # register, and what each run adds to it
        self.place: dict[str, str] = {}  # of registers that are not ready before the loop
        self.given: dict[str, Symbol] = {}  # what data alone determine, and the code may load
        self.known: dict[Any, str] = {}  # equal operations are written once
        self.count = 0

    def module(self, value: Symbol, derivatives: Sequence[Symbol]) -> str:
        """The whole text."""
        registers: dict[Symbol, str] = {}
        results = [value, *derivatives]
        for symbol in ordered(results):
            registers[symbol] = self.register(symbol, registers)
        registers |= {symbol: self.loaded(registers[symbol]) for symbol in results}
        after = self.code["after"]
        for i, symbol in enumerate(results):
            target = "%value"
            if i:
                target = self.new()
                after.append(f"{target} = getelementptr double, ptr %grad, i64 {i - 1}")
            after.append(f"store double {registers[symbol]}, ptr {target}")
        # What is not finite once subtracted from itself is not zero.
        bad = ["0", "0"]
        for i, symbol in enumerate(results):
            flag, zero = self.new(), self.new()
            after.append(f"{zero} = fsub double {registers[symbol]}, {registers[symbol]}")
            after.append(f"{flag} = fcmp uno double {zero}, {zero}")
            both = self.new()
            kind = min(i, 1)
            after.append(f"{both} = or i1 {bad[kind]}, {flag}")
            bad[kind] = both
        after.append(f"%worthless = select i1 {bad[0]}, i64 4, i64 0")
        after.append(f"%code = select i1 {bad[1]}, i64 3, i64 %worthless")
        after.append("ret i64 %code")
        phis = ["%i = phi i64 [0, %before], [%next, %loop]"]
        steps = []
        for register, term in self.sums:
            phis.append(f"{register}.old = phi double [{text(0.0)}, %before], [{register}, %loop]")
            steps.append(f"{register} = fadd reassoc double {register}.old, {term}")
        steps += ["%next = add i64 %i, 1", "%last = icmp uge i64 %next, %runs"]
        lines = [
            *self.code["before"], "br label %loop", "loop:", *phis, *self.code["loop"], *steps,
            "br i1 %last, label %after, label %loop", "after:", *after,
        ]  # fmt: skip
        return functions() + _HEAD + "\n".join(lines) + "\n}\n"

    def new(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def register(self, symbol: Symbol, registers: Mapping[Symbol, str]) -> str:
        """Where the symbol's value is found; writes the code that puts it there."""
        if symbol.op == "constant":
            return text(symbol.value)
        args = [registers[a] for a in symbol.args]
        key = (symbol.op, symbol.value, *args)
        if key not in self.known:
            self.known[key] = self.write(symbol, args)
        return self.known[key]

    def write(self, symbol: Symbol, args: Sequence[str]) -> str:
        if not symbol.unknown:
            name = f"given {len(self.given)}"
            self.given[name] = symbol
            return name
        args = [self.loaded(a) for a in args]
        place = "loop" if symbol.row else "before"
        if any(self.place.get(a) == "after" for a in args):
            place = "after"
        if symbol.row and place == "after":
            raise UntraceableError("a run's density depends on a sum over the runs")
        code = self.code[place]
        r = self.new()
        if symbol.op == "sum":
            self.sums.append((r, args[0]))
            self.place[r] = "after"
            return r
        if symbol.op == "coordinate":
            at = self.new()
            where = self.coordinates[symbol.value]
            code.append(f"{at} = getelementptr double, ptr %x, i64 {where}")
            code.append(f"{r} = load double, ptr {at}")
        elif symbol.op in _BINARY:
            code.append(f"{r} = {_BINARY[symbol.op]} double {args[0]}, {args[1]}")
        elif symbol.op == "neg":
            code.append(f"{r} = fneg double {args[0]}")
        elif symbol.op in _CALLS:
            code.append(f"{r} = call double @{_CALLS[symbol.op]}(double {args[0]})")
        elif symbol.op == "pow":
            power = self.new()
            code.append(f"{power} = fmul double {args[1]}, {args[2]}")
            code.append(f"{r} = call double @exponential(double {power})")
        else:
            test = self.new()
            if symbol.op in _COMPARISONS:
                order = _COMPARISONS[symbol.op]
                code.append(f"{test} = fcmp {order} double {args[0]}, {args[1]}")
                args = (text(1.0), text(0.0))
            elif symbol.op == "where":
                code.append(f"{test} = fcmp une double {args[0]}, {text(0.0)}")
                args = args[1:]
            else:  # The larger or the smaller; not a number if either is not.
                order, beats, odd = ("ogt" if symbol.op == "max" else "olt"), self.new(), self.new()
                code.append(f"{beats} = fcmp {order} double {args[0]}, {args[1]}")
                code.append(f"{odd} = fcmp uno double {args[0]}, {args[0]}")
                code.append(f"{test} = or i1 {beats}, {odd}")
            code.append(f"{r} = select i1 {test}, double {args[0]}, double {args[1]}")
        if place != "before":
            self.place[r] = place
        return r

    def loaded(self, name: str) -> str:
        """The register of something that data alone determine; any other name as it is."""
        if name not in self.given:
            return name
        if ("loaded", name) not in self.known:
            symbol = self.given[name]
            index = len(self.inputs[symbol.row])
            self.inputs[symbol.row].append(symbol)
            code = self.code["loop" if symbol.row else "before"]
            at, r = self.new(), self.new()
            if symbol.row:
                first, place = self.new(), self.new()
                code.append(f"{first} = mul i64 %runs, {index}")
                code.append(f"{place} = add i64 {first}, %i")
                code.append(f"{at} = getelementptr double, ptr %rows, i64 {place}")
                self.place[r] = "loop"
            else:
                code.append(f"{at} = getelementptr double, ptr %numbers, i64 {index}")
            code.append(f"{r} = load double, ptr {at}")
            self.known["loaded", name] = r
        return self.known["loaded", name]
