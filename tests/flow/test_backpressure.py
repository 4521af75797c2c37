"""How values travel: natural batching, exact counts, safe points, capacity, deadlocks, retention."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest

import datagraph as dg
from datagraph import IO, OPEN, IOVal, Processor

pytestmark = pytest.mark.usefixtures("supervisor")


def made(function: Any, inputs: list[str], outputs: tuple[str, ...] = ("out",), name: str = "p", **options: Any) -> Any:
    """A processor with that function."""
    found = Processor(name, inputs=inputs, outputs=outputs, **options)
    found(function)
    return found


def eventually(fact: Callable[[], Any]) -> Any:
    """Wait for something that must become true."""
    until = time.monotonic() + 10
    while not (found := fact()):
        assert time.monotonic() < until, "it did not become true in 10 seconds"
    return found


def settled(look: Callable[[], Any]) -> Any:
    """What a number is once it has not changed for a while."""
    last, since = look(), time.monotonic()
    while time.monotonic() - since < 0.15:
        if (now := look()) != last:
            last, since = now, time.monotonic()
    return last


class Gate:
    """A plain sink that stops at its first value until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.seen: list[Any] = []

    def function(self) -> Callable[[Any], None]:
        """The function of a processor that reads `n`."""

        def sink(n: Any) -> None:
            self.go.wait(20)
            self.seen.append(n)

        return sink


@pytest.mark.parametrize("capacity", [1, 3, 100])
def test_a_slow_reader_blocks_the_writer_at_exactly_its_capacity(capacity: int) -> None:
    """The stream never holds more unread values than the capacity, and the writer's function stops soon after."""
    gate, made_so_far = Gate(), [0]

    def source() -> Iterator[int]:
        for n in range(50_000):
            made_so_far[0] = n + 1
            yield n

    flow = dg.Flow(made(source, [], ("n",), "source"), made(gate.function(), ["n"], (), "sink", capacity=capacity))
    run = flow.start()
    assert eventually(lambda: len(run["n"]) == capacity)
    assert settled(lambda: made_so_far[0]) <= 4 * capacity + 16
    assert len(run["n"]) == capacity
    gate.go.set()
    run.stop()
    assert gate.seen == list(range(len(run["n"])))


@pytest.mark.parametrize("capacity", [1, 2, 7])
def test_the_stream_never_holds_more_than_the_capacity_while_it_flows(capacity: int) -> None:
    """Looked at from outside, at any moment: written minus read is at most the capacity."""

    def slow(n: int) -> None:
        time.sleep(0.0005)

    run = dg.Flow(made(slow, ["n"], (), capacity=capacity)).start({"n": range(200)})
    worst = 0
    while run.status == "running":
        worst = max(worst, *(state.lag for state in run.snapshot().edges.values()))
    assert 0 < worst <= capacity


def test_ended_readers_hold_nobody_back() -> None:
    """A reader that returned early lets the writer and the other readers go on."""

    async def two(n: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            yield value
            if value == 1:
                return

    def every(n: int) -> int:
        return n

    flow = dg.Flow(made(two, ["n"], ("a",), "two", capacity=2), made(every, ["n"], ("b",), "every", capacity=2))
    found = flow.run({"n": range(2000)})
    assert found == {"a": [0, 1], "b": list(range(2000))}


def test_wait_has_no_capacity() -> None:
    """What a `wait=True` reader has not read does not hold its writer back."""

    async def late(n: IO[int]) -> int:
        return len([value async for value in n])

    assert dg.Flow(made(late, ["n"], wait=True, capacity=3)).run({"n": range(9000)}) == {"out": [9000]}


def test_collect_has_no_capacity() -> None:
    """The same for `collect`, from its call on."""

    async def all_of(n: IO[int]) -> int:
        return len(await n.collect())

    assert dg.Flow(made(all_of, ["n"], capacity=3)).run({"n": range(9000)}) == {"out": [9000]}


def test_batches_larger_than_the_capacity_raise_it() -> None:
    """`batches(n)` makes room for two batches; a greater capacity stays."""

    async def sizes(n: IO[int]) -> AsyncIterator[int]:
        async for batch in n.batches(50):
            yield len(batch)

    assert dg.Flow(made(sizes, ["n"], capacity=3)).run({"n": range(120)}) == {"out": [50, 50, 20]}
    run = dg.Flow(made(sizes, ["n"], capacity=700)).start({"n": range(120)}).join()
    assert next(state.capacity for state in run.snapshot().edges.values()) == 700


def test_a_half_full_batch_is_unread() -> None:
    """Values that wait for their batch to fill count as unread."""

    def total(n: Annotated[list[int], dg.Batch(10)]) -> int:
        return sum(n)

    run = dg.Flow(made(total, ["n"])).start({"n": OPEN})
    run["n"].send_many(list(range(14)))
    assert next(iter(run["out"])) == 45
    assert settled(lambda: [e.read for e in run.snapshot().edges.values() if e.capacity])[0] == 10
    run.stop()
    assert run["out"].to_list() == [45, 46]


def test_a_value_in_hand_is_unread_until_the_next_is_asked_for() -> None:
    """The reader works on its second value: one is read, one is in hand."""
    go, there = threading.Event(), threading.Event()

    def work(n: IO[int]) -> Iterator[int]:
        for value in n:
            if value == 1:
                there.set()
                go.wait(20)
            yield value

    run = dg.Flow(made(work, ["n"])).start({"n": [0, 1, 2]})
    assert there.wait(10)
    assert settled(lambda: [e.read for e in run.snapshot().edges.values() if e.capacity])[0] <= 1
    go.set()
    run.join()
    assert next(e.read for e in run.snapshot().edges.values() if e.written == 3) == 3


def test_half_a_zipped_tuple_is_unread() -> None:
    """A value whose partner is missing is not read."""

    async def pairs(a: IO[int], b: IO[int]) -> AsyncIterator[int]:
        async for x, y in a.stream_with(b):
            yield x + y

    run = dg.Flow(made(pairs, ["a", "b"])).start({"a": OPEN, "b": OPEN})
    run["a"].send_many([1, 2, 3])
    run["b"].send(10)
    assert next(iter(run["out"])) == 11

    def read() -> dict[str, int]:
        return {name: e.read for name, e in run.snapshot().edges.items() if e.capacity}

    assert sorted(settled(lambda: tuple(read().values()))) == [1, 1]
    run.stop()


def test_one_value_leaves_an_idle_flow_at_once() -> None:
    """Nothing waits for company: each value arrives before the next is sent."""

    def same(n: int) -> int:
        return n

    run = dg.Flow(made(same, ["n"])).start({"n": OPEN})
    values = iter(run["out"])
    for n in range(20):
        run["n"].send(n)
        assert next(values) == n
    run.stop()


def test_values_gather_in_one_frame_while_the_writer_waits_for_room() -> None:
    """What was put out in the meantime leaves together."""
    gate = Gate()

    async def source(go: IO[int]) -> AsyncIterator[int]:
        async for value in go:
            yield value

    flow = dg.Flow(made(source, ["go"], ("n",), "source"), made(gate.function(), ["n"], (), "sink", capacity=500))
    run = flow.start({"go": range(2000)})
    eventually(lambda: len(run["n"]) == 500)
    gate.go.set()
    run.join()
    frames = run._thread.call(lambda: run._local.session.read("n", 0, 2**40)).frames
    assert sum(frame.count for frame in frames) == 2000
    assert max(frame.count for frame in frames) >= 50


def test_counts_are_exact_and_the_end_is_marked() -> None:
    """Ids count values: length, cursor and lag are exact, and an ended stream says so."""

    def odd(n: int) -> int | None:
        return n if n % 2 else None

    run = dg.Flow(made(odd, ["n"])).start({"n": range(1001)}).join()
    probe = run._thread.call(run._local.session.probe)
    assert (probe.streams["n"].length, probe.streams["out"].length) == (1001, 500)
    assert probe.streams["n"].readers["p", "n"].cursor == 1001
    assert probe.streams["n"].ended
    assert probe.streams["out"].ended
    assert all(state.lag == 0 for state in run.snapshot().edges.values())


def test_a_run_of_an_endless_source_keeps_little() -> None:
    """Read values are trimmed: what is kept does not grow with what was written."""

    def source() -> Iterator[int]:
        yield from range(60_000)

    def sink(n: int) -> None:
        return None

    flow = dg.Flow(made(source, [], ("n",), "source"), made(sink, ["n"], (), "sink"), keep=100)
    run = flow.start().join()
    probe = run._thread.call(run._local.session.probe)
    assert probe.streams["n"].length == 60_000
    assert probe.streams["n"].first > 20_000


def test_keep_all_keeps_everything() -> None:
    """`keep="all"` trims nothing."""

    def same(n: int) -> int:
        return n

    run = dg.Flow(made(same, ["n"]), keep="all").start({"n": range(20_000)}).join()
    assert run["n"].to_list() == list(range(20_000))


def test_a_tail_is_kept_for_peeking() -> None:
    """The last values of a stream that everybody has read are still there."""

    def same(n: int) -> int:
        return n

    run = dg.Flow(made(same, ["n"]), keep=50).start({"n": range(20_000)}).join()
    assert run["n"].peek(50) == list(range(19_950, 20_000))


def test_results_beyond_keep_results_are_trimmed_and_say_so() -> None:
    """A late reader is told; `to_list` warns how many are gone."""

    def same(n: int) -> int:
        return n

    run = dg.Flow(made(same, ["n"]), keep_results=1000).start({"n": range(30_000)}).join()
    with pytest.raises(dg.StreamTrimmedError):
        list(run["out"].stream(0))
    with pytest.warns(UserWarning, match="are not kept any more"):
        found = run["out"].to_list()
    assert found == list(range(30_000 - len(found), 30_000))
    assert 1000 <= len(found) < 30_000


def test_trimming_waits_for_the_slowest_reader() -> None:
    """A reader far behind still gets every value."""
    gate = Gate()

    def fast(n: int) -> int:
        return n

    flow = dg.Flow(
        made(fast, ["n"], name="fast", capacity=20_000),
        made(gate.function(), ["n"], (), "slow", capacity=20_000),
        keep=0,
    )
    run = flow.start({"n": range(10_000)})
    eventually(lambda: len(run["out"]) == 10_000)
    gate.go.set()
    run.join()
    assert gate.seen == list(range(10_000))


def test_an_outside_reader_holds_back_only_where_it_says_so() -> None:
    """With `hold` the flow waits for a reader from outside."""

    def same(n: int) -> int:
        return n

    def sink(out: int) -> None:
        return None

    flow = dg.Flow(made(same, ["n"]), made(sink, ["out"], (), "sink"), keep=0)
    run = flow.start({"n": range(6000)}, paused=True)
    values = run["out"].stream(0, hold=True)
    run.resume()
    assert [next(values) for _ in range(6000)] == list(range(6000))
    run.join()


@pytest.mark.parametrize("pace", [200])
def test_pace_feeds_so_many_values_a_second(pace: int) -> None:
    """An input of 20 values at 200 a second takes about a tenth of a second."""

    def same(n: int) -> int:
        return n

    began = time.monotonic()
    dg.Flow(made(same, ["n"])).run({"n": range(21)}, pace=pace)
    assert time.monotonic() - began >= 0.08


def test_stop_after_stops_an_endless_run() -> None:
    """It drains and completes by itself."""

    async def forever() -> AsyncIterator[int]:
        n = 0
        while True:
            yield n
            n += 1

    run = dg.Flow(made(forever, [])).start(stop_after=0.1).join()
    found = run["out"].to_list() if len(run["out"]) < 10**6 else [0]
    assert run.status == "completed"
    assert found == list(range(found[0], found[0] + len(found)))


@pytest.mark.parametrize("kind", ["async", "plain"])
def test_stop_closes_an_endless_source_and_drains(kind: str) -> None:
    """What the source had put out arrives; its `finally` has run."""
    closed = threading.Event()

    async def forever() -> AsyncIterator[int]:
        n = 0
        try:
            while True:
                yield n
                n += 1
        finally:
            closed.set()

    def plain() -> Iterator[int]:
        n = 0
        try:
            while True:
                yield n
                n += 1
        finally:
            closed.set()

    def same(n: int) -> int:
        return n

    run = dg.Flow(made(forever if kind == "async" else plain, [], ("n",), "source"), made(same, ["n"])).start()
    eventually(lambda: len(run["out"]) > 100)
    run.stop(timeout=20)
    assert run.status == "completed"
    assert closed.is_set()
    assert len(run["out"]) == len(run["n"])


def test_several_outputs_do_not_block_each_other_needlessly() -> None:
    """A full output that nobody waits for does not stop the other's values for ever."""

    async def split(n: IO[int]) -> AsyncIterator[IOVal[int]]:
        async for value in n:
            yield IOVal(name="a", value=value)
            yield IOVal(name="b", value=value)

    async def first_all_of_b(a: IO[int], b: IO[int]) -> AsyncIterator[int]:
        async for value in b:
            yield value
        async for value in a:
            yield value

    flow = dg.Flow(made(split, ["n"], ("a", "b"), "split"), made(first_all_of_b, ["a", "b"], name="join", capacity=5))
    run = flow.start({"n": range(40)}).join()
    assert run["out"].to_list() == [*range(40), *range(40)]
    assert any("deadlock was relieved" in line for line in run.logs("join"))


@pytest.mark.parametrize("capacity", [1, 3, 10])
def test_a_diamond_with_a_filter_on_one_side_completes(capacity: int) -> None:
    """Parks (1995): bounded edges would deadlock where one branch puts out far less than the other."""

    def few(n: int) -> int | None:
        return n if n % 12 == 11 else None

    def same(n: int) -> int:
        return n

    async def zipped(few: IO[int], same: IO[int]) -> AsyncIterator[list[int]]:
        async for pair in few.stream_with(same):
            yield list(pair)

    flow = dg.Flow(
        made(few, ["n"], ("few",), "few", capacity=capacity),
        made(same, ["n"], ("same",), "same", capacity=capacity),
        made(zipped, ["few", "same"], ("out",), "zip", capacity=capacity),
    )
    run = flow.start({"n": range(36)}).join()
    assert run["out"].to_list() == [[11, 0], [23, 1], [35, 2]]
    logs = run.logs("zip") + run.logs("same") + run.logs("few")
    assert any("deadlock was relieved" in line for line in logs)


def test_a_diamond_in_step_needs_no_relief() -> None:
    """Where both branches keep step nothing is grown, whatever the capacity."""

    def left(n: int) -> int:
        return n

    async def right(n: int) -> int:
        return -n

    def zipped(left: int, right: int) -> int:
        return left + right

    flow = dg.Flow(
        made(left, ["n"], ("left",), "left", capacity=1),
        made(right, ["n"], ("right",), "right", capacity=1),
        made(zipped, ["left", "right"], ("out",), "zip", capacity=1),
    )
    run = flow.start({"n": range(100)}).join()
    assert run["out"].to_list() == [0] * 100
    assert not any("deadlock" in line for line in run.logs("zip") + run.logs("left") + run.logs("right"))
