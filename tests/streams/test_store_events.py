"""What every store tells of a run's life by itself: each thing once, in the words of `events.model`."""

from __future__ import annotations

import msgspec
import pytest

from datagraph.events.model import Event, NodeEnded, NodeFailed, NodeStarted, RunEnded, RunPaused, decode
from datagraph.streams.store import Session, Store
from tests.streams.kit import Hand, chain, session_of, told

pytestmark = pytest.mark.anyio

REPORT = msgspec.json.encode({"node": "a", "message": "'a' failed: no", "position": 7, "attempts": 2})


async def events_of(session: Session) -> list[Event]:
    return [decode(event) for _, event in await session.events()]


async def test_a_life_is_told_once(any_store: Store, run_id: str) -> None:
    """A run starts, its nodes start and end with their counts, and the last one's end is that of the run."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1, 2, 3], end=True, status="done")
        a = await Hand.on(session, "a")
        await a.read("p", "x", 3, writes=[a.to("y", [4, 5], end=True)], status="done")
        b = await Hand.on(session, "b")
        await b.read("q", "y", 2, writes=[b.to("z", end=True)], status="done")
        found = await events_of(session)
        assert [type(event).__name__ for event in found] == [
            "RunStarted",
            *["NodeStarted", "NodeEnded"] * 3,
            "RunEnded",
        ]
        assert all(event.run == run_id for event in found)
        now = (await session.probe()).now
        assert all(0 <= now - event.at < 60 for event in found)
        assert [(e.node, e.read, e.written) for e in found if isinstance(e, NodeEnded)] == [
            ("in:x", 0, 3),
            ("a", 3, 2),
            ("b", 2, 0),
        ]
        assert [e.status for e in found if isinstance(e, RunEnded)] == ["completed"]


async def test_taking_a_node_again_is_told_only_of_another_worker(any_store: Store, run_id: str) -> None:
    """A worker that begins again after an error is no news; one that takes over is."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2") as other:
        await session.claim("a")
        await session.claim("a")
        await other.claim("a", force=True)
        started = [event for event in await events_of(session) if isinstance(event, NodeStarted)]
        assert [(event.worker, event.epoch) for event in started] == [("w1", 1), ("w2", 3)]


async def test_a_failure_tells_node_value_and_run(any_store: Store, run_id: str) -> None:
    """The node's event has what its report says; the run's has the sentence."""
    async with session_of(any_store, chain(run_id)) as session:
        await (await Hand.on(session, "a")).commit(status="failed", error=REPORT)
        await session.fail(b"later")
        node, run = (await events_of(session))[-2:]
        assert isinstance(node, NodeFailed)
        assert (node.node, node.error, node.position, node.attempts) == ("a", "'a' failed: no", 7, 2)
        assert isinstance(run, RunEnded)
        assert (run.status, run.error) == ("failed", "'a' failed: no")


async def test_ends_from_outside_are_told_once(any_store: Store, run_id: str) -> None:
    """Cancelling twice, or failing what is cancelled, is one end; an error that is no report is told as it is."""
    async with session_of(any_store, chain(run_id)) as session, session_of(any_store, chain(f"{run_id}b")) as two:
        await session.control("cancel")
        await session.control("cancel")
        await session.fail(b"no")
        assert await told(session) == [b"RunStarted", b"RunEnded"]
        await two.fail(b"plain words")
        last = (await events_of(two))[-1]
        assert isinstance(last, RunEnded)
        assert (last.status, last.error) == ("failed", "plain words")


async def test_pausing_is_told_where_it_changes_something(any_store: Store, run_id: str) -> None:
    """Who pauses what is paused already says nothing new."""
    async with session_of(any_store, chain(run_id)) as session:
        for action, node in (("resume", ""), ("pause", ""), ("pause", ""), ("pause", "a"), ("pause", "a")):
            await session.control(action, node)
        for action, node in (("resume", "b"), ("resume", "a"), ("resume", ""), ("stop", "")):
            await session.control(action, node)
        found = await events_of(session)
        assert [type(event).__name__ for event in found[1:]] == ["RunPaused"] * 2 + ["RunResumed"] * 2
        assert [event.node for event in found if isinstance(event, RunPaused)] == ["", "a"]


async def test_what_no_commit_carries_is_told_in_order(any_store: Store, run_id: str) -> None:
    """`tell` adds to the same log."""
    async with session_of(any_store, chain(run_id)) as session:
        await session.tell([b"1", b"2"])
        await (await Hand.on(session, "a")).commit(events=[b"3"])
        await session.tell([])
        assert await told(session) == [b"RunStarted", b"1", b"2", b"NodeStarted a", b"3"]
