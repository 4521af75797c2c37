"""What one round of a case brings back."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
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


def side_by_side(count: Callable[[], int], burden: Callable[[float], None], pairs: int, seconds: float) -> Measured:
    """How much of its rate something under full load keeps under a burden: the median over so many pairs of slices.

    `count()` is how much was done so far; `burden(seconds)` is there for so long. The slices of a pair follow each
    other, by turns with the burden first and last, so that a host that changes its speed now and then counts for both.
    """

    def rate(during: Callable[[float], None]) -> float:
        began, before = time.perf_counter(), count()
        during(seconds)
        return (count() - before) / (time.perf_counter() - began)

    left = []
    for number in range(pairs):
        rates = {during: rate(during) for during in ((burden, time.sleep) if number % 2 else (time.sleep, burden))}
        left.append(rates[burden] / rates[time.sleep] * 100)
    lower, _, upper = statistics.quantiles(left, n=4)
    error = 1.57 * (upper - lower) / pairs**0.5  # of a median, at 95 % (McGill, Tukey and Larsen 1978)
    return {"throughput_left_percent": statistics.median(left), "give_or_take_percent": error}
