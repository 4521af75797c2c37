"""How far a function that reads streams is seen to be, though values are handed to it in chunks."""

from __future__ import annotations

import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

import datagraph as dg
from datagraph import IO, Context

pytestmark = pytest.mark.usefixtures("supervisor")


def seen(run: dg.Run, enough: int) -> list[int]:
    """The different numbers of values read that are seen until there are so many of them."""
    found: list[int] = []
    for _ in itertools.count():
        read = next(iter(run.snapshot().edges.values())).read
        if read not in found:
            found.append(read)
        if len(found) == enough:
            return found
        if run.status != "running":
            raise AssertionError(f"the run {run.status}: of its values were seen as read {found}")
    raise AssertionError


def test_a_slow_sink_is_seen_to_move() -> None:
    """Two milliseconds a value, four thousand at hand: the lag goes down all the while, not at the end."""

    @dg.processor(outputs=())
    async def sink(n: IO[int]) -> None:
        async for _ in n:
            await anyio.sleep(0.002)

    run = dg.Flow(sink).start({"n": range(4000)})
    found = seen(run, 4)
    run.cancel()
    assert found == sorted(found)
    assert found[-1] < 3000


def test_a_sink_that_becomes_slow_is_seen_to_move() -> None:
    """What it was handed while it was fast is taken from its hands again."""
    fast = 20_000

    @dg.processor(outputs=())
    async def sink(n: IO[int]) -> None:
        async for value in n:
            if value >= fast:
                await anyio.sleep(0.05)

    run = dg.Flow(sink).start({"n": range(fast + 4000)})
    for _ in itertools.count():
        if next(iter(run.snapshot().edges.values())).read > fast:
            break
    found = seen(run, 4)
    run.cancel()
    assert found[0] > fast
    assert found[-1] < fast + 1000


def test_batches_that_are_here_are_handed_over_together_and_finished_one_by_one() -> None:
    """Each has a key of its own, which says where it begins."""
    keys: list[str] = []

    @dg.processor(outputs=["sums"])
    async def add(n: IO[int], ctx: Context) -> AsyncIterator[int]:
        async for batch in n.batches(10):
            keys.append(ctx.key.rpartition(":")[2])
            yield sum(batch)

    assert dg.Flow(add).run({"n": range(1005)})["sums"] == [sum(range(1005)[i : i + 10]) for i in range(0, 1005, 10)]
    assert keys == [str(i) for i in range(0, 1005, 10)]


def test_batches_of_a_paused_processor_are_not_read_on() -> None:
    """Of those handed over together the ones that were not begun are unread at once."""
    at = threading.Event()

    @dg.processor(outputs=["firsts"])
    async def first(n: IO[int]) -> AsyncIterator[int]:
        async for batch in n.batches(10):
            yield batch[0]
            if batch[0] >= 100:
                at.set()
                await anyio.sleep(0.001)

    run = dg.Flow(first).start({"n": range(1000)})
    at.wait()
    run.pause()
    stands = [state.read for state in run.snapshot().edges.values() if state.target == "first"]
    assert stands[0] % 10 == 0
    assert stands[0] < 1000
    run.resume()
    run.join()
    assert run["firsts"].to_list() == list(range(0, 1000, 10))


def test_a_plain_function_gets_batches_one_after_the_other() -> None:
    """In a worker thread too, and what is less than one at the end."""

    @dg.processor(outputs=["sizes"])
    def size(n: IO[Any]) -> Iterator[int]:
        for batch in n.batches(7):
            yield len(batch)

    assert dg.Flow(size).run({"n": range(100)})["sizes"] == [7] * 14 + [2]
