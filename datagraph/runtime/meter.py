"""What a node's work takes of what all nodes of a process share: processor time, and the event loop.

Both are read once a step of a task and once a call in a thread, never once a value.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator
from threading import Lock, get_ident
from time import monotonic, thread_time
from typing import Any, TypeVar

R = TypeVar("R")


class Meter:
    """Seconds of one node in this process: `loop`, in which its steps had the event loop, and `cpu()`.

    `stepped` is the processor time of those steps.
    """

    def __init__(self) -> None:
        self.loop = 0.0
        self.stepped = 0.0
        self._called = 0.0
        self._calls: dict[int, float] = {}
        self._unknown = False
        self._lock = Lock()

    def cpu(self) -> float:
        """Processor seconds so far, calls under way included; NaN where the system does not tell those (macOS)."""
        if self._unknown:
            return math.nan
        with self._lock:  # no thread that is looked at can end meanwhile
            return self.stepped + self._called + sum(_cpu_of(ident) - began for ident, began in self._calls.items())

    def call(self, function: Callable[..., R], *args: Any) -> R:
        """Call a function in this worker thread."""
        self._unknown = not hasattr(time, "pthread_getcpuclockid")
        ident, began = get_ident(), thread_time()
        with self._lock:
            self._calls[ident] = began
        try:
            return function(*args)
        finally:
            with self._lock:
                del self._calls[ident]
                self._called += thread_time() - began

    async def run(self, function: Callable[..., Coroutine[Any, Any, R]], *args: Any) -> R:
        """Run a coroutine function in this task."""
        return await _Steps(self, function(*args))


class _Steps(Generator[Any, Any, R], Awaitable[R]):
    """A coroutine, measured from each of its wake-ups to its next wait."""

    def __init__(self, meter: Meter, coroutine: Coroutine[Any, Any, R]) -> None:
        self._meter = meter
        self._coroutine = coroutine
        self._send = coroutine.send

    def __await__(self) -> Generator[Any, Any, R]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        meter, began, cpu = self._meter, monotonic(), thread_time()
        try:
            return self._send(value)
        finally:
            meter.stepped += thread_time() - cpu
            meter.loop += monotonic() - began

    def throw(self, *error: Any) -> Any:
        meter, began, cpu = self._meter, monotonic(), thread_time()
        try:
            return self._coroutine.throw(*error)
        finally:
            meter.stepped += thread_time() - cpu
            meter.loop += monotonic() - began

    def close(self) -> None:
        self._coroutine.close()


def _cpu_of(ident: int) -> float:
    """The processor seconds of a thread that is alive."""
    return time.clock_gettime(time.pthread_getcpuclockid(ident))
