"""The live view of a dag: no browser, but real runs, by the messages that a browser would hear."""

from __future__ import annotations

import json
import threading

import anyio

from datagraph.dag import TaskManager, build_dag
from datagraph.events.journal import NODE_FIELDS
from tests.notebook.conftest import Wire

STATUS = NODE_FIELDS.index("status")


async def double(number: int) -> int:
    return 2 * number


def gated(gate: threading.Event) -> TaskManager[int]:
    def held(number: int) -> int:
        assert gate.wait(10)
        return number

    with build_dag(int, name="gated") as tm:
        tm.add_node(double, tm.add_node(held, tm.parameter_node))
    return tm


def test_a_run_is_seen_node_by_node(wire: Wire) -> None:
    """Waiting, running, done: what the view is told while it runs, and that it has ended; all of it is saved."""
    gate = threading.Event()
    run = gated(gate).start(4)
    view = run.view()
    assert repr(view) == "RunView(gated, 2 processors, 2 edges)"
    browser = wire.browser(view)
    browser.say(kind="hello")
    names = [node["name"] for node in view.scene["nodes"]]
    assert names == ["in:parameter", "held", "double"]
    browser.wait(
        lambda: [t for t in browser.ticks() if statuses(t) == ["done", "running", "waiting"]], "a running node"
    )
    assert "at work: `held` for" in browser.ticks()[-1]["sentence"]
    gate.set()
    browser.wait_for("ended")
    assert statuses(browser.ticks()[-1]) == ["done", "done", "done"]
    browser.wait(lambda: browser.state.get("recording"))
    assert json.loads(view.get_state()["tick"])["status"] == "completed"
    run.join(progress=False)


def test_a_dag_that_is_shown_before_follows_its_runs(wire: Wire) -> None:
    """`tm.view()` shows the graph, and becomes live with each run, also with those that `invoke` makes."""
    gate = threading.Event()
    gate.set()
    tm = gated(gate)
    browser = wire.browser(tm.view())
    browser.say(kind="hello")
    first = anyio.run(tm.invoke, 4)
    browser.wait(lambda: browser.state.get("subject") == first.run.id)
    browser.wait(lambda: [t for t in browser.ticks() if statuses(t) == ["done"] * 3], "the end of the first run")
    second = tm.start(5)
    browser.wait(lambda: browser.state.get("subject") == second.id)
    second.join(progress=False)


def test_the_views_buttons_and_lenses_reach_the_run(wire: Wire) -> None:
    """Pause, resume and cancel; the value on an edge; a node's source; a refusal says why."""
    gate = threading.Event()
    run = gated(gate).start(4)
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    assert browser.ask(kind="do", action="pause", node="")["ok"]
    browser.wait(lambda: [t for t in browser.ticks() if t["paused"]], "the pause")
    assert browser.ask(kind="do", action="resume", node="")["ok"]
    refused = browser.ask(kind="do", action="pause", node="held")
    assert "the whole run can" in refused["error"]
    looked = browser.ask(kind="lens", edge="parameter->held.number")
    assert "4" in json.dumps(looked["data"])
    node = browser.ask(kind="lens", node="double")
    assert "async def double" in json.dumps(node["data"])
    assert browser.ask(kind="do", action="cancel", node="")["ok"]
    browser.wait_for("ended")
    assert run.status == "cancelled"
    gate.set()


def statuses(tick: dict[str, list[list[str]]]) -> list[str]:
    return [row[STATUS] for row in tick["n"]]
