"""Control that is awaited, from an event loop of the caller's own."""

from __future__ import annotations

import pytest

import datagraph as dg
from datagraph import Flow, Supervisor, Tune

pytestmark = pytest.mark.anyio


@dg.processor
async def double(n: int) -> int:
    return 2 * n


async def test_a_change_a_breakpoint_and_a_pause_can_be_awaited(supervisor: Supervisor) -> None:
    """`aapply`, `await_hit` and `acontrol` do what `apply`, `wait` and `pause`, `resume`, `cancel` do."""
    run = Flow(double).start({"n": dg.OPEN})
    applied = await run.aapply(Tune("double", capacity=7))
    assert applied.lines() == ("`double`: capacity 4,000 -> 7",)
    await run.acontrol("pause", "double")
    assert run.snapshot().nodes["double"].paused
    await run.acontrol("resume", "double")
    stop = run.breakpoint("n->double.n", "value == 2")
    with pytest.raises(TimeoutError):
        await stop.await_hit(timeout=0.01)
    await run["n"].asend(2)
    hit = await stop.await_hit(timeout=10)
    assert (hit.value, hit.position) == (2, 0)
    hit.replace(21)
    assert await run["double"].first() == 42
    await run.acontrol("cancel")
    assert run.status == "cancelled"
