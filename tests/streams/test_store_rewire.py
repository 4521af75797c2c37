"""What every store guarantees of a run that is rewired while it goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anyio
import pytest

from datagraph.exceptions import (
    MovedError,
    RewoundError,
    RunError,
    StreamTrimmedError,
    UnknownIOError,
    WiringChangedError,
)
from datagraph.streams.records import (
    CLAIMED,
    NOW,
    Advance,
    Cut,
    Join,
    NodeSpec,
    ReaderSpec,
    Rewire,
    RunSpec,
    Segment,
    StreamSpec,
    at_cut,
)
from datagraph.streams.store import Session, Store
from tests.streams.kit import Hand, chain, contents, session_of, told, values_of

pytestmark = pytest.mark.anyio

CLEAN = NodeSpec("clean", inputs=(("c", "x"),), outputs=("w",))


def reading(spec: RunSpec, node: str, *segments: tuple[str, str], **changes: Any) -> RunSpec:
    """A spec in which a node reads these segments."""
    nodes = tuple(replace(n, inputs=segments, **changes) if n.name == node else n for n in spec.nodes)
    return replace(spec, nodes=nodes, graph={"version": 2})


def with_clean(spec: RunSpec, *segments: tuple[str, str]) -> RunSpec:
    """A spec with a node more, `clean`, between x and what node a reads."""
    spec = reading(spec, "a", *segments)
    return replace(spec, nodes=(*spec.nodes, CLEAN), streams=(*spec.streams, StreamSpec("w", "clean")))


def insert(spec: RunSpec, version: int = 0, **changes: Any) -> Rewire:
    """Put `clean` between x and node a, now."""
    facts: dict[str, Any] = {
        "cuts": [Cut("a", "p", NOW)],
        "joins": [Join("clean", "c", "x", at_cut(0)), Join("a", "p#1", "w", 0, 5)],
        "added": ["clean"],
        "note": b"\x93note\xff",
    }
    return Rewire(version, with_clean(spec, ("p", "x"), ("p#1", "w")), **facts | changes)


async def finish(session: Session, *nodes: str) -> str:
    """End these nodes and what they write; the run's status afterwards."""
    status = ""
    for node in nodes:
        hand = await Hand.on(session, node, force=True)
        done = await hand.commit(writes=[hand.to(s, end=True) for s in hand.lengths], status="done")
        status = done.status
    return status


async def test_a_node_is_put_into_an_edge_at_one_position(any_store: Store, run_id: str) -> None:
    """What was written before the cut is read the old way, what comes after it the new way, by one reader each."""
    spec = chain(run_id)
    async with session_of(any_store, spec) as session:
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        await feeder.write("x", [1, 2, 3])
        await a.read("p", "x", 1, writes=[a.to("y", [1])])
        assert await session.rewire(insert(spec)) == (1, (3,), (3, 0))
        await feeder.write("x", [4, 5])
        await a.read("p", "x", 3, writes=[a.to("y", [2, 3])])
        with pytest.raises(MovedError, match=r"node 'a'.*'?p'?.*stops? at 3.*claim the node again"):
            await a.read("p", "x", 4, writes=[a.to("y", [4])])
        record = await session.claim("a")
        again = ("again", "~a", None)
        assert record.segments == (again, Segment("p", "x", 3), Segment("p#1", "w", None))
        assert (record.cursors["p"][0], record.cursors["p#1"]) == (3, (0, 0))
        clean, a = await Hand.on(session, "clean"), Hand.of(session, record)
        assert clean.cursors == {"c": 3}
        assert values_of(await session.read("x", 3, 10)) == [4, 5]
        await clean.read("c", "x", 5, writes=[clean.to("w", [14, 15])])
        await a.read("p#1", "w", 2, size=2, writes=[a.to("y", [14, 15])])
        assert await contents(session, "y") == [1, 2, 3, 14, 15]
        probe = await session.probe()
        assert probe.nodes["a"].segments == record.segments
        assert probe.streams["x"].readers["a", "p"][4:] == ("free", 3)
        assert probe.streams["w"].readers["a", "p#1"][:5] == (2, 2, 5, 64 * 2**20, "hold")
        assert (probe.run.wiring, probe.run.graph, probe.run.nodes[-1]) == (1, {"version": 2}, CLEAN)
        assert await finish(session, "in:x", "clean", "a") == "running"
        assert await finish(session, "b") == "completed"


async def test_a_segment_that_was_cut_holds_no_writer_back_and_keeps_what_it_has_to_read(
    any_store: Store, run_id: str
) -> None:
    """The writer goes on at once; values are trimmed only once the reader has read up to its cut."""
    spec = chain(run_id, capacity=2, keep=0)
    async with session_of(any_store, spec) as session:
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        await feeder.write("x", [1, 2])
        woken = session.signals.event("room:x")
        assert not (await feeder.write("x", [3])).ok
        change = Rewire(0, reading(spec, "a", ("p", "x")), cuts=[Cut("a", "p", NOW)])
        async with any_store.session(run_id, "w2") as other:
            await other.rewire(change)
        with anyio.fail_after(5):
            await woken.wait()
        assert (await feeder.write("x", *[[0] * 100] * 30)).ok
        assert (await session.probe()).streams["x"].readers["a", "p"][4:] == ("open", 2)
        await session.hold("a", "p", "hold")
        assert (await feeder.write("x", [0] * 100)).ok
        assert (await session.probe()).streams["x"].first == 0
        await a.read("p", "x", 2)
        x = (await session.probe()).streams["x"]
        assert x.readers["a", "p"].hold == "free"
        assert x.first >= 2000
        await session.hold("a", "p", "hold")
        assert (await session.probe()).streams["x"].readers["a", "p"].hold == "free"


@pytest.mark.parametrize("version", [0, 2])
async def test_of_two_changes_made_for_one_wiring_the_first_is_made(
    any_store: Store, run_id: str, version: int
) -> None:
    """The other is told which version there is, and changes nothing."""
    spec = chain(run_id)
    async with session_of(any_store, spec) as session:
        await session.rewire(insert(spec))
        with pytest.raises(WiringChangedError, match="look at the run again and plan anew") as caught:
            await session.rewire(Rewire(version, spec, cuts=[Cut("b", "q", 0)]))
        assert (caught.value.expected, caught.value.found) == (version, 1)
        probe = await session.probe()
        assert (probe.run.wiring, probe.streams["y"].readers["b", "q"].until) == (1, None)


async def test_changes_are_kept_with_time_and_note(any_store: Store, run_id: str) -> None:
    """Oldest first, of the last ones; events of a change are in the run's log."""
    spec = chain(run_id)
    async with session_of(any_store, spec) as session, any_store.session(run_id, "w2") as other:
        run = other.signals.event("run")
        for version in range(3):
            await session.rewire(Rewire(version, spec, note=b"\xff%d" % version, events=[b"e%d" % version]))
        with anyio.fail_after(5):
            await run.wait()
        probe = await other.probe()
        changes = await other.changes()
        assert [(version, note) for version, _, note in changes] == [(1, b"\xff0"), (2, b"\xff1"), (3, b"\xff2")]
        assert all(probe.run.created - 1 <= at <= probe.now + 1 for _, at, _ in changes)
        assert [version for version, *_ in await other.changes(2)] == [2, 3]
        assert [event for event in await told(other) if event[:1] == b"e"] == [b"e0", b"e1", b"e2"]
