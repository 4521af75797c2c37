"""Values as short text, for messages, tables and pictures: whatever the value is, whatever its ``__repr__`` does."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

_DEPTH = 4
_ITEMS = 8
_HEAVY = frozenset({"numpy", "pandas", "polars", "pyarrow", "torch"})
_BRACKETS: dict[type, tuple[str, str]] = {list: ("[", "]"), tuple: ("(", ")"), set: ("{", "}")}


def short(value: Any, limit: int = 80) -> str:
    """A value as one line of at most `limit` characters: controls escaped, a failing ``__repr__`` told, not raised.

    >>> short({"a": "x" * 100}, 20)
    "{'a': 'xxxxxxxxxxxx…"
    """
    try:
        text = _repr(value, limit, _DEPTH)
    except Exception as error:  # the __repr__ is the user's
        text = f"<{type_name(value)} whose repr raises {type(error).__name__}>"
    return cut(text, limit)


def cut(text: str, limit: int = 80) -> str:
    """Text as one line of at most `limit` characters, with what does not print escaped."""
    text = str.__getitem__(text, slice(limit + 1))  # a __repr__ may return a subclass with a mind of its own
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return text if len(text) <= limit else text[: max(limit - 1, 0)] + "…"


def type_name(value: Any) -> str:
    """The name of a value's type, with its module unless that is ``builtins`` or ``__main__``."""
    kind = type(value)
    name = kind.__qualname__
    return name if kind.__module__ in {"builtins", "__main__"} else f"{kind.__module__}.{name}"


def _repr(value: Any, limit: int, depth: int) -> str:
    kind = type(value)
    if kind is str or kind is bytes or kind is bytearray:
        return repr(value[: limit + 1])
    if kind is int and value.bit_length() > 1000:
        return f"<int of {value.bit_length()} bits>"
    if kind is dict:
        return _items((f"{_repr(k, limit, depth - 1)}: {_repr(v, limit, depth - 1)}" for k, v in value.items()),
                      "{", "}", depth)  # fmt: skip
    if kind in _BRACKETS and value:
        opening, closing = _BRACKETS[kind]
        if kind is tuple and len(value) == 1:
            closing = ",)"
        return _items((_repr(item, limit, depth - 1) for item in value), opening, closing, depth)
    if kind.__module__.partition(".")[0] in _HEAVY and getattr(value, "shape", None):
        return f"<{kind.__name__} {' x '.join(map(str, value.shape))}>"
    return repr(value)


def _items(items: Iterable[str], opening: str, closing: str, depth: int) -> str:
    if depth <= 0:
        return f"{opening}…{closing}"
    parts = list(islice(items, _ITEMS + 1))
    if len(parts) > _ITEMS:
        parts[_ITEMS:] = ["…"]
    return f"{opening}{', '.join(parts)}{closing}"
