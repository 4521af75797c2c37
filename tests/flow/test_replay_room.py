"""A replay that has room for less than it gives out again: nothing of that is left lying, and nothing is doubled."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

import datagraph as dg
from datagraph import OPEN, Supervisor
from datagraph.streams.records import Commit, Write
from datagraph.streams.valkey import ValkeyStore

pytestmark = pytest.mark.anyio

COUNT, CAPACITY, STORED = 60, 30, 29
calls: list[int] = []


@dg.processor
async def same(n: int) -> int:
    calls.append(n)
    return n


@dg.processor(capacity=CAPACITY)
async def last(same: int) -> int:
    while len(calls) < COUNT:
        await anyio.lowlevel.checkpoint()
    return same


FLOW = dg.Flow(same, last, name="room", keep="all")


async def stored_in_part(url: str) -> str:
    """A run whose node `same` was lost when it had stored some values, and had not come to a safe point."""
    supervisor = Supervisor.attach(url)
    run = FLOW.start({"n": OPEN})
    run.pause("same")
    run["n"].send_many(list(range(COUNT)))
    supervisor.detach()
    async with ValkeyStore(url) as store, store.session(run.id, "lost", lease=0) as session:
        record = await session.claim("same", force=True)
        codec = session.codec.bind(f"{run.id}:same".encode())
        payload = codec.encode(list(range(STORED)))
        write = Write("same", 0, [(STORED, payload, codec.size(payload))], (STORED, codec.checksum(payload)))
        assert (await session.commit(Commit("same", record.epoch, record.seq + 1, [write]))).ok
        await session.control("resume", "same")
    return run.id


async def test_a_replay_goes_on_when_all_it_gave_out_was_stored_before(valkey_url: str, anyio_backend: str) -> None:
    """Of what is finished so much is put out as there is room for; if all of that was stored before, more follows."""
    calls.clear()
    ident = await stored_in_part(valkey_url)
    supervisor = Supervisor.attach(valkey_url, backend=anyio_backend)  # type: ignore[arg-type]
    try:
        run = dg.recover(ident, FLOW, {"n": OPEN}, force=True)
        with anyio.fail_after(20):
            async for value in run["last"]:
                if value == COUNT - 1:
                    break
            run["n"].complete()
            await run.wait()
        assert run["same"].to_list() == run["last"].to_list() == list(range(COUNT))
    finally:
        supervisor.detach()
