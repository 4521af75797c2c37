"""Ourselves while a flow is changed under full load: when a change takes effect, what it costs, what a pause holds."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import AsyncIterator

import datagraph as dg
from benchmarks.attached import attached_server
from benchmarks.cases.ours_memory import Sampler, growth_of
from benchmarks.measure import Measured, quantile, side_by_side
from benchmarks.work import Numbers
from datagraph import IO

PAUSE = 0.05
"""Seconds between two changes."""
SLICE = 1.0
"""Seconds in which a flow is changed twice, or not at all, while its throughput is measured."""
_met: list[float] = []
_done = [0]


@dg.processor(inputs=["raw"], outputs=["doubled"], state="none")
async def double(raw: IO[int]) -> AsyncIterator[int]:
    async for value in raw:
        yield value * 2


@dg.processor(inputs=["raw"], outputs=["doubled"], state="none")
async def twice(raw: IO[int]) -> AsyncIterator[int]:
    first = True
    async for value in raw:
        if first:
            _met.append(time.perf_counter())
            first = False
        yield value + value


@dg.processor(inputs=["given"], outputs=["same"], state="none")
async def between(given: IO[int]) -> AsyncIterator[int]:
    first = True
    async for value in given:
        if first:
            _met.append(time.perf_counter())
            first = False
        yield value


@dg.processor(inputs=["doubled"], outputs=(), state="none")
async def sink(doubled: IO[int]) -> None:
    async for _ in doubled:
        _done[0] += 1


def effect(count: int) -> Measured:
    """From the call of `apply` until the new function has its first value: inserted, and swapped in."""
    took, applied = [], []
    numbers = Numbers()
    with attached_server():
        run = dg.Flow(double, sink).start({"raw": numbers.values()})
        next(iter(run["doubled"]))
        edits = itertools.cycle([dg.Insert(between, "doubled->sink.doubled"), dg.Drop("between")])
        swaps = itertools.cycle([dg.Swap("double", twice), dg.Swap("double", double)])
        for number in range(count):
            time.sleep(PAUSE)
            _met.clear()
            began = time.perf_counter()
            done = run.apply(next(swaps if number % 4 > 1 else edits))
            applied.append(done.seconds * 1e3)
            if number % 2 == 0:  # what is dropped, or had been there before, says nothing of its first value
                while not _met:
                    time.sleep(0.0005)
                took.append((_met[0] - began) * 1e3)
        numbers.stopped = True
        run.stop(timeout=60)
    return {
        "p50_ms": statistics.median(took),
        "p95_ms": quantile(took, 0.95),
        "applied_p50_ms": statistics.median(applied),
        "applied_p95_ms": quantile(applied, 0.95),
    }


def changed(pairs: int) -> Measured:
    """With another function in its middle, or its edge wider or narrower, twice a second, beside nothing of it."""
    swaps = itertools.cycle([dg.Swap("double", twice), dg.Swap("double", double)])
    tunes = itertools.cycle([dg.Tune("sink", capacity=4001), dg.Tune("sink", capacity=4000)])

    def burden(seconds: float) -> None:
        began = time.perf_counter()
        for number, edits in enumerate((swaps, tunes)):
            time.sleep(max(0.0, began + seconds * (2 * number + 1) / 4 - time.perf_counter()))
            run.apply(next(edits))
        time.sleep(max(0.0, began + seconds - time.perf_counter()))

    numbers = Numbers()
    with attached_server():
        run = dg.Flow(double, sink, name="changed").start({"raw": numbers.values()})
        next(iter(run["doubled"]))
        measured = side_by_side(lambda: _done[0], burden, pairs, SLICE)
        numbers.stopped = True
        run.cancel()
    return measured


def paused(count: int) -> Measured:
    """The memory of a flow under full load that is paused for so many seconds: process and store."""
    numbers = Numbers()
    with attached_server() as server:
        run = dg.Flow(double, sink).start({"raw": numbers.values()})
        next(iter(run["doubled"]))
        run.pause()
        sampler = Sampler(server)
        sampler.start()
        time.sleep(count)
        sampler.stopped.set()
        sampler.join()
        numbers.stopped = True
        run.cancel()
    return {
        "process_mib": statistics.median(sampler.process[-5:]),
        "process_growth_percent": growth_of(sampler.process),
        "store_mib": statistics.median(sampler.store[-5:]),
        "store_growth_percent": growth_of(sampler.store),
    }
