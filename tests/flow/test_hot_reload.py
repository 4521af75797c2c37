"""Hot reload: a processor that is defined again is offered to the live runs that have a node of its name."""

from __future__ import annotations

import gc
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import datagraph as dg
from datagraph import IO, OPEN, Flow, GraphError, Processor, RunError
from datagraph.flow.known import known
from datagraph.flow.run import Run
from datagraph.graph.edit import to_dict

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("in_memory")]


def define(factor: int) -> Processor:
    """A cell that defines `scaled`, each time with another factor."""

    @dg.processor
    def scaled(n: int) -> int:
        return n * factor

    return scaled


def until(condition: Callable[[], Any]) -> None:
    """Wait for what another thread is about to do."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


@pytest.fixture
def going() -> Iterator[Run]:
    """A run of `scaled`, by 2, that has had the values 1 and 2."""
    run = Flow(define(2)).start({"n": OPEN})
    run["n"].send_many([1, 2])
    until(lambda: len(run["scaled"]) == 2)
    yield run
    run.cancel()


def test_a_bound_processor_is_known_by_its_name_until_nobody_holds_it() -> None:
    """The registry gives the latest of a name, and keeps none of them alive."""
    first = define(11)
    assert known()["scaled"] is first
    second = define(12)
    assert known()["scaled"] is second
    del first, second
    gc.collect()
    assert "scaled" not in known()


def test_any_processor_of_this_process_can_be_named_in_an_edit(going: Run) -> None:
    """A view names processors that the run does not have yet, and those that it has in their latest form."""

    @dg.processor
    def plus(scaled: int) -> int:
        return scaled + 1

    subject = going.subject
    names = [each["name"] for each in subject.spawn(subject.known).result()]
    assert "plus" in names
    assert "scaled" not in names
    latest = define(10)
    edits = [to_dict(dg.Connect(plus)), to_dict(dg.Swap("scaled", latest))]
    subject.spawn(subject.change, edits).result()
    assert not going.offers
    going["n"].send(3)
    until(lambda: len(going["plus"]) == 1)
    assert (going["scaled"].to_list(), going["plus"].to_list()) == ([2, 4, 30], [31])


def test_a_processor_defined_again_is_offered_and_accepted(going: Run) -> None:
    """The run keeps its function until the offer is accepted, and every value knows which version made it."""
    define(10)
    until(lambda: going.offers)
    going["n"].send(3)
    until(lambda: len(going["scaled"]) == 3)
    applied = going.accept("scaled")
    assert applied.change.swapped == ("scaled",)
    assert not going.offers
    going["n"].send(4)
    until(lambda: len(going["scaled"]) == 4)
    assert going["scaled"].to_list() == [2, 4, 6, 40]
    assert [(v.first, v.number) for v in going["scaled"].versions] == [(0, 1), (3, 2)]
    assert going.snapshot().nodes["scaled"].version == 2


def test_accept_can_be_undone(going: Run) -> None:
    """After an undo the first function runs again, as a version of its own."""
    define(10)
    until(lambda: going.offers)
    going.accept()
    going.undo()
    going["n"].send(3)
    until(lambda: len(going["scaled"]) == 3)
    assert going["scaled"].to_list() == [2, 4, 6]
    assert [(v.first, v.number) for v in going["scaled"].versions] == [(0, 1), (2, 2), (2, 3)]


def test_taking_another_change_back_leaves_versions_alone(going: Run) -> None:
    """Only another function is another version: an undo of a change elsewhere is none."""

    @dg.processor
    def plus(scaled: int) -> int:
        return scaled + 1

    going.apply(dg.Connect(plus))
    define(10)
    going.accept("scaled")
    define(20)
    going.accept("scaled")
    for _ in range(3):
        going.undo()
    assert [(v.first, v.number) for v in going["scaled"].versions] == [(0, 1), (2, 2), (2, 3), (2, 4), (2, 5)]
    assert going.graph.node("scaled").attrs["version"] == 5


def test_a_hot_run_swaps_at_once() -> None:
    """With hot=True defining the processor is enough."""
    run = Flow(define(2)).start({"n": OPEN}, hot=True)
    run["n"].send(1)
    until(lambda: len(run["scaled"]) == 1)
    define(3)
    until(lambda: run.graph.node("scaled").attrs["version"] == 2)
    run["n"].send(1)
    assert run.stop()["scaled"].to_list() == [2, 3]
    assert (run.hot, dict(run.offers)) == (True, {})


def test_heating_a_run_makes_what_was_offered(going: Run) -> None:
    """run.hot = True swaps in what waits, False only offers again."""
    define(10)
    until(lambda: going.offers)
    going.hot = True
    assert not going.offers
    going.hot = False
    define(20)
    until(lambda: going.offers)
    assert going.graph.node("scaled").attrs["version"] == 2


def test_binding_the_same_processor_object_again_is_an_offer_too() -> None:
    """A Processor that was bound to another function leaves the run as it is, and offers the new one."""
    shouted = Processor("shouted", inputs=["word"], outputs=["shout"])

    @shouted
    def _loud(word: str) -> str:
        return word.upper()

    run = Flow(shouted).start({"word": OPEN})
    run["word"].send("a")
    until(lambda: len(run["shout"]) == 1)

    @shouted
    def _louder(word: str) -> str:
        return word.upper() + "!"

    until(lambda: run.offers)
    run["word"].send("b")
    until(lambda: len(run["shout"]) == 2)
    run.accept()
    run["word"].send("c")
    assert run.stop()["shout"].to_list() == ["A", "B", "C!"]


def test_the_same_function_again_is_no_offer(going: Run) -> None:
    """A cell that is run again unchanged offers nothing, and takes back what an edit in between had offered."""
    define(10)
    until(lambda: going.offers)
    define(2)
    until(lambda: not going.offers)
    with pytest.raises(RunError, match="no node has a new function"):
        going.accept()
    with pytest.raises(RunError, match="'scaled' has a new function in this process: define"):
        going.accept("scaled")


def test_what_does_not_fit_stays_an_offer_with_its_reason() -> None:
    """A hot run that cannot make a swap goes on as it was; the node's log says why, accept raises it."""
    run = Flow(define(2)).start({"n": OPEN}, hot=True)

    @dg.processor(name="scaled")
    def _other(m: int) -> int:
        return m

    until(lambda: run.logs("scaled"))
    assert "was not swapped in" in run.logs("scaled")[0]
    assert "reads 'n', its new function 'm'" in "".join(run.logs("scaled"))
    assert list(run.offers) == ["scaled"]
    with pytest.raises(GraphError, match="give it the same inputs"):
        run.accept("scaled")
    run["n"].send(4)
    assert run.stop()["scaled"].to_list() == [8]


def test_state_in_locals_is_given_up_only_when_asked() -> None:
    """A function that keeps its state in its locals is not swapped until fresh=True is said."""

    def define_total(sign: int) -> Processor:
        @dg.processor
        async def total(n: IO[int]) -> AsyncIterator[int]:
            so_far = 0
            async for value in n:
                so_far += sign * value
                yield so_far

        return total

    run = Flow(define_total(1)).start({"n": OPEN})
    run["n"].send_many([1, 2])
    until(lambda: len(run["total"]) == 2)
    define_total(-1)
    until(lambda: run.offers)
    with pytest.raises(GraphError, match="say fresh=True"):
        run.accept()
    run.accept(fresh=True)
    run["n"].send_many([1, 2])
    assert run.stop()["total"].to_list() == [1, 3, -1, -3]


def test_every_live_run_is_offered_it_and_an_ended_one_is_not() -> None:
    """Two runs of one flow each have the offer; a run that has ended has none."""
    runs = [Flow(define(2)).start({"n": OPEN}) for _ in range(3)]
    runs[0].stop()
    define(5)
    until(lambda: runs[1].offers and runs[2].offers)
    assert not runs[0].offers
    runs[1].accept()
    assert not runs[1].offers
    assert runs[2].offers
    for run in runs[1:]:
        run.cancel()


def test_versions_of_a_stream_that_was_never_changed(going: Run) -> None:
    """One version from the first value on; an input has none."""
    assert [(v.first, v.number) for v in going["scaled"].versions] == [(0, 1)]
    assert going["n"].versions == ()


def test_positions_of_versions_are_exact_on_valkey(store_url: str, anyio_backend: Any) -> None:
    """Under load each value is told apart by its version, exactly, on both stores."""
    dg.Supervisor.attach(store_url, backend=anyio_backend)
    run = Flow(define(1)).start({"n": range(1, 10**9)})
    for factor in (-1, 2, -2):
        seen = len(run["scaled"])
        until(lambda seen=seen: len(run["scaled"]) > seen)
        define(factor)
        until(lambda: run.offers)
        run.accept()
    run.stop()
    made, versions = run["scaled"].to_list(), run["scaled"].versions
    dg.Supervisor.detach()
    factors = {1: 1, 2: -1, 3: 2, 4: -2}
    assert [version.number for version in versions] == [1, 2, 3, 4]
    ends = [*(version.first for version in versions[1:]), len(made)]
    expected = []
    for (version, _, start, _), stop in zip(versions, ends, strict=True):
        expected += [factors[version] * n for n in range(start + 1, stop + 1)]
    assert made == expected
