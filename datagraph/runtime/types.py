"""What annotations say: the type without what is added to it, as text, and whether values of two can agree."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any, Literal, TypeVar

from .annotations import EMPTY, Unevaluated

_UNIONS = (typing.Union, types.UnionType)
# PEP 484 lets an int stand where a float is asked for, a float where a complex is, and so on.
_PROMOTED = {(int, float), (int, complex), (float, complex), (bytearray, bytes), (memoryview, bytes)}
_NUMBERS = {bool, int, float, complex}
# Python's own values: none of them is ever also of another of these types, so that a mismatch is certain.
_FINAL = {bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset, type(None)}


def plain(annotation: Any) -> Any:
    """The type without what `Annotated` adds to it."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is Annotated else annotation


def without_none(annotation: Any) -> Any:
    """``int`` for ``int | None``."""
    if typing.get_origin(annotation) not in _UNIONS:
        return annotation
    parts = [part for part in typing.get_args(annotation) if part is not type(None)]
    return typing.Union[tuple(parts)] if parts else annotation  # noqa: UP007 - made of parts that are found here


def type_text(annotation: Any) -> str:
    """The type as a reader would write it, '' where nothing is said.

    >>> type_text(dict[str, int | None]), type_text(typing.Optional[int]), type_text(EMPTY)
    ('dict[str, int | None]', 'int | None', '')
    """
    annotation = plain(annotation)
    if annotation is EMPTY:
        return ""
    if isinstance(annotation, Unevaluated):
        return annotation.text
    if annotation is None or annotation is type(None):
        return "None"
    if annotation is Ellipsis:
        return "..."
    if isinstance(annotation, list):  # the arguments of a Callable
        return f"[{', '.join(map(type_text, annotation))}]"
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in _UNIONS:
        return " | ".join(map(type_text, arguments))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if origin is not None and arguments:
        return f"{_name(origin)}[{', '.join(map(type_text, arguments))}]"
    return _name(annotation)


def _name(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    if isinstance(annotation, typing.ForwardRef):
        return annotation.__forward_arg__
    name = getattr(annotation, "__qualname__", None) or getattr(annotation, "__name__", None)
    return str(name or annotation).rpartition("<locals>.")[2].removeprefix("typing.")


def union_parts(annotation: Any) -> tuple[Any, ...]:
    """What a union is made of; the annotation itself where it is none."""
    return typing.get_args(annotation) if typing.get_origin(annotation) in _UNIONS else (annotation,)


def compatible(written: Any, read: Any) -> bool | None:
    """Whether values of the one type can be given to a reader of the other: True, False, or None for cannot tell.

    It says False only where no value could fit, since annotations never cast and never check.

    >>> compatible(str, int), compatible(int, float), compatible(int, list[Any]), compatible(object, int)
    (False, True, False, None)
    """
    written, read = plain(written), plain(read)
    if read is Any or read is object or written == read:
        return None if isinstance(read, Unevaluated) or read is EMPTY else True
    if len(union_parts(written)) > 1 or len(union_parts(read)) > 1:
        rows = [_any(compatible(one, other) for other in union_parts(read)) for one in union_parts(written)]
        return rows[0] if len(set(rows)) == 1 else None
    one, other = _class(written), _class(read)
    if one is None or other is None:
        return None
    try:
        fits, could = issubclass(one, other), issubclass(other, one)
    except TypeError:  # a TypedDict, or a protocol that has data
        return None
    if fits:
        return None if typing.get_args(written) or typing.get_args(read) else True
    if (one, other) in _PROMOTED:
        return True
    certain = {one, other} <= _FINAL and not could and not {one, other} <= _NUMBERS
    return False if certain else None


def _any(found: Iterable[bool | None]) -> bool | None:
    answers = set(found)
    return True if True in answers else None if None in answers else False


def _class(annotation: Any) -> type | None:
    """The class behind a type; None where there is none to compare."""
    if annotation is None:
        return type(None)
    if annotation is EMPTY or annotation is Any or isinstance(annotation, TypeVar | Unevaluated):
        return None
    origin = typing.get_origin(annotation) or annotation
    return origin if isinstance(origin, type) and origin is not object else None
