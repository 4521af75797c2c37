"""Tasks and transitions: predicates, branches, joins, loops; what becomes of every value."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import anyio
import pytest

from datagraph.exceptions import DatagraphError
from datagraph.pipeline import DagPipeline, DagTask, PipelineBuilder, PipelineContext, TaskTransition

pytestmark = pytest.mark.anyio


async def same(ctx: PipelineContext, value: Any) -> Any:
    return value


async def more(ctx: PipelineContext, value: int) -> int:
    return value + 1


def odd(ctx: PipelineContext, value: int) -> bool:
    return value % 2 == 1


async def even(ctx: PipelineContext, value: int) -> bool:
    await anyio.lowlevel.checkpoint()
    return value % 2 == 0


def noted(name: str) -> Any:
    async def handler(ctx: PipelineContext, value: int) -> tuple[str, int]:
        return f"{name} {value}"  # type: ignore[return-value]

    return handler


async def test_a_value_goes_along_every_way_whose_predicate_holds() -> None:
    """Sync and async predicates, and a way without one; each target gets a value of its own."""
    built = (
        PipelineBuilder()
        .task("start", same)
        .task("odd", noted("odd"))
        .task("even", noted("even"))
        .task("all", noted("all"))
        .edge("start", "odd", predicate=odd)
        .edge("start", "even", predicate=even)
        .edge("start", "all")
        .build()
    )
    assert sorted(await built.run_stream([1, 2])) == ["all 1", "all 2", "even 2", "odd 1"]


async def test_a_diamond_gives_two_items_at_the_join() -> None:
    """Fan-in is item by item: nothing is zipped."""
    built = (
        PipelineBuilder()
        .task("top", same)
        .task("left", more)
        .task("right", same)
        .task("join", same)
        .edge("top", "left")
        .edge("top", "right")
        .edge("left", "join")
        .edge("right", "join")
        .build()
    )
    assert sorted(await built.run_stream([10, 20])) == [10, 11, 20, 21]


async def test_every_source_task_gets_every_payload() -> None:
    """Tasks that no other leads to are sources; those that lead nowhere are sinks."""
    pipeline = DagPipeline(
        [
            DagTask("a", noted("a"), [TaskTransition("c")]),
            DagTask("b", noted("b"), [TaskTransition("c")]),
            DagTask("c", same),
        ]
    )
    assert pipeline.sources == ["a", "b"]
    assert pipeline.sinks == ["c"]
    assert sorted(await pipeline.run_stream([1, 2])) == ["a 1", "a 2", "b 1", "b 2"]


async def test_values_that_no_way_takes_become_results() -> None:
    """Also in the middle of a pipeline."""
    pipeline = DagPipeline([DagTask("a", same, [TaskTransition("b", odd)]), DagTask("b", noted("b"))])
    assert sorted(await pipeline.run_stream([1, 2, 4]), key=str) == [2, 4, "b 1"]


async def test_unmatched_values_may_be_dropped_and_are_counted() -> None:
    """Dropped is not vanished: the results say how many and why, an event says the first and the sum."""
    pipeline = DagPipeline([DagTask("a", same, [TaskTransition("b", odd)]), DagTask("b", same)], unmatched="drop")
    run = pipeline.start([1, 2, 4, 6])
    assert await run == [1]
    assert run.reasons == {"no edge of 'a' matched": 3}
    assert [event.count for event in run.events() if type(event).__name__ == "ValueDropped"] == [1, 3]
    assert run.snapshot().nodes["a"].skipped == 3


async def test_unmatched_values_may_be_an_error() -> None:
    """Which names the task."""
    pipeline = DagPipeline([DagTask("a", same, [TaskTransition("b", odd)]), DagTask("b", same)], unmatched="raise")
    with pytest.raises(LookupError, match="no way out of 'a' takes this value"):
        await pipeline.run_stream([1, 2])


# -- loops ------------------------------------------------------------------------------------------------------------


async def test_a_loop_of_one_task_ends_where_its_predicate_says() -> None:
    """Unbounded by number, bounded by what it does."""
    pipeline = DagPipeline([DagTask("grow", more, [TaskTransition("grow", lambda ctx, value: value < 5)])])
    assert await pipeline.run_stream([0, 3, 7]) == [8, 5, 5]


@pytest.mark.parametrize("length", [1, 2, 5])
async def test_a_loop_over_any_number_of_tasks_is_taken_max_loops_times(length: int) -> None:
    """After that the value goes on to the results, with the reason: it never vanishes."""
    names = [f"t{number}" for number in range(length)]
    builder = PipelineBuilder()
    for name in names:
        builder.task(name, more)
    for before, after in pairwise(names):
        builder.edge(before, after)
    builder.edge(names[-1], names[0], max_loops=3, name="again")
    contexts: list[PipelineContext] = []
    seen: list[int] = []

    def keep(value: int, ctx: PipelineContext) -> None:
        seen.append(value)
        contexts.append(ctx)

    pipeline = builder.build()
    results = await pipeline.run_stream([0, 100], result_handler=keep)
    assert sorted(seen) == [4 * length, 100 + 4 * length]
    assert results.reasons == {"'again' was taken max_loops=3 times": 2}
    assert {ctx.meta["reason"] for ctx in contexts} == {"'again' was taken max_loops=3 times"}
    assert {ctx.meta["loop_counts"][names[-1], "again"] for ctx in contexts} == {3}
    assert {len(ctx.node_path) for ctx in contexts} == {4 * length}


async def test_an_exhausted_loop_leaves_the_other_ways_open() -> None:
    """A value that may not go round again takes whatever else matches, and is no result then."""
    built = (
        PipelineBuilder()
        .task("work", more)
        .task("check", same)
        .task("done", noted("done"))
        .edge("work", "check")
        .edge("check", "work", max_loops=2)
        .edge("check", "done", predicate=lambda ctx, value: ctx.meta.get("loop_counts", {}).get(("check", "work")) == 2)
        .build()
    )
    results = await built.run_stream([0])
    assert results == ["done 3"]
    assert not results.reasons


async def test_loops_are_counted_for_each_item_and_way() -> None:
    """Two loops over the same task, and two items: each has its own count, branches have copies."""
    built = (
        PipelineBuilder()
        .task("a", more)
        .task("b", same)
        .edge("a", "a", max_loops=1, name="self")
        .edge("a", "b")
        .edge("b", "a", max_loops=1, name="back")
        .build()
    )
    results = await built.run_stream([0])
    # 1 goes to itself and to b; each way back and round may be taken once more by each of the branches
    assert Counter(results) == {2: 1, 3: 2}
    assert results.reasons == {"'back' was taken max_loops=1 times": 3}


async def test_max_loops_of_zero_is_never_taken() -> None:
    """The way is there, and closed."""
    pipeline = DagPipeline([DagTask("a", more, [TaskTransition("a", max_loops=0)])])
    assert await pipeline.run_stream([1]) == [2]


async def test_a_ring_that_nothing_leads_to_begins_with_its_first_task() -> None:
    """Else no payload would ever come in."""
    pipeline = DagPipeline([DagTask("b", more, [TaskTransition("a")]), DagTask("a", more, [TaskTransition("b", even)])])
    assert pipeline.sources == ["b"]
    assert await pipeline.run_stream([1]) == [3]
    also = DagPipeline([DagTask("a", more, [TaskTransition("a", even)]), DagTask("b", same)])
    assert also.sources == ["a", "b"]


async def test_a_loop_that_multiplies_ends() -> None:
    """Every value becomes three, six times over: the end is where nothing is in flight any more."""

    async def thrice(value: int) -> list[int]:
        return [value + 1] * 3

    pipeline = DagPipeline([DagTask("a", thrice, [TaskTransition("a", lambda ctx, value: value < 6)], capacity=2)])
    with anyio.fail_after(30):
        assert await pipeline.run_stream([0, 0]) == [6] * (2 * 3**6)


async def test_a_loop_whose_values_die_ends() -> None:
    """Values that come to nothing on the ring leave nothing behind that could be waited for."""

    async def halve(value: int) -> int | None:
        return value // 2 or None

    pipeline = DagPipeline([DagTask("a", halve, [TaskTransition("b")]), DagTask("b", halve, [TaskTransition("a")])])
    with anyio.fail_after(30):
        assert await pipeline.run_stream([5, 1000, 1]) == []


# -- building ---------------------------------------------------------------------------------------------------------


def test_what_cannot_be_is_refused_with_a_name() -> None:
    """Errors say what is wrong, what was given, and what to do."""
    builder = PipelineBuilder().task("clean", same)
    for wrong, said in [
        (lambda: DagPipeline([]), "at least one task"),
        (lambda: PipelineBuilder().build(), "at least one task"),
        (lambda: DagPipeline([DagTask("a", same), DagTask("a", same)]), "two tasks are called 'a'"),
        (
            lambda: DagPipeline([DagTask("a", same, [TaskTransition("bb")])]),
            "'a' leads to 'bb', which the pipeline lacks",
        ),
        (lambda: builder.task("clean", same), "there is a task 'clean' already"),
        (lambda: builder.edge("clean", "claen"), "did you mean 'clean'"),
        (lambda: builder.edge("nothing", "clean"), "leads from 'nothing'"),
        (lambda: DagTask("", same), "empty"),
        (lambda: DagTask("a", same, concurrency=0), "concurrency of 'a' is a number"),
        (lambda: DagTask("a", same, timeout=-1), "timeout of 'a'"),
        (lambda: DagTask("a", same, capacity=0), "capacity of 'a'"),
        (lambda: DagTask("a", same, on_error="explode"), 'on_error is "raise", "skip"'),
        (lambda: TaskTransition("a", max_loops=-1), "max_loops is a number"),
        (lambda: DagPipeline([DagTask("a", same)], unmatched="lose"), "unmatched is one of"),
        (lambda: DagPipeline([DagTask("a", same)], capacity=0), "capacity is a number"),
    ]:
        with pytest.raises(ValueError, match=said):
            wrong()
    with pytest.raises(TypeError, match="a predicate is a function"):
        TaskTransition("a", predicate="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="made of DagTask; got str"):
        DagPipeline(["a"])  # type: ignore[list-item]


def test_errors_of_building_are_of_one_family() -> None:
    """`except DatagraphError` takes them, and so does `except ValueError`."""
    with pytest.raises(DatagraphError):
        DagPipeline([])


async def test_a_builder_can_be_built_twice_and_goes_on() -> None:
    """What was built does not change with the builder."""
    builder = PipelineBuilder().task("a", more)
    first = builder.build(run_id="one")
    second = builder.task("b", more).edge("a", "b").build()
    assert (list(first.tasks), list(second.tasks)) == (["a"], ["a", "b"])
    assert first.run_id == "one" != second.run_id
    assert await first.run_stream([0]) == [1]
    assert await second.run_stream([0]) == [2]


async def test_one_pipeline_runs_many_times_at_once() -> None:
    """Runs know nothing of each other; ids are their own."""
    pipeline = PipelineBuilder().task("a", more).task("b", more, concurrency=2).edge("a", "b").build(run_id="r")
    found: dict[int, list[int]] = {}

    async def one(number: int) -> None:
        found[number] = await pipeline.run_stream(range(number * 100, number * 100 + 50))

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(one, number)
    assert {number: sorted(values) for number, values in found.items()} == {
        number: list(range(number * 100 + 2, number * 100 + 52)) for number in range(5)
    }


def test_two_ways_between_the_same_tasks_are_told_apart() -> None:
    """In the graph each edge has a name that no other has, its own where it was given one."""
    pipeline = DagPipeline(
        [
            DagTask(
                "a", same, [TaskTransition("b", odd), TaskTransition("b", even), TaskTransition("a", name="again")]
            ),
            DagTask("b", same, [TaskTransition("a", name="again")]),
        ]
    )
    streams = [edge.stream for edge in pipeline.graph.edges]
    assert streams == ["source", "a→b", "a→b (a)", "again", "again (b)"]
