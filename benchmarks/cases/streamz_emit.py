"""streamz: a stream, a map and a sink; values emitted by a loop."""

from __future__ import annotations

import asyncio

from streamz import Stream

from benchmarks import work
from benchmarks.measure import Measured, Stopwatch


class _Total:
    """Adds up what it is called with, and tells when `count` values have come."""

    def __init__(self, count: int) -> None:
        self.total = 0
        self.left = count
        self.done = asyncio.Event()

    def __call__(self, value: int) -> None:
        self.total += value
        self.left -= 1
        if not self.left:
            self.done.set()


def ints(count: int) -> Measured:
    total = _Total(count)
    source = Stream()
    source.map(work.double).sink(total)
    with Stopwatch() as watch:
        for value in work.ints(count):
            source.emit(value)
    work.check(count, total.total)
    return watch.throughput(count)


async def _buffered(count: int) -> int:
    total = _Total(count)
    source = Stream(asynchronous=True)
    source.buffer(1000).map(work.double).buffer(1000).sink(total)
    for value in work.ints(count):
        await source.emit(value)
    await total.done.wait()
    return total.total


def buffered(count: int) -> Measured:
    with Stopwatch() as watch:
        total = asyncio.run(_buffered(count))
    work.check(count, total)
    return watch.throughput(count)
