"""Edits put into effect on a graph: what it would be, and every reason why it may not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from .change import Change, Fits, Handover, compare, inputs_of, same_type
from .draft import Draft, RefusedError
from .edit import Described, Edit, edits_of, node_of
from .model import Graph, Node
from .text import clean
from .tuning import as_tuned
from .wiring import CAPACITY, by_port


def changed(graph: Graph, edits: Edit | Sequence[Edit], *, fits: Fits = same_type, capacity: int = CAPACITY) -> Change:
    """The change that these edits make of the graph, one after the other; one that is refused is among its problems.

    Args:
        graph: what the run is now.
        edits: one, or several that are one change.
        fits: whether values of a writer's port suit a reader's.
        capacity: values, for new edges whose reader says nothing else.

    Raises GraphError for what is no edit.
    """
    draft = Draft(graph)
    refused = []
    for edit in edits_of(edits):
        try:
            draft.apply(edit)
        except RefusedError as error:
            refused.append(str(error))
    found = compare(graph, _wired(graph, draft.nodes.values(), capacity), fits=fits)
    problems = dict.fromkeys((*refused, *found.problems, *draft.bereft(), *_lost(found, draft)))
    stay = {node.name for node in graph.processors()} & set(draft.nodes)
    swapped = dict.fromkeys((*found.swapped, *(name for name in draft.swapped if name in stay)))
    return replace(
        found,
        problems=tuple(problems),
        swapped=tuple(swapped),
        fresh=tuple(name for name in swapped if draft.swapped.get(name)),
        handovers=_handovers(found, draft),
    )


def becoming(
    graph: Graph, processors: Sequence[Node | Described], *, fits: Fits = same_type, capacity: int = CAPACITY
) -> Change:
    """The change that gives a run these processors, joined by the names of their streams, instead of its own.

    What is given to the run stays given, what it was tuned to stays so. See `changed` for the rest.
    """
    given = [node for node in graph if node.kind == "input"]
    known = {node.name: node for node in graph.processors()}
    found = [as_tuned(node, known.get(node.name, node)) for node in map(node_of, processors)]
    change = compare(graph, _wired(graph, [*given, *(node for node, _ in found)], capacity), fits=fits)
    refused = [reason for _, wrong in found for reason in wrong]
    return replace(change, problems=tuple(dict.fromkeys((*refused, *change.problems))))


def _lost(change: Change, draft: Draft) -> list[str]:
    """Why nodes cannot be dropped in this change: what waits before them would not reach who comes after them."""
    writers = {port.stream: node.name for node in change.before for port in node.outputs}
    together = [
        f"`{clean(node)}` cannot be dropped together with `{clean(writers[stream])}`: what waits between them would be "
        "lost; drop one, then the other"
        for node, stream in change.stranded
        if node in draft.passed
    ]
    moved = [
        f"`{clean(node.name)}` cannot be moved and dropped at once: what waits for it in "
        f"{clean(node.inputs[0].stream)!r} would be lost; drop it alone"
        for node in change.dropped
        if node.name in draft.passed and draft.passed[node.name] != node.inputs[0].stream
        if (node.name, node.inputs[0].stream) not in change.stranded
    ]
    return [*together, *moved]


def _handovers(change: Change, draft: Draft) -> tuple[Handover, ...]:
    """Who begins where whom was: as the edits say, else as it is found; a new branch only where nobody else does."""
    was, now = inputs_of(change.before), inputs_of(change.after)
    found = {(each.node, each.port): (each.old_node, each.old_port) for each in change.handovers}
    for end, stream in now.items():
        place = draft.place(end, was, stream)
        if place is not None and was.get(end) != stream != now.get(place):
            found[end] = place
    followed = {place for end, place in found.items() if end[0] not in draft.connected}
    return tuple(
        Handover(*end, *place) for end, place in found.items() if end[0] not in draft.connected or place not in followed
    )


def _wired(before: Graph, nodes: Iterable[Node], capacity: int) -> Graph:
    """The graph of these nodes; edges into the same inputs keep their capacities, unless their node says otherwise."""
    graph = by_port(tuple(nodes), capacity=capacity, name=before.name)
    old = {(edge.target, edge.target_port): edge for edge in before.edges}
    was = {node.name: node for node in before.processors()}
    same = {
        node.name
        for node in graph.processors()
        if node.name in was and all(node.attrs.get(k) == was[node.name].attrs.get(k) for k in ("capacity", "wait"))
    }
    edges = [
        replace(edge, capacity=known.capacity, capacity_bytes=known.capacity_bytes)
        if edge.target in same and (known := old.get((edge.target, edge.target_port))) is not None
        else edge
        for edge in graph.edges
    ]
    return Graph(graph.nodes, tuple(edges), graph.name)
