"""Every way in which a processor's function reads its streams."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

import datagraph as dg
from datagraph import IO, IOVal, Processor

pytestmark = pytest.mark.usefixtures("supervisor")


def made(function: Any, inputs: list[str], outputs: tuple[str, ...] = ("out",), **options: Any) -> Processor:
    """A processor called "p" with that function."""
    found = Processor("p", inputs=inputs, outputs=outputs, **options)
    found(function)
    return found


def out(function: Any, inputs: dict[str, Any], **options: Any) -> Any:
    """What one processor with that function puts out."""
    return dg.Flow(made(function, list(inputs), **options)).run(inputs)["out"]


def test_first_sees_the_first_value_and_reads_nothing() -> None:
    """It is a look: iterating afterwards begins with the same value."""

    async def p(n: IO[int]) -> AsyncIterator[int]:
        yield 100 + await n.first()
        yield 100 + await n.first()
        async for value in n:
            yield value

    assert out(p, {"n": [1, 2, 3]}) == [101, 101, 1, 2, 3]


def test_first_waits_for_a_value() -> None:
    """A quiet stream is no error."""

    async def p(n: IO[int]) -> int:
        return await n.first()

    run = dg.Flow(made(p, ["n"])).start({"n": dg.OPEN})
    run["n"].send(7)
    assert next(iter(run["out"])) == 7
    assert run.stop()["out"].to_list() == [7]


def test_first_of_an_empty_stream_gives_the_default_or_says_so() -> None:
    """An ended stream without a value is an EmptyStreamError, unless there is a default."""

    async def with_default(n: IO[int]) -> int:
        return await n.first(-1)

    async def without(n: IO[int]) -> int:
        return await n.first()

    assert out(with_default, {"n": []}) == [-1]
    with pytest.raises(dg.EmptyStreamError, match="'n' ended without a value"):
        out(without, {"n": []})


def test_first_holds_nobody_back() -> None:
    """A reader that only looks leaves the writer free: far more values than the capacity pass."""

    async def look(n: IO[int]) -> AsyncIterator[int]:
        first = await n.first()
        for step in range(3):
            yield first + step

    run = dg.Flow(made(look, ["n"], capacity=2)).start({"n": range(5000)}).join()
    assert run["out"].to_list() == [0, 1, 2]
    assert len(run["n"]) == 5000


def test_latest_gives_the_newest_value() -> None:
    """It waits for one, and then shows the last there is."""

    async def p(n: IO[int], go: IO[int]) -> int:
        async for _ in go:
            return await n.latest()
        return -1

    run = dg.Flow(made(p, ["n", "go"])).start({"n": dg.OPEN, "go": dg.OPEN})
    run["n"].send_many([1, 2, 3])
    run["go"].send(0)
    assert next(iter(run["out"])) == 3
    run.stop()


def test_stream_with_a_cursor_begins_there() -> None:
    """A cursor counts values from the start of the stream."""

    async def p(n: IO[int]) -> AsyncIterator[int]:
        async for value in n.stream(cursor=3):
            yield value

    assert out(p, {"n": range(6)}) == [3, 4, 5]


def test_stream_goes_on_where_it_was() -> None:
    """Without a cursor it is the same as iterating."""

    async def p(n: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            if value == 2:
                break
        async for value in n.stream():
            yield value

    assert out(p, {"n": range(6)}) == [3, 4, 5]


def test_a_negative_cursor_is_refused() -> None:
    """The message says what a cursor counts."""

    async def p(n: IO[int]) -> AsyncIterator[int]:
        async for value in n.stream(cursor=-1):
            yield value

    with pytest.raises(ValueError, match="counts values from the start"):
        out(p, {"n": range(6)})


def test_breaking_out_of_a_loop_loses_nothing() -> None:
    """The value at which a loop was left has been read; the next loop gives the next."""

    async def p(n: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            yield value
            if value == 3:
                break
        yield -1
        async for value in n:
            yield value

    assert out(p, {"n": range(8)}) == [0, 1, 2, 3, -1, 4, 5, 6, 7]


def test_two_loops_one_after_the_other_read_the_stream_once() -> None:
    """A second loop over a stream that has ended gives nothing."""

    async def p(n: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            yield value
        async for value in n:
            yield -value

    assert out(p, {"n": range(3)}) == [0, 1, 2]


def test_plain_functions_use_for_and_islice() -> None:
    """In a worker thread a stream is an ordinary iterator."""

    def p(n: IO[int]) -> Iterator[int]:
        yield sum(itertools.islice(n, 3))
        yield from n

    assert out(p, {"n": [1, 2, 3, 4, 5]}) == [6, 4, 5]


def test_for_in_an_async_function_is_refused_with_the_cure() -> None:
    """It would block the loop."""

    async def p(n: IO[int]) -> int:
        return sum(n)

    with pytest.raises(TypeError, match="async for"):
        out(p, {"n": [1]})


def test_stream_with_zips_to_the_shortest() -> None:
    """Tuples of one value of each."""

    async def p(a: IO[int], b: IO[int]) -> AsyncIterator[list[int]]:
        async for x, y in a.stream_with(b):
            yield [x, y]

    assert out(p, {"a": range(300), "b": range(1000, 1200)}) == [[i, 1000 + i] for i in range(200)]


def test_stream_with_pads_to_the_longest() -> None:
    """`pad` stands for what is missing, and may be None."""

    async def p(a: IO[int], b: IO[int]) -> AsyncIterator[list[Any]]:
        async for pair in a.stream_with(b, pad=None):
            yield list(pair)

    assert out(p, {"a": [1, 2, 3], "b": [4]}) == [[1, 4], [2, None], [3, None]]


def test_stream_with_strict_refuses_unequal_lengths() -> None:
    """The message names the stream that ended first."""

    async def p(a: IO[int], b: IO[int]) -> AsyncIterator[list[Any]]:
        async for pair in a.stream_with(b, strict=True):
            yield list(pair)

    assert out(p, {"a": [1, 2], "b": [3, 4]}) == [[1, 3], [2, 4]]
    with pytest.raises(dg.MismatchedIOError, match="b ended first"):
        out(p, {"a": [1, 2], "b": [3]})


def test_as_available_gives_every_value_with_its_name() -> None:
    """Each stream's own order is kept."""

    async def p(a: IO[int], b: IO[int]) -> AsyncIterator[list[Any]]:
        async for item in a.as_available(b):
            yield [item.name, item.value]

    found = out(p, {"a": range(50), "b": range(50, 120)})
    assert [v for name, v in found if name == "a"] == list(range(50))
    assert [v for name, v in found if name == "b"] == list(range(50, 120))


def test_as_available_does_not_wait_for_a_quiet_stream() -> None:
    """A value of one stream comes through while the other says nothing."""

    async def p(a: IO[int], b: IO[int]) -> AsyncIterator[int]:
        async for item in a.as_available(b):
            yield item.value

    run = dg.Flow(made(p, ["a", "b"])).start({"a": dg.OPEN, "b": dg.OPEN})
    values = iter(run["out"])
    run["b"].send(1)
    assert next(values) == 1
    run["a"].send(2)
    assert next(values) == 2
    run.stop()


def test_batches_are_full_and_the_last_is_what_is_left() -> None:
    """Whatever frames the values came in."""

    async def p(n: IO[int]) -> AsyncIterator[list[int]]:
        async for batch in n.batches(4):
            yield batch

    assert out(p, {"n": range(10)}) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_batches_within_a_time_leave_early() -> None:
    """A quiet stream hands over what there is."""

    async def p(n: IO[int]) -> AsyncIterator[list[int]]:
        async for batch in n.batches(100, within=0.02):
            yield batch

    run = dg.Flow(made(p, ["n"])).start({"n": dg.OPEN})
    values = iter(run["out"])
    run["n"].send_many([1, 2])
    assert next(values) == [1, 2]
    run["n"].send(3)
    assert next(values) == [3]
    run.stop()


def test_plain_functions_read_batches_and_zips() -> None:
    """The joined readers are ordinary iterators in a worker thread too."""

    def p(a: IO[int], b: IO[int]) -> Iterator[Any]:
        for x, y in a.stream_with(b):
            yield x + y
        yield from a.batches(2)

    assert out(p, {"a": [1, 2, 3, 4, 5], "b": [10, 20]}) == [11, 22, [3, 4], [5]]


def test_reading_on_after_a_zip_loses_nothing() -> None:
    """Values of the longer stream that were never in a tuple are still there."""

    async def p(a: IO[int], b: IO[int]) -> AsyncIterator[int]:
        async for x, y in a.stream_with(b):
            yield x + y
        async for x in a:
            yield x

    assert out(p, {"a": [1, 2, 3, 4], "b": [10]}) == [11, 2, 3, 4]


def test_collect_gives_everything_as_a_list() -> None:
    """To the end of the stream."""

    async def p(n: IO[int]) -> int:
        return len(await n.collect())

    assert out(p, {"n": range(3000)}) == [3000]


def test_is_complete_says_whether_anything_can_come() -> None:
    """False while values are left, True after the last."""

    async def p(n: IO[int]) -> AsyncIterator[bool]:
        async for value in n:
            yield value == 2 or not await n.is_complete()
        yield await n.is_complete()

    assert out(p, {"n": [0, 1, 2]}) == [True, True, True, True]


def test_is_complete_never_waits() -> None:
    """An open stream that is quiet is not complete."""

    async def p(n: IO[int]) -> bool:
        return await n.is_complete()

    run = dg.Flow(made(p, ["n"])).start({"n": dg.OPEN})
    assert next(iter(run["out"])) is False
    run.stop()


def test_one_stream_may_drive_and_another_be_looked_at() -> None:
    """`latest` beside a loop: a slow control stream steers a fast one."""

    async def p(n: IO[int], factor: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            yield value * await factor.latest()

    assert out(p, {"n": [1, 2, 3], "factor": [10]}) == [10, 20, 30]


def test_two_tasks_may_read_two_streams_at_once() -> None:
    """Reading from two tasks is allowed; everything arrives."""

    async def p(a: IO[int], b: IO[int]) -> list[int]:
        found: list[int] = []

        async def read(io: IO[int]) -> None:
            async for value in io:
                found.append(value)  # noqa: PERF401 - two tasks, one list

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read, a)
            tasks.start_soon(read, b)
        return sorted(found)

    assert out(p, {"a": range(20), "b": range(20, 40)}) == [list(range(40))]


def test_a_late_read_of_trimmed_values_says_so() -> None:
    """Who only looked holds nobody back; a cursor into what is gone is a StreamTrimmedError."""

    async def late(n: IO[int], go: IO[int]) -> AsyncIterator[int]:
        yield await n.first()
        async for _ in go:
            async for value in n.stream(cursor=0):
                yield value

    processor = made(late, ["n", "go"])
    run = dg.Flow(processor, keep=10).start({"n": range(100_000), "go": dg.OPEN})
    assert next(iter(run["out"])) == 0
    while len(run["n"]) < 100_000:
        time.sleep(0.01)
    run["go"].send(1)
    with pytest.raises(dg.StreamTrimmedError, match="'n'"):
        run.join()


def test_wait_starts_when_every_input_is_complete() -> None:
    """The function is not called before; then everything is there."""
    started: list[bool] = []

    async def p(n: IO[int]) -> AsyncIterator[IOVal[int]]:
        started.append(True)
        async for value in n:
            yield IOVal(name="out", value=value)

    run = dg.Flow(made(p, ["n"], wait=True)).start({"n": dg.OPEN})
    run["n"].send_many(list(range(10)))
    assert not started
    run["n"].complete()
    assert run.join()["out"].to_list() == list(range(10))
    assert started == [True]


def test_wait_holds_for_value_functions_as_well() -> None:
    """`wait=True` has no capacity: more than the default waits there."""

    def p(n: int) -> int:
        return n

    assert out(p, {"n": range(3000)}, wait=True) == list(range(3000))


def test_what_first_saw_is_kept_for_a_restart() -> None:
    """Started again, it sees the same, although the stream does not keep it any more."""
    seen: list[int] = []

    async def p(n: IO[int], go: IO[int]) -> AsyncIterator[int]:
        first = await n.first()
        seen.append(first)
        async for value in go:
            if len(seen) == 1:
                raise OSError
            yield first + value

    flow = dg.Flow(made(p, ["n", "go"], retries=dg.Retry(1, backoff=0.001)), keep=10)
    run = flow.start({"n": range(5, 100_005), "go": dg.OPEN})
    while len(run["n"]) < 100_000:
        time.sleep(0.01)
    with pytest.raises(dg.StreamTrimmedError):
        next(run["n"].stream(0))
    run["go"].send(1)
    run["go"].complete()
    assert run.join()["out"].to_list() == [6]
    assert seen == [5, 5]
