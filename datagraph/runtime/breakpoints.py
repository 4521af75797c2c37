"""Breakpoints: a port holds a value that a condition chooses, until somebody says what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import anyio

from ..streams.text import cut, short
from .conditions import Condition

if TYPE_CHECKING:
    from .port import Port

Verdict = Literal["go", "drop"]
LONGEST_PREVIEW = 120
"""Characters of a held value that other processes are shown before they ask for it."""
_LONGEST_ERROR = 300


class Stop:
    """A breakpoint as ports see it: several, where a node has several workers.

    Everything is called in the loop of the run. A condition that raises chooses nothing more: see `error`.
    """

    def __init__(self, where: Condition | Callable[[Any], Any]) -> None:
        self.where = where
        self.hits = 0
        self.error: Exception | None = None
        self.changed = anyio.Event()
        self.on_hold: Callable[[], None] | None = None
        self._at: list[Held] = []
        self._last = ("", -1)
        if isinstance(where, Condition):
            self._test, self._needs_position = where.test, where.needs_position
        else:
            self._test, self._needs_position = where, False

    @property
    def text(self) -> str:
        """The condition as it was written; of a function its name."""
        if isinstance(self.where, Condition):
            return self.where.text
        name = getattr(self.where, "__name__", type(self.where).__name__)
        return "a function" if name == "<lambda>" else f"the function {cut(str(name), 80)}"

    @property
    def held(self) -> Held | None:
        """The value that it holds now, the first of them, if there is one that nobody has decided about."""
        return next((held for held in self._at if held.verdict is None), None)

    def at(self, position: int) -> Held | None:
        """The value that it holds at a position."""
        return next((held for held in self._at if held.verdict is None and held.position == position), None)

    def facts(self) -> dict[str, Any]:
        """What others are told of it, as JSON has it."""
        facts: dict[str, Any] = {"where": self.text, "hits": self.hits}
        if self.error is not None:
            facts["error"] = cut(f"{type(self.error).__name__}: {self.error}", _LONGEST_ERROR)
        held = self.held
        if held is not None:
            facts |= {"stream": held.stream, "position": held.position, "value": held.preview}
        return facts

    def first(self, port: Port, start: int) -> int | None:
        """The place of the first unread value from `start` on that it chooses."""
        if self.error is not None:
            return None
        test, values = self._test, port.unread
        try:
            for place in range(start, len(values)):
                if self._needs_position:
                    chosen = test(values[place], port.where(port.position + place)[1])
                else:
                    chosen = test(values[place])
                if chosen:
                    return place
        except Exception as error:
            self.error = error
            self._tell()
        return None

    def hold(self, held: Held) -> None:
        """A port holds this."""
        if self._last != (held.stream, held.position):  # else it was passed on meanwhile by a pause, and came back
            self._last = (held.stream, held.position)
            self.hits += 1
        self._at.append(held)
        self._tell()
        if self.on_hold is not None:
            self.on_hold()

    def let_go(self, held: Held) -> None:
        """It is held no more."""
        self._at.remove(held)
        self._tell()

    def poke(self) -> None:
        """Have ports look again whether they are to wait any more."""
        for held in self._at:
            held.poke()

    def leave(self) -> None:
        """It is nobody's breakpoint any more: what it holds is looked at by the one that took its place, or goes on."""
        self.poke()
        self._tell()

    def _tell(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()


class Held:
    """A value that is held: where it stands in its stream, and what is to become of it."""

    def __init__(self, value: Any, stream: str, position: int) -> None:
        self.value = value
        self.stream = stream
        self.position = position
        self.verdict: Verdict | None = None
        self.decided = anyio.Event()

    @cached_property
    def preview(self) -> str:
        """The value as a short text, made once: it may be slow."""
        return short(self.value, LONGEST_PREVIEW)

    def decide(self, verdict: Verdict) -> None:
        """Let it go on, with `value` as it is now, or drop it."""
        if self.verdict is None:
            self.verdict = verdict
            self.decided.set()

    def poke(self) -> None:
        """Have the port look again whether it is to wait any more."""
        decided, self.decided = self.decided, anyio.Event()
        decided.set()


def put_on(port: Port, stop: Stop | None) -> None:
    """Have a port look at all that it has unread by this breakpoint from now on."""
    port.stop = stop
    port.checked, port.upto = 0, None


def look_at(port: Port, stop: Stop) -> int | None:
    """Look at what is unread and was not looked at yet, for the place of the first value that is chosen."""
    place = stop.first(port, max(0, port.checked - port.position))
    if place is None:
        port.checked, port.upto = port.position + len(port.unread), None
    else:
        port.checked = port.upto = port.position + place
    return place


async def let_through(port: Port, *, wait: bool) -> bool:
    """Look for values that a breakpoint chooses; at the first one, wait for what becomes of it."""
    while (stop := port.stop) is not None and port.unread:
        if look_at(port, stop) != 0:
            return True
        if not wait or port.halts():
            return False
        at, value = port.position, port.unread[0]
        segment, position = port.where(at)
        held = Held(value, segment.stream, position)
        stop.hold(held)
        try:
            with port.clock.held(port.name):
                while held.verdict is None and port.stop is stop and _is_next(port, at, value) and not port.halts():
                    await held.decided.wait()
        finally:
            stop.let_go(held)
        if not _is_next(port, at, value) or (held.verdict is None and port.stop is not stop):
            continue  # it was taken from here by a change of the wiring, or another breakpoint is to look at it
        if held.verdict is None:
            return False
        port.checked = port.position + 1
        if held.verdict == "drop":
            port.bad[port.position] = b""
        port.unread[0] = held.value
    return True


def _is_next(port: Port, position: int, value: Any) -> bool:
    return port.position == position and bool(port.unread) and port.unread[0] is value
