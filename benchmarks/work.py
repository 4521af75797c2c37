"""The work that every case does: a source makes values, a map changes each, a sink adds them up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

Record = dict[str, Any]

_NOTE = "the quick brown fox jumps over the lazy dog, then naps by the river"


def record(n: int) -> Record:
    """A dictionary of about 200 bytes as JSON."""
    return {
        "id": n,
        "sensor": "sensor-000417",
        "at": 1_700_000_000.5,
        "ok": True,
        "tags": ["north", "roof"],
        "value": 20.25,
        "unit": "celsius",
        "note": _NOTE,
    }


def ints(count: int) -> Iterator[int]:
    return iter(range(count))


def records(count: int) -> Iterator[Record]:
    return map(record, range(count))


class Numbers:
    """Whole numbers until it is told to stop."""

    stopped = False

    def values(self) -> Iterator[int]:
        return itertools.takewhile(lambda _: not self.stopped, itertools.count())


def double(value: int) -> int:
    return value * 2


def double_record(value: Record) -> Record:
    return {**value, "id": value["id"] * 2}


def check(count: int, total: int) -> None:
    """Refuse to report a case that lost, repeated or invented a value."""
    expected = count * (count - 1)
    if total != expected:
        raise ValueError(f"the sink added up {total}, but {count} doubled values make {expected}")
