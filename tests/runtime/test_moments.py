"""A run of once-nodes at any moment: what is told of its nodes and edges, in words, and as a history."""

from __future__ import annotations

import anyio
import pytest

from datagraph.events.snapshot import Snapshot
from datagraph.graph.model import Edge, Graph, Node, Port
from datagraph.runtime import moments
from datagraph.runtime.moments import Moments
from datagraph.runtime.once import Once, Plan

NAMES = ("fetch", "quick", "join", "never")
GRAPH = Graph(
    tuple(Node(name, "processor", (Port("a"), Port("b")), (Port("value", stream=name),)) for name in NAMES),
    (
        Edge("fetch", "fetch", "value", "join", "a"),
        Edge("quick", "quick", "value", "join", "b"),
        Edge("join", "join", "value", "never", "a"),
    ),
    "told",
)
PLAN = Plan.of(NAMES, [(), (), (0, 1), (2,)])


def ran() -> Once:
    """A run that took ten seconds, by the book: fetch 0 to 6, quick 0 to 1, join 6 to 9, never 9 to 10."""
    once = Once(PLAN, [None] * 4, ["f", "q", "j", "n"], id="r", name="told")
    once.started_at, once.finished_at, once.wall = 100.0, 110.0, 1_700_000_000.0
    once.began, once.ended = [100.0, 100.0, 106.0, 109.0], [106.0, 101.0, 109.0, 110.0]
    once.status = "completed"
    return once


def statuses(snapshot: Snapshot) -> list[str]:
    return [state.status for state in snapshot.nodes.values()]


def test_every_moment_can_be_seen_afterwards() -> None:
    """Who waited for whom, who was at work, and what stood on the edges."""
    seen = Moments(ran(), GRAPH)
    early = seen.see(103.0)
    assert statuses(early) == ["running", "done", "waiting", "waiting"]
    assert (early.status, early.elapsed, early.at) == ("running", 3.0, 1_700_000_003.0)
    assert early.nodes["join"].waits_for == "fetch"
    assert [(edge.written, edge.read, edge.lag) for edge in early.edges.values()] == [(0, 0, 0), (1, 0, 1), (0, 0, 0)]
    late = seen.see()
    assert statuses(late) == ["done"] * 4
    assert (late.status, late.elapsed) == ("completed", 10.0)
    assert (late.nodes["fetch"].busy, late.nodes["join"].read) == (1.0, 2)
    assert all(edge.waiting == "closed" for edge in late.edges.values())


def test_the_sentence_says_how_far_it_is_and_the_longest_way() -> None:
    """While it runs, what is at work and for how long; at the end, which nodes decided when it ended."""
    seen = Moments(ran(), GRAPH)
    assert seen.sentence(103.0) == "1 of 4 nodes; at work: `fetch` for 3.0 s"
    way = "`fetch` 6.0 s, then `join` 3.0 s, then `never` 1.0 s"
    assert seen.sentence() == f"4 of 4 nodes in 10 s; the longest way: {way}"
    assert seen.culprit() == ("fetch", f"`fetch` took 6.0 s of 10 s, the most on the longest way: {way}")
    assert seen.see().bottleneck == "fetch"
    assert seen.share() == 1.0


@pytest.mark.parametrize(
    "seconds, text", [(2.5, "2.5 s"), (0.0123, "12.3 ms"), (0.9994, "999 ms"), (0.0000123, "12.3 µs"), (0.0, "0 µs")]
)
def test_short_times_are_told_as_well(seconds: float, text: str) -> None:
    """In milliseconds and microseconds."""
    assert moments._took(seconds) == text


def test_the_history_has_a_moment_for_each_change() -> None:
    """As a journal, whether somebody looked or not; of a large run the moments are fewer."""
    journal = Moments(ran(), GRAPH).journal()
    assert len(journal) >= 5
    many = 2000
    wide = Plan.of([f"n{i}" for i in range(many)], [()] * many)
    once = Once(wide, [None] * many, [None] * many, id="r", name="wide")
    once.started_at, once.finished_at, once.wall = 100.0, 100.0 + many, 0.0
    once.began, once.ended = [100.0 + i for i in range(many)], [101.0 + i for i in range(many)]
    found = Moments(once, Graph(tuple(Node(name) for name in wide.names))).journal()
    assert 10 <= len(found) <= 120


@pytest.mark.anyio
async def test_a_run_that_has_not_begun_can_be_looked_at() -> None:
    """Everything waits; and a run without nodes says so."""
    once = Once(PLAN, [None] * 4, [None] * 4)
    assert statuses(Moments(once, GRAPH).see()) == ["waiting"] * 4
    empty = Once(Plan.of([], []), [], [])
    assert await empty.run() == "completed"
    seen = Moments(empty, Graph(()))
    assert seen.culprit() == (None, "no node was at work")
    assert seen.share() == 1.0
    assert len(seen.journal()) >= 1
    await anyio.lowlevel.checkpoint()
