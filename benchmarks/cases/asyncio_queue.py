"""Three tasks joined by two `asyncio.Queue`s, put and get awaited, as people write it: the measure for all others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks import work
from benchmarks.measure import Measured, Stopwatch

CAPACITY = 1000
BATCH = 1000
_END = object()


async def _source(values: Iterable[Any], out: asyncio.Queue[Any]) -> None:
    for value in values:
        await out.put(value)
    await out.put(_END)


async def _map(function: Callable[[Any], Any], values: asyncio.Queue[Any], out: asyncio.Queue[Any]) -> None:
    while (value := await values.get()) is not _END:
        await out.put(function(value))
    await out.put(_END)


async def _sink(number: Callable[[Any], int], values: asyncio.Queue[Any]) -> int:
    total = 0
    while (value := await values.get()) is not _END:
        total += number(value)
    return total


async def _run(
    values: Iterable[Any], function: Callable[[Any], Any], number: Callable[[Any], int], capacity: int = CAPACITY
) -> int:
    first: asyncio.Queue[Any] = asyncio.Queue(capacity)
    second: asyncio.Queue[Any] = asyncio.Queue(capacity)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_source(values, first))
        tasks.create_task(_map(function, first, second))
        total = tasks.create_task(_sink(number, second))
    return total.result()


def ints(count: int) -> Measured:
    with Stopwatch() as watch:
        total = asyncio.run(_run(work.ints(count), work.double, int))
    work.check(count, total)
    return watch.throughput(count)


def records(count: int) -> Measured:
    with Stopwatch() as watch:
        total = asyncio.run(_run(work.records(count), work.double_record, lambda value: value["id"]))
    work.check(count, total)
    return watch.throughput(count)


def batches(count: int) -> Measured:
    lists = (list(range(start, min(start + BATCH, count))) for start in range(0, count, BATCH))
    with Stopwatch() as watch:
        total = asyncio.run(_run(lists, lambda values: [value * 2 for value in values], sum, capacity=10))
    work.check(count, total)
    return watch.throughput(count)
