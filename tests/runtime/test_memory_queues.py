"""What is under way in memory: counted, queued, bounded, and never locked for good."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from datagraph.runtime.home import poster
from datagraph.runtime.inflight import InFlight
from datagraph.runtime.outputs import Caller, is_one
from datagraph.runtime.pump import Pump
from datagraph.runtime.queues import Lanes, MemoryEdge, MemoryQueue, closed_set, relieve

pytestmark = pytest.mark.anyio


# -- in flight --------------------------------------------------------------------------------------------------------


async def test_nothing_under_way_is_the_end_only_where_nothing_more_comes() -> None:
    """A count of 0 before the source has ended is a pause, not the end."""
    inflight = InFlight()
    over = False

    async def wait() -> None:
        nonlocal over
        await inflight.wait()
        over = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        inflight.begin()
        inflight.finish()
        await wait_all_tasks_blocked()
        assert not over
        inflight.begin()
        inflight.close()
        await wait_all_tasks_blocked()
        assert not over
        inflight.begin()  # what it became
        inflight.finish()
        assert inflight.count == 1
        inflight.finish()
        await wait_all_tasks_blocked()
        assert over
    await inflight.wait()


# -- edges ------------------------------------------------------------------------------------------------------------


async def test_an_edge_takes_its_capacity_and_wakes_its_writer() -> None:
    """A writer waits when it is full, and goes on when an eighth is free."""
    queue = MemoryQueue("node", 1)
    edge = MemoryEdge("edge", queue, 16)
    assert [edge.offer(None, n) for n in range(17)] == [True] * 16 + [False]
    woken = False

    async def write() -> None:
        nonlocal woken
        await edge.room()
        woken = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        await wait_all_tasks_blocked()
        assert edge.blocks
        queue.items.popleft()
        edge.taken()
        await wait_all_tasks_blocked()
        assert not woken
        queue.items.popleft()
        edge.taken()
        await wait_all_tasks_blocked()
        assert woken
    assert (edge.written, edge.read, edge.lag, edge.blocks) == (16, 2, 14, False)


async def test_a_cancelled_wait_leaves_nothing_behind() -> None:
    """Neither with those who wait for room nor with those who wait for values."""
    queue = MemoryQueue("node", 1)
    edge = MemoryEdge("edge", queue, 1)
    with anyio.move_on_after(0):
        await edge.room()
    with anyio.move_on_after(0):
        await queue.wait()
    assert not edge.blocks
    assert not queue.takers


def test_a_closed_set_is_found_and_its_smallest_edge_grows() -> None:
    """Two nodes that wait for each other; a third that waits for one of them makes no difference."""
    a, b, c = (MemoryQueue(name, 1) for name in "abc")
    into_b, into_a, other = MemoryEdge("a→b", b, 2), MemoryEdge("b→a", a, 1), MemoryEdge("c→a", a, 1)
    for edge in (into_b, into_b, into_a, other):
        assert edge.offer(None, 1)
    a.blocked.append(into_b)
    c.blocked.append(other)
    assert closed_set([a, b, c]) == set()
    b.blocked.append(into_a)
    assert closed_set([a, b, c]) == {a, b, c}
    told: list[tuple[str, int]] = []
    b.blocked.clear()
    b.blocked.append(into_a)
    relieve({a, b}, lambda edge, before: told.append((edge.name, before)))
    assert told == [("b→a", 1)]
    assert (into_a.capacity, into_b.capacity) == (2, 2)
    assert closed_set([a, b, c]) == set()


def test_the_time_of_workers_adds_up() -> None:
    """Busy, starved and blocked seconds are those of all workers together, and stand still at the end."""
    lanes = Lanes(2)
    lanes.shift("starved", "busy")
    assert lanes.all("busy") is False
    lanes.shift("starved", "blocked")
    lanes.stop()
    first = lanes.totals()
    assert all(seconds >= 0 for seconds in first)
    assert lanes.totals() == first


# -- pumps ------------------------------------------------------------------------------------------------------------


async def test_a_pump_reads_only_a_little_ahead() -> None:
    """At most `ahead` values more than were asked for; closing ends its thread and the iterator."""
    given, closed = 0, threading.Event()

    def source() -> Iterator[int]:
        nonlocal given
        try:
            while True:
                given += 1
                yield given
        finally:
            closed.set()

    pump = Pump(source(), poster(), 3).start()
    assert await pump.__anext__() == 1
    with anyio.fail_after(20):
        while given < 4:
            await anyio.sleep(0.001)
    assert given <= 5
    pump.close()
    assert await anyio.to_thread.run_sync(closed.wait, 20)


async def test_a_pump_gives_all_values_and_then_the_error() -> None:
    """What was read before is not lost."""

    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("gone")

    got: list[int] = []

    async def read() -> None:
        async for value in Pump(source(), poster()).start():
            got.append(value)  # noqa: PERF401 - what came before the error is what this is about

    with pytest.raises(OSError, match="gone"):
        await read()
    assert got == [1, 2]


# -- what callables put out -------------------------------------------------------------------------------------------


async def _asyncgen(n: int) -> AsyncIterator[int]:
    for each in range(n):
        yield each


async def _coroutine(n: int) -> Any:
    return list(range(n))


def _generator(n: int) -> Iterator[int]:
    yield from range(n)


async def _gives_asyncgen(n: int) -> Any:
    return _asyncgen(n)


@pytest.mark.parametrize(
    "function",
    [_asyncgen, _coroutine, _generator, range, _gives_asyncgen, lambda n: _generator(n), lambda n: _coroutine(n)],
    ids=["asyncgen", "coroutine", "generator", "class", "coroutine-of-asyncgen", "iterator", "awaitable"],
)
async def test_values_are_put_out_or_asked_for(function: Any) -> None:
    """The same ones, whoever drives."""
    put: list[int] = []

    async def keep(value: int) -> None:
        put.append(value)

    await Caller(function, 1).call(keep, 4)
    asked = [value async for value in Caller(function, 1).values(4)]
    assert put == asked == [0, 1, 2, 3]


async def test_a_thread_that_fails_in_the_middle_raises_after_its_values() -> None:
    """Of a plain generator."""

    def broken(n: int) -> Iterator[int]:
        yield n
        raise KeyError("broken")

    for drive in ("put", "ask"):
        put: list[int] = []

        async def keep(value: int, put: list[int] = put) -> None:
            put.append(value)

        async def ask(keep: Any = keep) -> None:
            async for value in Caller(broken, 1).values(7):
                await keep(value)

        with pytest.raises(KeyError):
            await (partial(Caller(broken, 1).call, keep, 7) if drive == "put" else ask)()
        assert put == [7]


def test_values_that_are_one() -> None:
    """Classes, mappings and records are; containers and iterators are not."""
    assert [is_one(value) for value in (int, {}.items(), {"a": 1}, [], iter(()), object())] == [
        True,
        False,
        True,
        False,
        False,
        True,
    ]
