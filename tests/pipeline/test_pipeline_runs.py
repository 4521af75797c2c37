"""A run of a pipeline, held and looked at: waited for, steered, drawn, watched live."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

import datagraph as dg
from datagraph.events.journal import EDGE_FIELDS, NODE_FIELDS
from datagraph.events.model import NodeEnded, NodeStarted, RunEnded, RunPaused, RunResumed, RunStarted
from datagraph.exceptions import DatagraphError, UnknownIOError
from datagraph.pipeline import DagPipeline, DagTask, PipelineBuilder, PipelineRun, TaskTransition, function_pipeline
from tests.notebook.conftest import Wire, wire  # noqa: F401 - a fixture

pytestmark = pytest.mark.anyio


async def same(value: Any) -> Any:
    return value


def chain(**options: Any) -> DagPipeline:
    return PipelineBuilder().task("a", same).task("b", same).edge("a", "b").build(run_id="r", **options)


class Gate:
    """A handler that waits until it is opened, from any thread."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.here = threading.Event()

    def __call__(self, value: Any) -> Any:
        self.here.set()
        assert self.opened.wait(30)
        return value


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Opened at the end, whatever the test has done."""
    gate = Gate()
    yield gate
    gate.opened.set()


def gated(gate: Gate, **options: Any) -> DagPipeline:
    return DagPipeline([DagTask("a", same, [TaskTransition("slow")]), DagTask("slow", gate)], run_id="r", **options)


# -- waiting ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_a_run_is_started_from_any_loop_and_awaited(backend: Any) -> None:
    """In the runtime thread, of either library, with plain functions as well."""
    run = DagPipeline([DagTask("a", lambda n: n * 2)]).start([1, 2], backend=backend)
    assert await run == [2, 4]
    assert await run.wait() == [2, 4]
    assert run.status == "completed"
    assert run.results == [2, 4]


def test_a_script_starts_and_joins() -> None:
    """Without a loop; `join` waits and returns the results."""
    run = chain().start(range(3))
    assert run.join(progress=False) == [0, 1, 2]
    assert repr(run) == "PipelineRun('a-b', completed)"


def test_join_shows_how_far_it_is(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    """A line on standard error, taken away at the end."""
    run = gated(gate).start(range(3))
    opener = threading.Timer(0.8, gate.opened.set)
    opener.start()
    assert run.join(progress=True) == [0, 1, 2]
    opener.join()
    shown = capsys.readouterr().err
    assert "\r" in shown
    assert "a-b" in shown or "slow" in shown


async def test_run_stream_shows_how_far_it_is(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    """With ``progress=True``, in the caller's own loop."""
    opener = threading.Timer(0.8, gate.opened.set)
    opener.start()
    assert await DagPipeline([DagTask("slow", gate)]).run_stream(range(3), progress=True) == [0, 1, 2]
    opener.join()
    assert "░" in capsys.readouterr().err


async def test_awaiting_may_be_given_up_and_the_run_goes_on(gate: Gate) -> None:
    """A wait that times out cancels nobody but itself."""
    run = gated(gate).start(range(3))
    with anyio.move_on_after(0.05) as scope:
        await run
    assert scope.cancelled_caught
    gate.opened.set()
    assert await run == [0, 1, 2]


# -- control ----------------------------------------------------------------------------------------------------------


async def test_a_pause_takes_nothing_more_up(gate: Gate) -> None:
    """All of it, or one task; what is in hand is finished, and `resume` goes on."""
    run = gated(gate).start(range(5))
    assert await anyio.to_thread.run_sync(gate.here.wait, 20)
    run.pause()
    assert run.status == "paused"
    gate.opened.set()
    with anyio.fail_after(20):
        while len(run.results) < 1:
            await anyio.sleep(0.001)
    assert run.snapshot().paused
    assert run.results == [0]
    run.resume()
    assert await run == [0, 1, 2, 3, 4]
    told = [type(event) for event in run.events()]
    assert told.index(RunPaused) < told.index(RunResumed) < told.index(RunEnded)


async def test_one_task_can_be_paused() -> None:
    """Its input fills; the others go on."""
    pipeline = chain(capacity=2)
    holds = threading.Event()

    async def source() -> AsyncIterator[int]:
        while not holds.is_set():
            await anyio.sleep(0.001)
        for number in range(4):
            yield number

    run = pipeline.start(source)
    run.pause("b")
    holds.set()
    with anyio.fail_after(20):
        while run.snapshot().edges["a→b->b.item"].lag < 2:
            await anyio.sleep(0.001)
    assert run.snapshot().nodes["b"].paused
    assert not run.snapshot().nodes["a"].paused
    assert run.results == []
    run.resume("b")
    assert await run == [0, 1, 2, 3]


async def test_what_cannot_be_done_is_said() -> None:
    """Unknown tasks and actions."""
    run = chain().start([1])
    with pytest.raises(UnknownIOError, match="the run has no node 'bb'"):
        run.pause("bb")
    await run
    with pytest.raises(DatagraphError, match="a run has no action 'explode'"):
        await anyio.to_thread.run_sync(lambda: run.subject.spawn(run.subject.act, "explode", "").result(20))


# -- looking ----------------------------------------------------------------------------------------------------------


async def test_events_tell_the_life_of_a_run() -> None:
    """Few, in order; an observer of one's own hears them, too."""
    run = chain().start(range(3))
    await run
    told = run.events()
    assert [type(event) for event in told] == [RunStarted, NodeStarted, NodeStarted, NodeEnded, NodeEnded, RunEnded]
    assert {event.run for event in told} == {"r"}
    assert [(e.node, e.read, e.written) for e in told if isinstance(e, NodeEnded)] == [("a", 3, 3), ("b", 3, 3)]
    assert run.events(since=5) == told[5:]


async def test_a_snapshot_says_where_everything_is(gate: Gate) -> None:
    """Written, read, lag and capacity of every edge; who works, waits for values, or waits for room."""
    run = gated(gate, capacity=2).start(iter(range(50)))
    with anyio.fail_after(20):
        while run.snapshot().nodes["a"].waits_for != "a→slow" and run.snapshot().nodes["a"].blocked < 0.5:
            await anyio.sleep(0.01)
    seen = run.snapshot()
    edge = seen.edges["a→slow->slow.item"]
    assert (edge.written, edge.read, edge.lag, edge.capacity, edge.fill) == (3, 1, 2, 2, 1.0)
    assert edge.waiting in {"writer", "both"}
    assert seen.nodes["slow"].status == "running"
    gate.opened.set()
    await run
    after = run.snapshot()
    assert after.status == "completed"
    assert {name: state.status for name, state in after.nodes.items()} == dict.fromkeys(after.nodes, "done") | {
        name: after.nodes[name].status for name in after.nodes if name.startswith("out:")
    }
    assert [edge.lag for edge in after.edges.values() if edge.capacity] == [0, 0]
    assert after.edges["results->out:results.item"].written == 50


def test_tables_have_a_row_for_each() -> None:
    """`nodes` and `edges` as DataFrames."""
    run = chain().start(range(3))
    run.join(progress=False)
    assert {"a", "b"} <= set(run.nodes().index) | set(run.nodes().get("node", ()))
    assert list(run.edges()["written"]) == [3, 3, 3]


def test_the_bottleneck_is_named(gate: Gate) -> None:
    """The task whose input is full and that works, in one sentence."""
    run = gated(gate, capacity=2).start(iter(range(50)))
    assert gate.here.wait(20)
    found = run.bottleneck(over=0.5)
    assert found.node == "slow"
    assert "`slow` is the bottleneck" in found.sentence
    gate.opened.set()
    run.join(progress=False)


def test_the_picture_shows_source_tasks_and_results() -> None:
    """As text, as SVG and for graphviz, of the pipeline and of its run; a loop is drawn."""
    pipeline = DagPipeline(
        [
            DagTask("a", same, [TaskTransition("b")]),
            DagTask("b", same, [TaskTransition("a", max_loops=2, name="again")]),
        ]
    )
    bundle = pipeline._repr_mimebundle_()
    for word in ("source", "a", "b", "results"):
        assert word in bundle["text/plain"]
    assert bundle["image/svg+xml"].startswith("<svg")
    assert "again" in bundle["image/svg+xml"]
    assert '"again"' in pipeline.draw().source or "again" in pipeline.draw().source
    run = pipeline.start([1])
    run.join(progress=False)
    shown = run._repr_mimebundle_()
    assert "completed" in shown["text/plain"]
    assert shown["image/svg+xml"].startswith("<svg")
    assert "again" in run.draw().source


def test_names_are_text_in_pictures() -> None:
    """Whatever a task or a way is called, it is escaped."""
    evil = "</text><script>alert(1)</script>"
    pipeline = DagPipeline([DagTask(evil, same, [TaskTransition(evil, name=evil, max_loops=1)])])
    assert "<script" not in pipeline._repr_mimebundle_()["image/svg+xml"]


def test_history_is_kept_and_saved(tmp_path: Path, gate: Gate) -> None:
    """Moments as a DataFrame; a page and a file that can be loaded again."""
    run = gated(gate).start(range(5))
    assert gate.here.wait(20)
    gate.opened.set()
    run.join(progress=False)
    seen = len(run.history())
    saved = run.save(tmp_path / "run.json")
    assert len(dg.load(saved).history()) >= seen > 0
    assert "</html>" in run.save(tmp_path / "run.html").read_text()


def test_an_edge_shows_its_values_and_takes_none(gate: Gate) -> None:
    """What waits at the first look, and what passes from then on."""
    run = gated(gate).start(range(5))
    assert gate.here.wait(20)

    def look(edge: str) -> Any:
        return run.subject.spawn(run.subject.edge_lens, edge, 10).result(20)

    while look("a→slow->slow.item").written < 5:
        pass
    assert list(look("a→slow->slow.item").values) == [1, 2, 3, 4]
    gate.opened.set()
    assert run.join(progress=False) == [0, 1, 2, 3, 4]
    assert list(look("results->out:results.item").values) == [0, 1, 2, 3, 4]
    with pytest.raises(UnknownIOError, match="the run has no edge 'x'"):
        look("x")


def test_a_node_shows_its_source_and_its_errors() -> None:
    """Settings, code, what went wrong, and what was put aside."""

    def picky(value: int) -> int:
        if value == 1:
            raise ValueError("no one")
        return value

    run = function_pipeline(picky, on_error="skip", concurrency=2, retries=0).start(range(3))
    assert sorted(run.join(progress=False)) == [0, 2]
    look = run.subject.spawn(run.subject.node_lens, "picky", 10).result(20)
    assert "raise ValueError" in (look.source or "")
    assert look.settings["concurrency"] == 2
    assert look.errors[0]["error"] == "ValueError: no one"
    assert (look.letters[0]["value"], look.letters[0]["position"]) == (1, 1)


# -- live -------------------------------------------------------------------------------------------------------------


def test_a_run_is_seen_live(wire: Wire, gate: Gate) -> None:  # noqa: F811
    """The view of every door: the scene, moments, the end; its buttons pause and resume."""
    run = gated(gate, capacity=2).start(iter(range(8)))
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    browser.wait_for("tick", 2)
    (scene,) = [message["scene"] for message in browser.of("scene")]
    assert [node["name"] for node in scene["nodes"]] == ["in:source", "a", "slow", "out:results"]
    assert browser.ask(kind="do", action="pause", node="")["ok"]
    assert run.status == "paused"
    assert browser.ask(kind="do", action="resume", node="")["ok"]
    gate.opened.set()
    assert run.join(progress=False) == list(range(8))
    browser.wait_for("ended")
    last = browser.ticks()[-1]
    assert [edge[EDGE_FIELDS.index("written")] for edge in last["e"]] == [8, 8, 8]
    assert len(last["n"][0]) <= len(NODE_FIELDS)
    json.dumps(last)


def test_a_pipelines_view_follows_its_runs(wire: Wire) -> None:  # noqa: F811
    """Shown before anything runs; live as soon as a run starts, also one by `run_stream`."""
    pipeline = chain()
    browser = wire.browser(pipeline.view())
    browser.say(kind="hello")
    browser.wait_for("scene")
    assert anyio.run(pipeline.run_stream, range(3)) == [0, 1, 2]
    browser.wait_for("ended")
    assert [edge[EDGE_FIELDS.index("written")] for edge in browser.ticks()[-1]["e"]] == [3, 3, 3]
    assert isinstance(pipeline.start([1]), PipelineRun)
