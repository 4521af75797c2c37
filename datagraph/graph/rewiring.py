"""Edits put into effect on a graph: what it would be, and every reason why it may not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from .change import TUNED, Change, Fits, compare, differences, same_type
from .check import suggest
from .edit import Connect, Described, Disconnect, Drop, Edit, Insert, Move, Swap, Tune, edits_of, node_of, plain
from .model import Graph, Node, Port
from .text import clean
from .wiring import CAPACITY, by_port

_ON_ERROR = ("fail", "dead_letter", "skip", "pause")


def changed(graph: Graph, edits: Edit | Sequence[Edit], *, fits: Fits = same_type, capacity: int = CAPACITY) -> Change:
    """The change that these edits make of the graph, one after the other; one that is refused is among its problems.

    Args:
        graph: what the run is now.
        edits: one, or several that are one change.
        fits: whether values of a writer's port suit a reader's.
        capacity: values, for new edges whose reader says nothing else.

    Raises GraphError for what is no edit.
    """
    draft = _Draft(graph)
    refused = []
    for edit in edits_of(edits):
        try:
            draft.apply(edit)
        except _RefusedError as error:
            refused.append(str(error))
    found = compare(graph, _wired(graph, draft.nodes.values(), capacity), fits=fits)
    problems = dict.fromkeys((*refused, *found.problems, *draft.bereft()))
    stay = {node.name for node in graph.processors()} & set(draft.nodes)
    swapped = dict.fromkeys((*found.swapped, *(name for name in draft.swapped if name in stay)))
    fresh = tuple(name for name in swapped if draft.swapped.get(name))
    return replace(found, problems=tuple(problems), swapped=tuple(swapped), fresh=fresh)


def becoming(
    graph: Graph, processors: Sequence[Node | Described], *, fits: Fits = same_type, capacity: int = CAPACITY
) -> Change:
    """The change that gives a run these processors, joined by the names of their streams, instead of its own.

    What is given to the run stays given. See `changed` for the rest.
    """
    given = [node for node in graph if node.kind == "input"]
    after = _wired(graph, [*given, *map(node_of, processors)], capacity)
    return compare(graph, after, fits=fits)


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


class _RefusedError(Exception):
    """Why an edit cannot be."""


class _Draft:
    """The inputs and processors of a graph while edits are made."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = {node.name: node for node in graph if node.kind != "output"}
        self.swapped: dict[str, bool] = {}  # whether without the state of the one before
        self._taken: dict[tuple[str, str], None] = {}  # inputs whose edge another one took over

    def apply(self, edit: Edit) -> None:
        match edit:
            case Move(edge, source, target):
                self._move(edge, source, target)
            case Swap(node, by, fresh):
                self._swap(self._processor(node), node_of(by), fresh=fresh)
            case Insert(by, edge):
                self._insert(node_of(by), edge)
            case Drop(node):
                self._drop(self._processor(node))
            case Connect(by, reads):
                self._connect(node_of(by), reads)
            case Disconnect(node):
                self._disconnect(self._processor(node).name)
            case Tune(node, changes):
                self._tune(self._processor(node), changes)

    def _forget(self, name: str) -> None:
        del self.nodes[name]
        self._taken = {end: None for end in self._taken if end[0] != name}

    def bereft(self) -> list[str]:
        """A problem for every input whose edge was taken over and that got no other stream."""
        return [
            f"`{clean(node)}` would be left without its input {clean(port)!r}: "
            "give it another stream in the same change, or drop it"
            for node, port in self._taken
            if node in self.nodes
        ]

    # -- the edits ----------------------------------------------------------------------------------------------------

    def _move(self, edge: str, source: str, target: str) -> None:
        stream, node, port = self._edge(edge)
        if source:
            if not node:
                raise _RefusedError(
                    f"{clean(edge)!r} ends outside the run, where {clean(stream)!r} is read by its name"
                )
            self._known(source)
            if source == stream and (node, port) not in self._taken:
                raise _RefusedError(f"`{clean(node)}` reads {clean(stream)!r} already")
            self._read(node, port, source)
            return
        into, other = self._input(target)
        if (into, other) == (node, port) or self._stream(into, other) == stream:
            raise _RefusedError(f"`{clean(into)}` reads {clean(stream)!r} already")
        self._read(into, other, stream)
        if node:
            self._taken[node, port] = None

    def _swap(self, node: Node, by: Node, *, fresh: bool) -> None:
        found = "; ".join(differences(node, by))
        if found:
            raise _RefusedError(found)
        streams = {port.name: port.stream for port in node.inputs}, {port.name: port.stream for port in node.outputs}
        inputs, outputs = (
            tuple(replace(port, stream=known[port.name]) for port in ports)
            for known, ports in zip(streams, (by.inputs, by.outputs), strict=True)
        )
        given = node.attrs.get("given", {})
        given = {key: value for key, value in given.items() if key in TUNED or key in by.attrs.get("settings", ())}
        attrs = {**by.attrs, **{key: value for key, value in given.items() if key in TUNED}}
        self.nodes[node.name] = replace(
            node, inputs=inputs, outputs=outputs, attrs=attrs | ({"given": given} if given else {})
        )
        self.swapped[node.name] = fresh

    def _insert(self, by: Node, edge: str) -> None:
        stream, node, port = self._edge(edge)
        self._new(by)
        if len(by.inputs) != 1 or len(by.outputs) != 1:
            raise _RefusedError(
                f"`{clean(by.name)}` has {_counted(by.inputs, 'input')} and {_counted(by.outputs, 'output')}; what is "
                "inserted into an edge has one of each"
            )
        self.nodes[by.name] = replace(by, inputs=(replace(by.inputs[0], stream=stream),))
        if node:
            self._read(node, port, by.outputs[0].stream)

    def _drop(self, node: Node) -> None:
        readers = [end for port in node.outputs for end in self._readers(port.stream)]
        if readers and (len(node.inputs) != 1 or len(node.outputs) != 1):
            names = ", ".join(dict.fromkeys(f"`{clean(name)}`" for name, _ in readers))
            raise _RefusedError(
                f"`{clean(node.name)}` has {_counted(node.inputs, 'input')} and {_counted(node.outputs, 'output')}, so "
                f"what {names} would read instead is not clear: move their edges first, or Disconnect it"
            )
        for name, port in readers:
            self._read(name, port, node.inputs[0].stream)
        self._forget(node.name)

    def _connect(self, by: Node, reads: Any) -> None:
        self._new(by)
        ports = [port.name for port in by.inputs]
        for port in reads:
            if port not in ports:
                raise _RefusedError(f"`{clean(by.name)}` has no input {clean(port)!r}{suggest(port, ports)}")
        inputs = tuple(replace(port, stream=reads.get(port.name, port.stream)) for port in by.inputs)
        self.nodes[by.name] = replace(by, inputs=inputs)

    def _disconnect(self, name: str) -> None:
        gone = {name}
        streams = {port.stream for port in self.nodes[name].outputs}
        todo = True
        while todo:
            todo = False
            for node in self.nodes.values():
                fed = node.inputs and all(port.stream in streams for port in node.inputs)
                if node.name not in gone and fed:
                    gone.add(node.name)
                    streams.update(port.stream for port in node.outputs)
                    todo = True
        for each in gone:
            self._forget(each)

    def _tune(self, node: Node, changes: Any) -> None:
        attrs = dict(node.attrs)
        own = attrs.get("settings", ())
        refused = []
        for name, value in changes.items():
            if name in TUNED:
                attrs[name] = plain(name, value)
                refused += [f"`{clean(node.name)}`: {reason}" for reason in _unfit(node, name, attrs[name])]
            if name in TUNED or name in own:
                attrs["given"] = {**attrs.get("given", {}), name: plain(name, value)}
            else:
                hint = suggest(name, (*TUNED, *own))
                settings = (
                    f"its own settings are {', '.join(map(clean, own))}" if own else "it has no settings of its own"
                )
                refused.append(f"`{clean(node.name)}` has no setting {clean(name)!r}{hint}; {settings}")
        if refused:
            raise _RefusedError("; ".join(refused))
        self.nodes[node.name] = replace(node, attrs=attrs)

    # -- looking up ---------------------------------------------------------------------------------------------------

    def _processor(self, name: str) -> Node:
        node = self.nodes.get(name)
        if node is None or node.kind != "processor":
            known = [node.name for node in self.nodes.values() if node.kind == "processor"]
            raise _RefusedError(f"the run has no processor {clean(name)!r}{suggest(name, known)}")
        return node

    def _new(self, by: Node) -> None:
        if by.name in self.nodes:
            raise _RefusedError(f"the run has a processor `{clean(by.name)}` already: give the new one another name")

    def _edge(self, name: str) -> tuple[str, str, str]:
        """Stream, node and port of an edge; the latter are "" where it ends outside."""
        ends = self._ends()
        found = {f"{stream}->{node}.{port}": (stream, node, port) for (node, port), stream in ends.items()}
        read = set(ends.values())
        for stream in self._streams():
            if stream not in read:
                found[f"{stream}->out:{stream}.{stream}"] = (stream, "", "")
        if name not in found:
            raise _RefusedError(f"the run has no edge {clean(name)!r}{suggest(name, found)}")
        return found[name]

    def _input(self, name: str) -> tuple[str, str]:
        ends = {f"{node}.{port}": (node, port) for node, port in self._ends()}
        node = self.nodes.get(name)
        if name not in ends and node is not None and len(node.inputs) == 1:
            return name, node.inputs[0].name
        if name not in ends:
            raise _RefusedError(f"the run has no input {clean(name)!r}{suggest(name, ends)}")
        return ends[name]

    def _known(self, stream: str) -> None:
        streams = self._streams()
        if stream in streams:
            return
        node = self.nodes.get(stream)
        wrote = f"; `{clean(stream)}` writes {', '.join(repr(p.stream) for p in node.outputs)}" if node else ""
        raise _RefusedError(f"the run has no stream {clean(stream)!r}{wrote or suggest(stream, streams)}")

    def _streams(self) -> list[str]:
        return [port.stream for node in self.nodes.values() for port in node.outputs]

    def _ends(self) -> dict[tuple[str, str], str]:
        return {(node.name, port.name): port.stream for node in self.nodes.values() for port in node.inputs}

    def _stream(self, node: str, port: str) -> str:
        return self._ends()[node, port]

    def _readers(self, stream: str) -> list[tuple[str, str]]:
        return [end for end, read in self._ends().items() if read == stream]

    def _read(self, name: str, port: str, stream: str) -> None:
        """Have an input read that stream."""
        node = self.nodes[name]
        inputs = tuple(replace(each, stream=stream) if each.name == port else each for each in node.inputs)
        self.nodes[name] = replace(node, inputs=inputs)
        self._taken.pop((name, port), None)


def _unfit(node: Node, name: str, value: Any) -> list[str]:
    """What is wrong with a setting's new value."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if name in ("concurrency", "workers") and not (whole and value >= 1):
        return [f"{name} is a whole number, 1 or more; got {value!r}"]
    if name == "retries" and not (whole and value >= 0):
        return [f"{name} is a whole number, 0 or more; got {value!r}"]
    if name in ("rate", "timeout") and value is not None and not (number and 0 < value < math.inf):
        return [f"{name} is a number above 0, or None for no limit; got {value!r}"]
    if name == "on_error" and value not in _ON_ERROR:
        return [f"{name} is one of {', '.join(_ON_ERROR)}; got {value!r}{suggest(str(value), _ON_ERROR)}"]
    if name == "capacity":
        if value is not None and not (whole and value >= 1):
            return [f"{name} is a whole number, 1 or more, or None for the default; got {value!r}"]
        if not node.inputs or node.attrs.get("wait"):
            return [f"it {'waits for its whole input' if node.inputs else 'reads nothing'}, so no capacity bounds it"]
    return []


def _counted(ports: Sequence[Port], what: str) -> str:
    return f"{len(ports) or 'no'} {what}{'' if len(ports) == 1 else 's'}"
