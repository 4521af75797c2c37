"""The chain of `dag_nodes.py` in libraries that run graphs of functions; their graphs are built before, too."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from benchmarks.cases.dag_nodes import NODES
from benchmarks.measure import Measured, Stopwatch


def _check(totals: set[int]) -> None:
    if totals != {NODES}:
        raise ValueError(f"{NODES} nodes that each add one gave {totals}")


def hamilton(count: int) -> Measured:
    """Its async driver, with nodes that give the loop up once, as ours do."""
    from hamilton import ad_hoc_utils, async_driver

    names = ["number", *(f"n{i}" for i in range(1, NODES + 1))]
    made: dict[str, Any] = {"asyncio": asyncio}
    for before, name in pairwise(names):  # it joins functions by their names, so that each needs one
        code = f"async def {name}({before}: int) -> int:\n    await asyncio.sleep(0)\n    return {before} + 1\n"
        exec(code, made)  # noqa: S102 - the code stands above
    module = ad_hoc_utils.create_temporary_module(*[made[name] for name in names[1:]], module_name="chain")
    times = max(1, count // NODES)

    async def again_and_again() -> Measured:
        driver = await async_driver.Builder().with_modules(module).build()

        async def invoke() -> int:
            return int((await driver.execute([names[-1]], inputs={"number": 0}))[names[-1]])

        await invoke()
        with Stopwatch() as watch:
            totals = {await invoke() for _ in range(times)}
        _check(totals)
        return watch.throughput(times * NODES)

    return asyncio.run(again_and_again())


def dask(count: int) -> Measured:
    """Delayed functions, in the scheduler that has the least to do for each: one thread, nothing to wait for."""
    from dask import delayed

    @delayed(pure=False)  # type: ignore[untyped-decorator]
    def add_one(number: int) -> int:
        return number + 1

    node: Any = 0
    for _ in range(NODES):
        node = add_one(node)
    times = max(1, count // NODES)
    node.compute(scheduler="synchronous", optimize_graph=False)
    with Stopwatch() as watch:
        totals = {int(node.compute(scheduler="synchronous", optimize_graph=False)) for _ in range(times)}
    _check(totals)
    return watch.throughput(times * NODES)
