"""Ourselves: three processors in one process, over a real Valkey, written as a user writes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import datagraph as dg
from benchmarks import work
from benchmarks.attached import attached_server
from benchmarks.measure import Measured, Stopwatch
from datagraph import IO, Many

BATCH = 1000
_totals: list[int] = []


@dg.processor(inputs=["count"], outputs=["raw"])
async def source_ints(count: IO[int]) -> AsyncIterator[int]:
    for value in work.ints(await count.first()):
        yield value


@dg.processor(inputs=["raw"], outputs=["doubled"])
async def map_ints(raw: IO[int]) -> AsyncIterator[int]:
    async for value in raw:
        yield value * 2


@dg.processor(inputs=["doubled"], outputs=())
async def sink_ints(doubled: IO[int]) -> None:
    total = 0
    async for value in doubled:
        total += value
    _totals.append(total)


@dg.processor(inputs=["count"], outputs=["raw"])
async def source_records(count: IO[int]) -> AsyncIterator[work.Record]:
    for value in work.records(await count.first()):
        yield value


@dg.processor(inputs=["raw"], outputs=["doubled"])
async def map_records(raw: IO[work.Record]) -> AsyncIterator[work.Record]:
    async for value in raw:
        yield work.double_record(value)


@dg.processor(inputs=["doubled"], outputs=())
async def sink_records(doubled: IO[work.Record]) -> None:
    total = 0
    async for value in doubled:
        total += value["id"]
    _totals.append(total)


@dg.processor(inputs=["raw"], outputs=["doubled"])
async def map_batches(raw: IO[int]) -> AsyncIterator[Many[int]]:
    async for values in raw.batches(BATCH):
        yield Many([value * 2 for value in values])


@dg.processor(inputs=["doubled"], outputs=())
async def sink_batches(doubled: IO[int]) -> None:
    total = 0
    async for values in doubled.batches(BATCH):
        total += sum(values)
    _totals.append(total)


def _counted(count: int) -> dict[str, Any]:
    return {"count": count}


def _run(count: int, inputs: Callable[[int], dict[str, Any]], *processors: Any) -> Measured:
    with attached_server():
        flow = dg.Flow(*processors)
        flow.run(inputs(2))  # the runtime thread and the connections are there
        with Stopwatch() as watch:
            flow.run(inputs(count))
    work.check(count, _totals[-1])
    return watch.throughput(count)


def ints(count: int) -> Measured:
    return _run(count, _counted, source_ints, map_ints, sink_ints)


def records(count: int) -> Measured:
    return _run(count, _counted, source_records, map_records, sink_records)


def batches(count: int) -> Measured:
    """The source is what feeds `start`: a range, as a list of values would be."""
    return _run(count, lambda n: {"raw": range(n)}, map_batches, sink_batches)
