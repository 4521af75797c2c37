"""`run.bottleneck().fix`, applied to the run that it is about while it goes on: what comes of it, against what was said.

The times are those of waits, and what is compared are two throughputs of one run, a moment apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

import datagraph as dg
from datagraph.observe.bottleneck import Bottleneck
from tests.observe.slow import ENDLESS, bursts, three

X = {"x": ENDLESS}
SOON = 20.0
FEWER, MORE = 0.65, 1.5  # of the predicted gain: what a machine with other things to do makes of it


@pytest.fixture(autouse=True)
def supervisor(request: pytest.FixtureRequest) -> Iterator[None]:
    """Runs in memory, or where a test says so in the embedded Valkey."""
    in_valkey = getattr(request, "param", "memory") == "valkey"
    dg.Supervisor.attach(request.getfixturevalue("valkey_url") if in_valkey else "memory://")
    yield
    dg.Supervisor.instance.detach()


def advised(run: dg.Run, kind: str) -> Bottleneck:
    """What is said of the run once it advises that kind of change."""
    until = time.monotonic() + SOON
    while True:
        found = run.bottleneck(over=0.6)
        if found.fix is not None and found.advice.kind == kind:
            return found
        assert time.monotonic() < until, str(found)


def rate(values: Iterator[Any], count: int) -> float:
    """Values a second of the next so many that arrive."""
    arrived = [time.monotonic() for _ in islice(values, count)]
    return (count - 1) / (arrived[-1] - arrived[0])


def check(make: Callable[[], dg.Flow], inputs: dict[str, Any], kind: str, count: int = 80) -> None:
    """The throughput grows about as was said, in one of three runs, and goes back with an undo."""
    rounds = []
    for _ in range(3):
        run = make().start(inputs)
        found = advised(run, kind)
        (leaf,) = run
        before = rate(iter(run[leaf].stream(len(run[leaf]))), count)
        run.apply(found.fix)
        after = rate(iter(run[leaf].stream(len(run[leaf]))), count)
        run.undo()
        undone = rate(iter(run[leaf].stream(len(run[leaf]))), count)
        run.cancel()
        values = run[leaf].to_list()
        assert inputs != X or values == list(range(len(values))), "a value was lost, repeated or overtaken"
        gain = found.advice.gain
        rounds.append((after / before, undone / before, gain))
        if FEWER * gain <= after / before <= MORE * gain and FEWER <= undone / before <= MORE:
            return
    pytest.fail(f"measured, after the undo, and predicted: {rounds}")


@pytest.mark.parametrize("supervisor", ["memory", "valkey"], indirect=True)
def test_fixed_concurrency_gains_what_was_predicted() -> None:
    """Twice as many waits at a time, from one value to the next."""
    check(lambda: three(1, 12, 1), X, "concurrency")


def test_fix_of_a_stage_with_a_slow_neighbour_gains_no_more_than_predicted() -> None:
    """What stands behind it is three quarters as slow."""
    check(lambda: three(1, 16, 11), X, "concurrency")


def test_fixed_rate_gains_what_was_predicted() -> None:
    """Where only `rate=` held it."""
    check(lambda: three(0.1, 0.1, 0.1, rate=60), X, "rate")


def test_fixed_capacity_lets_a_whole_burst_in() -> None:
    """Neither end waits for the other then."""
    check(lambda: bursts(20, 150, 5, capacity=5), {"start": [1]}, "capacity", 200)
