"""From what a function returned to the buffers of its outlets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .outlet import Outlet
from .values import IOVal, Many


def spread(
    results: list[Any],
    outlets: Sequence[Outlet],
    find: Callable[[Any], Outlet],
    *,
    none_is_value: bool,
    skip: Any,
) -> bool:
    """Append results to their outlets' buffers: None is nothing where it was returned, a value where it was yielded.

    Returns whether each of them was at most one value.
    """
    kinds = set(map(type, results))
    if (
        len(outlets) == 1
        and IOVal not in kinds
        and Many not in kinds
        and type(skip) not in kinds
        and (none_is_value or type(None) not in kinds)
    ):
        outlets[0].buffer.extend(results)
        return True
    for item in results:
        if item is skip or (item is None and not none_is_value):
            continue
        put(item, find(item))
    return Many not in kinds


def put(item: Any, outlet: Outlet) -> None:
    """Append what a function put out to the buffer of the outlet that it is for."""
    if item.__class__ is IOVal:
        outlet.buffer.append(item.value)
    elif item.__class__ is Many:
        outlet.buffer.extend(item.values)
    else:
        outlet.buffer.append(item)
