"""The nodes of a graph while edits are made of them, one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from .change import differences
from .check import suggest
from .edit import Connect, Disconnect, Drop, Edit, Insert, Move, Swap, Tune, node_of
from .model import Graph, Node, Port
from .text import clean
from .tuning import taken_over, tuned

End = tuple[str, str]
"""An input: its node and its port."""


class RefusedError(Exception):
    """Why an edit cannot be."""


class Draft:
    """The inputs and processors of a graph while edits are made."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = {node.name: node for node in graph if node.kind != "output"}
        self.swapped: dict[str, bool] = {}  # whether without the state of the one before
        self._places: dict[End, End] = {}  # by input, the one in whose place it begins
        self.connected: set[str] = set()
        self.passed: dict[str, str] = {}  # dropped nodes with readers, and the stream that these were given instead
        self._taken: dict[End, None] = {}  # inputs whose edge another one took over

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
                self._put(*tuned(self._processor(node), changes))

    def bereft(self) -> list[str]:
        """A problem for every input whose edge was taken over and that got no other stream."""
        return [
            f"`{clean(node)}` would be left without its input {clean(port)!r}: "
            "give it another stream in the same change, or drop it"
            for node, port in self._taken
            if node in self.nodes
        ]

    def place(self, end: End, was: Mapping[End, str], stream: str) -> End | None:
        """The input that read the stream before these edits and whose place this one takes; None if it takes none."""
        seen: set[End] = set()
        found = self._places.get(end)
        while found is not None and was.get(found) != stream and found not in seen:
            seen.add(found)
            found = self._places.get(found)
        return found if found is not None and was.get(found) == stream else None

    # -- the edits ----------------------------------------------------------------------------------------------------

    def _move(self, edge: str, source: str, target: str) -> None:
        stream, node, port = self._edge(edge)
        if source:
            if not node:
                raise RefusedError(f"{clean(edge)!r} ends outside the run, where {clean(stream)!r} is read by its name")
            self._known(source)
            if source == stream and (node, port) not in self._taken:
                raise RefusedError(f"`{clean(node)}` reads {clean(stream)!r} already")
            self._read(node, port, source)
            self._taken.pop((node, port), None)
            return
        into, other = self._input(target)
        if self._ends()[into, other] == stream and (into, other) not in self._taken:
            raise RefusedError(f"`{clean(into)}` reads {clean(stream)!r} already")
        self._read(into, other, stream)
        self._taken.pop((into, other), None)
        if node:
            self._taken[node, port] = None
            self._places[into, other] = node, port

    def _swap(self, node: Node, by: Node, *, fresh: bool) -> None:
        found = "; ".join(differences(node, by))
        if found:
            raise RefusedError(found)
        self._put(*taken_over(node, by))
        self.swapped[node.name] = fresh

    def _insert(self, by: Node, edge: str) -> None:
        stream, node, port = self._edge(edge)
        self._new(by)
        if len(by.inputs) != 1 or len(by.outputs) != 1:
            raise RefusedError(
                f"`{clean(by.name)}` has {_counted(by.inputs, 'input')} and {_counted(by.outputs, 'output')}; what is "
                "inserted into an edge has one of each"
            )
        self.nodes[by.name] = replace(by, inputs=(replace(by.inputs[0], stream=stream),))
        if node:
            self._read(node, port, by.outputs[0].stream)
            self._places[by.name, by.inputs[0].name] = node, port
            self._taken.pop((node, port), None)

    def _drop(self, node: Node) -> None:
        readers = [end for port in node.outputs for end in self._readers(port.stream)]
        if readers and (len(node.inputs) != 1 or len(node.outputs) != 1):
            names = ", ".join(dict.fromkeys(f"`{clean(name)}`" for name, _ in readers))
            raise RefusedError(
                f"`{clean(node.name)}` has {_counted(node.inputs, 'input')} and {_counted(node.outputs, 'output')}, so "
                f"what {names} would read instead is not clear: move their edges first, or Disconnect it"
            )
        for name, port in readers:
            self._read(name, port, node.inputs[0].stream)
            self._places[name, port] = node.name, node.inputs[0].name
            self.passed[node.name] = node.inputs[0].stream
        self._forget(node.name)

    def _connect(self, by: Node, reads: Mapping[str, str]) -> None:
        self._new(by)
        ports = [port.name for port in by.inputs]
        for port in reads:
            if port not in ports:
                raise RefusedError(f"`{clean(by.name)}` has no input {clean(port)!r}{suggest(port, ports)}")
        inputs = tuple(replace(port, stream=reads.get(port.name, port.stream)) for port in by.inputs)
        self.nodes[by.name] = replace(by, inputs=inputs)
        self.connected.add(by.name)

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

    # -- keeping

    def _put(self, node: Node, wrong: list[str]) -> None:
        """The node as it would be, unless something is wrong with it."""
        if wrong:
            raise RefusedError("; ".join(wrong))
        self.nodes[node.name] = node

    def _read(self, name: str, port: str, stream: str) -> None:
        """Have an input read that stream."""
        node = self.nodes[name]
        inputs = tuple(replace(each, stream=stream) if each.name == port else each for each in node.inputs)
        self.nodes[name] = replace(node, inputs=inputs)

    def _forget(self, name: str) -> None:
        del self.nodes[name]
        self._taken = {end: None for end in self._taken if end[0] != name}

    # -- looking up ---------------------------------------------------------------------------------------------------

    def _processor(self, name: str) -> Node:
        node = self.nodes.get(name)
        if node is None or node.kind != "processor":
            known = [node.name for node in self.nodes.values() if node.kind == "processor"]
            raise RefusedError(f"the run has no processor {clean(name)!r}{suggest(name, known)}")
        return node

    def _new(self, by: Node) -> None:
        if by.name in self.nodes:
            raise RefusedError(f"the run has a processor `{clean(by.name)}` already: give the new one another name")

    def _edge(self, name: str) -> tuple[str, str, str]:
        """Stream, node and port of an edge; the latter are "" where it ends outside."""
        ends = self._ends()
        found = {f"{stream}->{node}.{port}": (stream, node, port) for (node, port), stream in ends.items()}
        read = set(ends.values())
        for stream in self._streams():
            if stream not in read:
                found[f"{stream}->out:{stream}.{stream}"] = (stream, "", "")
        if name not in found:
            raise RefusedError(f"the run has no edge {clean(name)!r}{suggest(name, found)}")
        return found[name]

    def _input(self, name: str) -> tuple[str, str]:
        ends = {f"{node}.{port}": (node, port) for node, port in self._ends()}
        node = self.nodes.get(name)
        if name not in ends and node is not None and len(node.inputs) == 1:
            return name, node.inputs[0].name
        if name not in ends:
            raise RefusedError(f"the run has no input {clean(name)!r}{suggest(name, ends)}")
        return ends[name]

    def _known(self, stream: str) -> None:
        streams = self._streams()
        if stream in streams:
            return
        node = self.nodes.get(stream)
        wrote = f"; `{clean(stream)}` writes {', '.join(repr(p.stream) for p in node.outputs)}" if node else ""
        raise RefusedError(f"the run has no stream {clean(stream)!r}{wrote or suggest(stream, streams)}")

    def _streams(self) -> list[str]:
        return [port.stream for node in self.nodes.values() for port in node.outputs]

    def _ends(self) -> dict[tuple[str, str], str]:
        return {(node.name, port.name): port.stream for node in self.nodes.values() for port in node.inputs}

    def _readers(self, stream: str) -> list[tuple[str, str]]:
        return [end for end, read in self._ends().items() if read == stream]


def _counted(ports: Sequence[Port], what: str) -> str:
    return f"{len(ports) or 'no'} {what}{'' if len(ports) == 1 else 's'}"
