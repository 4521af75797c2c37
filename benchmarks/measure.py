"""What one round of a case brings back."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

Measured = dict[str, float]
"""Named numbers: `values_per_second`, `cpu_us` (microseconds a value, all threads of this process), `p50_ms`, ..."""


class Stopwatch:
    """Measures wall and processor time of this process, all threads, between entering and leaving."""

    seconds = 0.0
    cpu = 0.0

    def __enter__(self) -> Self:
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.seconds = time.perf_counter() - self._wall
        self.cpu = time.process_time() - self._cpu

    def throughput(self, count: int, *, whole: bool = True) -> Measured:
        """Values a second; and CPU microseconds a value, where this process did the `whole` work."""
        measured = {"values_per_second": count / self.seconds}
        return measured | {"cpu_us": self.cpu / count * 1e6} if whole else measured


def quantile(values: list[float], share: float) -> float:
    """The value below which that share of the values lies (nearest rank)."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
