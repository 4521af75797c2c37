"""Who writes a flow's inputs: lists, iterators, blocking generators, async iterables, and senders to an open input."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.lowlevel
import pytest

import datagraph as dg
from datagraph import IO, OPEN, IOVal

pytestmark = pytest.mark.usefixtures("supervisor")


@dg.processor
def same(n: int) -> int:
    return n


@dg.processor
async def added(a: IO[int], b: IO[int]) -> AsyncIterator[int]:
    async for x, y in a.stream_with(b):
        yield x + y


def test_an_iterator_that_blocks_blocks_nothing_else() -> None:
    """It is drawn in a worker thread: what it gave before is through while it waits."""
    go = threading.Event()

    def values() -> Iterator[int]:
        yield 1
        go.wait(20)
        yield 2

    run = dg.Flow(same).start({"n": values()})
    found = iter(run["same"])
    assert next(found) == 1
    go.set()
    assert list(found) == [2]


def test_an_iterator_is_drawn_only_as_far_as_there_is_room() -> None:
    """Backpressure reaches the input."""
    go, drawn = threading.Event(), [0]

    def values() -> Iterator[int]:
        for n in range(3000):
            drawn[0] = n + 1
            yield n

    @dg.processor(capacity=10, outputs=())
    def slow(n: int) -> None:
        go.wait(20)

    run = dg.Flow(slow).start({"n": values()})
    while len(run["n"]) < 10:
        time.sleep(0.001)
    time.sleep(0.1)
    assert drawn[0] <= 60
    go.set()
    run.join()
    assert drawn[0] == 3000


def test_several_inputs_are_fed_at_once() -> None:
    """Each by a feeder of its own."""
    assert dg.Flow(added).run({"a": range(100), "b": iter(range(100, 200))}) == {
        "added": [100 + 2 * n for n in range(100)]
    }


def test_a_list_of_iovals_names_each_stream() -> None:
    """Values of one name keep their order."""
    inputs = [IOVal(name="a", value=1), IOVal(name="b", value=10), IOVal(name="a", value=2), IOVal(name="b", value=20)]
    assert dg.Flow(added).run(inputs) == {"added": [11, 22]}


def test_an_open_input_takes_values_until_it_is_complete() -> None:
    """`send` returns when the value is stored."""
    run = dg.Flow(same).start({"n": OPEN})
    for n in range(5):
        run["n"].send(n)
        assert len(run["n"]) == n + 1
    run["n"].send_many([5, 6])
    run["n"].complete()
    assert run.results() == {"same": list(range(7))}


def test_an_open_input_may_be_sent_to_from_many_threads() -> None:
    """Everything arrives once, each thread's values in their order."""
    run = dg.Flow(same).start({"n": OPEN})

    def sender(base: int) -> None:
        for n in range(50):
            run["n"].send(base + n)

    threads = [threading.Thread(target=sender, args=(1000 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run["n"].complete()
    found = run.results()["same"]
    assert sorted(found) == sorted(1000 * i + n for i in range(4) for n in range(50))
    assert all([n for n in found if n // 1000 == i] == sorted(n for n in found if n // 1000 == i) for i in range(4))


@pytest.mark.parametrize("caller", ["asyncio", "trio"])
def test_an_open_input_may_be_sent_to_from_an_event_loop(caller: str) -> None:
    """`asend` waits without blocking the caller's loop, whichever it is."""

    async def main() -> list[int]:
        run = await dg.Supervisor.instance.start_flow(dg.Flow(same), inputs={"n": OPEN})
        for n in range(5):
            await run["n"].asend(n)
        run["n"].complete()
        return await run["same"]

    assert anyio.run(main, backend=caller) == [0, 1, 2, 3, 4]


def test_a_complete_input_takes_nothing_more() -> None:
    """The error says so."""
    run = dg.Flow(same).start({"n": OPEN})
    run["n"].complete()
    run.join()
    with pytest.raises(dg.DatagraphError, match=r"complete|ended"):
        run["n"].send(1)


def test_only_an_open_input_can_be_sent_to() -> None:
    """Any other stream is somebody else's."""
    run = dg.Flow(same).start({"n": [1]})
    for name in ("n", "same"):
        with pytest.raises(dg.ReadOnlyIOError, match="OPEN"):
            run[name].send(1)
    run.join()


def test_stopping_completes_open_inputs_and_drains() -> None:
    """What was sent before arrives."""
    run = dg.Flow(same).start({"n": OPEN})
    run["n"].send_many(list(range(500)))
    assert run.stop()["same"].to_list() == list(range(500))


@pytest.mark.parametrize("caller", ["asyncio", "trio"])
def test_an_async_iterable_is_read_in_the_callers_loop(caller: str) -> None:
    """Whichever that is: it may use what belongs to its own loop."""
    threads: set[int] = set()

    async def main() -> list[int]:
        async def values() -> AsyncIterator[int]:
            for n in range(20):
                threads.add(threading.get_ident())
                await anyio.lowlevel.checkpoint()
                yield n

        run = await dg.Supervisor.instance.start_flow(dg.Flow(same), inputs={"n": values()})
        return await run["same"]

    assert anyio.run(main, backend=caller) == list(range(20))
    assert threads == {threading.get_ident()}


def test_an_async_iterable_that_fails_fails_the_run() -> None:
    """Its error reaches who waits."""

    async def main() -> None:
        async def values() -> AsyncIterator[int]:
            yield 1
            raise RuntimeError("torn")

        run = await dg.Supervisor.instance.start_flow(dg.Flow(same), inputs={"n": values()})
        await run.wait()

    with pytest.raises(RuntimeError, match="'in:n' failed: RuntimeError: torn"):
        anyio.run(main)


def test_an_endless_input_is_closed_by_stop() -> None:
    """And what it gave arrives."""

    def values() -> Iterator[int]:
        n = 0
        while True:
            yield n
            n += 1

    run = dg.Flow(same).start({"n": values()})
    while len(run["same"]) < 100:
        time.sleep(0.001)
    run.stop(timeout=20)
    assert run["same"].peek(1) == [len(run["n"]) - 1]


def test_an_empty_input_ends_the_run() -> None:
    """Nothing in, nothing out."""
    assert dg.Flow(same).run({"n": []}) == {"same": []}


def test_the_same_flow_runs_many_times_at_once() -> None:
    """Each run has its own streams."""
    flow = dg.Flow(same)
    runs = [flow.start({"n": range(k, k + 50)}) for k in range(5)]
    assert [run.results()["same"] for run in runs] == [list(range(k, k + 50)) for k in range(5)]
