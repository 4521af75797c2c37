"""What nodes take of the processor and of the event loop."""

from __future__ import annotations

import math
import threading
import time
from time import thread_time

import anyio
import anyio.to_thread
import pytest

from datagraph.runtime.meter import Meter

pytestmark = pytest.mark.anyio


def compute(seconds: float) -> float:
    """Keep the processor busy for so many of its seconds."""
    until = thread_time() + seconds
    while thread_time() < until:
        sum(range(500))
    return seconds


async def test_steps_that_compute_count_and_waits_between_them_do_not(anyio_backend: str) -> None:
    """What a coroutine awaits is nobody's time; its result comes through."""
    meter = Meter()

    async def work() -> str:
        compute(0.02)
        await anyio.sleep(0.05)
        compute(0.02)
        return "done"

    assert await meter.run(work) == "done"
    assert meter.cpu() == pytest.approx(0.04, abs=0.02)
    assert meter.loop >= meter.cpu() - 0.005


async def test_step_that_waits_without_awaiting_holds_the_loop_and_computes_nothing(anyio_backend: str) -> None:
    """That is how a blocking call in an async function is known."""
    meter = Meter()

    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        time.sleep(0.05)  # noqa: ASYNC251 - the mistake that is to be noticed

    await meter.run(work)
    assert meter.loop >= 0.05
    assert meter.cpu() < 0.03


async def test_calls_in_threads_count_while_they_go_on(anyio_backend: str) -> None:
    """One value may take minutes: what it has computed so far is known before it returns."""
    meter, computed, go_on = Meter(), threading.Event(), threading.Event()

    def work() -> None:
        compute(0.03)
        computed.set()
        go_on.wait(10)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, meter.call, work)
        await anyio.to_thread.run_sync(computed.wait, 10)
        under_way = meter.cpu()
        go_on.set()
    assert 0.03 <= under_way < 0.1
    assert under_way <= meter.cpu() < 0.1
    assert meter.loop == 0


async def test_errors_and_cancellations_go_through(anyio_backend: str) -> None:
    """Both as if nobody measured: an error keeps its type, a cancelled coroutine cleans up."""
    meter, cleaned = Meter(), []

    async def fails() -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError("mine")

    async def waits() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.append(True)

    with pytest.raises(LookupError, match="mine"):
        await meter.run(fails)
    with anyio.move_on_after(0.01) as scope:
        await meter.run(waits)
    assert scope.cancelled_caught
    assert cleaned == [True]


def test_calls_are_unknown_where_the_system_cannot_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better nothing than half of it (macOS)."""
    monkeypatch.delattr(time, "pthread_getcpuclockid", raising=False)
    meter = Meter()
    assert meter.call(compute, 0.001) == 0.001
    assert math.isnan(meter.cpu())
