"""Changing a run while it goes on: each kind of edit, what is refused, and what is taken back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import datagraph as dg
from datagraph import IO, Context, Flow, Processor, Supervisor, processor
from datagraph.exceptions import GraphError, RunError, StreamTrimmedError, WiringChangedError
from datagraph.flow.run import Run
from tests.flow.changes import KINDS, Endless, made, passing


@contextmanager
def flowing(*processors: Processor, **options: Any) -> Iterator[Run]:
    """A run under load, which is ended and waited for afterwards."""
    numbers = Endless()
    run = Flow(*processors, **{"keep": "all", "keep_results": "all", **options}).start({"x": numbers.values()})
    try:
        for leaf in run:
            further(run, leaf)
        yield run
    finally:
        numbers.stop()
        run.resume()
        run.stop(timeout=30)


def further(run: Run, stream: str, by: int = 50) -> None:
    """Return when a stream has got so many more values."""
    next(iter(run[stream].stream(len(run[stream]) + by)))


def line(kind: str = "coroutine", **options: Any) -> tuple[Processor, Processor]:
    """x -> a -> sa -> b -> sb."""
    return passing("a", "x", "sa", kind), passing("b", "sa", "sb", kind, **options)


async def _negate(value: int) -> int:
    return -1 - value


def negating(name: str, reads: str, writes: str) -> Processor:
    """A processor that says by the sign of what it puts out that the value was with it."""
    return made(name, reads, writes, _negate)


def signs(values: list[int], count: int) -> list[bool]:
    """Which parts of 0, 1, 2... were negated, one after the other; each number is there once and in its place."""
    assert [value if value >= 0 else -1 - value for value in values] == list(range(count))
    negated = [value < 0 for value in values]
    return [sign for at, sign in enumerate(negated) if at == 0 or negated[at - 1] != sign]


@pytest.mark.parametrize("kind", KINDS)
def test_inserted_processor_gets_every_value_from_one_position_on(supervisor: Supervisor, kind: str) -> None:
    """What is inserted into an edge and dropped again has met all values between two positions, and no other."""
    with flowing(*line(kind)) as run:
        applied = run.apply(dg.Insert(negating("minus", "y", "ym"), "sa->b.sa"))
        further(run, "ym")
        assert [node.name for node in run.graph.processors()] == ["a", "b", "minus"]
        assert "minus" in str(applied)
        run.apply(dg.Drop("minus"))
        further(run, "sb")
    assert signs(run["sb"].to_list(), len(run["x"])) == [False, True, False]


def test_undo_takes_changes_back_one_after_the_other(supervisor: Supervisor) -> None:
    """Each undo takes back the last change that was not taken back, by a change of its own, until there is none."""
    with flowing(*line()) as run:
        before = run.graph.to_dict()
        run.apply(dg.Insert(negating("minus", "y", "ym"), "sa->b.sa"))
        further(run, "ym")
        run.apply(dg.Connect(passing("c", "sb", "sc")))
        further(run, "sc")
        run.undo()
        assert "c" not in [node.name for node in run.graph.processors()]
        run.undo()
        assert run.graph.to_dict() == before
        further(run, "sb")
        with pytest.raises(RunError, match="can be undone"):
            run.undo()
    assert signs(run["sb"].to_list(), len(run["x"])) == [False, True, False]


def test_moved_source_is_read_after_what_was_written_to_the_old_one(supervisor: Supervisor) -> None:
    """An input that moves to another stream reads the old one up to there first, and the new one from there on."""
    sides = passing("plus", "x", "sp"), negating("minus", "x", "sm"), passing("b", "sp", "sb")
    with flowing(*sides) as run:
        further(run, "sb")
        applied = run.apply(dg.Move("sp->b.sp", source="sm"))
        further(run, "sb")
        (join,) = applied.joins
        (cut,) = applied.cuts
    old, new, got = run["sp"].to_list(), run["sm"].to_list(), run["sb"].to_list()
    assert got == old[: cut.position] + new[join.position :]


def test_moved_target_takes_the_place_of_the_reader_before(supervisor: Supervisor) -> None:
    """An input that takes an edge over begins where the one before, which gets another stream, was cut."""
    with flowing(passing("a", "x", "sa"), passing("b", "sa", "sb"), passing("c", "x", "sc")) as run:
        with pytest.raises(GraphError, match="without its input"):
            run.apply(dg.Move("sa->b.sa", target="c.x"))
        applied = run.apply([dg.Move("sa->b.sa", target="c.x"), dg.Move("sa->b.sa", source="x")])
        further(run, "sc")
        further(run, "sb")
        (cut,) = [cut for cut in applied.cuts if cut.stream == "sa"]
        (join,) = [join for join in applied.joins if join.stream == "sa"]
        assert (cut.node, join.node, cut.position) == ("b", "c", join.position)
        assert run.graph.into("c")[0].stream == "sa"


def test_refused_change_leaves_everything_as_it_was(supervisor: Supervisor) -> None:
    """A change that cannot be is refused with every reason, and nothing of it is done."""
    with flowing(*line()) as run:
        before = run.graph.to_dict()
        with pytest.raises(GraphError, match="ring") as ring:
            run.apply([dg.Move("x->a.x", source="sb"), dg.Drop("nobody")])
        assert "nobody" in str(ring.value)
        for edit in (dg.Move("sa->b.sa", source="nothing"), dg.Drop("in:x"), dg.Tune("a", capacity=0)):
            with pytest.raises(GraphError):
                run.apply(edit)
        assert run.plan(dg.Drop("nobody")).problems
        assert run.graph.to_dict() == before
        further(run, "sb")
    assert run["sb"].to_list() == run["x"].to_list()


def test_swapped_function_gets_every_value_from_one_position_on(supervisor: Supervisor) -> None:
    """A swap puts another function in a node's place between two values; the node's version counts up."""
    with flowing(*line()) as run:
        run.apply(dg.Swap("b", negating("b2", "sa", "sb")))
        further(run, "sb", 5000)
        assert run.graph.node("b").attrs["version"] == 2
        run.undo()
        further(run, "sb", 5000)
    assert signs(run["sb"].to_list(), len(run["x"])) == [False, True, False]


def test_swap_hands_the_state_over(supervisor: Supervisor) -> None:
    """A function that keeps its state in the context is followed by one that goes on with it, or begins anew."""

    @processor(state="context", outputs=["sums"])
    async def count(x: int, ctx: Context) -> int:
        ctx.state["n"] = ctx.state.get("n", 0) + 1
        return ctx.state["n"]

    @processor(state="context", outputs=["sums"])
    async def count_on(x: int, ctx: Context) -> int:
        ctx.state["n"] = ctx.state.get("n", 0) + 1
        return -ctx.state["n"]

    with flowing(count) as run:
        further(run, "sums")
        run.apply(dg.Swap("count", count_on))
        further(run, "sums", 5000)
        run.apply(dg.Swap("count", count, fresh=True))
        further(run, "sums", 5000)
    got = run["sums"].to_list()
    anew = max(at for at, value in enumerate(got) if value == 1)
    assert 0 < anew < len(got)
    assert [abs(value) for value in got[:anew]] == list(range(1, anew + 1))
    assert got[anew:] == list(range(1, len(got) - anew + 1))


def test_state_in_locals_is_not_dropped_unasked(supervisor: Supervisor) -> None:
    """A generator's locals cannot be handed over, so its swap is refused unless it is to start fresh."""

    @processor(outputs=["sums"])
    async def add(x: IO[int]):
        total = 0
        async for _ in x:
            total += 1
            yield total

    with flowing(add) as run:
        further(run, "sums")
        with pytest.raises(GraphError, match="fresh=True"):
            run.apply(dg.Swap("add", passing("by", "x", "sums")))
        run.apply(dg.Swap("add", add, fresh=True))
        further(run, "sums", 5000)
    got = run["sums"].to_list()
    anew = max(at for at, value in enumerate(got) if value == 1)
    assert got == [*range(1, anew + 1), *range(1, len(got) - anew + 1)]
    assert anew
    assert len(got) == len(run["x"])


def test_swap_of_other_ports_is_refused(in_memory: Supervisor) -> None:
    """A function that reads or writes something else cannot take a node's place."""
    with flowing(*line()) as run, pytest.raises(GraphError, match="reads 'sa', its new function 'other'"):
        run.apply(dg.Swap("b", passing("b2", "other", "sb")))


def test_connected_branch_reads_from_now_on_until_it_is_disconnected(supervisor: Supervisor) -> None:
    """A new branch and what it feeds come and go, and the line that it hangs on does not notice."""
    with flowing(*line()) as run:
        applied = run.apply([dg.Connect(passing("c", "sa", "sc")), dg.Connect(passing("d", "sc", "sd"))])
        further(run, "sd")
        assert set(run) == {"sb", "sd"}
        (begun,) = [join.position for join in applied.joins if join.node == "c"]
        got = run["sd"].stream(0)
        assert [next(got) for _ in range(20)] == list(range(begun, begun + 20))
        del got
        run.apply(dg.Disconnect("c"))
        assert set(run) == {"sb"}
        further(run, "sb")
    assert run["sb"].to_list() == run["x"].to_list()


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_every_option_can_be_tuned(supervisor: Supervisor, paused: bool) -> None:
    """Capacity down and up, concurrency, workers there and back, rate, retries, timeout, on_error: nothing is lost."""

    @processor(outputs=["sb"])
    async def b(sa: int, add: int = 0) -> int:
        return sa + add * 0

    with flowing(passing("a", "x", "sa"), b) as run:
        if paused:
            run.pause()
        for what in (
            {"capacity": 5}, {"capacity": 2000}, {"concurrency": 3}, {"workers": 2}, {"concurrency": 1}, {"workers": 1},
            {"rate": 50_000.0}, {"rate": None}, {"retries": 2}, {"timeout": 9.0}, {"on_error": "skip"}, {"add": 7},
            {"capacity": 50, "concurrency": 2},
        ):  # fmt: skip
            (name, value), *_ = what.items()
            applied = run.tune("b", **what)
            assert [each.what for each in applied.change.tuned] == list(what)
            if name not in {"add", "capacity"}:
                assert run.graph.node("b").attrs[name] == value
            if "capacity" in what:
                edge = run.snapshot().edges["sa->b.sa"]
                assert edge.capacity == what["capacity"]
            if not paused:
                further(run, "sb")
        run.undo()
        assert run.snapshot().edges["sa->b.sa"].capacity == 2000
        run.resume()
        further(run, "sb")
    assert run["sb"].to_list() == run["x"].to_list()


def test_tuned_rate_holds_and_lets_go(in_memory: Supervisor) -> None:
    """A rate takes effect at once, and None takes it away."""
    with flowing(*line()) as run:
        run.tune("b", rate=20)
        before = len(run["sb"])
        further(run, "sb", 3)
        assert len(run["sb"]) - before < 50
        run.tune("b", rate=None)
        further(run, "sb", 500)


def test_more_at_once_is_refused_where_it_cannot_be(in_memory: Supervisor) -> None:
    """A function that reads streams itself is called once, so neither lanes nor workers can be tuned."""
    with flowing(*line("asyncgen")) as run:
        for what in ("concurrency", "workers"):
            with pytest.raises(GraphError, match="reads its streams itself"):
                run.tune("b", **{what: 2})


def test_run_becomes_what_a_flow_says(supervisor: Supervisor) -> None:
    """`apply` of a flow adds what it has, drops what it has not, and leaves the rest as it is."""
    a, b = line()
    with flowing(a, b) as run:
        run.apply(Flow(a, negating("minus", "sa", "sm"), passing("c", "sm", "sb2")))
        further(run, "sb2")
        assert [node.name for node in run.graph.processors()] == ["a", "minus", "c"]
        assert set(run) == {"sb2"}
        run.undo()
        further(run, "sb")
        assert [node.name for node in run.graph.processors()] == ["a", "b"]


def test_of_two_changes_at_once_each_is_made_or_refused_whole(supervisor: Supervisor) -> None:
    """Whoever was second hears that the wiring has changed, or comes after; no half of any change is left."""
    branches = [passing(f"q{n}", "sa", f"r{n}") for n in range(6)]
    refused: list[Exception] = []
    with flowing(*line()) as run:

        def connect(branch: Processor) -> None:
            try:
                run.apply(dg.Connect(branch))
            except WiringChangedError as error:
                refused.append(error)

        threads = [threading.Thread(target=connect, args=(branch,)) for branch in branches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        made_it = {node.name for node in run.graph.processors()} - {"a", "b"}
        assert len(made_it) + len(refused) == 6
        assert made_it
        assert {node.name for node in run.snapshot().nodes.values()} >= made_it
        for name in sorted(made_it):
            further(run, f"r{name[1:]}")
        further(run, "sb")
    assert run["sb"].to_list() == run["x"].to_list()


def test_input_can_go_back_and_read_again(supervisor: Supervisor) -> None:
    """`seek` has an input go on at an earlier or a later position of its stream, and says where it was."""
    with flowing(*line()) as run:
        further(run, "sb", 200)
        back = run.seek("b.sa", 10)
        further(run, "sb", 1000)
        with pytest.raises(RunError):
            run.seek("b.sa", 10**9)
    assert str(back).startswith("`b.sa` reads on from position 10 (")
    assert "undo" not in str(back), "a seek is not undone"
    first = back.cuts[0].position
    got = run["sb"].to_list()
    assert got == [*range(first), *range(10, len(run["x"]))]


def test_seek_to_what_is_not_kept_is_refused(supervisor: Supervisor) -> None:
    """Where the values are gone, the seek says so and the input goes on where it was."""
    with flowing(*line(), keep=10) as run:
        further(run, "sb", 10_000)
        with pytest.raises(StreamTrimmedError):
            run.seek("b.sa", 0)
        further(run, "sb")
    assert run["sb"].to_list() == list(range(len(run["x"])))


def test_run_that_has_ended_is_not_changed(supervisor: Supervisor) -> None:
    """A run that is over refuses every change, and says why."""
    run = Flow(*line()).start({"x": range(10)})
    run.join()
    for change in (dg.Drop("b"), dg.Tune("a", concurrency=2), dg.Connect(passing("c", "sa", "sc"))):
        with pytest.raises(RunError, match="completed"):
            run.apply(change)
    assert run["sb"].to_list() == list(range(10))


def test_the_only_node_left_at_work_can_be_changed(supervisor: Supervisor) -> None:
    """A node that begins anew while nothing else of the run is at work here goes on, though nobody else does."""
    go = threading.Event()

    @processor
    def slow(x: int) -> int:
        go.wait(20)
        return x

    run = Flow(slow).start({"x": range(300)})
    while run.snapshot().nodes["in:x"].status != "done":
        continue
    changing = threading.Thread(target=run.tune, args=("slow",), kwargs={"concurrency": 2})
    changing.start()
    go.set()
    changing.join(20)
    assert run.results() == {"slow": list(range(300))}


def test_swapped_node_that_is_moved_too_holds_nobody_back(supervisor: Supervisor) -> None:
    """A node that gets another function and another stream at once lets its old stream go."""
    with flowing(passing("a", "x", "sa"), passing("c", "sa", "sc"), passing("b", "sa", "sb")) as run:
        run.apply([dg.Swap("b", passing("b2", "sa", "sb")), dg.Move("sa->b.sa", source="sc")])
        further(run, "sc", 20_000)
        further(run, "sb", 20_000)
    assert run["sc"].to_list() == run["x"].to_list()


def test_paused_node_is_not_dropped_with_what_it_holds(supervisor: Supervisor) -> None:
    """What a paused node has in hand would hang for ever, so it is resumed first."""
    with flowing(*line(), passing("c", "sb", "sc")) as run:
        run.pause("b")
        with pytest.raises(GraphError, match="paused"):
            run.apply(dg.Drop("b"))
        run.resume("b")
        run.apply(dg.Drop("b"))
        further(run, "sc")
    assert run["sc"].to_list() == run["x"].to_list()


def test_plan_says_what_would_be_and_does_nothing(in_memory: Supervisor) -> None:
    """A plan is the difference in words, and the run goes on as it is."""
    with flowing(*line()) as run:
        before = run.graph
        change = run.plan(dg.Insert(negating("minus", "y", "ym"), "sa->b.sa"))
        assert not change.problems
        assert "new: `minus` (sa -> ym)" in change.lines()
        assert run.graph is before


def test_changes_are_kept_in_the_run(supervisor: Supervisor) -> None:
    """Every change is in the store, with its time and what it was."""
    with flowing(*line()) as run:
        run.tune("a", retries=1)
        run.undo()
        kept = run._thread.call(run._local.session.changes)
    assert [version for version, *_ in kept] == [1, 2]
    assert all(b"retries" in note for *_, note in kept)
