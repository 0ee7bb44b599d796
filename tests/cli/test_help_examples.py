"""Examples that a command's help shows, run in order in a folder that has what they name."""

import re
import shlex

import numpy as np
import pytest
import typer

import bayescale as bs
from bayescale.cli import app
from bayescale.models import dense, experts, granularity, sparse, transferred
from command_line import run

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

QUICK = {"method": "laplace", "seed": 1}
MY_LAW = '''
import bayescale as bs


@bs.law
def my_law(
    N, D, *, E=bs.floor(), A=bs.amplitude(), a=bs.exponent(0.3), B=bs.amplitude(), b=bs.exponent()
):
    """Loss of N parameters trained on D tokens."""
    return E + A * N**-a + B * D**-b
'''


def examples(command):
    """The lines of a command's help that call it, each as its words."""
    help_text = (command.help or "").replace("\b", "").replace("\\\n", " ")
    lines = [line.strip() for line in help_text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("bayescale ")]


COMMANDS = typer.main.get_command(app).commands


def ladder():
    return bs.load_runs("olmo_ladder").query("not target")


def pruned():
    """Runs of corpora by name, so that folds can be made of them, and what each run cost."""
    runs = bs.load_runs("frantar2023_t5").query("not target")
    names = np.resize(["web", "books", "code"], len(runs))
    return runs.assign(corpus=names, flops=6 * runs.N_active * runs.D)


def fitted(law, runs, **options):
    return lambda path: bs.fit(law, runs(), **QUICK, **options).save(path)


def written(table):
    return lambda path: table().to_csv(path, index=False)


def fine():
    """Simulated losses on the design of Krajewski et al. 2024, whose own are not public."""
    design = bs.load_runs("krajewski2024_design")
    return bs.simulate(granularity, design, "krajewski2024", noise_scale=0.005, seed=1)


def sweep():
    runs = ladder()[["N", "D", "loss", "run"]].rename(columns={"N": "size", "run": "trial"})
    return runs.assign(size=runs["size"] / 1e9)


def counted():
    """Two counts of parameters: with the embedding and without."""
    return ladder().assign(N_nonembedding=ladder().N - 1.5e8)


#: What examples name, as people have it: how each file is made, for every command.
FILES = {
    "runs.csv": written(ladder),
    "sweep.csv": written(sweep),
    "three.csv": written(lambda: ladder().iloc[[0, 12, 25]]),
    "moe.csv": written(pruned),
    "shapes.csv": written(lambda: ladder()[["N", "D"]].head(4) * 10),
    "candidates.csv": written(lambda: ladder()[["N", "D"]].head(6) * 2),
    "fit.nc": fitted(dense, ladder),
    "dense.nc": fitted(dense, ladder),
    "coupled.nc": fitted(bs.models.coupled, ladder),
    "moe.nc": fitted(experts, lambda: bs.load_runs("marin_moe")),
    "fine.nc": fitted(granularity, fine),
    "upcycled.nc": fitted(
        transferred, lambda: bs.load_runs("liew2025").query("experts == 8 and top_k == 2")
    ),
    "scratch.nc": lambda path: bs.published(dense, "liew2025_moe").save(path),
    "optimizers.nc": lambda path: bs.fit(
        dense, bs.load_runs("marin_optimizers"), by="optimizer", vary=("A",), draws=500, seed=1
    ).save(path),
}
#: Where an example means another fit or table by the same name.
INSTEAD = {
    "fit": {"runs.csv": written(counted)},
    "allocate": {"moe.nc": FILES["fine.nc"]},
    "decide": {"moe.nc": FILES["fine.nc"]},
    "score": {"moe.nc": fitted(dense, ladder)},
    "design": {"mine.csv": written(lambda: ladder()[["N", "D"]].iloc[::2])},
    "compare": {
        "dense.nc": fitted(dense, pruned),
        "sparse.nc": fitted(sparse, pruned),
        "mine.nc": None,
    },
}
MADE = re.compile(r"[\w.]+\.(?:csv|nc)\b")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A file that examples name, made once."""
    folder, kept = tmp_path_factory.mktemp("made"), {}

    def of(make):
        if make not in kept:
            kept[make] = folder / f"{len(kept)}"
            make(kept[make].with_suffix(".nc"))
        return kept[make].with_suffix(".nc")

    return of


#: What is added to examples that take minutes: fewer simulated truths, of a dozen.
FEWER = {"design": ("--simulations", "4")}


# The demonstration, minutes of fits, is run where the package is installed: test_clean_install.py.
@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"demo"}))
def test_the_examples_of_a_command_run(name, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MY_LAW)
    called = examples(COMMANDS[name])
    assert called
    outputs = {words[words.index("-o") + 1] for words in called if "-o" in words}
    if name == "template":
        outputs.add("runs.csv")
    for file in {word for words in called for word in words if MADE.fullmatch(word)} - outputs:
        make = (FILES | INSTEAD.get(name, {}))[file]
        if make is not None:
            (tmp_path / file).write_bytes(made(make).read_bytes())
    if name == "compare":
        law = "mine.py:my_law"
        pruned().to_csv("mine.csv", index=False)
        run("fit", "mine.csv", "--law", law, "--method", "laplace", "-o", "mine.nc")
    if name == "fit":
        written(counted)(tmp_path / "runs.csv")
    if name == "outcome":
        FILES["fit.nc"](tmp_path / "fit.nc")
        run("forecast", "fit.nc", "N=7B", "D=2T", "-o", "run_7b.json")
    for words in called:
        # A check that fails says so by its status.
        allowed = 1 if name.startswith("check") else 0
        try:
            run(*words, *FEWER.get(name, ()))
        except AssertionError:
            if not allowed:
                raise
            run(*words, code=allowed)


def test_every_command_has_an_example_of_itself():
    for name, command in COMMANDS.items():
        assert any(words[0] == name for words in examples(command)), name
