"""A short name for a value: the same in every process, another one as soon as the value is another."""

from __future__ import annotations

import functools
import hashlib
import marshal
import types
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from ..exceptions import CodecError
from ..streams.text import short, type_name
from .codeprint import class_parts, function_parts

_SCALARS = frozenset({bool, int, float, complex, str, bytes, type(None)})
_SIZE = 16
_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)


def fingerprint(value: Any) -> str:
    """32 hex digits of what a value holds; of a function: of what it does.

    Numbers, text, containers, dataclasses, enums, arrays and tables count by content, other objects by what pickling
    them would keep. The order of lists and mappings counts, that of sets does not. CodecError where a value cannot be
    told from another one of its kind: an open file, a lock, a generator.
    """
    return _Printer().digest(value).hex()


def function_fingerprints(function: Callable[..., Any]) -> dict[str, str]:
    """What `codeprint.function_parts` finds in a function or callable object, each part with its fingerprint."""
    printer = _Printer()
    kind = function if isinstance(function, type) else type(function)
    if isinstance(function, _FUNCTIONS):
        printer.modules.add(getattr(function, "__module__", ""))
        return function_parts(function, printer.hex)
    printer.modules.add(kind.__module__)
    own = {} if isinstance(function, type) else {"self": printer.hex(function)}
    return own | class_parts(kind, printer.hex)


def combined(parts: Mapping[str, str]) -> str:
    """One fingerprint of many."""
    return fingerprint(sorted(parts.items()))


class _Printer:
    """One walk through a value. What refers back to something above it counts by how far above that is."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}
        self._known: dict[int, tuple[Any, bytes]] = {}  # with the value: while it is kept nothing else has its id
        self._reaches = 0
        self.modules: set[str] = set()

    def hex(self, value: Any) -> str:
        return self.digest(value).hex()

    def digest(self, value: Any) -> bytes:
        if type(value) in _SCALARS:
            return _hash(b"v", marshal.dumps(value, 0))
        key, depth = id(value), len(self._above)
        if key in self._known:
            return self._known[key][1]
        if key in self._above:
            self._reaches = min(self._reaches, self._above[key])
            return _hash(b"above", depth - self._above[key])
        outside, self._reaches = self._reaches, depth
        self._above[key] = depth
        try:
            found = self._content(value)
        except RecursionError:
            raise CodecError(f"{short(value)} is nested too deeply to be compared with another one") from None
        finally:
            del self._above[key]
        if self._reaches >= depth:
            self._known[key] = (value, found)
        self._reaches = min(outside, self._reaches)
        return found

    def _content(self, value: Any) -> bytes:
        kind = type(value)
        if kind is list or kind is tuple:
            return self._items(kind.__name__, value)
        if kind is dict:
            return _hash(b"dict", self._items("", list(value)), self._items("", list(value.values())))
        if kind is set or kind is frozenset:
            return _hash(kind.__name__.encode(), *sorted(map(self.digest, value)))
        if isinstance(value, bytearray | memoryview):
            return _hash(b"bytes", bytes(value))
        if isinstance(value, Enum):
            return _hash(b"enum", _qualified(kind), self.digest(value.value))
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, _FUNCTIONS):
            self.modules.add(getattr(value, "__module__", ""))
            return _hash(b"function", self._items("", sorted(function_parts(value, self.hex).items())))
        if isinstance(value, types.ModuleType):
            return _hash(b"module", value.__name__)
        if isinstance(value, types.CodeType):
            raise CodecError("a code object counts only within its function")
        top = kind.__module__.partition(".")[0]
        if top == "numpy" and hasattr(value, "dtype"):
            return self._array(value)
        if top == "pandas" and hasattr(value, "shape"):
            return self._table(value)
        return self._reduced(value)

    def _items(self, name: str, values: Any) -> bytes:
        if _SCALARS.issuperset(map(type, values)):
            return _hash(name.encode(), b"flat", marshal.dumps(tuple(values), 0))
        return _hash(name.encode(), *map(self.digest, values))

    def _class(self, kind: type) -> bytes:
        """By what it does where a function of its module was met, else by its name."""
        if kind.__module__ in self.modules:
            return _hash(b"class", self._items("", sorted(class_parts(kind, self.hex).items())))
        return _hash(b"class", _qualified(kind))

    def _array(self, value: Any) -> bytes:
        if value.dtype.hasobject:
            return _hash(b"array", value.shape, self.digest(value.tolist()))
        return _hash(b"array", str(value.dtype.descr), value.shape, value.tobytes())

    def _table(self, value: Any) -> bytes:
        if value.ndim == 2:
            columns = [self._column(value.iloc[:, i]) for i in range(value.shape[1])]
            return _hash(b"table", self._table(value.columns), self._table(value.index), *columns)
        if hasattr(value, "index") and hasattr(value, "iloc"):
            return _hash(b"series", self.digest(value.name), self._table(value.index), self._column(value))
        return _hash(b"index", self.digest(list(getattr(value, "names", ()))), self._column(value))

    def _column(self, value: Any) -> bytes:
        plain = value.dtype.__class__.__module__.startswith("numpy") and not value.dtype.hasobject
        content = self._array(value.to_numpy()) if plain else self.digest(list(value))
        return _hash(b"column", str(value.dtype), content)

    def _reduced(self, value: Any) -> bytes:
        """By what pickling would keep, without the bytes that pickle makes of it: those depend on who else is there."""
        try:
            made = value.__reduce_ex__(4)
        except Exception as error:
            raise CodecError(
                f"{short(value)} ({type_name(value)}) cannot be told from another one: {error}; leave it out of the "
                f"task's inputs, or give the task a version="
            ) from None
        if isinstance(made, str):
            return _hash(b"named", _qualified(type(value)), made)
        call, arguments, *more = made
        state = more[0] if more else None
        parts = [_hash(b"object", _qualified(type(value)), _qualified(call)), *map(self._argument, arguments)]
        if isinstance(state, dict) and _SCALARS.issuperset(map(type, state)):
            state = sorted(state.items(), key=lambda item: str(item[0]))
        parts.append(self.digest(state))
        parts += [self.digest(list(items)) if items is not None else b"" for items in more[1:3]]
        return _hash(b"reduced", *parts)

    def _argument(self, value: Any) -> bytes:
        return _hash(b"class", _qualified(value)) if isinstance(value, type) else self.digest(value)


def _qualified(value: Any) -> str:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"


def _hash(*parts: bytes | str | int | tuple[int, ...]) -> bytes:
    found = hashlib.blake2b(digest_size=_SIZE)
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode("utf-8", "surrogatepass")
        found.update(len(data).to_bytes(8, "little"))
        found.update(data)
    return found.digest()
