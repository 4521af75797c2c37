"""Shadows: a candidate beside a node on the same input, compared, and promoted or taken away."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import datagraph as dg
from datagraph import IO, OPEN, Flow, GraphError, IOVal, Processor, RunError
from datagraph.flow.run import Run
from datagraph.flow.shadow import same

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("supervisor")]


@dg.processor
def words(text: str) -> int:
    return len(text.split())


@dg.processor
def doubled(words: int) -> int:
    return 2 * words


def candidate(**options: Any) -> Processor:
    """Counts spaces, which is wrong for double ones, and fails on the empty text."""

    @dg.processor(name="words", **options)
    async def by_spaces(text: str) -> int:
        if not text:
            raise ValueError("no text")
        return text.count(" ") + 1

    return by_spaces


def until(condition: Callable[[], Any]) -> None:
    """Wait for what another thread is about to do."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


@pytest.fixture
def going() -> Iterator[Run]:
    """A run that has counted two texts."""
    run = Flow(words, doubled).start({"text": OPEN})
    run["text"].send_many(["one", "one two"])
    until(lambda: len(run["doubled"]) == 2)
    yield run
    run.cancel()


TEXTS = ["a b", "a  b", "", "a b c", "", "x"]


def test_both_are_compared_value_by_value(going: Run) -> None:
    """Each row is one value of the input: what the node made of it, what the candidate made, whether it is the same."""
    shadow = going.shadow("words", candidate())
    going["text"].send_many(TEXTS)
    until(lambda: len(shadow.compare()) == len(TEXTS))
    failed = "ValueError: no text"
    assert shadow.compare().to_numpy().tolist() == [
        [2, 2, 2, True],
        [3, 2, 3, False],
        [4, 0, failed, False],
        [5, 3, 3, True],
        [6, 0, failed, False],
        [7, 1, 1, True],
    ]
    assert shadow.compare(last=2)["position"].tolist() == [6, 7]
    assert shadow.errors == [failed, failed]
    assert "makes the same as `words` of 3 of 6 values" in shadow.summary()
    assert "`words_shadow` had 2 errors, `words` 0" in shadow.summary()


def test_a_failing_candidate_fails_nothing_else(going: Run) -> None:
    """A candidate that raises for every value leaves the run, and what it puts out, as they are."""

    @dg.processor(name="words")
    def broken(text: str) -> int:
        raise RuntimeError("never")

    shadow = going.shadow("words", broken)
    going["text"].send_many(["a", "b c"])
    until(lambda: len(shadow.errors) == 2)
    assert going.status == "running"
    going.stop()
    assert going["words"].to_list() == [1, 2, 1, 2]
    assert shadow.compare()["candidate"].tolist() == ["RuntimeError: never"] * 2


def test_what_cannot_be_stored_is_an_error_of_the_candidate(going: Run) -> None:
    """A candidate that puts out what no stream can hold, or for a stream that it has not, fails by itself."""

    @dg.processor(name="words")
    def unfit(text: str) -> Any:
        return IOVal(name="elsewhere", value=1)

    shadow = going.shadow("words", unfit)
    going["text"].send("a")
    until(lambda: shadow.errors)
    assert "put out a value for 'elsewhere'" in shadow.errors[0]
    shadow.stop()

    @dg.processor(name="words")
    def unstorable(text: str) -> Any:
        return (letter for letter in text)

    shadow = going.shadow("words", unstorable)
    going["text"].send("a")
    until(lambda: shadow.errors or len(shadow.compare()))
    assert going.status == "running"


def test_promote_is_one_change_and_one_undo(going: Run) -> None:
    """After promote the candidate is the node and its copy is gone; undo brings the node's own function back."""
    shadow = going.shadow("words", candidate())
    going["text"].send("a  b")
    until(lambda: len(shadow.compare()) == 1)
    applied = shadow.promote()
    assert (applied.change.swapped, [node.name for node in applied.change.dropped]) == (("words",), ["words_shadow"])
    going["text"].send("a  b")
    until(lambda: len(going["doubled"]) == 4)
    assert going["words"].to_list() == [1, 2, 2, 3]
    assert "0 of 1 values" in shadow.summary()
    going.undo()
    going["text"].send("a  b")
    until(lambda: len(going["doubled"]) == 5)
    assert going["words"].to_list() == [1, 2, 2, 3, 2]
    assert "words_shadow" in {node.name for node in going.graph}


def test_stop_takes_the_copy_away_and_keeps_what_was_seen(going: Run) -> None:
    """A stopped shadow is no node any more, and can still be asked."""
    shadow = going.shadow("words", candidate())
    going["text"].send_many(["a b", "a  b"])
    until(lambda: len(shadow.compare()) == 2)
    shadow.stop()
    assert "words_shadow" not in {node.name for node in going.graph}
    assert shadow.compare()["same"].tolist() == [True, False]


def test_a_second_shadow_knows_nothing_of_the_first(going: Run) -> None:
    """After a shadow was stopped another one begins anew: values and errors of the first are none of its own."""
    shadow = going.shadow("words", candidate())
    going["text"].send_many(["a  b", "", ""])
    until(lambda: len(shadow.compare()) == 3)
    shadow.stop()
    second = going.shadow("words", words)
    going["text"].send_many(["a  b", ""])
    until(lambda: second.compare()["position"].max() == 6)  # what the node has read is stored a moment later
    assert second.compare(last=2)["candidate"].tolist() == [2, 0]
    assert (second.errors, len(shadow.errors), second.name) == ([], 2, "words_shadow_2")
    assert "`words_shadow_2` had 0 errors" in second.summary()


def test_it_begins_where_the_node_is() -> None:
    """Where values wait for a slow node its shadow has them too, and both are aligned."""

    @dg.processor(name="slow")
    def slow(n: int) -> int:
        time.sleep(0.002)
        return n

    @dg.processor(name="slow")
    async def quick(n: int) -> int:
        return n if n % 5 else -n

    run = Flow(slow).start({"n": range(3000)})
    until(lambda: len(run["slow"]) > 5)
    shadow = run.shadow("slow", quick)
    until(lambda: len(shadow.compare()) > 10)
    frame = shadow.compare()
    assert frame["real"].tolist() == frame["position"].tolist()
    assert frame["same"].tolist() == [n % 5 != 0 for n in frame["position"]]
    assert "it works" in shadow.summary()
    run.cancel()


def test_the_candidate_has_the_settings_of_the_node() -> None:
    """What was given at the start or tuned holds for the copy as well."""

    def define() -> Processor:
        @dg.processor
        def scaled(n: int, by: int = 1, plus: int = 0) -> int:
            return n * by + plus

        return scaled

    run = Flow(define()).start({"n": OPEN}, settings={"scaled": {"by": 10}})
    run.tune("scaled", plus=1)
    shadow = run.shadow("scaled", define())
    run["n"].send_many([1, 2])
    until(lambda: len(shadow.compare()) == 2)
    assert shadow.compare()["candidate"].tolist() == [11, 21]
    assert shadow.compare()["same"].all()
    run.cancel()


def test_dead_letters_of_the_node_keep_the_rows_aligned() -> None:
    """A value that the node itself gave up is a row with its error, and the rows after it stay in step."""

    def define(bad: int) -> Processor:
        @dg.processor(on_error="dead_letter")
        def checked(n: int) -> int:
            if n % bad == 0:
                raise ValueError(str(n))
            return n

        return checked

    run = Flow(define(3)).start({"n": OPEN})
    run["n"].send_many([1, 2, 3, 4])
    until(lambda: len(run["checked"]) == 3)
    shadow = run.shadow("checked", define(2))
    run["n"].send_many([5, 6, 7, 8, 9])
    until(lambda: len(shadow.compare()) == 5)
    frame = shadow.compare()
    assert frame["real"].tolist() == [5, "ValueError: 6", 7, 8, "ValueError: 9"]
    assert frame["candidate"].tolist() == [5, "ValueError: 6", 7, "ValueError: 8", 9]
    assert frame["same"].tolist() == [True, True, True, False, False]
    run.cancel()


def test_what_is_not_one_for_one_is_compared_by_counts_only() -> None:
    """A node that leaves values out, or reads its stream itself, gives no rows, and the summary says why."""

    @dg.processor
    def odd(n: int) -> int | None:
        return n if n % 2 else None

    @dg.processor
    async def running(n: IO[int]) -> AsyncIterator[int]:
        total = 0
        async for value in n:
            total += value
            if total > 5:
                raise ValueError("too much")
            yield total

    run = Flow(odd, running).start({"n": OPEN})
    shadow = run.shadow("odd", odd)
    run["n"].send(2)
    until(lambda: "for each that it reads" in shadow.summary())
    assert "cannot be compared value by value" in shadow.summary()
    assert (len(shadow.compare()), list(shadow.compare())) == (0, ["position", "real", "candidate", "same"])
    run.cancel()

    @dg.processor(name="running")
    async def patient(n: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            yield value

    run = Flow(patient).start({"n": OPEN})
    shadow = run.shadow("running", running)
    run["n"].send_many([3, 3, 3])
    until(lambda: shadow.errors)
    assert "is not called once for each value" in shadow.summary()
    assert "it has ended: ValueError: too much" in shadow.summary()
    assert shadow.errors == ["ValueError: too much"]
    assert "too much" in "".join(run.stop().logs("running_shadow"))
    assert run["running"].to_list() == [3, 3, 3]


def test_several_outputs_go_to_streams_of_the_shadow() -> None:
    """A candidate names its outputs as the node does; its values arrive in the streams of the copy."""

    def define(sign: int) -> Processor:
        @dg.processor(outputs=("small", "large"))
        async def sorted_(n: int) -> AsyncIterator[IOVal[int]]:
            yield IOVal(name="small" if n < 10 else "large", value=sign * n)

        return sorted_

    run = Flow(define(1)).start({"n": OPEN})
    shadow = run.shadow("sorted_", define(-1))
    run["n"].send_many([1, 20, 2])
    until(lambda: len(run["small_shadow"]) == 2)
    run.stop()
    assert {name: run[name].to_list() for name in run} == {
        "small": [1, 2],
        "large": [20],
        "small_shadow": [-1, -2],
        "large_shadow": [-20],
    }
    assert "1 inputs and 2 outputs" in shadow.summary()


def test_what_cannot_stand_beside_the_node_is_refused(going: Run) -> None:
    """Other inputs or outputs, a second shadow, a function that is no processor: each is refused in words."""

    @dg.processor(name="words")
    def other(line: str) -> int:
        return 0

    with pytest.raises(GraphError, match="reads line, and 'words' text"):
        going.shadow("words", other)
    with pytest.raises(GraphError, match="writes count, and 'words' words"):
        going.shadow("words", candidate(outputs=("count",)))
    with pytest.raises(GraphError, match="takes a processor"):
        going.shadow("words", len)  # type: ignore[arg-type]
    shadow = going.shadow("words", candidate())
    with pytest.raises(GraphError, match="has a shadow already"):
        going.shadow("words", candidate())
    going.undo()
    with pytest.raises(RunError, match="is no node of the run any more"):
        shadow.compare()
    going.stop()
    with pytest.raises(RunError, match="cannot be changed any more"):
        going.shadow("words", candidate())


def test_dependencies_of_a_candidate_are_made_before_it_joins_the_run(going: Run) -> None:
    """A dependency that fails is raised where the shadow was asked for, and the run goes on without it."""
    made = []

    def model() -> int:
        made.append(len(made))
        if len(made) == 1:
            raise OSError("no such model")
        return 10

    @dg.processor(name="words")
    def modelled(text: str, factor: int = dg.Depends(model)) -> int:
        return factor * len(text.split())

    with pytest.raises(OSError, match="no such model"):
        going.shadow("words", modelled)
    assert going.status == "running"
    assert "words_shadow" not in {node.name for node in going.graph}
    shadow = going.shadow("words", modelled)
    going["text"].send("a b")
    until(lambda: 20 in shadow.compare()["candidate"].tolist())
    assert len(made) == 2


def test_it_shows_itself_in_a_cell(going: Run) -> None:
    """In a notebook a shadow is its summary and the first values that differ, escaped."""

    @dg.processor(name="words")
    async def marked(text: str) -> str:
        return f"<b>{text}"

    shadow = going.shadow("words", marked)
    going["text"].send("a")
    until(lambda: len(shadow.compare()) == 1)
    bundle = shadow._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Shadow('words_shadow' beside 'words'): `words_shadow` makes the same")
    assert "&lt;b&gt;a" in bundle["text/html"]
    assert "<b>a" not in bundle["text/html"]


def test_same_is_equality_for_arrays_tables_and_nan() -> None:
    """Arrays and tables are compared as a whole, NaN equals NaN, other types are another value."""
    import numpy as np
    import pandas as pd

    assert same(np.array([1, 2]), np.array([1, 2]))
    assert not same(np.array([1, 2]), np.array([1, 3]))
    assert not same(np.array([1, 2]), np.array([1, 2, 3]))
    assert same(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1]}))
    assert not same(pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [2]}))
    assert same(float("nan"), float("nan"))
    assert same(1, 1.0)
    assert not same("1", 1)
    assert same({"a": [np.array([1.0, float("nan")])]}, {"a": [np.array([1.0, float("nan")])]})
    assert not same({"a": (1,)}, {"a": (1, 2)})
