"""Faults of the connection between a worker and its store, through a proxy: the run goes on as if nothing had been."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from datagraph.streams.server import Server
from tests.faults.harness import judge, moments, workers
from tests.proxy import Proxy


def disturb(proxy: Proxy, kind: str) -> None:
    """One fault."""
    if kind == "reset":
        proxy.reset()
    elif kind == "lost reply":
        proxy.drop_replies(1)
    else:  # a black hole, out of which nothing comes: the connection is cut, and what it held is gone
        proxy.blackhole(True)
        proxy.reset()
        proxy.blackhole(False)


def disturbed(home: Path, shape: str, count: int, faults: int, seed: int) -> None:
    """Disturb the connection as the run gets on; the one worker stays, and every edge is exact in the end."""
    rng = random.Random(seed)
    backend = ("asyncio", "trio")[seed % 2]
    with (
        Server(home, aof=False, port=0) as server,
        Proxy(server.address) as proxy,
        workers(
            proxy.address.to_url(), shape, f"net-{shape}-{seed}", count, direct=server.url, backend=backend
        ) as team,
    ):
        worker = team.start(fresh=True)
        done = 0
        for at in moments(seed, team.total(), faults):
            if not team.wait_for(at, worker):
                break
            disturb(proxy, rng.choice(["reset", "lost reply", "black hole"]))
            done += 1
        team.finish(worker)
        assert done >= faults - 1, f"only {done} of {faults} faults came in time"
        assert proxy.connections > faults
        judge(server.url, team.run, shape, count)


@pytest.mark.parametrize(
    "shape, count, faults, seed", [("wide", 400, 5, 41), ("merging", 0, 3, 42), ("teams", 600, 3, 43)]
)
def test_a_disturbed_connection_leaves_no_trace(tmp_path: Path, shape: str, count: int, faults: int, seed: int) -> None:
    """Resets, lost replies and black holes repeat nothing and lose nothing."""
    disturbed(tmp_path, shape, count, faults, seed)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(400, 407))
@pytest.mark.parametrize("shape, count", [("wide", 1500), ("merging", 0), ("teams", 1500)])
def test_a_hundred_disturbances(tmp_path: Path, shape: str, count: int, seed: int) -> None:
    """100 and more."""
    disturbed(tmp_path, shape, count, 6, seed)
