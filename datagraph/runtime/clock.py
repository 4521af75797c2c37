"""Where a node's time goes: busy, starved (waits for values) and blocked (waits for room). After Flink's busy time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

_RANK = ("paused", "blocked", "starved")


class Clock:
    """Cumulative seconds of one node in this process; busy is what is left of the time that has passed.

    A node's function and its writer may wait at once: such a moment counts once, as blocked. While one of `lanes` calls
    waits for values and others work, such a moment is busy in their proportion.
    """

    def __init__(self, lanes: int = 1) -> None:
        self.lanes = lanes
        self._working = 0
        self.began = monotonic()
        self._since = self.began
        self.needs = (0, 0)  # values and bytes that must find room together, where it waits for room
        self._spent = dict.fromkeys((*_RANK, "busy"), 0.0)
        self._waits: dict[str, list[str]] = {kind: [] for kind in _RANK}

    @property
    def waits_for(self) -> str:
        """What it waits for: ``room:<stream>``, ``values:<port>,...``, ``breakpoint:<port>``, "turn" or "resume".

        While it works that is "".
        """
        kind = self._kind()
        works = kind == "busy" or (kind == "starved" and self._working)
        return "" if works else self._waits[kind][-1]

    @contextmanager
    def starved(self, *ports: str) -> Iterator[None]:
        """Time in here is spent waiting for values of one of these ports."""
        with self._waiting("starved", f"values:{','.join(ports)}"):
            yield

    @contextmanager
    def blocked(self, *streams: str) -> Iterator[None]:
        """Time in here is spent waiting for room in one of these streams."""
        with self._waiting("blocked", f"room:{','.join(streams)}"):
            yield

    @contextmanager
    def behind(self) -> Iterator[None]:
        """Time in here a worker waits for another of the same node to commit what comes before."""
        with self._waiting("blocked", "turn"):
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time in here does not count at all."""
        with self._waiting("paused", "resume"):
            yield

    @contextmanager
    def held(self, port: str) -> Iterator[None]:
        """Time in here a breakpoint holds a value of this port; it does not count either."""
        with self._waiting("paused", f"breakpoint:{port}"):
            yield

    @contextmanager
    def working(self) -> Iterator[None]:
        """Time in here one of the lanes has values to work on."""
        self._tick()
        self._working += 1
        try:
            yield
        finally:
            self._tick()
            self._working -= 1

    @contextmanager
    def _waiting(self, kind: str, what: str) -> Iterator[None]:
        self._tick()
        self._waits[kind].append(what)
        try:
            yield
        finally:
            self._tick()
            self._waits[kind].remove(what)

    def stop(self) -> None:
        """The node is not run here any more: its time stands still."""
        self._tick()
        self._waits["paused"].append("")

    def _kind(self) -> str:
        return next((kind for kind in _RANK if self._waits[kind]), "busy")

    def _tick(self) -> None:
        now = monotonic()
        passed, kind = now - self._since, self._kind()
        working = passed * self._working / self.lanes if kind == "starved" else 0.0
        self._spent[kind] += passed - working
        self._spent["busy"] += working
        self._since = now

    def totals(self) -> tuple[float, float, float]:
        """Seconds (busy, starved, blocked) since the node began here, what goes on right now included."""
        self._tick()
        return self._spent["busy"], self._spent["starved"], self._spent["blocked"]
