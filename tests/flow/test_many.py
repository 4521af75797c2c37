"""`Many`: values put out at once are single values to whoever reads them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

import datagraph as dg
from datagraph import IO, IOVal, Many

COUNT = 20_000
VALUES = list(range(COUNT))


@dg.processor(outputs=["doubled"])
async def in_batches(n: IO[int]) -> AsyncIterator[Many[int]]:
    async for values in n.batches(700):
        yield Many([2 * value for value in values])


@dg.processor(outputs=["doubled"])
def in_a_thread(n: IO[int]) -> Iterator[Many[int]]:
    for value in n:
        yield Many([2 * value])


@dg.processor(outputs=["doubled"])
async def returned(n: IO[int]) -> Many[int]:
    return Many(2 * value for value in await n.collect())


@dg.processor(outputs=["doubled"])
async def per_value(n: int) -> Many[int]:
    return Many([2 * n] if n >= 0 else [])


@pytest.mark.parametrize("processor", [in_batches, in_a_thread, returned, per_value], ids=lambda p: str(p.name))
def test_many_values_arrive_one_by_one_in_order(processor: dg.Processor) -> None:
    """From every kind of function; nothing tells a reader how they were put out."""
    assert processor.test(n=VALUES) == [2 * value for value in VALUES]


def test_many_and_single_values_keep_their_order_and_find_their_streams() -> None:
    """Named, as `IOVal` is; mixed with single values."""
    split = dg.Processor("split", inputs=["n"], outputs=["even", "odd"])

    @split
    async def _split(n: IO[int]) -> AsyncIterator[Many[int] | IOVal[int]]:
        async for value in n:
            yield Many([value, value + 2], "even")
            yield IOVal(name="odd", value=value + 1)
            yield Many([], "odd")

    assert split.test(n=[0, 10]) == {"even": [0, 2, 10, 12], "odd": [1, 11]}


@pytest.mark.parametrize(
    "many, error",
    [(Many([1], "evne"), dg.UnknownIOError), (Many([1]), dg.MismatchedIOError)],
    ids=["unknown", "unnamed"],
)
def test_many_values_for_no_stream_are_refused(many: Many[int], error: type[Exception]) -> None:
    """In the words of a single value: which processor, what was given, what it declares."""
    split = dg.Processor("split", inputs=["n"], outputs=["even", "odd"])

    @split
    async def _split(n: int) -> Many[int]:
        return many

    with pytest.raises(error, match="split"):
        split.test(n=[1])


def test_the_type_of_many_is_that_of_its_values() -> None:
    """The graph says what a reader gets."""
    assert in_batches.node().outputs[0].type == per_value.node().outputs[0].type == "int"
