"""FastStream over Redis streams, broker and subscribers in one process: its ordinary way, and its fastest."""

from __future__ import annotations

import asyncio

from faststream.redis import RedisBroker, StreamSub

from benchmarks import work
from benchmarks.measure import Measured, Stopwatch
from benchmarks.server import private_server

BATCH = 100


class _Total:
    def __init__(self, count: int) -> None:
        self.total, self.left, self.done = 0, count, asyncio.Event()

    def add(self, values: list[int]) -> None:
        self.total += sum(values)
        self.left -= len(values)
        if not self.left:
            self.done.set()


async def _awaited(url: str, count: int) -> tuple[int, Stopwatch]:
    broker, total = RedisBroker(url, logger=None), _Total(count)

    @broker.subscriber(stream=StreamSub("raw", last_id="0"))
    @broker.publisher(stream="doubled")
    async def double(value: int) -> int:
        return work.double(value)

    @broker.subscriber(stream=StreamSub("doubled", last_id="0"))
    async def sink(value: int) -> None:
        total.add([value])

    async with broker:
        await broker.start()
        with Stopwatch() as watch:
            for value in work.ints(count):
                await broker.publish(value, stream="raw")
            await total.done.wait()
    return total.total, watch


async def _pipelined(url: str, count: int) -> tuple[int, Stopwatch]:
    broker, total = RedisBroker(url, logger=None), _Total(count)

    async def publish(values: list[int], stream: str) -> None:
        async with broker.config.connection.client.pipeline(transaction=False) as pipe:  # as its documentation has it
            for value in values:
                await broker.publish(value, stream=stream, pipeline=pipe)
            await pipe.execute()

    @broker.subscriber(stream=StreamSub("raw", last_id="0", batch=True, max_records=BATCH))
    async def double(values: list[int]) -> None:
        await publish([work.double(value) for value in values], "doubled")

    @broker.subscriber(stream=StreamSub("doubled", last_id="0", batch=True, max_records=BATCH))
    async def sink(values: list[int]) -> None:
        total.add(values)

    async with broker:
        await broker.start()
        with Stopwatch() as watch:
            for start in range(0, count, BATCH):
                await publish(list(range(start, min(start + BATCH, count))), "raw")
            await total.done.wait()
    return total.total, watch


def awaited(count: int) -> Measured:
    with private_server() as server:
        total, watch = asyncio.run(_awaited(server.url, count))
    work.check(count, total)
    return watch.throughput(count)


def pipelined(count: int) -> Measured:
    with private_server() as server:
        total, watch = asyncio.run(_pipelined(server.url, count))
    work.check(count, total)
    return watch.throughput(count)
