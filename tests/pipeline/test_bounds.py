"""Memory is bounded, workers compete, the end is where nothing is in flight: whatever the shape."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint

from datagraph.events.model import DeadlockRelieved
from datagraph.pipeline import DagPipeline, DagTask, PipelineBuilder, PipelineContext, TaskTransition

pytestmark = pytest.mark.anyio


async def same(value: int) -> int:
    return value


async def test_a_slow_task_holds_back_the_source() -> None:
    """What is read of an endless source is what the edges hold, and what the workers have in hand: no more."""
    given = 0
    go_on = anyio.Event()

    async def endless() -> AsyncIterator[int]:
        nonlocal given
        while True:
            given += 1
            yield given

    async def slow(value: int) -> int:
        await go_on.wait()
        raise KeyError("enough")

    pipeline = PipelineBuilder().task("fast", same).task("slow", slow).edge("fast", "slow").build(capacity=4)
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            with pytest.raises(KeyError):
                await pipeline.run_stream(endless)

        tasks.start_soon(run)
        await wait_all_tasks_blocked()
        # slow has 1, its edge 4, fast 1, its edge 4, the source 1
        assert given == 1 + 4 + 1 + 4 + 1
        go_on.set()


async def test_a_blocking_source_is_read_only_a_little_ahead() -> None:
    """A plain iterator is read in a thread, which waits as well."""
    given = 0
    go_on = threading.Event()

    def endless() -> Iterator[int]:
        nonlocal given
        while True:
            given += 1
            yield given

    def slow(value: int) -> int:
        go_on.wait(20)
        raise KeyError("enough")

    pipeline = DagPipeline([DagTask("slow", slow, capacity=4)])
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            with pytest.raises(KeyError):
                await pipeline.run_stream(endless())

        tasks.start_soon(run)
        with anyio.fail_after(20):
            while given < 10:
                await anyio.sleep(0.001)
        assert given <= 1 + 4 + 1 + 4 + 1
        go_on.set()


async def test_a_generator_that_multiplies_waits_for_room() -> None:
    """One payload that becomes a million values takes no more room than one that becomes ten."""
    put = 0

    async def many(value: int) -> AsyncIterator[int]:
        nonlocal put
        for number in range(1_000_000):
            put += 1
            yield number

    most = 0
    seen = 0

    async def take(value: int) -> None:
        nonlocal most, seen
        seen += 1
        most = max(most, put - seen)
        if seen == 5_000:
            raise StopAsyncIteration  # an error like any other

    pipeline = PipelineBuilder().task("many", many).task("take", take).edge("many", "take").build(capacity=8)
    with pytest.raises(Exception, match="'take' failed at 4999"):
        await pipeline.run_stream([1])
    assert most <= 8 + 2


async def test_an_edge_holds_its_capacity_and_no_more() -> None:
    """Of every edge what waits is at most its capacity, also with many workers on both sides."""
    most: dict[str, int] = {}
    pipeline = (
        PipelineBuilder()
        .task("a", same, concurrency=3, capacity=2)
        .task("b", same, concurrency=2, capacity=5)
        .task("c", same, concurrency=4, capacity=1)
        .edge("a", "b")
        .edge("b", "c")
        .edge("a", "c")
        .build()
    )
    run = pipeline.start(range(500))

    def look(_: object) -> None:
        for edge in run.snapshot().edges.values():
            most[edge.stream] = max(most.get(edge.stream, 0), edge.lag)

    while run.status == "running":
        look(None)
        await checkpoint()
    assert len(await run) == 1000
    assert all(lag <= {"source": 2, "a→b": 5, "b→c": 1, "a→c": 1}.get(name, 0) for name, lag in most.items())


async def test_a_ring_that_is_full_goes_on_and_says_so() -> None:
    """Bounded edges lock a ring whose values multiply: its smallest edge grows, by an event, and nothing else does."""

    async def twice(value: int) -> list[int]:
        return [value + 1, value + 1]

    tasks = [
        DagTask("a", twice, [TaskTransition("b")]),
        DagTask("b", same, [TaskTransition("a", lambda ctx, value: value < 5)]),
    ]
    run = DagPipeline(tasks, capacity=1).start([0])
    with anyio.fail_after(30):
        assert await run == [5] * 2**5
    relieved = [event for event in run.events() if isinstance(event, DeadlockRelieved)]
    assert relieved
    assert {event.nodes for event in relieved} == {("a", "b")}
    assert all(event.capacity_after > event.capacity_before for event in relieved)


async def test_no_edge_grows_where_nothing_is_locked() -> None:
    """A long pipeline of narrow edges waits, and is relieved of nothing."""
    builder = PipelineBuilder()
    for number in range(6):
        builder.task(f"t{number}", same, capacity=1)
        if number:
            builder.edge(f"t{number - 1}", f"t{number}")
    run = builder.build().start(range(200))
    assert await run == list(range(200))
    assert [event for event in run.events() if isinstance(event, DeadlockRelieved)] == []


async def test_workers_of_a_task_compete_for_what_waits() -> None:
    """A payload is taken by one worker, whichever is free; a slow one holds up nobody else."""
    released = anyio.Event()
    done: list[int] = []

    async def work(value: int) -> int:
        if value == 0:
            await released.wait()
        done.append(value)
        if len(done) == 9:
            released.set()
        return value

    pipeline = DagPipeline([DagTask("work", work, concurrency=2)])
    with anyio.fail_after(20):
        results = await pipeline.run_stream(range(10))
    assert results == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("capacity", [1, 3, 64])
async def test_the_end_comes_whatever_the_shape(workers: int, capacity: int) -> None:
    """Branches, joins, a loop, tasks that give nothing and tasks that give much: everything arrives, and it ends."""

    async def spread(value: int) -> AsyncIterator[int]:
        for number in range(value % 4):
            yield value * 10 + number

    async def drop(value: int) -> int | None:
        await checkpoint()
        return value if value % 3 else None

    async def step(ctx: PipelineContext, value: int) -> int:
        ctx.meta["steps"] = ctx.meta.get("steps", 0) + 1
        return value

    built = (
        PipelineBuilder()
        .task("spread", spread, concurrency=workers)
        .task("drop", drop, concurrency=workers)
        .task("step", step, concurrency=workers)
        .task("join", same, concurrency=workers)
        .edge("spread", "drop")
        .edge("spread", "step")
        .edge("step", "step", predicate=lambda ctx, value: ctx.meta["steps"] < value % 5)
        .edge("step", "join", predicate=lambda ctx, value: ctx.meta["steps"] >= value % 5)
        .edge("drop", "join")
        .build(capacity=capacity)
    )
    spread_out = [value * 10 + number for value in range(40) for number in range(value % 4)]
    with anyio.fail_after(30):
        results = await built.run_stream(range(40))
    assert sorted(results) == sorted([*spread_out, *(value for value in spread_out if value % 3)])


async def test_stopping_takes_nothing_more_and_lets_everything_arrive() -> None:
    """What the source has given is worked off; the run is completed."""
    begun = threading.Event()

    async def endless() -> AsyncIterator[int]:
        number = 0
        while True:
            yield number
            number += 1
            await checkpoint()

    async def work(value: int) -> int:
        if value == 50:
            begun.set()
        return value

    run = DagPipeline([DagTask("work", work)]).start(endless)
    assert await anyio.to_thread.run_sync(begun.wait, 20)
    run.stop()
    results = await run
    assert run.status == "completed"
    assert len(results) > 50
    assert results == list(range(len(results)))


@pytest.mark.parametrize("kind", ["list", "iterator", "async"])
async def test_stopping_where_everything_is_full_ends_with_whole_payloads(kind: str) -> None:
    """Whoever was given a payload that more tasks begin with: all of them get it."""
    go_on, full = threading.Event(), threading.Event()

    def numbers() -> Iterator[int]:
        yield from range(1_000)

    async def numbers_async() -> AsyncIterator[int]:
        for number in range(1_000):
            yield number

    def slow(value: int) -> int:
        full.set()
        assert go_on.wait(20)
        return value

    pipeline = DagPipeline([DagTask("fast", same), DagTask("slow", slow, capacity=1)])
    run = pipeline.start({"list": list(range(1_000)), "iterator": numbers(), "async": numbers_async}[kind])
    assert await anyio.to_thread.run_sync(full.wait, 20)
    with anyio.fail_after(20):
        while run.snapshot().edges["source→slow->slow.item"].waiting not in {"writer", "both"}:
            await anyio.sleep(0.001)
    run.stop()
    go_on.set()
    with anyio.fail_after(20):
        results = await run
    assert len(results) < 1_000
    assert sorted(results) == sorted([*range(len(results) // 2)] * 2)


@pytest.mark.parametrize("shape", ["many payloads", "many values"])
async def test_a_busy_pipeline_leaves_the_loop_to_others(shape: str) -> None:
    """Handlers that never wait share the loop with whatever else is in it."""
    turns = 0
    over = False

    async def other() -> None:
        nonlocal turns
        while not over:
            turns += 1
            await checkpoint()

    async def many(value: int) -> AsyncIterator[int]:
        for number in range(100_000):
            yield number

    handler, source = (same, range(20_000)) if shape == "many payloads" else (many, [1])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await DagPipeline([DagTask("work", handler)]).run_stream(source)
        over = True
    assert turns > 5
