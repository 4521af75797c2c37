"""What every store guarantees to a session that reads along and holds the flow back."""

from __future__ import annotations

import anyio
import pytest

from datagraph.exceptions import UnknownIOError
from datagraph.streams.store import Session, Store
from tests.streams.kit import Hand, chain, session_of

pytestmark = pytest.mark.anyio

CAPACITY = 1000


async def test_a_follower_holds_the_writer_back_and_wakes_it(any_store: Store, run_id: str) -> None:
    """A stream that no node reads takes as many values as its follower leaves room for, and then those it has read."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2") as reader:
        b = await Hand.on(session, "b")
        await reader.follow("z", 0)
        done = await b.write("z", bytes(CAPACITY - 10))
        assert (done.ok, done.rooms["z"].values) == (True, 10)
        woken = session.signals.event("room:z")
        assert not (await b.write("z", bytes(11))).ok
        await reader.follow("z", 1)
        with anyio.fail_after(5):
            await woken.wait()
        assert (await b.write("z", bytes(11))).ok


@pytest.mark.parametrize("how", ["lets go", "leaves", "dies"])
async def test_a_writer_goes_on_when_its_follower_is_gone(any_store: Store, run_id: str, how: str) -> None:
    """Whether it lets go, leaves, or its lease lapses: whoever waits for room finds it."""
    async with session_of(any_store, chain(run_id)) as session:
        b = await Hand.on(session, "b")
        reader: Session = any_store.session(run_id, "w2", lease=0.05 if how == "dies" else 10)
        async with reader:
            await reader.follow("z", 0)
            await b.write("z", bytes(CAPACITY))
            woken = session.signals.event("room:z")
            found = (await session.rooms("b", ["z"], wait=True)).rooms["z"].values
            if how == "lets go":
                await reader.follow("z", None)
            elif how == "dies":
                with anyio.fail_after(5):
                    while not found:
                        found = (await session.rooms("b", ["z"], wait=True)).rooms["z"].values
            if how != "leaves":
                assert (await b.write("z", [1])).ok
        if how != "dies":
            assert found == 0
            with anyio.fail_after(5):
                await woken.wait()
        assert (await b.write("z", bytes(2 * CAPACITY))).ok
        assert not (await session.probe()).streams["z"].readers


async def test_what_a_follower_has_not_read_is_kept(any_store: Store, run_id: str) -> None:
    """Its position counts for trimming like that of any reader, until it moves on."""
    async with session_of(any_store, chain(run_id, keep=0)) as session:
        b = await Hand.on(session, "b")
        await b.write("z", bytes(100))
        await session.follow("z", 0)
        for _ in range(9):
            await b.write("z", bytes(100))
        assert (await session.probe()).streams["z"].first == 0
        await session.follow("z", 1000)
        for _ in range(9):
            await b.write("z", bytes(100))
        await session.follow("z", 1900)
        await b.write("z", bytes(500))
        assert (await session.probe()).streams["z"].first >= 1000


async def test_a_follower_is_at_once_where_it_says(any_store: Store, run_id: str) -> None:
    """It may go back: what is asked for is what holds."""
    async with session_of(any_store, chain(run_id)) as session:
        b = await Hand.on(session, "b")
        await b.write("z", bytes(500))
        for cursor in (0, 400, 100):
            await session.follow("z", cursor)
            assert (await session.rooms("b", ["z"])).rooms["z"].values == CAPACITY - 500 + cursor
        readers = (await session.probe()).streams["z"].readers
        assert [(reader, record.cursor) for reader, record in readers.items()] == [(("~w1", "z"), 100)]


async def test_following_needs_a_lease_and_a_stream(any_store: Store, run_id: str) -> None:
    """Who only looks would hold a flow back for ever; a stream that is not there is named."""
    async with session_of(any_store, chain(run_id)) as session, any_store.session(run_id, "w2", lease=0) as looker:
        with pytest.raises(ValueError, match="lease"):
            await looker.follow("z", 0)
        with pytest.raises(UnknownIOError, match="nothing"):
            await session.follow("nothing", 0)
