"""Every case: what it is called, what it needs, how much it does, what it is compared with."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One line of the table.

    `module` is a file of benchmarks/cases with a function `function` that takes `count` values. `count` is chosen so
    that a round takes two to four seconds on two cores. `against` names the case that the ratio is taken to. `goal`
    is what DESIGN 9 asks of the ratio (for throughput) or of the named number. `rounds` overrides --rounds.
    """

    name: str
    title: str
    module: str
    function: str
    count: int
    needs: tuple[str, ...] = ()
    against: str = ""
    goal: str = ""
    rounds: int | None = None

    @property
    def missing(self) -> str:
        """The first package that it needs and that is not installed."""
        return next((name for name in self.needs if importlib.util.find_spec(name) is None), "")


_INTS, _RECORDS = "queue-ints", "queue-records"

CASES = (
    Case(_INTS, "asyncio.Queue, ints", "asyncio_queue", "ints", 1_200_000),
    Case("datagraph-batches", "datagraph, .batches()", "ours", "batches", 8_000_000, ("datagraph",), _INTS, ">= 5"),
    Case(
        "datagraph-ints", "datagraph, ints, one at a time", "ours", "ints", 1_200_000, ("datagraph",), _INTS, ">= 1.0"
    ),
    Case(_RECORDS, "asyncio.Queue, 200-byte dicts", "asyncio_queue", "records", 700_000),
    Case(
        "datagraph-records",
        "datagraph, 200-byte dicts, one at a time",
        "ours",
        "records",
        500_000,
        ("datagraph",),
        _RECORDS,
        ">= 0.5",
    ),
    Case("queue-batches", "asyncio.Queue, lists of 1,000 ints", "asyncio_queue", "batches", 40_000_000, against=_INTS),
    Case("generators", "async generators chained, no queue", "generators", "ints", 10_000_000, against=_INTS),
    Case("streamz", "streamz, sync emit", "streamz_emit", "ints", 500_000, ("streamz",), _INTS),
    Case("streamz-async", "streamz, async with two buffers", "streamz_emit", "buffered", 100_000, ("streamz",), _INTS),
    Case("bytewax", "bytewax, batches of 1", "bytewax_flow", "single", 600_000, ("bytewax",), _INTS),
    Case("bytewax-batches", "bytewax, batches of 1,000", "bytewax_flow", "batched", 10_000_000, ("bytewax",), _INTS),
    Case("faststream", "FastStream, Redis streams", "faststream_streams", "awaited", 5_000, ("faststream",), _INTS),
    Case(
        "faststream-pipelined",
        "FastStream, batches of 100 and pipelines",
        "faststream_streams",
        "pipelined",
        30_000,
        ("faststream",),
        _INTS,
    ),
    Case("taskiq", "taskiq, Redis streams", "taskiq_tasks", "ints", 3_000, ("taskiq", "taskiq_redis"), _INTS),
    Case("celery", "Celery, Redis broker, solo worker", "celery_tasks", "ints", 1_000, ("celery",), _INTS),
    Case(
        "latency",
        "one value in an idle flow, one hop",
        "ours_idle",
        "latency",
        500,
        ("datagraph",),
        goal="p50 <= 0.3 ms, p99 <= 2 ms",
    ),
    Case(
        "looked-at",
        "a chain of 50 edges under full load, looked at up to ten times a second, beside itself when it is not",
        "view",
        "looked_at",
        100,
        ("datagraph",),
        goal="throughput left >= 98 %",
        rounds=1,
    ),
    Case(
        "looks",
        "looking at a flow in which nothing moves",
        "view",
        "looks",
        1,
        ("datagraph",),
        goal="CPU <= 2 %",
        rounds=1,
    ),
    Case(
        "frames",
        "the view of 200 processors, told ten times a second, in Chromium",
        "frames",
        "frames",
        50,
        ("datagraph", "playwright"),
        goal="frames >= 30 /s",
        rounds=1,
    ),
    Case("start", "start of a flow, to its first result", "ours_idle", "start", 30, ("datagraph",)),
    Case(
        "change",
        "a change under full load, until it takes effect",
        "changing",
        "effect",
        80,
        ("datagraph",),
        goal="p95 <= 100 ms",
    ),
    Case(
        "changed",
        "two processors under full load, changed twice a second, beside themselves when they are not",
        "changing",
        "changed",
        70,
        ("datagraph",),
        goal="throughput left >= 99 %",
        rounds=1,
    ),
    Case(
        "paused",
        "memory of a flow that is paused under full load",
        "changing",
        "paused",
        6,
        ("datagraph", "psutil"),
        goal="growth <= 5 %",
        rounds=1,
    ),
    Case("hand-chain", "asyncio.TaskGroup by hand, 500 nodes in a row", "dag_nodes", "hand_chain", 300_000),
    Case("dag-chain", "datagraph.dag, the same", "dag_nodes", "chain", 300_000, (), "hand-chain", ">= 0.77"),
    Case(
        "hamilton-chain",
        "Hamilton, async driver, the same",
        "dag_peers",
        "hamilton",
        20_000,
        ("hamilton",),
        "hand-chain",
    ),
    Case("hand-wide", "asyncio.TaskGroup by hand, 500 side by side", "dag_nodes", "hand_wide", 400_000),
    Case("dag-wide", "datagraph.dag, the same", "dag_nodes", "wide", 400_000, (), "hand-wide", ">= 0.77"),
    Case("hand-chain-ready", "by hand, in a row, nothing to wait for", "dag_nodes", "hand_chain_ready", 400_000),
    Case(
        "dag-chain-ready",
        "datagraph.dag, the same",
        "dag_nodes",
        "chain_ready",
        2_000_000,
        (),
        "hand-chain-ready",
        ">= 0.77",
    ),
    Case("dask-chain-ready", "dask.delayed, synchronous", "dag_peers", "dask", 30_000, ("dask",), "hand-chain-ready"),
    Case("hand-wide-ready", "by hand, side by side, nothing to wait for", "dag_nodes", "hand_wide_ready", 500_000),
    Case(
        "dag-wide-ready",
        "datagraph.dag, the same",
        "dag_nodes",
        "wide_ready",
        2_000_000,
        (),
        "hand-wide-ready",
        ">= 0.77",
    ),
    Case("import", "import datagraph, fresh interpreter", "importing", "fresh", 11, ("datagraph",), goal="<= 150 ms"),
    Case(
        "memory",
        "memory of a long flow, after warm-up",
        "ours_memory",
        "growth",
        10_000_000,
        ("datagraph", "psutil"),
        goal="growth <= 5 %",
        rounds=1,
    ),
)
