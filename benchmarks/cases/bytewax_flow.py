"""bytewax: input, map and output operators in one worker; its source hands over batches of a given size."""

from __future__ import annotations

from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import TestingSource, run_main

from benchmarks import work
from benchmarks.measure import Measured, Stopwatch


class _Total(StatelessSinkPartition[int]):
    def __init__(self, totals: list[int]) -> None:
        self.totals = totals

    def write_batch(self, items: list[int]) -> None:
        self.totals[0] += sum(items)


class _TotalSink(DynamicSink[int]):
    def __init__(self) -> None:
        self.totals = [0]

    def build(self, step_id: str, worker_index: int, worker_count: int) -> Any:
        return _Total(self.totals)


def _run(count: int, batch: int) -> Measured:
    sink, flow = _TotalSink(), Dataflow("bench")
    values = op.input("source", flow, TestingSource(range(count), batch_size=batch))
    op.output("sink", op.map("map", values, work.double), sink)
    with Stopwatch() as watch:
        run_main(flow)
    work.check(count, sink.totals[0])
    return watch.throughput(count)


def single(count: int) -> Measured:
    return _run(count, 1)


def batched(count: int) -> Measured:
    return _run(count, 1000)
