"""What the tables of benchmarks/results were measured with, and whether the code has changed since.

    python benchmarks/made_with.py
    python benchmarks/made_with.py COMMIT STUDY TABLE ...

The first lists each table with the command that makes it, and whether it is older than the code.
A study writes its tables by `keep`, which notes in results/made_with.csv a hash of the code it
measured: the bodies of the package's modules that the study's imports lead to, without comments,
docstrings and what errors say. The second notes that tables were measured with the package as a
commit has it. The docs say of a table that is older than the code that it is; a test holds that.
"""

import ast
import csv
import functools
import hashlib
import io
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from bayescale.common.files import replacing

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
MANIFEST = RESULTS / "made_with.csv"

#: What no figure depends on: errors, progress and files, and the words about what was measured.
UNMEASURED = ("bayescale/common/", "bayescale/prediction/measured.py")


def modules(study, root=ROOT):
    """Files of the package that a study's imports lead to."""
    front = _imports(root / "bayescale" / "__init__.py", root, typed=True)
    found, waiting = set(), _of_script(RESULTS.parent / f"{study}.py", front)
    while waiting:
        path = _file(*waiting.pop(), root)
        told = path.relative_to(root).as_posix()
        if path not in found and not told.startswith(UNMEASURED):
            found.add(path)
            waiting += _imports(path, root).values()
    return sorted(found)


def _of_script(path, front):
    """What a study imports of the package, also as `bs.fit` and by other scripts of its folder."""
    tree = ast.parse(path.read_bytes())
    found = [(m, n) for m, n, _ in _named(tree) if m.startswith("bayescale.")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "bs":
            found += [front[node.attr]] if node.attr in front else []
    for other in {module for module, _, _ in _named(tree)} - {"made_with", path.stem}:
        if (path.parent / f"{other}.py").is_file():
            found += _of_script(path.parent / f"{other}.py", front)
    return found


def _imports(path, root, typed=False):
    """Module and name of all that a module imports of the package; `typed` adds types alone."""
    tree = ast.parse(path.read_bytes())
    return {as_: (m, n) for m, n, as_ in _named(tree, typed) if m.startswith("bayescale.")}


def _named(node, typed=False):
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.ImportFrom) and one.module:
            yield from ((one.module, name.name, name.asname or name.name) for name in one.names)
        elif isinstance(one, ast.Import):
            yield from ((name.name, "", name.name) for name in one.names)
        elif typed or getattr(getattr(one, "test", None), "id", "") != "TYPE_CHECKING":
            yield from _named(one, typed)


def _file(module, name, root):
    """Where a name is defined: a package hands on what its modules have."""
    parts = module.split(".")
    base = root.joinpath("models", *parts[2:]) if parts[1] == "models" else root.joinpath(*parts)
    if base.with_suffix(".py").is_file():
        return base.with_suffix(".py")
    if (base / f"{name}.py").is_file() and module != "bayescale.models":
        return base / f"{name}.py"
    handed = _imports(base / "__init__.py", root)
    return _file(*handed[name], root) if name in handed else base / "__init__.py"


def code(study, root=ROOT):
    """A hash of what a study measures: twelve hexadecimal digits."""
    total = hashlib.sha256()
    for path in modules(study, root):
        total.update(str(path.relative_to(root)).encode())
        total.update("\n".join(_words(ast.parse(path.read_bytes()))).encode())
    return total.hexdigest()[:12]


def _words(node):
    """A syntax tree in words that no version of Python, comment, docstring or error changes."""
    yield type(node).__name__
    if isinstance(node, ast.Raise):
        return
    for name, value in ast.iter_fields(node):
        if value is None or value == []:
            continue
        yield name
        values = value if isinstance(value, list) else [value]
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        if documented and name == "body" and _is_text(values[0]):
            values = values[1:]
        for one in values:
            if isinstance(one, ast.AST):
                yield from _words(one)
            else:
                yield repr(one)


def _is_text(node):
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def made_with(manifest=MANIFEST):
    """Study and hash of every table."""
    with manifest.open(encoding="utf-8", newline="") as file:
        return {row["table"]: (row["study"], row["code"]) for row in csv.DictReader(file)}


def is_older(table):
    """Whether the code has changed since a table was measured."""
    study, measured = made_with()[table]
    return measured != _now(study)


@functools.cache
def _now(study):
    return code(study)


# The code as a study begins: it may run for hours, and somebody may work meanwhile.
_STUDY = Path(sys.argv[0]).stem
_BEGUN = code(_STUDY) if (RESULTS.parent / f"{_STUDY}.py").is_file() else None


def keep(table, name, **kwargs):
    """Write a table of results, and what it was measured with; `kwargs` are of `to_csv`."""
    if _BEGUN is None:
        raise RuntimeError(f"{_STUDY} is no study of benchmarks/")
    RESULTS.mkdir(exist_ok=True)
    with replacing(RESULTS / name) as part:
        table.to_csv(part, **kwargs)
    note({name: (_STUDY, _BEGUN)})


def machine():
    """Processor, cores, Python and the load of the last minute."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), model)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}{load}"


def note(tables):
    """Put study and hash of tables down."""
    every = (made_with() if MANIFEST.is_file() else {}) | tables
    with replacing(MANIFEST) as part:
        lines = [f"{name},{','.join(told)}" for name, told in sorted(every.items())]
        Path(part).write_text("\n".join(["table,study,code", *lines, ""]), encoding="utf-8")


def code_of_commit(study, commit):
    """The hash of what a study measures, of the package as a commit has it."""
    told = ["git", "-C", str(ROOT), "archive", commit, "bayescale", "models"]
    packed = subprocess.run(told, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder, filter="data")
        return code(study, Path(folder))


def main():
    if len(sys.argv) > 3:
        commit, study, *tables = sys.argv[1:]
        note(dict.fromkeys(tables, (study, code_of_commit(study, commit))))
    for table, (study, measured) in made_with().items():
        state = "measured with this code" if measured == _now(study) else "older than the code"
        print(f"{table:<28} python benchmarks/{study}.py  {state}")


if __name__ == "__main__":
    main()
