"""One output stream of a node in this process, and the safe points that say how much of it is finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..streams.codec import Codec
from ..streams.records import Advance, NodeRecord, Room

GATHER = 4096
"""The most values that one stream's buffer gathers before its node waits."""


class Outlet:
    """One output stream of a node: what has gathered for it, and what is known of its room."""

    __slots__ = (
        "average",
        "base",
        "buffer",
        "checksum",
        "codec",
        "count",
        "expected",
        "gone",
        "limit",
        "room",
        "room_size",
        "skip",
        "step",
        "stream",
    )

    def __init__(self, stream: str, record: NodeRecord, codec: Codec) -> None:
        self.stream = stream
        self.codec = codec
        self.buffer: list[Any] = []
        self.limit = 0
        self.step = 1
        self.gone = 0
        self.base = record.lengths.get(stream, 0)
        self.room = 0
        self.room_size = 0
        self.count = 0
        self.checksum = 0
        self.average = 0.0
        self.skip, self.expected = record.marks.get(stream, (0, 0))

    def total(self) -> int:
        """Values that ever came into the buffer: what a `Mark` counts in."""
        return self.gone + len(self.buffer)

    def drop(self, count: int) -> None:
        """These values are stored (or were, before a replay)."""
        del self.buffer[:count]
        self.gone += count
        self.count += count

    def see(self, room: Room) -> None:
        """The store said how much room there is."""
        self.room, self.room_size = room.values, room.size


@dataclass(slots=True)
class Mark:
    """A safe point: what had come into each buffer (`Outlet.total`) when all that was read was finished, and how far
    the readers were.
    """

    totals: list[int]
    reads: Sequence[Advance]
    state: bytes | None = None
    letters: list[bytes] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    claim: int | None = None
    upto: int = 0


def added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Two sets of counters as one."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in {*one, *other}}


def merge(old: Mark, new: Mark) -> Mark:
    """A later safe point takes an earlier one in that was not committed yet."""
    counters = added(old.counters, new.counters)
    return Mark(new.totals, new.reads, new.state, old.letters + new.letters, counters, new.claim, new.upto)
