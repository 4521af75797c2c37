"""A run of a dag as one holds it: started from anywhere, steered, looked at, saved."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path

import anyio
import pytest

import datagraph as dg
from datagraph import DatagraphError, RunCancelledError, RunFailedError, UnknownIOError
from datagraph.dag import DagRun, TaskManager, build_dag
from datagraph.events.model import NodeEnded, NodeFailed, NodeStarted, RunEnded, RunStarted
from datagraph.observe.watch import Subject

pytestmark = pytest.mark.anyio
BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


async def double(number: int) -> int:
    return 2 * number


async def add(left: int, right: int) -> int:
    return left + right


async def fail(number: int) -> int:
    raise ValueError(f"{number} is bad")


class Gate:
    """A node that begins, and ends when it is opened; from any thread."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self, number: int) -> int:
        self.begun.set()
        assert self.open.wait(10)
        return number


def gated(gate: Gate) -> TaskManager[int]:
    with build_dag(int, name="gated") as tm:
        held = tm.add_node(gate, tm.parameter_node).options(name="gate")
        tm.add_node(add, tm.add_node(double, held), tm.parameter_node)
    return tm


@BACKENDS
def test_a_script_starts_and_joins(backend: str) -> None:
    """No event loop of the caller's: `start` returns at once, `join` gives the result, `run` does both."""
    gate = Gate()
    tm = gated(gate)
    run = tm.start(4, backend=backend)  # type: ignore[arg-type]
    assert isinstance(run, DagRun)
    assert gate.begun.wait(5)
    assert run.status == "running"
    gate.open.set()
    assert run.join(progress=False).to_dict()["add"] == 12
    assert run.status == "completed"
    assert tm.run(1).to_dict()["add"] == 3


async def test_a_run_is_awaited_in_any_loop() -> None:
    """By ``await run``, several times; who gives up waiting does not end it."""
    gate = Gate()
    run = gated(gate).start(4)
    with anyio.move_on_after(0.02) as scope:
        await run
    assert scope.cancelled_caught
    assert run.status == "running"
    gate.open.set()
    with anyio.fail_after(5):
        assert (await run).to_dict()["add"] == 12
        assert (await run.wait()).status == "completed"


@BACKENDS
def test_pausing_lets_what_is_at_work_end_and_starts_no_other(backend: str) -> None:
    """Until it is resumed."""
    gate = Gate()
    run = gated(gate).start(4, backend=backend)  # type: ignore[arg-type]
    assert gate.begun.wait(5)
    run.pause()
    until(lambda: run.snapshot().paused)
    gate.open.set()
    until(lambda: run.snapshot().nodes["gate"].status == "done")
    assert run.snapshot().nodes["double"].status == "waiting"
    run.resume()
    assert run.join(progress=False).status == "completed"


@BACKENDS
@pytest.mark.parametrize("action", ["stop", "cancel"])
def test_stopping_and_cancelling_keep_what_there_is(backend: str, action: str) -> None:
    """A stop waits for what is at work, a cancellation does not; both raise, with the values so far."""
    gate = Gate()
    run = gated(gate).start(4, backend=backend)  # type: ignore[arg-type]
    assert gate.begun.wait(5)
    getattr(run, action)()
    if action == "stop":
        until(lambda: run.snapshot().stopping)
        gate.open.set()
    with pytest.raises(RunCancelledError, match="was cancelled") as caught:
        run.join(progress=False)
    gate.open.set()
    found = caught.value.partial.to_dict()
    assert found == {"in:parameter": 4} | ({"gate": 4} if action == "stop" else {})
    assert run.status == "cancelled"
    run.pause()  # of what has ended nothing is asked any more
    assert run.status == "cancelled"


def test_a_failed_run_raises_to_whoever_joins() -> None:
    """The same group as `invoke` raises."""
    with build_dag(int) as tm:
        tm.add_node(fail, tm.parameter_node)
    run = tm.start(1)
    for _ in range(2):
        with pytest.raises(RunFailedError, match="'fail'"):
            run.join(progress=False)


def test_the_progress_line_is_shown_where_somebody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes done of all and what is at work, in a terminal; it is taken away at the end."""
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    gate = Gate()
    run = gated(gate).start(4)
    timer = threading.Timer(0.9, gate.open.set)
    timer.start()
    run.join(progress=True)
    shown = screen.getvalue()
    assert "0 of 3 nodes; at work: `gate` for " in shown
    assert "[░░░░" in shown
    assert shown.split("\r")[-2].strip() == ""


async def test_events_tell_what_happened() -> None:
    """Begin and end of the run and of each node, and failures with the number of attempts."""
    with build_dag(int, name="told") as tm:
        bad = tm.add_node(fail, tm.add_node(double, tm.parameter_node)).options(retries=dg.Retry(1, backoff=0.001))
        tm.add_node(double, bad)
    events: list[object] = []
    unsubscribe = tm.subscribe(events.append)
    with pytest.raises(RunFailedError):
        await tm.invoke(1)
    kinds = [type(event) for event in events]
    assert kinds == [RunStarted, NodeStarted, NodeEnded, NodeStarted, NodeFailed, RunEnded]
    failed = events[4]
    assert isinstance(failed, NodeFailed)
    assert (failed.node, failed.error, failed.attempts) == ("fail", "ValueError: 2 is bad", 2)
    ended = events[-1]
    assert isinstance(ended, RunEnded)
    assert (ended.status, ended.error) == ("failed", "2 is bad")
    unsubscribe()
    with pytest.raises(RunFailedError):
        await tm.invoke(1)
    assert len(events) == 6


def test_the_graph_has_every_edge_by_the_parameter_that_takes_it() -> None:
    """Nodes with their options, edges with types; the parameter and immediate nodes are inputs."""
    with build_dag(int, name="sums") as tm:
        five = tm.add_immediate_node(5)
        twice = tm.add_node(double, tm.parameter_node).options(retries=2, timeout=3)
        tm.add_node(add, twice, right=five)
        tm.add_node(sum, [twice, five]).options(after=twice)
    graph = tm.graph
    assert [node.name for node in graph.nodes] == ["in:immediate", "in:parameter", "double", "add", "sum"]
    assert {edge.name for edge in graph.edges} == {
        "parameter->double.number",
        "double->add.left",
        "immediate->add.right",
        "double->sum.iterable",
        "immediate->sum.iterable-2",
        "double->sum.after",
    }
    node = graph.node("double")
    assert (node.attrs["retries"], node.attrs["timeout"], node.attrs["runs_in"]) == (2, 3, "async")
    assert node.attrs["source"].startswith(__file__)
    assert graph.node("in:immediate").label == "5"
    assert "sums" in tm.draw().source or "double" in tm.draw().source


def test_an_unsorted_dag_has_its_picture_too() -> None:
    """As far as it is built."""
    tm = TaskManager[int]()
    tm.add_node(double, tm.parameter_node)
    assert len(tm.graph.nodes) == 2
    tm.add_node(double, 1)
    assert len(tm.graph.nodes) == 3
    shown = tm._repr_mimebundle_()
    assert shown["image/svg+xml"].startswith("<svg")
    assert "● double" in shown["text/plain"]


def test_a_run_is_tables_pictures_and_history(tmp_path: Path) -> None:
    """DataFrames of nodes and edges, an SVG, a history of every change, a page, and a file to load again."""
    gate = Gate()
    gate.open.set()
    run = gated(gate).start(4)
    run.join(progress=False)
    nodes = run.nodes().set_index("node")
    assert list(nodes["status"]) == ["done"] * 4
    assert (nodes["written"] == 1).all()
    assert (run.edges()["written"] == 1).all()
    history = run.history()
    assert set(history[history["kind"] == "node"]["name"]) == {"in:parameter", "gate", "double", "add"}
    assert run._repr_mimebundle_()["image/svg+xml"].startswith("<svg")
    page = run.save(tmp_path / "run.html").read_text(encoding="utf-8")
    assert "gate" in page
    again = dg.load(run.save(tmp_path / "run.json"))
    assert again.graph == run.graph
    assert repr(run).startswith("DagRun('gated', 3 of 3 nodes in ")


def test_the_bottleneck_is_on_the_longest_way() -> None:
    """Of the nodes that decide when it ends the one that takes longest; while it runs, who waits for it."""
    gate = Gate()
    run = gated(gate).start(4)
    assert gate.begun.wait(5)
    now = run.bottleneck()
    assert now.node == "gate"
    assert str(now).startswith("`gate` has been at work for ")
    assert str(now).endswith("; 2 nodes wait for it")
    threading.Timer(0.05, gate.open.set).start()
    run.join(progress=False)
    after = run.bottleneck()
    assert after.node == "gate" == run.snapshot().bottleneck
    assert "the most on the longest way: `gate` " in str(after)
    assert ", then `double` " in str(after)


async def test_whoever_follows_hears_of_every_run() -> None:
    """Also of those that `invoke` makes; a follower that is gone is forgotten."""

    class Viewer:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def show(self, subject: Subject) -> None:
            self.seen.append(subject.id)

    with build_dag(int) as tm:
        tm.add_node(double, tm.parameter_node)
    viewer = Viewer()
    tm.follow(viewer.show)
    result = await tm.invoke(1)
    run = tm.start(2)
    assert viewer.seen == [result.run.id, run.id]
    late = Viewer()
    tm.follow(late.show)
    assert late.seen == [run.id]
    seen = viewer.seen
    del viewer
    await tm.invoke(3)
    assert len(seen) == 2
    await run


@BACKENDS
def test_lenses_look_at_edges_and_nodes(backend: str) -> None:
    """The value on an edge, a node's source, options and error; nothing is taken. Unknown names are told."""
    with build_dag(int) as tm:
        bad = tm.add_node(fail, tm.add_node(double, tm.parameter_node))
        tm.add_node(double, bad)
    run = tm.start(4, backend=backend)  # type: ignore[arg-type]
    with pytest.raises(RunFailedError):
        run.join(progress=False)
    subject = run.subject
    edge = subject.spawn(subject.edge_lens, "double->fail.number", 5).result()
    assert (list(edge.values), edge.written) == ([8], 1)
    empty = subject.spawn(subject.edge_lens, "fail->double-2.number", 5).result()
    assert (list(empty.values), empty.written) == ([], 0)
    node = subject.spawn(subject.node_lens, "fail", 5).result()
    assert node.source is not None
    assert "async def fail" in node.source
    assert node.errors[0]["error"] == "ValueError: 8 is bad"
    assert "in fail" in node.errors[0]["traceback"]
    assert subject.spawn(subject.node_lens, "double", 5).result().settings["value"] == "8"
    with pytest.raises(UnknownIOError, match=r"no node 'doubel'.*'double'"):
        subject.spawn(subject.node_lens, "doubel", 5).result()
    with pytest.raises(UnknownIOError, match="no edge"):
        subject.spawn(subject.edge_lens, "x", 5).result()
    with pytest.raises(DatagraphError, match="the whole run can"):
        run._works.control("pause", "double")
    with pytest.raises(DatagraphError, match="no action 'dance'; it has: pause, resume, stop, cancel"):
        run._works.control("dance", "")


def until(found: object) -> None:
    """Wait for something that another thread does, at most five seconds."""
    assert callable(found)
    waiting = threading.Event()
    for _ in range(2500):
        if found():
            return
        waiting.wait(0.002)
    raise AssertionError("it did not come")
