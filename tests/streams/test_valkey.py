"""What only a store on a server can do: answer twice, refuse, expire."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from datagraph.exceptions import (
    RunExistsError,
    RunNotFoundError,
    StoreConfigError,
)
from datagraph.streams import valkey
from datagraph.streams.records import NOW, Commit, Cut, Join, NodeSpec, ReaderSpec, Rewire, RunSpec, StreamSpec, Write
from datagraph.streams.store import Session
from datagraph.streams.valkey import ENDED_TTL, TTL, ValkeyStore
from tests.streams.kit import Hand, chain, contents, frame, insert, session_of, told, values_of

pytestmark = pytest.mark.anyio

HOUR = 3600
LETTER = msgspec.msgpack.encode({"payload": b"\7", "position": 1})


STORY = [
    b"RunStarted",
    b"NodeStarted in:x",
    b"e",
    b"NodeEnded in:x",
    b"NodeStarted a",
    b"NodeEnded a",
    b"NodeEnded a",
    b"NodeStarted c",
    b"NodeEnded c",
    b"NodeStarted b",
    b"t",
    b"RunPaused",
    b"RunPaused b",
    b"RunResumed",
    b"RunResumed b",
    b"NodeEnded b",
    b"RunEnded",
]


async def rewired(one: Session, two: Session, spec: RunSpec) -> None:
    """Node c comes and goes, and somebody asks for it."""
    more = replace(spec, nodes=(*spec.nodes, NodeSpec("c", inputs=(("r", "y"),))))
    assert (await one.rewire(Rewire(0, more, joins=[Join("c", "r", "y", 0)], added=["c"], fresh=["b"]))).joins == (0,)
    ask = await two.ask(b"drop c")
    assert await one.asks() == [(ask, b"drop c")]
    assert await one.rewire(Rewire(1, spec, cuts=[Cut("c", "r", NOW)], note=b"dropped")) == (2, (6,), ())
    await one.answer(ask, b"done")
    assert await two.answered(ask) == b"done"
    assert [note for *_, note in await two.changes()] == [b"", b"dropped"]
    c = await Hand.on(two, "c")
    await c.read("r", "y", 6, status="done")


async def story(store: ValkeyStore, run: str) -> list[int]:
    """Everything that a store can do, once; what node b has written in the end."""
    await store.create(chain(run, shared=True, capacity=100))
    async with store.session(run, "w1") as one, store.session(run, "w2") as two:
        await one.watch("y")
        feeder = await Hand.on(one, "in:x")
        await feeder.write("x", [1, 2, 3], [4, 5], end=True, events=[b"e"])
        await feeder.commit(status="done")
        a = await Hand.on(two, "a")
        while not (taken := await two.take("a", 2)).finished:
            assert taken.range is not None
            stream, start, stop = taken.range[2:]
            values = values_of(await two.read(stream, start, stop - start))
            first = (await two.read(stream, start, 1)).frames[0]
            mine = values[start - (first.end - first.count) :][: stop - start]
            letters = [LETTER] if start == 0 else []
            await a.commit(
                writes=[a.to("y", mine)], claim=taken.range.id, upto=stop, letters=letters, counters={"n": 1}
            )
            a.lengths["y"] = (await two.rooms("a", ["y"], wait=True)).rooms["y"].length
        await a.commit(writes=[a.to("y", end=True)], status="done")
        assert await two.reopen("a") == 1
        taken = await two.take("a", 10)
        assert taken.range is not None
        assert (await two.read(taken.range.stream, 0, 1)).frames[0].payload == b"\7"
        await a.commit(writes=[a.to("y", [7], end=True)], claim=taken.range.id, upto=1)
        await a.commit(status="done")
        await rewired(one, two, chain(run, shared=True))
        b = await Hand.on(one, "b")
        assert await one.grow("b", "q", 100, 200)
        await one.hold("b", "q", "open", capacity=300)
        await two.follow("y", 0)
        assert ("~w2", "y") in (await one.probe()).streams["y"].readers
        await two.follow("y", None)
        await two.tell([b"t"])
        record = await one.beat({"b": {"busy": 0.5}})
        assert (record.status, record.wiring, record.asked) == ("running", 2, 1)
        for action in ("pause", "resume"):
            await two.control(action)
            await two.control(action, "b")
        assert not (await two.control("stop")).paused_nodes
        await one.log("b", ["line 1", "line 2"])
        assert [line for _, line in await two.logs("b")] == ["line 1", "line 2"]
        reading = await one.read("y", 0, 100)
        assert reading.ended
        await b.read("q", "y", 6, size=6, writes=[b.to("z", values_of(reading), end=True)], status="done", state=b"s")
        probe = await two.probe()
        assert probe.run.status == "completed"
        assert probe.nodes["a"].counters == {"n": 3}
        assert probe.nodes["b"].report == {"w1": {"busy": 0.5}}
        assert set(probe.workers) == {"w1", "w2"}
        assert 0 <= probe.now - probe.run.created < HOUR
        assert await told(two) == STORY
        assert [run for run in await store.runs() if run.id == probe.run.id]
        return await contents(two, "z")


async def test_everything_works_together(valkey_store: ValkeyStore, run_id: str) -> None:
    """A run with a shared node, a dead letter sent again, and every other call."""
    assert await story(valkey_store, run_id) == [1, 2, 3, 4, 5, 7]


async def test_every_script_sent_twice_takes_effect_once(valkey_store: ValkeyStore, run_id: str) -> None:
    """A lost answer makes the client send again: the second answer is as good as the first, and nothing is done twice."""
    once, sent = valkey_store._client.script, []

    async def twice(*args: Any) -> Any:
        sent.append(args)
        await once(*args)
        return await once(*args)

    valkey_store._client.script = twice  # type: ignore[method-assign]
    assert await story(valkey_store, run_id) == [1, 2, 3, 4, 5, 7]
    assert len({script.sha for script, *_ in sent}) == 17  # all but forget


def acl_of(text: str) -> list[str]:
    """The rules of the first ACL SETUSER in a text."""
    rest = text.split("ACL SETUSER datagraph", 1)[1]
    return re.split(r'"|\n\n', rest, maxsplit=1)[0].split()


LOOSE = (
    "ACL SETUSER datagraph on >secret resetkeys ~dg:* -@all +@stream +@hash +@read +@scripting +@transaction +ping"
    " +expire +del +unlink +@set +@sortedset +@string -@dangerous"
)


@pytest.mark.parametrize("rules", [valkey.__doc__, LOOSE], ids=["least", "by category"])
async def test_a_user_with_few_rights_can_do_everything(
    server_url: str, raw: redis.Redis, run_id: str, rules: str
) -> None:
    """What the documentation says suffices, suffices; INFO and TIME are done without."""
    raw.execute_command("ACL", "SETUSER", "datagraph", "reset", *acl_of(rules))
    try:
        with redis.Redis.from_url(server_url, username="datagraph", password="secret") as user:
            with pytest.raises(redis.exceptions.NoPermissionError):
                user.info()
            with pytest.raises(redis.exceptions.NoPermissionError):
                user.time()
        path = server_url.removeprefix("unix://")
        async with ValkeyStore(f"unix://datagraph:secret@{path}") as store:
            assert "secret" not in store.url
            assert await story(store, run_id) == [1, 2, 3, 4, 5, 7]
            assert await store.forget(run_id) > 10
    finally:
        raw.execute_command("ACL", "DELUSER", "datagraph")


async def test_every_key_of_a_run_expires_and_forget_leaves_none(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str, keys_of: Callable[[], list[bytes]]
) -> None:
    """Days while it runs, hours once it has ended, at once when it is forgotten."""
    async with session_of(valkey_store, chain(run_id)) as session:
        await (await Hand.on(session, "in:x")).write("x", [1])
        change = insert(chain(run_id))
        await session.rewire(change)
        dropped = replace(change.spec, nodes=change.spec.nodes[:3], streams=change.spec.streams[:4])
        await session.rewire(Rewire(1, dropped, cuts=[Cut("clean", "c", NOW)]))
        await session.answer(await session.ask(b""), b"")
        assert all(0 < raw.ttl(key) <= TTL for key in keys_of())
        assert raw.ttl(f"dg:{{{run_id}}}:run") > 6 * 24 * HOUR
        await session.control("cancel")
        assert all(0 < raw.ttl(key) <= ENDED_TTL for key in keys_of())
        await session.answer(await session.ask(b""), b"")
        raw.delete(f"dg:{{{run_id}}}:asks", f"dg:{{{run_id}}}:answers")
        await session.answer(await session.ask(b""), b"")
        assert all(0 < raw.ttl(key) <= ENDED_TTL for key in keys_of())
    assert await valkey_store.forget(run_id) == 8 + 4 * 4 + 5 * 2
    assert keys_of() == []
    assert raw.zscore("dg:runs", run_id) is None
    assert await valkey_store.forget(run_id) == 0


async def test_beats_renew_the_expiry_of_a_run_that_goes_on(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str, keys_of: Callable[[], list[bytes]]
) -> None:
    """Not at every beat: only when the last time is over an hour ago."""
    async with session_of(valkey_store, chain(run_id)) as session:
        for key in keys_of():
            raw.expire(key, 100)
        await session.beat({})
        assert raw.ttl(f"dg:{{{run_id}}}:s:x") <= 100
        raw.hincrby(f"dg:{{{run_id}}}:run", "renewed", -2 * HOUR * 1000)
        await session.beat({})
        assert all(raw.ttl(key) > 100 for key in keys_of() if b":inbox:" not in key)


async def test_expired_runs_leave_the_index(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str, keys_of: Callable[[], list[bytes]]
) -> None:
    """The list of runs is pruned when it is read."""
    await valkey_store.create(chain(run_id))
    raw.delete(*keys_of())
    assert run_id not in [run.id for run in await valkey_store.runs()]
    assert raw.zscore("dg:runs", run_id) is None
    with pytest.raises(RunNotFoundError, match=run_id):
        await valkey_store.find(run_id)


async def test_a_run_is_created_once(valkey_store: ValkeyStore, run_id: str) -> None:
    """Another creator of the same id is refused, whatever it wants to write."""
    await valkey_store.create(chain(run_id))
    with pytest.raises(RunExistsError, match=run_id):
        await valkey_store.create(RunSpec(run_id, "other", {}, (), ()))
    assert (await valkey_store.find(run_id)).name == "chain"


async def test_an_old_server_is_refused() -> None:
    """Streams before Redis 7 cannot number entries as we do."""
    with pytest.raises(StoreConfigError, match=r"Redis 6\.2\.14"):
        ValkeyStore("redis://h")._check({"redis_version": "6.2.14"})


async def test_a_frame_that_is_read_early_is_not_cut(valkey_store: ValkeyStore, run_id: str) -> None:
    """Thousands of one-value frames come in steps, in order, up to the limit."""
    async with session_of(valkey_store, chain(run_id, capacity=10**6)) as session:
        feeder = await Hand.on(session, "in:x")
        for _ in range(3):
            await feeder.write("x", *[[n % 250] for n in range(700)])
        assert len((await session.read("x", 0, 2000)).frames) == 2000
        assert [f.end for f in (await session.read("x", 2000, 500)).frames] == list(range(2001, 2101))
        assert [f.end for f in (await session.tail("x", 1500)).frames] == list(range(601, 2101))


async def test_a_probe_costs_one_command_a_node_and_stream(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str
) -> None:
    """It is looked at ten times a second, so it may not grow with anything else."""
    names = [f"n{i}" for i in range(20)]
    nodes = tuple(NodeSpec(name, outputs=(name,)) for name in names)
    async with session_of(
        valkey_store, RunSpec(run_id, "wide", {}, nodes, tuple(StreamSpec(name, name) for name in names))
    ) as session:
        await session.probe()
        raw.config_resetstat()
        await session.probe()
        calls = {name: facts["calls"] for name, facts in raw.info("commandstats").items()}
        assert (calls["cmdstat_hmget"], calls["cmdstat_time"], calls["cmdstat_hgetall"]) == (1, 1, 2 + 20 + 20)


async def test_bytes_of_a_shared_node_are_exact_once_it_has_caught_up(valkey_store: ValkeyStore, run_id: str) -> None:
    """In between they are an estimate that lies between what was and what will be."""
    async with session_of(valkey_store, chain(run_id, shared=True, capacity=100)) as session:
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        await feeder.commit(writes=[Write("x", 0, [frame([1, 2, 3]), frame([0], 100)])])
        sizes = []
        for stop in (2, 4):
            taken = await session.take("a", 2)
            assert taken.range is not None
            await a.commit(claim=taken.range.id, upto=stop)
            sizes.append((await session.probe()).streams["x"].readers["a", "p"].size)
        assert 0 < sizes[0] < 103 == sizes[1]


async def test_names_may_hold_anything_that_can_be_shown(valkey_store: ValkeyStore, run_id: str) -> None:
    """Colons, braces, spaces and other alphabets in names of streams, nodes, ports and workers."""
    odd = "a:b{c} größe"
    spec = RunSpec(
        run_id,
        odd,
        {},
        (NodeSpec("f" + odd, outputs=(odd,)), NodeSpec(odd, inputs=((odd, odd),))),
        (StreamSpec(odd, "f" + odd, (ReaderSpec(odd, odd),)),),
    )
    async with session_of(valkey_store, spec, worker=odd) as session:
        await (await Hand.on(session, "f" + odd)).write(odd, [1])
        node = await Hand.on(session, odd)
        await session.beat({odd: {"busy": 1.0}})
        await node.read(odd, odd, 1, size=1, counters={odd: 1}, looked={odd: b"l"})
        record = await session.claim(odd)
        assert (record.cursors, record.counters, record.looked) == ({odd: (1, 1)}, {odd: 1}, {odd: b"l"})
        assert (await session.probe()).nodes[odd].report == {odd: {"busy": 1.0}}


async def test_positions_stay_exact_beyond_fifteen_digits(
    valkey_store: ValkeyStore, raw: redis.Redis, run_id: str
) -> None:
    """The server's language writes large numbers as 1e+15 unless it is told not to."""
    async with session_of(valkey_store, chain(run_id, capacity=2**52, size=2**52)) as session:
        start = 10**15
        for key, fields in {"t:x": {"n": start, "b": start, "first": start, "low": start}}.items():
            raw.hset(f"dg:{{{run_id}}}:{key}", mapping=fields)
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        await feeder.write("x", [1, 2, 3])
        reading = await session.read("x", start, 10)
        assert (reading.length, reading.frames[0].end) == (start + 3, start + 3)
        await a.read("p", "x", start + 3, size=start + 3)
        assert (await session.claim("a")).cursors["p"] == (start + 3, start + 3)
        assert (await session.probe()).streams["x"].readers["a", "p"].cursor == start + 3


async def test_a_frame_without_values_is_refused(valkey_store: ValkeyStore, run_id: str) -> None:
    """It would have the position of the frame before it."""
    async with session_of(valkey_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        with pytest.raises(ValueError, match="holds no value"):
            await session.commit(Commit("in:x", feeder.epoch, 1, [Write("x", 0, [(1, b"\1", 1), (0, b"", 0)])]))
        assert await contents(session, "x") == []


def test_the_index_is_no_part_of_the_scripts() -> None:
    """It is on another slot: a script that touched it could not run on a cluster."""
    folder = Path(valkey.__file__).parent / "scripts"
    sources: Sequence[str] = [path.read_text() for path in folder.glob("*.lua")]
    assert len(sources) > 10
    assert not any("dg:runs" in source for source in sources)
