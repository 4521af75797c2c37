"""Instances of the user's classes: data classes, attrs, pydantic models, structs, named tuples and enum members.

They are written as the class's name and the attributes, and made again without calling anything of the class, and only
if the class is loaded already: bytes from a store never import a module nor run a constructor.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Callable
from functools import lru_cache
from types import MemberDescriptorType
from typing import Any

import msgspec

from ..exceptions import CodecError
from .unfit import Unfit, unfit

RECORD, NAMED, ENUM, FLAG, STRUCT = range(32, 37)
WITH_FIELDS = frozenset({RECORD, STRUCT})

_remembered: dict[str, type] = {}


def remember(kind: type) -> None:
    """Make a class known that its module does not show under its name: a notebook's, in a worker process."""
    _remembered[f"{kind.__module__}:{kind.__qualname__}"] = kind


def is_record(kind: type) -> bool:
    """Whether it is a data class, an attrs class or a pydantic model."""
    return dataclasses.is_dataclass(kind) or hasattr(kind, "__attrs_attrs__") or hasattr(kind, "__pydantic_fields__")


def is_named_tuple(kind: type) -> bool:
    """Whether it is a class that ``namedtuple`` or `typing.NamedTuple` made, or a subclass of one."""
    return issubclass(kind, tuple) and type(getattr(kind, "_fields", None)) is tuple


def describe(value: Any) -> tuple[int, Any]:
    """The tag and content of an instance of such a class; `Unfit` for any other."""
    kind: Any = type(value)
    tagger = _tagger(kind)
    if tagger is None:
        raise unfit(value)
    return tagger(value)


@lru_cache(maxsize=512)
def _tagger(kind: Any) -> Callable[[Any], tuple[int, Any]] | None:
    name = f"{kind.__module__}:{kind.__qualname__}"
    if issubclass(kind, enum.Flag):
        tagger: Callable[[Any], tuple[int, Any]] = lambda value: (FLAG, [name, int(value.value)])
    elif issubclass(kind, enum.Enum):
        tagger = lambda value: (ENUM, [name, value.name])
    elif is_named_tuple(kind):
        tagger = lambda value: (NAMED, [name, list(value)])
    elif issubclass(kind, msgspec.Struct) and not hasattr(kind, "__post_init__"):
        fields = kind.__struct_fields__
        tagger = lambda value: (STRUCT, [name, {field: getattr(value, field) for field in fields}])
    elif is_record(kind) and _is_plain_object(kind):
        tagger = lambda value: (RECORD, [name, _attributes(value)])
    else:
        return None
    _check_name(kind, name)
    return tagger


def _is_plain_object(kind: type) -> bool:
    try:
        object.__new__(kind)
    except TypeError:  # it holds something besides attributes: a dict's items, an exception's arguments
        return False
    return True


def _check_name(kind: type, name: str) -> None:
    try:
        _find(name)
    except CodecError:
        cure = "define it at the top level of a module or notebook, so that readers can find it"
        name = name.replace(":", ".", 1)
        raise Unfit(f"an instance of {name}, which cannot be found under that name", cure) from None


def _attributes(value: Any) -> dict[str, Any]:
    """What it has in its ``__dict__`` and its slots, in order, whatever ``__getstate__`` of its own it has."""
    state = object.__getstate__(value)
    if type(state) is tuple:
        inner, slots = state
        return {**(inner or {}), **slots}
    return dict(state) if state else {}  # type: ignore[call-overload]


def _find(name: str) -> type:
    """The loaded class of that name. Nothing is imported and no attribute access is triggered: only dicts are read."""
    found: Any = _remembered.get(name)
    if found is not None:
        return found  # type: ignore[no-any-return]
    module, _, path = name.partition(":")
    loaded = sys.modules.get(module)
    if loaded is None:
        raise CodecError(
            f"a value of class {path} of module {module} cannot be decoded: the module is not imported here; "
            f"import {module} before reading"
        )
    found = loaded
    for part in path.split("."):
        found = vars(found).get(part) if found is loaded or isinstance(found, type) else None
    if not isinstance(found, type):
        raise CodecError(f"a value of class {path} cannot be decoded: {module} has no such class here; define it first")
    return found


def _expect(name: str, right: bool) -> None:
    if not right:
        raise CodecError(f"a value of class {name} cannot be decoded: the class of that name here is of another kind")


def _record(content: Any) -> Any:
    name, fields = content
    kind = _find(name)
    slots = _slots(kind)
    _expect(name, slots is not None)
    value: Any = object.__new__(kind)
    if not slots:
        value.__dict__.update(fields)
        return value
    for field, item in fields.items():
        if field in slots:
            slots[field].__set__(value, item)
        else:
            value.__dict__[field] = item
    return value


@lru_cache(maxsize=512)
def _slots(kind: Any) -> dict[str, Any] | None:
    """The slots of a data class or the like, by name; None for any other class."""
    if not is_record(kind):
        return None
    found = (pair for base in reversed(kind.__mro__) for pair in vars(base).items())
    return {name: slot for name, slot in found if type(slot) is MemberDescriptorType}


def _named(content: Any) -> Any:
    name, items = content
    kind = _find(name)
    _expect(name, is_named_tuple(kind) and len(items) == len(kind._fields))  # type: ignore[attr-defined]
    return tuple.__new__(kind, items)


def _enum(content: Any) -> Any:
    name, member = content
    kind = _find(name)
    _expect(name, issubclass(kind, enum.Enum) and member in kind._member_map_)
    return kind._member_map_[member]  # type: ignore[attr-defined]


def _flag(content: Any) -> Any:
    name, value = content
    kind = _find(name)
    _expect(name, issubclass(kind, enum.Flag) and type(value) is int)
    return kind(value)


def _struct(content: Any) -> Any:
    name, fields = content
    kind = _find(name)
    _expect(name, issubclass(kind, msgspec.Struct) and not hasattr(kind, "__post_init__"))
    return kind(**fields)


BUILDERS: dict[int, tuple[Any, Callable[[Any], Any]]] = {
    RECORD: (tuple[str, dict[str, Any]], _record),
    NAMED: (tuple[str, list[Any]], _named),
    ENUM: (tuple[str, str], _enum),
    FLAG: (tuple[str, Any], _flag),
    STRUCT: (tuple[str, dict[str, Any]], _struct),
}
