"""A change as something to look at: both graphs in one, each part marked with what becomes of it."""

from __future__ import annotations

from typing import Literal

from .change import Change
from .model import Edge, Graph
from .text import to_text

Mark = Literal["new", "gone", "changed"]
Joint = tuple[str, str, str]

_SIGNS = {"new": "+", "changed": "~"}


def merged(change: Change) -> Graph:
    """Both graphs in one: what was there, as it is afterwards where it stays, and what is new."""
    nodes = {node.name: node for node in (*change.before.nodes, *change.after.nodes)}
    edges = {joint(edge): edge for edge in (*change.before.edges, *change.after.edges)}
    return Graph(tuple(nodes.values()), tuple(edges.values()), change.after.name)


def joint(edge: Edge) -> Joint:
    """Which edge it is, before and after: who writes it, and its name."""
    return edge.source, edge.source_port, edge.name


def node_marks(change: Change) -> dict[str, Mark]:
    """What becomes of nodes, by name; of those that are left out nothing."""
    was, now = ({node.name: None for node in graph} for graph in (change.before, change.after))
    found: dict[str, Mark] = dict.fromkeys((*change.swapped, *(each.node for each in change.tuned)), "changed")
    found |= {name: "gone" for name in was if name not in now}
    found |= {name: "new" for name in now if name not in was}
    return found


def edge_marks(change: Change) -> dict[Joint, Mark]:
    """What becomes of edges, by `joint`; of those that are left out nothing."""
    was, now = ({joint(edge): None for edge in graph.edges} for graph in (change.before, change.after))
    found: dict[Joint, Mark] = {key: "gone" for key in was if key not in now}
    found |= {key: "new" for key in now if key not in was}
    return found


def picture(change: Change) -> str:
    """The graph afterwards in characters, ``+`` before what is new, ``~`` before what is changed; then the words."""
    found = {each.node: "changed" for each in change.rewired} | node_marks(change)
    signs = {node.name: _SIGNS[found[node.name]] for node in change.after.processors() if node.name in found}
    return f"{to_text(change.after, signs)}\n\n{change}"
