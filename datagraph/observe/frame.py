"""A snapshot as DataFrames."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ..events.journal import EDGE_FIELDS, NODE_FIELDS, Journal
from ..events.snapshot import EdgeState, Snapshot
from ..graph.model import OUTPUT_PREFIX

if TYPE_CHECKING:
    import pandas as pd

NODE_COLUMNS = ("node", *NODE_FIELDS)
EDGE_COLUMNS = ("edge", "stream", "source", "target", *EDGE_FIELDS)
_WHOLE = (
    *("written", "read", "lag", "size", "capacity", "workers", "concurrency", "errors", "retries", "skipped"),
    *("dead_letters", "version"),
)
_FLAGS = ("paused", "resumable", "ended")
_TEXTS = ("kind", "name", "status", "waits_for", "error", "waiting", "breakpoint")
HISTORY_COLUMNS = (
    "at",
    "elapsed",
    "kind",
    "name",
    *NODE_FIELDS,
    *(field for field in EDGE_FIELDS if field not in NODE_FIELDS),
)


def nodes_frame(snapshot: Snapshot) -> pd.DataFrame:
    """One row a node, in the graph's order but for its outputs; `NODE_COLUMNS` are the columns, as in `NodeState`."""
    import pandas as pd

    states = [state for name, state in snapshot.nodes.items() if not name.startswith(OUTPUT_PREFIX)]
    return pd.DataFrame([{"node": state.name, **asdict(state)} for state in states], columns=list(NODE_COLUMNS))


def edges_frame(snapshot: Snapshot) -> pd.DataFrame:
    """One row an edge, in the graph's order; the columns are `EDGE_COLUMNS`, as `EdgeState` says.

    Of a `breakpoint` it is the condition. What will never come is NaN in the two columns of seconds; `capacity` is
    <NA> where nothing holds the writer back.
    """
    import pandas as pd

    rows = [{"edge": state.name, **asdict(state), "breakpoint": _condition(state)} for state in snapshot.edges.values()]
    frame = pd.DataFrame(rows, columns=list(EDGE_COLUMNS))
    floats = {"seconds_to_full": "float64", "seconds_to_drained": "float64"}
    return frame.astype({"capacity": "Int64", **floats})


def _condition(state: EdgeState) -> str | None:
    return None if state.breakpoint is None else state.breakpoint.condition


def history_frame(journal: Journal) -> pd.DataFrame:
    """One row for each recorded moment and each node ("kind" node) and edge ("kind" edge): `HISTORY_COLUMNS`.

    `at` is the server's time in UTC, `elapsed` seconds since the run began; the rest as in `NodeState` and `EdgeState`,
    missing where a node or an edge has no such thing.
    """
    import pandas as pd

    graph = journal.graph
    rows: list[dict[str, object]] = []
    for tick in journal:
        when = {"at": tick["at"], "elapsed": tick["elapsed"]}
        for node, values in zip(graph.nodes, tick["n"], strict=True):
            rows.append({**when, "kind": "node", "name": node.name, **dict(zip(NODE_FIELDS, values, strict=True))})
        for edge, values in zip(graph.edges, tick["e"], strict=True):
            state = dict(zip(EDGE_FIELDS, values, strict=False))  # earlier recordings have no breakpoints
            stop = state.get("breakpoint")
            condition = None if stop is None else stop["condition"]
            rows.append({**when, "kind": "edge", "name": edge.name, **state, "breakpoint": condition})
    frame = pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))
    types = dict.fromkeys(HISTORY_COLUMNS, "float64")
    types |= dict.fromkeys(_WHOLE, "Int64") | dict.fromkeys(_FLAGS, "boolean")
    types |= dict.fromkeys(_TEXTS, "object")
    frame = frame.astype(types)
    frame["at"] = pd.to_datetime(frame["at"], unit="s", utc=True).dt.round("ms")
    return frame
