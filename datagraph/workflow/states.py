"""The states of datums and tasks, and the ways from one to another."""

from __future__ import annotations

from enum import Enum
from typing import TypeVar

S = TypeVar("S", bound=Enum)


class DatumState(Enum):
    """EMPTY: it points at nothing yet. POPULATED: it points at something that may not be there. AVAILABLE: it is."""

    EMPTY = 0
    POPULATED = 1
    AVAILABLE = 2


class TaskState(Enum):
    """WAITING: it has not been done. RUNNING, COMPLETE: done, and its outputs are there. FAILED: it raised an error."""

    WAITING = 0
    RUNNING = 1
    COMPLETE = 2
    FAILED = 3


_WAYS: dict[Enum, tuple[Enum, ...]] = {
    DatumState.EMPTY: (DatumState.POPULATED,),
    DatumState.POPULATED: (DatumState.EMPTY, DatumState.AVAILABLE),
    DatumState.AVAILABLE: (DatumState.EMPTY, DatumState.POPULATED),
    TaskState.WAITING: (TaskState.RUNNING, TaskState.COMPLETE),
    TaskState.RUNNING: (TaskState.COMPLETE, TaskState.FAILED, TaskState.WAITING),
    TaskState.COMPLETE: (TaskState.WAITING,),
    TaskState.FAILED: (TaskState.WAITING,),
}


def moved(who: str, old: S, new: S) -> S:
    """The new state; ValueError where no way leads there from the old one."""
    if new is not old and new not in _WAYS[old]:
        ways = ", ".join(way.name for way in _WAYS[old])
        raise ValueError(
            f"Invalid {type(old).__name__} transition: {who} is {old.name} and cannot become {new.name}; "
            f"from there it can become {ways}"
        )
    return new
