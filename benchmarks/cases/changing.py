"""Ourselves while a flow is changed under full load: when a change takes effect, what it costs, what a pause holds."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import AsyncIterator, Iterator

import datagraph as dg
from benchmarks import work
from benchmarks.attached import attached_server
from benchmarks.cases.ours_memory import Sampler, growth_of
from benchmarks.measure import Measured, Stopwatch, quantile
from datagraph import IO

PAUSE = 0.05
"""Seconds between two changes."""
EVERY = 1.0
"""Seconds between two changes of the flow whose throughput is measured."""
_met: list[float] = []


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
        pass


class _Numbers:
    """Whole numbers until it is told to stop."""

    stopped = False

    def values(self) -> Iterator[int]:
        return itertools.takewhile(lambda _: not self.stopped, itertools.count())


def effect(count: int) -> Measured:
    """From the call of `apply` until the new function has its first value: inserted, and swapped in."""
    took, applied = [], []
    numbers = _Numbers()
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


def unchanged(count: int) -> Measured:
    """A flow of two processors that nobody changes."""
    with attached_server(), Stopwatch() as watch:
        dg.Flow(double, sink).run({"raw": iter(work.ints(count))})
    return watch.throughput(count)


def changed(count: int) -> Measured:
    """The same with another function in its middle every second, and its edge wider or narrower."""
    over = threading.Event()

    def change(run: dg.Run) -> None:
        for number in itertools.count():
            if over.wait(EVERY / 2):
                return
            try:
                swap = dg.Swap("double", twice if number % 4 == 0 else double)
                run.apply(swap if number % 2 == 0 else dg.Tune("sink", capacity=4000 + number))
            except dg.RunError:
                return  # it has ended

    with attached_server(), Stopwatch() as watch:
        run = dg.Flow(double, sink).start({"raw": iter(work.ints(count))})
        changing = threading.Thread(target=change, args=(run,))
        changing.start()
        run.join(progress=False)
        over.set()
        changing.join()
    return watch.throughput(count)


def paused(count: int) -> Measured:
    """The memory of a flow under full load that is paused for so many seconds: process and store."""
    numbers = _Numbers()
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
