"""The words a processor's function is written with: `IOVal`, `Many`, `Batch` and `OPEN`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class IOVal(msgspec.Struct, Generic[T], frozen=True, gc=False):
    """One value for the stream of that name.

    >>> IOVal(name="bar", value=3).value
    3
    """

    name: str
    value: T


class Many(Generic[T]):
    """Several values for one stream, put out at once: ``yield Many(values)`` instead of a `yield` for each.

    With ``IO.batches`` this takes the interpreter's cost per value away. `name` says which stream, where a processor
    has several outputs. The reader sees single values, as always.

    >>> Many(x * 2 for x in range(3)).values
    [0, 2, 4]
    """

    __slots__ = ("name", "values")

    def __init__(self, values: Iterable[T], name: str | None = None) -> None:
        self.values = values if isinstance(values, list) else list(values)
        self.name = name

    def __repr__(self) -> str:
        return f"Many({len(self.values)} values)" if self.name is None else f"Many({self.name!r}, {len(self.values)})"


@dataclass(frozen=True, slots=True)
class Batch:
    """``Annotated[list[T], Batch(1000, within=1.0)]``: call the function with up to `size` values at a time.

    A shorter batch is handed over `within` seconds after its first value came; None waits until it is full or the
    stream has ended.
    """

    size: int
    within: float | None = None

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"a batch holds at least one value; got size={self.size}")
        if self.within is not None and self.within <= 0:
            raise ValueError(
                f"within is a number of seconds above 0, or None to wait for a full batch; got {self.within}"
            )


class _Open:
    """The value of `OPEN`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "OPEN"

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce__(self) -> str:
        return "OPEN"


OPEN = _Open()
"""An input that stays open: ``run["foo"].send(value)`` writes to it and ``run["foo"].complete()`` ends it."""
