"""Ourselves for long: whether the process and the store grow while values pass through."""

from __future__ import annotations

import statistics
import threading
import time

import psutil

import datagraph as dg
from benchmarks.attached import attached_server
from benchmarks.cases.ours import map_ints, sink_ints, source_ints
from benchmarks.measure import Measured
from benchmarks.server import Server

EVERY = 0.1
"""Seconds between two samples."""
WARM_UP = 0.25
"""The share of the samples that is warm-up."""
_MIB = 1 << 20


def growth_of(samples: list[float]) -> float:
    """By how many percent the last quarter lies above the first quarter after the warm-up."""
    settled = samples[int(len(samples) * WARM_UP) :]
    part = max(1, len(settled) // 3)
    return (statistics.median(settled[-part:]) / statistics.median(settled[:part]) - 1) * 100


class Sampler(threading.Thread):
    """Samples the memory of this process and of the server until it is told to stop."""

    def __init__(self, server: Server) -> None:
        super().__init__(name="memory-sampler")
        self.server = server
        self.process: list[float] = []
        self.store: list[float] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        ours = psutil.Process()
        with self.server.client() as client:
            while not self.stopped.wait(EVERY):
                self.process.append(ours.memory_info().rss / _MIB)
                self.store.append(client.info("memory")["used_memory"] / _MIB)


def growth(count: int) -> Measured:
    with attached_server() as server:
        sampler = Sampler(server)
        sampler.start()
        began = time.perf_counter()
        try:
            dg.Flow(source_ints, map_ints, sink_ints).run({"count": count})
        finally:
            seconds = time.perf_counter() - began
            sampler.stopped.set()
            sampler.join()
    if len(sampler.process) < 12:
        raise ValueError(f"{count} values took {seconds:.1f} s: too short to tell growth; take more values")
    return {
        "process_mib": statistics.median(sampler.process[-5:]),
        "process_growth_percent": growth_of(sampler.process),
        "store_mib": statistics.median(sampler.store[-5:]),
        "store_growth_percent": growth_of(sampler.store),
        "seconds": seconds,
    }
