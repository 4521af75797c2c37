"""Snapshots as DataFrames and as one line."""

from __future__ import annotations

from dataclasses import fields, replace

from datagraph.events.snapshot import EdgeState, NodeState
from datagraph.observe.frame import EDGE_COLUMNS, NODE_COLUMNS, edges_frame, nodes_frame
from datagraph.observe.progress import progress_line, seconds_left
from tests.observe.kit import chain, snapshot

SHARES = {"a": (0.1, 0.0, 0.9), "b": (1.0, 0.0, 0.0)}


def test_frames_have_every_field_in_their_documented_order() -> None:
    """A field that is added to the model is added to the tables."""
    seen = snapshot(chain(), SHARES, {"y": 100})
    assert tuple(nodes_frame(seen).columns) == NODE_COLUMNS
    assert tuple(edges_frame(seen).columns) == EDGE_COLUMNS
    assert {f.name for f in fields(NodeState)} - {"name"} == set(NODE_COLUMNS) - {"node"}
    assert {f.name for f in fields(EdgeState)} - {"name"} == set(EDGE_COLUMNS) - {"edge"}


def test_frames_hold_a_row_a_node_and_edge() -> None:
    """Nodes that only show a result are left out; unknown capacities are missing, not nan in a column of floats."""
    seen = snapshot(chain(), SHARES, {"y": 100})
    assert list(nodes_frame(seen)["node"]) == ["in:x", "a", "b", "c"]
    edges = edges_frame(seen).set_index("edge")
    assert edges.loc["y->b.y", "lag"] == 100
    assert str(edges["capacity"].dtype) == "Int64"
    assert edges["capacity"].isna().sum() == 1


def test_frames_of_nothing_have_their_columns() -> None:
    """An empty run gives empty tables."""
    seen = replace(snapshot(chain(), {}), nodes={}, edges={})
    assert (len(nodes_frame(seen)), len(edges_frame(seen))) == (0, 0)
    assert tuple(edges_frame(seen).columns) == EDGE_COLUMNS


def test_line_tells_done_rate_time_left_and_bottleneck() -> None:
    """While inputs are still given their number is open; afterwards the time left is known."""
    seen = replace(snapshot(chain(), SHARES, {"x": 10, "y": 100}), sentence="`b` is slow")
    assert progress_line(seen) == "990 of 1,000+ · 0/s · `b` is slow"
    edges = {name: replace(edge, ended=edge.stream == "x", rate_out=10.0) for name, edge in seen.edges.items()}
    ended = replace(seen, edges=edges)
    assert progress_line(ended) == "990 of 1,000 · 0/s · 11 s left · `b` is slow"


def test_time_left_counts_what_is_still_to_come_down_the_chain() -> None:
    """The slowest edge has to take what waits before it too."""
    seen = snapshot(chain(), SHARES, {"x": 30, "y": 20, "w": 10})
    edges = {name: replace(edge, ended=True, rate_out=10.0) for name, edge in seen.edges.items()}
    assert seconds_left(replace(seen, edges=edges)) == 6.0


def test_line_of_an_ended_run_says_how_it_ended() -> None:
    """No rate and no time left where nothing goes on."""
    assert progress_line(snapshot(chain(), SHARES, status="failed")) == "1,000 of 1,000+ · failed after 10 s"
