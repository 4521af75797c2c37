"""Breakpoints on the edges of a run, for the process that runs its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from ..runtime.breakpoints import Held, Stop

if TYPE_CHECKING:
    from .local import LocalRun


class Hit:
    """A value at which a run stands still: `value`, and `position` in its stream. Decide with `go`, `drop`, `replace`.

    What was decided holds in this process: after a crash before the value was finished it is read again as it was.
    """

    def __init__(self, local: LocalRun, held: Held) -> None:
        self._local = local
        self._held = held
        self.value = held.value
        self.position = held.position

    def __repr__(self) -> str:
        return f"Hit(value={self.value!r}, position={self.position})"

    def go(self) -> None:
        """Let the value go on as it is."""
        self._local.thread.soon(lambda: self._held.decide("go"))

    def drop(self) -> None:
        """Pass the value over: the node never gets it."""
        self._local.thread.soon(lambda: self._held.decide("drop"))

    def replace(self, value: Any) -> None:
        """Give the node this value in its place."""

        def put() -> None:
            self._held.value = value
            self._held.decide("go")

        self._local.thread.soon(put)


class Breakpoint:
    """Holds the reader of an edge at each value that a predicate chooses; made by `Run.breakpoint`.

    The node waits at the value, what comes after it waits on the edge, and backpressure holds the rest.
    """

    def __init__(self, local: LocalRun, edge: str, stop: Stop) -> None:
        self._local = local
        self._stop = stop
        self.edge = edge

    def __repr__(self) -> str:
        return f"Breakpoint({self.edge!r}, hits={self.hits})"

    @property
    def hits(self) -> int:
        """How many values it has held so far."""
        return self._stop.hits

    @property
    def error(self) -> Exception | None:
        """What the predicate raised, if it did: then it holds nothing more."""
        return self._stop.error

    @property
    def hit(self) -> Hit | None:
        """What is held now."""
        held = self._stop.held
        return None if held is None else Hit(self._local, held)

    def wait(self, timeout: float | None = None) -> Hit:
        """Wait until a value is held; TimeoutError after `timeout` seconds, and the predicate's error if it raised."""
        return self._local.thread.call(self._wait, timeout)

    async def await_hit(self, timeout: float | None = None) -> Hit:
        """`wait`, awaited."""
        return await self._local.thread.acall(self._wait, timeout)

    def remove(self) -> None:
        """Hold nothing more; what is held goes on."""
        self._local.thread.soon(self._stop.remove)

    async def _wait(self, seconds: float | None) -> Hit:
        with anyio.fail_after(seconds):
            while True:
                changed = self._stop.changed
                if self._stop.error is not None:
                    raise self._stop.error
                held = self._stop.held
                if held is not None and held.verdict is None:  # one that was decided is about to go
                    return Hit(self._local, held)
                await changed.wait()
