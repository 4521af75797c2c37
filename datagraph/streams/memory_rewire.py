"""How a memory store rewires a run: on copies, so that whatever refuses a change does so before anything is real."""

from __future__ import annotations

import time
from dataclasses import replace

from ..exceptions import UnknownIOError
from .memory_state import Node, Run
from .memory_streams import Reader, Stream
from .records import CLAIMED, NOW, ChangeRecord, Cut, Join, NodeSpec, Rewire, Rewired, RunSpec, at_cut, inputs_of
from .refusals import cannot_rewire, not_kept, wiring_changed


def rewire_run(run: Run, change: Rewire) -> Rewired:
    """Make all of a change, or nothing."""
    if run.wiring != change.version:
        raise wiring_changed(run.spec.id, change.version, run.wiring)
    if run.status != "running":
        raise cannot_rewire(run.spec.id, f"it has {run.status}")
    draft = Draft(run, change)
    draft.check_nodes()
    draft.check_streams()
    for cut in change.cuts:
        draft.cut(cut)
    for node, segment in draft.to_strike():
        draft.strike(node, segment)
    for join in change.joins:
        draft.join(join)
    for each in change.spec.nodes:
        draft.list_inputs(each)
    for name in change.added:
        draft.begin_again(name)
    draft.apply()
    return Rewired(run.wiring, tuple(at for at, _ in draft.cuts), tuple(draft.joins))


def _kind(node: NodeSpec) -> tuple[bool, bool]:
    return node.shared, node.shared and node.ordered


class Draft:
    """A run as a change would make it; the run itself is as it was until `apply`."""

    def __init__(self, run: Run, change: Rewire) -> None:
        self.run, self.change = run, change
        self.nodes = {node.name: node for node in change.spec.nodes}
        self.streams = dict(run.streams)
        self.readers: dict[str, dict[tuple[str, str], Reader]] = {}  # by stream, of those that were looked at
        self.inputs: dict[str, list[tuple[str, str]]] = {}  # by node, likewise
        self.cuts: list[tuple[int, str]] = []
        self.joins: list[int] = []
        self.struck: list[tuple[str, str]] = []
        self.touched: dict[str, None] = {}  # streams, in order
        self.beginning: set[str] = set()
        self.before: dict[str, int] = {}  # values read by what is struck

    def _readers(self, stream: str) -> dict[tuple[str, str], Reader]:
        if stream not in self.readers:
            self.readers[stream] = {key: replace(reader) for key, reader in self._stream(stream).readers.items()}
        return self.readers[stream]

    def _inputs(self, node: str) -> list[tuple[str, str]]:
        if node not in self.inputs:
            self.inputs[node] = [(port, stream.name) for port, stream, _ in self.run.inputs.get(node, ())]
        return self.inputs[node]

    def _refuse(self, why: str) -> Exception:
        return cannot_rewire(self.run.spec.id, why)

    def check_nodes(self) -> None:
        """The nodes of the spec are there, or are new and said to be; what a worker has in hand it keeps."""
        added, fresh = frozenset(self.change.added), frozenset(self.change.fresh)
        for name, spec in self.nodes.items():
            node = self.run.nodes.get(name)
            if node is None:
                if name not in added:
                    raise self._refuse(f"node {name} is new, and not among the added")
                continue
            if name in added and node.status != "done":
                raise self._refuse(f"node {name} is {node.status}, so it cannot begin again")
            if _kind(node.spec) != _kind(spec) and node.ranges:
                raise self._refuse(f"workers have values of node {name} in hand, so it stays as it is shared")
            if node.spec.shared != spec.shared and name not in fresh and any(n for n, _ in node.marks.values()):
                raise self._refuse(f"node {name} has written since its resume point, so it stays as it is shared")
        for name in (*self.change.added, *self.change.fresh):
            if name not in self.nodes:
                raise self._refuse(f"node {name} is not in the spec of the change")

    def check_streams(self) -> None:
        """Those there are have the writer that they had."""
        for spec in self.change.spec.streams:
            if spec.name not in self.streams:
                self.streams[spec.name] = Stream(spec, self.run.alive)
            elif self.streams[spec.name].writer != spec.writer:
                raise self._other_writer(spec.name, spec.writer)
        for node in self.nodes.values():
            for output in node.outputs:
                if self._stream(output).writer != node.name:
                    raise self._other_writer(output, node.name)

    def _other_writer(self, stream: str, writer: str) -> Exception:
        return self._refuse(f"stream {stream} is written by {self.streams[stream].writer}, not by {writer}")

    def _stream(self, name: str) -> Stream:
        return self.streams[name] if name in self.streams else self.run.stream(name)

    def _find(self, node: str, segment: str) -> tuple[Stream, Reader]:
        for port, stream in self._inputs(node):
            if port == segment:
                return self.streams[stream], self._readers(stream)[node, port]
        raise UnknownIOError(f"run {self.run.spec.id!r}: node {node!r} reads no port {segment!r}")

    def cut(self, cut: Cut) -> None:
        """Have a segment stop."""
        stream, reader = self._find(cut.node, cut.port)
        node, at = self.run.nodes[cut.node], cut.position
        claimed = node.claimed.get(cut.port, 0) if node.spec.shared else None
        least, most = max(reader.cursor, claimed or 0), stream.length if reader.until is None else reader.until
        if at == CLAIMED and claimed is None:
            raise self._refuse(f"node {cut.node} is not shared, so nothing of it is claimed")
        if at in (NOW, CLAIMED):
            at = min(stream.length if at == NOW else least, most)
        if not least <= at <= most:
            what = f"port {cut.port} of node {cut.node} can stop at {least} to {most} of stream {stream.name}"
            raise self._refuse(f"{what}, not at {at}")
        reader.until = at
        reader.bound()
        self.touched[stream.name] = None
        self.cuts.append((at, stream.name))

    def to_strike(self) -> list[tuple[str, str]]:
        """What the change says, and what a node that begins again has read and does not list."""
        struck = [*self.change.struck]
        for name in self.change.added:
            listed = {port for port, _ in self.nodes[name].inputs}
            left = [port for port, stream in self._inputs(name) if not self._stream(stream).private]
            struck += [(name, port) for port in left if port not in listed and (name, port) not in struck]
        return struck

    def strike(self, node: str, segment: str) -> None:
        """Forget a finished segment."""
        stream, reader = self._find(node, segment)
        if reader.hold != "free" or any(claimed.port == segment for claimed in self.run.nodes[node].ranges):
            raise self._refuse(f"port {segment} of node {node} has more of stream {stream.name} to read")
        self.struck.append((node, segment))
        self.before[node] = self.before.get(node, 0) + reader.cursor - reader.began
        del self._readers(stream.name)[node, segment]
        self._inputs(node).remove((segment, stream.name))
        self.touched[stream.name] = None

    def join(self, join: Join) -> None:
        """Have a node read a stream."""
        stream, key = self._stream(join.stream), (join.node, join.port)
        if join.node not in self.nodes:
            raise self._refuse(f"node {join.node} is not in the spec of the change")
        if (
            join.node in self.run.nodes
            and self.run.nodes[join.node].status == "done"
            and (join.node not in self.change.added)
        ):
            raise self._refuse(f"node {join.node} is done, so it reads no more unless it is added")
        listed = any(port == join.port for port, _ in self._inputs(join.node))
        if listed or (key in self._readers(stream.name) and stream.name in self.run.streams):
            raise self._refuse(f"node {join.node} has read as port {join.port} already")
        at = self._position(join, stream)
        if not 0 <= at <= stream.length:
            raise self._refuse(f"stream {stream.name} has {stream.length} values, none at {at}")
        if at < stream.first:
            raise not_kept(stream.name, at, stream.first)
        limits, hold = (join.capacity, join.capacity_bytes), join.hold
        self._readers(stream.name)[key] = Reader(*limits, hold, hold, at, stream.size_at(at), at)
        self.touched[stream.name] = None
        self.joins.append(at)

    def _position(self, join: Join, stream: Stream) -> int:
        if join.position == NOW:
            return stream.length
        if join.position > at_cut(0):
            return join.position
        index = at_cut(0) - join.position
        if index >= len(self.cuts) or self.cuts[index][1] != stream.name:
            raise self._refuse(f"stream {stream.name} has no cut {index}")
        return self.cuts[index][0]

    def list_inputs(self, node: NodeSpec) -> None:
        """What a node of the spec reads is what it lists, behind what brings its dead letters back."""
        before = self._inputs(node.name)
        listed = {port: stream for port, stream in before if self.streams[stream].private}
        for port, stream in inputs_of(self.change.spec, node):
            if (node.name, port) not in self._readers(stream):
                what = f"node {node.name} does not read stream {stream} as port {port}"
                raise self._refuse(f"{what}, and no join says so")
            listed.setdefault(port, stream)
        for port, _ in before:
            if port not in listed:
                raise self._refuse(f"port {port} of node {node.name} is neither in the spec nor struck")
        self.inputs[node.name] = list(listed.items())

    def begin_again(self, name: str) -> None:
        """A node that was done reads on what was not cut, and so do those behind it that had read to the end."""
        if name not in self.run.nodes:
            return
        self._begin(name)
        for port, stream in self._inputs(name):
            reader = self._readers(stream)[name, port]
            reader.hold = reader.usual
            self.touched[stream] = None
            if reader.hold != "free" and reader.cursor < self.streams[stream].first:
                raise not_kept(stream, reader.cursor, self.streams[stream].first)

    def _begin(self, name: str) -> None:
        node = self.run.nodes.get(name)
        if node is None or name not in self.nodes or node.status != "done" or name in self.beginning:
            return
        self.beginning.add(name)
        for output in self.nodes[name].outputs:
            self.touched[output] = None
            for (reading, _), reader in self._readers(output).items():
                if not reader.has_stopped:
                    self._begin(reading)
                if reading in self.nodes:
                    reader.hold = reader.usual

    def apply(self) -> None:
        """Make it so."""
        run, change = self.run, self.change
        run.streams = self.streams
        for name, readers in self.readers.items():
            run.streams[name].readers = readers
        for name, spec in self.nodes.items():
            if name not in run.nodes:
                run.nodes[name] = Node(spec)
                run.left += spec.counts
        for name in self.beginning:
            run.nodes[name].status = "waiting"
            run.left += run.nodes[name].spec.counts
            for output in self.nodes[name].outputs:
                run.streams[output].ended = False
        reading = {node: None for readers in self.readers.values() for node, _ in readers if node in run.nodes}
        for name in {**dict.fromkeys(self.inputs), **reading}:
            run.connect(name, self._inputs(name))
        for name, segment in self.struck:
            run.nodes[name].cursors.pop(segment, None)
            run.nodes[name].claimed.pop(segment, None)
        for name, read in self.before.items():
            counters = run.nodes[name].counters
            counters["before"] = counters.get("before", 0) + read
        for name, spec in self.nodes.items():
            self._settle_node(run.nodes[name], spec)
        run.spec = RunSpec(run.spec.id, run.spec.name, change.spec.graph, change.spec.nodes, change.spec.streams,
                           run.spec.paused, change.spec.meta)  # fmt: skip
        self._record()

    def _settle_node(self, node: Node, spec: NodeSpec) -> None:
        name, turns, fresh = spec.name, node.spec.shared != spec.shared, spec.name in self.change.fresh
        node.spec = spec
        if name in self.change.added:
            node.error = b""
        if fresh:
            node.state = None
            node.looked.clear()
            node.marks.clear()
            node.cursors = {port: (reader.cursor, reader.size) for port, _, reader in self.run.inputs[name]}
        if fresh or turns:
            node.epoch += 1
        if turns:
            node.owner = ""
            node.last.clear()
            node.claimed = {port: node.cursors.get(port, (0, 0))[0] for port, *_ in self.run.inputs[name]}
        if spec.shared:  # workers come and go with every change of it
            node.last = {worker: last for worker, last in node.last.items() if worker in self.run.sessions.values()}
        for join in self.change.joins:
            if join.node == name:
                _, reader = self.run.input(name, join.port)
                node.cursors[join.port] = (reader.cursor, reader.size)
                node.claimed[join.port] = reader.cursor

    def _record(self) -> None:
        run, change = self.run, self.change
        run.wiring += 1
        cuts = tuple(at for at, _ in self.cuts)
        run.changes.append(ChangeRecord(run.wiring, time.time(), cuts, tuple(self.joins), change.note))
        run.note(change.events)
        for name in self.touched:
            run.streams[name].settle()
            run.streams[name].tell()
        for node in {cut.node for cut in change.cuts} | {join.node for join in change.joins}:
            run.tell(f"turn:{node}")
        run.tell("run")
