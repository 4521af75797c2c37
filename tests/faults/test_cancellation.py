"""Cancellation at every await, on asyncio and trio: nothing is left behind, and the run can be taken over.

Once by the k-th turn of the event loop, whatever each task awaits then, once by the k-th thing that is asked of the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import redis
import trio

import datagraph as dg
from datagraph import Supervisor
from datagraph.streams.line import Line
from datagraph.streams.memory import MemorySession, MemoryStore
from datagraph.streams.store import Store
from datagraph.streams.valkey import ValkeyStore
from tests.faults.crashes import begun, served, taken_over
from tests.faults.flows import SHAPES
from tests.faults.harness import edges

pytestmark = pytest.mark.anyio


class Trigger:
    """Cancels `scope` when something that it wraps is asked for the `at`-th time."""

    def __init__(self, at: int, scope: anyio.CancelScope) -> None:
        self.left, self.scope = at, scope

    def wrap(self, ask: Callable[..., Any]) -> Callable[..., Any]:
        """The same, counted."""

        async def counted(*args: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.scope.cancel()
            return await ask(*args)

        return counted


async def cancel_at_turn(at: int, scope: anyio.CancelScope) -> None:
    """Cancel when the event loop has come round so many times."""
    for _ in range(at):
        await anyio.lowlevel.checkpoint()
    scope.cancel()


def tasks_alive(backend: str) -> int:
    """Tasks of this event loop."""
    if backend == "asyncio":
        return len(asyncio.all_tasks())
    return trio.lowlevel.current_statistics().tasks_living


async def cancelled_at(
    store: Store, shape: str, count: int, at: int, door: tuple[Any, str], patch: pytest.MonkeyPatch, backend: str
) -> bool:
    """Cancel, see that no task is left, take the run over, compare every edge; whether it was cancelled in time."""
    with anyio.fail_after(20):
        async with begun(store, shape, count) as local:
            alive = tasks_alive(backend)
            with patch.context() as patched, anyio.CancelScope() as scope:
                trigger = Trigger(at, scope)
                patched.setattr(*door, trigger.wrap(getattr(*door)))
                await served(local)
            assert tasks_alive(backend) <= alive + isinstance(store, ValkeyStore)  # its client keeps a line for later
        await taken_over(store, local.record.id, shape, count)
        async with store.session(local.record.id, "judge", lease=0) as session:
            found = await edges(session, await session.probe())
        for name, expected in SHAPES[shape].model(count).items():
            assert found[name] == expected, f"{name}, cancelled at {at}"
        await store.forget(local.record.id)
    return trigger.left <= 0


@pytest.mark.parametrize("shape, count", [("chain", 6), ("knots", 9), ("teams", 6)])
async def test_cancelled_at_any_await_a_run_can_be_taken_over(shape: str, count: int, anyio_backend: str) -> None:
    """Turn by turn of the event loop, until the run is over before it could be cancelled."""
    at = cancelled = 0
    async with MemoryStore() as store:
        while at == cancelled:
            at += 1
            with anyio.fail_after(20):
                async with begun(store, shape, count) as local:
                    alive = tasks_alive(anyio_backend)
                    with anyio.CancelScope() as scope:
                        async with anyio.create_task_group() as tasks:
                            tasks.start_soon(cancel_at_turn, at, scope)
                            await served(local)
                            tasks.cancel_scope.cancel()
                    assert tasks_alive(anyio_backend) <= alive
                cancelled += scope.cancelled_caught
                await taken_over(store, local.record.id, shape, count)
                async with store.session(local.record.id, "judge", lease=0) as session:
                    found = await edges(session, await session.probe())
                for name, expected in SHAPES[shape].model(count).items():
                    assert found[name] == expected, f"{name}, cancelled at {at}"
                await store.forget(local.record.id)
    assert at > 30


@pytest.mark.parametrize("shape, count", [("chain", 6), ("teams", 6)])
async def test_cancelled_at_any_call_a_run_can_be_taken_over(
    shape: str, count: int, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over the memory store, call by call, until a run is not cancelled any more."""
    async with MemoryStore() as store:
        at, door = 1, (MemorySession, "_reach")
        while await cancelled_at(store, shape, count, at, door, monkeypatch, anyio_backend):
            at += 1
        assert at > 20


async def test_cancelled_at_any_command_a_run_can_be_taken_over(
    valkey_url: str, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a server, where what was cancelled may have been applied all the same; every third command."""
    async with ValkeyStore(valkey_url) as store:
        at, door = 1, (Line, "ask")
        while await cancelled_at(store, "knots", 9, at, door, monkeypatch, anyio_backend):
            at += 3
        assert at > 20


def test_a_cancelled_run_keeps_its_record_and_every_key_expires(valkey_url: str, anyio_backend: str) -> None:
    """Whoever waits is told; nothing of the run stays in the store for ever."""
    supervisor = Supervisor.attach(valkey_url, backend=anyio_backend)  # type: ignore[arg-type]
    try:
        run = SHAPES["wide"].build().start({"n": dg.OPEN})
        run["n"].send_many(list(range(100)))
        run.cancel()
        with pytest.raises(dg.RunCancelledError):
            run.join(progress=False)
        assert run["n"].to_list() == list(range(100))
    finally:
        supervisor.detach()
    with redis.Redis.from_url(valkey_url) as raw:
        keys = [key for key in raw.scan_iter(count=1000) if f"{{{run.id}}}".encode() in key]
        assert keys
        assert [key for key in keys if raw.ttl(key) < 0] == []


async def test_a_cancelled_wait_does_not_cancel_the_run(valkey_url: str, anyio_backend: str) -> None:
    """Who waits may stop waiting; the run goes on."""
    supervisor = Supervisor.attach(valkey_url, backend=anyio_backend)  # type: ignore[arg-type]
    try:
        run = await supervisor.start_flow(SHAPES["chain"].build(), {"n": dg.OPEN})
        with anyio.CancelScope() as scope:
            scope.cancel()
            await run.wait()
        await run["n"].asend(5)
        await anyio.to_thread.run_sync(run.stop)
        assert run["double"].to_list() == [10]
    finally:
        supervisor.detach()
