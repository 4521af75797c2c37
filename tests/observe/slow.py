"""Flows of which it is known where they are slow, because their processors wait for known times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio

import datagraph as dg

CAPACITY = 10
ENDLESS = range(10**7)


def three(first: float, middle: float, last: float, **of_middle: Any) -> dg.Flow:
    """x -> a -> b -> c, each of which awaits so many milliseconds a value; the options are those of b."""

    @dg.processor(capacity=CAPACITY)
    async def a(x: int) -> int:
        await anyio.sleep(first / 1000)
        return x

    @dg.processor(**{"capacity": CAPACITY, **of_middle})
    async def b(a: int) -> int:
        await anyio.sleep(middle / 1000)
        return a

    @dg.processor(capacity=CAPACITY)
    async def c(b: int) -> int:
        await anyio.sleep(last / 1000)
        return b

    return dg.Flow(a, b, c)


def fan(left_ms: float, right_ms: float) -> dg.Flow:
    """x -> a -> left and right, which read the same stream."""

    @dg.processor(capacity=CAPACITY)
    async def a(x: int) -> int:
        return x

    @dg.processor(capacity=CAPACITY)
    async def left(a: int) -> int:
        await anyio.sleep(left_ms / 1000)
        return a

    @dg.processor(capacity=CAPACITY)
    async def right(a: int) -> int:
        await anyio.sleep(right_ms / 1000)
        return a

    return dg.Flow(a, left, right)


def zipped(left_ms: float, right_ms: float) -> dg.Flow:
    """x -> left and y -> right, joined in pairs."""

    @dg.processor(capacity=CAPACITY)
    async def left(x: int) -> int:
        await anyio.sleep(left_ms / 1000)
        return x

    @dg.processor(capacity=CAPACITY)
    async def right(y: int) -> int:
        await anyio.sleep(right_ms / 1000)
        return y

    @dg.processor(capacity=CAPACITY)
    async def pair(left: int, right: int) -> int:
        return left + right

    return dg.Flow(left, right, pair)


def bursts(size: int, pause_ms: float, ms: float, **options: Any) -> dg.Flow:
    """start -> source, which puts out `size` values at once, has them stored, and pauses; -> sink."""

    @dg.processor(outputs=["x"])
    async def source(start: dg.IO[int], context: dg.Context) -> AsyncIterator[int]:
        async for _ in start:
            while True:
                for value in range(size):
                    yield value
                await context.commit()
                await anyio.sleep(pause_ms / 1000)

    @dg.processor(**{"capacity": CAPACITY, **options})
    async def sink(x: int) -> int:
        await anyio.sleep(ms / 1000)
        return x

    return dg.Flow(source, sink)
