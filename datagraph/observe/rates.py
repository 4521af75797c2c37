"""Arithmetic on counters that were looked at twice."""

from __future__ import annotations

_GRID = 4096  # a power of two: shares on this grid add up to exactly 1 in floating point
_NOISE = 0.01


def shares(busy: float, starved: float, blocked: float) -> tuple[float, float, float]:
    """Seconds as shares that sum to exactly 1, or (0, 0, 0) where there are none.

    >>> shares(3.0, 1.0, 0.0)
    (0.75, 0.25, 0.0)
    """
    total = busy + starved + blocked
    if total <= 0.0:
        return 0.0, 0.0, 0.0
    one, other = round(starved / total * _GRID), round(blocked / total * _GRID)
    other = min(other, _GRID - one)
    return (_GRID - one - other) / _GRID, one / _GRID, other / _GRID


def rate(now: int, then: int, seconds: float) -> float:
    """Values a second between two counts; 0 where no time has passed, or the count went back."""
    return max(0, now - then) / seconds if seconds > 0 else 0.0


def fill(lag: int, capacity: int, size: int, capacity_bytes: int) -> float:
    """Lag over capacity, in values or in bytes, whichever is fuller."""
    values = lag / capacity if capacity > 0 else 0.0
    return max(values, size / capacity_bytes if capacity_bytes > 0 else 0.0)


def seconds_to_full(fill: float, lag: int, rate_in: float, rate_out: float) -> float | None:
    """Seconds until an edge is full if both sides go on as they do; 0 if it is, None if it never will be."""
    if fill >= 1.0:
        return 0.0
    net = rate_in - rate_out
    if lag <= 0 or fill <= 0.0 or net <= _NOISE * rate_in:
        return None
    return lag * (1.0 - fill) / fill / net


def seconds_to_drained(lag: int, rate_in: float, rate_out: float) -> float | None:
    """Seconds until an edge is empty if both sides go on as they do; None if it never will be, or is."""
    net = rate_out - rate_in
    if lag <= 0 or net <= _NOISE * rate_out:
        return None
    return lag / net
