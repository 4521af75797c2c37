"""What is connected to what: frozen, comparable, JSON-able data that executes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from ..exceptions import GraphError

NodeKind = Literal["processor", "input", "output"]

INPUT_PREFIX = "in:"
OUTPUT_PREFIX = "out:"


@dataclass(frozen=True, slots=True)
class Port:
    """One end of edges: a name that is unique among its node's inputs or outputs, and the type it declares, as text.

    `stream` is the name of the stream that the port reads or writes; by default that of the port itself.
    """

    name: str
    type: str = ""
    stream: str = ""

    def __post_init__(self) -> None:
        if not self.stream:
            object.__setattr__(self, "stream", self.name)


@dataclass(frozen=True, slots=True)
class Node:
    """One box of the graph.

    `kind` is "processor" for work, "input" for the feeder of a stream that is given from outside, "output" for the
    place where a stream that nobody reads can be read. `name` is unique in the graph ("in:foo" feeds stream foo,
    "out:bar" shows stream bar); `label` is what a reader sees. `attrs` holds JSON-able facts to show: concurrency,
    workers, executor, wait, source, version, ...
    """

    name: str
    kind: NodeKind = "processor"
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    label: str = ""
    attrs: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.label:
            label = self.name.removeprefix(INPUT_PREFIX).removeprefix(OUTPUT_PREFIX)
            object.__setattr__(self, "label", label if self.kind != "processor" else self.name)
        object.__setattr__(self, "attrs", MappingProxyType(dict(self.attrs)))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "name": self.name,
            "kind": self.kind,
            "label": self.label,
            "inputs": [[p.name, p.type, p.stream] for p in self.inputs],
            "outputs": [[p.name, p.type, p.stream] for p in self.outputs],
            "attrs": dict(self.attrs),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Node:
        """The inverse of `to_dict`."""
        return cls(
            name=data["name"],
            kind=data["kind"],
            label=data["label"],
            inputs=tuple(Port(*p) for p in data["inputs"]),
            outputs=tuple(Port(*p) for p in data["outputs"]),
            attrs=data["attrs"],
        )


@dataclass(frozen=True, slots=True)
class Edge:
    """Values flow from `source` (a node's output port) to `target` (a node's input port) through `stream`.

    A stream with two readers is two edges of one stream. `capacity` is in values, `capacity_bytes` in bytes; None
    means that nothing holds the writer back.
    """

    stream: str
    source: str
    source_port: str
    target: str
    target_port: str
    capacity: int | None = None
    capacity_bytes: int | None = None
    name: str = field(init=False, repr=False, compare=False)
    """The edge's name, unique in its graph: ``stream->node.port``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.stream}->{self.target}.{self.target_port}")


class _Index:
    """What is asked of a graph again and again, found once; of several nodes of one name the first."""

    __slots__ = ("into", "nodes", "out_of")

    def __init__(self, graph: Graph) -> None:
        self.nodes: dict[str, Node] = {node.name: node for node in reversed(graph.nodes)}
        self.into: dict[str, tuple[Edge, ...]] = {}
        self.out_of: dict[str, tuple[Edge, ...]] = {}
        for edge in graph.edges:
            self.into[edge.target] = (*self.into.get(edge.target, ()), edge)
            self.out_of[edge.source] = (*self.out_of.get(edge.source, ()), edge)


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes and edges, in the order in which they were given.

    >>> g = Graph((Node("a", outputs=(Port("x"),)), Node("b", inputs=(Port("x"),))), (Edge("x", "a", "x", "b", "x"),))
    >>> Graph.from_dict(g.to_dict()) == g
    True
    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    name: str = ""
    _found: _Index = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_found", _Index(self))

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def node(self, name: str) -> Node:
        """The node of that name; KeyError if there is none."""
        return self._found.nodes[name]

    def processors(self) -> tuple[Node, ...]:
        """The nodes that do work."""
        return tuple(node for node in self.nodes if node.kind == "processor")

    def into(self, node: str) -> tuple[Edge, ...]:
        """The edges that end at `node`."""
        return self._found.into.get(node, ())

    def out_of(self, node: str) -> tuple[Edge, ...]:
        """The edges that start at `node`."""
        return self._found.out_of.get(node, ())

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "version": 1,
            "name": self.name,
            "nodes": [node.to_dict() for node in self.nodes],
            "edges": [
                [e.stream, e.source, e.source_port, e.target, e.target_port, e.capacity, e.capacity_bytes]
                for e in self.edges
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Graph:
        """The inverse of `to_dict`; GraphError if a newer datagraph wrote it."""
        if data.get("version") != 1:
            raise GraphError(
                f"this graph is of version {data.get('version')}; version 1 is understood: upgrade datagraph"
            )
        return cls(
            nodes=tuple(Node.from_dict(node) for node in data["nodes"]),
            edges=tuple(Edge(*edge) for edge in data["edges"]),
            name=data["name"],
        )
