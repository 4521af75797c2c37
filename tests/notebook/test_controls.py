"""Control through a view, by its messages: what a browser asks for reaches the subject, bounded, and every error is said."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import datagraph as dg
from datagraph import Supervisor
from datagraph.events.journal import EDGE_FIELDS
from datagraph.flow.subject import RunSubject
from datagraph.graph.edit import from_dict
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.rewiring import changed
from datagraph.graph.wiring import by_port
from datagraph.notebook import controls
from datagraph.notebook.live import LiveView
from tests.notebook.conftest import Browser, Wire

MOVE = {"edit": "move", "edge": "double->after.double", "source": "n"}
WRITTEN = EDGE_FIELDS.index("written")


@dg.processor
def double(n: int) -> int:
    return 2 * n


@dg.processor(concurrency=2, rate=1000.0)
def after(double: int, offset: int = 1) -> int:
    return double + offset


class Steered(RunSubject):
    """A real run whose changes are noted instead of made."""

    def __init__(self, local: Any) -> None:
        super().__init__(local)
        self.calls: list[tuple[Any, ...]] = []
        self.threads: set[str] = set()

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        self.threads.add(threading.current_thread().name)

    async def plan(self, edits: list[dict[str, Any]]) -> dict[str, Any]:
        self._note("plan", edits)
        return {
            "lines": ["`after` reads\n`n`", "x" * 10_000] + ["more"] * 1000,
            "problems": [],
            "code": "run.apply(\n  1)",
        }

    async def change(self, edits: list[dict[str, Any]]) -> dict[str, Any]:
        self._note("change", edits)
        if edits[0]["edit"] == "drop":
            raise dg.GraphError("`after` would be left without its input 'double'")
        return {"lines": ["`after` reads `n`"], "ms": 14.123, "code": "run.apply()"}

    async def undo(self) -> dict[str, Any]:
        self._note("undo")
        return {"lines": [], "ms": 3}

    async def step(self, node: str, count: int) -> str:
        self._note("step", node, count)
        return "paused"

    async def resend(self, node: str) -> int:
        self._note("resend", node)
        raise ZeroDivisionError("oh")

    async def known(self) -> list[dict[str, Any]]:
        return [{"name": "clean", "inputs": ("n",), "outputs": ["m"], "doc": "one\u202e\nline"}] * 1000

    async def seek(self, node: str, port: str, position: int) -> None:
        self._note("seek", node, port, position)


@pytest.fixture
def run() -> Iterator[dg.Run]:
    Supervisor.attach("memory://")
    yield dg.Flow(double, after).start({"n": dg.OPEN})
    Supervisor.detach()


@pytest.fixture
def steered(run: dg.Run) -> Steered:
    return Steered(run.subject._local)


def browser_of(wire: Wire, subject: Any) -> Browser:
    view = LiveView(subject.graph, kind="Run", name=subject.name)
    view.show(subject)
    return wire.browser(view)


def test_a_view_says_what_can_be_controlled(run: dg.Run, steered: Steered, wire: Wire) -> None:
    """The browser shows the controls that the subject has: here all, of a flow that does not run none."""
    browser = browser_of(wire, steered)
    browser.say(kind="hello")
    offered = browser.wait_for("scene")["controls"]
    assert offered[:7] == ["plan", "change", "undo", "step", "resend", "known", "seek"]
    assert offered[7:] == ["breakpoint", "decide", "held"]
    idle = wire.browser(dg.Flow(double).view())
    idle.say(kind="hello")
    assert idle.wait_for("scene")["controls"] == []


def test_what_is_asked_for_reaches_the_subject_in_its_own_thread(steered: Steered, wire: Wire) -> None:
    """Every message is one call, with its arguments, in the thread that the run lives in."""
    browser = browser_of(wire, steered)
    assert browser.ask(kind="plan", edits=[MOVE])["data"]["code"] == "run.apply(\n  1)"
    changed = browser.ask(kind="change", edits=[MOVE, MOVE])["data"]
    assert changed == {"lines": ["`after` reads `n`"], "ms": 14.1, "code": "run.apply()"}
    assert browser.ask(kind="undo")["data"] == {"lines": [], "ms": 3.0}
    assert browser.ask(kind="step", node="after", count=10)["data"]["status"] == "paused"
    assert browser.ask(kind="seek", node="after", port="double", position=7)["ok"]
    calls = [
        ("plan", [MOVE]),
        ("change", [MOVE, MOVE]),
        ("undo",),
        ("step", "after", 10),
        ("seek", "after", "double", 7),
    ]
    assert steered.calls == calls
    assert len(steered.threads) == 1
    assert steered.threads != {threading.current_thread().name}


def test_what_comes_back_is_bounded_and_clean(steered: Steered, wire: Wire) -> None:
    """However many lines a change has and whatever is in them: one line each, so many, so long."""
    browser = browser_of(wire, steered)
    lines = browser.ask(kind="plan", edits=[MOVE])["data"]["lines"]
    assert lines[0] == "`after` reads `n`"
    assert (len(lines), max(map(len, lines))) == (controls.MOST_LINES, 400)
    known = browser.ask(kind="known")["data"]["known"]
    assert len(known) == controls.MOST_KNOWN
    assert known[0] == {"name": "clean", "inputs": ["n"], "outputs": ["m"], "doc": "one\\u202e line"}


@pytest.mark.parametrize(
    "message, reason",
    [
        ({"kind": "change", "edits": [{"edit": "drop", "node": "double"}]}, "would be left without its input"),
        ({"kind": "plan"}, "a change is a list of edits"),
        ({"kind": "plan", "edits": []}, "a change is a list of edits"),
        ({"kind": "plan", "edits": ["drop"]}, "a change is a list of edits"),
        ({"kind": "change", "edits": [MOVE] * 51}, "at most 50 edits; got 51"),
        ({"kind": "step", "node": "after", "count": 0}, "a count is a whole number from 1 to 1,000,000; got 0"),
        ({"kind": "step", "node": "after", "count": True}, "got True"),
        ({"kind": "step", "node": "after", "count": 1e300}, "a whole number"),
        ({"kind": "step", "count": 1}, "'step' needs the name of a node; got None"),
        ({"kind": "seek", "node": "after", "port": "double", "position": -1}, "a position is a whole number from 0"),
        ({"kind": "seek", "node": "after", "port": {"a": 1}, "position": 1}, "needs the name of a port"),
        ({"kind": "resend", "node": "after"}, "ZeroDivisionError: oh"),
        ({"kind": "knobs", "node": "aftr"}, "no processor 'aftr' (did you mean 'after'?)"),
        ({"kind": "knobs", "node": "in:n"}, "no processor 'in:n'"),
    ],
)
def test_what_cannot_be_is_said(steered: Steered, wire: Wire, message: dict[str, Any], reason: str) -> None:
    """An error is a sentence in the reply, and the view goes on."""
    browser = browser_of(wire, steered)
    reply = browser.ask(**message)
    assert not reply["ok"]
    assert reason in reply["error"]
    assert browser.ask(kind="undo")["ok"]


def test_what_cannot_be_controlled_says_so(run: dg.Run, wire: Wire) -> None:
    """A subject without these calls, and a flow that does not run, answer with the reason."""

    class Shown:
        """Only what every view needs."""

        def __init__(self, subject: RunSubject) -> None:
            self.id, self.name, self.graph = subject.id, subject.name, subject.graph
            self.watcher, self.spawn = subject.watcher, subject.spawn

    browser = browser_of(wire, Shown(run.subject))
    browser.say(kind="hello")
    assert browser.wait_for("scene")["controls"] == []
    assert "can be looked at from here, not changed" in browser.ask(kind="change", edits=[MOVE])["error"]
    idle = wire.browser(dg.Flow(double).view())
    assert "nothing runs yet" in idle.ask(kind="plan", edits=[MOVE])["error"]


def test_the_knobs_of_a_processor(steered: Steered, wire: Wire) -> None:
    """What the sliders begin with: what the run has, and the names of the settings."""
    data = browser_of(wire, steered).ask(kind="knobs", node="after")["data"]
    assert data["knobs"] == {
        "capacity": 4000, "concurrency": 2, "workers": 1, "rate": 1000.0, "retries": 0, "timeout": None, "on_error": "fail",
    }  # fmt: skip
    assert data["settings"] == {"offset": None}


def test_after_a_change_the_next_moment_comes_at_once(run: dg.Run, steered: Steered, wire: Wire) -> None:
    """Whoever looks sees what a change did without waiting for the next poll."""
    browser = browser_of(wire, steered)
    browser.say(kind="hello")
    browser.wait_for("tick", 2)
    run["n"].send_many([1, 2, 3])
    browser.ask(kind="change", edits=[MOVE])
    browser.wait(lambda: [tick for tick in browser.ticks() if tick["e"][0][WRITTEN] == 3])


def test_every_edit_that_a_browser_makes_is_one(steered: Steered) -> None:
    """What actions.js, drag.js, tune.js and palette.js send is read by `graph.edit`, and means what it says."""
    clean = Node("clean", inputs=(Port("x"),), outputs=(Port("m"),))
    sent: list[dict[str, Any]] = [
        MOVE,
        {"edit": "move", "edge": "double->after.double", "target": "double.n"},
        {"edit": "insert", "by": "clean", "edge": "double->after.double"},
        {"edit": "drop", "node": "double"},
        {"edit": "disconnect", "node": "after"},
        {"edit": "swap", "node": "after", "by": "clean", "fresh": True},
        {"edit": "connect", "by": "clean", "reads": {"x": "double"}},
        {"edit": "connect", "by": "clean"},
        {"edit": "tune", "node": "after", "changes": {"concurrency": 3, "rate": None, "offset": "x"}},
    ]
    found = [from_dict(edit, {"clean": clean}) for edit in sent]
    assert [type(edit).__name__.lower() for edit in found] == [edit["edit"] for edit in sent]
    change = changed(steered.graph, [found[2], found[8]])
    assert change.lines()
    assert not change.problems


# When the run has another graph


CHAIN = by_port(
    [
        Node("double", inputs=(Port("n"),), outputs=(Port("double"),)),
        Node("half", inputs=(Port("double"),), outputs=(Port("half"),)),
        Node("after", inputs=(Port("half"),), outputs=(Port("after"),)),
    ]
)


async def rewire(subject: RunSubject, graph: Graph) -> None:
    subject.watcher.rewired(graph)


def test_another_graph_is_shown_with_what_was_recorded(run: dg.Run, steered: Steered, wire: Wire) -> None:
    """The new scene comes before any tick of it; the recording goes on, by name; a new browser gets the new one."""
    browser = browser_of(wire, steered)
    browser.say(kind="hello")
    run["n"].send_many([1, 2, 3])
    browser.wait(lambda: [tick for tick in browser.ticks() if tick["e"][0][WRITTEN] == 3])
    steered.spawn(rewire, steered, CHAIN).result()
    browser.wait_for("scene", 2)
    browser.wait(lambda: browser.messages[-1]["kind"] == "tick" and len(browser.ticks()[-1]["n"]) == 5)
    drawn = 4
    for message in browser.messages:
        if message["kind"] == "scene":
            drawn = len(message["scene"]["nodes"])
        elif message["kind"] == "tick":
            assert len(json.loads(message["tick"])["n"]) == drawn
    assert [node["name"] for node in browser.view.scene["nodes"]] == [node.name for node in CHAIN]
    other = browser_of(wire, steered)
    other.say(kind="hello")
    other.wait(lambda: any(len(message["scene"]["nodes"]) == 5 for message in other.of("scene")))
    assert repr(other.view) == "RunView(double-after, 3 processors, 4 edges)"
    assert {len(tick["n"]) for tick in steered.watcher.journal} == {5}
    assert list(steered.watcher.journal)[-1]["e"][0][WRITTEN] == 3


def test_graphs_that_follow_each_other_fast_end_with_the_last(steered: Steered, wire: Wire) -> None:
    """Twenty changes in a row: what is drawn at the end is what runs at the end."""
    browser = browser_of(wire, steered)
    browser.say(kind="hello")
    browser.wait_for("tick")
    first = steered.graph
    for i in range(20):
        steered.spawn(rewire, steered, first if i % 2 else CHAIN).result()
    steered.spawn(rewire, steered, CHAIN).result()
    browser.wait(lambda: len(browser.of("scene")[-1]["scene"]["nodes"]) == 5 and browser.messages[-1]["kind"] == "tick")
    assert {len(tick["n"]) for tick in browser.ticks()[-1:]} == {5}
