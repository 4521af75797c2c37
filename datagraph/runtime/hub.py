"""The hub of one process's share of a run: what local writers have stored, and how far local readers are.

Where writer and readers of a stream are here, neither asks the store for lengths, values or room.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..streams.records import Advance, Frame, Join, NodeRecord, Probe
from ..streams.store import Session
from .node import Node
from .port import Port

_UNBOUNDED = 2**53


class LocalHub:
    """See `port.Hub` and `sides.Delivery`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.nodes: list[Node] = []
        self.on_stored: dict[str, Callable[[int], None]] = {}
        self._sessions: list[Session] = [session]
        self._ports: dict[str, list[Port]] = {}
        self._lengths: dict[str, int] = {}
        self._cursors: dict[tuple[str, str], int] = {}
        self._holds: dict[tuple[str, str], tuple[str, int]] = {}
        self._readers: dict[str, list[tuple[str, str]]] = {}

    def learn(self, probe: Probe) -> None:
        """Who reads which stream, how far, and how each holds its writer back."""
        for name, stream in probe.streams.items():
            self._readers[name] = list(stream.readers)
            for reader, record in stream.readers.items():
                self._holds[reader] = (record.hold, record.capacity)
                self._cursors[reader] = record.cursor

    def opened(self, node: Node, record: NodeRecord) -> None:
        """A node was claimed here: what it writes is written here and nowhere else.

        Who had it before may have been left with a commit under way, whose answer nobody heard.
        """
        if node.work.workers == 1:
            for stream in node.work.outputs:
                self._lengths[stream] = record.lengths.get(stream, 0)
                self._set(f"values:{stream}")
        self.advanced(
            node.name,
            [Advance(port, stream, *record.reads[port]) for port, stream, _ in record.segments if port in record.reads],
        )

    def closed(self, node: Node) -> None:
        """A node has left this process."""
        for stream in node.work.outputs:
            self._lengths.pop(stream, None)
            self._set(f"values:{stream}")
        if node.status == "done" and node.work.workers == 1:
            for segment in node.segments():  # the store has let go of them with the last commit
                self.held(node.name, segment.name, "free", None)
        for stream in {segment.stream for segment in node.segments()} | {stream for _, stream in node.work.inputs}:
            self._set(f"room:{stream}")  # a writer that is here still asks anew who reads it

    # -- the hub between local writers and local readers ----------------------------------------------------------

    def attach(self, port: Port, stream: str) -> None:
        ports = self._ports.setdefault(stream, [])
        if port not in ports:
            ports.append(port)

    def local_length(self, stream: str) -> int | None:
        return self._lengths.get(stream)

    def delivered(self, frames: Sequence[tuple[str, Frame]], ended: Sequence[str]) -> None:
        for stream, frame in frames:
            for port in self._ports.get(stream, ()):
                port.deliver(stream, frame)
            if stream in self._lengths:
                self._lengths[stream] = frame.end
            self._set(f"values:{stream}")
            stored = self.on_stored.get(stream)
            if stored is not None:
                stored(frame.end)
        for stream in ended:
            self._lengths.pop(stream, None)
            self._set(f"values:{stream}")

    def advanced(self, node: str, reads: Sequence[Advance]) -> None:
        for read in reads:
            if self._cursors.get((node, read.port), 0) < read.cursor:
                self._cursors[node, read.port] = read.cursor
                self._set(f"room:{read.stream}")

    def held(self, node: str, port: str, hold: str, capacity: int | None) -> None:
        before = self._holds.get((node, port), ("hold", 0))
        self._holds[node, port] = (hold, before[1] if capacity is None else max(capacity, before[1]))
        for stream, readers in self._readers.items():
            if (node, port) in readers:
                self._set(f"room:{stream}")

    def capacity(self, node: str, port: str) -> int:
        return self._holds[node, port][1]

    def local_room(self, stream: str, length: int) -> tuple[int, int] | None:
        if stream not in self._lengths:
            return None
        here = {node.name for node in self.nodes if node.work.workers == 1 and node.status != "fenced"}
        room = least = _UNBOUNDED
        for reader in self._readers.get(stream, ()):
            hold, capacity = self._holds[reader]
            if hold != "hold":
                continue
            if reader[0] not in here:
                return None
            room = min(room, self._cursors[reader] + capacity - length)
            least = min(least, capacity)
        return room, least

    # -- a change of the wiring -----------------------------------------------------------------------------------

    def joined(self, join: Join, position: int) -> None:
        """A port reads a stream from that position on."""
        reader = (join.node, join.port)
        self._readers.setdefault(join.stream, []).append(reader)
        self._holds[reader] = (join.hold, join.capacity)
        self._cursors[reader] = position

    def released(self, node: str, segment: str, stream: str) -> None:
        """A segment was cut: it holds its writer back no more."""
        self.held(node, segment, "open", None)
        self._set(f"room:{stream}")

    def forget(self, struck: Sequence[tuple[str, str]]) -> None:
        """Segments (node, segment) that are no more."""
        gone = set(struck)
        for readers in self._readers.values():
            readers[:] = [reader for reader in readers if reader not in gone]
        for reader in gone:
            self._holds.pop(reader, None)
            self._cursors.pop(reader, None)

    def resized(self, node: str, segment: str, stream: str, capacity: int) -> None:
        """A reader's capacity is another one now."""
        self._holds[node, segment] = (self._holds[node, segment][0], capacity)
        self._set(f"room:{stream}")

    def leave(self, node: Node) -> None:
        """The node object is done with; another may run in its place."""
        if node in self.nodes:
            self.nodes.remove(node)
        for ports in self._ports.values():
            ports[:] = [port for port in ports if port not in node.ports.values()]

    def _set(self, name: str) -> None:
        for session in self._sessions:
            session.signals.set(name)
