"""Values as a lens shows them: bounded, on one line, whatever they are."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagraph.notebook.lens import MOST_CELL, MOST_COLUMNS, MOST_ROWS, cell, edge_data, lines, node_data, table, trace
from datagraph.observe.watch import EdgeLook, NodeLook


class Rude:
    """Its repr raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


class Chatty:
    """Its repr is long, and of several lines."""

    def __repr__(self) -> str:
        return "line\n" * 100_000


@dataclasses.dataclass
class Point:
    x: int
    y: Any = None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.lists(anything, max_size=60))
def test_any_values_become_a_bounded_table(values: list[Any]) -> None:
    """As many cells in each row as there are columns, each a short line, and all of it JSON."""
    look = EdgeLook("x->a.x", "x", values, 10, 10 + len(values))
    data = json.loads(json.dumps(edge_data(look), allow_nan=False))
    assert len(data["rows"]) == len(data["positions"]) == min(len(values), MOST_ROWS)
    assert {len(row) for row in data["rows"]} <= {len(data["columns"])}
    assert len(data["columns"]) <= MOST_COLUMNS
    for text in (text for row in [data["columns"], *data["rows"]] for text in row):
        assert len(text) <= MOST_CELL
        assert text.isprintable() or not any(char in text for char in "\n\r\t\x00\x1b\u202e")
    if values:
        assert data["positions"][-1] == data["written"] - 1


@pytest.mark.parametrize(
    "value, text",
    [
        ("plain", "plain"),
        (b"\x00\xff", "b'\\x00\\xff'"),
        (None, "None"),
        (1.5, "1.5"),
        (dt.date(2026, 1, 2), "datetime.date(2026, 1, 2)"),
        (np.zeros((3, 4)), "<ndarray 3 x 4>"),
        (pd.DataFrame({"a": [1, 2]}), "<DataFrame 2 x 1>"),
        (Rude(), f"<{Rude.__module__}.Rude whose repr raises RuntimeError>"),
    ],
)
def test_a_value_is_a_short_text(value: Any, text: str) -> None:
    """What it is, where showing all of it would be too much."""
    assert cell(value) == text


def test_long_and_loud_values_are_cut() -> None:
    """A hundred thousand lines are one, a large number is told by its size."""
    assert len(cell(Chatty())) == MOST_CELL
    assert "\n" not in cell(Chatty())
    assert len(cell("x" * 10**7)) == MOST_CELL
    assert "bits" in cell(10**5000)


def test_records_have_columns() -> None:
    """Mappings and dataclasses by their fields; a mixture is one column."""
    assert table([Point(1, "a"), {"x": 2, "z": 3}]) == (["x", "y", "z"], [["1", "a", ""], ["2", "", "3"]])
    assert table([Point(1), 7]) == (["value"], [[cell(Point(1))], ["7"]])
    assert table([]) == (["value"], [])
    wide = [{f"c{i}": i for i in range(1000)}]
    assert len(table(wide)[0]) == MOST_COLUMNS


def test_a_node_is_told_in_clean_lines() -> None:
    """Source and tracebacks keep their lines and nothing else that moves a terminal or turns text round."""
    look = NodeLook(
        "a",
        source="def f():\n\treturn '\x1b[31m\u202e'",
        file="x\ny.py",
        settings={"rate": 2.0},
        errors=[{"error": "<b>", "traceback": "one\ntwo", "at": 1.0}],
        letters=[{"position": i, "value": i, "error": "e", "traceback": None} for i in range(100)],
        logs=[f"line {i}" for i in range(100)],
    )
    data = json.loads(json.dumps(node_data(look)))
    assert data["source"] == "def f():\n    return '[31m\\u202e'"
    assert (data["file"], data["settings"]) == ("x y.py", {"rate": "2.0"})
    assert data["errors"] == [{"error": "<b>", "traceback": "one\ntwo", "at": 1.0}]
    assert (len(data["letters"]), data["letters"][-1]["position"]) == (MOST_ROWS, 99)
    assert data["logs"][-1] == "line 99"


def test_a_long_traceback_keeps_its_end() -> None:
    """What happened stands last."""
    text = trace("\n".join(f"frame {i}" for i in range(10_000)) + "\nValueError: no")
    assert text.endswith("ValueError: no")
    assert len(text) <= 8_000
    assert lines("a\r\nb") == "a\nb"
