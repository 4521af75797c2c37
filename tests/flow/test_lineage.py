"""Where a value came from and what came of it, for every kind of function, in every store, on both event loops."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import anyio
import anyio.to_thread
import pytest

import datagraph as dg
from datagraph import IO, OPEN, Batch, Flow, IOVal, Move, Supervisor
from datagraph.exceptions import StreamTrimmedError, UnknownIOError
from datagraph.flow.lineage import Outcome, Part
from datagraph.flow.results import RunStream
from datagraph.flow.run import Run
from tests.flow.changes import KINDS, Endless, passing
from tests.flow.processes import script
from tests.flow.test_changing_random import Monkey

COUNT = 60


@dg.processor
async def double(n: int) -> int:
    return 2 * n


def made(flow: Flow, count: int = COUNT, **options: Any) -> Run:
    """A run that has ended, of the numbers from 0 on."""
    return flow.start({"n": range(count)}, **options).join()


def check(
    run: Run, source: str, target: str, cause: Callable[[Any], Sequence[int]], *, exact: bool | None = None
) -> None:
    """Each value of `target` says that it came from those of `source` whose positions `cause` gives; these that it did
    come of them. What is said to be exact is just that.
    """
    values = run[target].to_list()
    made: dict[int, list[int]] = {}
    for position, value in enumerate(values):
        causes = cause(value)
        (part,) = [part for part in run[target].origin(position) if part.stream == source]
        assert part.start <= min(causes) <= max(causes) < part.stop, (position, value, part)
        if part.exact:
            assert list(range(part.start, part.stop)) == list(causes)
        assert exact is None or part.exact is exact
        for each in causes:
            made.setdefault(each, []).append(position)
    for position in range(len(run[source])):
        parts = [part for one in run[source].fate(position) for part in one.made if part.stream == target]
        if position in made:
            assert parts[0].start <= min(made[position]) <= max(made[position]) < parts[0].stop
            assert not parts[0].exact or list(range(parts[0].start, parts[0].stop)) == made[position]
        else:
            assert not any(part.exact for part in parts)


def test_a_value_of_a_map_came_from_one_and_became_one(supervisor: Supervisor) -> None:
    """Exactly, with both values, all the way back to the input."""

    @dg.processor
    def add(double: int) -> int:
        return double + 1

    run = made(Flow(double, add))
    check(run, "n", "double", lambda value: [value // 2], exact=True)
    check(run, "double", "add", lambda value: [(value - 1) // 2], exact=True)
    assert run["add"].origin(7) == [Part("double", 7, 8, True, (14,))]
    assert run["add"].lineage(7) == [Part("double", 7, 8, True, (14,)), Part("n", 7, 8, True, (7,))]
    assert run["n"].fate(7) == [Outcome("double", "done", (Part("double", 7, 8, True, (14,)),))]
    assert (run["n"].origin(7), run["n"].lineage(7), run["add"].fate(7)) == ([], [], [])


@pytest.mark.parametrize("workers", [1, 2])
def test_lanes_and_workers_keep_it_exact(supervisor: Supervisor, workers: int) -> None:
    """With several values in flight, too, in one worker or in two that claim ranges."""

    @dg.processor(concurrency=4, workers=workers, state="none")
    async def add(double: int) -> int:
        return double + 1

    run = made(Flow(double, add))
    check(run, "double", "add", lambda value: [(value - 1) // 2], exact=True)


@pytest.mark.parametrize("workers", [1, 2])
def test_without_order_it_lies_within(supervisor: Supervisor, workers: int) -> None:
    """What keeps no order says among which values it was."""

    @dg.processor(concurrency=4, workers=workers, state="none", ordered=False)
    async def add(double: int) -> int:
        return double + 1

    check(made(Flow(double, add)), "double", "add", lambda value: [(value - 1) // 2])


def test_what_was_filtered_out_came_to_nothing(supervisor: Supervisor) -> None:
    """A function that returns None for most values, and one that is given several."""

    @dg.processor
    async def tens(n: int) -> int | None:
        return n if n % 10 == 0 else None

    run = made(Flow(tens))
    check(run, "n", "tens", lambda value: [value])
    run = Flow(tens).start({"n": OPEN})
    for value in (3, 10, 4, 20):
        run["n"].send(value)
    run["n"].complete()
    run.join()
    ten = Part("tens", 0, 1, True, (10,))
    assert [run["n"].fate(at) for at in (0, 1)] == [[Outcome("tens", "done")], [Outcome("tens", "done", (ten,))]]
    check(run, "n", "tens", lambda value: [1 if value == 10 else 3], exact=True)


def test_a_generator_makes_many_of_one(supervisor: Supervisor) -> None:
    """A generator that is called value by value, one that reads a stream, and one in a thread."""

    @dg.processor
    async def copies(n: int) -> AsyncIterator[int]:
        for _ in range(n % 4):
            yield n

    @dg.processor(inputs=["n"], outputs=["reads"])
    async def reads(n: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            for _ in range(value % 4):
                yield value

    @dg.processor(inputs=["n"], outputs=["threaded"])
    def threaded(n: IO[int]) -> Iterator[int]:
        for value in n:
            for _ in range(value % 4):
                yield value

    few = made(Flow(copies), 10)
    check(few, "n", "copies", lambda value: [value], exact=True)
    assert few["n"].fate(7)[0].made == (Part("copies", 9, 12, True, (7, 7, 7)),)
    run = made(Flow(copies, reads, threaded))
    for target in ("copies", "reads", "threaded"):
        check(run, "n", target, lambda value: [value])


def test_a_batch_came_from_its_values(supervisor: Supervisor) -> None:
    """One value out of a list of them, which is the part that it came from."""

    @dg.processor
    async def sums(n: Annotated[list[int], Batch(10)]) -> tuple[int, int]:
        return n[0], len(n)

    run = made(Flow(sums))
    check(run, "n", "sums", lambda value: list(range(value[0], value[0] + value[1])))
    assert sum(len(run["sums"].origin(position)[0]) for position in range(len(run["sums"]))) >= COUNT


def test_what_was_only_looked_at_is_what_it_came_from(supervisor: Supervisor) -> None:
    """The first value of a stream, which `first` saw, made all that came after."""

    @dg.processor(inputs=["foo"], outputs=["bar"])
    async def foobar(foo: IO[int]) -> AsyncIterator[int]:
        for i in range(await foo.first()):
            yield i

    run = Flow(foobar).start({"foo": [5]}).join()
    assert [run["bar"].origin(at) for at in (0, 4)] == [[Part("foo", 0, 1, False, (5,))]] * 2
    assert run["foo"].fate(0) == [Outcome("foobar", "done", (Part("bar", 0, 5, True, (0, 1, 2, 3, 4)),))]


def test_each_of_several_inputs_is_told(supervisor: Supervisor) -> None:
    """Two that are zipped, exactly; two that are merged, as far as each was read."""

    @dg.processor
    async def minus(n: int) -> int:
        return -n

    @dg.processor
    async def both(double: int, minus: int) -> tuple[int, int]:
        return double, minus

    @dg.processor(inputs=["double", "minus"], outputs=["either"])
    async def either(double: IO[int], minus: IO[int]) -> AsyncIterator[int]:
        async for item in double.as_available(minus):
            yield item.value

    run = made(Flow(double, minus, both, either))
    check(run, "double", "both", lambda value: [value[0] // 2], exact=True)
    check(run, "minus", "both", lambda value: [-value[1]], exact=True)
    assert [part.stream for part in run["both"].lineage(50)] == ["double", "minus", "n"]
    for position, value in enumerate(run["either"].to_list()):
        parts = {part.stream: part for part in run["either"].origin(position)}
        assert any(value in run[name].to_list()[p.start : p.stop] for name, p in parts.items())
    for name in ("double", "minus"):
        for position, value in enumerate(run[name].to_list()):
            (part,) = next(one for one in run[name].fate(position) if one.node == "either").made
            assert value in run["either"].to_list()[part.start : part.stop]


def test_several_outputs_are_told_apart(supervisor: Supervisor) -> None:
    """A value that went one way did not go the other."""

    @dg.processor(outputs=["even", "odd"])
    async def parted(n: int) -> IOVal[int]:
        return IOVal(name="odd" if n % 2 else "even", value=n)

    run = made(Flow(parted))
    for name in ("even", "odd"):
        check(run, "n", name, lambda value: [value])


def test_a_sink_and_an_end_are_told(supervisor: Supervisor) -> None:
    """A node without outputs has done with a value; nothing came of what nobody reads."""

    @dg.processor(outputs=())
    async def sink(double: int) -> None:
        return None

    run = made(Flow(double, sink))
    assert run["double"].fate(3) == [Outcome("sink", "done")]


class Mended:
    """Whether the function has been mended by now."""

    yes = False


@dg.processor(on_error="dead_letter")
def half(n: int) -> int:
    if n % 5 == 0 and not Mended.yes:
        raise ValueError(n)
    return n


def test_a_dead_letter_is_followed_to_where_it_was_sent_again(supervisor: Supervisor) -> None:
    """First it is one; sent again, what came of it then is told of the value that had failed."""
    Mended.yes = False
    run = made(Flow(half), 20)
    assert run["n"].fate(10) == [Outcome("half", "dead letter")]
    assert run["n"].fate(11)[0].status == "done"
    assert run.dead_letters("half").resend() == 4
    run.join()
    assert run["n"].fate(10) == [Outcome("half", "dead letter")]
    Mended.yes = True
    run.dead_letters("half").resend()
    run.join()
    (outcome,) = run["n"].fate(10)
    (part,) = outcome.made
    where = run["half"].to_list().index(10)
    assert (outcome.status, part.start <= where < part.stop) == ("done", True)
    found = run["half"].origin(where)
    assert {part.stream for part in found} == {"n"}
    assert any(part.start <= 10 < part.stop for part in found)


def test_what_waits_and_what_is_in_hand_is_said(supervisor: Supervisor) -> None:
    """A function that is at its first value has it in hand, the others wait for it."""
    begun, go_on = threading.Event(), threading.Event()

    @dg.processor
    def slow(n: int) -> int:
        begun.set()
        go_on.wait()
        return n

    run = Flow(slow).start({"n": range(3)})
    begun.wait()
    next(iter(run["n"].stream(2)))
    assert [run["n"].fate(position) for position in (0, 2)] == [
        [Outcome("slow", "in hand")],
        [Outcome("slow", "waiting")],
    ]
    go_on.set()
    run.join()
    check(run, "n", "slow", lambda value: [value])


def test_positions_that_are_not_there_are_refused(supervisor: Supervisor) -> None:
    """Beyond the end or before the beginning; a stream that is not there; values that are not kept any more."""
    run = made(Flow(double, keep=10, capacity=100), 20_000)
    for position in (-1, 20_000):
        with pytest.raises(ValueError, match=r"no value at position .*0 to 19,999"):
            run["double"].origin(position)
        with pytest.raises(ValueError, match="no value at position"):
            run["double"].fate(position)
    with pytest.raises(StreamTrimmedError):
        run["n"].origin(0)
    assert run["double"].origin(0) == [Part("n", 0, 1, True, None)]
    assert run["n"].fate(0) == [Outcome("double", "done", (Part("double", 0, 1, True, (0,)),))]
    with pytest.raises(UnknownIOError):
        run["nothing"].fate(0)


def test_after_a_move_each_value_is_told_of_the_stream_that_was_read_then(supervisor: Supervisor) -> None:
    """What a moved input read before came from the old stream, and what is beyond the cut came to nothing there."""
    numbers = Endless()
    sides = passing("plus", "x", "sp"), passing("again", "x", "sm"), passing("b", "sp", "sb")
    run = Flow(*sides, keep="all", keep_results="all").start({"x": numbers.values()})
    try:
        next(iter(run["sb"].stream(20)))
        applied = run.apply(Move("sp->b.sp", source="sm"))
        next(iter(run["sb"].stream(len(run["sb"]) + 20)))
    finally:
        numbers.stop()
        run.stop(timeout=30)
    (cut,), (join,) = applied.cuts, applied.joins
    values = run["sb"].to_list()
    for at in (0, cut.position - 1):
        assert run["sb"].origin(at) == [Part("sp", at, at + 1, True, (values[at],))]
        assert run["sp"].fate(at) == [Outcome("b", "done", (Part("sb", at, at + 1, True, (values[at],)),))]
    for there in (cut.position, len(values) - 1):
        at = there - cut.position + join.position
        assert run["sb"].origin(there) == [Part("sm", at, at + 1, True, (values[there],))]
        assert run["sm"].fate(at) == [Outcome("b", "done", (Part("sb", there, there + 1, True, (values[there],)),))]
    assert [part.stream for part in run["sb"].lineage(0)] == ["sp", "x"]
    assert run["sp"].fate(len(run["sp"]) - 1) == [Outcome("b", "not read")]
    assert not join.position or run["sm"].fate(join.position - 1) == [Outcome("b", "not read")]


def test_values_that_are_read_again_came_to_something_twice(supervisor: Supervisor) -> None:
    """After a seek back the same node has read a value two times."""
    run = Flow(passing("a", "x", "sa"), keep="all").start({"x": OPEN})
    run["x"].send_many([0, 1, 2, 3])
    next(iter(run["sa"].stream(3)))
    run.seek("a.x", 1)
    next(iter(run["sa"].stream(6)))
    run["x"].complete()
    run.join()
    assert run["sa"].to_list() == [0, 1, 2, 3, 1, 2, 3]
    assert [part.start for one in run["x"].fate(2) for part in one.made] == [2, 5]
    assert [run["sa"].origin(at)[0].start for at in range(7)] == [0, 1, 2, 3, 1, 2, 3]


def test_what_was_read_before_a_move_and_stored_in_parts_is_told(supervisor: Supervisor) -> None:
    """The frames that a last safe point is cut into name the segment that comes next, too: it hides none of them."""
    go = threading.Event()

    @dg.processor
    async def same(double: int) -> int:
        return double

    @dg.processor(capacity=10)
    async def last(same: int) -> int:
        await anyio.to_thread.run_sync(go.wait, 20)
        return same

    run = Flow(double, same, last, keep="all", keep_results="all").start({"n": OPEN})
    run["n"].send_many(list(range(COUNT)))
    while len(run["same"]) < 10:
        time.sleep(0.001)
    run.apply(Move("double->same.double", source="n"))
    run["n"].complete()
    go.set()
    run.join()
    assert run["same"].to_list() == run["double"].to_list()
    check(run, "double", "same", lambda value: [value // 2], exact=True)


DYING = """
    attach(lease=0.6)
    from tests.flow.test_lineage import dying
    run = dying().start({"n": range(2000)})
    print(run.id, flush=True)
    run.join()
"""


def dying() -> Flow:
    """Functions that are called by value, and one that is replayed."""

    @dg.processor
    def add(double: int) -> int:
        return double + 1

    @dg.processor(inputs=["double"], outputs=["seen"])
    async def seen(double: IO[int]) -> AsyncIterator[int]:
        async for value in double:
            yield value
            yield value

    return Flow(double, add, seen, keep="all", keep_results="all", capacity=100)


def test_after_a_crash_what_is_told_is_still_so(valkey_url: str, anyio_backend: str, tmp_path: Path) -> None:
    """A process that is killed and another that goes on leave one story, which a third can read."""
    Supervisor.attach(valkey_url, backend=anyio_backend, lease=0.6)
    with script(tmp_path, DYING, valkey_url, anyio_backend) as process:
        name = process.line()
        next(iter(dg.attach_run(name)["seen"].stream(500)))
        process.kill(signal.SIGKILL)
        process.end()
    before = len(dg.attach_run(name)["add"])
    while True:
        try:
            dg.recover(name, dying(), {"n": range(2000)}).join()
            break
        except dg.LeaseHeldError:
            continue
    Supervisor.detach()
    Supervisor.attach(valkey_url, backend=anyio_backend, lease=0.6)
    run = dg.attach_run(name)
    assert 0 < before < 2000
    for at in (0, before - 1, before, before + 1, 1999):
        assert run["add"].lineage(at) == [
            Part("double", at, at + 1, True, (2 * at,)),
            Part("n", at, at + 1, True, (at,)),
        ]
        seen = next(one for one in run["double"].fate(at) if one.node == "seen")
        assert seen.made[0].start <= 2 * at < 2 * at + 1 < seen.made[0].stop
        assert run["seen"].origin(2 * at)[0].start <= at < run["seen"].origin(2 * at)[0].stop


@pytest.mark.parametrize("kinds", [KINDS, ("coroutine", "function")], ids=["of all kinds", "by value"])
def test_after_changes_at_random_it_is_still_so(supervisor: Supervisor, kinds: Sequence[str]) -> None:
    """Whatever was inserted, dropped, moved, swapped and read again: a value came from where it is found."""
    monkey = Monkey(random.randrange(10**6), kinds=kinds)
    while sum(monkey.done.values()) < 40:
        monkey.step()
    monkey.judge()
    run = monkey.run
    streams = {name: RunStream(run._thread, run._local, name) for name in ("x", *monkey.model.writer)}
    held = {name: stream.to_list() for name, stream in streams.items()}
    told = 0
    for name, values in held.items():
        for position in random.sample(range(len(values)), min(12, len(values))):
            parts = streams[name].origin(position)
            found = [part for part in parts if values[position] in held[part.stream][part.start : part.stop]]
            assert name == "x" or found, (name, position, parts)
            for part in found:
                at = held[part.stream].index(values[position], part.start)
                made = [one for each in streams[part.stream].fate(at) for one in each.made if one.stream == name]
                assert any(one.start <= position < one.stop for one in made), (name, position, part, made)
                told += part.exact
    assert told or kinds is KINDS  # chance may have chosen none that is called by value
