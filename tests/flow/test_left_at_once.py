"""A node that is left while a commit of it is under way: what that did is known to its neighbours all the same."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import pytest

import datagraph as dg
from datagraph import OPEN, Drop, Flow, Supervisor, Swap
from datagraph.runtime import rewire
from datagraph.streams.memory import MemorySession
from datagraph.streams.records import Commit, Committed
from datagraph.streams.valkey_session import ValkeySession

pytestmark = pytest.mark.anyio


@dg.processor
async def double(n: int) -> int:
    return 2 * n


@dg.processor(capacity=1)
async def same(double: int) -> int:
    return double


@dg.processor(outputs=["same"], capacity=1)
async def same_too(double: int) -> int:
    return double


class Unheard:
    """Lets the commit in which a node has read that far be applied, and its answer be heard by nobody."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, node: str, stream: str, cursor: int) -> None:
        self.applied = False
        self._read = (node, stream, cursor)
        for kind in (MemorySession, ValkeySession):
            monkeypatch.setattr(kind, "commit", self._wrap(kind.commit))

    def _wrap(self, commit: Any) -> Any:
        async def wrapped(session: Any, what: Commit) -> Committed:
            answer: Committed = await commit(session, what)
            if not self.applied and self._read in [(what.node, read.stream, read.cursor) for read in what.reads]:
                self.applied = True
                await anyio.sleep_forever()
            return answer

        return wrapped


async def test_who_feeds_it_is_told_of_the_room_that_it_made(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who follows begins in a segment that is at its end, and says nothing of the next one until it has read of that."""
    monkeypatch.setattr(rewire, "_PATIENCE", 0.0)
    run = Flow(double, same).start({"n": OPEN})
    with anyio.fail_after(20):
        await run["n"].asend(0)
        while len(run["same"]) < 1:
            await anyio.lowlevel.checkpoint()
        await run.aapply(Drop("double"))
        unheard = Unheard(monkeypatch, "same", "n", 2)
        await run["n"].asend(1)
        while not unheard.applied:
            await anyio.lowlevel.checkpoint()
        await run.aapply(Swap("same", same_too, fresh=True))
        for value in range(2, 20):
            await run["n"].asend(value)
        run["n"].complete()
        await run.wait()
    assert run["same"].to_list() == list(range(20))
