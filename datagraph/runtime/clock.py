"""Where a node's time goes: busy, starved (waits for values) and blocked (waits for room). After Flink's busy time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic


class Clock:
    """Cumulative seconds of one node in this process; busy is what is left of the time that has passed."""

    def __init__(self) -> None:
        self.began = monotonic()
        self.waits_for = ""
        self._starved = 0.0
        self._blocked = 0.0
        self._idle = 0.0
        self._since: dict[str, float] = {}

    @contextmanager
    def starved(self, port: str) -> Iterator[None]:
        """Time in here is spent waiting for values of that port."""
        with self._waiting("starved", f"values:{port}"):
            yield

    @contextmanager
    def blocked(self, stream: str) -> Iterator[None]:
        """Time in here is spent waiting for room in that stream."""
        with self._waiting("blocked", f"room:{stream}"):
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time in here does not count at all."""
        with self._waiting("paused", "resume"):
            yield

    @contextmanager
    def _waiting(self, kind: str, what: str) -> Iterator[None]:
        if kind in self._since:
            yield
            return
        before, self.waits_for = self.waits_for, what
        self._since[kind] = monotonic()
        try:
            yield
        finally:
            self._add(kind, monotonic() - self._since.pop(kind))
            self.waits_for = before

    def _add(self, kind: str, seconds: float) -> None:
        if kind == "starved":
            self._starved += seconds
        elif kind == "blocked":
            self._blocked += seconds
        else:
            self._idle += seconds

    def totals(self) -> tuple[float, float, float]:
        """Seconds (busy, starved, blocked) since the node began here, what goes on right now included."""
        now = monotonic()
        open_ = {kind: now - since for kind, since in self._since.items()}
        starved = self._starved + open_.get("starved", 0.0)
        blocked = self._blocked + open_.get("blocked", 0.0)
        idle = self._idle + open_.get("paused", 0.0)
        return max(0.0, now - self.began - starved - blocked - idle), starved, blocked
