"""What a store on a server does when things are lost, cut off, full, or touched by strangers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis

from datagraph.exceptions import (
    RewoundError,
    StoreFullError,
    StoreLostError,
)
from datagraph.streams.records import RunSpec, StreamSpec
from datagraph.streams.server import Server
from datagraph.streams.valkey import ValkeyStore
from tests.streams.kit import Hand, chain, contents, insert, session_of, values_of

pytestmark = pytest.mark.anyio


async def test_a_store_that_restarted_empty_is_a_lost_run(tmp_path: Path, run_id: str) -> None:
    """Every call says so; none hangs and none begins from zero."""
    with Server(tmp_path, aof=False) as server:
        async with ValkeyStore(server.url) as store, session_of(store, chain(run_id)) as session:
            feeder = await Hand.on(session, "in:x")
            await feeder.write("x", [1])
            waiting = session.signals.event("values:y")
            await anyio.to_thread.run_sync(server.kill)
            await anyio.to_thread.run_sync(server.start)
            for call in (
                lambda: feeder.write("x", [2]),
                lambda: session.claim("a"),
                lambda: session.read("x", 0, 1),
                lambda: session.tail("x", 1),
                lambda: session.rooms("in:x", ["x"]),
                lambda: session.take("a", 1),
                lambda: session.beat({}),
                lambda: session.control("stop"),
                lambda: session.fail(b""),
                lambda: session.watch("x"),
                lambda: session.hold("a", "p", "free"),
                lambda: session.letters("a"),
                lambda: session.log("a", ["l"]),
                lambda: session.logs("a"),
                lambda: session.events(),
                lambda: session.probe(),
                lambda: session.rewire(insert(chain(run_id))),
                lambda: session.changes(),
                lambda: session.ask(b""),
                lambda: session.asks(),
                lambda: session.answer("1-0", b""),
                lambda: session.answered("1-0"),
            ):
                with pytest.raises(
                    StoreLostError, match=f"'{run_id}' is not in the store any more: did the store restart"
                ):
                    await call()
            with anyio.fail_after(5):
                await waiting.wait()


async def test_a_store_that_lost_a_tail_rewinds_its_workers(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str, keys_of: Callable[[], list[bytes]]
) -> None:
    """A commit that follows one the store has forgotten is refused; claimed again, the node goes on where the store is."""
    async with session_of(valkey_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1])
        kept = {key: raw.dump(key) for key in keys_of()}
        await feeder.write("x", [2])
        for key, value in kept.items():
            raw.restore(key, 0, value, replace=True)
        with pytest.raises(RewoundError, match="claim the node again"):
            await feeder.write("x", [3])
        again = await Hand.on(session, "in:x")
        assert (again.seq, again.lengths) == (0, {"x": 1})
        await again.write("x", [2])
        assert await contents(session, "x") == [1, 2]


async def test_a_reader_ahead_of_a_rewound_stream_is_rewound(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str, keys_of: Callable[[], list[bytes]]
) -> None:
    """It read values that are not there any more, so it may not commit what it made of them."""
    async with session_of(valkey_store, chain(run_id)) as session:
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        await feeder.write("x", [1])
        kept = {key: raw.dump(key) for key in keys_of()}
        await feeder.write("x", [2])
        for key, value in kept.items():
            raw.restore(key, 0, value, replace=True)
        with pytest.raises(RewoundError):
            await a.read("p", "x", 2, writes=[a.to("y", [2])])
        assert await contents(session, "y") == []


@pytest.mark.parametrize("harm", ["delete", "evict", "add", "wrong type", "no record"])
async def test_a_stream_that_a_stranger_touched_is_lost(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str, harm: str
) -> None:
    """Nothing is written past a hole: neither to that stream nor to another of the same commit."""
    async with session_of(valkey_store, chain(run_id)) as session:
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        await feeder.write("x", [1, 2])
        await a.write("y", [1], [2])
        key = f"dg:{{{run_id}}}:s:y"
        match harm:
            case "delete":
                raw.delete(key)
            case "evict":
                raw.xtrim(key, maxlen=1, approximate=False)
            case "add":
                raw.xadd(key, {"by": "stranger"}, id="77-0")
            case "wrong type":
                raw.set(key, "text")
            case "no record":
                raw.delete(f"dg:{{{run_id}}}:t:y")
        with pytest.raises(StoreLostError, match=run_id):
            await a.read("p", "x", 2, writes=[a.to("y", [3])])
        assert raw.hget(f"dg:{{{run_id}}}:n:a", "seq:w1") == b"1"


async def test_values_that_vanished_are_lost_not_trimmed(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str
) -> None:
    """Only what the record says was trimmed is a StreamTrimmedError."""
    async with session_of(valkey_store, chain(run_id)) as session:
        await (await Hand.on(session, "in:x")).write("x", [1, 2])
        raw.xtrim(f"dg:{{{run_id}}}:s:x", maxlen=0, approximate=False)
        with pytest.raises(StoreLostError, match="values of stream 'x' after 0"):
            await session.read("x", 0, 10)


async def test_a_full_server_says_so_and_the_same_commit_works_later(tmp_path: Path, run_id: str) -> None:
    """Memory that is full is an error of its own, and nothing of the commit is applied."""
    with Server(tmp_path, aof=False) as server, redis.Redis.from_url(server.url) as raw:
        async with ValkeyStore(server.url) as store, session_of(store, chain(run_id)) as session:
            feeder = await Hand.on(session, "in:x")
            raw.config_set("maxmemory", "1mb")
            with pytest.raises(StoreFullError):
                await feeder.write("x", [1])
            raw.config_set("maxmemory", "0")
            await feeder.write("x", [1])
            assert await contents(session, "x") == [1]


async def test_a_server_that_may_evict_is_warned_of(tmp_path: Path) -> None:
    """All of a run's keys expire, so a volatile policy is as bad as one for all keys."""
    for policy in ("allkeys-lru", "volatile-ttl"):
        with Server(tmp_path / policy, aof=False, options={"maxmemory-policy": policy}) as server:
            entering = ValkeyStore(server.url)
            with pytest.warns(RuntimeWarning, match=policy):
                await entering.__aenter__()
            await entering.__aexit__(None, None, None)


async def test_cut_connections_lose_and_repeat_nothing(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str
) -> None:
    """While every connection is cut again and again, 400 values go through two nodes in order, each once."""
    total, seen = 400, 0

    async def cut(until: anyio.Event) -> None:
        while not until.is_set():
            for client in raw.client_list():
                if client["cmd"].partition("|")[0] in {"evalsha", "xread", "script"}:
                    raw.client_kill_filter(_id=client["id"])
            with anyio.move_on_after(0.02):
                await until.wait()

    async def feed(feeder: Hand) -> None:
        sent = 0
        while sent < total:
            woken = feeder.session.signals.event("room:x")
            done = await feeder.write("x", [sent % 250], end=sent == total - 1)
            if done.ok:
                sent += 1
            else:
                await woken.wait()

    async def carry(a: Hand) -> None:
        nonlocal seen
        await a.session.watch("x")
        while True:
            woken = a.session.signals.event("values:x")
            reading = await a.session.read("x", seen, 10)
            if reading.frames:
                seen = reading.frames[-1].end
                await a.read("p", "x", seen, writes=[a.to("y", values_of(reading))])
            elif reading.ended:
                return
            else:
                await woken.wait()

    spec = chain(run_id, capacity=10)
    free = RunSpec(spec.id, spec.name, {}, spec.nodes, (spec.streams[0], StreamSpec("y", "a"), *spec.streams[2:]))
    done = anyio.Event()
    async with session_of(valkey_store, free) as session, valkey_store.session(run_id, "w2") as other:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as cutter:
                cutter.start_soon(cut, done)
                async with anyio.create_task_group() as group:
                    group.start_soon(feed, await Hand.on(session, "in:x"))
                    group.start_soon(carry, await Hand.on(other, "a"))
                done.set()
        assert await contents(session, "y") == [n % 250 for n in range(total)]


async def test_a_session_that_missed_notices_wakes_everybody(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str
) -> None:
    """An inbox is bounded; a gap in its numbers means that something was dropped."""
    async with session_of(valkey_store, chain(run_id)) as session:
        woken = session.signals.event("values:y")
        raw.xadd(f"dg:{{{run_id}}}:inbox:w1", {"s": "values:x"}, id="0-9000")
        with anyio.fail_after(5):
            await woken.wait()


async def test_a_session_that_the_server_forgot_comes_back(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str
) -> None:
    """After a long stop of its process its inbox has expired; the next beat makes a new one and watches again."""
    async with session_of(valkey_store, chain(run_id)) as session, valkey_store.session(run_id, "w2") as other:
        await session.watch("x")
        feeder = await Hand.on(other, "in:x")
        raw.delete(f"dg:{{{run_id}}}:inbox:w1")
        await feeder.write("x", [1])
        woken = session.signals.event("values:y")
        await session.beat({})
        with anyio.fail_after(5):
            await woken.wait()
            told = session.signals.event("values:x")
            await feeder.write("x", [2])
            await told.wait()


async def test_a_session_leaves_nothing_that_others_wait_for(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str
) -> None:
    """Its lease, its inbox, its watches and its place among the blocked go with it."""
    await valkey_store.create(chain(run_id, capacity=1))
    async with valkey_store.session(run_id, "w2") as other:
        async with valkey_store.session(run_id, "w1") as session:
            feeder = await Hand.on(session, "in:x")
            await session.watch("y")
            await feeder.write("x", [1])
            assert not (await feeder.write("x", [2])).ok
            assert (await other.probe()).streams["x"].blocked == ("w1",)
        probe = await other.probe()
        assert probe.streams["x"].blocked == ()
        assert set(probe.workers) == {"w2"}
        assert not raw.exists(f"dg:{{{run_id}}}:inbox:w1")
        assert not raw.hget(f"dg:{{{run_id}}}:t:y", "subs")


async def test_a_range_that_was_claimed_and_never_heard_of_is_found_again(
    valkey_store: ValkeyStore, run_id: str
) -> None:
    """A cancelled request is asked again with its number, so its range is not stranded on a live worker."""
    async with session_of(valkey_store, chain(run_id, shared=True)) as session:
        await (await Hand.on(session, "in:x")).write("x", [1, 2, 3])
        await session.claim("a")
        script = valkey_store._client.script

        async def applied_and_cancelled(*args: Any) -> Any:
            await script(*args)
            scope.cancel()
            await anyio.sleep_forever()

        valkey_store._client.script = applied_and_cancelled  # type: ignore[method-assign]
        with anyio.CancelScope() as scope:
            await session.take("a", 2)
        valkey_store._client.script = script  # type: ignore[method-assign]
        taken = await session.take("a", 2)
        assert taken.range is not None
        assert taken.range[:] == (1, "p", "x", 0, 2)
        again = await session.take("a", 2)
        assert again.range is not None
        assert again.range.start == 2
