"""The culprit of real runs, whose answer is known because a processor was made slow."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

import datagraph as dg


@pytest.fixture(autouse=True)
def supervisor(anyio_backend: str) -> Iterator[None]:
    """Runs in memory, on each event loop."""
    dg.Supervisor.attach("memory://", backend=anyio_backend)
    yield
    dg.Supervisor.instance.detach()


@dg.processor(capacity=20)
async def slow(number: int) -> int:
    await anyio.sleep(0.002)
    return number


@dg.processor(capacity=20)
async def quick(slow: int) -> int:
    return slow


@dg.processor
async def number(seed: dg.IO[int]) -> AsyncIterator[int]:
    async for start in seed:
        for value in range(start):
            yield value


def test_slow_processor_of_a_real_run_is_named() -> None:
    """Its input is full, its writer waits, and the one behind it starves."""
    run = dg.Flow(number, slow, quick).start({"seed": 10**6})
    found = run.bottleneck(over=1.2)
    states = run.snapshot().nodes
    run.cancel()
    assert found.node == "slow", found
    assert "its input holds" in str(found)
    assert "`number` waits" in str(found)
    assert found.evidence["busy"] > 0.8
    assert states["number"].blocked > 0.8
    assert states["quick"].starved > 0.8
    for state in (states[name] for name in ("in:seed", "number", "slow", "quick")):
        assert state.busy + state.starved + state.blocked == 1.0


def test_slow_source_of_a_real_run_accuses_nobody() -> None:
    """Where values come at a pace below what the processors can, nothing is full."""
    run = dg.Flow(quick).start({"slow": range(10**6)}, pace=50)
    found = run.bottleneck(over=1.2)
    run.cancel()
    assert found.node is None
    assert str(found).startswith("nothing is full: the source `slow` is the slowest")


def test_ended_run_is_still_told(anyio_backend: str) -> None:
    """Its shares are kept with it, so that whoever comes late sees who it was, and what it moved."""
    run = dg.Flow(number, slow, quick).start({"seed": 200}).join(progress=False)
    seen = dg.attach_run(run.id).snapshot()
    assert seen.bottleneck == "slow", seen.sentence
    assert "was the bottleneck" in seen.sentence
    assert seen.edges["number->slow.number"].read == 200
    assert {edge.waiting for edge in seen.edges.values()} == {"closed"}
    assert (seen.nodes["slow"].status, seen.nodes["slow"].waits_for) == ("done", "")


def test_frames_of_a_real_run_have_its_rows() -> None:
    """`run.nodes()` and `run.edges()` are tables."""
    run = dg.Flow(number, slow, quick).start({"seed": 50}).join(progress=False)
    assert list(run.nodes()["node"]) == ["in:seed", "number", "slow", "quick"]
    assert list(run.edges()["written"]) == [1, 50, 50, 50]
    assert list(run.edges()["lag"]) == [0, 0, 0, 0]
