"""The parts of streams that a port reads, one after the other: what live rewiring leaves behind it.

A port counts the values that it takes in positions of its own, which never go back: within a segment they are those of
its stream, moved by `offset`. A port that was never rewired has one segment, and its positions are the stream's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ..streams.codec import Codec
from ..streams.records import Advance


class Segment:
    """A part of `stream`, from its position `start` up to `until` (None: to its end); `name` is the store's for it."""

    __slots__ = ("codec", "is_cut", "name", "offset", "sizes", "start", "stored", "stream", "until")

    def __init__(
        self, name: str, stream: str, codec: Codec, start: int = 0, until: int | None = None, size: int = 0
    ) -> None:
        self.name = name
        self.stream = stream
        self.codec = codec
        self.start = start
        self.until = until
        self.is_cut = until is not None  # by a change of the wiring; else `until` is where the stream ended
        self.offset: int | None = None  # not begun
        self.sizes: deque[tuple[int, int]] = deque()
        self.stored = size  # bytes of the frames that end at or before what is finished

    @property
    def end(self) -> int | None:
        """The position of the port where it ends, as far as that is known."""
        return None if self.until is None or self.offset is None else self.until + self.offset

    def advance(self, position: int) -> Advance:
        """The record of having finished everything before a position of the port."""
        sizes = self.sizes
        while sizes and sizes[0][0] <= position:
            self.stored += sizes.popleft()[1]
        return Advance(self.name, self.stream, position - (self.offset or 0), self.stored)


def port_of(segment: str, ports: Sequence[str]) -> str:
    """The port that a segment is part of.

    >>> port_of("words", ["words"]), port_of("words#2", ["words"])
    ('words', 'words')
    """
    return segment if segment in ports else segment.rpartition("#")[0]


def next_name(port: str, segments: Sequence[str]) -> str:
    """The name of the segment that follows these.

    >>> next_name("words", ["words", "words#1"])
    'words#2'
    """
    return f"{port}#{max((int(name.rpartition('#')[2]) for name in segments if name != port), default=0) + 1}"
