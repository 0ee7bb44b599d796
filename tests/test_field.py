"""The benchmark of tools: what a tool may answer, and how that is counted."""

import field
import numpy as np
import pandas as pd
import pytest
from field_tools import TOOLS

TOOL = """
import numpy as np

def wide(runs, new, budget):
    assert "loss" not in new
    return {"losses": np.geomspace(1.0, 10.0, 500)[:, None] * np.ones(len(new))}

def short(runs, new, budget):
    return {"losses": np.ones((500, 1))}

def broken(runs, new, budget):
    raise ValueError("no fit")
"""


@pytest.fixture(scope="module")
def question():
    runs = dict(field.shipped())["olmo_ladder"]
    return {"series": "olmo_ladder", "cut": 0.2, "runs": runs[:24], "new": runs[24:]}


@pytest.fixture
def tool(tmp_path):
    (tmp_path / "mine.py").write_text(TOOL, encoding="utf-8")
    return lambda name: f"{tmp_path / 'mine.py'}:{name}"


def said(question, tool):
    return field.answer(tool, question["runs"], question["new"].drop(columns="loss"), None)


def test_a_tool_of_ones_own_is_scored(question, tool):
    rows = field.scores(question, said(question, tool("wide")))
    assert rows.inside_90.all()
    assert not rows.failed.any()
    assert rows.width.to_numpy() == pytest.approx(0.9 * np.log(10), rel=1e-2)


@pytest.mark.parametrize("name", ["broken", "short"])
def test_what_fails_is_counted_as_outside(question, tool, name):
    good, bad = (
        field.scores(question, said(question, tool(n))).assign(tool=n, series="olmo_ladder")
        for n in ("wide", name)
    )
    assert bad.failed.all()
    assert not bad[field.HELD].any().any()
    good["tool"] = field.REFERENCE
    table = field.by_tool(field.by_series(pd.concat([good, bad]))).set_index("tool")
    failed = table[table.times_largest == "all"].loc[name]
    assert failed.failed == 1
    assert failed.inside_90 == 0
    assert np.isnan(failed.crps_ratio)


def test_profiles_without_a_law_find_the_best_size():
    """Of the budgets of Hoffmann et al., whose own answer is an exponent of about a half."""
    name, runs, held, profile = list(field.best_sizes())[4]
    assert name == "hoffmann2022"
    assert held.budget.unique() == [3e21]
    assert runs.flops.max() < 3.5e20
    found = TOOLS["isoFLOP profiles, no law"][0](runs, None, 3e21)
    assert abs(np.log10(found["plan"]) - (profile.best + profile.centre) / np.log(10)) < 0.3
