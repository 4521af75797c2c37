"""What a node is called with: values, other nodes, and nodes inside lists, tuples, sets and dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Values = list[Any]
Build = Callable[[Values], Any]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is the same in every run."""

    value: Any


@dataclass(frozen=True, slots=True)
class Built:
    """A container made anew for every run, with the values of `nodes` in it."""

    nodes: tuple[int, ...]
    build: Build


Argument = int | Constant | Built
"""An int is the number of the node whose value it is."""

_CONTAINERS = (list, tuple, dict, set, frozenset)


def read(value: Any, number_of: Callable[[Any], int | None]) -> Argument:
    """What a value given as an argument stands for; `number_of` knows a node when it sees one.

    A container that holds no node is passed on as it is. One that does is read now: what is put into it later does
    not count.
    """
    number = number_of(value)
    if number is not None:
        return number
    if not isinstance(value, _CONTAINERS):
        return Constant(value)
    found: list[int] = []
    build = _builder(value, number_of, found, set())
    return Built(tuple(dict.fromkeys(found)), build) if found else Constant(value)


def numbers(argument: Argument) -> tuple[int, ...]:
    """The nodes of an argument."""
    if isinstance(argument, int):
        return (argument,)
    return argument.nodes if isinstance(argument, Built) else ()


def _builder(value: Any, number_of: Callable[[Any], int | None], found: list[int], above: set[int]) -> Build:
    number = number_of(value)
    if number is not None:
        found.append(number)
        return lambda values: values[number]
    if not isinstance(value, _CONTAINERS) or id(value) in above:  # one that holds itself holds no node there
        return lambda _: value
    before = len(found)
    inner = above | {id(value)}
    if isinstance(value, dict):
        pairs = [(_builder(k, number_of, found, inner), _builder(v, number_of, found, inner)) for k, v in value.items()]
        build = _dict_builder(type(value), pairs)
    else:
        parts = [_builder(part, number_of, found, inner) for part in value]
        build = _sequence_builder(type(value), parts)
    return build if len(found) > before else lambda _: value


def _dict_builder(kind: Any, pairs: list[tuple[Build, Build]]) -> Build:
    make = kind if kind is not dict and _takes(kind, {}) else dict
    if make is dict:
        return lambda values: {key(values): value(values) for key, value in pairs}
    return lambda values: make({key(values): value(values) for key, value in pairs})


def _sequence_builder(kind: Any, parts: list[Build]) -> Build:
    if hasattr(kind, "_fields"):  # a named tuple takes its fields one by one
        return lambda values: kind(*[part(values) for part in parts])
    if kind is list:
        return lambda values: [part(values) for part in parts]
    base = next(each for each in _CONTAINERS if issubclass(kind, each))
    make = kind if kind is base or _takes(kind, ()) else base
    return lambda values: make(_each(parts, values))


def _each(parts: list[Build], values: Values) -> Iterator[Any]:
    return (part(values) for part in parts)


def _takes(kind: Any, empty: Any) -> bool:
    """Whether a container class of the user's is made of its content, as its base is."""
    try:
        kind(empty)
    except Exception:  # it is the user's, and may raise anything
        return False
    return True
