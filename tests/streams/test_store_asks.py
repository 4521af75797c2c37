"""What every store guarantees of asks: control from a process that does not run the nodes."""

from __future__ import annotations

import anyio
import pytest

from datagraph.exceptions import UnknownIOError
from datagraph.streams.store import Store
from tests.streams.kit import chain, session_of

pytestmark = pytest.mark.anyio


async def test_an_ask_reaches_everybody_and_its_answer_comes_back(any_store: Store, run_id: str) -> None:
    """Both sides are told; the record counts asks, so a beat says that there is one."""
    async with session_of(any_store, chain(run_id)) as worker, any_store.session(run_id, "v", lease=0) as viewer:
        assert (await worker.beat({})).asked == 0
        told = worker.signals.event("run")
        first, second = await viewer.ask(b"\xff1"), await viewer.ask(b"2")
        with anyio.fail_after(5):
            await told.wait()
        assert (await worker.beat({})).asked == (await any_store.find(run_id)).asked == 2
        assert await worker.asks() == [(first, b"\xff1"), (second, b"2")]
        assert await worker.asks(first) == [(second, b"2")]
        assert await worker.asks(second) == []
        assert await viewer.answered(second) is None
        told = viewer.signals.event("run")
        await worker.answer(second, b"\xfeyes")
        with anyio.fail_after(5):
            await told.wait()
        assert (await viewer.answered(second), await viewer.answered(first)) == (b"\xfeyes", None)


async def test_the_first_answer_stands(any_store: Store, run_id: str) -> None:
    """Of two workers that both do what was asked, one is heard."""
    async with session_of(any_store, chain(run_id)) as session:
        ask = await session.ask(b"")
        await session.answer(ask, b"one")
        await session.answer(ask, b"two")
        assert await session.answered(ask) == b"one"


@pytest.mark.parametrize("ask", ["1-0", "typo", ""])
async def test_what_was_not_asked_is_not_answered(any_store: Store, run_id: str, ask: str) -> None:
    """The id is in the error."""
    async with session_of(any_store, chain(run_id)) as session:
        with pytest.raises(UnknownIOError, match=f"ask {ask}"):
            await session.answer(ask, b"")
        assert await session.answered(ask) is None


async def test_a_thousand_asks_and_answers_are_kept(any_store: Store, run_id: str) -> None:
    """The oldest go, together with their answers, and are still counted."""
    async with session_of(any_store, chain(run_id)) as session:
        ids = []
        for n in range(1003):
            ids.append(await session.ask(b"%d" % n))
            if n < 5:
                await session.answer(ids[n], b"%d" % n)
        assert [ident for ident, _ in await session.asks()] == ids[3:]
        assert [await session.answered(ident) for ident in ids[:6]] == [None, None, None, b"3", b"4", None]
        with pytest.raises(UnknownIOError):
            await session.answer(ids[0], b"late")
        assert (await session.beat({})).asked == 1003
