"""Pickle, for values that nothing else can carry: signed with the user's secret, verified before it is loaded."""

from __future__ import annotations

import hashlib
import hmac
import pickle
import struct
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Self

from ..exceptions import CodecRefusedError, StoreConfigError
from .codec import MAX_VALUE, PICKLE, checksum, damaged, each, opened, positive, refusal, within
from .text import cut, short, type_name
from .unfit import Unfit

_SIGNATURE = 32
_LENGTH = struct.Struct(">Q")
_FRAME, _VALUE = b"frame", b"value"


class SignedPickle:
    """Pickle (and cloudpickle where it is installed: functions, classes of a notebook), signed.

    Whoever has the key can run code wherever it is used to read: choose it as a password for those machines, for
    example ``secrets.token_bytes(32)``, and keep it out of notebooks. `key` is at least 32 bytes, else
    StoreConfigError. `max_value` is the most bytes that one value may have.

    >>> codec = SignedPickle(bytes(range(32)))
    >>> codec.decode(codec.encode([1, "two"]))
    [1, 'two']
    """

    name = "pickle"

    def __init__(self, key: bytes, *, max_value: int = MAX_VALUE) -> None:
        if not isinstance(key, bytes) or len(key) < 32:
            given = f"{len(key)} bytes" if isinstance(key, bytes) else type_name(key)
            raise StoreConfigError(
                f"the key of SignedPickle is at least 32 bytes; got {given}; make one with secrets.token_bytes(32)"
            )
        self.max_value = positive(max_value)
        self._key = hashlib.blake2b(key, digest_size=64, person=b"datagraph-pickle").digest()
        self._context = b""

    def __repr__(self) -> str:
        return "SignedPickle(<key>)"

    def __eq__(self, other: object) -> bool:
        return (
            type(other) is SignedPickle
            and hmac.compare_digest(other._key, self._key)
            and (other._context, other.max_value) == (self._context, self.max_value)
        )

    def __hash__(self) -> int:
        return hash((self._key, self._context, self.max_value))

    def bind(self, context: bytes) -> Self:
        """The codec for one run and stream: what was signed for another place is refused."""
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__, _context=bytes(context))
        return bound

    def encode(self, values: list[Any]) -> bytes:
        """The payload of a frame of these values, pickled one by one."""
        return self._signed(_FRAME, b"".join(map(_counted, each(values, _dump, self.max_value))))

    def decode(self, payload: Any) -> list[Any]:
        """The values of a payload; CodecRefusedError, before anything is loaded, if its signature does not hold."""
        body = self._verified(_FRAME, payload)
        try:
            return [pickle.loads(part) for part in _parts(body)]  # noqa: S301  (verified)
        except Exception as error:  # the classes are the user's, and may be gone
            raise damaged(payload, error) from error

    def size(self, payload: Any) -> int:
        """The bytes of a payload."""
        return len(payload)

    def checksum(self, payload: Any, previous: int = 0) -> int:
        """The checksum of the pickles up to and including this payload."""
        return checksum(memoryview(payload)[1 + _SIGNATURE :], previous)

    def encode_value(self, value: Any) -> bytes:
        """One value by itself."""
        try:
            return self._signed(_VALUE, within(_dump(value), self.max_value))
        except Unfit as error:
            raise refusal(error) from error.__cause__

    def decode_value(self, data: bytes) -> Any:
        """What `encode_value` was given; CodecRefusedError, before it is loaded, if its signature does not hold."""
        body = self._verified(_VALUE, data)
        try:
            return pickle.loads(body)  # noqa: S301  (verified)
        except Exception as error:  # the class is the user's, and may be gone
            raise damaged(data, error) from error

    def _signed(self, what: bytes, body: bytes) -> bytes:
        return PICKLE + self._signature(what, body) + body

    def _verified(self, what: bytes, payload: Any) -> memoryview:
        """What was signed. Not an assert, which ``python -O`` would drop."""
        view = opened(payload, PICKLE)
        if not hmac.compare_digest(self._signature(what, view[_SIGNATURE:]), bytes(view[:_SIGNATURE])):
            raise CodecRefusedError(
                "the payload's signature does not hold: it was signed with another key or for another run or stream, "
                "or was changed since; attach with the key that it was written with"
            )
        return view[_SIGNATURE:]

    def _signature(self, what: bytes, body: bytes | memoryview) -> bytes:
        state = hashlib.blake2b(PICKLE + what, digest_size=_SIGNATURE, key=self._key)
        state.update(_counted(self._context))
        state.update(body)
        return state.digest()


def _dump(value: Any) -> bytes:
    try:
        return pickle.dumps(value, protocol=5)
    except Exception as error:  # __reduce__ is the user's
        try:
            return import_module("cloudpickle").dumps(value, protocol=5)  # type: ignore[no-any-return]
        except Exception:
            what = f"{type_name(value)} {short(value)}"
            raise Unfit(what, f"pickle says: {cut(str(error), 200)}; send what it is made of") from error


def _counted(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def _parts(body: memoryview) -> Iterator[memoryview]:
    while body:
        end = _LENGTH.size + _LENGTH.unpack_from(body)[0]
        if end > len(body):
            raise ValueError("it is truncated")
        yield body[_LENGTH.size : end]
        body = body[end:]
