"""A crash at every command of the protocol, before it is sent and after it was applied: recovered, every edge is exact."""

from __future__ import annotations

import anyio
import pytest

from datagraph.streams.line import Line
from datagraph.streams.valkey import ValkeyStore
from tests.faults.crashes import Wire, crash_at, taken_over
from tests.faults.harness import exact

pytestmark = pytest.mark.anyio


async def survives(url: str, shape: str, count: int, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Crash, recover, compare; whether there was a crash."""
    with monkeypatch.context() as patch, anyio.fail_after(20):
        patch.setattr(Line, "ask", wire.wrap(Line.ask))
        run = await crash_at(url, shape, count, wire)
    async with ValkeyStore(url) as store:
        with anyio.fail_after(20):
            await taken_over(store, run, shape, count)
        await exact(url, run, shape, count)
        await store.forget(run)
    return wire.cut


@pytest.mark.parametrize(
    "anyio_backend, shape, count, after",
    [
        ("asyncio", "chain", 6, False),
        ("trio", "chain", 6, True),
        ("asyncio", "teams", 4, True),
        ("trio", "teams", 4, False),
    ],
)
async def test_a_crash_at_any_command_is_recovered_from(
    valkey_url: str, shape: str, count: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Command by command, until a run has gone to its end without reaching the one that was to be its last."""
    at = 1
    while await survives(valkey_url, shape, count, Wire(at, after=after), monkeypatch):
        at += 1
    assert at > 20


@pytest.mark.parametrize("anyio_backend, first, after", [("asyncio", 3, True), ("trio", 5, False)])
async def test_a_crash_among_dead_letters_batches_and_zipped_streams_is_recovered_from(
    valkey_url: str, first: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every seventh command of a flow with more kinds of nodes."""
    at = first
    while await survives(valkey_url, "knots", 9, Wire(at, after=after), monkeypatch):
        at += 7
    assert at > 40


@pytest.mark.faults
@pytest.mark.parametrize("after", [False, True], ids=["before it is sent", "after it was applied"])
@pytest.mark.parametrize("shape, count", [("chain", 6), ("teams", 6), ("knots", 9)])
async def test_a_crash_at_every_command_of_every_shape(
    valkey_url: str, shape: str, count: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On both event loops."""
    at = 1
    while await survives(valkey_url, shape, count, Wire(at, after=after), monkeypatch):
        at += 1
