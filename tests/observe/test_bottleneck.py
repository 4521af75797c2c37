"""The culprit in one sentence, on runs whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datagraph.graph.wiring import by_port
from datagraph.observe.bottleneck import bottleneck
from tests.observe.kit import chain, node, snapshot


def test_slow_middle_is_named_with_its_input_and_who_waits() -> None:
    """The first busy node downstream of the blocked one is the culprit, and the numbers are in the sentence."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.08, 0.0, 0.92), "b": (0.97, 0.03, 0.0), "c": (0.1, 0.9, 0.0)}, {"y": 100})
    found = bottleneck(graph, seen)
    assert found.node == "b"
    assert str(found).startswith(
        "`b` is the bottleneck: 97 % busy, its input holds 100 of 100, `a` waits 92 % of the time"
    )
    assert found.evidence["gain"] == pytest.approx(1.94)
    assert "if it waits rather than computes, with concurrency 2 expect about 1.9 times" in str(found)


def test_slow_sink_is_found_through_a_chain_of_blocked_nodes() -> None:
    """A node that is itself held up is not the culprit, however full its input is."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.01, 0.0, 0.99), "b": (0.2, 0.0, 0.8), "c": (1.0, 0.0, 0.0)}, {"y": 100, "w": 100})
    assert bottleneck(graph, seen).node == "c"


def test_slow_source_is_no_bottleneck_of_a_processor() -> None:
    """Where nothing is full and the readers starve, the source is the slowest, and no node is accused."""
    graph = chain()
    found = bottleneck(
        graph, snapshot(graph, {"in:x": (1, 0, 0), "a": (0.05, 0.95, 0), "b": (0.1, 0.9, 0), "c": (0, 1, 0)})
    )
    assert found.node is None
    assert str(found) == "nothing is full: the source `x` is the slowest, everything downstream waits"


def test_nothing_slow_names_the_busiest_and_accuses_nobody() -> None:
    """Busy is not guilty: without a full edge there is no bottleneck."""
    graph = chain()
    found = bottleneck(
        graph, snapshot(graph, {"a": (0.5, 0.45, 0.05), "b": (0.8, 0.2, 0), "c": (0.6, 0.4, 0)}, {"y": 40})
    )
    assert found.node is None
    assert str(found) == "nothing is full: no bottleneck; the busiest is `b` (80 %)"


def test_skewed_branch_is_accused_and_its_idle_sibling_is_not() -> None:
    """Of two readers of one stream the one whose edge is full is followed."""
    graph = by_port([node("a", "x", "y"), node("left", "y", "l"), node("right", "y", "r")], capacity=100)
    shares = {"a": (0.1, 0, 0.9), "left": (0.3, 0.7, 0), "right": (0.99, 0.01, 0)}
    found = bottleneck(graph, snapshot(graph, shares, {"y->right": 100}))
    assert found.node == "right"


def test_starved_join_names_the_input_that_is_missing() -> None:
    """A join that waits for one input while the other is full points upstream, at whoever writes the missing one."""
    graph = by_port([node("fast", "x", "f"), node("slow", "x", "s"), node("join", "f s", "j")], capacity=100)
    shares = {"fast": (0.1, 0, 0.9), "slow": (0.98, 0.02, 0), "join": (0.05, 0.95, 0)}
    found = bottleneck(graph, snapshot(graph, shares, {"f": 100}))
    assert found.node == "slow"
    assert "`join` waits 95 % of the time for its input `s` while `f` holds 100 of 100" in str(found)


def test_other_busy_nodes_limit_the_gain() -> None:
    """Twice as much in flight is not twice the throughput where the next node is nearly as busy."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.5, 0, 0.5), "b": (1.0, 0, 0), "c": (0.8, 0.2, 0)}, {"y": 100})
    assert bottleneck(graph, seen).evidence["gain"] == pytest.approx(1.25)


@pytest.mark.parametrize("attrs", [{"shape": "stream", "state": "locals"}, {"state": "context"}, {"shape": "batch"}])
def test_no_concurrency_is_advised_where_it_would_be_refused(attrs: dict[str, str]) -> None:
    """A processor that keeps state or reads its streams itself can have no concurrency, so none is advised."""
    graph = by_port([node("a", "x", "y"), node("b", "y", "w", **attrs)], capacity=100)
    found = bottleneck(graph, snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100}))
    assert found.node == "b"
    assert "concurrency" not in str(found)
    assert "gain" not in found.evidence


def test_process_executor_needs_no_condition() -> None:
    """In processes of its own a node gains even where it computes, so the advice has no if."""
    graph = by_port([node("a", "x", "y"), node("b", "y", "w", executor="ProcessExecutor")], capacity=100)
    found = bottleneck(graph, snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100}))
    assert str(found).endswith("; with concurrency 2 expect about 2.0 times the throughput")


def test_rate_limit_is_said_instead_of_advice() -> None:
    """A node that its own rate= holds back would not be helped by concurrency."""
    graph = by_port([node("a", "x", "y"), node("b", "y", "w", rate=5)], capacity=100)
    seen = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100})
    seen = replace(seen, nodes={**seen.nodes, "b": replace(seen.nodes["b"], rate=4.9)})
    assert str(bottleneck(graph, seen)).endswith("; it is held to 5 values a second by rate=")


def test_ended_run_is_told_in_the_past_without_what_waits_now() -> None:
    """After the end the shares of the whole run still name who it was."""
    graph = chain()
    shares = {"a": (0.1, 0, 0.9), "b": (0.97, 0.03, 0), "c": (0.1, 0.9, 0)}
    found = bottleneck(graph, snapshot(graph, shares, status="completed"))
    assert str(found).startswith("`b` was the bottleneck: 97 % busy, `a` waited 90 % of the time")


def test_paused_node_is_told_as_paused() -> None:
    """What holds a run up because somebody paused it is no matter of speed."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100})
    seen = replace(seen, nodes={**seen.nodes, "b": replace(seen.nodes["b"], paused=True)})
    assert str(bottleneck(graph, seen)) == "`b` is paused: 100 values wait for it"


def test_beginning_says_nothing() -> None:
    """Before anybody has reported there is nothing to say, and it is said."""
    graph = chain()
    found = bottleneck(graph, snapshot(graph, {}))
    assert (found.node, str(found)) == (None, "the run has just begun: nothing is known yet")


def test_shown_in_a_cell_it_is_its_sentence() -> None:
    """A notebook shows the sentence, and nothing with an address in it."""
    graph = chain()
    found = bottleneck(graph, snapshot(graph, {}))
    assert found._repr_mimebundle_() == {"text/plain": str(found)}


def test_full_by_bytes_is_told_in_bytes() -> None:
    """An edge that holds few values may be full all the same, and is not told as 3 of 100."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 3})
    edge = seen.edges["y->b.y"]
    seen = replace(seen, edges={**seen.edges, edge.name: replace(edge, fill=0.97)})
    assert "its input holds 97 % of the bytes it may" in str(bottleneck(graph, seen))
