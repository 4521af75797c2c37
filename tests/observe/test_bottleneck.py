"""The culprit in one sentence, on runs whose answer is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from datagraph.events.snapshot import BreakpointState, Snapshot
from datagraph.graph.wiring import by_port
from datagraph.observe.advice import Advice
from datagraph.observe.bottleneck import bottleneck
from tests.observe.kit import chain, node, snapshot


def told(seen: Snapshot, name: str, **facts: Any) -> Snapshot:
    """The snapshot with other facts about one node."""
    return replace(seen, nodes={**seen.nodes, name: replace(seen.nodes[name], **facts)})


def test_slow_middle_is_named_with_its_input_and_who_waits() -> None:
    """The first busy node downstream of the blocked one is the culprit, and the numbers are in the sentence."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.08, 0.0, 0.92), "b": (0.97, 0.03, 0.0), "c": (0.1, 0.9, 0.0)}, {"y": 100})
    found = bottleneck(graph, seen)
    assert found.node == "b"
    assert str(found).startswith(
        "`b` is the bottleneck: 97 % busy, its input holds 100 of 100, `a` waits 92 % of the time"
    )
    assert found.evidence["gain"] == found.advice.gain == pytest.approx(1.94, abs=0.01)
    assert "if it waits rather than computes, with concurrency 2 expect about 1.9 times" in str(found)


def test_who_stands_at_a_breakpoint_is_no_bottleneck_and_nobody_before_it() -> None:
    """A value is held: however full everything before it is, the sentence says where, and that somebody decides."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.08, 0.0, 0.92), "b": (0.97, 0.03, 0.0), "c": (0.1, 0.9, 0.0)}, {"y": 100})
    armed = BreakpointState("value > 3", hits=2)
    edges = {**seen.edges, "y->b.y": replace(seen.edges["y->b.y"], breakpoint=armed)}
    assert bottleneck(graph, replace(seen, edges=edges)).node == "b"
    edges["y->b.y"] = replace(edges["y->b.y"], breakpoint=replace(armed, position=1234))
    found = bottleneck(graph, replace(seen, edges=edges))
    assert (found.node, found.fix, found.evidence["position"]) == (None, None, 1234)
    said = "`b` stands at a breakpoint on `y`: value 1,234 is held until it is let go, dropped or replaced"
    assert str(found) == said
    assert bottleneck(graph, replace(seen, edges=edges, paused=True)).sentence == "the run is paused"
    assert bottleneck(graph, replace(seen, edges=edges, status="completed")).node == "b"


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
    found = bottleneck(graph, seen)
    assert found.advice.gain == pytest.approx(1.25)
    assert str(found).endswith("with concurrency 2 expect about 1.2 times the throughput, for `c` is 80 % busy")


def test_node_that_is_as_busy_is_named_instead_of_advice() -> None:
    """More of the one alone would be eaten by the other."""
    graph = chain()
    found = bottleneck(graph, snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1.0, 0, 0), "c": (0.96, 0.04, 0)}, {"y": 100}))
    assert str(found).endswith("; `c` is 96 % busy, so helping `b` alone gains little")
    assert (found.advice.kind, found.advice.reason) == ("none", "next")


def test_who_is_done_limits_nobody() -> None:
    """A source that gave all that it had in a moment was busy all of that moment."""
    graph = chain()
    seen = snapshot(graph, {"in:x": (1, 0, 0), "a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100})
    assert bottleneck(graph, told(seen, "in:x", status="done")).advice.kind == "concurrency"
    assert bottleneck(graph, seen).advice.reason == "next"


def test_computing_node_is_told_the_interpreters_lock_instead_of_concurrency() -> None:
    """Threads that compute take turns, so nothing is promised."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100})
    found = bottleneck(graph, told(seen, "b", cpu=0.9))
    assert found.advice == Advice("none", "b", reason="computes", text=found.advice.text)
    assert "; it computes 90 % of the time, and the interpreter lets one thread compute at a time (GIL)" in str(found)
    side_by_side = bottleneck(graph, told(seen, "b", cpu=1.8, concurrency=2))
    assert str(side_by_side).endswith(
        "; it computes on 1.8 processors at once: more helps only as far as there are idle ones"
    )


def test_node_that_waits_needs_no_condition() -> None:
    """Where it is known that a node hardly computes, the advice has no if."""
    graph = chain()
    seen = told(snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100}), "b", cpu=0.02)
    assert str(bottleneck(graph, seen)).endswith("; with concurrency 2 expect about 2.0 times the throughput")


def test_processor_time_of_all_nodes_together_limits_the_gain() -> None:
    """What the others compute in the same process is not free for the node either; nodes elsewhere are no matter."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.3, 0, 0.7), "b": (1, 0, 0), "c": (0.4, 0.6, 0)}, {"y": 100}, workers=1)
    seen = told(told(told(seen, "a", cpu=0.2), "b", cpu=0.3), "c", cpu=0.3)
    found = bottleneck(graph, seen)
    assert found.advice.gain == pytest.approx(1 / 0.8)
    assert str(found).endswith(
        "with concurrency 2 expect up to about 1.2 times the throughput, for it computes 30 % of the time"
    )
    assert bottleneck(graph, replace(seen, workers=3)).advice.gain == pytest.approx(2.0)


def test_who_holds_the_event_loop_is_named() -> None:
    """An async function that waits without awaiting holds up all others, whoever looks busy."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0), "c": (0.5, 0.5, 0)}, {"y": 100}, workers=1)
    seen = told(told(seen, "b", cpu=0.02, loop=0.03), "c", cpu=0.03, loop=0.8)
    said = "; `c` holds the event loop 80 % of the time while it waits: let it await"
    assert said in str(bottleneck(graph, seen))
    itself = told(told(seen, "b", loop=0.9), "c", loop=0.02)
    assert "; it holds the event loop 90 % of the time while it waits: let it await" in str(bottleneck(graph, itself))
    computing = told(itself, "b", cpu=0.8)
    assert "; it holds the event loop 90 % of the time, where one function goes on at a time" in str(
        bottleneck(graph, computing)
    )


def test_capacity_that_several_in_flight_would_not_fit_is_raised_with_it() -> None:
    """What is in flight counts as lag, so a capacity of 1 allows one at a time whatever the concurrency."""
    graph = by_port([node("a", "x", "y"), node("b", "y", "w")], capacity=1)
    found = bottleneck(graph, snapshot(graph, {"a": (0.1, 0, 0.9), "b": (0.95, 0.05, 0)}, {"y": 1}))
    assert (found.advice.kind, found.advice.after, found.advice.capacity) == ("concurrency", 2, 4)
    assert "with concurrency 2 and capacity 4 expect" in str(found)


def test_two_that_wait_for_each_other_are_short_of_room() -> None:
    """Neither is slow: the writer comes in bursts, and what it may put down meanwhile is too little."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.6, 0, 0.4), "b": (0.5, 0.5, 0)}, {"y": 20})
    found = bottleneck(graph, seen)
    assert found.node is None
    assert str(found) == (
        "there is too little room between `a` and `b`: `a` waits for room 40 % of the time and `b` for values 50 %; "
        "with capacity 400 instead of 100 expect up to about 1.7 times the throughput"
    )
    assert (found.advice.kind, found.advice.node, found.advice.before, found.advice.after) == (
        "capacity",
        "b",
        100,
        400,
    )


def test_nodes_that_together_compute_all_the_time_are_told_so() -> None:
    """Nothing is full and nobody is slow: what is used up is the one thread at a time that computes."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.9, 0.1, 0), "b": (0.9, 0.1, 0)}, {"y": 40}, workers=1)
    seen = told(told(seen, "a", cpu=0.45), "b", cpu=0.5)
    assert str(bottleneck(graph, seen)) == (
        "nothing is full: all nodes together compute 95 % of the time, "
        "which is all that the interpreter lets its threads do (GIL)"
    )


@pytest.mark.parametrize("attrs", [{"shape": "stream", "state": "locals"}, {"state": "context"}, {"shape": "batch"}])
def test_no_concurrency_is_advised_where_it_would_be_refused(attrs: dict[str, str]) -> None:
    """A processor that keeps state or reads its streams itself can have no concurrency, so none is advised."""
    graph = by_port([node("a", "x", "y"), node("b", "y", "w", **attrs)], capacity=100)
    found = bottleneck(graph, snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100}))
    assert found.node == "b"
    assert "with concurrency" not in str(found)
    assert "gain" not in found.evidence
    assert (found.advice.kind, found.advice.reason) == ("none", "alone")


def test_process_executor_needs_no_condition() -> None:
    """In processes of its own a node gains even where it computes, so the advice has no if."""
    graph = by_port([node("a", "x", "y"), node("b", "y", "w", executor="ProcessExecutor")], capacity=100)
    found = bottleneck(graph, snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100}))
    assert str(found).endswith("; with concurrency 2 expect about 2.0 times the throughput")


def test_rate_limit_is_said_instead_of_advice() -> None:
    """A node that its own rate= holds back would not be helped by concurrency."""
    graph = by_port([node("a", "x", "y"), node("b", "y", "w", rate=5)], capacity=100)
    seen = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100})
    found = bottleneck(graph, told(seen, "b", rate=4.9))
    assert str(found).endswith(
        "; it is held to 5 values a second by rate=, with 10 expect up to about 2.0 times the throughput"
    )
    assert (found.advice.kind, found.advice.before, found.advice.after) == ("rate", 5, 10)


def test_rate_limit_that_is_not_the_only_one_is_said_without_a_gain() -> None:
    """One value a second is told in the singular; nothing is promised where the next node is as busy."""
    graph = by_port([node("a", "x", "y"), node("b", "y", "w", rate=1), node("c", "w", "z")], capacity=100)
    seen = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0), "c": (0.97, 0.03, 0)}, {"y": 100})
    found = bottleneck(graph, told(seen, "b", rate=1.0))
    assert str(found).endswith("; it is held to 1 value a second by rate=")
    assert (found.advice.kind, found.advice.reason) == ("none", "next")


def test_ended_run_is_told_in_the_past_without_what_waits_now() -> None:
    """After the end the shares of the whole run still name who it was."""
    graph = chain()
    shares = {"a": (0.1, 0, 0.9), "b": (0.97, 0.03, 0), "c": (0.1, 0.9, 0)}
    found = bottleneck(graph, snapshot(graph, shares, status="completed"))
    assert str(found) == (
        "`b` was the bottleneck: 97 % busy, `a` waited 90 % of the time; "
        "if it waited rather than computed, with concurrency 2 it would have had about 1.9 times the throughput"
    )


def test_paused_node_is_told_as_paused() -> None:
    """What holds a run up because somebody paused it is no matter of speed."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100})
    assert str(bottleneck(graph, told(seen, "b", paused=True))) == "`b` is paused: 100 values wait for it"
    one = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 1})
    assert str(bottleneck(graph, told(one, "b", paused=True))) == "`b` is paused: 1 value waits for it"


def test_paused_run_is_told_as_paused() -> None:
    """However full everything is."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 100}, paused=True)
    assert (bottleneck(graph, seen).node, str(bottleneck(graph, seen))) == (None, "the run is paused")


def test_beginning_says_nothing() -> None:
    """Before anybody has reported there is nothing to say, and it is said."""
    graph = chain()
    found = bottleneck(graph, snapshot(graph, {}))
    assert (found.node, str(found)) == (None, "the run has just begun: nothing is known yet")
    assert found.advice == Advice()


@pytest.mark.parametrize("status, how", [("completed", "ended"), ("failed", "failed"), ("cancelled", "was cancelled")])
def test_run_that_was_over_at_once_says_so(status: str, how: str) -> None:
    """Nothing was measured, and that is what is said, in the words of how it ended."""
    graph = chain()
    assert str(bottleneck(graph, snapshot(graph, {}, status=status))) == f"the run {how} before anything was measured"


def test_shown_in_a_cell_it_is_its_sentence() -> None:
    """A notebook shows the sentence, names as code, and nothing with an address in it."""
    graph = chain()
    found = bottleneck(graph, snapshot(graph, {"a": (1, 0, 0)}))
    assert found._repr_mimebundle_() == {
        "text/plain": "nothing is full: no bottleneck; the busiest is `a` (100 %)",
        "text/html": "<p>nothing is full: no bottleneck; the busiest is <code>a</code> (100 %)</p>",
    }


def test_names_are_shown_harmless_in_a_cell() -> None:
    """A name is anybody's text: escaped, on one line."""
    graph = by_port([node("<script>alert(1)</script>&`\n", "x", "y")], capacity=100)
    shown = bottleneck(graph, snapshot(graph, {graph.processors()[0].name: (1, 0, 0)}))._repr_mimebundle_()["text/html"]
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "\n" not in shown


def test_full_by_bytes_is_told_in_bytes() -> None:
    """An edge that holds few values may be full all the same, and is not told as 3 of 100."""
    graph = chain()
    seen = snapshot(graph, {"a": (0.1, 0, 0.9), "b": (1, 0, 0)}, {"y": 3})
    edge = seen.edges["y->b.y"]
    seen = replace(seen, edges={**seen.edges, edge.name: replace(edge, fill=0.97)})
    assert "its input holds 97 % of the bytes it may" in str(bottleneck(graph, seen))
