"""Breakpoints: a port holds a value that a predicate chooses, until somebody says what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import anyio

if TYPE_CHECKING:
    from .port import Port

Verdict = Literal["go", "drop"]


class Stop:
    """A breakpoint as a port sees it; `held` is the value that it holds now, if it holds one.

    Everything is called in the loop of the run. A predicate that raises chooses nothing more: see `error`.
    """

    def __init__(self, predicate: Callable[[Any], Any]) -> None:
        self.predicate = predicate
        self.hits = 0
        self.error: Exception | None = None
        self.held: Held | None = None
        self.removed = False
        self.changed = anyio.Event()

    def first(self, values: list[Any], start: int) -> int | None:
        """The place of the first value from `start` on that it chooses."""
        if self.removed or self.error is not None:
            return None
        for place in range(start, len(values)):
            try:
                chosen = self.predicate(values[place])
            except Exception as error:
                self.error = error
                self._tell()
                return None
            if chosen:
                return place
        return None

    def hold(self, held: Held) -> None:
        """A port holds this."""
        self.hits += 1
        self.held = held
        self._tell()

    def let_go(self, held: Held) -> None:
        """It is held no more."""
        if self.held is held:
            self.held = None
            self._tell()

    def remove(self) -> None:
        """Choose nothing more; what is held goes on."""
        self.removed = True
        if self.held is not None:
            self.held.decide("go")
        self._tell()

    def _tell(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()


class Held:
    """A value that is held: where it stands in its stream, and what is to become of it."""

    def __init__(self, value: Any, position: int) -> None:
        self.value = value
        self.position = position
        self.verdict: Verdict | None = None
        self.decided = anyio.Event()

    def decide(self, verdict: Verdict) -> None:
        """Let it go on, with `value` as it is now, or drop it."""
        if self.verdict is None:
            self.verdict = verdict
            self.decided.set()

    def poke(self) -> None:
        """Have the port look again whether it is to wait any more."""
        decided, self.decided = self.decided, anyio.Event()
        decided.set()


async def let_through(port: Port, *, wait: bool) -> bool:
    """Look for values that a breakpoint chooses; at the first one, wait for what becomes of it."""
    while (stop := port.stop) is not None and port.unread:
        place = stop.first(port.unread, max(0, port.checked - port.position))
        if place is None:
            port.checked, port.upto = port.position + len(port.unread), None
            return True
        port.checked = port.upto = port.position + place
        if place:
            return True
        if not wait or port.halts():
            return False
        at, value = port.position, port.unread[0]
        held = Held(value, port.where(at)[1])
        stop.hold(held)
        try:
            with port.clock.paused():
                while held.verdict is None and _is_next(port, at, value) and not port.halts():
                    await held.decided.wait()
        finally:
            stop.let_go(held)
        if not _is_next(port, at, value):
            continue  # a change of the wiring has taken it from here: what is decided of it is decided elsewhere
        if held.verdict is None:
            return False
        port.checked = port.position + 1
        if held.verdict == "drop":
            port.bad[port.position] = b""
        port.unread[0] = held.value
    return True


def _is_next(port: Port, position: int, value: Any) -> bool:
    return port.position == position and bool(port.unread) and port.unread[0] is value
