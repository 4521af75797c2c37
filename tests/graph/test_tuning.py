"""Tuning: what can be set on a node that runs, and what it may be."""

from __future__ import annotations

from typing import Any

import pytest

from datagraph.graph.change import DEFAULT, Tuned
from datagraph.graph.edit import Tune
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.rewiring import changed
from datagraph.graph.wiring import by_port


def worker(name: str, reads: str = "", writes: str = "", **attrs: Any) -> Node:
    """A processor; streams are given as words, each with a type after a colon if it has one."""
    inputs, outputs = (tuple(Port(*word.split(":")) for word in words.split()) for words in (reads, writes))
    return Node(name, inputs=inputs, outputs=outputs, attrs=attrs)


FLOW = by_port(
    [
        worker("load", "path", "text"),
        worker("split", "text", "words", settings=["least"], capacity=50),
        worker("count", "words", "count"),
        worker("report", "words count", "report", wait=True),
    ],
    name="wordcount",
)


def refusal(edit: Tune, graph: Graph = FLOW) -> str:
    """The one reason against this edit."""
    (problem,) = changed(graph, edit).problems
    return problem


def test_tuning_is_seen_on_the_node_and_on_its_edges() -> None:
    """Old and new; a setting of its own was at its default."""
    change = changed(FLOW, Tune("split", capacity=200, concurrency=2, rate=None, least=3))
    assert change.tuned == (
        Tuned("split", "capacity", 50, 200),
        Tuned("split", "concurrency", None, 2),
        Tuned("split", "least", DEFAULT, 3),
    )
    assert change.lines() == (
        "`split`: capacity 50 -> 200",
        "`split`: concurrency None -> 2",
        "`split`: least default -> 3",
    )
    (edge,) = change.after.into("split")
    assert edge.capacity == 200
    assert changed(change.after, Tune("split", capacity=None)).tuned == (Tuned("split", "capacity", 200, 4_000),)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"concurrency": 0}, "concurrency is a whole number, 1 or more; got 0"),
        ({"workers": True}, "workers is a whole number"),
        ({"capacity": 1.5}, "capacity is a whole number"),
        ({"retries": -1}, "retries is a whole number, 0 or more"),
        ({"rate": 0}, "rate is a number above 0, or None"),
        ({"timeout": float("inf")}, "timeout is a number above 0"),
        ({"on_error": "skipp"}, "did you mean 'skip'?"),
        ({"leats": 1}, "no setting is called 'leats' (did you mean 'least'?); its own settings are least"),
    ],
)
def test_a_setting_that_cannot_be_says_what_it_may_be(changes: dict[str, Any], says: str) -> None:
    """In one sentence with the node's name, and nothing is changed."""
    change = changed(FLOW, Tune.of("split", changes))
    assert says in change.problems[0]
    assert change.problems[0].startswith("`split`: ")
    assert change.after == FLOW


def test_a_function_that_takes_one_value_after_the_other_gets_no_concurrency() -> None:
    """Why is said; one of a kind that nobody knows may have it."""
    kept = {"shape": "value", "state": "context"}
    graph = by_port(
        [
            worker("io", "a", "b", shape="stream"),
            worker("batch", "b", "c", shape="batch"),
            worker("zip", "b c", "d", shape="value"),
            worker("state", "d", "e", **kept),
            worker("source", "", "f"),
            worker("free", "e", "g", shape="value", state="none"),
        ]
    )
    reasons = {node.name: changed(graph, Tune(node.name, workers=2)).problems for node in graph.processors()}
    assert reasons.pop("free") == ()
    assert [reason.partition("; it ")[2] for (reason,) in reasons.values()] == [
        "reads its streams itself (IO)",
        "takes batches",
        "takes its 2 inputs in step",
        "keeps state",
        "has no input",
    ]
    assert "so no capacity bounds it" in refusal(Tune("source", capacity=3), graph=graph)
    assert "waits for its whole input" in refusal(Tune("report", capacity=3))
