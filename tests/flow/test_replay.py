"""Replay: what an edge has carried, fed to a processor in a run of its own, at the pace of then or faster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import datagraph as dg
from datagraph import IO, OPEN, Flow, GraphError, ProcessorError, StreamTrimmedError, UnknownIOError
from datagraph.flow.replay import came, seen
from datagraph.flow.run import Run

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("supervisor")]


@dg.processor
async def double(n: int) -> int:
    return 2 * n


@dg.processor
async def text(double: int, mark: str = "") -> str:
    return f"{double}{mark}"


@dg.processor
def negative(anything: int) -> int:
    return -anything


def until(condition: Callable[[], Any]) -> None:
    """Wait for what another thread is about to do."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


@pytest.fixture
def going() -> Iterator[Run]:
    """A run that has doubled 0 to 9, and waits for more."""
    run = Flow(double, text).start({"n": OPEN}, name="numbers")
    run["n"].send_many(list(range(10)))
    until(lambda: len(run["text"]) == 10)
    yield run
    run.cancel()


def test_values_of_an_edge_go_into_another_processor(going: Run) -> None:
    """The values from start to stop, and no others, are what the processor is fed, whatever its input is called."""
    replay = going.replay("double->text.double", 2, 5, into=negative)
    assert replay.results() == {"negative": [-4, -6, -8]}
    assert replay["anything"].to_list() == [4, 6, 8]
    assert replay.name == "numbers replay"


def test_it_touches_nothing_of_the_run(going: Run) -> None:
    """A replay, also one that fails, leaves streams, graph and status of the run as they were."""
    before = (going.graph, {name: going[name].to_list() for name in ("n", "double", "text")})

    @dg.processor
    def broken(anything: int) -> int:
        raise ValueError("broken")

    with pytest.raises(ProcessorError, match="broken"):
        going.replay("n->double.n", into=broken).join()
    going.replay("n->double.n", into=double).join()
    assert (going.graph, {name: going[name].to_list() for name in ("n", "double", "text")}) == before
    assert going.status == "running"
    going["n"].send(10)
    until(lambda: going["text"].peek(1) == ["20"])


def test_without_a_processor_it_goes_to_the_edges_own() -> None:
    """The processor that reads the edge is used as it is there, with the settings that it was given."""
    run = Flow(double, text).start({"n": [1, 2]}, settings={"text": {"mark": "!"}})
    assert run.results() == {"text": ["2!", "4!"]}
    assert run.replay("double->text.double").results() == {"text": ["2!", "4!"]}


def test_the_pace_is_that_of_the_recording() -> None:
    """Values between which nothing came for a while come with that pause between them, at twice the pace with half."""
    run = Flow(double).start({"n": OPEN})

    def quiet() -> float:
        """Seconds for which there were three values."""
        seen = run.history().query("name == 'n->double.n' and written == 3")["at"]
        return (seen.max() - seen.min()).total_seconds() if len(seen) else 0.0

    run["n"].send_many([1, 2, 3])
    until(lambda: quiet() > 0.3)
    run["n"].send_many([4, 5])
    run.stop()
    pause = quiet()
    for speed in (1, 2):
        replay = run.replay("n->double.n", speed=speed)
        arrived = [(value, time.monotonic()) for value in replay["double"]]
        assert [value for value, _ in arrived] == [2, 4, 6, 8, 10]
        assert arrived[3][1] - arrived[0][1] > 0.8 * pause / speed


def test_a_replay_can_be_cancelled_while_it_waits() -> None:
    """A slow replay ends at once when it is cancelled."""
    run = Flow(double).start({"n": range(500)}, pace=1000)
    run.join()
    replay = run.replay("n->double.n", speed=0.1)
    until(lambda: len(replay["double"]) > 0)
    replay.cancel()
    assert replay.status == "cancelled"
    assert len(replay["n"]) < 500


def test_values_that_are_gone_are_refused(run_id: str) -> None:
    """Where values are not kept any more nothing is started, and the error says which there are."""
    run = Flow(double, text, keep=10).start({"n": range(40_000)}, name=run_id)
    run.join()
    with pytest.raises(StreamTrimmedError):
        run.replay("double->text.double", 0, 100)
    assert [each.name for each in dg.runs() if each.name == f"{run_id} replay"] == []
    assert run.replay("double->text.double", 39_997).results() == {"text": ["79994", "79996", "79998"]}


def test_what_cannot_be_replayed_is_refused(going: Run) -> None:
    """An unknown edge, positions that are not there, a pace out of bounds, several inputs: each is refused in words."""

    @dg.processor
    async def both(one: IO[int], other: IO[int]) -> int:
        return 0

    with pytest.raises(UnknownIOError, match=r"did you mean 'n->double.n'"):
        going.replay("n->doubel.n")
    with pytest.raises(ValueError, match="has the positions 0 to 10 so far; got start=3, stop=11"):
        going.replay("n->double.n", 3, 11)
    with pytest.raises(ValueError, match="start=-1"):
        going.replay("n->double.n", -1)
    with pytest.raises(ValueError, match=r"0.1 to 100 times the recorded pace, or None; got 0"):
        going.replay("n->double.n", speed=0)
    with pytest.raises(GraphError, match="has 2 inputs"):
        going.replay("n->double.n", into=both)
    with pytest.raises(GraphError, match="say which it is replayed into"):
        going.replay("text->out:text.text")


def test_moments_are_between_those_that_were_seen() -> None:
    """Counts without growth move the moment on, so that a pause lies between two values and not within one."""
    ticks = [
        {"at": 100.0, "elapsed": 1.0, "e": [[0], [5]]},
        {"at": 101.0, "elapsed": 2.0, "e": [[10], [5]]},
        {"at": 105.0, "elapsed": 6.0, "e": [[10], [5]]},
        {"at": 106.0, "elapsed": 7.0, "e": [[20], [5]]},
    ]
    known = seen(ticks, [0])
    assert known == [(0, 99.0, 100.0), (10, 101.0, 105.0), (20, 106.0, 106.0)]
    assert [came(known, count) for count in (5, 10, 15, 20, 25)] == [100.5, 101.0, 105.5, 106.0, 106.0]
    assert seen([], []) == [(0, 0.0, 0.0)]
