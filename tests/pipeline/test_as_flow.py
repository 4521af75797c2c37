"""A pipeline as a flow: the same results, from a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import datagraph as dg
from datagraph.exceptions import GraphError, ProcessorError
from datagraph.flow.supervisor import Supervisor
from datagraph.pipeline import DagPipeline, DagTask, PipelineBuilder, PipelineContext, Retry, TaskTransition
from tests.flow.processes import script

pytestmark = pytest.mark.anyio


async def same(value: Any) -> Any:
    return value


async def more(value: int) -> int:
    return value + 1


def plain(value: int) -> int:
    return value * 10


async def many(value: int) -> AsyncIterator[int]:
    for number in range(value % 4):
        yield value + number


def plain_many(value: int) -> Iterator[int]:
    yield from (value, -value)


async def nothing(value: int) -> int | None:
    return value if value % 2 else None


async def where(ctx: PipelineContext, value: Any) -> dict[str, Any]:
    return {"value": value, "id": ctx.data_id, "path": ctx.node_path, "meta": ctx.meta}


async def is_odd(ctx: PipelineContext, value: int) -> bool:
    return value % 2 == 1


def diamond() -> DagPipeline:
    return (
        PipelineBuilder()
        .task("top", many, concurrency=2)
        .task("left", plain, concurrency=2)
        .task("right", plain_many)
        .task("join", nothing)
        .edge("top", "left", predicate=is_odd)
        .edge("top", "right", name="to the right")
        .edge("left", "join")
        .edge("right", "join")
        .build()
    )


def two_sources() -> DagPipeline:
    return DagPipeline(
        [
            DagTask("a", more, [TaskTransition("c")]),
            DagTask("b", plain, [TaskTransition("c"), TaskTransition("c", is_odd)]),
            DagTask("c", same, capacity=3),
        ]
    )


def loops() -> DagPipeline:
    return (
        PipelineBuilder()
        .task("first", same)
        .task("draft", more)
        .task("review", same)
        .task("polish", more)
        .task("print", plain)
        .edge("first", "draft")
        .edge("first", "polish", predicate=is_odd)
        .edge("draft", "review")
        .edge("review", "draft", predicate=lambda ctx, value: value % 5, max_loops=3, name="again")
        .edge("review", "polish", predicate=lambda ctx, value: value % 5 == 0)
        .edge("polish", "print")
        .build()
    )


def endless_loop() -> DagPipeline:
    return DagPipeline([DagTask("grow", more, [TaskTransition("grow", lambda ctx, value: value < 9)])])


def dropping() -> DagPipeline:
    return DagPipeline([DagTask("a", same, [TaskTransition("b", is_odd)]), DagTask("b", more)], unmatched="drop")


@pytest.mark.parametrize("make", [diamond, two_sources, loops, endless_loop, dropping], ids=lambda make: make.__name__)
async def test_a_flow_gives_what_the_pipeline_gives(make: Any, supervisor: Supervisor) -> None:
    """Branches, joins, predicates, loops, tasks of every flavour: over a real Valkey as in memory."""
    pipeline = make()
    wanted = await pipeline.run_stream(range(12))
    run = pipeline.as_flow().start({"source": range(12)})
    assert Counter([value async for value in run["results"]]) == Counter(wanted)
    await run.wait()


async def test_the_context_travels_with_its_item(supervisor: Supervisor) -> None:
    """Its id, its path, what was noted and how often it went round are the same as in memory."""

    async def note(ctx: PipelineContext, value: int) -> int:
        ctx.meta["seen"] = [*ctx.meta.get("seen", []), value]
        return value + 1

    pipeline = (
        PipelineBuilder()
        .task("note", note)
        .task("where", where)
        .edge("note", "note", max_loops=1, predicate=is_odd)
        .edge("note", "where")
        .build()
    )

    def key(found: dict[str, Any]) -> tuple[Any, ...]:
        return found["id"], found["value"]

    wanted = sorted(await pipeline.run_stream([0, 1, 2]), key=key)
    flow = pipeline.as_flow()
    run = flow.start({"source": [0, 1, 2]})
    found = sorted([value async for value in run["results"]], key=key)
    assert found == wanted
    assert {each["path"][0] for each in found} == {"note"}
    await run.wait()


async def test_the_flow_looks_like_the_pipeline() -> None:
    """A processor for each task with its settings; a ring is one; where several ways meet, one more joins them."""
    pipeline = (
        PipelineBuilder()
        .task("a", more, concurrency=3, retries=2, timeout=5, capacity=7, on_error="skip")
        .task("b", more)
        .task("c", more)
        .edge("a", "b")
        .edge("a", "c", name="class")
        .edge("b", "c")
        .build()
    )
    flow = pipeline.as_flow().resolve()
    assert [processor.name for processor in flow.processors] == ["a", "b", "to c", "c"]
    first = flow.processors[0]
    assert (first.concurrency, first.retry.attempts, first.timeout, first.capacity) == (3, 2, 5, 7)
    assert first.on_error == "dead_letter"
    assert first.outputs == ("a_b", "_class")
    assert "return value + 1" in first.source
    assert [processor.name for processor in loops().as_flow().processors] == [
        "first",
        "draft+review",
        "to polish",
        "polish",
        "print",
        "results",
    ]


async def test_any_name_becomes_one_that_a_stream_can_have(in_memory: Supervisor) -> None:
    """Blanks, signs, keywords, other scripts, and rings whose names together are too long."""
    names = ["a b", "²", "日本", "class", "x" * 90, "y" * 90]
    tasks = [DagTask(name, same, [TaskTransition(after)]) for name, after in pairwise(names)]
    back = TaskTransition(names[-2], lambda ctx, value: False, name="/:{}")
    pipeline = DagPipeline([*tasks, DagTask(names[-1], same, [back])], name="any: / name")
    run = pipeline.as_flow().start({"source": [1]})
    assert [value async for value in run["results"]] == [1]
    await run.wait()


async def test_errors_of_a_task_are_the_runs(supervisor: Supervisor) -> None:
    """Named by the task; or dead letters where the task skips."""

    async def picky(value: int) -> int:
        if value == 2:
            raise ValueError("no two")
        return value

    raising = DagPipeline([DagTask("same", same, [TaskTransition("picky")]), DagTask("picky", picky)])
    with pytest.raises(ProcessorError, match=r"'picky' failed.*no two"):
        await raising.as_flow().start({"source": range(4)}).wait()
    skipping = DagPipeline(raising.tasks.values(), on_error="skip")
    run = skipping.as_flow().start({"source": range(4)})
    assert [value async for value in run["results"]] == [0, 1, 3]
    await run.wait()
    (letter,) = run.dead_letters("picky")
    assert "no two" in letter.error


async def test_tasks_of_a_ring_are_tried_again(supervisor: Supervisor) -> None:
    """Each for itself, as in memory: what an attempt had put out is dropped, what it had noted as well."""
    tries: Counter[int] = Counter()

    async def flaky(ctx: PipelineContext, value: int) -> AsyncIterator[int]:
        tries[value] += 1
        ctx.meta["tries"] = ctx.meta.get("tries", 0) + 1
        yield value + 1
        if tries[value] < 3:
            raise OSError("again")

    pipeline = (
        PipelineBuilder()
        .task("flaky", flaky, retries=Retry(2, backoff=0), timeout=20)
        .task("where", where)
        .edge("flaky", "flaky", predicate=lambda ctx, value: value < 3)
        .edge("flaky", "where", predicate=lambda ctx, value: value >= 3)
        .build()
    )
    run = pipeline.as_flow().start({"source": [0]})
    found = [value async for value in run["results"]]
    assert [(each["value"], each["meta"]["tries"]) for each in found] == [(3, 3)]
    assert tries == {0: 3, 1: 3, 2: 3}
    await run.wait()


async def test_values_that_nothing_takes_may_be_an_error(supervisor: Supervisor) -> None:
    """As in memory."""
    pipeline = DagPipeline([DagTask("a", same, [TaskTransition("b", is_odd)]), DagTask("b", same)], unmatched="raise")
    with pytest.raises(ProcessorError, match="no way out of 'a' takes this value"):
        await pipeline.as_flow().start({"source": [1, 2]}).wait()


async def test_what_fails_in_a_ring_leaves_the_others_alone(supervisor: Supervisor) -> None:
    """As in memory: only the value that failed is put aside, on a stream of the ring's own."""

    async def picky(value: int) -> list[int]:
        if value == 2:
            raise ValueError("no two")
        return [value + 1, value + 2]

    pipeline = DagPipeline([DagTask("picky", picky, [TaskTransition("picky", lambda ctx, value: value < 5)])])
    with pytest.raises(ProcessorError, match=r"'picky' failed at 0.*no two"):
        await pipeline.as_flow().start({"source": [0]}).wait()
    pipeline = DagPipeline(pipeline.tasks.values(), on_error="skip")
    wanted = await pipeline.run_stream([0, 3])
    run = pipeline.as_flow().start({"source": [0, 3]})
    assert sorted([value async for value in run["results"]]) == sorted(wanted)
    letters = [letter async for letter in run["picky_dead_letters"]]
    assert [(letter["task"], letter["value"]) for letter in letters] == [("picky", 2)] * len(wanted.dead_letters)
    assert letters[0]["error"] == "ValueError: no two"
    assert "in picky" in letters[0]["traceback"]
    await run.wait()


@pytest.mark.parametrize("ways", [[], [TaskTransition("a", is_odd)]], ids=["alone", "ring"])
def test_what_cannot_be_a_flow_is_refused_with_the_reason(ways: list[TaskTransition]) -> None:
    """A function that decides on errors cannot be asked by whichever process meets one."""
    decided = DagPipeline([DagTask("a", same, ways, on_error=lambda letter: "skip")])
    with pytest.raises(GraphError, match="'a' cannot be a processor of a flow: its on_error is a function"):
        decided.as_flow()


WORK = """
from datagraph.pipeline import PipelineBuilder

async def draft(ctx, value):
    ctx.meta["drafts"] = ctx.meta.get("drafts", 0) + 1
    return value + 1

def slowly(value):
    time.sleep(0.002)
    return value * 10

pipeline = (
    PipelineBuilder()
    .task("draft", draft)
    .task("slowly", slowly, concurrency=2)
    .edge("draft", "draft", predicate=lambda ctx, value: value % 3, max_loops=2)
    .edge("draft", "slowly", predicate=lambda ctx, value: value % 3 == 0)
    .build()
)
"""


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
def test_a_pipeline_survives_its_process(tmp_path: Path, valkey_url: str, anyio_backend: str, run_id: str) -> None:
    """Killed in the middle, and recovered by another process: every result is there, once."""
    begin = f"""{WORK}
attach(lease=1)
run = pipeline.as_flow().start({{"source": range(300)}}, {run_id!r})
while len(run["results"]) < 100:
    time.sleep(0.005)
print(run.id, flush=True)
time.sleep(60)
"""
    go_on = f"""{WORK}
attach(lease=1)
run = dg.recover(sys.argv[3], pipeline.as_flow(), inputs={{"source": range(300)}}, force=True)
run.join(progress=False)
print(sorted(run["results"].to_list()) == sorted((v + 3 - v % 3) * 10 for v in range(300)), flush=True)
"""
    with script(tmp_path, begin, valkey_url, anyio_backend) as first:
        id = first.line()
        first.kill()
    with script(tmp_path, go_on, valkey_url, anyio_backend, id) as second:
        assert second.line() == "True", second.end()


async def test_flow_processors_and_pipelines_share_a_store(in_memory: Supervisor) -> None:
    """What comes of a pipeline goes on into ordinary processors."""

    @dg.processor
    def total(results: int) -> int:
        return results + 1

    bridged = DagPipeline([DagTask("a", plain)]).as_flow()
    flow = dg.Flow(*bridged.processors, total)
    run = flow.start({"source": [1, 2]})
    assert [value async for value in run["total"]] == [11, 21]
