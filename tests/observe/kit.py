"""Graphs and snapshots made by hand, whose answer is known."""

from __future__ import annotations

from typing import Any

from datagraph.events.snapshot import EdgeState, NodeState, Snapshot
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.wiring import by_port

VALUE = {"shape": "value", "state": "none", "runs_in": "thread"}


def node(name: str, inputs: str = "", outputs: str = "", **attrs: Any) -> Node:
    return Node(
        name,
        inputs=tuple(map(Port, inputs.split())),
        outputs=tuple(map(Port, outputs.split())),
        attrs={**VALUE, **attrs},
    )


def chain() -> Graph:
    """in:x -> a -> b -> c, whose result is z."""
    return by_port([node("a", "x", "y"), node("b", "y", "w"), node("c", "w", "z")], capacity=100)


def snapshot(
    graph: Graph, shares: dict[str, tuple[float, float, float]], lags: dict[str, int] | None = None, **facts: Any
) -> Snapshot:
    """`shares` by node; `lags` by stream, or by "stream->node" where only one of its edges is meant; of 100."""
    lags = lags or {}
    nodes = {}
    for each in graph:
        busy, starved, blocked = shares.get(each.name, (0.0, 0.0, 0.0))
        nodes[each.name] = NodeState(each.name, "running", busy=busy, starved=starved, blocked=blocked)
    edges = {}
    for edge in graph.edges:
        lag = lags.get(f"{edge.stream}->{edge.target}", lags.get(edge.stream, 0))
        capacity = edge.capacity
        edges[edge.name] = EdgeState(
            edge.name,
            edge.stream,
            edge.source,
            edge.target,
            written=1000,
            read=1000 - lag,
            lag=lag,
            capacity=capacity,
            fill=lag / capacity if capacity else 0.0,
        )
    return Snapshot("r1", "r", 100.0, **{"elapsed": 10.0, "nodes": nodes, "edges": edges, **facts})
