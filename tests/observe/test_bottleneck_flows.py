"""The culprit of real runs: slow in the middle, at the end, at the start, in a branch, and nowhere."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import pytest

import datagraph as dg
from datagraph.observe.bottleneck import Bottleneck
from tests.observe.slow import CAPACITY, ENDLESS, bursts, fan, three, zipped

SOON = 20.0
_BUSIEST = "nothing is full: no bottleneck; the busiest is"


@pytest.fixture(autouse=True)
def supervisor() -> Iterator[None]:
    """Runs in memory."""
    dg.Supervisor.attach("memory://", backend="asyncio")
    yield
    dg.Supervisor.instance.detach()


def found_in(run: dg.Run, is_it: Callable[[Bottleneck], bool]) -> Bottleneck:
    """What is said of a run once it has got going, and on a machine that has other things to do; the run is ended."""
    until = time.monotonic() + SOON
    found = run.bottleneck(over=0.6)
    while not is_it(found) and time.monotonic() < until:
        found = run.bottleneck(over=0.6)
    run.cancel()
    return found


def test_slow_middle() -> None:
    """It is named with what waits before it, and more of it at a time is advised."""
    found = found_in(three(1, 10, 1).start({"x": ENDLESS}), lambda found: found.advice.kind == "concurrency")
    assert found.node == "b", found
    assert str(found).startswith("`b` is the bottleneck: ")
    assert "`a` waits" in str(found)
    assert (found.advice.node, found.advice.before, found.advice.after) == ("b", 1, 2)
    assert str(found).endswith(f"with concurrency 2 expect about {found.advice.gain:.1f} times the throughput")
    assert 1.7 < found.advice.gain <= 2.0


def test_slow_sink() -> None:
    """Everybody upstream of it waits for room, and it alone is named."""

    @dg.processor(capacity=CAPACITY)
    async def a(x: int) -> int:
        return x

    @dg.processor(capacity=CAPACITY, outputs=())
    async def sink(a: int) -> None:
        await anyio.sleep(0.01)

    found = found_in(dg.Flow(a, sink).start({"x": ENDLESS}), lambda found: found.advice.kind == "concurrency")
    assert found.node == found.advice.node == "sink", found


def test_slow_source() -> None:
    """Nothing is full, so nobody is accused, and nothing is advised."""
    found = found_in(three(1, 1, 1).start({"x": ENDLESS}, pace=20), lambda found: "the source" in str(found))
    assert (found.node, found.advice.kind) == (None, "none")
    assert str(found) == "nothing is full: the source `x` is the slowest, everything downstream waits"


def test_skewed_branch() -> None:
    """Of two readers of one stream the slow one, however idle the other is."""
    found = found_in(fan(0.1, 12).start({"x": ENDLESS}), lambda found: found.advice.kind == "concurrency")
    assert found.node == found.advice.node == "right", found


def test_starved_join() -> None:
    """The slow one of two that are zipped, and not the zip that waits for it, nor the other that waits for room."""
    run = zipped(0.1, 12).start({"x": ENDLESS, "y": ENDLESS})
    found = found_in(run, lambda found: found.node == "right")
    assert found.node == "right", found


def test_join_of_a_slow_input() -> None:
    """Where the writer of the missing values is a source, the source is named, with what waits meanwhile."""
    run = zipped(0.1, 0.1).start({"x": ENDLESS, "y": dg.OPEN})
    found = found_in(run, lambda found: found.node == "in:y")
    assert str(found).startswith("`y` is the bottleneck: `pair` waits "), found
    assert " of the time for its input `right` while `left` holds 10 of 10" in str(found)


def test_bursts_that_do_not_fit() -> None:
    """Neither the source nor its reader is slow: they wait for each other, and more room is advised."""
    found = found_in(bursts(40, 300, 5).start({"start": [1]}), lambda found: found.advice.kind == "capacity")
    assert found.node is None, found
    assert str(found).startswith("there is too little room between `source` and `sink`: `source` waits for room ")
    assert (found.advice.node, found.advice.before, found.advice.after) == ("sink", CAPACITY, 4 * CAPACITY)
    assert found.advice.gain > 1.1


def test_nothing_slow() -> None:
    """Everybody keeps up: nobody is accused, nothing is advised, and the busiest is told."""
    run = three(8, 8, 1).start({"x": ENDLESS}, pace=80)
    found = found_in(run, lambda found: "no bottleneck" in str(found))
    assert (found.node, found.advice.kind) == (None, "none")
    assert str(found).startswith((f"{_BUSIEST} `a` (", f"{_BUSIEST} `b` ("))


def test_thread_that_waits_is_advised_concurrency() -> None:
    """What sleeps in a thread leaves the interpreter to others."""

    @dg.processor(capacity=CAPACITY)
    def asks(x: int) -> int:
        time.sleep(0.01)
        return x

    found = found_in(dg.Flow(asks).start({"x": ENDLESS}), lambda found: found.advice.kind == "concurrency")
    assert found.advice.after == 2, found
    assert found.evidence["cpu"] < 0.3


def test_thread_that_computes_is_told_why_not() -> None:
    """Pure Python in a thread holds the interpreter's lock; the sentence says so and promises nothing."""

    @dg.processor(capacity=CAPACITY)
    def adds(x: int) -> int:
        return sum(range(300_000)) + x

    found = found_in(dg.Flow(adds).start({"x": ENDLESS}), lambda found: found.advice.reason == "computes")
    assert (found.node, found.advice.kind, found.advice.reason) == ("adds", "none", "computes"), found
    assert "the interpreter lets one thread compute at a time (GIL)" in str(found)
    assert "gain" not in found.evidence


@pytest.mark.parametrize("computes", [True, False])
def test_async_function_that_keeps_the_event_loop(computes: bool) -> None:
    """It computes or it waits without awaiting; the loop is what is short, and concurrency would not lengthen it."""

    @dg.processor(capacity=CAPACITY)
    async def keeps(x: int) -> int:
        if computes:
            sum(range(300_000))
        else:
            time.sleep(0.01)  # noqa: ASYNC251 - the mistake that is to be found
        return x

    reason = "computes" if computes else "blocks"
    found = found_in(dg.Flow(keeps).start({"x": ENDLESS}), lambda found: found.advice.reason == reason)
    assert (found.node, found.advice.kind, found.advice.reason) == ("keeps", "none", reason), found
    assert "; it holds the event loop " in str(found)


def test_function_that_reads_its_stream_itself_is_told_why_not() -> None:
    """It may have no concurrency, so none is promised; what may is said."""

    @dg.processor(capacity=CAPACITY)
    async def reads(x: dg.IO[int]) -> AsyncIterator[int]:
        async for value in x:
            await anyio.sleep(0.01)
            yield value

    found = found_in(dg.Flow(reads).start({"x": ENDLESS}), lambda found: found.advice.reason == "alone")
    assert (found.node, found.advice.reason) == ("reads", "alone"), found
    assert str(found).endswith("value after value: a function called once a value may have concurrency")


def test_paused_node_and_paused_run_are_no_matter_of_speed() -> None:
    """What was paused is said to be paused, by whoever asks."""
    run = three(1, 1, 1).start({"x": ENDLESS})
    run.pause("b")
    found = found_in_running(run, lambda found: "is paused" in str(found))
    assert (found.node, str(found).partition(":")[0]) == ("b", "`b` is paused")
    run.pause()
    assert str(run.bottleneck(over=0.1)) == "the run is paused"
    run.cancel()


def found_in_running(run: dg.Run, is_it: Callable[[Bottleneck], bool]) -> Bottleneck:
    until = time.monotonic() + SOON
    while not is_it(found := run.bottleneck(over=0.1)) and time.monotonic() < until:
        pass
    return found


def test_failed_run_is_told_in_the_past() -> None:
    """Who held it up until it failed."""

    @dg.processor(capacity=CAPACITY)
    async def breaks(x: int) -> int:
        await anyio.sleep(0.01)
        if x == 60:
            raise ValueError("broken")
        return x

    run = dg.Flow(breaks).start({"x": ENDLESS})
    with pytest.raises(ValueError, match="broken"):
        run.join(progress=False)
    found = run.bottleneck()
    assert found.node == "breaks"
    assert str(found).startswith("`breaks` was the bottleneck: ")
    assert str(found).endswith("it would have had about 2.0 times the throughput")
