"""What a node costs: `datagraph.dag` beside tasks in a task group, written by hand, that call the same functions.

Each value is of one node. Every node gives the loop up once, as one that waits for something does, unless it is called
"ready". The dag is built before; it is invoked, and the tasks are made, again and again until there are enough nodes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from benchmarks.measure import Measured, Stopwatch
from datagraph.dag import TaskManager

NODES = 500
Step = Callable[[int], Coroutine[Any, Any, int]]


async def _hop(number: int) -> int:
    await asyncio.sleep(0)
    return number + 1


async def _ready(number: int) -> int:
    return number + 1


async def _after(step: Step, before: Awaitable[int]) -> int:
    return await step(await before)


async def _hand_chain(step: Step) -> int:
    async with asyncio.TaskGroup() as tasks:
        last = tasks.create_task(step(0))
        for _ in range(NODES - 1):
            last = tasks.create_task(_after(step, last))
    return last.result()


async def _hand_wide(step: Step) -> int:
    async with asyncio.TaskGroup() as tasks:
        all_of_them = [tasks.create_task(step(0)) for _ in range(NODES)]
    return sum(task.result() for task in all_of_them)


def _chain(step: Step) -> Callable[[], Awaitable[int]]:
    tm = TaskManager[int]()
    node: Any = tm.parameter_node
    for _ in range(NODES):
        node = tm.add_node(step, node)
    tm.sort()

    async def invoke() -> int:
        return int(node.extract_result(await tm.invoke(0)))

    return invoke


def _wide(step: Step) -> Callable[[], Awaitable[int]]:
    tm = TaskManager[int]()
    nodes = [tm.add_node(step, tm.parameter_node) for _ in range(NODES)]
    tm.sort()

    async def invoke() -> int:
        result = await tm.invoke(0)
        return sum(node.extract_result(result) for node in nodes)

    return invoke


def _measure(invoke: Callable[[], Awaitable[int]], count: int) -> Measured:
    times = max(1, count // NODES)

    async def again_and_again() -> Measured:
        await invoke()
        with Stopwatch() as watch:
            totals = {await invoke() for _ in range(times)}
        if totals != {NODES}:
            raise ValueError(f"{NODES} nodes that each add one gave {totals}")
        return watch.throughput(times * NODES)

    return asyncio.run(again_and_again())


def chain(count: int) -> Measured:
    return _measure(_chain(_hop), count)


def wide(count: int) -> Measured:
    return _measure(_wide(_hop), count)


def chain_ready(count: int) -> Measured:
    return _measure(_chain(_ready), count)


def wide_ready(count: int) -> Measured:
    return _measure(_wide(_ready), count)


def hand_chain(count: int) -> Measured:
    return _measure(lambda: _hand_chain(_hop), count)


def hand_wide(count: int) -> Measured:
    return _measure(lambda: _hand_wide(_hop), count)


def hand_chain_ready(count: int) -> Measured:
    return _measure(lambda: _hand_chain(_ready), count)


def hand_wide_ready(count: int) -> Measured:
    return _measure(lambda: _hand_wide(_ready), count)
