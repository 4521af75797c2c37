"""What goes over the counter between the runtime and a store: plain records, the same for every store.

Positions count values: position p of a stream is the place after its first p values. A frame that ends at position
`end` and holds `count` values covers positions ``end - count`` to ``end``.

A port of a node reads a list of segments, each a stream from a position on, all but the last until another. To a store
every segment is a reader of its own: the first has the port's name ("words"), later ones "words#1", "words#2", ...
Wherever something here is told by port, it is told by segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

RunStatus = Literal["running", "completed", "failed", "cancelled"]
NodeStatus = Literal["waiting", "running", "done", "failed"]
Hold = Literal["hold", "open", "free"]


class Frame(NamedTuple):
    """Some values of a stream: `payload` is what the store keeps (bytes, or a list in memory), `size` its bytes.

    `origin` is what its writer said of where they came from (see `origins`).
    """

    end: int
    count: int  # type: ignore[assignment]  # the word is ours; nobody counts in a frame
    payload: Any
    size: int
    origin: bytes = b""


class Reading(NamedTuple):
    """What a read found: `frames` in order, the stream's `length` in values, and whether it has `ended` there."""

    frames: list[Frame]
    length: int
    ended: bool


@dataclass(frozen=True, slots=True)
class ReaderSpec:
    """One consumer of a stream.

    `hold` is "hold" where its capacity holds the writer back, "open" where nothing is trimmed before it is read but
    no capacity applies (`wait=True`, `collect()`), "free" where it holds nobody (it only looked, or has ended).
    """

    node: str
    port: str
    capacity: int = 1000
    capacity_bytes: int = 64 * 2**20
    hold: Hold = "hold"


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One stream: who writes it, who reads it, and how many values already read by all are kept (-1: all of them).

    `private` streams carry dead letters back to their node and are no edge of the graph.
    """

    name: str
    writer: str
    readers: tuple[ReaderSpec, ...] = ()
    keep: int = 10_000
    private: bool = False


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node: (segment, stream) of its inputs in order, the streams it writes, and how it is run.

    `shared`: several workers claim ranges of its single input. `ordered`: their commits land in the order of the
    claims. `counts`: the run is completed when every counting node is done (feeders do not count).
    """

    name: str
    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[str, ...] = ()
    shared: bool = False
    ordered: bool = True
    counts: bool = True


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run as it is first written down. `graph` is `Graph.to_dict()`, `meta` anything JSON-able for readers."""

    id: str
    name: str
    graph: Mapping[str, Any]
    nodes: tuple[NodeSpec, ...]
    streams: tuple[StreamSpec, ...]
    paused: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)


class Write(NamedTuple):
    """Frames for the end of one stream: `base` is its length as the writer knows it, `frames` (count, payload, size).

    A shared node has several writers, so none of them knows: its `base` is not compared.

    `mark` is (values, checksum) of what the node wrote to this stream since its resume point, these frames included;
    `end` closes the stream after them. `origin` is kept beside each of the frames (see `origins`).
    """

    stream: str
    base: int
    frames: Sequence[tuple[int, Any, int]]
    mark: tuple[int, int] = (0, 0)
    end: bool = False
    origin: bytes = b""

    @property
    def needs(self) -> tuple[int, int]:
        """The room that it takes, in values and bytes."""
        return sum(frame[0] for frame in self.frames), sum(frame[2] for frame in self.frames)


class Advance(NamedTuple):
    """A reader's new position: `cursor` values read, `size` the bytes of all frames that end at or before it."""

    port: str
    stream: str
    cursor: int
    size: int


@dataclass(slots=True)
class Commit:
    """Everything one node changes in one atomic step.

    `epoch` fences; `seq` is one more than that of this worker's last commit to the node. `safe` moves the resume point
    to `reads` and `state` and sets every mark to zero; without it only the readers' positions and the marks move.
    `claim` names the range that a shared node's worker commits, `upto` the position in it that is done. `letters` are
    dead letters, `looked` encoded values that ``first()`` saw, by port; `counters` are added to the node's.
    `status` "done" closes the node and frees its readers; "failed" also ends the run with `error`.
    """

    node: str
    epoch: int
    seq: int
    writes: Sequence[Write] = ()
    reads: Sequence[Advance] = ()
    safe: bool = False
    state: bytes | None = None
    claim: int | None = None
    upto: int = 0
    letters: Sequence[bytes] = ()
    looked: Mapping[str, bytes] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    status: NodeStatus | None = None
    error: bytes = b""
    events: Sequence[bytes] = ()


class Segment(NamedTuple):
    """What a node reads of one `stream`, in its turn; it stops at position `until`, None where it goes on."""

    port: str
    stream: str
    until: int | None = None


class Room(NamedTuple):
    """What one stream can take: `length` written so far, `values` and `size` (bytes) free for its writer.

    A stream whose readers have all read everything takes at least one value of any size.
    """

    length: int
    values: int
    size: int

    def takes(self, values: int, size: int) -> bool:
        """Whether so much finds room."""
        return values <= self.values and size <= self.size


class Committed(NamedTuple):
    """A commit's answer. `ok` False: nothing was applied, because a stream had no room (the node's session is now
    registered and its room signal will be set) or because an earlier range must be committed first (`turn` False).
    `rooms` gives every written stream's room after the commit, or as it was found. `status` is the run's.
    """

    ok: bool
    rooms: Mapping[str, Room]
    turn: bool = True
    status: RunStatus = "running"


@dataclass(slots=True)
class NodeRecord:
    """A node as the store has it: what a worker needs to take it up.

    `seq` is that of this session's worker in a shared node, else the owner's. `cursors`: port -> (position, bytes) of
    the resume point. `reads`: port -> (position, bytes) really read so far. `marks`: stream -> (values, checksum)
    written since the resume point. `lengths`: stream -> values written. `segments`: what it reads, in order, private
    streams first.
    """

    name: str
    epoch: int = 0
    seq: int = 0
    owner: str = ""
    status: NodeStatus = "waiting"
    cursors: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    reads: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    marks: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)
    state: bytes | None = None
    looked: Mapping[str, bytes] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    error: bytes = b""
    segments: tuple[Segment, ...] = ()


class Range(NamedTuple):
    """Values ``start`` to ``stop`` of a shared node's port, claimed by one worker under `id`."""

    id: int
    port: str
    stream: str
    start: int
    stop: int


class Taken(NamedTuple):
    """An answer to a claim of a range: the range, or None; `finished` when nothing is left and nothing will come."""

    range: Range | None
    finished: bool


@dataclass(slots=True)
class RunRecord:
    """A run as the store has it. Times are the server's, in seconds since the epoch.

    `rewound` is when it was last found that the store had lost a part of the run, 0 where it never was. `wiring` is how
    often it was rewired (graph, nodes and meta are those after that), `asked` how many asks there ever were.
    """

    id: str
    name: str
    status: RunStatus
    graph: Mapping[str, Any]
    nodes: tuple[NodeSpec, ...]
    meta: Mapping[str, Any]
    paused: bool = False
    stopping: bool = False
    paused_nodes: frozenset[str] = frozenset()
    error: bytes = b""
    created: float = 0.0
    ended: float = 0.0
    rewound: float = 0.0
    wiring: int = 0
    asked: int = 0


class ReaderRecord(NamedTuple):
    """One consumer as the store has it: position, bytes of frames wholly read, limits, hold, where it stops, began."""

    cursor: int
    size: int
    capacity: int
    capacity_bytes: int
    hold: Hold
    until: int | None = None
    began: int = 0


@dataclass(slots=True)
class StreamRecord:
    """A stream as the store has it: `length` and `size` (bytes) ever written, `first` the first position kept.

    `readers` by (node, port). `writing` lists the sessions that wait for room.
    """

    name: str
    length: int = 0
    size: int = 0
    first: int = 0
    ended: bool = False
    readers: Mapping[tuple[str, str], ReaderRecord] = field(default_factory=dict)
    blocked: tuple[str, ...] = ()


@dataclass(slots=True)
class Probe:
    """Everything about a run at one moment, read in one round trip; `now` is the server's time in seconds."""

    now: float
    run: RunRecord
    nodes: Mapping[str, NodeRecord]
    streams: Mapping[str, StreamRecord]
    workers: Mapping[str, float]


NOW: Final = -1
CLAIMED: Final = -2


def at_cut(index: int) -> int:
    """The position at which that cut of the same change was made, for a `Join`."""
    return -10 - index


class Cut(NamedTuple):
    """A node's segment `port` stops at `position` of its stream and holds its writer back no more.

    NOW: the stream's length; CLAIMED: how far the workers of a shared node have claimed it; neither goes beyond where
    the segment stopped already. A number is at least what was read (of a shared node: claimed).
    """

    node: str
    port: str
    position: int


class Join(NamedTuple):
    """A node reads, as a new segment `port`, `stream` from `position` on: a number, NOW, or `at_cut`."""

    node: str
    port: str
    stream: str
    position: int
    capacity: int = 1000
    capacity_bytes: int = 64 * 2**20
    hold: Hold = "hold"


@dataclass(slots=True)
class Rewire:
    """One change of a run's wiring.

    `version` is the wiring that it was made for, `spec` the run as it is afterwards: each node's `inputs` list its
    segments in order. `added` names nodes of it that are new, or are done and begin again; `struck` (node, segment)
    finished segments to forget, as are all those of `added` nodes that they do not list; `fresh` nodes whose state,
    looked values and marks are dropped. `note` is what is kept of the change, `events` go to the run's log.
    """

    version: int
    spec: RunSpec
    cuts: Sequence[Cut] = ()
    joins: Sequence[Join] = ()
    added: Sequence[str] = ()
    struck: Sequence[tuple[str, str]] = ()
    fresh: Sequence[str] = ()
    note: bytes = b""
    events: Sequence[bytes] = ()


class Rewired(NamedTuple):
    """What became of a change: the version of the wiring now, and the position of each cut and join."""

    version: int
    cuts: tuple[int, ...]
    joins: tuple[int, ...]


class ChangeRecord(NamedTuple):
    """A change as the run keeps it: the wiring's version since, the server's time in seconds, positions, its note."""

    version: int
    at: float
    cuts: tuple[int, ...]
    joins: tuple[int, ...]
    note: bytes


def inputs_of(spec: RunSpec, node: NodeSpec) -> list[tuple[str, str]]:
    """What a node reads, in order; private streams first: what is sent again is worked on before what is new."""
    private = [(r.port, s.name) for s in spec.streams if s.private for r in s.readers if r.node == node.name]
    return [*private, *node.inputs]
