"""One input of a node in this process: frames come in from the store or from a local writer, values go out in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

import anyio

from ..exceptions import CodecError
from ..streams.codec import Codec
from ..streams.records import Advance, Frame, Hold, NodeRecord
from ..streams.store import Session
from .breakpoints import Stop, let_through, look_at
from .clock import Clock
from .segments import Segment

FETCH_VALUES = 4096


def opened(codec: Codec, stream: str, frame: Frame) -> list[Any]:
    """The values of a stream's frame; a CodecError says where it stands."""
    try:
        return codec.decode(frame.payload)
    except CodecError as error:
        error.add_note(f"in the stream {stream!r} at position {frame.end - frame.count}")
        raise


def _never() -> bool:
    return False


class Hub(Protocol):
    """What ports know of their process: which streams are written here, and how far."""

    def local_length(self, stream: str) -> int | None:
        """The stream's length where its only writer runs in this process, else None."""

    def attach(self, port: Port, stream: str) -> None:
        """Deliver local frames of the stream to the port from now on."""


class Port:
    """The unread values of one input port, and the way to more of them.

    `position` counts the values taken; what was taken and not finished is the business of whoever took it. What it
    reads is a list of segments, of which all but the last have been cut by a rewiring (see `segments`).
    """

    def __init__(self, session: Session, node: str, name: str, clock: Clock, hub: Hub) -> None:
        self.session = session
        self.node = node
        self.name = name
        self.clock = clock
        self.hub = hub
        self.halts: Callable[[], bool] = _never
        self.segments: list[Segment] = []
        self.position = 0
        self.fetched = 0
        self.unread: list[Any] = []
        self.ended = False
        self.hold: Hold = "hold"
        self.limit = FETCH_VALUES
        self.bad: dict[int, bytes] = {}
        self.ahead: dict[str, list[tuple[int, int]]] = {}
        self.letters: list[bytes] = []
        self.stop: Stop | None = None
        self.checked = 0
        self.upto: int | None = None
        self._at = 0
        self._first = 0
        self._frozen = False
        self._frames: deque[tuple[Segment, Frame]] = deque()
        self._watched: set[str] = set()

    # -- segments -------------------------------------------------------------------------------------------------

    @property
    def reading(self) -> Segment:
        """The segment that is fetched from."""
        return self.segments[self._at]

    @property
    def stream(self) -> str:
        """The stream that is fetched from."""
        return self.segments[self._at].stream

    @property
    def codec(self) -> Codec:
        """How the values of that stream are stored."""
        return self.segments[self._at].codec

    def append(self, name: str, stream: str, start: int = 0, until: int | None = None, size: int = 0) -> None:
        """Read this after what is read now; nothing new where it is read already."""
        if any(segment.name == name for segment in self.segments):
            return
        codec = self.session.codec.bind(f"{self.session.run}:{stream}".encode())
        self.segments.append(Segment(name, stream, codec, start, until, size))
        self.hub.attach(self, stream)
        self.ended = False

    def freeze(self, *, fetched: bool = False) -> int:
        """Take nothing more of the last segment until `cut` or `thaw`, or (`fetched`) only what is here already.

        Returns the position of its stream up to where that is.
        """
        last = self.segments[-1]
        at = last.start
        if last.offset is not None:
            at = max(at, (self.fetched if fetched else self.position) - last.offset)
        self._stop(last, at)
        self._frozen = True
        return at

    def cut(self, name: str, until: int) -> None:
        """The segment of that name, the last or one behind which another was found since, ends at that position."""
        segment = next(each for each in self.segments if each.name == name)
        segment.is_cut = True
        self._frozen = False
        if segment is self.segments[-1]:
            self._stop(segment, until)

    def thaw(self) -> None:
        """Go on as if nothing had been asked for."""
        self._frozen = False
        self.segments[-1].until = None

    def _stop(self, last: Segment, until: int) -> None:
        last.until = until
        end = last.end
        if end is None:
            return
        if self.position + len(self.unread) > end:
            self.unread = self.unread[: end - self.position]
        while self._frames and self._frames[-1][1].end - self._frames[-1][1].count >= end:
            self._frames.pop()
        self.fetched, self.checked = min(self.fetched, end), min(self.checked, end)

    def where(self, position: int) -> tuple[Segment, int]:
        """The segment that a position of the port is in, and the position in its stream."""
        found = self.segments[self._first]
        for segment in self.segments[self._first + 1 : self._at + 1]:
            if found.end is not None and position >= found.end:
                found = segment
        return found, position - (found.offset or 0)

    def pieces(self, start: int, stop: int) -> list[tuple[str, int, int]]:
        """Positions of the port as those of its streams: (segment, start, stop)."""
        found: list[tuple[str, int, int]] = []
        while start < stop:
            segment, at = self.where(start)
            end = stop if segment.end is None else min(stop, segment.end)
            found.append((segment.name, at, at + end - start))
            start = end
        return found

    def expect(self, name: str, start: int, stop: int) -> None:
        """These positions of a segment were finished before: they are passed over."""
        self.ahead.setdefault(name, []).append((start, stop))
        reading = self.reading
        if name == reading.name:
            self._begin(reading.offset or 0)

    def _turn(self) -> bool:
        """The segment is finished: on to the next; False where there is none."""
        if self._frozen or self._at + 1 >= len(self.segments):
            self.ended = not self._frozen
            return False
        before = self.reading
        before.until = self.fetched - (before.offset or 0)
        self._at += 1
        self._begin(self.fetched - self.reading.start)
        return True

    def _begin(self, offset: int) -> None:
        segment = self.reading
        segment.offset = offset
        segment.sizes.clear()
        for start, stop in self.ahead.pop(segment.name, ()):
            self.bad.update(dict.fromkeys(range(start + offset, stop + offset), b""))

    # -- where to begin -------------------------------------------------------------------------------------------

    def resume(self, record: NodeRecord, segments: Sequence[tuple[str, str, int | None]]) -> None:
        """Begin where the record says; `segments` are (name, stream, until) of this port, in order."""
        known = {segment.name: segment for segment in self.segments}
        for name, stream, until in segments:
            if name not in known:
                cursor, size = record.cursors.get(name, (0, 0))
                self.append(name, stream, cursor, until, size)
            elif until is not None:
                known[name].until = until
                known[name].is_cut = True
        at = 0
        while at + 1 < len(self.segments) and self._is_done(self.segments[at], record):
            at += 1
        segment, before = self.segments[at], self.segments[at - 1] if at else None
        cursor, size = record.cursors.get(segment.name, (segment.start, 0))
        if segment.offset is None:
            end = before.end if before is not None else None
            segment.offset = 0 if end is None else end - segment.start
        self._at = self._first = at
        self._start(cursor + segment.offset, size)

    def _is_done(self, segment: Segment, record: NodeRecord) -> bool:
        return segment.until is not None and record.cursors.get(segment.name, (segment.start, 0))[0] >= segment.until

    def rewind(self, position: int) -> None:
        """Start over at a position of the stream that is read."""
        self._start(position + (self.reading.offset or 0), 0)

    def claim(self, name: str, stream: str, start: int) -> None:
        """Read a range that begins there, of whichever segment."""
        names = [segment.name for segment in self.segments]
        if name not in names:
            self.append(name, stream, start)
            names.append(name)
        self._at = self._first = names.index(name)
        self.reading.offset = 0
        self._start(start, 0)

    def _start(self, position: int, size: int) -> None:
        self.position = self.fetched = position
        self._frames.clear()
        self.checked, self.upto = position, None
        self.unread = []
        self.ended = False
        self._begin(self.reading.offset or 0)
        self.reading.stored = size

    # -- what comes in --------------------------------------------------------------------------------------------

    def deliver(self, stream: str, frame: Frame) -> None:
        """A local writer committed this frame; taken if it is the next one, else it is fetched later."""
        segment = self.segments[self._at]
        if (
            segment.stream == stream
            and frame.end - frame.count == self.fetched - (segment.offset or 0)
            and len(self._frames) < 64
            and (segment.until is None or frame.end - frame.count < segment.until)
        ):
            self._add(segment, frame)

    def _add(self, segment: Segment, frame: Frame) -> None:
        end = frame.end
        if segment.offset:
            frame = frame._replace(end=end + segment.offset)
        self._frames.append((segment, frame))
        self.fetched = frame.end if segment.end is None else min(frame.end, segment.end)

    def take(self, count: int) -> list[Any]:
        """Up to `count` unread values; `fill` first. May be none, where all of them are known to be bad."""
        self.gather(count)
        if self.bad:
            count = self._up_to_bad(count)
        if self.stop is not None:
            count = min(count, self.available())
        unread = self.unread
        if count >= len(unread):
            self.unread = []
            self.position += len(unread)
            return unread
        taken = unread[:count]
        del unread[:count]
        self.position += count
        return taken

    def available(self) -> int:
        """How many unread values can be taken."""
        held = self.stop is not None and self.upto is not None
        return len(self.unread) if not held else max(0, min(len(self.unread), (self.upto or 0) - self.position))

    def gather(self, count: int) -> None:
        """Have `count` values unread, or all that are here: small frames are not to stay small from node to node."""
        while self._frames and len(self.unread) < count and self.upto is None:
            self._decode(*self._frames.popleft())
        if self.stop is not None and self.upto is None:
            look_at(self, self.stop)

    def _up_to_bad(self, count: int) -> int:
        """Pass over the values that are given up, leaving their letters, and stop before the next one."""
        while self.unread and self.position in self.bad:
            self.letters.append(self.bad.pop(self.position))
            self.unread.pop(0)
            self.position += 1
        ahead = [position - self.position for position in self.bad if position > self.position]
        return min([count, len(self.unread), *ahead])

    def give_back(self, values: list[Any]) -> None:
        """Values that were taken last and not used."""
        self.unread = values + self.unread
        self.position -= len(values)

    def advances(self, position: int) -> list[Advance]:
        """The record of having finished everything before `position`, for each segment that this is news of."""
        found: list[Advance] = []
        for segment in self.segments[self._first : self._at]:
            end = segment.end
            if end is None or position < end:
                return [*found, segment.advance(position)]
            found.append(segment.advance(end))
        return [*found, self.reading.advance(position)]

    def settled(self, reads: Sequence[Advance]) -> None:
        """These are in the store: segments that are wholly read are done with."""
        while self._first < self._at:
            segment = self.segments[self._first]
            if not any(read.port == segment.name and read.cursor == segment.until for read in reads):
                return
            self._first += 1

    def finished(self) -> list[Segment]:
        """The segments that are wholly read and stored."""
        return self.segments[: self._first]

    def forget(self, names: Collection[str]) -> None:
        """Remember nothing more of these segments, which are finished."""
        while self._first and self.segments[0].name in names:
            del self.segments[0]
            self._at -= 1
            self._first -= 1

    def ready(self) -> bool:
        """Whether `fill` would find something without asking the store."""
        return bool(self.unread or self._frames)

    async def fill(self, *, wait: bool = True, beyond: int = 0) -> bool:
        """See to it that more than `beyond` values are unread; False where the stream has ended (or, not waiting, is
        quiet).
        """
        while len(self.unread) <= beyond:
            if self._frames:
                self._decode(*self._frames.popleft())
                continue
            if self.ended or self.halts():
                return False
            event = self.session.signals.event(f"values:{self.stream}")
            if not await self._fetch():
                if self.ended or not wait:
                    return False
                with self.clock.starved(self.name):
                    await event.wait()
        return True if self.stop is None else await let_through(self, wait=wait)

    async def batch(self, size: int, within: float | None) -> list[Any]:
        """Up to `size` values; fewer at the end, or `within` seconds after the call. `fill` first.

        Until they are taken all of them are unread.
        """
        with anyio.move_on_after(within):
            while len(self.unread) < size and await self.fill(beyond=len(self.unread)):
                pass
        return self.take(size)

    async def _fetch(self) -> bool:
        """Look for more; whether there may be some."""
        if self._frames:
            return True
        segment, fetched = self.reading, self.fetched
        at = fetched - (segment.offset or 0)
        if segment.until is not None and at >= segment.until:
            return self._turn()
        length = self.hub.local_length(segment.stream)
        if length is not None and length == at and length >= 0:
            return False
        if length is None and segment.stream not in self._watched:
            self._watched.add(segment.stream)
            await self.session.watch(segment.stream)
        reading = await self.session.read(segment.stream, at, self.limit)
        if self._frames or self.fetched != fetched or self.reading is not segment:
            return True
        for frame in reading.frames:
            if segment.until is None or frame.end - frame.count < segment.until:
                self._add(segment, frame)
        if reading.frames:
            return True
        return reading.ended and self._turn()

    def _decode(self, segment: Segment, frame: Frame) -> None:
        offset = segment.offset or 0
        values = opened(segment.codec, segment.stream, frame._replace(end=frame.end - offset) if offset else frame)
        already = self.position + len(self.unread) - (frame.end - frame.count)
        if already:
            values = values[already:]
        if segment.end is not None and frame.end > segment.end:
            values = values[: max(0, len(values) - (frame.end - segment.end))]
        segment.sizes.append((frame.end, frame.size))
        if self.unread:
            self.unread.extend(values)
        else:
            self.unread = values
