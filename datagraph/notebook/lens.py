"""What a lens shows, as bounded JSON: values as a table of texts, a node as what there is to know of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..graph.text import clean
from ..observe.watch import EdgeLook, NodeLook, PartLook, ValueLook
from ..streams.text import short

MOST_ROWS = 50
MOST_COLUMNS = 40
MOST_CELL = 200
_MOST_LINES = 400
_MOST_PARTS = 20
_MOST_SHOWN = 3
_MOST_TRACE = 8_000


def edge_data(look: EdgeLook) -> dict[str, Any]:
    """An edge's last values as a table, newest last."""
    values = look.values[-MOST_ROWS:]
    first = look.first + len(look.values) - len(values)
    columns, rows = table(values)
    return {
        "edge": look.edge,
        "stream": look.stream,
        "columns": columns,
        "rows": rows,
        "positions": list(range(first, first + len(values))),
        "versions": list(look.versions[-MOST_ROWS:]),
        "written": look.written,
        "first": first,
        "note": clean(look.note, MOST_CELL),
    }


def value_data(look: ValueLook) -> dict[str, Any]:
    """Where a value came from and what became of it; the first values of each part, as texts."""
    return {
        "edge": look.edge,
        "stream": look.stream,
        "position": look.position,
        "came": [_part(part) for part in look.came[:_MOST_PARTS]],
        "became": [
            {"node": node, "status": status, "made": [_part(part) for part in made[:_MOST_PARTS]]}
            for node, status, made in look.became[:_MOST_PARTS]
        ],
    }


def _part(part: PartLook) -> dict[str, Any]:
    return {
        "stream": part.stream,
        "edge": part.edge,
        "start": part.start,
        "stop": part.stop,
        "exact": part.exact,
        "version": part.version,
        "values": None if part.values is None else [cell(value) for value in part.values[:_MOST_SHOWN]],
    }


def node_data(look: NodeLook) -> dict[str, Any]:
    """A node: source, settings, errors, dead letters, the last lines of its log."""
    return {
        "node": look.node,
        "source": lines(look.source) if look.source is not None else None,
        "file": clean(look.file, MOST_CELL),
        "line": look.line,
        "settings": {clean(name): cell(value) for name, value in look.settings.items()},
        "errors": [
            {"error": cell(one.get("error")), "traceback": trace(one.get("traceback")), "at": one.get("at")}
            for one in look.errors[-MOST_ROWS:]
        ],
        "letters": [
            {
                "position": one.get("position"),
                "value": cell(one.get("value")),
                "error": cell(one.get("error")),
                "traceback": trace(one.get("traceback")),
            }
            for one in look.letters[-MOST_ROWS:]
        ],
        "logs": [clean(line, 2 * MOST_CELL) for line in look.logs[-MOST_ROWS:]],
    }


def table(values: Sequence[Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of texts: the fields, where every value is a mapping or a dataclass, else one column "value".

    >>> table([{"a": 1}, {"a": 2, "b": "x"}])
    (['a', 'b'], [['1', ''], ['2', 'x']])
    >>> table(["x", 2])
    (['value'], [['x'], ['2']])
    """
    records = [record for record in map(_record, values) if record is not None]
    if not values or len(records) < len(values):
        return ["value"], [[cell(value)] for value in values]
    keys = list(dict.fromkeys(key for record in records for key in list(record)[:MOST_COLUMNS]))[:MOST_COLUMNS]
    rows = [[cell(record[key]) if key in record else "" for key in keys] for record in records]
    return [cell(key) for key in keys], rows


def cell(value: Any) -> str:
    """A value as one line of text, at most 200 characters, whatever it is.

    >>> cell({"a": [1, 2]}), cell("x" * 1000)[-3:]
    ("{'a': [1, 2]}", 'xx…')
    """
    if isinstance(value, str):
        return clean(value[: 2 * MOST_CELL], MOST_CELL)
    return clean(short(value, MOST_CELL), MOST_CELL)


def lines(text: str) -> str:
    """A longer text with its lines, each of them clean; the first four hundred of them."""
    return "\n".join(clean(line.expandtabs(4), 2 * MOST_CELL) for line in text.splitlines()[:_MOST_LINES])


def trace(text: Any) -> str:
    """The end of a traceback, where it says what happened."""
    return lines("\n".join(str(text or "")[-_MOST_TRACE:].splitlines()[-_MOST_LINES:]))


def _record(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
    return None
