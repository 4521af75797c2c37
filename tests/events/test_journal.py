"""The recorded snapshots of a run: packed and back, bounded without losing the run, saved and read."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagraph import CodecError
from datagraph.events.journal import EDGE_FIELDS, NODE_FIELDS, Journal, decode, fitted, pack, unpack
from datagraph.events.snapshot import BreakpointState, EdgeState, NodeState, Snapshot
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.wiring import by_port

GRAPH = by_port([Node("a", inputs=(Port("x"),), outputs=(Port("y"),))], capacity=100, name="one")


def seen(at: float, read: int = 0, **facts: Any) -> Snapshot:
    nodes = {node.name: NodeState(node.name, read=read) for node in GRAPH}
    edges = {edge.name: EdgeState(edge.name, edge.stream, edge.source, edge.target) for edge in GRAPH.edges}
    return Snapshot("r1", "r", at, **{"elapsed": at, "nodes": nodes, "edges": edges, **facts})


def kept(journal: Journal) -> list[float]:
    return [tick["at"] for tick in journal]


def test_a_recording_from_before_there_were_breakpoints_is_read() -> None:
    """Its edges have one field less; any other number is none of ours."""
    tick = pack(seen(1.0, 7), GRAPH)
    earlier = {**tick, "e": [values[:-1] for values in tick["e"]]}
    assert unpack(earlier, GRAPH) == unpack(tick, GRAPH)
    with pytest.raises(CodecError):
        unpack({**tick, "e": [values[:-2] for values in tick["e"]]}, GRAPH)


def test_every_field_of_a_state_is_recorded() -> None:
    """What nodes and edges have, a tick has, but for the names that the graph gives."""
    names = {"name", "stream", "source", "target"}
    assert {f.name for f in dataclasses.fields(NodeState)} - names == set(NODE_FIELDS)
    assert {f.name for f in dataclasses.fields(EdgeState)} - names == set(EDGE_FIELDS)


floats = st.floats(0, 1e9)
shares = st.floats(0, 1)
counts = st.integers(0, 2**53)
nodes = st.builds(
    NodeState,
    st.just("a"),
    st.sampled_from(["waiting", "running", "done"]),
    *(shares, shares, shares, counts, counts, floats, *[counts] * 7),
    waits_for=st.text(max_size=20),
    error=st.text(max_size=400),
    cpu=st.none() | shares,
    loop=shares,
)
edges = st.builds(
    EdgeState,
    st.just("x->a.x"),
    st.just("x"),
    st.just("in:x"),
    st.just("a"),
    *(counts, counts, counts, counts, st.none() | counts, shares, floats, floats, st.none() | floats),
    st.none() | floats,
    st.sampled_from(["", "writer", "reader", "both", "closed"]),
    st.booleans(),
    st.none()
    | st.builds(BreakpointState, st.text(max_size=20), counts, st.none() | counts, *[st.text(max_size=20)] * 3),
)


@given(nodes, edges, st.text(max_size=40), st.floats(0, 1e10))
def test_unpacking_gives_back_what_was_packed_to_three_digits(
    node: NodeState, edge: EdgeState, sentence: str, at: float
) -> None:
    """Counts, texts and flags are exact, shares to a thousandth, rates and times to three significant digits."""
    snapshot = Snapshot("r1", "r", at, nodes={"a": node}, edges={"x->a.x": edge}, sentence=sentence, workers=2)
    found = unpack(pack(snapshot, GRAPH), GRAPH, run="r1", name="r")
    assert (found.run, found.name, found.sentence, found.workers) == ("r1", "r", sentence, 2)
    for before, after in ((node, found.nodes["a"]), (edge, found.edges["x->a.x"])):
        for field in dataclasses.fields(before):
            one, other = getattr(before, field.name), getattr(after, field.name)
            if isinstance(one, float):
                assert math.isclose(one, other, rel_tol=0.0051, abs_tol=0.00051), field.name
            else:
                assert other == (one[:300] if field.name == "error" else one), field.name


def test_what_is_no_number_is_nothing() -> None:
    """JSON has no infinity: what would never come is null, for browsers too."""
    edge = EdgeState("x->a.x", "x", "in:x", "a", seconds_to_full=math.inf, rate_in=math.nan)
    values = pack(dataclasses.replace(seen(1.0), edges={"x->a.x": edge}), GRAPH)["e"][0]
    assert values[EDGE_FIELDS.index("seconds_to_full")] is None
    assert values[EDGE_FIELDS.index("rate_in")] is None


@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=400), st.integers(4, 40))
def test_a_bounded_journal_still_covers_the_whole_run(steps: list[float], most: int) -> None:
    """Never more than its bound; the first, the last and the newest are there; no gap is longer than an even share."""
    journal = Journal(GRAPH, most=most)
    times: list[float] = []
    for step in steps:
        times.append(round((times[-1] if times else 0.0) + step, 3))
        journal.record(seen(times[-1]))
        assert len(journal) <= most
        assert journal.size == sum(map(len, journal.texts()))
    found = kept(journal)
    assert found == sorted(set(found) & set(times))
    assert (found[0], found[-1]) == (times[0], times[-1])
    newest = min(len(times), most // 4)
    assert found[-newest:] == times[-newest:]
    longest = max((late - early for early, late in pairwise(found)), default=0.0)
    assert longest <= 12 * (times[-1] - times[0]) / most + 2 * max(steps) + 0.01


def test_a_journal_is_bounded_in_bytes() -> None:
    """However large a moment is, the journal is not."""
    journal = Journal(GRAPH, most_bytes=20_000)
    for at in range(500):
        journal.record(seen(float(at), sentence="x" * 1000))
        assert journal.size <= 20_000
    assert (kept(journal)[0], kept(journal)[-1]) == (0.0, 499.0)


def test_a_clock_that_goes_back_takes_the_last_place() -> None:
    """A server's clock that was set back makes no second past."""
    journal = Journal(GRAPH)
    for at, read in ((1.0, 1), (5.0, 2), (3.0, 3)):
        journal.record(seen(at, read))
    assert [tick["n"][0][NODE_FIELDS.index("read")] for tick in journal] == [1, 3]
    journal.record(seen(6.0))
    assert len(journal) == 3


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=100), st.integers(1100, 10_000))
def test_fitted_texts_are_spread_and_no_larger(sizes: list[int], most: int) -> None:
    """What is saved fits, and keeps the last one."""
    texts = [bytes(size) for size in sizes]
    found = fitted(texts, most)
    assert sum(map(len, found)) <= most
    assert found[-1] is texts[-1]
    if sum(sizes) + len(sizes) <= most:
        assert found == texts


def journal_of(count: int) -> Journal:
    journal = Journal(GRAPH, run="r1", name="a </script> name")
    for at in range(count):
        journal.record(seen(float(at), at, sentence=f"moment {at}"))
    return journal


@pytest.mark.parametrize("count", [0, 1, 50])
def test_saved_and_read_it_is_the_same(count: int) -> None:
    """Run, name, graph and every moment come back from JSON."""
    journal = journal_of(count)
    again = Journal.from_dict(msgspec.json.decode(journal.to_json()))
    assert (again.run, again.name, again.graph) == ("r1", "a </script> name", GRAPH)
    assert list(again) == list(journal)
    assert again.to_dict() == journal.to_dict() == msgspec.json.decode(journal.to_json())


def test_saved_for_a_notebook_it_is_small_enough() -> None:
    """With a bound on its bytes fewer moments are saved, from the first to the last."""
    journal = journal_of(400)
    text = journal.to_json(20_000)
    found = [tick["at"] for tick in msgspec.json.decode(text)["ticks"]]
    assert len(text) <= 20_000
    assert (found[0], found[-1]) == (0.0, 399.0)
    assert len(found) > 20


def spoiled(**change: Any) -> dict[str, Any]:
    return {**journal_of(2).to_dict(), **change}


def with_node(values: list[Any]) -> dict[str, Any]:
    data = journal_of(1).to_dict()
    data["ticks"][0]["n"][0] = values
    return data


@pytest.mark.parametrize(
    "data",
    [
        {},
        spoiled(version=2),
        spoiled(ticks="none"),
        spoiled(ticks=[{"at": 1.0}]),
        spoiled(ticks=[[]]),
        spoiled(graph=Graph().to_dict()),
        with_node(["running"]),
        with_node([{"status": "<script>"}] * len(NODE_FIELDS)),
    ],
    ids=["empty", "newer", "no-list", "no-tick", "no-object", "other-graph", "short", "wrong-types"],
)
def test_what_is_no_recording_is_refused(data: dict[str, Any]) -> None:
    """A file that something else wrote is a CodecError when it is read, not an accident when it is drawn."""
    with pytest.raises(CodecError):
        Journal.from_dict(data)


def test_a_journal_needs_some_room() -> None:
    """Fewer than four moments are no history."""
    with pytest.raises(ValueError, match="at least 4"):
        Journal(GRAPH, most=3)


def test_ticks_are_json_of_a_few_hundred_bytes() -> None:
    """A moment of a small flow costs what a line of text costs."""
    text = Journal(GRAPH).record(seen(1.0))
    assert len(text) < 600
    assert decode(text)["at"] == 1.0


def test_another_graph_keeps_what_was_recorded_by_name() -> None:
    """What both graphs have keeps its past, wherever it stands; what is new has none; what is gone is gone."""
    journal = Journal(GRAPH)
    for i in range(10):
        journal.record(seen(i, read=i))
    b = Node("b", inputs=(Port("y"),), outputs=(Port("z"),))
    grown = by_port([b, *GRAPH.processors()], capacity=100, name="one")
    journal.rewire(grown)
    read = NODE_FIELDS.index("read")
    names = [node.name for node in grown]
    assert [tick["n"][names.index("a")][read] for tick in journal] == list(range(10))
    assert {tick["n"][names.index("b")][read] for tick in journal} == {0}
    assert kept(journal) == list(range(10))
    assert journal.size == sum(map(len, journal.texts()))
    for tick in journal:
        unpack(tick, grown)
    journal.rewire(GRAPH)
    assert [tick["n"][1][read] for tick in journal] == list(range(10))
    assert Journal.from_dict(journal.to_dict()).texts() == journal.texts()
