"""SIGKILL of the process that has changed a run: whoever recovers it reads what was changed, and takes it back."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import Any

import anyio
import pytest
import redis

import datagraph as dg
from datagraph import Flow, GraphError, RunError, Supervisor
from datagraph.flow.run import Run
from tests.faults.changer import MANY, PACE, judged, line, spare, wiring
from tests.faults.harness import PATIENCE
from tests.flow.changes import made, passing

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.faults.changer"])


async def _twin(value: int) -> int:
    return value + 0


def twin() -> dg.Processor:
    """Another function for a, that does the same."""
    return made("a", "x", "sa", _twin)


def edits(run: Run) -> list[Any]:
    """One of each kind, each of them made of what the ones before have left."""
    return [
        dg.Connect(spare()[-1]),
        dg.Move("sa->q.sa", source="sb"),
        dg.Tune("a", capacity=50, concurrency=2),
        dg.Insert(spare()[0], "sb->c.sb"),
        dg.Swap("a", twin()),
        dg.Drop("p0"),
    ]


def change(url: str, name: str, backend: str, count: int) -> None:
    """Start a run and change it so often; then go on with it until the kill."""
    Supervisor.attach({"url": url}, backend=backend)  # type: ignore[arg-type]
    flow = Flow(*line(), name=name, capacity=400, keep="all", keep_results="all")
    run = flow.start({"x": iter(range(MANY))}, name=name, pace=PACE)
    for edit in edits(run)[:count]:
        run.apply(edit)
    run.join(progress=False)


def changed_and_killed(url: str, name: str, backend: str, count: int) -> str:
    """A run that was changed so often by a process that is dead by now; its id."""
    raw = redis.Redis.from_url(url)
    process = _context.Process(target=change, args=(url, name, backend, count), daemon=True)
    process.start()
    assert process.pid is not None
    end, run = time.monotonic() + PATIENCE, ""
    while not run or wiring(raw, run) < count:
        assert process.is_alive()
        assert time.monotonic() < end
        run = next((each.decode() for each in raw.zrange("dg:runs", 0, -1) if each.startswith(name.encode())), "")
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    raw.close()
    return run


def settled(run: Run, action: Any) -> Any:
    """What it gives, once what was dropped is done."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return action()
        except RunError as error:
            if "try again" not in str(error) or time.monotonic() > end:
                raise


def test_changes_of_a_killed_process_are_taken_back_by_who_recovers_the_run(
    valkey_url: str, anyio_backend: str
) -> None:
    """A branch, a move, a tune, an insert, a swap and a drop, then the kill: all are undone, and every edge is exact."""
    run_id = changed_and_killed(valkey_url, f"undone-{anyio_backend}", anyio_backend, 6)
    Supervisor.attach({"url": valkey_url}, backend=anyio_backend)  # type: ignore[arg-type]
    looked = dg.attach_run(run_id)
    made_by_it = looked.changes
    assert [change.version for change in made_by_it] == [1, 2, 3, 4, 5, 6]
    assert "`q` reads `sb` instead of `sa`" in made_by_it[1].lines
    assert [(each.node, each.version) for change in made_by_it for each in change.swapped] == [("a", 2)]
    assert looked.snapshot().edits == 6
    run = dg.recover(run_id, [*line(), twin(), *spare()], {"x": iter(range(MANY))}, force=True, pace=PACE)
    for left in range(5, -1, -1):
        settled(run, run.undo)
        assert run.snapshot().edits == left
    with pytest.raises(RunError, match="none that was not taken back"):
        run.undo()
    assert [node.name for node in run.graph.processors()] == ["a", "b", "c"]
    assert (run.graph.node("a").attrs["concurrency"], run.graph.node("a").attrs["version"]) == (1, 3)
    assert [change.undone_by for change in run.changes[:6]] == [12, 11, 10, 9, 8, 7]
    assert [change.undoes for change in run.changes[6:]] == [6, 5, 4, 3, 2, 1]
    run.stop(timeout=60)
    assert anyio.run(judged, valkey_url, run_id) > 0
    assert len(run.changes) == 12
    Supervisor.instance.detach()


def test_what_an_undo_needs_and_nobody_knows_is_named(valkey_url: str) -> None:
    """A swap is not undone without the function of before; once it is defined here, it is."""
    run_id = changed_and_killed(valkey_url, "unknown", "asyncio", 5)
    Supervisor.attach({"url": valkey_url})
    known = [twin(), *(p for p in (*line(), *spare()) if p.name != "a")]
    run = dg.recover(run_id, known, {"x": iter(range(MANY))}, force=True, pace=PACE)
    with pytest.raises(
        GraphError, match=r"`a` \(x -> sa.*\) had as version 1 \(code [0-9a-f]{12}\).*define a processor 'a'"
    ):
        run.undo()
    assert run.snapshot().edits == 5
    first = passing("a", "x", "sa")
    assert run.undo().change.swapped == (first.name,)
    run.stop(timeout=60)
    anyio.run(judged, valkey_url, run_id)
    Supervisor.instance.detach()
