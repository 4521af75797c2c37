"""Ourselves when little is going on: how long one value takes, and how long a flow takes to start."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator

import anyio

import datagraph as dg
from benchmarks.attached import attached_server
from benchmarks.measure import Measured, quantile
from datagraph import IO

WARM_UP = 20
"""Values whose time is not counted."""
PAUSE = 0.005
"""Seconds between two values, so that each finds the flow idle."""

_took: list[float] = []


@dg.processor(inputs=["count"], outputs=["stamps"])
async def stamp(count: IO[int]) -> AsyncIterator[int]:
    for _ in range(await count.first()):
        await anyio.sleep(PAUSE)
        yield time.perf_counter_ns()


@dg.processor(inputs=["stamps"], outputs=())
async def arrive(stamps: IO[int]) -> None:
    _took.extend([(time.perf_counter_ns() - sent) / 1e6 async for sent in stamps])


def latency(count: int) -> Measured:
    """From the moment a value is yielded until the next processor has it: one hop through the store."""
    with attached_server():
        dg.Flow(stamp, arrive).run({"count": count + WARM_UP})
    took = _took[WARM_UP:]
    return {"p50_ms": statistics.median(took), "p99_ms": quantile(took, 0.99)}


@dg.processor(inputs=["number"], outputs=["doubled"])
async def double(number: int) -> int:
    return number * 2


def start(count: int) -> Measured:
    """From `start` to the end of a run of one value: the first run of a process, and the median of those after it."""
    took = []
    with attached_server():
        flow = dg.Flow(double)
        for _ in range(count + 1):
            began = time.perf_counter()
            flow.run({"number": 21})
            took.append((time.perf_counter() - began) * 1e3)
    return {"first_ms": took[0], "later_ms": statistics.median(took[1:])}
