"""What every store guarantees of commits, room and ends."""

from __future__ import annotations

import anyio
import pytest

from datagraph.exceptions import (
    FencedError,
    LeaseHeldError,
    ReadOnlyIOError,
    RewoundError,
    StoreLostError,
)
from datagraph.streams.records import Commit, Write
from datagraph.streams.store import Store
from tests.streams.kit import Hand, chain, contents, session_of, told, values_of

pytestmark = pytest.mark.anyio


async def test_what_was_written_is_read_in_order(any_store: Store, run_id: str) -> None:
    """Frames come back whole, in order, with positions that count values."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1, 2, 3], [4])
        reading = await session.read("x", 0, 100)
        assert values_of(reading) == [1, 2, 3, 4]
        assert [(f.end, f.count) for f in reading.frames] == [(3, 3), (4, 1)]
        assert (reading.length, reading.ended) == (4, False)


async def test_a_read_from_inside_a_frame_begins_with_that_frame(any_store: Store, run_id: str) -> None:
    """A cursor may stand in the middle of a frame."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1, 2, 3], [4, 5], [6])
        assert [f.end for f in (await session.read("x", 2, 100)).frames] == [3, 5, 6]
        assert [f.end for f in (await session.read("x", 3, 2)).frames] == [5]
        assert [f.end for f in (await session.read("x", 2, 2)).frames] == [3, 5]
        assert (await session.read("x", 6, 100)).frames == []


async def test_a_read_stops_after_four_mebibytes(any_store: Store, run_id: str) -> None:
    """One read does not bring more than a frame beyond 4 MiB, and goes on where it stopped."""
    async with session_of(any_store, chain(run_id, capacity=100)) as session:
        feeder = await Hand.on(session, "in:x")
        for _ in range(7):
            await feeder.commit(writes=[feeder.to("x", [0], size=2**20)])
        first = await session.read("x", 0, 100)
        assert 4 <= len(first.frames) < 7
        rest = await session.read("x", first.frames[-1].end, 100)
        assert len(first.frames) + len(rest.frames) == 7


async def test_tail_gives_the_frames_of_the_last_values(any_store: Store, run_id: str) -> None:
    """A look at the end needs no cursor."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1, 2], [3, 4], [5])
        assert values_of(await session.tail("x", 2)) == [3, 4, 5]
        assert values_of(await session.tail("x", 99)) == [1, 2, 3, 4, 5]


async def test_a_commit_is_applied_whole(any_store: Store, run_id: str) -> None:
    """Outputs, cursors, state, marks, counters, looks and events come with one commit, and a claim tells them."""
    async with session_of(any_store, chain(run_id)) as session:
        await (await Hand.on(session, "in:x")).write("x", [1, 2, 3])
        a = await Hand.on(session, "a")
        await a.read(
            "p",
            "x",
            2,
            size=3,
            state=b"s",
            writes=[a.to("y", [9])],
            counters={"n": 2},
            looked={"p": b"l"},
            events=[b"e1", b"e2"],
        )
        await a.commit(counters={"n": 3}, events=[b"e3"])
        record = await session.claim("a")
        assert record.cursors["p"] == record.reads["p"] == (2, 3)
        assert (record.state, record.lengths["y"]) == (b"s", 1)
        assert (dict(record.counters), dict(record.looked)) == ({"n": 5}, {"p": b"l"})
        assert [event for event in await told(session) if event[:1] == b"e"] == [b"e1", b"e2", b"e3"]
        assert await contents(session, "y") == [9]


async def test_a_refused_commit_changes_nothing(any_store: Store, run_id: str) -> None:
    """Where one of two streams is full, nothing of the commit is applied, not even its cursors and letters."""
    async with session_of(any_store, chain(run_id, capacity=2)) as session:
        await (await Hand.on(session, "in:x")).write("x", [1, 2])
        a = await Hand.on(session, "a")
        await a.write("y", [1, 2])
        done = await a.read("p", "x", 2, writes=[a.to("y", [3])], counters={"n": 1}, letters=[b"\x80"], events=[b"e"])
        assert not done.ok
        assert done.turn
        assert (done.rooms["y"].length, done.rooms["y"].values) == (2, 0)
        record = await session.claim("a")
        assert record.reads["p"] == (0, 0)
        assert dict(record.counters) == {}
        assert await session.letters("a") == []
        assert b"e" not in await told(session)


async def test_a_repeated_commit_changes_nothing_and_answers_as_before(any_store: Store, run_id: str) -> None:
    """An answer that was lost is asked for again with the same number."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        first = await feeder.write("x", [1, 2], events=[b"e"], counters={"n": 1}, letters=[b"\x80"])
        assert feeder.last is not None
        again = await session.commit(feeder.last)
        assert again.ok
        assert again.rooms["x"].length == first.rooms["x"].length == 2
        assert await contents(session, "x") == [1, 2]
        assert (await told(session)).count(b"e") == len(await session.letters("in:x")) == 1
        assert (await session.claim("in:x")).counters["n"] == 1


@pytest.mark.parametrize("seq", [0, 1, 4])
async def test_a_commit_out_of_sequence_says_that_the_store_was_rewound(
    any_store: Store, run_id: str, seq: int
) -> None:
    """After two commits only the second (a repeat) and the third are understood."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1])
        await feeder.write("x", [2])
        with pytest.raises(RewoundError, match="claim the node again"):
            await session.commit(Commit("in:x", feeder.epoch, seq, [Write("x", 2, [(1, b"\3", 1)])]))
        assert await contents(session, "x") == [1, 2]


async def test_an_owner_that_was_taken_over_is_fenced(any_store: Store, run_id: str) -> None:
    """The epoch alone decides who may write: a zombie's commit is refused, new or repeated."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2") as other:
        zombie = await Hand.on(session, "in:x")
        await zombie.write("x", [1])
        repeat = zombie.last
        heir = await Hand.on(other, "in:x", force=True)
        assert (heir.epoch, heir.seq, heir.lengths["x"]) == (zombie.epoch + 1, 0, 1)
        with pytest.raises(FencedError, match=r"in:x.*epoch"):
            await zombie.write("x", [2])
        assert repeat is not None
        with pytest.raises(FencedError):
            await session.commit(repeat)
        await heir.write("x", [3])
        assert await contents(other, "x") == [1, 3]


async def test_a_live_owner_keeps_its_node(any_store: Store, run_id: str) -> None:
    """Another worker's claim is refused while the lease is alive, and granted once the owner has left."""
    async with session_of(any_store, chain(run_id), "w2") as other:
        async with any_store.session(run_id, "w1") as session:
            await session.claim("a")
            with pytest.raises(LeaseHeldError, match="w1"):
                await other.claim("a")
        assert (await other.claim("a")).owner == "w2"


async def test_a_node_whose_owner_does_not_beat_can_be_claimed(any_store: Store, run_id: str) -> None:
    """A lease lapses by itself, so a worker that was killed blocks its nodes only for a while."""
    async with session_of(any_store, chain(run_id), lease=0.05) as silent, any_store.session(run_id, "w2") as other:
        await silent.claim("a")
        with anyio.fail_after(5):
            while True:
                try:
                    record = await other.claim("a")
                    break
                except LeaseHeldError:
                    await anyio.sleep(0.01)
        assert (record.owner, record.epoch) == ("w2", 2)


async def test_only_its_writer_writes_a_stream(any_store: Store, run_id: str) -> None:
    """A node cannot write what is not its output."""
    async with session_of(any_store, chain(run_id)) as session:
        a = await Hand.on(session, "a")
        with pytest.raises(ReadOnlyIOError):
            await a.commit(writes=[Write("x", 0, [(1, b"\1", 1)])])
        assert await contents(session, "x") == []


@pytest.mark.parametrize("base", [0, 3])
async def test_a_stream_that_is_not_as_its_writer_knows_it_is_lost(any_store: Store, run_id: str, base: int) -> None:
    """A length that does not fit means that the store lost a part; nothing is written over it."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1, 2])
        with pytest.raises(StoreLostError):
            await feeder.commit(writes=[Write("x", base, [(1, b"\3", 1)])])
        assert await contents(session, "x") == [1, 2]


async def test_only_safe_commits_move_the_resume_point(any_store: Store, run_id: str) -> None:
    """Between safe points the position and the marks move; a safe one moves cursors and state and zeroes the marks."""
    async with session_of(any_store, chain(run_id)) as session:
        await (await Hand.on(session, "in:x")).write("x", [1, 2, 3])
        a = await Hand.on(session, "a")
        await a.read("p", "x", 1, size=1, state=b"one")
        await a.read("p", "x", 2, size=2, safe=False, writes=[a.to("y", [7, 8], mark=(2, 77))])
        record = await session.claim("a")
        assert (record.cursors["p"], record.reads["p"]) == ((1, 1), (2, 2))
        assert (record.marks["y"], record.state) == ((2, 77), b"one")
        a = Hand.of(session, record)
        await a.read("p", "x", 3, size=3, state=b"two", writes=[a.to("y", [9], mark=(3, 78))])
        record = await session.claim("a")
        assert (record.cursors["p"], record.state) == ((3, 3), b"two")
        assert record.marks.get("y", (0, 0)) == (0, 0)


async def test_a_replaying_node_never_moves_a_position_backwards(any_store: Store, run_id: str) -> None:
    """What is read again was read already: the writer's room does not shrink."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", list(range(10)))
        a = await Hand.on(session, "a")
        await a.read("p", "x", 8, safe=False)
        a = Hand.of(session, await session.claim("a"))
        assert a.cursors["p"] == 0
        await a.read("p", "x", 3, safe=False)
        assert (await session.claim("a")).reads["p"][0] == 8
        assert (await session.rooms("in:x", ["x"])).rooms["x"].values == 8


async def test_an_ended_stream_takes_nothing_more(any_store: Store, run_id: str) -> None:
    """Values after the end would never be read."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1], end=True)
        with pytest.raises(StoreLostError):
            await feeder.write("x", [2])
        reading = await session.read("x", 1, 10)
        assert (reading.frames, reading.length, reading.ended) == ([], 1, True)
