"""A snapshot as DataFrames."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from ..events.snapshot import Snapshot
from ..graph.model import OUTPUT_PREFIX

if TYPE_CHECKING:
    import pandas as pd

NODE_COLUMNS = (
    "node",
    "status",
    "busy",
    "starved",
    "blocked",
    "read",
    "written",
    "rate",
    "workers",
    "concurrency",
    "errors",
    "retries",
    "skipped",
    "dead_letters",
    "version",
    "paused",
    "resumable",
    "waits_for",
    "error",
)
EDGE_COLUMNS = (
    "edge",
    "stream",
    "source",
    "target",
    "written",
    "read",
    "lag",
    "size",
    "capacity",
    "fill",
    "rate_in",
    "rate_out",
    "seconds_to_full",
    "seconds_to_drained",
    "waiting",
    "ended",
)


def nodes_frame(snapshot: Snapshot) -> pd.DataFrame:
    """One row a node, in the graph's order but for its outputs; `NODE_COLUMNS` are the columns, as in `NodeState`."""
    import pandas as pd

    states = [state for name, state in snapshot.nodes.items() if not name.startswith(OUTPUT_PREFIX)]
    return pd.DataFrame([{"node": state.name, **asdict(state)} for state in states], columns=list(NODE_COLUMNS))


def edges_frame(snapshot: Snapshot) -> pd.DataFrame:
    """One row an edge, in the graph's order; the columns are `EDGE_COLUMNS`, as `EdgeState` says.

    What will never come is NaN in the two columns of seconds; `capacity` is <NA> where nothing holds the writer back.
    """
    import pandas as pd

    rows = [{"edge": state.name, **asdict(state)} for state in snapshot.edges.values()]
    frame = pd.DataFrame(rows, columns=list(EDGE_COLUMNS))
    floats = {"seconds_to_full": "float64", "seconds_to_drained": "float64"}
    return frame.astype({"capacity": "Int64", **floats})
