"""What every store guarantees of whole runs: ends, control, what is shown of them, what is forgotten."""

from __future__ import annotations

import time
from dataclasses import replace

import anyio
import pytest

from datagraph.exceptions import FencedError, RunExistsError, RunNotFoundError, StoreLostError
from datagraph.streams.records import Write
from datagraph.streams.store import Store
from tests.streams.kit import Hand, chain, fan_out, frame, session_of

pytestmark = pytest.mark.anyio


async def test_a_run_is_written_once_and_found_by_id_and_name(any_store: Store, run_id: str) -> None:
    """The id is unique; a name means the newest run that has it."""
    spec = chain(run_id)
    await any_store.create(spec)
    with pytest.raises(RunExistsError, match=run_id):
        await any_store.create(chain(run_id))
    await any_store.create(fan_out(f"{run_id}b", "hold"))
    found = await any_store.find(run_id)
    assert (found.id, found.name, found.status, found.nodes) == (run_id, "chain", "running", spec.nodes)
    assert (dict(found.graph), dict(found.meta)) == ({"version": 1}, {"by": "test"})
    assert abs(found.created - time.time()) < 60
    assert (await any_store.find("fan")).id == f"{run_id}b"
    ours = [record.id for record in await any_store.runs() if record.id.startswith(run_id)]
    assert ours == [f"{run_id}b", run_id]


async def test_what_is_not_there_is_not_found(any_store: Store, run_id: str) -> None:
    """Neither by name nor by a session."""
    with pytest.raises(RunNotFoundError):
        await any_store.find(run_id)
    with pytest.raises(RunNotFoundError):
        async with any_store.session(run_id, "w1"):
            pass
    assert await any_store.forget(run_id) == 0


async def test_a_forgotten_run_is_lost_to_its_workers(any_store: Store, run_id: str) -> None:
    """Everything of it goes at once, and the next call of a live worker says so."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1], letters=[b"\x80"], events=[b"e"])
        await session.log("a", ["line"])
        assert await any_store.forget(run_id) > 3
        with pytest.raises(RunNotFoundError):
            await any_store.find(run_id)
        with pytest.raises(StoreLostError, match=run_id):
            await feeder.write("x", [2])
        with pytest.raises(StoreLostError):
            await session.probe()
        assert run_id not in [record.id for record in await any_store.runs()]


async def test_a_run_is_completed_when_its_counting_nodes_are_done(any_store: Store, run_id: str) -> None:
    """The last of them completes it, tells everybody, and frees what its readers held; feeders do not count."""
    async with session_of(any_store, chain(run_id, capacity=2)) as session, any_store.session(run_id, "w2") as other:
        feeder = await Hand.on(session, "in:x")
        assert (await feeder.write("x", [1, 2])).rooms["x"].values == 0
        a, b = await Hand.on(session, "a"), await Hand.on(session, "b")
        woken, told = other.signals.event("room:x"), other.signals.event("run")
        await other.rooms("in:x", ["x"], wait=True)
        assert (await a.write("y", end=True, status="done")).status == "running"
        with anyio.fail_after(5):
            await woken.wait()
        assert (await session.rooms("in:x", ["x"])).rooms["x"].values >= 2**40
        assert (await b.write("z", end=True, status="done")).status == "completed"
        with anyio.fail_after(5):
            await told.wait()
        probe = await other.probe()
        assert (probe.run.status, probe.nodes["a"].status, probe.nodes["in:x"].status) == (
            "completed",
            "done",
            "running",
        )
        assert probe.run.ended >= probe.run.created
        assert probe.streams["x"].readers["a", "p"].hold == "free"
        assert (await other.claim("a", force=True)).status == "done"


async def test_a_failed_node_fails_its_run(any_store: Store, run_id: str) -> None:
    """The error is kept with node and run, everybody is told, and later commits learn it from their answer."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2") as other:
        feeder = await Hand.on(other, "in:x")
        told = other.signals.event("run")
        a = await Hand.on(session, "a")
        assert (await a.commit(status="failed", error=b"why")).status == "failed"
        with anyio.fail_after(5):
            await told.wait()
        assert (await feeder.write("x", [1])).status == "failed"
        probe = await other.probe()
        assert (probe.run.status, probe.run.error, probe.nodes["a"].error) == ("failed", b"why", b"why")
        assert probe.run.ended > 0


async def test_a_run_fails_from_outside_once(any_store: Store, run_id: str) -> None:
    """The first end of a run stands."""
    async with session_of(any_store, chain(run_id)) as session:
        told = session.signals.event("run")
        assert (await session.fail(b"first")).status == "failed"
        with anyio.fail_after(5):
            await told.wait()
        assert (await session.fail(b"second")).error == b"first"
        assert (await session.control("cancel")).status == "failed"


async def test_cancelling_fences_every_node(any_store: Store, run_id: str) -> None:
    """Whoever still holds a node of a cancelled run cannot write."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2") as other:
        hands = [await Hand.on(session, "in:x"), await Hand.on(session, "a")]
        told = session.signals.event("run")
        assert (await other.control("cancel")).status == "cancelled"
        with anyio.fail_after(5):
            await told.wait()
        for hand in hands:
            with pytest.raises(FencedError):
                await hand.commit(writes=[Write(s, 0, [frame([1])]) for s in hand.lengths])
        probe = await session.probe()
        assert all(stream.length == 0 for stream in probe.streams.values())
        assert all(probe.nodes[hand.node].epoch > hand.epoch for hand in hands)


async def test_control_sets_flags_and_tells_everybody(any_store: Store, run_id: str) -> None:
    """Pause and resume work on the run and on single nodes; stop stays; a beat brings the flags."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2") as other:
        for action, node, paused, nodes, stopping in (
            ("pause", "", True, set(), False),
            ("pause", "a", True, {"a"}, False),
            ("pause", "b", True, {"a", "b"}, False),
            ("resume", "", False, {"a", "b"}, False),
            ("resume", "a", False, {"b"}, False),
            ("stop", "", False, {"b"}, True),
        ):
            told = session.signals.event("run")
            answer = await other.control(action, node)
            with anyio.fail_after(5):
                await told.wait()
            for record in (answer, await session.beat({}), await any_store.find(run_id)):
                assert (record.paused, record.paused_nodes, record.stopping) == (paused, nodes, stopping)
                assert record.status == "running"


async def test_a_run_can_begin_paused(any_store: Store, run_id: str) -> None:
    """Such a run waits for its first resume."""
    async with session_of(any_store, replace(chain(run_id), paused=True)) as session:
        assert (await session.beat({})).paused
        assert not (await session.control("resume")).paused


async def test_a_beat_replaces_what_the_worker_reported(any_store: Store, run_id: str) -> None:
    """Of each worker only the last report counts; a probe shows them by node and worker, with the live workers."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2") as other:
        await session.beat({"a": {"busy": 1}, "b": {"busy": 2}})
        await other.beat({"a": {"busy": 3}})
        await session.beat({"a": {"busy": 4}})
        async with any_store.session(run_id, "looks", lease=0) as looker:
            probe = await looker.probe()
        assert dict(probe.nodes["a"].report) == {"w1": {"busy": 4}, "w2": {"busy": 3}}
        assert dict(probe.nodes["b"].report) == {}
        assert set(probe.workers) == {"w1", "w2"}


async def test_a_probe_shows_the_whole_run(any_store: Store, run_id: str) -> None:
    """Lengths, positions, bytes, capacities, holds, ends, owners and who waits for room, at one moment."""
    async with session_of(any_store, chain(run_id, capacity=3, size=500)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.commit(writes=[feeder.to("x", [0], [0], [0], size=100)])
        assert not (await feeder.commit(writes=[feeder.to("x", [0], size=100)])).ok
        b = await Hand.on(session, "b")
        await b.write("z", end=True)
        probe = await session.probe()
        x, reader = probe.streams["x"], probe.streams["x"].readers["a", "p"]
        assert (x.name, x.length, x.size, x.first, x.ended, x.blocked) == ("x", 3, 300, 0, False, ("w1",))
        assert tuple(reader) == (0, 0, 3, 500, "hold", None, 0)
        assert probe.streams["z"].ended
        assert (probe.nodes["in:x"].owner, probe.nodes["in:x"].epoch) == ("w1", 1)
        assert (probe.nodes["a"].owner, probe.nodes["a"].status) == ("", "waiting")
        assert dict(probe.nodes["in:x"].lengths) == {"x": 3}
        assert (probe.run.id, probe.run.name) == (run_id, "chain")
        assert abs(probe.now - time.time()) < 60


async def test_logs_keep_their_last_lines(any_store: Store, run_id: str) -> None:
    """Each node has its own, with times, in the order of writing."""
    async with session_of(any_store, chain(run_id)) as session:
        await session.log("a", ["one", "two"])
        await session.log("a", ["three"])
        lines = await session.logs("a")
        assert [line for _, line in lines] == ["one", "two", "three"]
        assert all(abs(at - time.time()) < 60 for at, _ in lines)
        assert [line for _, line in await session.logs("a", limit=2)] == ["two", "three"]
        assert await session.logs("b") == []


async def test_events_are_read_on_from_an_id(any_store: Store, run_id: str) -> None:
    """What two nodes committed stands in one order, and a reader goes on where it was."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        before = (await session.events())[-1][0]
        await feeder.commit(events=[b"1", b"2"])
        await a.commit(events=[b"3"])
        first = await session.events(before, limit=2)
        assert [event for _, event in first] == [b"1", b"2"]
        await feeder.commit(events=[b"4"])
        rest = await session.events(first[-1][0])
        assert [event for _, event in rest] == [b"3", b"4"]
        assert await session.events(rest[-1][0]) == []


async def test_runs_do_not_disturb_each_other(any_store: Store, run_id: str) -> None:
    """Streams, nodes and workers of the same names in two runs are not the same."""
    async with session_of(any_store, chain(run_id)) as one, session_of(any_store, chain(f"{run_id}b")) as two:
        first, second = await Hand.on(one, "in:x"), await Hand.on(two, "in:x")
        await first.write("x", [1, 2])
        await second.write("x", [3])
        await one.control("cancel")
        assert (await second.write("x", [4])).status == "running"
        assert (await two.probe()).streams["x"].length == 2
        await any_store.forget(run_id)
        assert (await two.read("x", 0, 9)).length == 2
