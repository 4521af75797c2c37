"""A workflow seen: its graph, picture, live view, events, history, and the line that tells how far it is."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

import datagraph as dg
from datagraph import RunFailedError, UnknownIOError
from datagraph.events.model import Event
from datagraph.notebook import live
from datagraph.workflow import DatumList, FileDatum, FunctionTask, ScriptTask, WorkflowManager
from tests.notebook.conftest import Wire
from tests.notebook.conftest import wire as wire  # noqa: PLC0414 - a fixture


def boom(x: Any) -> None:
    raise ValueError("too hot")


@pytest.fixture
def manager(here: Path) -> WorkflowManager:
    """Two given files, a script, a function, and one that fails on demand."""
    for name in ("a.txt", "b.txt"):
        (here / name).write_text(name)
    both = DatumList(FileDatum, pointer=["a.txt", "b.txt"])
    join = ScriptTask("join", "cat {parts} > {out}; echo joined", {"parts": both}, {"out": "c.txt"}, where="thread")
    size = FunctionTask("size", lambda text: len(text), {"text": "four"}, ["n"], dependencies=[join], where="thread")
    last = FunctionTask("last", lambda n, text: n, {"n": size, "text": "t"}, {"out": "o.pkl"}, where="thread")
    return WorkflowManager(last, name="report")


def test_graph_has_tasks_files_and_what_goes_between(manager: WorkflowManager) -> None:
    """Given files are its inputs, a list is one; a dependency without data is an edge, too; plain values are not in it."""
    graph = manager.graph
    assert [(node.name, node.kind) for node in graph] == [
        ("in:a.txt and 1 more", "input"),
        ("join", "processor"),
        ("size", "processor"),
        ("last", "processor"),
    ]
    assert [(edge.source, edge.target, edge.target_port) for edge in graph.edges] == [
        ("in:a.txt and 1 more", "join", "parts"),
        ("join", "size", "after"),
        ("size", "last", "n"),
    ]
    assert "join" in manager.draw().source
    assert "<svg" in manager._repr_mimebundle_()["image/svg+xml"]
    assert "report: 3 processors" in manager._repr_mimebundle_()["text/plain"]


def test_run_shows_states_reasons_and_values(manager: WorkflowManager, anyio_backend: Any) -> None:
    """Snapshot, tables, lenses and history of a run that is over; a fresh task says why it had nothing to do."""
    run = manager.run(backend=anyio_backend)
    assert {name: node.status for name, node in run.snapshot().nodes.items()} == {
        "in:a.txt and 1 more": "done",
        "join": "done",
        "size": "done",
        "last": "done",
    }
    assert (repr(run), len(run.nodes()), len(run.edges())) == ("WorkflowRun('report', completed: 3 done)", 4, 3)
    assert run.subject._works.edge_look("size.n->last.n", 5).values == [4]
    assert run.subject._works.edge_look("a.txt and 1 more->join.parts", 1).written == 2
    look = run.subject._works.node_look("join", 10)
    assert (look.source, look.logs) == ("cat {parts} > {out}; echo joined", ["joined"])
    assert look.settings["why"] == "run: it was never done"
    assert set(run.history()["name"]) >= {"join", "size", "last"}
    assert run.bottleneck().node in {"join", "size", "last"}
    again = manager.run(backend=anyio_backend)
    assert {again.snapshot().nodes[name].status for name in ("join", "size", "last")} == {"skipped"}
    assert "fresh" in again.subject._works.node_look("join", 1).settings["why"]
    with pytest.raises(UnknownIOError, match="no task 'jon'"):
        again.subject._works.node_look("jon", 1)


def test_events_tell_each_task_once(manager: WorkflowManager) -> None:
    """A run, its tasks begun and ended, one failed; the same events as every kind of graph."""
    told: list[Event] = []
    manager.subscribe(told.append)
    last = manager.end_task
    assert isinstance(last, FunctionTask)
    last.function = lambda n, text: boom(n)
    with pytest.raises(RunFailedError):
        manager.run()
    kinds = [(type(event).__name__, getattr(event, "node", "")) for event in told]
    assert kinds == [
        ("RunStarted", ""),
        ("NodeStarted", "join"),
        ("NodeEnded", "join"),
        ("NodeStarted", "size"),
        ("NodeEnded", "size"),
        ("NodeStarted", "last"),
        ("NodeFailed", "last"),
        ("RunEnded", ""),
    ]


def test_view_is_live(manager: WorkflowManager, wire: Wire) -> None:
    """Opened before the run, it shows the run that begins, its moments, and its end."""
    gate = threading.Event()
    last = manager.end_task
    assert isinstance(last, FunctionTask)
    last.function = lambda n, text: gate.wait(20)
    last.version = 1
    browser = wire.browser(manager.view())
    browser.say(kind="hello")
    run = manager.start()
    browser.wait_for("tick", 1)
    gate.set()
    run.join()
    browser.wait_for("ended", 1)
    assert isinstance(run.view(), live.LiveView)


def test_run_is_saved_and_loaded(manager: WorkflowManager, here: Path) -> None:
    """As one page, or as JSON, as every run."""
    run = manager.run()
    page = run.save(here / "run.html")
    assert dg.load(page).graph == manager.graph


def test_progress_is_a_line(manager: WorkflowManager, capsys: pytest.CaptureFixture[str]) -> None:
    """Where somebody can see it, a run that takes a while says how far it is."""
    gate = threading.Event()
    last = manager.end_task
    assert isinstance(last, FunctionTask)
    last.function = lambda n, text: gate.wait(20)
    last.version = 1
    threading.Timer(0.9, gate.set).start()
    manager.run(progress=True)
    shown = capsys.readouterr().err
    assert "2 of 3" in shown
    assert "`last`" in shown
