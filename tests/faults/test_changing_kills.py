"""SIGKILL of a process that changes its run again and again: the run is in the old wiring or the new one, never between."""

from __future__ import annotations

import multiprocessing
import random
import time
from pathlib import Path

import anyio
import pytest
import redis

from datagraph import Supervisor
from datagraph.streams.server import Server
from tests.faults.changer import change, judged, wiring
from tests.faults.harness import PATIENCE
from tests.flow.test_changing_random import Monkey
from tests.proxy import Proxy

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.faults.changer"])


def killed(url: str, kills: int, seed: int) -> None:
    """Kill process after process among its changes, have the next one recover the run, and judge it in the end."""
    rng, raw, name = random.Random(seed), redis.Redis.from_url(url), f"changed-{seed}"
    backend = ("asyncio", "trio")[seed % 2]
    run = ""
    for turn in range(kills + 1):
        last = turn == kills
        args = (url, run or name, rng.randrange(10**6), not turn, 30 if last else 10**6, backend)
        process = _context.Process(target=change, args=args, daemon=True)
        process.start()
        try:
            end = time.monotonic() + PATIENCE
            while not run:
                run = next(
                    (each.decode() for each in raw.zrange("dg:runs", 0, -1) if each.startswith(name.encode())), ""
                )
            if last:
                process.join(PATIENCE)
                assert process.exitcode == 0
                break
            until = wiring(raw, run) + rng.randrange(5, 20)
            while wiring(raw, run) < until:
                assert process.is_alive()
                assert time.monotonic() < end
            soon = time.monotonic() + rng.uniform(0, 0.03)  # somewhere in the change that follows, or between two
            while time.monotonic() < soon:
                continue
        finally:
            process.kill()
            process.join()
    made = wiring(raw, run)
    raw.close()
    held = anyio.run(judged, url, run)
    print(f"seed {seed}: {kills} kills, {made} changes, {held} values")
    assert made > 5 * kills


@pytest.mark.parametrize("seed", [21, 22])
def test_process_killed_among_its_changes_leaves_one_wiring(valkey_url: str, seed: int) -> None:
    """Ten kills of both loops: recovered, every edge is as the changes that the store has say."""
    killed(valkey_url, 5, seed)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(200, 204))
def test_more_processes_killed_among_their_changes(valkey_url: str, seed: int) -> None:
    """Forty kills."""
    killed(valkey_url, 10, seed)


def test_changes_over_a_connection_that_is_cut_are_made_once(tmp_path: Path, anyio_backend: str) -> None:
    """Before it is sent, under way, or when only the answer is lost: each change is made once, by a run that goes on."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    with Server(tmp_path, aof=False, port=0) as server, Proxy(server.address) as proxy:
        supervisor = Supervisor.attach(proxy.address.to_url(), backend=anyio_backend)
        monkey, rng = Monkey(seed), random.Random(seed)
        while sum(monkey.done.values()) < 40:
            if rng.random() < 0.5:
                proxy.reset()
            else:
                proxy.drop_replies(1)
            monkey.step()
        monkey.judge()
        supervisor.detach()
