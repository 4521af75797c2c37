"""What it costs to be looked at: a flow of 50 edges, watched ten times a second as by an open notebook, or not."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import datagraph as dg
from benchmarks import work
from benchmarks.attached import attached_server
from benchmarks.measure import Measured, Stopwatch
from datagraph.observe.watch import Message, Watcher

EDGES = 50
MANY = 250
SECONDS = 4.0
"""For which a paused flow is watched."""
_totals: list[int] = []


def _chain(edges: int) -> dg.Flow:
    """Processors in a row: the first doubles what is given, the last adds up what came through."""
    last = edges - 1
    return dg.Flow(*(_pass_on(i, 2 if i == 0 else 1) for i in range(last)), _add_up(last), name=f"chain-{edges}")


def _pass_on(i: int, times: int) -> dg.Processor:
    async def pass_on(**streams: dg.IO[int]) -> AsyncIterator[int]:
        async for value in streams[f"s{i}"]:
            yield value * times

    return _processor(pass_on, i, [f"s{i + 1}"])


def _add_up(i: int) -> dg.Processor:
    async def add_up(**streams: dg.IO[int]) -> None:
        total = 0
        async for value in streams[f"s{i}"]:
            total += value
        _totals.append(total)

    return _processor(add_up, i, [])


def _processor(function: Any, i: int, outputs: list[str]) -> dg.Processor:
    """A processor of that function, which reads the stream s<i>."""
    parameter = inspect.Parameter(f"s{i}", inspect.Parameter.KEYWORD_ONLY, annotation=dg.IO[int])
    function.__signature__ = inspect.Signature([parameter])
    return dg.Processor(f"p{i}", inputs=[f"s{i}"], outputs=outputs)(function)


class _Notebook:
    """Does with a message what a kernel does: makes its bytes."""

    def __init__(self) -> None:
        self.ticks: list[int] = []

    def __call__(self, message: Message) -> None:
        self.ticks.append(len(json.dumps({"method": "custom", "content": message}).encode()))


def _watch(run: dg.Run) -> _Notebook:
    notebook = _Notebook()

    async def subscribe() -> None:
        run.subject.watcher.subscribe(notebook)

    run.subject.spawn(subscribe).result()
    return notebook


def _run(count: int, *, watched: bool) -> Measured:
    with attached_server():
        flow = _chain(EDGES)
        flow.run({"s0": range(2)})
        with Stopwatch() as stopwatch:
            run = flow.start({"s0": range(count)})
            notebook = _watch(run) if watched else None
            run.join(progress=False)
    work.check(count, _totals[-1])
    if notebook is not None and len(notebook.ticks) < 5 * stopwatch.seconds:
        raise ValueError(f"{len(notebook.ticks)} looks in {stopwatch.seconds:.1f} s: it was not watched")
    return stopwatch.throughput(count)


def unwatched(count: int) -> Measured:
    """Without even the two looks a second that every run has for its history."""

    async def asleep(self: Watcher) -> None: ...

    Watcher.serve = asleep  # type: ignore[method-assign]
    return _run(count, watched=False)


def watched(count: int) -> Measured:
    return _run(count, watched=True)


def looks(_: int) -> Measured:
    """The processor time that looking takes of this process, where nothing else goes on; a tick's size."""
    measured: Measured = {}
    with attached_server():
        for edges in (EDGES, MANY):
            run = _chain(edges).start({"s0": range(1000)}, paused=True)
            time.sleep(1.0)  # it begins, and is quiet
            with Stopwatch() as quiet:
                time.sleep(SECONDS)
            notebook = _watch(run)
            with Stopwatch() as busy:
                time.sleep(SECONDS)
            run.cancel()
            measured[f"cpu_of_{edges}_edges_percent"] = (busy.cpu / busy.seconds - quiet.cpu / quiet.seconds) * 100
            measured[f"tick_of_{edges}_edges_bytes"] = max(notebook.ticks)
            measured[f"looks_of_{edges}_edges_per_second"] = len(notebook.ticks) / busy.seconds
    return measured
