"""What every store keeps beside the frames: what their writer said that they came from."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagraph.streams.origins import Provenance, Span, pack_origin, read_origin
from datagraph.streams.store import Store
from tests.streams.kit import Hand, chain, session_of

pytestmark = pytest.mark.anyio
MADE = pack_origin([Span("p", "x", 3, 5)], each=True)


async def test_what_frames_came_from_is_given_back_with_them(any_store: Store, run_id: str) -> None:
    """By a read and by a look at the end, with every frame of the write; nothing where nothing was said."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", [1, 2])
        await feeder.commit(writes=[feeder.to("x", [3], [4], origin=MADE)])
        await feeder.commit(writes=[feeder.to("x", [5]), feeder.to("x")])
        for reading in (await session.read("x", 0, 100), await session.tail("x", 100)):
            assert [(frame.end, frame.origin) for frame in reading.frames] == [(2, b""), (3, MADE), (4, MADE), (5, b"")]


async def test_each_stream_of_a_commit_has_its_own(any_store: Store, run_id: str) -> None:
    """What was said of one stream is not said of the other, whatever else the commit carries."""
    async with session_of(any_store, chain(run_id)) as session:
        await (await Hand.on(session, "in:x")).write("x", [1, 2, 3])
        a = await Hand.on(session, "a")
        write = a.to("y", [7], origin=b"\x00any \xff bytes", end=True)
        await a.read("p", "x", 3, state=b"s", writes=[write], events=[b"e"], looked={"p": b"l"}, status="done")
        (frame,) = (await session.read("y", 0, 9)).frames
        assert (frame.payload, frame.origin) == (bytes([7]), b"\x00any \xff bytes")
        record = await session.claim("a")
        assert (record.state, record.status, dict(record.looked)) == (b"s", "done", {"p": b"l"})


async def test_a_repeated_commit_keeps_what_was_said_first(any_store: Store, run_id: str) -> None:
    """After a lost answer the frame is there once, as it was."""
    async with session_of(any_store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.commit(writes=[feeder.to("x", [1], origin=MADE)])
        assert feeder.last is not None
        feeder.last.writes = [feeder.last.writes[0]._replace(origin=b"other")]
        await session.commit(feeder.last)
        assert [frame.origin for frame in (await session.read("x", 0, 9)).frames] == [MADE]


async def test_what_is_sent_again_came_from_where_it_failed(any_store: Store, run_id: str) -> None:
    """A dead letter that goes back to its node says which value of which stream it was, if it knows."""
    old = {"payload": b"\1", "port": "p", "position": 1}
    async with session_of(any_store, chain(run_id)) as session:
        await (await Hand.on(session, "in:x")).write("x", [1, 2, 3])
        a = await Hand.on(session, "a")
        letters = [msgspec.msgpack.encode(one) for one in (old, {**old, "stream": "x", "position": 2})]
        await a.read("p", "x", 3, letters=letters)
        assert await session.reopen("a") == 2
        frames = (await session.read("~a", 0, 9)).frames
        assert [read_origin(frame.origin) for frame in frames] == [None, Provenance(True, (Span("p", "x", 2, 3),))]


@given(st.binary())
def test_foreign_bytes_are_no_origin(data: bytes) -> None:
    """Whatever stands there, it is read as what we wrote or as nothing."""
    assert read_origin(data) is None or isinstance(read_origin(data), Provenance)
    assert read_origin(MADE) == Provenance(True, (Span("p", "x", 3, 5),))
