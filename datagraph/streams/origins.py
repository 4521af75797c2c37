"""Where the values of a frame came from, as it is kept beside them: what their writer had read when it made them.

A store keeps it as it is given and never looks inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

import msgspec


class Span(NamedTuple):
    """A writer's segment `port` read the values `start` to `stop` of `stream`; none of them where both are the same."""

    port: str
    stream: str
    start: int
    stop: int


class Provenance(NamedTuple):
    """The spans that the values of one frame were made from.

    `each`: its i-th value of the i-th of every span. `sizes`: so many values of the first, the second, ... of every
    span, one after the other; b"" where that is not known.
    """

    each: bool
    spans: tuple[Span, ...]
    sizes: bytes = b""

    @property
    def exact(self) -> bool:
        """Whether it is known which value was made of which."""
        return self.each or bool(self.sizes)

    def before(self, index: int) -> list[Span]:
        """What the value at that index of the frame was made from; spans of which nothing was read are left out."""
        found = [span for span in self.spans if span.start < span.stop]
        if not self.exact:
            return found
        at = index if self.each else next(i for i, upto in enumerate(accumulate(self.sizes)) if index < upto)
        return [span._replace(start=span.start + at, stop=span.start + at + 1) for span in found]

    def after(self, span: Span, position: int) -> tuple[int, int]:
        """From and up to which index the values of the frame were made of a position in a span, where it is exact."""
        at = position - span.start
        if self.each:
            return at, at + 1
        first = sum(self.sizes[:at])
        return first, first + self.sizes[at]


_decoder: Final = msgspec.msgpack.Decoder(Provenance)
_encode: Final = msgspec.msgpack.Encoder().encode


def pack_origin(spans: Sequence[tuple[str, str, int, int]], *, each: bool = False, sizes: bytes = b"") -> bytes:
    """As it is kept."""
    return _encode((each, spans, sizes) if sizes else (each, spans))


def read_origin(data: bytes) -> Provenance | None:
    """What was kept; None where nothing was, or nothing that can be read.

    >>> read_origin(pack_origin([Span("n", "n", 3, 5)], each=True))
    Provenance(each=True, spans=(Span(port='n', stream='n', start=3, stop=5),), sizes=b'')
    >>> read_origin(b"") is None
    True
    """
    if not data:
        return None
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError:
        return None


def origin_of_letter(letter: Mapping[str, Any]) -> bytes:
    """What a dead letter that is sent again came from: one value of the stream that it failed in."""
    if "stream" not in letter:
        return b""
    position = letter["position"]
    return pack_origin([Span(letter["port"], letter["stream"], position, position + 1)], each=True)
