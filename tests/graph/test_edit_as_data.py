"""Edits as data: refused where they are made wrongly, sent as JSON, written as Python."""

from __future__ import annotations

from typing import Any

import pytest

import datagraph
from datagraph.exceptions import GraphError
from datagraph.graph.edit import (
    Connect,
    Disconnect,
    Drop,
    Edit,
    Insert,
    Move,
    Swap,
    Tune,
    code,
    from_dict,
    to_dict,
)
from datagraph.graph.model import Node, Port
from datagraph.graph.rewiring import changed
from datagraph.graph.wiring import by_port

FLOW = by_port(
    [
        Node("split", inputs=(Port("text"),), outputs=(Port("words"),), attrs={"settings": ["least"]}),
        Node("count", inputs=(Port("words"),), outputs=(Port("count"),)),
    ]
)
CLEAN = Node("clean", inputs=(Port("words"),), outputs=(Port("cleaned"),))


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: Move("a->b.c"), "moves one end"),
        (lambda: Move("a->b.c", source="x", target="y.z"), "moves one end"),
        (lambda: Drop(5), "node is a name; got 5"),  # type: ignore[arg-type]
        (lambda: Tune("a"), "changes nothing"),
        (lambda: Swap("a", len), "decorate len with @processor"),  # type: ignore[arg-type]
        (lambda: Insert(datagraph.Processor, "a->b.c"), "an edit takes a processor"),  # type: ignore[arg-type]
        (lambda: Connect(Node("in:a", "input")), "an edit takes a processor"),
        (lambda: Connect(CLEAN, words=3), "takes the name of a stream; got 3"),  # type: ignore[arg-type]
        (lambda: changed(FLOW, "Drop"), "a change is an edit"),  # type: ignore[arg-type]
        (lambda: changed(FLOW, [Drop("a"), CLEAN]), "a change is an edit"),  # type: ignore[list-item]
        (lambda: from_dict({"edit": "insert", "by": "claen", "edge": "e"}, {"clean": CLEAN}), "mean 'clean'.*known"),
        (lambda: from_dict({"edit": "insert", "by": [], "edge": "e"}, {}), "known: none"),
        (lambda: from_dict({"edit": "drpo"}, {}), "did you mean 'drop'"),
        (lambda: from_dict({"edit": "drop"}, {}), "is no edit of the kind 'drop'"),
        (lambda: from_dict({"edit": "drop", "node": "a", "x": 1}, {}), "is no edit of the kind 'drop'"),
        (lambda: from_dict({"edit": "tune", "node": "a", "changes": 3}, {}), "changes is a mapping"),
        (lambda: from_dict({"edit": "tune", "node": "a", "more": {}}, {}), "nothing called more"),
        (lambda: from_dict(["drop"], {}), "read from a mapping"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_edit_is_refused_when_it_is_made(make: Any, says: str) -> None:
    """Not when the change is put together: the line that is wrong is the one that raises."""
    with pytest.raises(GraphError, match=says):
        make()


EDITS: tuple[Edit, ...] = (
    Move("words->count.words", source="raw"),
    Move('a "quoted" edge->b.c', target="it's.x"),
    Swap("count", CLEAN),
    Swap("count", CLEAN, fresh=True),
    Insert(CLEAN, "words->count.words"),
    Drop("count"),
    Connect(CLEAN),
    Connect(CLEAN, words="text"),
    Disconnect("naïve 名前"),
    Tune("split", concurrency=2, rate=None, least=[1, "x"]),
    Tune.of("split", {"not a name": 1, "class": "x", "node": 2, "self": 3}),
)


@pytest.mark.parametrize("edit", EDITS, ids=str)
def test_an_edit_survives_being_sent_and_being_written_as_python(edit: Edit) -> None:
    """As JSON and back, and as code that makes the same edit again."""
    assert from_dict(to_dict(edit), {"clean": CLEAN}) == edit
    assert eval(code(edit), {"dg": datagraph, "clean": CLEAN}) == edit
    assert eval(code([edit, edit]), {"dg": datagraph, "clean": CLEAN}) == [edit, edit]


def test_code_is_what_one_would_write() -> None:
    """Double quotes, keywords, variables of the processors' names."""
    assert code(Move("text->words.text", source="raw")) == 'dg.Move("text->words.text", source="raw")'
    assert code(Swap("count", CLEAN, fresh=True)) == 'dg.Swap("count", clean, fresh=True)'
    assert code(Connect(Node("my node!"))) == "dg.Connect(my_node_)"
    assert repr(Tune("words", concurrency=2)) == "Tune('words', concurrency=2)"


def test_a_processor_is_an_edit_s_node() -> None:
    """What ``@processor`` made is taken as it is; an object in a setting is sent as its text, a Retry as its number."""

    @datagraph.processor
    def cleaned(words: str) -> str:
        return words.lower()

    change = changed(FLOW, Insert(cleaned, "words->count.words"))
    assert change.lines()[0] == "new: `cleaned` (words -> cleaned)"
    assert code(Insert(cleaned, "words->count.words")) == 'dg.Insert(cleaned, "words->count.words")'
    sent = to_dict(Tune("split", retries=datagraph.Retry(3), least={1: (object, None)}))["changes"]
    assert sent == {"retries": 3, "least": {"1": ["<class 'object'>", None]}}
