"""Looking never takes more than a small share of a loop that has work to do."""

from __future__ import annotations

import time

import anyio
import pytest

from datagraph.observe.cost import MOST_SECONDS, SHARE, Cost

pytestmark = pytest.mark.anyio


def compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        sum(range(100))


async def look(seconds: float, answer_after: float = 0.0) -> str:
    compute(seconds / 2)
    await anyio.sleep(answer_after)
    compute(seconds / 2)
    return "seen"


async def test_a_busy_loop_is_looked_at_less_often() -> None:
    """After ten milliseconds of looking comes about a second of other work."""
    cost = Cost()
    assert await cost.of(look(0.01)) == "seen"
    compute(0.05)
    cost.woke(0.05)
    await cost.of(look(0.01))
    assert cost.pause() >= 0.01 / SHARE * 0.9


async def test_an_idle_loop_is_looked_at_as_often_as_asked() -> None:
    """Where nobody else wants the time there is nothing to take from."""
    cost = Cost()
    for _ in range(3):
        await cost.of(look(0.002))
        await anyio.sleep(0.1)
    await cost.of(look(0.002))
    assert cost.pause() == 0.0


async def test_a_loop_that_wakes_late_is_not_idle() -> None:
    """On a crowded machine a thread may compute little because it is not let."""
    cost = Cost()
    await cost.of(look(0.002))
    await anyio.sleep(0.1)
    cost.woke(0.05)
    await cost.of(look(0.002))
    assert cost.pause() > 0.0


async def test_waiting_for_the_answer_costs_nothing() -> None:
    """A slow store is no reason to look less often: only the steps count, not the time between them."""
    cost = Cost()
    await cost.of(look(0.002, answer_after=0.3))
    assert cost.seconds < 0.15


async def test_being_held_up_by_others_costs_nothing() -> None:
    """A cell that computes has the interpreter most of the time; that is its own doing, and the view goes on."""

    async def held() -> None:
        time.sleep(0.05)  # noqa: ASYNC251

    cost = Cost()
    await cost.of(held())
    assert cost.seconds < 0.025


async def test_however_costly_it_is_looked_at() -> None:
    """Once a second, so that nobody takes the view for stale."""
    cost = Cost()
    await cost.of(look(0.1))
    cost.woke(0.05)
    await cost.of(look(0.1))
    assert cost.pause() == MOST_SECONDS


async def test_what_a_look_raises_is_raised() -> None:
    """And its time counts all the same."""

    async def fails() -> None:
        compute(0.01)
        await anyio.lowlevel.checkpoint()
        raise ValueError("no")

    cost = Cost()
    with pytest.raises(ValueError, match="no"):
        await cost.of(fails())
    assert cost.seconds >= 0.009
    with anyio.move_on_after(0.01) as scope:
        await cost.of(look(0.0, answer_after=10))
    assert scope.cancelled_caught
