"""One output stream of a node in this process, and the safe points that say how much of it is finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..exceptions import CodecError
from ..streams.codec import Codec
from ..streams.records import Advance, NodeRecord, Room, Write

GATHER = 4000
"""The most values of a frame, and of a chunk that a reader is given."""
FULL = 2 * GATHER
"""The values in one stream's buffer at which its node waits; a chunk that is answered value by value fits below it."""
_UNKNOWN = 16
"""The values that gather before anything is known of the stream's capacity."""
WHOLE = 25 * FULL
"""The same for a node that stores safe points whole only (see `Outlet.whole`)."""
WHOLE_BYTES = 32 * 2**20
"""The most bytes of a frame that must not be cut: half of what an edge holds."""
FRAME_BYTES = 128 * 1024
"""About the most bytes of a frame of several values. What is decoded of a larger one no longer fits the processor's
cache, and the allocator takes and returns whole arenas for it (160-byte records: 2.7 us a value through the codec in
frames of 250, 7.7 us in frames of 4,000); of a smaller one, the commit costs more than the values (a flow of such
records: 211,000 a second with 64 KiB, 248,000 with 128 KiB, medians of twenty runs side by side)."""

_ENOUGH, _MOST_ENOUGH = 8, 4
"""A full edge is written to again when an eighth of it is free (a frame for every value read is a silly window), one
that is read fast when up to four eighths are."""
_WIDE = 1000
"""An edge that holds fewer values is written to at an eighth whatever its pace, so that it is seen to be full."""
_FAST, _SLOW = 0.003, 0.01
"""Seconds of a wait for room after which the next one is for more of it, or for less."""


Sheaf = tuple[int, Any, int, int]
"""Values about to be written: how many, the payload, its bytes, and the checksum of all since the resume point."""


class Outlet:
    """One output stream of a node: what has gathered for it, and what is known of its room."""

    __slots__ = (
        "average",
        "base",
        "buffer",
        "capacity",
        "checksum",
        "codec",
        "count",
        "enough",
        "expected",
        "full",
        "gone",
        "limit",
        "local",
        "patience",
        "room",
        "room_size",
        "skip",
        "step",
        "stream",
        "whole",
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
        self.enough = 1
        self.patience = 1
        self.local = False
        self.room_size = 0
        self.count = 0
        self.checksum = 0
        self.average = 0.0
        self.capacity = 0
        self.full = _UNKNOWN
        self.whole = False
        self.skip, self.expected = record.marks.get(stream, (0, 0))

    def total(self) -> int:
        """Values that ever came into the buffer: what a `Mark` counts in."""
        return self.gone + len(self.buffer)

    def drop(self, count: int) -> None:
        """These values are stored (or were, before a replay)."""
        del self.buffer[:count]
        self.gone += count
        self.count += count

    def keep_whole(self) -> None:
        """What lies between two safe points must be stored in one commit, so the buffer has to hold all of it."""
        if not self.whole:
            self.whole = True
            self._fit()

    def weigh(self, average: float) -> None:
        """A value takes so many bytes, of late: the buffer holds two frames."""
        self.average = average
        self._fit()

    def encode(self, count: int, node: str) -> Any:
        """The first `count` values as the store takes them; a CodecError says whose they are."""
        try:
            return self.codec.encode(self.buffer[:count])
        except CodecError as error:
            error.add_note(f"in {node!r}, writing to the stream {self.stream!r}")
            raise

    def sheaf(self, want: int, *, whole: bool, shared: bool, node: str) -> Sheaf:
        """What is written of `want` values: fewer where they are more bytes than a frame should have, or find room."""
        count = want
        if not count:
            return 0, None, 0, self.checksum
        if self.average and count * self.average > FRAME_BYTES and not whole:
            count = max(1, int(FRAME_BYTES / self.average))
        payload = self.encode(count, node)
        size = self.codec.size(payload)
        most = WHOLE_BYTES if whole else max(min(self.room_size, 4 * FRAME_BYTES), 1)
        while size > most and count > 1 and not shared:
            count = max(1, min(count - 1, int(count * most / size)))
            payload = self.encode(count, node)
            size = self.codec.size(payload)
        self.weigh(size / count)
        return count, payload, size, self.codec.checksum(payload, self.checksum)

    def write(self, sheaf: Sheaf, origin: bytes, *, end: bool) -> Write:
        """What a commit says of that sheaf, which may be empty at the `end` of the stream."""
        count, payload, size, checksum = sheaf
        frames = ((count, payload, size),) if count else ()
        return Write(self.stream, self.base, frames, (self.count + count, checksum), end, origin)

    def bound(self, capacity: int) -> None:
        """The stream takes so many values at a time: the buffer holds twice that."""
        if capacity > self.capacity:
            self.capacity = capacity
            self._fit()

    def least(self, capacity: int) -> int:
        """The room that is worth a frame where the edge is full and its reader is in this process."""
        return max(1, capacity // _ENOUGH * (self.patience if capacity >= _WIDE else 1))

    def learn_patience(self, waited: float) -> None:
        """There was room after so many seconds."""
        if waited < _FAST:
            self.patience = min(_MOST_ENOUGH, 2 * self.patience)
        elif waited > _SLOW:
            self.patience = 1

    def _fit(self) -> None:
        if self.whole:
            self.full = max(1, min(WHOLE, int(WHOLE_BYTES / self.average) if self.average else WHOLE))
            return
        by_bytes = int(2 * FRAME_BYTES / self.average) if self.average else FULL
        self.full = max(1, min(FULL, by_bytes, 2 * self.capacity if self.capacity else _UNKNOWN))

    def see(self, room: Room) -> None:
        """The store said how much room there is."""
        self.room, self.room_size = room.values, room.size
        self.bound(room.values)


@dataclass(slots=True)
class Mark:
    """A safe point: what had come into each buffer (`Outlet.total`) when all that was read was finished, and how far
    the readers were; of a claimed range, which began at `since`, how far it is finished. `more`: never the last one.

    `ends` is how far what was put out came from, as (segment, stream, position), where `reads` does not say it. `each`:
    every value that was put out was made, in order, of one value of so many ports; 0 where that is not known. `sizes`:
    so many values were put out for each that was read, one after the other, where these are few and the outlet is one.
    """

    totals: list[int]
    reads: Sequence[Advance]
    state: bytes | None = None
    letters: list[bytes] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    claim: int | None = None
    upto: int = 0
    since: int = 0
    more: bool = False
    ends: Sequence[tuple[str, str, int]] | None = None
    each: int = 0
    sizes: bytes = b""


MOST_SIZES = 64
"""The most values of a safe point of which it is kept what each of them gave: one byte each."""


def added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """Two sets of counters as one."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in {*one, *other}}


def merge(old: Mark, new: Mark) -> Mark:
    """A later safe point takes an earlier one in that was not committed yet."""
    counters = added(old.counters, new.counters)
    letters = old.letters + new.letters
    each = new.each if new.each == old.each else 0
    if (new.totals, new.reads, new.upto) == (old.totals, old.reads, old.upto):
        sizes = old.sizes
    else:
        sizes = old.sizes + new.sizes if old.sizes and new.sizes else b""
    return replace(new, letters=letters, counters=counters, each=each, sizes=sizes if len(sizes) <= MOST_SIZES else b"")
