"""The command line: ``bayescale fit runs.csv --law dense -o fit.nc`` and what comes after it."""

from __future__ import annotations

import inspect
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from bayescale.cli import (
    architectures,
    backtest,
    check,
    design,
    fit,
    forecast,
    next,
    report,
    spending,
    template,
    use,
)
from bayescale.cli import options as opt
from bayescale.cli.declare import Refused
from bayescale.common.errors import InputError
from bayescale.common.version import __version__
from bayescale.common.wording import at_prompt

__all__ = ["app"]

# Everything heavier than this is imported inside the commands, so that --help is immediate.


class _Manners(TyperGroup):
    """The group of all commands: what they raise and warn of becomes one line on standard error."""

    def invoke(self, ctx: Any) -> Any:
        words = [*getattr(ctx, "_protected_args", ()), *ctx.args]
        with _manners("--json" in words), at_prompt():
            return super().invoke(ctx)


@contextmanager
def _manners(json: bool = False) -> Iterator[None]:
    from bayescale.cli.output import as_json, message

    def refuse(text: str, code: str) -> typer.Exit:
        """Say what was wrong: in one line, and for a program as one object."""
        message("error", text, "red")
        if json:
            sys.stdout.write(as_json({"error": {"code": code, "message": text}}) + "\n")
        return typer.Exit(2)

    told: set[str] = set()

    def show_once(
        message: Warning | str, category: type[Warning], *where: Any, **rest: Any
    ) -> None:
        if str(message) not in told:
            told.add(str(message))
            _show_warning(message, category)

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for terminals that know no ± or −
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show_once
        try:
            yield
            sys.stdout.flush()
        except (InputError, Refused) as error:
            raise refuse(_as_options(str(error)), error.code) from error
        except KeyboardInterrupt:
            message("interrupted", "", "yellow")
            raise typer.Exit(130) from None
        except MemoryError as error:
            text = "there is not enough memory for that; ask for fewer draws"
            raise refuse(text, "memory") from error
        except BrokenPipeError:
            # Whoever read our output has seen enough. Python flushes once more as it exits.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise refuse(f"{where}{error.strerror or error}", "file") from error
        except Exception as error:
            usage = getattr(error, "format_message", None)  # Click's, of a wrong option
            if usage is None or not json:
                raise
            raise refuse(usage(), "usage") from error


def _show_warning(message: Warning | str, category: type[Warning]) -> None:
    from bayescale.cli import output

    # Other packages' warnings are about code, which is not what somebody at a prompt wrote.
    if category.__module__.startswith("bayescale"):
        output.message("warning", _as_options(str(message)), "yellow")


# The package words its remedies for Python; here they are options.
_OPTIONS = (
    (r"\b(choose|fixed)=\{'(\w+)': \[?\.\.\.\]?\}", r"--\1 \2=..."),
    (r"\b(choose|fixed)=\{\.\.\.\}", r"--\1 NAME=..."),
    (r"\b(bounds|choose)=", r"--\1"),
    (r"\btrust=True", "--trust"),
    (r"\bratio= says", "--ratio says"),
    (r"(?<!-)\b(memory|times|ratio) is\b", r"--\1 is"),
    (r"\bpass cost=", "give --cost"),
    (r"(?<!-)\b(prob|within|batch|most|rank|risk|level) is\b", r"--\1 is"),
    (r"\braise most=", "raise --most"),
    (r"\bdraws=(\d+)", r"--draws \1"),
    (r"\bpriors=\.\.\.", "--fixed NAME=VALUE"),
    (r"\blist_runs\(\)", "bayescale runs"),
    (r"\bfit\.save\(path\)", "bayescale fit"),
    (r"\bcolumns=\{'(\w+)': '([^']*)'\}", r'--column "\1=\2"'),
    (r"\bcolumns= gives\b", "--column gives"),
    (r"\bcheckpoints='(\w+)'", r"--checkpoints \1"),
    (r"\btail=([\d.]+)", r"--tail \1"),
    (r"\bpriors=\{'name': value\}", "--fixed NAME=VALUE"),
    (r"\bpriors\['(\w+)'\]=", r"--fixed \1="),
    (r"\bpriors=(?=[\s.,;)]|$)", "--prior"),
    (r"\bruns\.rename\(columns=\{'([^']*)': '(\w+)'\}\)", r"'\1' to '\2'"),
    (r"\bruns\.assign\((\w+)=runs\['([^']*)'\]\)", r"a column \1 with \2"),
    (r"\b(by|vary)=,", r"--\1,"),
    (r"\b(leave) (by|vary)= out\b", r"\1 --\2 out"),
    (
        r"\b(by|of|order|noise|method|risk|weights|checkpoints|tail|folds|error|against|"
        r"within|vary)=([\"']?)([^\s\"';,()]+)\2",
        r"--\1 \3",
    ),
    (r"\bbs\.diagnose\b", "bayescale check"),
    (r"\b(?:made by|use|with|that) bs\.fit\b", "made by bayescale fit"),
    (r"\bload_fit\(path, law=\.\.\.\)", "--law FILE.py:NAME"),
)


def _as_options(text: str) -> str:
    for pattern, option in _OPTIONS:
        text = re.sub(pattern, option, text)
    return text


app = typer.Typer(
    cls=_Manners,
    name="bayescale",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bayescale {__version__}")
        raise typer.Exit


def _unwrapped(command: Callable[..., Any]) -> str:
    """The docstring, each paragraph on one line to fill the terminal; indented ones as they are."""
    paragraphs = (inspect.getdoc(command) or "").split("\n\n")
    return "\n\n".join(p if p.startswith(" ") else " ".join(p.split()) for p in paragraphs)


def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Bayesian scaling laws: what to train, what loss to expect, and how sure that is.

    For example:

      bayescale fit runs.csv --law dense -o fit.nc
      bayescale predict fit.nc N=70B D=1.4T
      bayescale allocate fit.nc --budget 1e22 --budget 1e24
      bayescale decide fit.nc --budget 1e24
      bayescale next fit.nc --budget 1e24

    Numbers may be written 7B, 1.4T (k, M, B, T), 1e24 or 1_000. Tables are for people; --json and
    --csv give full precision to programs. Messages go to standard error. Exit codes: 0 done,
    1 a check failed (check, check-law), 2 what was given cannot be used, 130 interrupted; with
    --json what was wrong is an object too, error, with code and message. A --seed
    gives the same numbers again on one machine, on however many of its cores.
    """


def demo(
    output: opt.Folder = Path("bayescale-demo"),
) -> None:
    """Show the package at work on real runs, with figures.

    For example:

      bayescale demo
      bayescale demo -o somewhere
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; name a folder")

    from bayescale.demo import run

    run(output)


app.callback(help=_unwrapped(main))(main)
for command in (
    fit.laws,
    fit.runs,
    template.template,
    fit.fit,
    check.check,
    check.check_law,
    use.predict,
    use.allocate,
    use.decide,
    spending.score,
    spending.worth,
    spending.spend,
    architectures.choices,
    architectures.versus,
    architectures.upcycle,
    next.next,
    design.design,
    use.compare,
    backtest.backtest,
    forecast.forecast,
    forecast.outcome,
    report.report,
    demo,
):
    app.command(help=_unwrapped(command))(opt.with_groups(command))
