"""What every store guarantees of nodes that several workers share, or share from now on, while they are rewired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from datagraph.exceptions import RewoundError, RunError
from datagraph.streams.records import CLAIMED, NOW, Cut, Join, Range, Rewire, RunSpec, Write
from datagraph.streams.store import Session, Store
from tests.streams.kit import Hand, chain, contents, insert, reading, session_of

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def two_workers(
    store: Store, run: str, values: int, *, ordered: bool = True
) -> AsyncIterator[tuple[RunSpec, Session, Session, Hand, Hand]]:
    """A shared node a with `values` values in front of it, and two workers' hands on it."""
    spec = chain(run, capacity=100, shared=True, ordered=ordered)
    async with session_of(store, spec) as one, store.session(run, "w2") as two:
        await (await Hand.on(one, "in:x")).write("x", list(range(values)))
        yield spec, one, two, await Hand.on(one, "a"), await Hand.on(two, "a")


async def take(session: Session, limit: int) -> Range:
    """A range that must be there."""
    found = (await session.take("a", limit)).range
    assert found is not None
    return found


def output(*values: int) -> Write:
    """What a worker of a shared node writes to y."""
    return Write("y", 0, [(len(values), bytes(values), len(values))])


async def test_a_shared_node_is_cut_where_it_is_claimed(any_store: Store, run_id: str) -> None:
    """What workers have in hand they finish; nothing behind it is claimed of the old stream, then comes the new one."""
    async with two_workers(any_store, run_id, 6) as (spec, one, two, a1, a2):
        first, second = await take(one, 2), await take(two, 2)
        change = insert(
            spec, cuts=[Cut("a", "p", CLAIMED)], joins=[Join("clean", "c", "x", -10), Join("a", "p#1", "w", 0)]
        )
        assert await one.rewire(change) == (1, (4,), (4, 0))
        assert await one.take("a", 2) == (None, False)
        clean = await Hand.on(one, "clean")
        await clean.read("c", "x", 6, writes=[clean.to("w", [14, 15])])
        third = await take(two, 1)
        assert third[1:] == ("p#1", "w", 0, 1)
        turn = two.signals.event("turn:a")
        assert not (await a2.commit(writes=[output(14)], claim=third.id, upto=1)).turn
        assert (await a1.commit(writes=[output(0, 1)], claim=first.id, upto=2)).ok
        assert not (await a2.commit(writes=[output(14)], claim=third.id, upto=1)).turn
        assert (await a2.commit(writes=[output(2, 3)], claim=second.id, upto=4)).ok
        with anyio.fail_after(5):
            await turn.wait()
        assert (await one.probe()).streams["x"].readers["a", "p"][4:] == ("free", 4, 0)
        assert (await a2.commit(writes=[output(14)], claim=third.id, upto=1)).ok
        last = await take(one, 9)
        assert (await a1.commit(writes=[output(15)], claim=last.id, upto=2)).ok
        assert await contents(one, "y") == [0, 1, 2, 3, 14, 15]
        assert (await one.take("a", 1)) == (None, False)
        await clean.write("w", end=True, status="done")
        assert (await one.take("a", 1)) == (None, True)


async def test_workers_wait_for_an_earlier_segment_that_goes_on(any_store: Store, run_id: str) -> None:
    """A later one has values, but the earlier neither stops nor has ended."""
    async with two_workers(any_store, run_id, 2) as (spec, one, two, _, _):
        await one.rewire(insert(spec, cuts=(), joins=[Join("clean", "c", "x", 0), Join("a", "p#1", "w", 0)]))
        clean = await Hand.on(one, "clean")
        await clean.write("w", [1])
        assert (await take(two, 9)).port == "p"
        assert await two.take("a", 9) == (None, False)
        await one.rewire(Rewire(1, insert(spec).spec, cuts=[Cut("a", "p", NOW)]))
        assert (await take(two, 9)).port == "p#1"


async def test_unordered_workers_commit_segments_as_they_come(any_store: Store, run_id: str) -> None:
    """The old one's position stays until the last of its ranges is done."""
    async with two_workers(any_store, run_id, 2, ordered=False) as (spec, one, two, a1, a2):
        first = await take(one, 2)
        change = Rewire(
            0, reading(spec, "a", ("p", "x"), ("p#1", "x")), [Cut("a", "p", CLAIMED)], [Join("a", "p#1", "x", NOW)]
        )
        await one.rewire(change)
        await (await Hand.on(one, "in:x")).write("x", [7])
        second = await take(two, 2)
        assert second[1:] == ("p#1", "x", 2, 3)
        assert (await a2.commit(writes=[output(7)], claim=second.id, upto=3)).ok
        readers = (await one.probe()).streams["x"].readers
        assert (readers["a", "p"].cursor, readers["a", "p#1"].cursor) == (0, 3)
        assert (await a1.commit(writes=[output(0, 1)], claim=first.id, upto=2)).ok
        assert (await one.probe()).streams["x"].readers["a", "p"].hold == "free"


async def test_a_dead_workers_range_before_the_cut_is_finished_by_another(any_store: Store, run_id: str) -> None:
    """It was claimed, so it belongs to the old wiring, whoever does it in the end."""
    async with two_workers(any_store, run_id, 4) as (spec, one, _, a1, _):
        async with any_store.session(run_id, "w3") as three:
            await three.claim("a")
            await take(three, 2)
        await one.rewire(insert(spec, cuts=[Cut("a", "p", CLAIMED)]))
        found = await take(one, 9)
        assert found[1:] == ("p", "x", 0, 2)
        assert (await a1.commit(writes=[output(0, 1)], claim=found.id, upto=2)).ok
        assert await one.take("a", 9) == (None, False)


async def test_a_node_that_becomes_shared_goes_on_where_it_was(any_store: Store, run_id: str) -> None:
    """And back: each time whoever has it claims it again, and no value is read twice or skipped."""
    spec = chain(run_id, capacity=100)
    async with session_of(any_store, spec) as one, any_store.session(run_id, "w2") as two:
        await (await Hand.on(one, "in:x")).write("x", list(range(6)))
        a = await Hand.on(one, "a")
        await a.read("p", "x", 2, writes=[a.to("y", [0, 1])])
        await one.rewire(Rewire(0, reading(spec, "a", ("p", "x"), shared=True)))
        with pytest.raises(RewoundError, match="claim the node again"):
            await a.read("p", "x", 3, writes=[a.to("y", [2])])
        a1, a2 = await Hand.on(one, "a"), await Hand.on(two, "a")
        assert (a1.seq, a2.seq) == (0, 0)
        first, second = await take(two, 1), await take(one, 1)
        assert (first.start, second.start) == (2, 3)
        with pytest.raises(RunError, match="in hand"):
            await one.rewire(Rewire(1, spec))
        with pytest.raises(RunError, match="in hand"):
            await one.rewire(Rewire(1, reading(spec, "a", ("p", "x"), shared=True, ordered=False)))
        assert (await a2.commit(writes=[output(2)], claim=first.id, upto=3)).ok
        assert (await a1.commit(writes=[output(3)], claim=second.id, upto=4)).ok
        await one.rewire(Rewire(1, spec))
        with pytest.raises(RewoundError, match="claim the node again"):
            await a2.commit(counters={"n": 1})
        a = await Hand.on(two, "a")
        assert (a.cursors["p"], a.seq) == (4, 0)
        await a.read("p", "x", 6, writes=[a.to("y", [4, 5])])
        assert await contents(one, "y") == list(range(6))


async def test_a_node_that_has_written_since_its_resume_point_does_not_become_shared(
    any_store: Store, run_id: str
) -> None:
    """Nobody would know what not to write again; made fresh, it goes on where it had read."""
    spec = chain(run_id)
    shared = reading(spec, "a", ("p", "x"), shared=True)
    async with session_of(any_store, spec) as session:
        await (await Hand.on(session, "in:x")).write("x", [1, 2, 3])
        a = await Hand.on(session, "a")
        await a.read("p", "x", 2, safe=False, writes=[a.to("y", [1], mark=(1, 7))])
        with pytest.raises(RunError, match="has written since its resume point"):
            await session.rewire(Rewire(0, shared))
        await session.rewire(Rewire(0, shared, fresh=["a"]))
        assert (await take(session, 9)).start == 2
