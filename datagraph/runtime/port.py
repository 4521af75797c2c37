"""One input of a node in this process: frames come in from the store or from a local writer, values go out in order."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

import anyio

from ..exceptions import CodecError
from ..streams.codec import Codec
from ..streams.records import Advance, Frame, Hold
from ..streams.store import Session
from .clock import Clock

FETCH_VALUES = 4096


def opened(codec: Codec, stream: str, frame: Frame) -> list[Any]:
    """The values of a stream's frame; a CodecError says where it stands."""
    try:
        return codec.decode(frame.payload)
    except CodecError as error:
        error.add_note(f"in the stream {stream!r} at position {frame.end - frame.count}")
        raise


class Hub(Protocol):
    """What ports know of their process: which streams are written here, and how far."""

    def local_length(self, stream: str) -> int | None:
        """The stream's length where its only writer runs in this process, else None."""

    def attach(self, port: Port) -> None:
        """Deliver local frames to the port from now on."""


class Port:
    """The unread values of one input port, and the way to more of them.

    `position` counts the values taken; what was taken and not finished is the business of whoever took it.
    """

    def __init__(self, session: Session, node: str, name: str, stream: str, clock: Clock, hub: Hub) -> None:
        self.session = session
        self.codec: Codec = session.codec.bind(f"{session.run}:{stream}".encode())
        self.node = node
        self.name = name
        self.stream = stream
        self.clock = clock
        self.hub = hub
        self.position = 0
        self.unread: list[Any] = []
        self.ended = False
        self.hold: Hold = "hold"
        self.limit = FETCH_VALUES
        self._frames: deque[Frame] = deque()
        self.fetched = 0
        self._sizes: deque[tuple[int, int]] = deque()
        self._size_done = 0
        self._watched = False
        self.bad: dict[int, bytes] = {}
        self.letters: list[bytes] = []
        hub.attach(self)

    def rewind(self, position: int, size: int) -> None:
        """Start over at a position; `size` is the bytes of all frames that end at or before it."""
        self.position = self.fetched = position
        self._size_done = size
        self._frames.clear()
        self._sizes.clear()
        self.unread = []
        self.ended = False

    def deliver(self, frame: Frame) -> None:
        """A local writer committed this frame; taken if it is the next one, else it is fetched later."""
        if frame.end - frame.count == self.fetched and len(self._frames) < 64:
            self._frames.append(frame)
            self.fetched = frame.end

    def take(self, count: int) -> list[Any]:
        """Up to `count` unread values; `fill` first. May be none, where all of them are known to be bad."""
        unread = self.unread
        if self.bad:
            count = self._up_to_bad(count)
        if count >= len(unread):
            self.unread = []
            self.position += len(unread)
            return unread
        taken = unread[:count]
        del unread[:count]
        self.position += count
        return taken

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

    def advance(self, position: int) -> Advance:
        """The record of having finished everything before `position`."""
        sizes = self._sizes
        while sizes and sizes[0][0] <= position:
            self._size_done += sizes.popleft()[1]
        return Advance(self.name, self.stream, position, self._size_done)

    def ready(self) -> bool:
        """Whether `fill` would find something without asking the store."""
        return bool(self.unread or self._frames)

    async def fill(self, *, wait: bool = True, beyond: int = 0) -> bool:
        """See to it that more than `beyond` values are unread; False where the stream has ended (or, not waiting, is
        quiet).
        """
        while len(self.unread) <= beyond:
            if self._frames:
                self._decode(self._frames.popleft())
                continue
            if self.ended:
                return False
            event = self.session.signals.event(f"values:{self.stream}")
            if not await self._fetch():
                if self.ended or not wait:
                    return False
                with self.clock.starved(self.name):
                    await event.wait()
        return True

    async def batch(self, size: int, within: float | None) -> list[Any]:
        """Up to `size` values; fewer at the end, or `within` seconds after the call. `fill` first.

        Until they are taken all of them are unread.
        """
        with anyio.move_on_after(within):
            while len(self.unread) < size and await self.fill(beyond=len(self.unread)):
                pass
        return self.take(size)

    async def _fetch(self) -> bool:
        if self._frames:
            return True
        length = self.hub.local_length(self.stream)
        if length is not None and length == self.fetched and length >= 0:
            return False
        if length is None and not self._watched:
            self._watched = True
            await self.session.watch(self.stream)
        reading = await self.session.read(self.stream, self.fetched, self.limit)
        if self._frames:
            return True
        self._frames.extend(reading.frames)
        if reading.frames:
            self.fetched = reading.frames[-1].end
            return True
        self.ended = reading.ended
        return False

    def _decode(self, frame: Frame) -> None:
        values = opened(self.codec, self.stream, frame)
        start = frame.end - frame.count
        already = self.position + len(self.unread) - start
        if already:
            values = values[already:]
        self._sizes.append((frame.end, frame.size))
        self.unread = values if not self.unread else self.unread + values
