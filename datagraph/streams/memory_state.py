"""What the memory store keeps of a run: its nodes, and the streams between them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ..exceptions import UnknownIOError
from .memory_streams import Reader, Stream
from .records import (
    ChangeRecord,
    Committed,
    NodeRecord,
    NodeSpec,
    NodeStatus,
    Probe,
    ReaderSpec,
    RunRecord,
    RunSpec,
    RunStatus,
    Segment,
    StreamSpec,
    inputs_of,
)
from .signals import Signals

LOG_LINES = 10_000
KEPT = 1000  # changes of the wiring, asks


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
    claimed: dict[str, int] = field(default_factory=dict)  # by segment
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
        self.inputs: dict[str, list[tuple[str, Stream, Reader]]] = {}
        for node in spec.nodes:
            self.connect(node.name, inputs_of(spec, node))
        self.left = sum(node.counts for node in spec.nodes)
        self.events: list[tuple[str, bytes]] = []
        self.leases: dict[str, float] = {}
        self.dismissed: set[str] = set()
        self.rewound = 0.0
        self.wiring = self.asked = 0
        self.changes: deque[ChangeRecord] = deque(maxlen=KEPT)
        self.asks: dict[str, bytes] = {}
        self.answers: dict[str, bytes] = {}
        self.sessions: dict[Signals, str] = {}  # and whose
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

    def connect(self, node: str, inputs: Sequence[tuple[str, str]]) -> None:
        """Have a node read these segments of these streams, of each of which it is a reader, in this order."""
        streams = [(port, self.stream(name)) for port, name in inputs]
        self.inputs[node] = [(port, stream, stream.readers[node, port]) for port, stream in streams]

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
            self.connect(node, [(name, name), *((port, stream.name) for port, stream, _ in self.inputs[node])])
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
            wiring=self.wiring,
            asked=self.asked,
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
            segments=tuple(Segment(port, stream.name, reader.until) for port, stream, reader in self.inputs[name]),
        )

    def probe(self, worker: str = "") -> Probe:
        """Everything at once, as the worker sees it."""
        now = time.monotonic()
        specified = {node.name for node in self.spec.nodes}
        shown = [name for name, node in self.nodes.items() if name in specified or node.status != "done"]
        streams = {stream.name: None for stream in self.spec.streams}  # in order
        for name in shown:
            streams |= dict.fromkeys(stream.name for _, stream, _ in self.inputs[name])
            streams |= dict.fromkeys(self.nodes[name].spec.outputs)
        return Probe(
            now=time.time(),
            run=self.record(),
            nodes={name: self.node_record(name, worker) for name in shown},
            streams={name: self.streams[name].record() for name in streams},
            workers={worker: expiry - now for worker, expiry in self.leases.items() if expiry > now},
        )
