"""From probes made by hand to snapshots."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagraph.graph.wiring import by_port
from datagraph.observe.probe import LOOKS, Observer
from datagraph.observe.rates import rate, seconds_to_drained, seconds_to_full, shares
from datagraph.streams.records import NodeRecord, Probe, ReaderRecord, RunRecord, Segment, StreamRecord
from tests.observe.kit import node

GRAPH = by_port([node("a", "x", "y", state="locals", shape="stream"), node("b", "y", "z")], capacity=100)
MIB = 2**20


def probe(
    now: float = 10.0,
    *,
    lengths: tuple[int, int, int] = (0, 0, 0),
    cursors: tuple[int, int] = (0, 0),
    times: dict[str, tuple[float, float, float]] | None = None,
    waits: dict[str, str] | None = None,
    statuses: dict[str, str] | None = None,
    sizes: tuple[int, int] = (0, 0),
    first: int = 0,
    **facts: Any,
) -> Probe:
    """A run that began at 0: in:x -x-> a -y-> b -z->, at one moment."""
    waits, times, statuses = waits or {}, times or {}, statuses or {}
    x, y, z = lengths
    run = {"status": "running", **facts.pop("run", {})}
    workers = facts.pop("workers", {"w1": 5.0})
    ended = facts.pop("ended", ())
    nodes = {}
    for name in ("in:x", "a", "b"):
        busy, starved, blocked = times.get(name, (0.0, 0.0, 0.0))
        report = {"busy": busy, "starved": starved, "blocked": blocked, "workers": 1, "waits": waits.get(name, "")}
        status, reads = statuses.get(name, "running"), {"a": (Segment("x", "x"),), "b": (Segment("y", "y"),)}
        facts[name] = {"segments": reads.get(name, ()), **facts.get(name, {})}
        nodes[name] = NodeRecord(name, owner="w1", status=status, report={"w1": report}, **facts[name])
    streams = {
        "x": StreamRecord(
            "x", x, sizes[0], first, "x" in ended, {("a", "x"): ReaderRecord(cursors[0], 0, 100, MIB, "hold")}
        ),
        "y": StreamRecord(
            "y", y, sizes[1], 0, "y" in ended, {("b", "y"): ReaderRecord(cursors[1], 0, 100, MIB, "hold")}
        ),
        "z": StreamRecord("z", z, 0, 0, "z" in ended),
        "~b": StreamRecord("~b", 0, 0, 0, False, {("b", "~b"): ReaderRecord(0, 0, 100, MIB, "open")}),
    }
    record = RunRecord("r1", "r", graph={}, nodes=(), meta={}, **run)
    return Probe(now, record, nodes, streams, workers)


def test_first_look_is_averaged_over_the_whole_run() -> None:
    """Who looks late sees at once what there was since the start."""
    seen = Observer(GRAPH).see(probe(10.0, lengths=(50, 40, 30), cursors=(40, 30), times={"a": (6, 3, 1)}))
    assert seen.elapsed == 10.0
    assert seen.nodes["a"].rate == 4.0
    assert (round(seen.nodes["a"].busy, 3), round(seen.nodes["a"].starved, 3)) == (0.6, 0.3)
    assert seen.edges["x->a.x"].rate_in == 5.0
    assert (seen.nodes["in:x"].rate, seen.nodes["in:x"].written) == (5.0, 50)


def test_later_looks_are_averaged_over_the_last_seconds() -> None:
    """What was long ago does not blur what is now."""
    observer = Observer(GRAPH)
    observer.see(probe(100.0, lengths=(1000, 0, 0), cursors=(1000, 0), times={"a": (100, 0, 0)}))
    seen = observer.see(probe(104.0, lengths=(1008, 0, 0), cursors=(1004, 0), times={"a": (101, 3, 0)}))
    assert observer.window() == 4.0
    assert (seen.nodes["a"].rate, seen.nodes["a"].busy, seen.nodes["a"].starved) == (1.0, 0.25, 0.75)
    assert seen.edges["x->a.x"].rate_in == 2.0


def test_window_moves_on_and_is_bounded() -> None:
    """However often somebody looks, little is remembered, and only of the last five seconds."""
    observer = Observer(GRAPH)
    for tenth in range(1000):
        observer.see(probe(10 + tenth / 20))
    assert observer.window() == pytest.approx(5.0, abs=0.2)
    assert len(observer._looks) <= LOOKS


def test_time_that_is_not_told_yet_is_not_taken_for_zero() -> None:
    """Between two reports of a worker the shares stay what they were over the whole run."""
    observer = Observer(GRAPH)
    observer.see(probe(10.0, times={"a": (8, 2, 0)}))
    seen = observer.see(probe(11.0, times={"a": (8, 2, 0)}))
    assert round(seen.nodes["a"].busy, 2) == 0.8


def test_edge_counts_lag_fill_and_seconds_to_full() -> None:
    """Lag is written minus read, and the time to full follows from both rates."""
    seen = Observer(GRAPH).see(probe(10.0, lengths=(90, 40, 0), cursors=(40, 40)))
    edge = seen.edges["x->a.x"]
    assert (edge.written, edge.read, edge.lag, edge.capacity, edge.fill) == (90, 40, 50, 100, 0.5)
    assert edge.seconds_to_full == pytest.approx(50 / 5)
    assert edge.seconds_to_drained is None


def test_edge_is_as_full_as_its_bytes() -> None:
    """Few large values fill an edge too."""
    seen = Observer(GRAPH).see(probe(lengths=(2, 0, 0), sizes=(MIB // 2, 0)))
    assert (seen.edges["x->a.x"].fill, seen.edges["x->a.x"].size) == (0.5, MIB // 2)


def test_waiting_says_writer_reader_or_closed() -> None:
    """Who waits on an edge is told from its counts and from what workers report, never from one alone."""
    seen = Observer(GRAPH).see(
        probe(lengths=(100, 7, 7), cursors=(0, 7), waits={"in:x": "room:x", "b": "values:y"}, ended=("z",))
    )
    assert [seen.edges[name].waiting for name in ("x->a.x", "y->b.y", "z->out:z.z")] == ["writer", "reader", "closed"]
    assert (seen.nodes["in:x"].waits_for, seen.nodes["b"].waits_for, seen.nodes["a"].waits_for) == ("x", "y", "")


def test_output_edge_is_read_as_it_is_written_and_holds_nobody() -> None:
    """What shows a result has no lag and no capacity; what brings dead letters back is no edge."""
    seen = Observer(GRAPH).see(probe(lengths=(9, 9, 9), cursors=(9, 9)))
    edge = seen.edges["z->out:z.z"]
    assert (edge.written, edge.read, edge.lag, edge.capacity, edge.waiting) == (9, 9, 0, None, "")
    assert len(seen.edges) == 3


def test_source_whose_process_is_gone_is_lost() -> None:
    """An input that nobody feeds any more is told, for nothing else would show it."""
    seen = Observer(GRAPH).see(probe(workers={"w2": 5.0}))
    assert (seen.nodes["in:x"].status, seen.nodes["a"].status) == ("source lost", "worker lost")
    assert "recover the run" in seen.sentence
    assert Observer(GRAPH).see(probe(statuses={"in:x": "done"}, workers={})).nodes["in:x"].status == "done"


def test_node_that_would_need_trimmed_values_is_not_resumable() -> None:
    """A processor with locals replays from its resume point; where that is trimmed it cannot."""
    assert Observer(GRAPH).see(probe(lengths=(900, 0, 0), first=500)).nodes["a"].resumable is False
    here = probe(lengths=(900, 0, 0), first=500, a={"cursors": {"x": (500, 0)}})
    assert Observer(GRAPH).see(here).nodes["a"].resumable is True
    assert Observer(GRAPH).see(probe()).nodes["b"].resumable is True


def test_counters_and_error_of_a_failed_node_are_shown() -> None:
    """The sentence of an error is told, not its record."""
    facts = {"counters": {"errors": 2, "retries": 3, "skipped": 1}, "error": b'{"message": "b failed on 7"}'}
    state = Observer(GRAPH).see(probe(statuses={"b": "failed"}, b=facts)).nodes["b"]
    assert (state.errors, state.retries, state.skipped, state.error) == (2, 3, 1, "b failed on 7")


def test_ended_run_is_averaged_over_its_whole_life() -> None:
    """A look long after the end shows what the run did, not that nothing moves any more."""
    observer = Observer(GRAPH)
    run = {"status": "completed", "ended": 20.0}
    done = {"lengths": (100, 100, 100), "cursors": (100, 100), "times": {"b": (18, 2, 0)}, "ended": ("x", "y", "z")}
    observer.see(probe(19.0))
    seen = observer.see(probe(500.0, run=run, workers={}, **done))
    assert (seen.elapsed, seen.nodes["b"].rate, round(seen.nodes["b"].busy, 2)) == (20.0, 5.0, 0.9)


def test_store_that_went_back_starts_the_window_anew() -> None:
    """Counts that are lower than before are no rate below zero."""
    observer = Observer(GRAPH)
    observer.see(probe(10.0, lengths=(100, 0, 0)))
    seen = observer.see(probe(12.0, lengths=(60, 0, 0)))
    assert seen.edges["x->a.x"].rate_in == 5.0
    assert observer.window() == 0.0


@given(st.tuples(*[st.floats(0, 1e9)] * 3))
def test_shares_sum_to_exactly_one(times: tuple[float, float, float]) -> None:
    """Where anything is known the three shares add up without rounding, and none is below zero."""
    found = shares(*times)
    assert sum(found) == (1.0 if sum(times) > 0 else 0.0)
    assert min(found) >= 0.0


def test_estimates_are_given_only_where_they_will_come() -> None:
    """Noise around a balance is no estimate; a full edge is full now."""
    assert seconds_to_full(0.5, 50, 10.0, 9.95) is None
    assert seconds_to_full(1.0, 100, 5.0, 5.0) == 0.0
    assert seconds_to_drained(50, 0.0, 10.0) == 5.0
    assert seconds_to_drained(0, 0.0, 10.0) is None
    assert rate(5, 9, 2.0) == 0.0
