"""Every kind of function: what it is called with, and what its yields and returns mean."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pandas as pd
import pytest

import datagraph as dg
from datagraph import IO, Batch, IOVal, Processor, processor

pytestmark = pytest.mark.usefixtures("in_memory")


def out(function: Any, inputs: dict[str, Any], outputs: tuple[str, ...] = ("out",), **options: Any) -> Any:
    """The outputs of one processor with that function."""
    made = Processor("p", inputs=list(inputs), outputs=outputs, **options)
    made(function)
    found = dg.Flow(made).run(inputs)
    return found["out"] if outputs == ("out",) else found


async def async_value(n: int) -> int:
    return n + 1


def plain_value(n: int) -> int:
    return n + 1


async def async_values(n: int) -> AsyncIterator[int]:
    yield n
    yield n + 1


def plain_values(n: int) -> Iterator[int]:
    yield n
    yield n + 1


async def async_streams(n: IO[int]) -> AsyncIterator[int]:
    async for value in n:
        yield value + 1


def plain_streams(n: IO[int]) -> Iterator[int]:
    for value in n:
        yield value + 1


async def async_sum(n: IO[int]) -> int:
    return sum([value async for value in n])


def plain_sum(n: IO[int]) -> int:
    return sum(n)


@pytest.mark.parametrize("function", [async_value, plain_value])
def test_a_value_function_is_called_once_a_value(function: Any) -> None:
    """One result for each value, in their order."""
    assert out(function, {"n": range(500)}) == list(range(1, 501))


@pytest.mark.parametrize("function", [async_values, plain_values])
def test_a_value_generator_puts_out_all_it_yields(function: Any) -> None:
    """Many results for each value, in order."""
    assert out(function, {"n": [1, 5, 9]}) == [1, 2, 5, 6, 9, 10]


@pytest.mark.parametrize("function", [async_streams, plain_streams])
def test_a_generator_reads_its_stream(function: Any) -> None:
    """It iterates the stream itself."""
    assert out(function, {"n": range(500)}) == list(range(1, 501))


@pytest.mark.parametrize("function", [async_sum, plain_sum])
def test_a_function_of_a_stream_returns_one_value(function: Any) -> None:
    """A return is one value."""
    assert out(function, {"n": range(10)}) == [45]


async def async_zip(a: int, b: int) -> int:
    return a * b


def plain_zip(a: int, b: int) -> int:
    return a * b


@pytest.mark.parametrize("function", [async_zip, plain_zip])
def test_two_values_are_zipped_until_the_shorter_ends(function: Any) -> None:
    """One call for each pair."""
    assert out(function, {"a": [1, 2, 3], "b": [4, 5]}) == [4, 10]


def test_parameters_are_filled_by_name_not_by_place() -> None:
    """The order of the parameters need not be that of the inputs."""

    def minus(b: int, a: int) -> int:
        return a - b

    assert out(minus, {"a": [10], "b": [1]}) == [9]


async def async_batch(n: Annotated[list[int], Batch(4)]) -> int:
    return len(n)


def plain_batch(n: Annotated[list[int], Batch(4)]) -> int:
    return len(n)


@pytest.mark.parametrize("function", [async_batch, plain_batch])
def test_a_batch_function_gets_lists_and_a_shorter_one_last(function: Any) -> None:
    """Full batches, then what is left."""
    assert out(function, {"n": range(10)}) == [4, 4, 2]


def test_a_batch_annotated_as_a_frame_is_one() -> None:
    """Rows come as a DataFrame, with the columns of the values."""

    def total(rows: Annotated[pd.DataFrame, Batch(3)]) -> int:
        assert isinstance(rows, pd.DataFrame)
        return int(rows["x"].sum())

    assert out(total, {"rows": [{"x": i} for i in range(5)]}) == [3, 7]


def test_a_batch_leaves_early_when_within_has_passed() -> None:
    """A batch that does not fill is handed over within its time, while its writer goes on."""

    def size(n: Annotated[list[int], Batch(100, within=0.02)]) -> int:
        return len(n)

    made = Processor("p", inputs=["n"], outputs=["out"])
    made(size)
    run = dg.Flow(made).start({"n": dg.OPEN})
    run["n"].send_many([1, 2, 3])
    assert next(iter(run["out"])) == 3
    run.stop()


def test_a_batch_generator_yields_for_each_batch() -> None:
    """A batch may give many values."""

    def doubled(n: Annotated[list[int], Batch(2)]) -> Iterator[int]:
        yield from (2 * value for value in n)

    assert out(doubled, {"n": [1, 2, 3]}) == [2, 4, 6]


def test_a_returned_none_is_no_value() -> None:
    """A function that returns None for a value puts nothing out for it."""
    assert out(lambda n: n if n % 2 else None, {"n": range(6)}) == [1, 3, 5]


def test_a_yielded_none_is_a_value() -> None:
    """Only what is returned can be nothing."""

    def nones(n: int) -> Iterator[int | None]:
        yield None
        yield n

    assert out(nones, {"n": [1]}) == [None, 1]


def test_a_stream_generator_may_yield_none() -> None:
    """The same where it reads the stream itself."""

    async def nones(n: IO[int]) -> AsyncIterator[int | None]:
        async for value in n:
            yield None if value == 2 else value

    assert out(nones, {"n": [1, 2, 3]}) == [1, None, 3]


def test_a_stream_function_that_returns_none_puts_nothing_out() -> None:
    """The stream ends empty."""

    async def nothing(n: IO[int]) -> int | None:
        await n.first()
        return None

    assert out(nothing, {"n": [1]}) == []


def test_an_ioval_goes_to_the_stream_it_names() -> None:
    """Several outputs, chosen value by value."""

    def split(n: int) -> IOVal[int]:
        return IOVal(name="even" if n % 2 == 0 else "odd", value=n)

    assert out(split, {"n": range(5)}, outputs=("even", "odd")) == {"even": [0, 2, 4], "odd": [1, 3]}


def test_a_generator_writes_several_outputs() -> None:
    """The same from a generator that reads its stream."""

    async def split(n: IO[int]) -> AsyncIterator[IOVal[int]]:
        async for value in n:
            yield IOVal(name="even" if value % 2 == 0 else "odd", value=value)

    assert out(split, {"n": range(5)}, outputs=("even", "odd")) == {"even": [0, 2, 4], "odd": [1, 3]}


def test_bare_values_and_iovals_may_be_mixed_where_there_is_one_output() -> None:
    """Both mean the same there."""

    def mixed(n: int) -> Any:
        return IOVal(name="out", value=n) if n % 2 else n

    assert out(mixed, {"n": range(4)}) == [0, 1, 2, 3]


def test_a_sink_has_no_outputs() -> None:
    """It is called for each value, and the run ends."""
    seen: list[int] = []

    def sink(n: int) -> None:
        seen.append(n)

    assert out(sink, {"n": range(3)}, outputs=()) == {}
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("style", ["value", "stream"])
def test_a_value_for_a_stream_that_is_not_declared_is_refused(style: str) -> None:
    """The message names the processor, the stream asked for and those there are."""

    def value(n: int) -> IOVal[int]:
        return IOVal(name="elsewhere", value=n)

    async def stream(n: IO[int]) -> AsyncIterator[IOVal[int]]:
        async for one in n:
            yield IOVal(name="elsewhere", value=one)

    with pytest.raises(dg.UnknownIOError, match=r"'p' put out a value for 'elsewhere'; it declares 'out'"):
        out(value if style == "value" else stream, {"n": [1]})


def test_a_bare_value_with_several_outputs_is_refused() -> None:
    """Nobody could know where it belongs."""
    with pytest.raises(dg.MismatchedIOError, match=r"several outputs \('a', 'b'\).*IOVal"):
        out(lambda n: n, {"n": [1]}, outputs=("a", "b"))


def test_a_value_without_any_output_is_refused() -> None:
    """A sink that returns something has most likely forgotten its output."""
    with pytest.raises(dg.MismatchedIOError, match="declares no outputs"):
        out(lambda n: n, {"n": [1]}, outputs=())


def test_a_source_needs_no_inputs() -> None:
    """A generator without inputs runs to its end."""

    async def count() -> AsyncIterator[int]:
        for n in range(5000):
            yield n

    assert out(count, {}) == list(range(5000))


def test_a_plain_source_needs_no_inputs() -> None:
    """The same in a worker thread."""

    def count() -> Iterator[int]:
        yield from range(5000)

    assert out(count, {}) == list(range(5000))


def test_a_function_without_inputs_writes_one_value() -> None:
    """A return is one value, of a source too."""
    assert out(lambda: 42, {}) == [42]


def test_a_settings_default_is_used_and_set_at_start() -> None:
    """A parameter with a default is a setting."""

    @processor
    def scaled(n: int, factor: int = 10) -> int:
        return n * factor

    flow = dg.Flow(scaled)
    assert flow.run({"n": [1, 2]}) == {"scaled": [10, 20]}
    assert flow.run({"n": [1, 2]}, settings={"scaled": {"factor": 3}}) == {"scaled": [3, 6]}


def test_an_unknown_setting_is_refused_at_start() -> None:
    """Before anything runs, with what there is."""

    @processor
    def scaled(n: int, factor: int = 10) -> int:
        return n * factor

    with pytest.raises(ValueError, match="factor"):
        dg.Flow(scaled).start({"n": [1]}, settings={"scaled": {"factr": 3}})


def test_each_input_may_be_one_value() -> None:
    """A text, a mapping and a number are one value; a tuple, a range and an iterator are many."""
    for given, wanted in [
        ("text", ["text"]),
        (b"ab", [b"ab"]),
        ({"a": 1}, [{"a": 1}]),
        (7, [7]),
        (None, [None]),
        (IOVal(name="n", value=[1, 2]), [[1, 2]]),
        ((1, 2), [1, 2]),
        (range(2), [0, 1]),
        (iter([3, 4]), [3, 4]),
        ([], []),
    ]:
        seen: list[Any] = []

        def sink(n: Any, seen: Any = seen) -> None:
            seen.append(n)

        out(sink, {"n": given}, outputs=())
        assert seen == wanted


def test_a_fanout_gives_every_reader_every_value() -> None:
    """Each consumer sees all."""

    @processor
    def one(n: int) -> int:
        return n

    @processor
    async def two(n: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            yield -value

    assert dg.Flow(one, two).run({"n": range(300)}) == {"one": list(range(300)), "two": [-n for n in range(300)]}
