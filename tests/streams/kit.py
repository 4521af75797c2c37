"""Small runs and a worker's hand on a node, for the tests of the store's contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from datagraph.streams.records import (
    NOW,
    Advance,
    Commit,
    Committed,
    Cut,
    Join,
    NodeRecord,
    NodeSpec,
    ReaderSpec,
    Reading,
    Rewire,
    RunSpec,
    StreamSpec,
    Write,
    at_cut,
)
from datagraph.streams.store import Session, Store

BIG = 10**9


def chain(
    run: str, *, capacity: int = 10, size: int = BIG, keep: int = 10_000, shared: bool = False, ordered: bool = True
) -> RunSpec:
    """A feeder writes x, node a reads x and writes y, node b reads y and writes z; `~a` brings letters back to a."""
    return RunSpec(
        id=run,
        name="chain",
        graph={"version": 1},
        nodes=(
            NodeSpec("in:x", outputs=("x",), counts=False),
            NodeSpec("a", inputs=(("p", "x"),), outputs=("y",), shared=shared, ordered=ordered),
            NodeSpec("b", inputs=(("q", "y"),), outputs=("z",)),
        ),
        streams=(
            StreamSpec("x", "in:x", (ReaderSpec("a", "p", capacity, size),), keep=keep),
            StreamSpec("y", "a", (ReaderSpec("b", "q", capacity, size),), keep=keep),
            StreamSpec("z", "b", keep=keep),
            StreamSpec("~a", "", (ReaderSpec("a", "again", hold="open"),), private=True),
        ),
        meta={"by": "test"},
    )


def fan_out(run: str, *holds: str) -> RunSpec:
    """A feeder writes x, which nodes r0, r1, ... read, each with that hold and a capacity of 10, 20, ... values."""
    readers = tuple(ReaderSpec(f"r{n}", "p", 10 * (n + 1), hold=hold) for n, hold in enumerate(holds))
    nodes = tuple(NodeSpec(reader.node, inputs=(("p", "x"),)) for reader in readers)
    return RunSpec(
        run, "fan", {}, (NodeSpec("in:x", outputs=("x",), counts=False), *nodes), (StreamSpec("x", "in:x", readers),)
    )


CLEAN = NodeSpec("clean", inputs=(("c", "x"),), outputs=("w",))


def reading(spec: RunSpec, node: str, *segments: tuple[str, str], **changes: Any) -> RunSpec:
    """A spec in which a node reads these segments."""
    nodes = tuple(replace(n, inputs=segments, **changes) if n.name == node else n for n in spec.nodes)
    return replace(spec, nodes=nodes, graph={"version": 2})


def with_clean(spec: RunSpec, *segments: tuple[str, str]) -> RunSpec:
    """A spec with a node more, `clean`, between x and what node a reads."""
    spec = reading(spec, "a", *segments)
    return replace(spec, nodes=(*spec.nodes, CLEAN), streams=(*spec.streams, StreamSpec("w", "clean")))


def insert(spec: RunSpec, version: int = 0, **changes: Any) -> Rewire:
    """Put `clean` between x and node a, now."""
    facts: dict[str, Any] = {
        "cuts": [Cut("a", "p", NOW)],
        "joins": [Join("clean", "c", "x", at_cut(0)), Join("a", "p#1", "w", 0, 5)],
        "added": ["clean"],
        "note": b"\x93note\xff",
    }
    return Rewire(version, with_clean(spec, ("p", "x"), ("p#1", "w")), **facts | changes)


def frame(values: Sequence[Any], size: int | None = None) -> tuple[int, bytes, int]:
    """A frame of small whole numbers, one byte each, or of bytes that are one value."""
    payload = bytes(values)
    return (len(payload), payload, len(payload)) if size is None else (1, bytes(size), size)


def values_of(reading: Reading) -> list[int]:
    """The numbers in a reading's frames."""
    return [value for each in reading.frames for value in each.payload]


@dataclass
class Hand:
    """One worker's hand on one node: it counts commits and positions as a worker does."""

    session: Session
    node: str
    epoch: int
    seq: int
    lengths: dict[str, int]
    cursors: dict[str, int] = field(default_factory=dict)
    last: Commit | None = None

    @classmethod
    async def on(cls, session: Session, node: str, *, force: bool = False) -> Hand:
        return cls.of(session, await session.claim(node, force=force))

    @classmethod
    def of(cls, session: Session, record: NodeRecord) -> Hand:
        cursors = {port: cursor for port, (cursor, _) in record.cursors.items()}
        return cls(session, record.name, record.epoch, record.seq, dict(record.lengths), cursors)

    async def commit(self, **changes: Any) -> Committed:
        self.last = Commit(self.node, self.epoch, self.seq + 1, **changes)
        done = await self.session.commit(self.last)
        if done.ok:
            self.seq += 1
            for write in self.last.writes:
                self.lengths[write.stream] = done.rooms[write.stream].length
        return done

    def to(self, stream: str, *values: Sequence[Any], size: int | None = None, end: bool = False, **more: Any) -> Write:
        """A write of one frame a sequence."""
        return Write(
            stream, self.lengths.get(stream, 0), [frame(each, size) for each in values if each], end=end, **more
        )

    async def write(self, stream: str, *values: Sequence[Any], end: bool = False, **changes: Any) -> Committed:
        return await self.commit(writes=[self.to(stream, *values, end=end)], **changes)

    async def read(
        self, port: str, stream: str, cursor: int, *, size: int = 0, safe: bool = True, **changes: Any
    ) -> Committed:
        """Say that `cursor` values are read."""
        return await self.commit(reads=[Advance(port, stream, cursor, size)], safe=safe, **changes)


@asynccontextmanager
async def session_of(store: Store, spec: RunSpec, worker: str = "w1", lease: float = 10.0) -> AsyncIterator[Session]:
    """A new run and a session of one worker on it."""
    await store.create(spec)
    async with store.session(spec.id, worker, lease=lease) as session:
        yield session


async def told(session: Session) -> list[bytes]:
    """The run's events: those of the store's own as their kind and whom they are about, others as they are."""
    found = []
    for _, event in await session.events():
        said = msgspec.json.decode(event) if event[:1] == b"{" else None
        found.append(event if said is None else f"{said['type']} {said.get('node', '')}".strip().encode())
    return found


async def contents(session: Session, stream: str) -> list[int]:
    """All values of a stream that are kept."""
    return values_of(await session.tail(stream, 2**31))
