"""Values <-> frames: what a stream keeps of the values that were written to it.

A payload begins with one byte that says which codec, in which version, wrote it; a codec reads nothing but its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

from ..exceptions import CodecError, CodecRefusedError, PayloadTooLargeError
from .tagged import array_header, decoder, exact, fast
from .text import cut, short, type_name
from .unfit import Unfit

MAX_VALUE = 16 * 2**20
MSGPACK, PICKLE = b"\x01", b"\x02"
_WRITERS = {
    MSGPACK: "the default codec; attach with codec=MsgpackCodec()",
    PICKLE: "SignedPickle, and pickle is only loaded by asking; attach with codec=SignedPickle(key) and the same key",
}


class Codec(Protocol):
    """Turns a list of values into what a store keeps of it, and back."""

    name: str

    def encode(self, values: list[Any]) -> Any:
        """The payload of a frame of these values, in order.

        CodecError, whose `index` says which of them cannot be encoded; PayloadTooLargeError, the same, for one that is
        larger than a value may be.
        """

    def decode(self, payload: Any) -> list[Any]:
        """The values of a payload; CodecError where it is damaged, CodecRefusedError where it is not this codec's."""

    def size(self, payload: Any) -> int:
        """The bytes that a payload counts for."""

    def checksum(self, payload: Any, previous: int = 0) -> int:
        """The checksum (64 bits) of the values of all frames up to this one, wherever they were cut.

        `previous` is that of the frames before it, 0 for none.
        """

    def encode_value(self, value: Any) -> bytes:
        """One value by itself: a state, a dead letter; CodecError, PayloadTooLargeError."""

    def decode_value(self, data: bytes) -> Any:
        """What `encode_value` was given; CodecError, CodecRefusedError."""

    def bind(self, context: bytes) -> Self:
        """The codec for one place (run and stream), which refuses what was written in another, if it can tell."""


class MsgpackCodec:
    """The default: msgpack, with tags for what it has no word for, so that exactly what went in comes out.

    Numbers of any size, text, bytes, lists, tuples, dicts with any keys, sets, times and dates, Decimal, UUID, paths,
    data classes, named tuples, enum members, structs, attrs and pydantic classes, numpy, pandas and Arrow. A bytearray
    or memoryview in a stream arrives as bytes; in a state, a bytearray stays one. Two references to one object
    arrive as two objects.

    `max_value` is the most bytes that one value may have.

    >>> codec = MsgpackCodec()
    >>> codec.decode(codec.encode([1, (2, {3: {4}})]))
    [1, (2, {3: {4}})]
    """

    name = "msgpack"

    def __init__(self, *, max_value: int = MAX_VALUE) -> None:
        self.max_value = positive(max_value)

    def __repr__(self) -> str:
        return "MsgpackCodec()" if self.max_value == MAX_VALUE else f"MsgpackCodec(max_value={self.max_value})"

    def __eq__(self, other: object) -> bool:
        return type(other) is MsgpackCodec and other.max_value == self.max_value

    def __hash__(self) -> int:
        return hash((MsgpackCodec, self.max_value))

    def encode(self, values: list[Any]) -> bytes:
        """The payload of a frame of these values."""
        try:
            body = fast(values if type(values) is list else list(values))
            if len(body) <= self.max_value:
                return MSGPACK + body
        except TypeError:
            pass
        parts = each(values, exact, self.max_value)
        return MSGPACK + array_header(len(parts)) + b"".join(parts)

    def decode(self, payload: Any) -> list[Any]:
        """The values of a payload."""
        return _decoded(_FRAME.decode, payload)  # type: ignore[no-any-return]

    def size(self, payload: Any) -> int:
        """The bytes of a payload."""
        return len(payload)

    def checksum(self, payload: Any, previous: int = 0) -> int:
        """The checksum of the values up to and including this payload."""
        header = payload[1]
        return checksum(payload[4 if header == 0xDC else 6 if header == 0xDD else 2 :], previous)

    def encode_value(self, value: Any) -> bytes:
        """One value by itself."""
        try:
            data = _state(value)
        except Unfit as error:
            raise refusal(error) from error.__cause__
        return MSGPACK + within(data, self.max_value)

    def decode_value(self, data: bytes) -> Any:
        """What `encode_value` was given."""
        return _decoded(_VALUE.decode, data)

    def bind(self, context: bytes) -> Self:
        """The codec itself: what is not signed is the same everywhere."""
        return self


_FRAME, _VALUE = decoder(list), decoder()


def _state(value: Any) -> bytes:
    """The bytes of a value in which a bytearray stays one."""
    try:
        data = fast(value)
    except TypeError:
        return exact(value, keep_bytearray=True)
    if b"\xc4" in data or b"\xc5" in data or b"\xc6" in data:  # they begin bytes, which may have been a bytearray
        return exact(value, keep_bytearray=True)
    return data


def _decoded(decode: Callable[[Any], Any], payload: Any) -> Any:
    try:
        return decode(payload[1:] if type(payload) is bytes and payload[:1] == MSGPACK else opened(payload, MSGPACK))
    except CodecError:
        raise
    except Exception as error:  # damaged bytes may say anything to any constructor
        raise damaged(payload, error) from error


# ── what every codec of ours needs ──


def checksum(data: Any, previous: int) -> int:
    """64 bits over bytes that follow those of `previous`: how many there are, and their CRC."""
    return ((previous >> 32) + len(data) & 0xFFFFFFFF) << 32 | zlib.crc32(data, previous & 0xFFFFFFFF)


def opened(payload: Any, own: bytes) -> memoryview:
    """What follows the codec byte, if it is our own; CodecRefusedError for another's."""
    if not isinstance(payload, (bytes, bytearray, memoryview)):
        raise CodecError(f"a payload is bytes; got {short(payload)} ({type_name(payload)})")
    view = memoryview(payload)
    if view[:1] == own:
        return view[1:]
    if not view:
        raise CodecError("the payload is empty: it is damaged, or was not written by datagraph")
    writer = _WRITERS.get(bytes(view[:1]))
    if writer is None:
        raise CodecRefusedError(
            f"the payload names codec {view[0]}, which is not known here: it is damaged, or a newer datagraph wrote it"
        )
    raise CodecRefusedError(f"the payload was written by {writer}")


def damaged(payload: Any, error: Exception) -> CodecError:
    """The error of a payload that no codec wrote like this."""
    reason = cut(str(error) or type(error).__name__, 200)
    return CodecError(f"the payload of {len(payload)} bytes is damaged: {reason}")


def each(values: Sequence[Any], pack: Callable[[Any], bytes], limit: int) -> list[bytes]:
    """The bytes of each value by itself, so that an error can say which of them it is about."""
    parts: list[bytes] = []
    for index, value in enumerate(values):
        try:
            parts.append(within(pack(value), limit))
        except Unfit as error:
            raise refusal(error, index) from error.__cause__
        except PayloadTooLargeError as error:
            raise _at(PayloadTooLargeError(f"value {index} of the frame: {error}"), index) from None
    return parts


def refusal(error: Unfit, index: int | None = None) -> CodecError:
    """The error of a value that cannot be encoded."""
    where = "the value" if index is None else f"value {index} of the frame"
    return _at(CodecError(f"{where}: {error.what}{error.place} cannot be encoded; {error.cure}"), index)


def within(data: bytes, limit: int) -> bytes:
    """The bytes of one value, if they are no more than it may have."""
    if len(data) > limit:
        raise PayloadTooLargeError(
            f"it has {len(data):,} bytes and may have {limit:,}; send it in parts or by reference (a path, a key), or "
            "attach with a codec of a larger max_value"
        )
    return data


def positive(max_value: int) -> int:
    """A usable `max_value`."""
    if type(max_value) is not int or max_value < 1:
        raise ValueError(f"max_value is a number of bytes above 0; got {short(max_value)}")
    return max_value


def _at(error: CodecError, index: int | None) -> CodecError:
    error.index = index
    return error
