"""Where a node's time goes."""

from __future__ import annotations

from typing import Any

import pytest

from datagraph.runtime import clock as module
from datagraph.runtime.clock import Clock


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test moves."""
    time = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: time[0])
    return time


def test_what_is_neither_starved_nor_blocked_is_busy(now: list[float]) -> None:
    """The three add up to the time that has passed."""
    clock = Clock()
    now[0] += 1
    with clock.starved("a"):
        now[0] += 2
    with clock.blocked("s"):
        now[0] += 4
    assert clock.totals() == (1, 2, 4)


def test_waiting_for_room_and_for_values_at_once_counts_once(now: list[float]) -> None:
    """As blocked, in whichever order the two begin and end."""
    clock = Clock()
    starved, blocked = clock.starved("a"), clock.blocked("s")
    starved.__enter__()
    blocked.__enter__()
    assert clock.waits_for == "room:s"
    now[0] += 3
    starved.__exit__(None, None, None)
    assert clock.waits_for == "room:s"
    now[0] += 1
    blocked.__exit__(None, None, None)
    assert clock.waits_for == ""
    assert clock.totals() == (0, 0, 4)


def test_waiting_twice_ends_when_both_have_ended(now: list[float]) -> None:
    """Two tasks of one node may wait for the same."""
    clock = Clock()
    first, second = clock.starved("a"), clock.starved("b")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    now[0] += 2
    assert clock.waits_for == "values:b"
    second.__exit__(None, None, None)
    assert clock.totals() == (0, 2, 0)


def test_a_pause_counts_as_nothing(now: list[float]) -> None:
    """Neither busy nor waiting."""
    clock = Clock()
    with clock.paused():
        now[0] += 5
    now[0] += 1
    assert clock.totals() == (1, 0, 0)


def test_a_stopped_clock_stands_still(now: list[float]) -> None:
    """The node is not here any more."""
    clock = Clock()
    now[0] += 1
    clock.stop()
    now[0] += 9
    assert clock.totals() == (1, 0, 0)


def test_several_ports_are_told_as_one_wait() -> None:
    """Whichever brings something ends it."""
    clock: Any = Clock()
    with clock.starved("a", "b"):
        assert clock.waits_for == "values:a,b"


def test_lanes_that_work_count_in_proportion_while_another_starves(now: list[float]) -> None:
    """A node of four calls at a time with one at work is busy for a quarter, and waits for nothing."""
    clock = Clock(4)
    with clock.starved("a"):
        now[0] += 8
        assert clock.waits_for == "values:a"
        with clock.working():
            now[0] += 4
            assert clock.waits_for == ""
            with clock.working():
                now[0] += 4
        now[0] += 1
    with clock.working():
        now[0] += 2
    assert clock.totals() == (1 + 2 + 2, 8 + 3 + 2 + 1, 0)
