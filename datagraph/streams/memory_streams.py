"""What the memory store keeps of a stream: its frames and readers, and the rules for room and trimming."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..exceptions import StreamTrimmedError
from .records import Frame, Hold, ReaderRecord, ReaderSpec, Reading, Room, StreamRecord, StreamSpec
from .signals import Signals

UNBOUNDED = 2**53
FOLLOWER = "~"  # and the worker: the "node" of a session that follows a stream
READ_BYTES = 4 * 2**20
TRIM_AT_LEAST = 1000


@dataclass(slots=True)
class Reader:
    """One consumer of a stream.

    `usual` is the hold that comes back when its node is opened again, `began` and `until` where it begins and stops.
    """

    capacity: int
    capacity_bytes: int
    hold: Hold
    usual: Hold
    cursor: int = 0
    size: int = 0
    began: int = 0
    until: int | None = None

    def move(self, cursor: int, size: int) -> None:
        """Go forward; a replaying node reads again what counts as read, so never back."""
        self.cursor = max(self.cursor, cursor)
        self.size = max(self.size, size)
        self.bound()

    @property
    def has_stopped(self) -> bool:
        """Whether it has read all that it ever will."""
        return self.until is not None and self.cursor >= self.until

    def bound(self) -> None:
        """One that stops holds no writer back: what it has still to read is kept, and then it is free for good."""
        if self.until is not None:
            most: Hold = "free" if self.has_stopped else "open"
            self.hold = "free" if self.hold == "free" else most
            self.usual = "free" if self.usual == "free" else most


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

    def append(self, count: int, payload: Any, size: int, origin: bytes = b"") -> None:
        """Add one frame at the end."""
        self.length += count
        self.size += size
        self._frames.append(Frame(self.length, count, payload, size, origin))
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
            key: ReaderRecord(r.cursor, r.size, r.capacity, r.capacity_bytes, r.hold, r.until, r.began)
            for key, r in self.readers.items()
        }
        blocked = tuple(dict.fromkeys(self.blocked.values()))
        return StreamRecord(self.name, self.length, self.size, self.first, self.ended, readers, blocked)
