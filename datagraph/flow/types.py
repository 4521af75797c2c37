"""What annotations say about the values of a stream: of what is read, and of what is put out."""

from __future__ import annotations

import collections.abc
import typing
from typing import Any

from ..runtime.annotations import EMPTY, Unevaluated
from ..runtime.io import IO
from ..runtime.types import plain, union_parts, without_none
from ..runtime.values import IOVal, Many

_MANY = (
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterable,
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.Iterable,
)


def read_type(annotation: Any) -> Any:
    """The type of one value of a stream that is annotated ``IO[T]``; nothing for a bare ``IO``."""
    for part in union_parts(plain(annotation)):
        if typing.get_origin(part) is IO:
            return typing.get_args(part)[0]
    if isinstance(annotation, Unevaluated) and annotation.text.endswith("]"):
        return Unevaluated(annotation.text.partition("[")[2][:-1].strip(), annotation.reason)
    return EMPTY


_WRAPPERS = (IOVal, Many)


def written_type(returned: Any, *, many: bool) -> Any:
    """The type of one value that is put out, given the return annotation; nothing where that does not tell.

    `many` says that the function yields. An `IOVal` stands for its value, a `Many` for its values.
    """
    returned = plain(returned)
    if returned is EMPTY or isinstance(returned, Unevaluated):
        return EMPTY
    if many:
        if typing.get_origin(returned) not in _MANY:
            return EMPTY
        returned = typing.get_args(returned)[0]
    else:
        returned = without_none(returned)
        if returned is None or returned is type(None):
            return EMPTY
    parts = []
    for part in union_parts(returned):
        arguments = typing.get_args(part)
        kind = typing.get_origin(part) or part
        if kind in _WRAPPERS and not arguments:
            return EMPTY
        parts.append(arguments[0] if kind in _WRAPPERS else part)
    return typing.Union[tuple(parts)]  # noqa: UP007 - made of parts that are found here
