"""What is told of a run's life: few events, each once, the same in every store."""

from __future__ import annotations

import pytest

import datagraph as dg
from datagraph import OPEN, Flow
from datagraph.events.model import DeadlockRelieved, Event, NodeFailed, RunEnded, ValueDeadLettered, decode

pytestmark = pytest.mark.usefixtures("supervisor")


@dg.processor
def double(n: int) -> int:
    return 2 * n


@dg.processor(on_error="dead_letter", retries=1)
def picky(double: int) -> int:
    if double == 4:
        raise ValueError("no fours")
    return double


def told(run: dg.Run) -> list[Event]:
    """The run's events."""
    return [decode(event) for _, event in run._thread.call(run._local.session.events)]


def kinds(run: dg.Run) -> list[str]:
    """Their kinds and whom they are about."""
    return [f"{type(event).__name__} {getattr(event, 'node', '')}".strip() for event in told(run)]


def test_a_completed_run_tells_each_start_and_end_once() -> None:
    """However many values pass: a handful of events."""
    run = Flow(double).start({"n": range(5000)}).join()
    found = kinds(run)
    assert sorted(found) == sorted(
        ["RunStarted", "NodeStarted in:n", "NodeStarted double", "NodeEnded in:n", "NodeEnded double", "RunEnded"]
    )
    assert (found[0], found[-1]) == ("RunStarted", "RunEnded")


def test_pause_resume_and_cancel_are_told() -> None:
    """With the node where it is one."""
    run = Flow(double).start({"n": OPEN})
    run.pause()
    run.pause("double")
    run.resume("double")
    run.resume()
    run.cancel()
    found = [kind for kind in kinds(run) if not kind.startswith("Node")]
    assert found == ["RunStarted", "RunPaused", "RunPaused double", "RunResumed double", "RunResumed", "RunEnded"]
    end = told(run)[-1]
    assert isinstance(end, RunEnded)
    assert end.status == "cancelled"


def test_a_failure_tells_where_and_why() -> None:
    """The node's event has the position; the run's end has the same sentence as the error."""

    @dg.processor
    def bad(n: int) -> int:
        raise ValueError(f"not {n}")

    run = Flow(bad).start({"n": [7]})
    with pytest.raises(ValueError, match="not 7") as caught:
        run.join()
    (failed,) = (event for event in told(run) if isinstance(event, NodeFailed))
    assert (failed.node, failed.position, failed.attempts, failed.error) == ("bad", 0, 1, str(caught.value))
    (ended,) = (event for event in told(run) if isinstance(event, RunEnded))
    assert (ended.status, ended.error) == ("failed", str(caught.value))


def test_dead_letters_and_their_return_are_told() -> None:
    """One event a value; the run that goes on, and ends again, says so."""
    run = Flow(double, picky).start({"n": range(4)}).join()
    (letter,) = (event for event in told(run) if isinstance(event, ValueDeadLettered))
    assert (letter.node, letter.stream, letter.position, letter.attempts) == ("picky", "double", 2, 2)
    assert letter.error == "ValueError: no fours"
    run.dead_letters("picky").resend()
    run.join()
    found = [kind for kind in kinds(run) if kind.startswith("Run")]
    assert found == ["RunStarted", "RunEnded", "RunResumed", "RunEnded"]


def test_a_relieved_deadlock_is_told() -> None:
    """Which edge, from what to what, and who waited for whom."""

    @dg.processor(inputs=["n"], outputs=["even", "odd"])
    async def split(n: dg.IO[int]):  # type: ignore[no-untyped-def]
        async for value in n:
            yield dg.IOVal(name="odd" if value % 2 else "even", value=value)

    @dg.processor(inputs=["even", "odd"], outputs=["joined"], capacity=8)
    async def odds_first(even: dg.IO[int], odd: dg.IO[int]):  # type: ignore[no-untyped-def]
        async for value in odd:
            yield value
        async for value in even:
            yield value

    run = Flow(split, odds_first).start({"n": range(40)})
    assert run.results()["joined"] == [*range(1, 40, 2), *range(0, 40, 2)]
    found = [event for event in told(run) if isinstance(event, DeadlockRelieved)]
    assert [(event.node, event.stream, event.capacity_before, event.capacity_after) for event in found] == [
        ("odds_first", "even", 8, 16),
        ("odds_first", "even", 16, 32),
    ]
    assert set(found[0].nodes) == {"split", "odds_first"}
