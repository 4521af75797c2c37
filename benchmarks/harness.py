"""Runs the cases: one process a round, rounds interleaved, so that a slow minute of the machine meets every case."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .measure import Measured
from .registry import Case

TIMEOUT = 180
"""Seconds that one round may take."""


@dataclass
class Outcome:
    """What came of one case: its rounds, or why there are none."""

    case: Case
    count: int
    rounds: list[Measured] = field(default_factory=list)
    problem: str = ""

    def median(self, name: str) -> float | None:
        """The median over the rounds of the number of that name."""
        found = self.numbers(name)
        return statistics.median(found) if found else None

    def numbers(self, name: str) -> list[float]:
        return [measured[name] for measured in self.rounds if name in measured]

    @property
    def names(self) -> list[str]:
        """The numbers that its rounds brought, in order."""
        return list(dict.fromkeys(name for measured in self.rounds for name in measured))


def run_all(
    cases: Sequence[Case],
    *,
    rounds: int,
    quick: bool = False,
    pin: bool = False,
    say: Callable[[str], None] = print,
) -> list[Outcome]:
    """Run every case `rounds` times, taking turns.

    `quick` does a twentieth of the work, to see that it works at all; its numbers mean little. `pin` gives each case's
    process the first core and its server the others. A case whose package is missing, or that fails, says so.
    """
    outcomes = [Outcome(case, max(10, case.count // 20) if quick else case.count) for case in cases]
    for outcome in outcomes:
        if outcome.case.missing:
            outcome.problem = f"not installed ({outcome.case.missing})"
    for turn in range(rounds):
        for outcome in outcomes:
            if outcome.problem or turn >= (outcome.case.rounds or rounds):
                continue
            measured = _one(outcome, pin=pin)
            if measured is None:
                say(f"round {turn + 1}/{rounds}  {outcome.case.name}: {outcome.problem}")
                continue
            outcome.rounds.append(measured)
            numbers = ", ".join(f"{name} {value:,.4g}" for name, value in measured.items())
            say(f"round {turn + 1}/{rounds}  {outcome.case.name}: {numbers}")
    return outcomes


def _one(outcome: Outcome, *, pin: bool) -> Measured | None:
    command = [sys.executable, "-m", "benchmarks.one", outcome.case.name, str(outcome.count)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    if pin and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, {0})
    try:
        out, err = process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        outcome.problem = f"failed: no end after {TIMEOUT} s"
        return None
    finally:
        _end_group(process)
    if process.returncode:
        outcome.problem = "failed: " + (err.strip().splitlines() or ["no message"])[-1][:200]
        return None
    measured: Measured = json.loads(out.strip().splitlines()[-1])
    return measured


def _end_group(process: subprocess.Popen[str]) -> None:
    """A case that failed may have left its server or worker: they share its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
