"""SIGKILL of the process that runs a run, at random moments of the run: another process goes on, and every edge is exact."""

from __future__ import annotations

import pytest

from tests.faults.harness import judge, moments, workers


def killed(url: str, shape: str, count: int, kills: int, seed: int) -> None:
    """Kill worker after worker as the run gets on, let the last one finish, compare every edge with the model."""
    backend = ("asyncio", "trio")[seed % 2]
    with workers(url, shape, f"kill-{shape}-{seed}", count, backend=backend) as team:
        worker = team.start(fresh=True)
        done = 0
        for at in moments(seed, team.total(), kills):
            if not team.wait_for(at, worker):
                break
            worker.kill()
            worker.join()
            done += 1
            worker = team.start()
        team.finish(worker)
        assert done >= kills - 1, f"only {done} of {kills} kills came in time"
        judge(url, team.run, shape, count)


@pytest.mark.parametrize(
    "shape, count, kills, seed",
    [("wide", 500, 8, 11), ("once", 400, 4, 12), ("teams", 800, 4, 14), ("merging", 0, 4, 13)],
)
def test_a_killed_worker_leaves_no_trace_on_any_edge(
    valkey_url: str, shape: str, count: int, kills: int, seed: int
) -> None:
    """20 kills over all kinds of processors, feeders and shared nodes: nothing lost, doubled or out of order."""
    killed(valkey_url, shape, count, kills, seed)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(100, 120))
@pytest.mark.parametrize("shape, count", [("wide", 1500), ("once", 1200), ("merging", 0), ("teams", 2000)])
def test_hundreds_of_killed_workers(valkey_url: str, shape: str, count: int, seed: int) -> None:
    """500 kills and more, 20 seeds each."""
    killed(valkey_url, shape, count, 7, seed)
