"""What it costs to be looked at: a flow of 50 edges, watched ten times a second as by an open notebook, or not."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import datagraph as dg
from benchmarks.attached import attached_server
from benchmarks.measure import Measured, Stopwatch, side_by_side
from benchmarks.work import Numbers
from datagraph.observe.watch import Message, Subscription, Watcher

EDGES = 50
MANY = 250
SECONDS = 4.0
"""For which a paused flow is watched."""
SLICE = 0.5
"""Seconds for which it is looked at, or not."""
_passed = [0] * MANY
"""Values that each processor of a chain has passed on."""


def _chain(edges: int) -> dg.Flow:
    """Processors in a row, the last of which keeps nothing."""
    last = edges - 1
    return dg.Flow(*map(_pass_on, range(last)), _take(last), name=f"chain-{edges}")


def _pass_on(i: int) -> dg.Processor:
    async def pass_on(**streams: dg.IO[int]) -> AsyncIterator[int]:
        async for value in streams[f"s{i}"]:
            _passed[i] += 1
            yield value

    return _processor(pass_on, i, [f"s{i + 1}"])


def _take(i: int) -> dg.Processor:
    async def take(**streams: dg.IO[int]) -> None:
        async for _ in streams[f"s{i}"]:
            _passed[i] += 1

    return _processor(take, i, [])


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


def _watch(run: dg.Run) -> tuple[_Notebook, Subscription]:
    notebook = _Notebook()

    async def subscribe() -> Subscription:
        return run.subject.watcher.subscribe(notebook)

    return notebook, run.subject.spawn(subscribe).result()


def looked_at(pairs: int) -> Measured:
    """Looked at as by an open notebook, beside not at all: without even the two looks a second for the history."""
    look, looked = Watcher._try, False

    async def only_where_wanted(self: Watcher, *, last: bool) -> bool:
        if looked or last:
            return await look(self, last=last)
        self._seen = time.monotonic()
        return True

    def burden(seconds: float) -> None:
        nonlocal looked
        looked = True
        notebook, subscription = _watch(run)
        time.sleep(seconds)
        subscription.end()
        looked = False
        ticks.append(len(notebook.ticks))

    ticks: list[int] = []
    numbers = Numbers()
    Watcher._try = only_where_wanted  # type: ignore[method-assign]
    with attached_server():
        run = _chain(EDGES).start({"s0": numbers.values()})
        time.sleep(1.0)  # every processor has begun
        measured = side_by_side(lambda: sum(_passed), burden, pairs, SLICE)
        numbers.stopped = True
        run.cancel()
    return measured | {"looks_per_second": sum(ticks) / len(ticks) / SLICE}


def looks(_: int) -> Measured:
    """The processor time that looking takes of this process, where nothing else goes on; a tick's size."""
    measured: Measured = {}
    with attached_server():
        for edges in (EDGES, MANY):
            run = _chain(edges).start({"s0": range(1000)}, paused=True)
            time.sleep(1.0)  # it begins, and is quiet
            with Stopwatch() as quiet:
                time.sleep(SECONDS)
            notebook, _ = _watch(run)
            with Stopwatch() as busy:
                time.sleep(SECONDS)
            run.cancel()
            measured[f"cpu_of_{edges}_edges_percent"] = (busy.cpu / busy.seconds - quiet.cpu / quiet.seconds) * 100
            measured[f"tick_of_{edges}_edges_bytes"] = max(notebook.ticks)
            measured[f"looks_of_{edges}_edges_per_second"] = len(notebook.ticks) / busy.seconds
    return measured
