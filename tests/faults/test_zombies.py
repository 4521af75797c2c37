"""A process that was stopped, lost its run to another one, and wakes up; and two that run at once."""

from __future__ import annotations

import os
import signal

import pytest

from tests.faults.flows import FENCED
from tests.faults.harness import PATIENCE, judge, moments, workers


def haunted(url: str, shape: str, count: int, zombies: int, seed: int, *, asleep: bool = True) -> None:
    """Stop a worker, have another take over, wake the first in the middle of that; all of them stay to the end."""
    backend = ("asyncio", "trio")[seed % 2]
    with workers(url, shape, f"zombie-{shape}-{seed}-{asleep}", count, backend=backend) as team:
        worker = team.start(fresh=True)
        fenced = []
        soon = 1 if asleep else 2  # who is awake goes on while the other one starts, and must not be done by then
        for at in moments(seed, team.total() // soon, zombies):
            if not team.wait_for(at, worker):
                break
            if asleep:
                os.kill(worker.pid or 0, signal.SIGSTOP)
            fenced.append(worker)
            worker = team.start()
            if asleep:
                team.wait_for(team.progress() + 1, worker)
                os.kill(fenced[-1].pid or 0, signal.SIGCONT)
        team.finish(worker)
        for zombie in fenced:
            zombie.join(PATIENCE)
            assert zombie.exitcode == FENCED
        judge(url, team.run, shape, count)


@pytest.mark.parametrize("shape, count, seed", [("wide", 500, 21), ("merging", 0, 22), ("teams", 800, 23)])
def test_a_zombie_that_wakes_up_is_fenced(valkey_url: str, shape: str, count: int, seed: int) -> None:
    """SIGSTOP, takeover, SIGCONT: what the first one had in hand is refused, and it leaves."""
    haunted(valkey_url, shape, count, 2, seed)


def test_a_second_executor_takes_over_and_the_first_is_fenced(valkey_url: str) -> None:
    """With force, while the first is alive and at work."""
    haunted(valkey_url, "wide", 1200, 2, 24, asleep=False)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(200, 214))
@pytest.mark.parametrize("shape, count", [("wide", 1500), ("merging", 0), ("teams", 2000)])
def test_a_hundred_zombies(valkey_url: str, shape: str, count: int, seed: int) -> None:
    """100 and more, asleep and awake."""
    haunted(valkey_url, shape, count, 3, seed, asleep=seed % 4 > 0)
