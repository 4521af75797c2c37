"""A change of the wiring of a run in Valkey that is cut off before, in the middle of, or after it was made."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis

from datagraph.exceptions import WiringChangedError
from datagraph.streams.records import NOW, Cut, Join, Rewire
from datagraph.streams.scripts import script
from datagraph.streams.server import Server
from datagraph.streams.valkey import ValkeyStore
from tests.streams.kit import Hand, chain, contents, insert, session_of

pytestmark = pytest.mark.anyio

REWIRE = script("rewire").sha


@asynccontextmanager
async def between(store: ValkeyStore, step: Any, *, lost: bool) -> AsyncIterator[None]:
    """`step` is called once, before the first rewire is sent or (`lost`) after it was made; then it is sent (again)."""
    send = store._client.script

    async def sent(wanted: Any, *args: Any) -> Any:
        if wanted.sha != REWIRE:
            return await send(wanted, *args)
        store._client.script = send  # type: ignore[method-assign]
        if lost:
            await send(wanted, *args)
        await step()
        return await send(wanted, *args)

    store._client.script = sent  # type: ignore[method-assign]
    yield
    store._client.script = send  # type: ignore[method-assign]


@pytest.mark.parametrize("others", [0, 1, 5])
async def test_a_change_whose_answer_was_lost_is_made_once(valkey_store: ValkeyStore, run_id: str, others: int) -> None:
    """Sent again it answers as at first, whatever was written and rewired by others meanwhile."""
    spec = chain(run_id)
    change = insert(spec)
    async with session_of(valkey_store, spec) as session, valkey_store.session(run_id, "w2") as other:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1, 2])

        async def meanwhile() -> None:
            await feeder.write("x", [3])
            for version in range(others):
                await other.rewire(Rewire(version + 1, change.spec))

        async with between(valkey_store, meanwhile, lost=True):
            assert await session.rewire(change) == (1, (2,), (2, 0))
        assert [version for version, *_ in await session.changes()] == list(range(1, others + 2))
        assert (await session.probe()).streams["x"].readers["a", "p"].until == 2


async def test_of_two_changes_at_once_one_is_made(valkey_store: ValkeyStore, run_id: str) -> None:
    """The later one finds another version, and everything as the first left it."""
    spec = chain(run_id)
    async with session_of(valkey_store, spec) as session, valkey_store.session(run_id, "w2") as other:

        async def first() -> None:
            await other.rewire(Rewire(0, spec, note=b"first"))

        async with between(valkey_store, first, lost=False):
            with pytest.raises(WiringChangedError):
                await session.rewire(insert(spec))
        assert [note for *_, note in await session.changes()] == [b"first"]
        assert set((await session.probe()).nodes) == {"in:x", "a", "b"}


async def test_fifty_changes_over_connections_that_are_cut_are_made_once_each(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str
) -> None:
    """A reader that is moved from segment to segment of its stream, and never misses or repeats a value."""
    spec = chain(run_id, capacity=1000)
    done = anyio.Event()

    async def cut() -> None:
        while not done.is_set():
            for client in raw.client_list():
                if client["cmd"].partition("|")[0] in {"evalsha", "script"}:
                    raw.client_kill_filter(_id=client["id"])
            with anyio.move_on_after(0.02):
                await done.wait()

    async with session_of(valkey_store, spec) as session, anyio.create_task_group() as group:
        group.start_soon(cut)
        feeder, port = await Hand.on(session, "in:x"), "p"
        with anyio.fail_after(60):
            for version in range(50):
                await feeder.write("x", [version, version])
                a = await Hand.on(session, "a")
                now = 2 * version + 2
                await a.read(port, "x", now, writes=[a.to("y", [version, version])])
                into = f"p#{version + 1}"
                nodes = tuple(replace(n, inputs=((into, "x"),)) if n.name == "a" else n for n in spec.nodes)
                change = Rewire(
                    version,
                    replace(spec, nodes=nodes),
                    [Cut("a", port, NOW)],
                    [Join("a", into, "x", NOW)],
                    struck=[("a", port)],
                )
                assert await session.rewire(change) == (version + 1, (now,), (now,))
                port = into
        done.set()
        assert list((await session.probe()).streams["x"].readers) == [("a", "p#50")]
        assert len(await session.changes()) == 50
        assert await contents(session, "y") == [n // 2 for n in range(100)]


KILLED = """
import anyio, sys
from datagraph.streams.valkey import ValkeyStore
from tests.streams.kit import chain, insert

async def main(url, run):
    async with ValkeyStore(url) as store, store.session(run, "w9") as session, anyio.create_task_group() as group:
        print("ready", flush=True)
        sys.stdin.readline()
        group.start_soon(session.rewire, insert(chain(run)))
        await anyio.wait_all_tasks_blocked()
        print("sent", flush=True)

anyio.run(main, *sys.argv[1:])
"""


def child(*args: str) -> subprocess.Popen[str]:
    """A process that makes a change when it is told to."""
    command = [sys.executable, "-c", KILLED, *args]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
async def test_a_process_killed_in_a_change_leaves_the_old_wiring_or_the_new(
    tmp_path: Path, run_id: str, known: bool
) -> None:
    """It dies while a server that stands still has not read what it sent; the script runs, if the server knows it."""
    with Server(tmp_path, aof=False) as server, redis.Redis.from_url(server.url) as raw:
        async with ValkeyStore(server.url) as store, session_of(store, chain(run_id)) as session:
            if known:
                raw.script_load(script("rewire").source)
            with child(server.url, run_id) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                assert await anyio.to_thread.run_sync(process.stdout.readline) == "ready\n"
                os.kill(server.pid, signal.SIGSTOP)
                process.stdin.write("go\n")
                process.stdin.flush()
                assert await anyio.to_thread.run_sync(process.stdout.readline) == "sent\n"
                process.kill()
            os.kill(server.pid, signal.SIGCONT)
            probe = await session.probe()
            assert ("clean" in probe.nodes, probe.run.wiring) == (known, int(known))
            assert len(await session.changes()) == known
            assert (probe.streams["x"].readers["a", "p"].until == 0) == known
            assert [each.port for each in (await session.claim("a")).segments] == ["again", "p", "p#1"][: 2 + known]
