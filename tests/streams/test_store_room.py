"""What every store guarantees of room: capacity, who waits for whom, and what is kept."""

from __future__ import annotations

import anyio
import pytest

from datagraph.exceptions import StreamTrimmedError
from datagraph.streams.records import Commit, Write
from datagraph.streams.store import Store
from tests.streams.kit import Hand, chain, contents, fan_out, session_of, values_of

pytestmark = pytest.mark.anyio


async def test_a_writer_waits_at_capacity_and_is_woken_by_the_reader(any_store: Store, run_id: str) -> None:
    """A full stream refuses and registers the writer; the read that makes room sets its signal."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2") as reader:
        feeder = await Hand.on(session, "in:x")
        assert (await feeder.write("x", list(range(8)))).rooms["x"].values == 2
        woken = session.signals.event("room:x")
        assert not (await feeder.write("x", [1, 2, 3])).ok
        assert (await feeder.write("x", [1, 2])).ok
        assert not (await feeder.write("x", [3])).ok
        assert "w1" in (await reader.probe()).streams["x"].blocked
        a = await Hand.on(reader, "a")
        await a.read("p", "x", 1)
        with anyio.fail_after(5):
            await woken.wait()
        assert (await feeder.write("x", [3])).ok


async def test_rooms_registers_only_who_waits_and_finds_none(any_store: Store, run_id: str) -> None:
    """Asking alone registers nobody; asking to wait does where there is no room, in the same step."""
    async with session_of(any_store, chain(run_id, capacity=1)) as session:
        feeder = await Hand.on(session, "in:x")
        assert (await session.rooms("in:x", ["x"], wait=True)).rooms["x"].values == 1
        await feeder.write("x", [1])
        await session.rooms("in:x", ["x"])
        assert (await session.probe()).streams["x"].blocked == ()
        found = await session.rooms("in:x", ["x"], wait=True)
        assert (found.rooms["x"].values, found.status) == (0, "running")
        assert (await session.probe()).streams["x"].blocked == ("w1",)


async def test_no_wakeup_is_lost(any_store: Store, run_id: str) -> None:
    """A writer and a reader that wait only for their signals pass 300 values through a stream of 2 without a pause."""
    total = 300
    seen: list[int] = []

    async def write(feeder: Hand) -> None:
        sent = 0
        while sent < total:
            woken = feeder.session.signals.event("room:x")
            done = await feeder.write("x", [sent % 250], end=sent == total - 1)
            if done.ok:
                sent += 1
            else:
                await woken.wait()

    async def read(a: Hand) -> None:
        await a.session.watch("x")
        while True:
            woken = a.session.signals.event("values:x")
            reading = await a.session.read("x", len(seen), 2)
            seen.extend(values_of(reading))
            if reading.frames:
                await a.read("p", "x", len(seen))
            elif reading.ended and len(seen) == reading.length:
                return
            else:
                await woken.wait()

    async with session_of(any_store, chain(run_id, capacity=2)) as session, any_store.session(run_id, "w2") as other:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(write, await Hand.on(session, "in:x"))
                group.start_soon(read, await Hand.on(other, "a"))
    assert seen == [n % 250 for n in range(total)]


async def test_the_slowest_holding_reader_decides_the_room(any_store: Store, run_id: str) -> None:
    """Room is the smallest of cursor + capacity - length over the readers that hold the stream back."""
    async with session_of(any_store, fan_out(run_id, "hold", "hold", "open", "free")) as session:
        feeder = await Hand.on(session, "in:x")
        assert (await feeder.write("x", list(range(10)))).rooms["x"].values == 0
        await (await Hand.on(session, "r0")).read("p", "x", 10)
        assert (await session.rooms("in:x", ["x"])).rooms["x"].values == 10
        await (await Hand.on(session, "r1")).read("p", "x", 5)
        assert (await session.rooms("in:x", ["x"])).rooms["x"].values == 10
        assert (await feeder.write("x", list(range(10)))).rooms["x"].values == 0


@pytest.mark.parametrize("hold", ["open", "free"])
async def test_a_stream_that_nobody_holds_back_is_unbounded(any_store: Store, run_id: str, hold: str) -> None:
    """Readers that wait for everything, or only looked, have no capacity."""
    async with session_of(any_store, fan_out(run_id, hold)) as session:
        feeder = await Hand.on(session, "in:x")
        assert (await feeder.write("x", list(range(200)), list(range(200)))).ok
        assert (await session.rooms("in:x", ["x"])).rooms["x"].values >= 2**40


async def test_bytes_are_bounded_like_values(any_store: Store, run_id: str) -> None:
    """A frame too large for the free bytes is refused, however few values it holds."""
    async with session_of(any_store, chain(run_id, capacity=100, size=1000)) as session:
        feeder = await Hand.on(session, "in:x")
        assert (await feeder.commit(writes=[feeder.to("x", [0], size=600)])).rooms["x"].size == 400
        assert not (await feeder.commit(writes=[feeder.to("x", [0], size=401)])).ok
        assert (await feeder.commit(writes=[feeder.to("x", [0], size=400)])).rooms["x"].size == 0
        woken = session.signals.event("room:x")
        assert not (await feeder.commit(writes=[feeder.to("x", [0], size=1)])).ok
        await (await Hand.on(session, "a")).read("p", "x", 1, size=600)
        with anyio.fail_after(5):
            await woken.wait()
        assert (await session.rooms("in:x", ["x"])).rooms["x"].size == 600


async def test_one_value_of_any_size_passes_where_all_is_read(any_store: Store, run_id: str) -> None:
    """A value larger than the stream's bytes goes through alone, never beside others and never behind unread ones."""
    async with session_of(any_store, chain(run_id, size=100)) as session:
        feeder = await Hand.on(session, "in:x")
        assert not (await feeder.commit(writes=[feeder.to("x", [0], [0], size=90)])).ok
        assert not (await feeder.commit(writes=[Write("x", 0, [(2, bytes(500), 500)])])).ok
        assert (await feeder.commit(writes=[feeder.to("x", [0], size=500)])).ok
        assert not (await feeder.commit(writes=[feeder.to("x", [0], size=500)])).ok
        await (await Hand.on(session, "a")).read("p", "x", 1, size=500)
        assert (await feeder.commit(writes=[feeder.to("x", [0], size=500)])).ok


async def test_growing_is_compare_and_set_and_wakes_the_writer(any_store: Store, run_id: str) -> None:
    """Of two who see the same deadlock only one grows the stream."""
    async with session_of(any_store, chain(run_id, capacity=1)) as session, any_store.session(run_id, "w2") as other:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1])
        woken = session.signals.event("room:x")
        assert not (await feeder.write("x", [2])).ok
        assert await other.grow("a", "p", 1, 2)
        assert not await other.grow("a", "p", 1, 2)
        with anyio.fail_after(5):
            await woken.wait()
        assert (await feeder.write("x", [2])).ok
        assert (await other.probe()).streams["x"].readers["a", "p"].capacity == 2


async def test_a_reader_that_lets_go_wakes_the_writer(any_store: Store, run_id: str) -> None:
    """`hold` changes how a stream is held back and how far, at once."""
    async with session_of(any_store, chain(run_id, capacity=1)) as session, any_store.session(run_id, "w2") as other:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1])
        for change in ({"hold": "hold", "capacity": 3}, {"hold": "open"}):
            while (await feeder.write("x", [2])).ok:
                pass
            woken = session.signals.event("room:x")
            assert not (await feeder.write("x", [2])).ok
            await other.hold("a", "p", **change)
            with anyio.fail_after(5):
                await woken.wait()
        reader = (await other.probe()).streams["x"].readers["a", "p"]
        assert (reader.hold, reader.capacity) == ("open", 3)
        await other.hold("a", "p", "hold")
        assert (await session.rooms("in:x", ["x"])).rooms["x"].values == 0


async def test_a_watcher_is_told_of_values_and_of_the_end(any_store: Store, run_id: str) -> None:
    """Another worker's write, and the end of the stream, set the signal of who watches it."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2") as other:
        feeder = await Hand.on(session, "in:x")
        await other.watch("x")
        for write in (feeder.to("x", [1]), feeder.to("x", end=True)):
            told = other.signals.event("values:x")
            await feeder.commit(writes=[write._replace(base=feeder.lengths["x"])])
            with anyio.fail_after(5):
                await told.wait()
        reading = await other.read("x", 0, 10)
        assert (values_of(reading), reading.ended) == ([1], True)


async def test_read_values_are_trimmed_but_for_the_tail(any_store: Store, run_id: str) -> None:
    """Many at once and never unread ones; who asks for what is gone is told where the stream begins."""
    async with session_of(any_store, chain(run_id, capacity=10**6, keep=100)) as session:
        feeder = await Hand.on(session, "in:x")
        a = await Hand.on(session, "a")
        await feeder.write("x", *[[0] * 50] * 60)
        await a.read("p", "x", 1050)
        assert (await session.probe()).streams["x"].first == 0
        await a.read("p", "x", 2050)
        first = (await session.probe()).streams["x"].first
        assert 1000 <= first <= 1950
        with pytest.raises(StreamTrimmedError) as caught:
            await session.read("x", first - 1, 10)
        assert (caught.value.stream, caught.value.expected, caught.value.found) == ("x", first - 1, first)
        assert (await session.read("x", first, 10)).frames[0].end == first + 50
        assert len(await contents(session, "x")) == 3000 - first


@pytest.mark.parametrize("keep, trimmed", [(100, True), (-1, False)])
async def test_a_leaf_keeps_its_last_values(any_store: Store, run_id: str, keep: int, trimmed: bool) -> None:
    """A stream that nobody reads keeps `keep` values, all of them where that is -1."""
    async with session_of(any_store, chain(run_id, capacity=10**6, keep=keep)) as session:
        b = await Hand.on(session, "b")
        for _ in range(6):
            await b.write("z", [0] * 250, [0] * 250)
        first = (await session.probe()).streams["z"].first
        assert (1000 <= first <= 2900) if trimmed else first == 0


async def test_an_open_reader_keeps_what_it_has_not_read(any_store: Store, run_id: str) -> None:
    """A reader that waits for everything has no capacity, but nothing is trimmed before it."""
    async with session_of(any_store, fan_out(run_id, "open", "free")) as session:
        await session.hold("r1", "p", "free")
        feeder = await Hand.on(session, "in:x")
        for _ in range(13):
            await feeder.write("x", *[[0] * 100] * 10)
        assert (await session.probe()).streams["x"].first == 0
        await (await Hand.on(session, "r0")).read("p", "x", 13_000)
        assert (await session.probe()).streams["x"].first >= 1000
        assert (await session.commit(Commit("r0", 1, 2))).ok
