"""What the memory store does beyond the contract: it hands objects over, and refuses a writer that is not the stream's."""

from __future__ import annotations

import anyio
import pytest

from datagraph.exceptions import ReadOnlyIOError, UnknownIOError
from datagraph.streams.memory import MemoryStore, PassCodec
from datagraph.streams.records import Write
from tests.streams.kit import Hand, chain, contents, session_of

pytestmark = pytest.mark.anyio


async def test_values_are_handed_over_not_copied(run_id: str) -> None:
    """What a reader gets is the writer's own object, in a list of the reader's own."""
    value = object()
    async with MemoryStore() as store, session_of(store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        payload = store.codec.encode([value])
        await feeder.commit(writes=[Write("x", 0, [(1, payload, store.codec.size(payload))])])
        found = (await session.read("x", 0, 10)).frames[0].payload
    decoded = store.codec.decode(found)
    assert decoded[0] is value
    assert decoded is not payload


async def test_a_letter_in_memory_may_be_an_object(run_id: str) -> None:
    """A dead letter need not be packed, nor what it carries."""
    value = object()
    async with MemoryStore() as store, session_of(store, chain(run_id)) as session:
        a = await Hand.on(session, "a")
        await a.commit(letters=[{"payload": [value]}])
        assert await session.reopen("a") == 1
        assert (await session.read("~a", 0, 1)).frames[0].payload[0] is value


async def test_a_stream_has_one_writer(run_id: str) -> None:
    """A node cannot write what is not its output, nor what does not exist."""
    async with MemoryStore() as store, session_of(store, chain(run_id)) as session:
        a = await Hand.on(session, "a")
        with pytest.raises(ReadOnlyIOError, match=r"'x'.*'in:x'.*'a'"):
            await a.commit(writes=[Write("x", 0, [(1, b"\1", 1)])])
        with pytest.raises(UnknownIOError, match="no stream 'typo'"):
            await a.commit(writes=[Write("typo", 0, [(1, b"\1", 1)])])
        assert await contents(session, "x") == []


async def test_a_cancelled_call_did_nothing(run_id: str) -> None:
    """The only point where a call can be cancelled comes before its work."""
    async with MemoryStore() as store, session_of(store, chain(run_id)) as session:
        feeder = await Hand.on(session, "in:x")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await feeder.write("x", [1])
        assert scope.cancelled_caught
        assert await contents(session, "x") == []
        assert (await feeder.write("x", [2])).ok


async def test_a_session_must_be_entered(run_id: str) -> None:
    """A session that is not open says what to do."""
    store = MemoryStore()
    await store.create(chain(run_id))
    with pytest.raises(RuntimeError, match="async with"):
        await store.session(run_id, "w1").probe()


async def test_a_kept_state_does_not_change_with_the_one_in_use() -> None:
    """A state is copied on the way in and out, because its owner goes on changing it."""
    codec, state = PassCodec(), [1, {"a": [2]}]
    kept = codec.encode_value(state)
    state.append(3)
    restored = codec.decode_value(kept)
    assert restored == [1, {"a": [2]}]
    restored[1]["a"].append(4)
    assert codec.decode_value(kept) == [1, {"a": [2]}]


async def test_what_cannot_be_copied_is_handed_over() -> None:
    """A generator as a state stays the same generator."""
    state = (n for n in range(3))
    assert PassCodec().encode_value(state) is state
