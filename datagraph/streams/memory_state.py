"""What the memory store keeps of a run: streams, readers and nodes, and the rules for room and trimming."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..exceptions import StreamTrimmedError, UnknownIOError
from .records import (
    Committed,
    Frame,
    Hold,
    NodeRecord,
    NodeSpec,
    NodeStatus,
    Probe,
    ReaderRecord,
    ReaderSpec,
    Reading,
    Room,
    RunRecord,
    RunSpec,
    RunStatus,
    StreamRecord,
    StreamSpec,
)
from .signals import Signals

UNBOUNDED = 2**53
FOLLOWER = "~"  # and the worker: the "node" of a session that follows a stream
READ_BYTES = 4 * 2**20
TRIM_AT_LEAST = 1000
LOG_LINES = 10_000


@dataclass(slots=True)
class Reader:
    """One consumer of a stream; `usual` is the hold that comes back when its node is opened again."""

    capacity: int
    capacity_bytes: int
    hold: Hold
    usual: Hold
    cursor: int = 0
    size: int = 0

    def move(self, cursor: int, size: int) -> None:
        """Go forward; a replaying node reads again what counts as read, so never back."""
        self.cursor = max(self.cursor, cursor)
        self.size = max(self.size, size)


class Stream:
    """The kept frames of one stream and its readers."""

    def __init__(self, spec: StreamSpec, alive: Callable[[str], bool]) -> None:
        self._alive, self._followed = alive, False
        self.name = spec.name
        self.writer = spec.writer
        self.keep = spec.keep
        self.private = spec.private
        self.readers = {(r.node, r.port): Reader(r.capacity, r.capacity_bytes, r.hold, r.hold) for r in spec.readers}
        self.length = self.size = self.first = 0
        self.ended = False
        self.blocked: dict[Signals, str] = {}
        self.watchers: set[Signals] = set()
        self._frames: list[Frame] = []
        self._ends: list[int] = []
        self._sizes: list[int] = []
        self._trimmed_size = 0

    def room(self) -> Room:
        """What the reader that is furthest behind leaves free."""
        values = size = UNBOUNDED
        self._drop_dead()
        for reader in self.readers.values():
            if reader.hold == "hold":
                values = min(values, reader.cursor + reader.capacity - self.length)
                size = min(size, reader.size + reader.capacity_bytes - self.size)
        return Room(self.length, max(values, 1 if self.read_by_all() else 0), max(size, 0))

    def follow(self, worker: str, cursor: int | None) -> None:
        """Have a session read the stream as one more reader, which is at `cursor`; None: no more."""
        key = (FOLLOWER + worker, self.name)
        if cursor is None and self.readers.pop(key, None) is None:
            return
        if cursor is not None:
            limits = ReaderSpec(*key)
            size = self.size_at(cursor)
            self.readers[key] = Reader(limits.capacity, limits.capacity_bytes, "hold", "hold", cursor, size)
        self._followed = any(node.startswith(FOLLOWER) for node, _ in self.readers)
        self.settle()

    def _drop_dead(self) -> None:
        if self._followed:
            for node, _ in list(self.readers):
                if node.startswith(FOLLOWER) and not self._alive(node[len(FOLLOWER) :]):
                    self.follow(node[len(FOLLOWER) :], None)

    def read_by_all(self) -> bool:
        """Whether no reader that holds the stream back has anything left to read."""
        return all(r.cursor >= self.length for r in self.readers.values() if r.hold == "hold")

    def fits(self, frames: Sequence[tuple[int, Any, int]]) -> bool:
        """Whether there is room for these frames; one value of any size may pass where everything has been read."""
        if not frames:
            return True
        room = self.room()
        if sum(f[0] for f in frames) <= room.values and sum(f[2] for f in frames) <= room.size:
            return True
        return len(frames) == 1 and frames[0][0] == 1 and self.read_by_all()

    def has_room(self) -> bool:
        """Whether at least one value would be taken."""
        room = self.room()
        return (room.values > 0 and room.size > 0) or self.read_by_all()

    def append(self, count: int, payload: Any, size: int) -> None:
        """Add one frame at the end."""
        self.length += count
        self.size += size
        self._frames.append(Frame(self.length, count, payload, size))
        self._ends.append(self.length)
        self._sizes.append(self.size)

    def size_at(self, cursor: int) -> int:
        """Bytes of all frames that end at or before `cursor`."""
        index = bisect_right(self._ends, cursor)
        return self._sizes[index - 1] if index else self._trimmed_size

    def read(self, cursor: int, limit: int) -> Reading:
        """The frames after `cursor`."""
        if cursor < self.first:
            raise StreamTrimmedError(
                f"stream {self.name!r} does not keep the values at {cursor} any more: the first one kept is at "
                f"{self.first}; read from there, or start the run with a larger keep",
                stream=self.name,
                expected=cursor,
                found=self.first,
            )
        first = last = bisect_right(self._ends, cursor)
        size = 0
        while last < len(self._ends) and size < READ_BYTES and (last == first or self._ends[last - 1] < cursor + limit):
            size += self._frames[last].size
            last += 1
        return Reading(self._frames[first:last], self.length, self.ended)

    def tail(self, count: int) -> Reading:
        """The frames that hold the last `count` values."""
        return Reading(self._frames[bisect_right(self._ends, self.length - count) :], self.length, self.ended)

    def trim(self) -> None:
        """Drop whole frames that everybody has read, less the tail that is kept; seldom, and then many at once."""
        if self.keep < 0:
            return
        read = min((r.cursor for r in self.readers.values() if r.hold != "free"), default=self.length)
        floor = read - self.keep
        if floor - self.first < max(TRIM_AT_LEAST, self.keep / 10):
            return
        count = bisect_right(self._ends, floor)
        if count:
            self.first, self._trimmed_size = self._ends[count - 1], self._sizes[count - 1]
            del self._frames[:count], self._ends[:count], self._sizes[:count]

    def settle(self) -> None:
        """After a reader moved or let go: wake the writers that wait for room, and trim."""
        if self.blocked and self.has_room():
            blocked, self.blocked = self.blocked, {}
            for signals in blocked:
                signals.set(f"room:{self.name}")
        self.trim()

    def tell(self) -> None:
        """Wake whoever watches for values."""
        for signals in self.watchers:
            signals.set(f"values:{self.name}")

    def record(self) -> StreamRecord:
        """What a probe shows."""
        readers = {
            key: ReaderRecord(r.cursor, r.size, r.capacity, r.capacity_bytes, r.hold) for key, r in self.readers.items()
        }
        blocked = tuple(dict.fromkeys(self.blocked.values()))
        return StreamRecord(self.name, self.length, self.size, self.first, self.ended, readers, blocked)


def report_of(error: bytes) -> dict[str, Any]:
    """What an error in the record says: it is JSON of the runtime's, or any text."""
    try:
        report = msgspec.json.decode(error)
    except (msgspec.DecodeError, UnicodeDecodeError):
        report = None
    return report if isinstance(report, dict) else {"message": error.decode(errors="replace")}


@dataclass(slots=True)
class Claimed:
    """A range of a shared node's port that `worker` has in hand; `start` moves up with partial commits."""

    id: int
    port: str
    stream: str
    start: int
    stop: int
    worker: str


@dataclass(slots=True)
class Node:
    """One node. `last` keeps each worker's last sequence number and its answer, an exclusive node's under ""."""

    spec: NodeSpec
    epoch: int = 0
    owner: str = ""
    status: NodeStatus = "waiting"
    error: bytes = b""
    state: bytes | None = None
    last: dict[str, tuple[int, Committed]] = field(default_factory=dict)
    cursors: dict[str, tuple[int, int]] = field(default_factory=dict)
    marks: dict[str, tuple[int, int]] = field(default_factory=dict)
    looked: dict[str, bytes] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    ranges: list[Claimed] = field(default_factory=list)
    claimed: dict[str, int] = field(default_factory=dict)
    ranges_made: int = 0
    letters: dict[str, Any] = field(default_factory=dict)
    letters_made: int = 0
    log: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=LOG_LINES))


class Run:
    """One run: all that a server would keep of it, and the signals of the sessions that look at it."""

    def __init__(self, spec: RunSpec) -> None:
        self.spec = spec
        self.status: RunStatus = "running"
        self.error = b""
        self.paused = spec.paused
        self.stopping = self.forgotten = False
        self.paused_nodes: set[str] = set()
        self.created, self.ended = time.time(), 0.0
        self.nodes = {node.name: Node(node) for node in spec.nodes}
        self.streams = {stream.name: Stream(stream, self.alive) for stream in spec.streams}
        self.inputs: dict[str, list[tuple[str, Stream, Reader]]] = {node.name: [] for node in spec.nodes}
        for stream in self.streams.values():
            self._connect(stream)
        self.left = sum(node.counts for node in spec.nodes)
        self.events: list[tuple[str, bytes]] = []
        self.leases: dict[str, float] = {}
        self.dismissed: set[str] = set()
        self.rewound = 0.0
        self.sessions: list[Signals] = []
        self.say("RunStarted", name=spec.name)

    def node(self, name: str) -> Node:
        """The node of that name."""
        if name not in self.nodes:
            raise UnknownIOError(f"run {self.spec.id!r} has no node {name!r}; it has {', '.join(self.nodes) or 'none'}")
        return self.nodes[name]

    def stream(self, name: str) -> Stream:
        """The stream of that name."""
        if name not in self.streams:
            known = ", ".join(self.streams) or "none"
            raise UnknownIOError(f"run {self.spec.id!r} has no stream {name!r}; it has {known}")
        return self.streams[name]

    def _connect(self, stream: Stream) -> None:
        for (node, port), reader in stream.readers.items():
            into = self.inputs.setdefault(node, [])
            into.insert(0 if stream.private else len(into), (port, stream, reader))

    def note(self, events: Sequence[bytes]) -> None:
        """Add events to the log."""
        self.events += [(f"{len(self.events) + n}-0", event) for n, event in enumerate(events, 1)]

    def say(self, what: str, **facts: Any) -> None:
        """Something has happened, in the words of `events/model.py`."""
        self.note([msgspec.json.encode({"type": what, "run": self.spec.id, "at": time.time(), **facts})])

    def pause(self, paused: bool, node: str = "") -> None:
        """Pause or resume the run, or one node."""
        if node:
            self.node(node)
            was = node in self.paused_nodes
            (self.paused_nodes.add if paused else self.paused_nodes.discard)(node)
        else:
            was, self.paused = self.paused, paused
        if was != paused:
            self.say("RunPaused" if paused else "RunResumed", node=node)

    def private(self, node: str) -> Stream:
        """The stream that carries a node's dead letters back to it; made when it is first needed."""
        name = f"~{node}"
        if name not in self.streams:
            self.streams[name] = Stream(
                StreamSpec(name, "", (ReaderSpec(node, name, hold="open"),), private=True), self.alive
            )
            self._connect(self.streams[name])
        return self.streams[name]

    def input(self, node: str, port: str) -> tuple[Stream, Reader]:
        """Stream and reader of one port."""
        for name, stream, reader in self.inputs.get(node, ()):
            if name == port:
                return stream, reader
        raise UnknownIOError(f"node {node!r} of run {self.spec.id!r} reads no port {port!r}")

    def alive(self, worker: str) -> bool:
        """Whether the worker's lease holds."""
        return self.leases.get(worker, 0.0) > time.monotonic()

    def tell(self, signal: str) -> None:
        """Set a signal in every session; who waits for it looks again, and most do not."""
        for signals in self.sessions:
            signals.set(signal)

    def close(self, status: RunStatus, error: bytes = b"") -> None:
        """End the run, once."""
        if self.status == "running":
            self.status, self.error, self.ended = status, error, time.time()
            self.tell("run")
            self.say("RunEnded", status=status, error=report_of(error).get("message", ""))

    def record(self) -> RunRecord:
        """The run as readers see it."""
        return RunRecord(
            id=self.spec.id,
            name=self.spec.name,
            status=self.status,
            graph=self.spec.graph,
            nodes=self.spec.nodes,
            meta=self.spec.meta,
            paused=self.paused,
            stopping=self.stopping,
            paused_nodes=frozenset(self.paused_nodes),
            error=self.error,
            created=self.created,
            ended=self.ended,
            rewound=self.rewound,
        )

    def rewind(self) -> None:
        """Whatever workers remember is void."""
        for node in self.nodes.values():
            node.epoch, node.owner = node.epoch + 1, ""
            for claimed in node.ranges:
                claimed.worker = ""
        self.rewound = time.time()
        self.tell("run")

    def node_record(self, name: str, worker: str = "") -> NodeRecord:
        """A node as the worker that takes it up sees it."""
        node = self.node(name)
        last = node.last.get(worker if node.spec.shared else "")
        return NodeRecord(
            name=name,
            epoch=node.epoch,
            seq=last[0] if last else 0,
            owner=node.owner,
            status=node.status,
            cursors={port: (0, 0) for port, *_ in self.inputs[name]} | node.cursors,
            reads={port: (reader.cursor, reader.size) for port, _, reader in self.inputs[name]},
            marks=dict.fromkeys(node.spec.outputs, (0, 0)) | node.marks,
            lengths={stream: self.stream(stream).length for stream in node.spec.outputs},
            state=node.state,
            looked=dict(node.looked),
            counters=dict(node.counters),
            report=dict(node.reports),
            error=node.error,
        )

    def probe(self, worker: str = "") -> Probe:
        """Everything at once, as the worker sees it."""
        now = time.monotonic()
        return Probe(
            now=time.time(),
            run=self.record(),
            nodes={name: self.node_record(name, worker) for name in self.nodes},
            streams={name: stream.record() for name, stream in self.streams.items()},
            workers={worker: expiry - now for worker, expiry in self.leases.items() if expiry > now},
        )
