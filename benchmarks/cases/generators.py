"""Async generators, one around the other: nothing is between the stages; the floor of the work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from benchmarks import work
from benchmarks.measure import Measured, Stopwatch


async def _source(count: int) -> AsyncIterator[int]:
    for value in work.ints(count):
        yield value


async def _map(values: AsyncIterator[int]) -> AsyncIterator[int]:
    async for value in values:
        yield value * 2


async def _sink(values: AsyncIterator[int]) -> int:
    total = 0
    async for value in values:
        total += value
    return total


def ints(count: int) -> Measured:
    with Stopwatch() as watch:
        total = asyncio.run(_sink(_map(_source(count))))
    work.check(count, total)
    return watch.throughput(count)
