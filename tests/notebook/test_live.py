"""The live view, by the messages that it sends and hears: no browser, but real runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import datagraph as dg
from datagraph import Supervisor
from datagraph.events.journal import EDGE_FIELDS
from datagraph.notebook import live
from tests.flow.processes import script
from tests.notebook.conftest import Wire
from tests.observe.hearing import PATIENCE

EVIL = "</script><script>alert(1)</script>"


@dg.processor
def double(n: int) -> int:
    return 2 * n


@dg.processor
def after(double: int) -> int:
    return double + 1


@pytest.fixture
def memory() -> Iterator[Supervisor]:
    """A supervisor on the memory store."""
    yield Supervisor.attach("memory://")
    Supervisor.detach()


def open_run() -> dg.Run:
    return dg.Flow(double, after).start({"n": dg.OPEN})


def test_a_view_says_the_scene_the_past_and_then_ticks(supervisor: Supervisor, wire: Wire) -> None:
    """On hello: what to draw, what was seen so far, what is so now; then moments, numbered, until the end."""
    run = open_run()
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    browser.wait_for("tick", 4)
    run["n"].send_many([1, 2, 3])
    run.stop()
    browser.wait_for("ended")
    kinds = [message["kind"] for message in browser.messages if message["kind"] != "update"]
    assert kinds[:2] == ["scene", "recording"]
    assert set(kinds[2:-1]) == {"tick"}
    assert [message["seq"] for message in browser.of("tick")] == list(range(1, len(browser.of("tick")) + 1))
    (scene,) = [message["scene"] for message in browser.of("scene")]
    assert [node["name"] for node in scene["nodes"]] == [node.name for node in run.graph]
    assert browser.ticks()[-1]["e"][1][EDGE_FIELDS.index("written")] == 3


def test_a_message_a_tick_ten_times_a_second(memory: Supervisor, wire: Wire) -> None:
    """Everything of a moment is in one message, and no more than ten come in a second."""
    run = open_run()
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    began = time.monotonic()
    browser.wait_for("tick", 10)
    assert time.monotonic() - began > 0.7
    assert {(len(tick["n"]), len(tick["e"])) for tick in browser.ticks()} == {(4, 3)}
    run.cancel()


def test_what_is_saved_with_the_notebook_is_the_end(supervisor: Supervisor, wire: Wire) -> None:
    """A view that no browser ever showed, as nbconvert runs it, has scene, last tick and recording in its state."""
    run = open_run()
    view = run.view()
    browser = wire.browser(view)
    run["n"].send_many([1, 2, 3])
    run.stop()
    browser.wait(lambda: browser.state.get("recording"))
    state = view.get_state()
    assert json.loads(state["tick"])["status"] == "completed"
    recording = json.loads(state["recording"])
    assert (recording["run"], recording["ticks"][-1]) == (run.id, json.loads(state["tick"]))
    assert state["subject"] == run.id
    assert [message for message in browser.messages if message["kind"] != "update"] == []


def test_while_it_runs_it_is_saved_now_and_then(
    memory: Supervisor, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every tick is written into the notebook's state, but it is never long out of date."""
    monkeypatch.setattr(live, "TICK_SECONDS", 0.3)
    monkeypatch.setattr(live, "RECORDING_SECONDS", 0.6)
    run = open_run()
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    browser.wait(lambda: sum(message["names"] == ["recording"] for message in browser.of("update")) >= 2)
    ticks = sum(message["names"] == ["tick"] for message in browser.of("update"))
    assert 2 <= ticks < len(browser.of("tick"))
    run.cancel()


def test_the_view_of_an_ended_run_is_complete(supervisor: Supervisor, wire: Wire) -> None:
    """Who looks afterwards sees the end at once, with its recording."""
    run = dg.Flow(double, after).start({"n": [1, 2, 3]}).join(progress=False)
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    browser.wait_for("ended")
    browser.wait(lambda: browser.state.get("recording"))
    assert browser.ticks()[-1]["status"] == "completed"


# Who looks


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every view."""
    clock = Clock()
    monkeypatch.setattr(live.LiveView.__init__, "__kwdefaults__", {"clock": clock})
    return clock


def test_nothing_is_sent_to_a_browser_that_is_gone(memory: Supervisor, wire: Wire, clock: Clock) -> None:
    """After three missed signs of life it rests: no messages, no haste; one sign, and it begins again."""
    run = open_run()
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    browser.wait_for("tick", 3)
    clock.now += 5.9
    browser.wait_for("tick", len(browser.of("tick")) + 3)
    clock.now += 0.2
    watcher = run.subject.watcher
    wait_until(lambda: watcher._period() == 0.5)
    heard, polls = len(browser.messages), watcher.polls
    wait_until(lambda: watcher.polls >= polls + 3)
    assert len(browser.messages) == heard
    browser.say(kind="alive")
    browser.wait_for("tick", len(browser.of("tick")) + 3)
    assert watcher._period() < 0.5
    run.cancel()


def wait_until(found: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_browser_that_cannot_be_heard_is_not_gone(
    memory: Supervisor, wire: Wire, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a cell runs the kernel may be deaf: then silence says nothing, and the view goes on."""
    monkeypatch.setattr(live.cells, "_running", True)
    monkeypatch.setattr(live.cells, "_ended", 0.0)
    run = open_run()
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    clock.now += 3600
    browser.wait_for("tick", len(browser.of("tick")) + 3)
    live.cells._ends()
    live.cells._ended = clock.now
    clock.now += 7
    wait_until(lambda: run.subject.watcher._period() == 0.5)
    run.cancel()


def test_a_cell_that_is_run_again_leaves_one_poller(memory: Supervisor, wire: Wire, clock: Clock) -> None:
    """Ten views of one run, of which nine are not shown any more, are one poller that sends to one."""
    run = open_run()
    browsers = []
    for _ in range(10):
        browsers.append(wire.browser(run.view()))
        browsers[-1].say(kind="hello")
        clock.now += 7  # the cell is run again later: the one before has gone from the page
    browsers[-1].say(kind="alive")
    watcher = run.subject.watcher
    wait_until(lambda: sum(s.hz > 0 for s in watcher._subscribers) == 1)
    counts, polls, began = [len(b.messages) for b in browsers], watcher.polls, time.monotonic()
    browsers[-1].wait_for("tick", len(browsers[-1].of("tick")) + 8)
    assert watcher.polls - polls <= 2 + 10 * (time.monotonic() - began)
    assert [len(b.messages) for b in browsers[:-1]] == counts[:-1]
    run.cancel()


def test_a_closed_view_hears_and_says_nothing(memory: Supervisor, wire: Wire) -> None:
    """`with run.view()` lets go of its run's poller."""
    run = open_run()
    with run.view() as view:
        browser = wire.browser(view)
        browser.say(kind="hello")
        browser.wait_for("tick", 2)
        assert run.subject.watcher.subscribers == 1
    assert run.subject.watcher.subscribers == 0
    run.cancel()


# A flow's view


def test_a_flows_view_becomes_live_when_a_run_starts(supervisor: Supervisor, wire: Wire) -> None:
    """Before: the scene and no tick, and a click is told why nothing happens; then each run in its turn."""
    flow = dg.Flow(double, after)
    view = flow.view()
    browser = wire.browser(view)
    browser.say(kind="hello")
    assert [message["kind"] for message in browser.messages] == ["scene", "recording"]
    assert "nothing runs yet" in browser.ask(kind="do", action="pause", node="")["error"]
    first = flow.start({"n": [1, 2, 3]}).join(progress=False)
    browser.wait_for("ended")
    assert browser.state["subject"] == first.id
    second = flow.start({"n": [1, 2, 3, 4]}).join(progress=False)
    browser.wait_for("ended", 2)
    assert browser.state["subject"] == second.id
    assert browser.ticks()[-1]["e"][0][0] == 4


def test_a_flows_view_shows_a_run_that_goes_already(memory: Supervisor, wire: Wire) -> None:
    """Whoever asks the flow late sees the run that was started before."""
    flow = dg.Flow(double, after)
    run = flow.start({"n": dg.OPEN})
    browser = wire.browser(flow.view())
    browser.say(kind="hello")
    browser.wait_for("tick", 2)
    assert browser.state["subject"] == run.id
    run.cancel()


def test_a_flow_that_cannot_run_is_drawn(wire: Wire) -> None:
    """A ring, a processor without its function: the view shows the flow as it is."""
    ring = dg.Flow(dg.Processor("a", inputs=["x"], outputs=["y"]), dg.Processor("b", inputs=["y"], outputs=["x"]))
    browser = wire.browser(ring.view())
    browser.say(kind="hello")
    assert len(browser.of("scene")[0]["scene"]["nodes"]) == 2


def test_a_forgotten_view_is_not_kept_by_its_flow(memory: Supervisor, wire: Wire) -> None:
    """A closed view of a flow does not come back with the next run."""
    flow = dg.Flow(double, after)
    view = flow.view()
    view.close()
    flow.start({"n": [1]}).join(progress=False)
    assert view._subscription is None


# Asking and doing


def test_the_edge_lens_shows_the_last_values_and_takes_none(supervisor: Supervisor, wire: Wire) -> None:
    """A table of texts with their positions; every reader still gets every value."""
    run = open_run()
    run["n"].send_many(list(range(100)))
    wait_until(lambda: len(run["after"]) == 100)
    browser = wire.browser(run.view())
    data = browser.ask(kind="lens", edge="double->after.double")["data"]
    assert (data["columns"], data["written"], data["first"]) == (["value"], 100, 50)
    assert data["rows"] == [[str(2 * n)] for n in range(50, 100)]
    assert data["positions"] == list(range(50, 100))
    run.stop()
    assert run["after"].to_list() == [2 * n + 1 for n in range(100)]


def test_the_node_lens_shows_source_errors_letters_and_log(supervisor: Supervisor, wire: Wire) -> None:
    """Of the processor that fails: its code, what it said, what it gave up, with the tracebacks."""

    @dg.processor(on_error="dead_letter", concurrency=2)
    def picky(n: int) -> int:
        print("saw", n)
        raise ValueError(f"no {n} please")

    run = dg.Flow(picky).start({"n": [7]}).join(progress=False)
    data = wire.browser(run.view()).ask(kind="lens", node="picky")["data"]
    assert "def picky(n: int)" in data["source"]
    assert (Path(data["file"]).name, data["settings"]["concurrency"]) == ("test_live.py", "2")
    (letter,) = data["letters"]
    assert (letter["value"], letter["position"]) == ("7", 0)
    assert "no 7 please" in letter["error"]
    assert "raise ValueError" in letter["traceback"]
    assert data["logs"] == ["saw 7"]


def test_the_node_lens_shows_what_ended_the_run(supervisor: Supervisor, wire: Wire) -> None:
    """The error of the node that failed, with its traceback; the other nodes have none."""

    @dg.processor
    def fails(n: int) -> int:
        raise KeyError("gone")

    run = dg.Flow(fails).start({"n": [7]})
    with pytest.raises(dg.ProcessorError):
        run.join(progress=False)
    browser = wire.browser(run.view())
    (error,) = browser.ask(kind="lens", node="fails")["data"]["errors"]
    assert "gone" in error["error"]
    assert 'raise KeyError("gone")' in error["traceback"]
    assert browser.ask(kind="lens", node="in:n")["data"]["errors"] == []


def test_a_click_acts_and_is_seen_at_once(supervisor: Supervisor, wire: Wire) -> None:
    """Pause, resume, one node or all, stop: each is answered, done, and followed by a tick that shows it."""
    run = open_run()
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    for action, node, status in (("pause", "", "paused"), ("resume", "", "running"), ("pause", "after", "running")):
        answer = browser.ask(kind="do", action=action, node=node)
        assert answer["ok"], answer
        assert answer["data"] == {"action": action, "node": node, "status": status}
    assert run.status == "running"
    browser.wait(lambda: [t for t in browser.ticks() if t["n"][2][14] and not t["n"][1][14]], "a paused `after`")
    assert browser.ask(kind="do", action="resume", node="after")["ok"]
    assert browser.ask(kind="do", action="stop")["ok"]
    browser.wait_for("ended")
    assert run.status == "completed"


@pytest.mark.parametrize(
    "message, words",
    [
        ({"kind": "lens", "edge": "no such edge"}, "has no edge"),
        ({"kind": "lens", "node": "no such node"}, "has no node"),
        ({"kind": "lens"}, "has no node"),
        ({"kind": "do", "action": "explode"}, "no action 'explode'"),
        ({"kind": "do", "action": "pause", "node": EVIL}, "has no node"),
        ({"kind": "do", "action": "stop", "node": "double"}, "for a whole run"),
    ],
)
def test_what_cannot_be_done_is_answered(memory: Supervisor, wire: Wire, message: dict[str, Any], words: str) -> None:
    """Every question gets its answer, and a view survives every message."""
    run = open_run()
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    answer = browser.ask(**message)
    assert not answer["ok"]
    assert words in answer["error"]
    for nonsense in (None, 7, [], {"kind": None}, {"kind": "no such kind"}):
        browser.view._hear(browser.view, nonsense, [])
    browser.wait_for("tick", len(browser.of("tick")) + 2)
    run.cancel()


def test_after_a_detach_a_click_is_told_why(wire: Wire) -> None:
    """A view outlives its supervisor: what was seen stays, and a question is answered with what to do."""
    Supervisor.attach("memory://")
    run = open_run()
    browser = wire.browser(run.view())
    browser.say(kind="hello")
    browser.wait_for("tick", 2)
    Supervisor.detach()
    assert "detached" in browser.ask(kind="do", action="pause")["error"]
    browser.say(kind="hello")
    assert browser.messages[-1]["kind"] == "tick"


def test_a_run_of_another_process_is_seen_and_steered(valkey_url: str, tmp_path: Path, wire: Wire) -> None:
    """`attach_run(id).view()`: the same view, with the source of functions that this process never had."""
    Supervisor.attach(valkey_url, lease=2)
    code = """
        attach(lease=2)
        run = Flow(double).start({"n": OPEN})
        run["n"].send_many(list(range(10)))
        print(run.id, flush=True)
        run.join()
    """
    try:
        with script(tmp_path, code, valkey_url, "asyncio") as owner:
            browser = wire.browser(dg.attach_run(owner.line()).view())
            browser.say(kind="hello")
            browser.wait(lambda: [tick for tick in browser.ticks() if tick["e"][1][0] == 10], "ten values")
            data = browser.ask(kind="lens", node="double")["data"]
            assert "return 2 * n" in data["source"]
            assert browser.ask(kind="lens", edge="n->double.n")["data"]["rows"][-1] == ["9"]
            assert browser.ask(kind="do", action="stop")["ok"]
            browser.wait_for("ended")
            assert owner.end()[0] == 0
    finally:
        Supervisor.detach()


# What it is


def test_a_view_says_what_it_is_the_same_every_time(memory: Supervisor, wire: Wire) -> None:
    """No address is in a repr, so that notebooks compare."""
    flow = dg.Flow(double, after)
    run = flow.start({"n": [1]}).join(progress=False)
    assert repr(run.view()) == "RunView(double-after, 2 processors, 3 edges)"
    assert repr(dg.Flow(double).view()) == "FlowView(double, 1 processor, 2 edges)"
    bundle = run.view()._repr_mimebundle_()[0]
    assert bundle["text/plain"] == "RunView(double-after, 2 processors, 3 edges)"
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_the_code_of_the_view_is_sent_as_text(wire: Wire) -> None:
    """Code that is given as a path keeps every widget alive (anywidget issue 929), and it is one module."""
    view = dg.Flow(double).view()
    state = wire.browser(view).state
    assert state["_esm"].count("export default") == 1
    assert "--dg-page" in state["_css"]
    assert not {"http://", "https://"} & {word[:8] for word in state["_esm"].split('"')} - {"http://"}
