"""What a flow is fed with: which inputs are one value and which are many."""

from __future__ import annotations

import array
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..exceptions import UnknownIOError
from ..runtime.values import OPEN, IOVal

Inputs: TypeAlias = Mapping[str, Any] | Sequence[IOVal[Any]] | IOVal[Any]


def is_many(value: Any) -> bool:
    """Whether an input is many values: a list, tuple, range, iterator or async iterable. All else is one."""
    return isinstance(value, list | tuple | range | Iterator | AsyncIterable)


def normalise(inputs: Inputs | None) -> dict[str, Any]:
    """Inputs by stream name: an iterable of values, an async iterable, or `OPEN`."""
    if inputs is None:
        return {}
    if isinstance(inputs, IOVal):
        inputs = [inputs]
    if isinstance(inputs, Mapping):
        return {name: _values(value) for name, value in inputs.items()}
    found: dict[str, list[Any]] = {}
    if not isinstance(inputs, Iterable):
        raise TypeError(
            f"inputs are a mapping of stream names to values, or a list of IOVal; got {type(inputs).__name__}"
        )
    for item in inputs:
        if not isinstance(item, IOVal):
            raise UnknownIOError(
                f"a list of inputs is a list of IOVal(name=..., value=...), so that each says which stream it is for; "
                f"it holds a {type(item).__name__}. Or pass a mapping: inputs={{'name': [...]}}"
            )
        found.setdefault(item.name, []).append(item.value)
    return dict(found)


def _values(value: Any) -> Any:
    if value is OPEN:
        return OPEN
    if isinstance(value, IOVal):
        return [value.value]
    if isinstance(value, array.array) or not is_many(value):
        return [value]
    if isinstance(value, AsyncIterable | list | tuple | range):
        return value
    return iter(value)
