"""Breakpoints through a view, by its messages: a real run is held, shown, let go and changed by what a browser says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import datagraph as dg
from datagraph import Supervisor
from datagraph.events.journal import EDGE_FIELDS
from datagraph.notebook.live import LiveView
from tests.notebook.conftest import Browser, Wire

EDGE = "row->kept.row"
BREAKPOINT = EDGE_FIELDS.index("breakpoint")


@dg.processor
async def row(n: int) -> Any:
    return {"n": n, "name": "<b>\u202e"} if n % 50 else (n, "pair")


@dg.processor(outputs=["kept"])
async def kept(row: Any) -> Any:
    return row


@pytest.fixture
def run() -> Iterator[dg.Run]:
    Supervisor.attach("memory://")
    yield dg.Flow(row, kept).start({"n": range(200)}, paused=True)
    Supervisor.detach()


@pytest.fixture
def browser(run: dg.Run, wire: Wire) -> Browser:
    view = LiveView(run.graph, kind="Run", name=run.name)
    view.show(run.subject)
    browser = wire.browser(view)
    browser.say(kind="hello")
    browser.wait_for("tick")
    return browser


def held(browser: Browser, position: int | None) -> dict[str, Any]:
    """Wait for a tick in which that value is held; what it says of the breakpoint."""

    def found() -> list[dict[str, Any]]:
        browser.say(kind="alive")
        stops = [tick["e"][1][BREAKPOINT] for tick in browser.ticks()[-1:]]
        return [stop for stop in stops if stop is not None and stop["position"] == position]

    return browser.wait(found, f"a tick in which {position} is held")[0]


def test_a_browser_sets_sees_and_decides(run: dg.Run, browser: Browser) -> None:
    """The tick after an answer has what it did; every answer has the Python that does the same."""
    answer = browser.ask(kind="breakpoint", edge=EDGE, where="position in (60, 70, 80, 90)")
    assert answer["data"]["code"] == f"run.breakpoint('{EDGE}', 'position in (60, 70, 80, 90)')"
    assert held(browser, None) == {
        "condition": "position in (60, 70, 80, 90)", "hits": 0, "position": None, "stream": "", "value": "", "error": "",
    }  # fmt: skip
    run.resume()
    assert held(browser, 60)["value"] == "{'n': 60, 'name': '<b>\\u202e'}"
    assert browser.ticks()[-1]["bottleneck"] == ""
    text = browser.ask(kind="held", edge=EDGE)["data"]
    assert text == {
        "position": 60, "text": "{'n': 60, 'name': '<b>\\u202e'}", "json": '{"n": 60, "name": "<b>\\u202e"}',
    }  # fmt: skip
    assert browser.ask(kind="decide", edge=EDGE, verdict="go", position=60)["data"]["code"].endswith(".hit.go()")
    held(browser, 70)
    gone = browser.ask(kind="decide", edge=EDGE, verdict="drop", position=60)
    assert "value 60 is not held at" in gone["error"]
    assert browser.ask(kind="decide", edge=EDGE, verdict="drop", position=70)["ok"]
    held(browser, 80)
    data = {"edge": EDGE, "verdict": "replace", "position": 80, "value": json.dumps({"n": [None, True]})}
    assert browser.ask(kind="decide", **data)["data"]["code"].endswith(".hit.replace({'n': [None, True]})")
    held(browser, 90)
    assert browser.ask(kind="breakpoint", edge=EDGE, where=None)["data"]["code"].endswith("].remove()")
    run.join()
    values = run["kept"].to_list()
    assert (len(values), values[79]) == (199, {"n": [None, True]})


def test_a_value_that_json_cannot_carry_is_shown_as_text(run: dg.Run, browser: Browser) -> None:
    """A pair would come back as a list; whoever edits it is not given one as if it were the same."""
    browser.ask(kind="breakpoint", edge=EDGE, where="type_name(value) == 'tuple' and position")
    run.resume()
    held(browser, 50)
    assert browser.ask(kind="held", edge=EDGE)["data"] == {"position": 50, "text": "(50, 'pair')", "json": None}


@pytest.mark.parametrize(
    "message, reason",
    [
        (
            {"kind": "breakpoint", "edge": EDGE, "where": "price > 3"},
            "character 1: 'price' is not known; a condition may",
        ),
        ({"kind": "breakpoint", "edge": EDGE, "where": "value.pop()"}, "'value.pop' cannot be called"),
        ({"kind": "breakpoint", "edge": EDGE, "where": 3}, "a condition is a text; got 3"),
        ({"kind": "breakpoint", "edge": "row->kpet.row", "where": "value"}, f"did you mean '{EDGE}'?"),
        ({"kind": "breakpoint", "where": "value"}, "'breakpoint' needs the name of an edge"),
        ({"kind": "held", "edge": EDGE}, "no value is held at"),
        ({"kind": "held", "edge": "nowhere"}, "the run has no edge 'nowhere'"),
        ({"kind": "decide", "edge": EDGE, "verdict": "go", "position": 1}, "value 1 is not held at"),
        ({"kind": "decide", "edge": EDGE, "verdict": "go", "position": -1}, "a position is a whole number from 0"),
        ({"kind": "decide", "edge": EDGE, "verdict": "replace", "position": 1, "value": "{"}, "this is no JSON"),
        ({"kind": "decide", "edge": EDGE, "verdict": "replace", "position": 1, "value": "[" * 9999}, "this is no JSON"),
        ({"kind": "decide", "edge": EDGE, "verdict": "replace", "position": 1, "value": 3}, "a value is given as JSON"),
        (
            {"kind": "decide", "edge": EDGE, "verdict": "replace", "position": 1, "value": "1" * 10**6},
            "at most 100,000",
        ),
    ],
)
def test_what_cannot_be_is_said(browser: Browser, message: dict[str, Any], reason: str) -> None:
    """An error is a sentence in the reply, and nothing was set."""
    reply = browser.ask(**message)
    assert not reply["ok"]
    assert reason in reply["error"]
    assert browser.ticks()[-1]["e"][1][BREAKPOINT] is None


def test_a_decision_must_be_one_of_three(run: dg.Run, browser: Browser) -> None:
    """What is held stays held where somebody asks for what there is not."""
    browser.ask(kind="breakpoint", edge=EDGE, where="position == 7")
    run.resume()
    held(browser, 7)
    refused = browser.ask(kind="decide", edge=EDGE, verdict="explode", position=7)
    assert refused["error"] == "'explode' is nothing that can become of a value; it can: go, drop, replace"
    assert run.breakpoints[EDGE].hit is not None
