"""Where a node's time goes: busy, starved (waits for values) and blocked (waits for room). After Flink's busy time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

_RANK = ("paused", "blocked", "starved")


class Clock:
    """Cumulative seconds of one node in this process; busy is what is left of the time that has passed.

    A node's function and its writer may wait at once: such a moment counts once, as blocked.
    """

    def __init__(self) -> None:
        self.began = monotonic()
        self._since = self.began
        self._spent = dict.fromkeys((*_RANK, "busy"), 0.0)
        self._waits: dict[str, list[str]] = {kind: [] for kind in _RANK}

    @property
    def waits_for(self) -> str:
        """What the node waits for: ``room:<stream>``, ``values:<port>,...``, "resume", or "" while it works."""
        kind = self._kind()
        return self._waits[kind][-1] if kind != "busy" else ""

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
    def paused(self) -> Iterator[None]:
        """Time in here does not count at all."""
        with self._waiting("paused", "resume"):
            yield

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
        self._spent[self._kind()] += now - self._since
        self._since = now

    def totals(self) -> tuple[float, float, float]:
        """Seconds (busy, starved, blocked) since the node began here, what goes on right now included."""
        self._tick()
        return self._spent["busy"], self._spent["starved"], self._spent["blocked"]
