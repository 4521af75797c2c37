"""A process that ends at a command of the protocol, played in this one: from then on it says nothing to the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import anyio

from datagraph.executors.local import LocalExecutor
from datagraph.flow.compile import run_id, specify
from datagraph.flow.local import LocalRun
from datagraph.flow.recovery import recovered
from datagraph.streams.line import Line
from datagraph.streams.store import Store
from datagraph.streams.valkey import ValkeyStore
from tests.faults.flows import SHAPES


class Crash(BaseException):
    """The process is gone."""


def crashed(error: BaseException) -> bool:
    """Whether that, or one of its group, is a crash."""
    if isinstance(error, BaseExceptionGroup):
        return any(crashed(inner) for inner in error.exceptions)
    return isinstance(error, Crash)


class Wire:
    """Counts the commands of one process, and lets it end at command `at`: before it is sent, or when it was answered."""

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.at, self.after = at, after
        self.count = 0
        self.cut = False
        self.armed = False

    def wrap(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        """`Line.ask`, counted."""

        async def counted(line: Line, commands: tuple[bytes, ...], patience: float) -> Any:
            if not self.armed:
                return await ask(line, commands, patience)
            if self.cut:
                raise Crash
            self.count += 1
            if self.count != self.at:
                return await ask(line, commands, patience)
            if self.after:
                await ask(line, commands, patience)
            self.cut = True
            raise Crash

        return counted


@asynccontextmanager
async def begun(store: Store, shape: str, count: int) -> AsyncIterator[LocalRun]:
    """A fresh run of that shape, to be served."""
    chosen = SHAPES[shape]
    flow = chosen.build().resolve()
    ident = run_id(shape)
    await store.create(
        specify(
            ident,
            shape,
            flow.graph,
            {processor.name: processor for processor in flow.processors},
            keep=-1,
            keep_results=-1,
            paused=False,
            meta={"stores": store.codec.name},
        )
    )
    local = LocalRun(Mock(), store, await store.find(ident))  # only open inputs and views need a thread
    local.work_on(
        {p.name: p for p in flow.processors},
        chosen.inputs(count),
        executor=LocalExecutor(),
        settings={},
        overrides={},
        pace=None,
    )
    yield local


async def served(local: LocalRun) -> None:
    """Serve until the run has ended."""
    async with anyio.create_task_group() as tasks:
        await tasks.start(local.serve)
        await local.ended()
        local.close()


async def taken_over(store: Store, run: str, shape: str, count: int) -> None:
    """Another process recovers the run and works to its end."""
    chosen = SHAPES[shape]
    record = await store.find(run)
    if record.status == "completed":
        return
    supervisor: Any = SimpleNamespace(thread=Mock(), store=store, lease=10.0, executor=LocalExecutor())
    flow = chosen.build().resolve()
    local = await recovered(supervisor, record, flow, chosen.inputs(count), [], force=True)
    await served(local)


async def crash_at(url: str, shape: str, count: int, wire: Wire) -> str:
    """A process that works on a new run until its wire is cut; the run's id."""
    run = ""
    try:
        async with ValkeyStore(url) as store, begun(store, shape, count) as local:
            run = local.record.id
            wire.armed = True
            await served(local)
    except BaseException as error:
        if not crashed(error):
            raise
    finally:
        wire.armed = False
    return run
