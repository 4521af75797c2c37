"""What looking takes of the loop that a run shares with whoever watches it, so that it can be kept to a small share."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Generator
from time import monotonic, thread_time
from typing import Any, TypeVar

R = TypeVar("R")

SHARE = 0.01
MOST_SECONDS = 1.0
"""Between two looks, however costly they are."""
_IDLE_BELOW = 0.5
_LATE_SECONDS = 0.01
_SMOOTH = 0.3


class Cost:
    """Measures each look, in the steps that it has the loop for, and says how long to wait before the next.

    While the loop is idle looking takes nothing from anybody. It is idle where its thread computes less than half of
    the time, and wakes when it wanted to: on a crowded machine a thread that computes little may be held up all the
    same.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._at = monotonic()
        self._cpu = 0.0
        self._idle = True
        self._late = 0.0

    async def of(self, look: Coroutine[Any, Any, R]) -> R:
        """Await a look."""
        now, cpu = monotonic(), thread_time()
        self._idle = cpu - self._cpu < _IDLE_BELOW * (now - self._at) and self._late < _LATE_SECONDS
        steps = _Steps(look)
        try:
            return await steps
        finally:
            self.seconds += (steps.seconds - self.seconds) * (_SMOOTH if self.seconds else 1.0)
            self._at, self._cpu, self._late = monotonic(), thread_time(), 0.0

    def pause(self) -> float:
        """Seconds from the beginning of one look to that of the next, so that looking stays below its share."""
        return 0.0 if self._idle else min(self.seconds / SHARE, MOST_SECONDS)

    def woke(self, late: float) -> None:
        """Note that the loop woke so many seconds later than it was asked to."""
        self._late = late


class _Steps(Generator[Any, Any, R], Awaitable[R]):
    """A coroutine that counts the processor time of its steps; while a cell holds the GIL up it costs nothing."""

    def __init__(self, coroutine: Coroutine[Any, Any, R]) -> None:
        self._coroutine = coroutine
        self.seconds = 0.0

    def __await__(self) -> Generator[Any, Any, R]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        began = thread_time()
        try:
            return self._coroutine.send(value)
        finally:
            self.seconds += thread_time() - began

    def throw(self, *error: Any) -> Any:
        began = thread_time()
        try:
            return self._coroutine.throw(*error)
        finally:
            self.seconds += thread_time() - began

    def close(self) -> None:
        self._coroutine.close()
