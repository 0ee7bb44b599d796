"""The law that a table is fitted with where nobody names one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescale.cli.output import message
from bayescale.common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.language.law import Law

__all__ = ["choose_law"]

#: What every dense run has.
_PLAIN = ("N", "D", "flops")


def choose_law(runs: pd.DataFrame) -> Law:
    """The law of dense runs, or of compute alone where a table has no more; said aloud.

    Raises
    ------
    InputError
        If the runs differ in what other laws are about: which one is for the user to say.
    """
    from bayescale.models import coupled, envelope, laws

    about = {name for one in laws().values() for name in one.inputs} - {*_PLAIN}
    varied = [str(name) for name in runs.columns if name in about and runs[name].nunique() > 1]
    if "N" in runs and "N_active" in varied and (runs.N_active == runs.N).all():
        varied.remove("N_active")
    if varied:
        able = [
            name
            for name, one in laws().items()
            if set(one.inputs) <= {*runs.columns} and {*varied} & {*one.inputs}
        ]
        known = f"laws of this table: {', '.join(able)}" if able else "see bayescale laws"
        raise InputError(f"the runs differ in {', '.join(varied)}; name a law with --law ({known})")
    alone = "flops" in runs and not {"N", "D"} & {*runs.columns}
    law, has = (envelope, "flops alone") if alone else (coupled, "N and D")
    message(
        "law",
        f"{law.name}, calibrated to predict beyond the runs, since the table has {has}; "
        "--law LAW fits another as its paper states it",
        "dim",
    )
    return law
