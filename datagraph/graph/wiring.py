"""From processors to a graph: by port name, whoever reads a stream is joined to whoever writes one of that name."""

from __future__ import annotations

from collections.abc import Sequence

from .check import suggest
from .model import INPUT_PREFIX, OUTPUT_PREFIX, Edge, Graph, Node, Port

CAPACITY = 4_000
CAPACITY_BYTES = 64 * 1024 * 1024
KEEP = 10_000
KEEP_RESULTS = 1_000_000


def by_port(
    processors: Sequence[Node], *, capacity: int = CAPACITY, capacity_bytes: int = CAPACITY_BYTES, name: str = ""
) -> Graph:
    """The graph that joins processors by the names of their streams.

    A stream that nobody writes gets an input node ("in:foo"), one that nobody reads an output node ("out:bar").
    `capacity` (values) and `capacity_bytes` bound every edge whose reader says nothing else: its attribute "capacity"
    is a number of values, its attribute "wait" takes the bound away. Nothing is checked here, so that a wrong graph
    can be drawn with its problems; see `graph.check`.

    >>> graph = by_port([Node("text", inputs=(Port("path"),), outputs=(Port("text"),))])
    >>> [edge.name for edge in graph.edges]
    ['path->text.path', 'text->out:text.text']
    """
    writers: dict[str, list[tuple[Node, Port]]] = {}
    readers: dict[str, list[tuple[Node, Port]]] = {}
    for node in processors:
        for port in node.outputs:
            writers.setdefault(port.stream, []).append((node, port))
        for port in node.inputs:
            readers.setdefault(port.stream, []).append((node, port))
    given = [_end("input", stream, found) for stream, found in readers.items() if stream not in writers]
    kept = [_end("output", stream, found) for stream, found in writers.items() if stream not in readers]
    for node in given:
        writers[node.outputs[0].stream] = [(node, node.outputs[0])]
    for node in kept:
        readers[node.inputs[0].stream] = [(node, node.inputs[0])]

    nodes = (*given, *processors, *kept)
    edges = tuple(
        _edge(source, out, target, into, capacity, capacity_bytes)
        for source in nodes
        for out in source.outputs
        for target, into in readers.get(out.stream, ())
    )
    return Graph(nodes, edges, name)


def hints(graph: Graph) -> tuple[str, ...]:
    """Sentences about streams that look misspelt: read but never written, close to one written but never read."""
    unwritten = {port.stream for node in graph.nodes if node.kind == "input" for port in node.outputs}
    unread = sorted(port.stream for node in graph.nodes if node.kind == "output" for port in node.inputs)
    found = []
    for stream in sorted(unwritten):
        close = suggest(stream, unread)
        if close:
            readers = ", ".join(dict.fromkeys(repr(edge.target) for edge in graph.edges if edge.stream == stream))
            found.append(f"nobody writes {stream!r}, which {readers} reads{close}")
    return tuple(found)


def _end(kind: str, stream: str, others: list[tuple[Node, Port]]) -> Node:
    """The node that stands for the outside world at one end of a stream."""
    port = Port(stream, next((port.type for _, port in others if port.type), ""))
    if kind == "input":
        return Node(INPUT_PREFIX + stream, "input", outputs=(port,), label=stream)
    return Node(OUTPUT_PREFIX + stream, "output", inputs=(port,), label=stream)


def _edge(source: Node, out: Port, target: Node, into: Port, capacity: int, capacity_bytes: int) -> Edge:
    bounded = target.kind == "processor" and not target.attrs.get("wait")
    own = target.attrs.get("capacity")
    return Edge(
        out.stream,
        source.name,
        out.name,
        target.name,
        into.name,
        (capacity if own is None else own) if bounded else None,
        capacity_bytes if bounded else None,
    )
