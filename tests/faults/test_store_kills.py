"""SIGKILL of the store: with an AOF the run goes on by itself, also where the tail of the AOF is gone; without, it says so."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Literal

import pytest

import datagraph as dg
from datagraph import Supervisor
from datagraph.streams.server import Server
from tests.faults.flows import SHAPES
from tests.faults.harness import PATIENCE, judge, moments, workers

Fsync = Literal["always", "everysec"]


def log_of(server: Server) -> Path:
    """The file that the server appends to."""
    (log,) = (server.directory / "appendonlydir").glob("*.incr.aof")
    return log


def cut_tail(server: Server, rng: random.Random, part: int = 4, least: int = 0) -> None:
    """What a power failure does: up to a `part` (a quarter) of all, what was written last, is not there.

    The first `least` bytes stay: a run whose creation is lost is a lost run, which is another test.
    """
    log = log_of(server)
    size = log.stat().st_size
    os.truncate(log, max(least, size - rng.randrange(size // part // 2, size // part)))


def outlived(home: Path, shape: str, count: int, kills: int, seed: int, fsync: Fsync, *, power: bool = False) -> None:
    """Kill the store as the run gets on; the one worker stays, and every edge is exact in the end."""
    rng = random.Random(seed)
    backend = ("asyncio", "trio")[seed % 2]
    with (
        Server(home, aof=True, appendfsync=fsync) as server,
        workers(server.url, shape, f"store-{shape}-{seed}", count, backend=backend) as team,
    ):
        worker = team.start(fresh=True)
        done = 0
        assert team.run
        created = log_of(server).stat().st_size
        for at in moments(seed, team.total(), kills) if kills else [5]:
            if not team.wait_for(at, worker):
                break
            server.kill()
            if power:
                cut_tail(server, rng, 4 if kills else 12, created)
            server.start()
            done += 1
        team.finish(worker)
        assert done >= kills - 1, f"only {done} of {kills} kills came in time"
        judge(server.url, team.run, shape, count)


@pytest.mark.parametrize(
    "shape, count, kills, seed, fsync", [("wide", 400, 3, 31, "everysec"), ("merging", 0, 2, 32, "always")]
)
def test_a_run_outlives_its_store(tmp_path: Path, shape: str, count: int, kills: int, seed: int, fsync: Fsync) -> None:
    """The same process reconnects and goes on, with nothing lost or doubled."""
    outlived(tmp_path, shape, count, kills, seed, fsync)


@pytest.mark.parametrize("shape, count, seed", [("wide", 400, 33), ("merging", 0, 34), ("teams", 600, 35)])
def test_a_store_that_lost_its_tail_has_every_node_go_back(tmp_path: Path, shape: str, count: int, seed: int) -> None:
    """Commits that were confirmed are gone: all nodes begin again from what is there, those that were done as well."""
    outlived(tmp_path, shape, count, 2, seed, "everysec", power=True)


@pytest.mark.parametrize("seed", [37, 38])
def test_a_store_that_lost_the_claims_themselves_is_taken_up_again(tmp_path: Path, seed: int) -> None:
    """Right after the start the tail holds the claims of nodes: that nobody owns them fences nobody."""
    outlived(tmp_path, "wide", 200, 0, seed, "always", power=True)


def test_a_store_without_persistence_is_a_lost_run(tmp_path: Path) -> None:
    """Whoever waits for the run is told at once, in the words of what happened; nothing begins from zero."""
    with Server(tmp_path, aof=False) as server:
        Supervisor.attach({"url": server.url})
        try:
            run = SHAPES["chain"].build().start({"n": dg.OPEN})
            run["n"].send(1)
            server.kill()
            server.start()
            with pytest.raises(dg.StoreLostError, match="did the store restart without persistence"):
                run.join(progress=False)
        finally:
            Supervisor.instance.detach()


def test_an_iterator_cannot_be_fed_again(tmp_path: Path) -> None:
    """Where the store lost what came of one, the process says so, and a recovery with the same values is exact."""
    with Server(tmp_path, aof=True) as server, workers(server.url, "once", "iterator", 400) as team:
        worker = team.start(fresh=True)
        assert team.wait_for(300, worker)
        server.kill()
        cut_tail(server, random.Random(36))
        server.start()
        worker.join(PATIENCE)
        assert worker.exitcode == 1
        team.finish(team.start())
        judge(server.url, team.run, "once", 400)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(300, 309))
@pytest.mark.parametrize("shape, count", [("wide", 1500), ("merging", 0), ("teams", 1500)])
def test_a_hundred_store_kills(tmp_path: Path, shape: str, count: int, seed: int) -> None:
    """100 and more: some with fsync at every write, some every second, some with the tail cut off."""
    outlived(tmp_path, shape, count, 4, seed, ("always", "everysec")[seed % 2], power=seed % 3 == 0)
