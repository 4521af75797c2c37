"""A store that goes back to before a change of the run, which goes on: it is told at once, and recovered from there."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

import datagraph as dg
from datagraph import Flow, Supervisor
from datagraph.flow.run import Run
from datagraph.streams.server import Server
from tests.faults.changer import judged, line, spare
from tests.faults.harness import PATIENCE
from tests.faults.test_store_kills import log_of
from tests.flow.changes import passing

INSERT = [dg.Insert(spare()[0], "sb->c.sb")]
CHANGES: dict[str, list[Any]] = {
    "insert": INSERT,
    "branch": [dg.Connect(spare()[-1])],
    "swap": [dg.Swap("b", passing("b", "sa", "sb", "stateless"), fresh=True)],
    "tune": [dg.Tune("a", concurrency=2)],
    "capacity": [dg.Tune("b", capacity=50)],
}
LOOPS = ("asyncio", "trio")


def begun(backend: str, url: str) -> Run:
    """A run under load."""
    Supervisor.attach({"url": url}, backend=backend)  # type: ignore[arg-type]
    run = Flow(*line(), capacity=400, keep="all", keep_results="all").start({"x": range(10**7)}, pace=4000)
    further(run, "sc")
    return run


def further(run: Run, stream: str, by: int = 100) -> None:
    """Return when a stream has got so many more values."""
    end, least = time.monotonic() + PATIENCE, len(run[stream]) + by
    while len(run[stream]) < least:
        assert time.monotonic() < end


def lose(server: Server, size: int) -> None:
    """The power fails: what was written behind that place of the log is not there when the server comes back."""
    server.kill()
    os.truncate(log_of(server), size)
    server.start()


def told(run: Run) -> dg.StoreLostError:
    """What whoever waits for the run gets."""
    with pytest.raises(dg.StoreLostError, match=r"went back to before a change .*recover") as caught:
        run._thread.call(_within, run)
    return caught.value


async def _within(run: Run) -> None:
    with anyio.fail_after(20):
        await run._local.ended()


def recovered(run: Run, url: str) -> None:
    """The run goes on by what the store has, and every edge is as the changes say that it has."""
    again = dg.recover(run.id, [*line(), *spare()], {"x": range(10**7)}, force=True, pace=4000)
    further(again, "sc")
    again.apply(dg.Insert(spare()[2], "sa->b.sa"))
    further(again, "sc")
    again.undo()
    further(again, "sc")
    again.stop(timeout=60)
    assert anyio.run(judged, url, run.id) > 300


@pytest.mark.parametrize("backend, what", [(LOOPS[i % 2], what) for i, what in enumerate(CHANGES)])
def test_a_change_that_the_store_lost_is_told_and_the_run_recovered(tmp_path: Path, backend: str, what: str) -> None:
    """Whatever was changed: no count is wrong, nothing hangs, and the recovered run is exact by the older wiring."""
    with Server(tmp_path, aof=True, appendfsync="always") as server:
        run = begun(backend, server.url)
        begun_at = log_of(server).stat().st_size
        further(run, "sc", 2000)
        before = random.randrange(begun_at, log_of(server).stat().st_size)
        run.apply(CHANGES[what])
        further(run, "sc")
        lose(server, before)
        told(run)
        recovered(run, server.url)
        Supervisor.instance.detach()


def test_of_two_changes_the_store_may_keep_one(tmp_path: Path) -> None:
    """What it kept is what the recovered run is, and can still be taken back."""
    with Server(tmp_path, aof=True, appendfsync="always") as server:
        run = begun("asyncio", server.url)
        run.apply(dg.Insert(spare()[1], "sa->b.sa"))
        further(run, "sc")
        between = log_of(server).stat().st_size
        run.apply(dg.Drop("p1"))
        further(run, "sc")
        lose(server, between)
        assert "change 2" in str(told(run))
        again = dg.recover(run.id, [*line(), *spare()], {"x": range(10**7)}, force=True, pace=4000)
        assert "p1" in [node.name for node in again.graph.processors()]
        assert [change.version for change in again.changes] == [1]
        further(again, "sc")
        again.undo()
        further(again, "sc")
        again.stop(timeout=60)
        assert anyio.run(judged, server.url, run.id) > 200
        Supervisor.instance.detach()
