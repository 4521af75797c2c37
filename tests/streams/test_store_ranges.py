"""What every store guarantees of nodes that several workers share, and of dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import msgspec
import pytest

from datagraph.exceptions import FencedError
from datagraph.streams.records import Range, Write
from datagraph.streams.store import Session, Store
from tests.streams.kit import Hand, chain, contents, session_of

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def two_workers(
    store: Store, run: str, values: int, *, ordered: bool = True, end: bool = True
) -> AsyncIterator[tuple[Session, Session, Hand, Hand]]:
    """A shared node a with `values` values in front of it, and two workers' hands on it."""
    async with (
        session_of(store, chain(run, capacity=100, shared=True, ordered=ordered)) as one,
        store.session(run, "w2") as two,
    ):
        await (await Hand.on(one, "in:x")).write("x", list(range(values)), end=end)
        yield one, two, await Hand.on(one, "a"), await Hand.on(two, "a")


async def take(session: Session, limit: int) -> Range:
    """A range that must be there."""
    found = (await session.take("a", limit)).range
    assert found is not None
    return found


def output(*values: int) -> Write:
    """What a worker of a shared node writes to y; it cannot know how long y is by now."""
    return Write("y", 0, [(len(values), bytes(values), len(values))])


async def test_workers_claim_successive_ranges(any_store: Store, run_id: str) -> None:
    """Every value is claimed once, in order, and nobody is fenced by the other's claim."""
    async with two_workers(any_store, run_id, 5) as (one, two, _, _):
        ranges = [await take(one, 2), await take(two, 2), await take(one, 2)]
        assert [(r.port, r.stream, r.start, r.stop) for r in ranges] == [
            ("p", "x", 0, 2),
            ("p", "x", 2, 4),
            ("p", "x", 4, 5),
        ]
        assert len({r.id for r in ranges}) == 3
        assert await two.take("a", 2) == (None, False)


async def test_ordered_ranges_are_committed_in_the_order_of_the_claims(any_store: Store, run_id: str) -> None:
    """A later range is not applied before its turn, and its worker is told when that has come."""
    async with two_workers(any_store, run_id, 4) as (one, two, a1, a2):
        first, second = await take(one, 2), await take(two, 2)
        turn = two.signals.event("turn:a")
        early = await a2.commit(writes=[output(12, 13)], claim=second.id, upto=4)
        assert (early.ok, early.turn) == (False, False)
        assert await contents(one, "y") == []
        assert (await a1.commit(writes=[output(10, 11)], claim=first.id, upto=2)).ok
        with anyio.fail_after(5):
            await turn.wait()
        assert (await a2.commit(writes=[output(12, 13)], claim=second.id, upto=4)).ok
        assert await contents(one, "y") == [10, 11, 12, 13]
        assert (await one.claim("a")).reads["p"][0] == 4


async def test_unordered_ranges_are_committed_as_they_come(any_store: Store, run_id: str) -> None:
    """Nobody waits for a turn; the position stays where the first unfinished range begins."""
    async with two_workers(any_store, run_id, 4, ordered=False) as (one, two, a1, a2):
        first, second = await take(one, 2), await take(two, 2)
        assert (await a2.commit(writes=[output(12, 13)], claim=second.id, upto=4)).ok
        assert (await one.probe()).streams["x"].readers["a", "p"].cursor == 0
        assert (await a1.commit(writes=[output(10, 11)], claim=first.id, upto=2)).ok
        assert (await one.probe()).streams["x"].readers["a", "p"].cursor == 4
        assert await contents(one, "y") == [12, 13, 10, 11]


async def test_a_range_can_be_committed_in_parts(any_store: Store, run_id: str) -> None:
    """`upto` moves the position inside the range, which stays in hand and in turn until its end."""
    async with two_workers(any_store, run_id, 4) as (one, two, a1, a2):
        first, second = await take(one, 3), await take(two, 3)
        assert (await a1.commit(writes=[output(10)], claim=first.id, upto=1)).ok
        assert (await one.probe()).streams["x"].readers["a", "p"].cursor == 1
        assert not (await a2.commit(writes=[output(13)], claim=second.id, upto=4)).turn
        assert (await a1.commit(writes=[output(11, 12)], claim=first.id, upto=3)).ok
        with pytest.raises(FencedError):
            await a1.commit(writes=[output(12)], claim=first.id, upto=3)
        assert (await a2.commit(writes=[output(13)], claim=second.id, upto=4)).ok
        assert await contents(one, "y") == [10, 11, 12, 13]


async def test_a_dead_workers_range_is_claimed_first_and_only_what_is_left_of_it(any_store: Store, run_id: str) -> None:
    """A worker that has left gives up what it had not committed, before any new value is handed out."""
    async with two_workers(any_store, run_id, 6) as (one, _, a1, _):
        async with any_store.session(run_id, "w3") as three:
            a3 = await Hand.on(three, "a")
            lost = await take(three, 3)
            assert (await a3.commit(writes=[output(10)], claim=lost.id, upto=1)).ok
        found = await take(one, 2)
        assert (found.start, found.stop) == (1, 3)
        assert (await a1.commit(writes=[output(11, 12)], claim=found.id, upto=3)).ok
        assert (await take(one, 2)).start == 3


async def test_a_worker_that_lost_its_range_is_fenced(any_store: Store, run_id: str) -> None:
    """A worker that was silent for longer than its lease cannot commit what another one has taken over."""
    async with (
        two_workers(any_store, run_id, 4) as (one, two, _, _),
        any_store.session(run_id, "slow", lease=0.05) as slow,
    ):
        zombie = await Hand.on(slow, "a")
        lost = await take(slow, 2)
        with anyio.fail_after(5):
            while (await take(one, 1)).start != lost.start:
                await one.claim("a")
                await anyio.sleep(0.01)
        with pytest.raises(FencedError, match="a"):
            await zombie.commit(writes=[output(66)], claim=lost.id, upto=2)
        assert await contents(two, "y") == []


async def test_a_worker_that_claims_anew_gives_up_its_ranges(any_store: Store, run_id: str) -> None:
    """After an error a worker takes the node again, and its old range is handed out first, to whoever asks."""
    async with two_workers(any_store, run_id, 4) as (one, two, a1, a2):
        lost = await take(one, 2)
        with pytest.raises(FencedError):
            await a2.commit(writes=[output(66)], claim=lost.id, upto=2)
        await one.claim("a")
        with pytest.raises(FencedError):
            await a1.commit(writes=[output(66)], claim=lost.id, upto=2)
        assert (await take(two, 1))[1:] == ("p", "x", 0, 1)
        assert (await take(two, 2))[1:] == ("p", "x", 1, 2)
        with pytest.raises(FencedError):
            await a1.commit(writes=[output(66)], claim=lost.id, upto=2)


async def test_each_worker_counts_its_own_commits(any_store: Store, run_id: str) -> None:
    """The sequence of one worker is not disturbed by the other's, and a repeat is harmless."""
    async with two_workers(any_store, run_id, 3) as (one, two, a1, a2):
        first = await take(one, 1)
        await a1.commit(writes=[output(10)], claim=first.id, upto=1)
        second = await take(two, 1)
        await a2.commit(writes=[output(11)], claim=second.id, upto=2)
        assert (a1.seq, a2.seq, a1.epoch) == (1, 1, a2.epoch)
        assert a1.last is not None
        assert (await one.commit(a1.last)).ok
        assert await contents(one, "y") == [10, 11]
        assert (await one.claim("a")).seq == 1


async def test_a_shared_node_is_finished_when_nothing_is_in_hand(any_store: Store, run_id: str) -> None:
    """Only when the stream has ended and every range is committed there is nothing left to come."""
    async with two_workers(any_store, run_id, 2, end=False) as (one, two, a1, _):
        held = await take(one, 5)
        assert await two.take("a", 5) == (None, False)
        await a1.commit(claim=held.id, upto=2)
        assert await two.take("a", 5) == (None, False)
        feeder = await Hand.on(one, "in:x")
        await feeder.write("x", end=True)
        assert await two.take("a", 5) == (None, True)
        done = await a1.commit(writes=[Write("y", 0, [], end=True)], status="done")
        assert done.ok
        assert (await two.read("y", 0, 1)).ended


async def test_a_shared_nodes_end_counts_once(any_store: Store, run_id: str) -> None:
    """Two workers that both see the end close the node together, not twice."""
    async with two_workers(any_store, run_id, 0) as (one, two, a1, a2):
        for hand in (a1, a2):
            assert (await hand.commit(writes=[Write("y", 0, [], end=True)], status="done")).ok
        assert (await one.probe()).run.status == "running"
        b = await Hand.on(two, "b")
        assert (await b.write("z", end=True, status="done")).status == "completed"


def letter(payload: bytes) -> bytes:
    """A dead letter with the frame of its one value."""
    return msgspec.msgpack.encode({"payload": payload, "position": 3, "traceback": "..."})


async def test_dead_letters_are_kept_with_their_ids(any_store: Store, run_id: str) -> None:
    """What a node could not do is kept, oldest first, until it is sent again."""
    async with session_of(any_store, chain(run_id)) as session:
        a = await Hand.on(session, "a")
        await a.commit(letters=[letter(b"\1"), letter(b"\2")])
        await a.commit(letters=[letter(b"\3")])
        kept = await session.letters("a")
        assert [body for _, body in kept] == [letter(b"\1"), letter(b"\2"), letter(b"\3")]
        assert len({key for key, _ in kept}) == 3
        assert await session.letters("a", limit=1) == kept[:1]
        assert await session.letters("b") == []


async def test_chosen_letters_go_back_to_their_node_alone(any_store: Store, run_id: str) -> None:
    """A letter's value comes as a frame of the private stream, whose reader is told; the other letters stay."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2") as other:
        a = await Hand.on(session, "a")
        await a.commit(letters=[letter(b"\1"), letter(b"\2"), letter(b"\3")])
        await session.watch("~a")
        told = session.signals.event("values:~a")
        kept = await session.letters("a")
        assert await other.reopen("a", [kept[1][0], "no-such"]) == 1
        with anyio.fail_after(5):
            await told.wait()
        reading = await session.read("~a", 0, 10)
        assert [(f.end, f.count, f.payload) for f in reading.frames] == [(1, 1, b"\2")]
        assert await session.letters("a") == [kept[0], kept[2]]
        assert await other.reopen("a") == 2
        assert await contents(session, "~a") == [2, 1, 3]
        assert await contents(session, "x") == []
        assert await other.reopen("a") == 0
        await a.read("again", "~a", 3)
        assert (await session.claim("a")).cursors["again"][0] == 3


async def test_sending_again_opens_what_had_ended(any_store: Store, run_id: str) -> None:
    """Node, streams and nodes downstream are open again and count again, until all of them are done once more."""
    async with session_of(any_store, chain(run_id, capacity=2)) as session:
        await (await Hand.on(session, "in:x")).write("x", [1], end=True, status="done")
        a, b = await Hand.on(session, "a"), await Hand.on(session, "b")
        await a.read("p", "x", 1, letters=[letter(b"\1")], writes=[a.to("y", end=True)], status="done")
        assert (await b.write("z", [5], end=True, status="done")).status == "completed"
        told = session.signals.event("run")
        assert await session.reopen("a") == 1
        with anyio.fail_after(5):
            await told.wait()
        probe = await session.probe()
        assert (probe.run.status, probe.run.ended) == ("running", 0.0)
        assert {name: node.status for name, node in probe.nodes.items()} == {
            "in:x": "done",
            "a": "waiting",
            "b": "waiting",
        }
        assert {name: s.ended for name, s in probe.streams.items()} == {"x": True, "y": False, "z": False, "~a": False}
        a, b = await Hand.on(session, "a"), await Hand.on(session, "b")
        assert (await a.read("again", "~a", 1, writes=[a.to("y", [8, 9])])).rooms["y"].values == 0
        assert (await a.write("y", end=True, status="done")).status == "running"
        assert (await b.read("q", "y", 2, writes=[b.to("z", [6], end=True)], status="done")).status == "completed"
        assert await contents(session, "z") == [5, 6]
        reading = await session.read("z", 2, 1)
        assert (reading.ended, reading.length) == (True, 2)


async def test_a_shared_node_claims_what_was_sent_again_first(any_store: Store, run_id: str) -> None:
    """The private stream comes before the next values."""
    async with two_workers(any_store, run_id, 2) as (one, two, a1, _):
        await a1.commit(letters=[letter(b"\7")])
        await two.reopen("a")
        again = await take(one, 5)
        assert (again.port, again.stream, again.start, again.stop) == ("again", "~a", 0, 1)
        rest = await take(two, 5)
        assert (rest.stream, rest.start, rest.stop) == ("x", 0, 2)
        assert (await a1.commit(writes=[output(70)], claim=again.id, upto=1)).ok
        assert (await one.claim("a")).reads["again"][0] == 1
