"""The story of a value in the lens, by the messages that the view sends and hears: no browser, but real runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

import datagraph as dg
from datagraph import Supervisor
from datagraph.notebook.lens import MOST_CELL, value_data
from datagraph.observe.watch import PartLook, ValueLook
from tests.notebook.conftest import Wire

EVIL = "</script>\x1b[31m\u202e" + "x" * 10_000


@dg.processor
def text(path: str) -> str | None:
    return f"the text of {path}" if path != "none" else None


@dg.processor(on_error="dead_letter")
def words(text: str) -> int:
    if "bad" in text:
        raise ValueError(text)
    return len(text.split())


@pytest.fixture
def run(supervisor: Supervisor) -> dg.Run:
    """Five paths, of which one gives no text, and one no words."""
    return dg.Flow(text, words).start({"path": ["a", "b", "none", "bad", "c"]}).join(progress=False)


def part(stream: str, at: int, value: str, edge: str, version: int | None) -> dict[str, Any]:
    return {
        "stream": stream,
        "edge": edge,
        "start": at,
        "stop": at + 1,
        "exact": True,
        "version": version,
        "values": [value],
    }


def test_a_value_of_an_edge_has_its_story(run: dg.Run, wire: Wire) -> None:
    """What it came from and what it became, each with the edge that shows it and the version that made it."""
    browser = wire.browser(run.view())
    assert browser.ask(kind="lens", edge="text->words.text")["data"]["traced"] is True
    told = browser.ask(kind="lens", edge="path->text.path", value=1)["data"]
    (became,) = told["became"]
    assert (told["stream"], told["position"], told["came"]) == ("path", 1, [])
    assert (became["node"], became["status"], became["made"][0]["edge"]) == ("text", "done", "text->words.text")
    told = browser.ask(kind="lens", edge="text->words.text", value=0)["data"]
    assert told["came"] == [part("path", 0, "a", "path->text.path", None)]
    assert told["became"][0]["made"][0]["stream"] == "words"
    assert [edge.stream for edge in run.graph.edges if edge.name == told["became"][0]["made"][0]["edge"]] == ["words"]
    assert browser.ask(kind="lens", edge="text->words.text", value=2)["data"]["became"] == [
        {"node": "words", "status": "dead letter", "made": []}
    ]


def test_what_cannot_be_told_is_said(run: dg.Run, wire: Wire) -> None:
    """A position that is not there, one that is none, an edge that is not there: each is answered with why."""
    browser = wire.browser(run.view())
    for more, why in [
        ({"value": 99}, "no value at position 99"),
        ({"value": "1"}, "whole number"),
        ({"value": -1}, "whole number"),
        ({"at": 1.5}, "whole number"),
    ]:
        answer = browser.ask(kind="lens", edge="text->words.text", **more)
        assert not answer["ok"]
        assert why in answer["error"]
    assert "no edge" in browser.ask(kind="lens", edge="no", value=0)["error"]


def test_an_edge_is_shown_around_a_position(supervisor: Supervisor, wire: Wire) -> None:
    """The values before and after it, as far as they are; from another process's view just so."""
    run = dg.Flow(text).start({"path": [str(n) for n in range(300)]}).join(progress=False)
    browser = wire.browser(dg.attach_run(run.id).view())
    for at, first in ((100, 75), (3, 0), (299, 274)):
        data = browser.ask(kind="lens", edge="path->text.path", at=at)["data"]
        assert (data["first"], data["written"]) == (first, 300)
        assert data["rows"] == [[str(n)] for n in range(first, min(300, first + 50))]


def test_a_story_is_bounded_and_clean() -> None:
    """However much came of a value, and whatever it is."""
    many = PartLook("s", 0, 1000, False, [EVIL] * 10)
    data = json.loads(json.dumps(value_data(ValueLook("e", "s", 1, [many] * 99, [("n", "done", [many] * 99)] * 99))))
    assert (len(data["came"]), len(data["became"]), len(data["became"][0]["made"])) == (20, 20, 20)
    for text_ in data["came"][0]["values"]:
        assert len(text_) <= MOST_CELL
        assert not {"\x1b", "\u202e"} & set(text_)


def test_values_around_a_position_have_their_versions(supervisor: Supervisor, wire: Wire) -> None:
    """After a swap each value says who wrote it, in the table and in the story of what came of it."""

    @dg.processor(name="text2", outputs=["text"])
    def again(path: str) -> str:
        return "another"

    run = dg.Flow(text).start({"path": dg.OPEN})
    run["path"].send("a")
    next(iter(run["text"]))
    run.apply(dg.Swap("text", again))
    run["path"].send("b")
    run["path"].complete()
    run.join(progress=False)
    browser = wire.browser(run.view())
    (edge,) = [each.name for each in run.graph.edges if each.stream == "text"]
    assert browser.ask(kind="lens", edge=edge, at=0)["data"]["versions"] == [1, 2]
    made = [browser.ask(kind="lens", edge="path->text.path", value=at)["data"]["became"][0]["made"][0] for at in (0, 1)]
    assert [(one["start"], one["version"], one["values"]) for one in made] == [
        (0, 1, ["the text of a"]),
        (1, 2, ["another"]),
    ]
