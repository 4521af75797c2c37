"""taskiq over its Redis stream broker: two tasks, the first sends to the second; one receiver, 100 tasks at once."""

from __future__ import annotations

import asyncio

from taskiq.receiver import Receiver
from taskiq_redis import RedisStreamBroker

from benchmarks import work
from benchmarks.measure import Measured, Stopwatch
from benchmarks.server import private_server


async def _run(url: str, count: int) -> tuple[int, Stopwatch]:
    broker = RedisStreamBroker(url)
    done, total, left = asyncio.Event(), 0, count

    @broker.task
    async def sink(value: int) -> None:
        nonlocal total, left
        total += value
        left -= 1
        if not left:
            done.set()

    @broker.task
    async def double(value: int) -> None:
        await sink.kiq(work.double(value))

    await broker.startup()
    broker.is_worker_process = True
    finish = asyncio.Event()
    receiver = Receiver(broker, max_async_tasks=100, run_startup=False)
    listening = asyncio.create_task(receiver.listen(finish))
    with Stopwatch() as watch:
        for value in work.ints(count):
            await double.kiq(value)
        await done.wait()
    finish.set()
    await listening
    await broker.shutdown()
    return total, watch


def ints(count: int) -> Measured:
    with private_server() as server:
        total, watch = asyncio.run(_run(server.url, count))
    work.check(count, total)
    return watch.throughput(count)
