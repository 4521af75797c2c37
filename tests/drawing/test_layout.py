"""Layout: everything has a place of its own, edges meet their ends, ours and `dot` alike."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagraph.drawing.geometry import Box, Layout
from datagraph.drawing.layout import Engine, layout
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.wiring import by_port

ENGINES: list[Engine] = ["own", *(["dot"] if shutil.which("dot") else [])]  # type: ignore[list-item]


def worker(name: str, reads: str = "", writes: str = "") -> Node:
    """A processor; streams are given as words."""
    inputs, outputs = (tuple(Port(word) for word in words.split()) for words in (reads, writes))
    return Node(name, inputs=inputs, outputs=outputs)


DIAMOND = by_port([worker("a", "x", "y"), worker("b", "y", "z"), worker("c", "y", "w"), worker("d", "x z w", "end")])
RING = by_port([worker("a", "z", "x"), worker("b", "x", "y q"), worker("c", "y", "z"), worker("self", "q s", "s")])


def placed(graph: Graph, engine: Engine = "own", *, horizontal: bool | None = True) -> Layout:
    """A layout with nodes and labels of several sizes, some labels left out."""
    nodes = [(90.0 + 20 * (i % 4), 30.0 + 10 * (i % 3)) for i in range(len(graph))]
    labels = [(0.0, 0.0) if i % 5 == 4 else (60.0 + 9 * (i % 3), 20.0) for i in range(len(graph.edges))]
    return layout(graph, nodes, labels, horizontal=horizontal, engine=engine)


def boxes(plan: Layout) -> list[Box]:
    """Nodes and labels."""
    return [*plan.nodes, *(label for label in plan.labels if label is not None)]


def overlaps(plan: Layout) -> list[tuple[Box, Box]]:
    """The pairs of boxes that share ground."""
    every = boxes(plan)
    return [(a, b) for i, a in enumerate(every) for b in every[:i] if a.overlaps(b)]


def layered_graph(seed: int, count: int) -> Graph:
    """A graph as big flows are: each node reads one or two streams of somewhere before it."""
    value = seed

    def below(limit: int) -> int:
        nonlocal value
        value = (value * 1103515245 + 12345) % 2**31
        return value // 65536 % limit

    flow = []
    for i in range(count):
        reads = {f"s{max(0, i - 1 - below(8))}", *([f"s{max(0, i - 1 - below(20))}"] if below(4) == 0 else [])}
        flow.append(worker(f"p{i}", " ".join(sorted(reads)) if i else "given", f"s{i}"))
    return Graph(
        by_port(flow).nodes[: count + 1], tuple(e for e in by_port(flow).edges if not e.target.startswith("out:"))
    )


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("horizontal", [True, False])
@pytest.mark.parametrize("graph", [DIAMOND, RING, layered_graph(1, 30)], ids=["diamond", "ring", "thirty"])
def test_nothing_overlaps_and_everything_is_inside(engine: Engine, horizontal: bool, graph: Graph) -> None:
    """Nodes and labels keep clear of each other, at the sizes that were asked for."""
    plan = placed(graph, engine, horizontal=horizontal)
    assert plan.engine == engine
    assert overlaps(plan) == []
    assert [(round(b.width), round(b.height)) for b in plan.nodes][:2] == [(90, 30), (110, 40)]
    assert all(b.x > -1 and b.y > -1 for b in boxes(plan))
    assert all(b.x + b.width < plan.width + 1 and b.y + b.height < plan.height + 1 for b in boxes(plan))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("horizontal", [True, False])
@pytest.mark.parametrize("graph", [DIAMOND, RING], ids=["diamond", "ring"])
def test_every_edge_starts_at_its_writer_and_ends_at_its_reader(engine: Engine, horizontal: bool, graph: Graph) -> None:
    """Curves are whole (a start and three points each) and their ends lie on the border of their nodes."""
    plan = placed(graph, engine, horizontal=horizontal)
    place = {node.name: i for i, node in enumerate(graph.nodes)}
    for edge, path in zip(graph.edges, plan.edges, strict=True):
        assert len(path) % 3 == 1
        for name, (x, y) in ((edge.source, path[0]), (edge.target, path[-1])):
            box = plan.nodes[place[name]]
            assert box.x - 2 <= x <= box.x + box.width + 2
            assert box.y - 2 <= y <= box.y + box.height + 2


@pytest.mark.parametrize("engine", ENGINES)
def test_values_flow_to_the_right_or_down(engine: Engine) -> None:
    """As asked; by itself a flow that fits a page goes to the right and a long one down."""
    right, down = placed(DIAMOND, engine, horizontal=True), placed(DIAMOND, engine, horizontal=False)
    assert right.nodes[1].x < right.nodes[2].x
    assert right.width > right.height
    assert down.nodes[1].y < down.nodes[2].y
    assert down.height > down.width
    assert placed(by_port([worker("a", "x", "y")]), engine, horizontal=None).horizontal
    assert not placed(
        by_port([worker(f"p{i}", f"s{i}", f"s{i + 1}") for i in range(12)]), engine, horizontal=None
    ).horizontal


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=16), st.booleans())
def test_ours_takes_any_graph(pairs: list[tuple[int, int]], horizontal: bool) -> None:
    """Rings, loops, doubles and loose nodes: nothing overlaps, nothing is lost, and it is the same each time."""
    flow = [worker(f"n{n}", " ".join(sorted({f"s{a}" for a, b in pairs if b == n})), f"s{n}") for n in range(9)]
    graph = by_port(flow)
    plan = placed(graph, horizontal=horizontal)
    assert overlaps(plan) == []
    assert (len(plan.nodes), len(plan.edges), len(plan.labels)) == (len(graph), len(graph.edges), len(graph.edges))
    assert all(plan.edges)
    assert placed(graph, horizontal=horizontal) == plan


def test_a_chain_is_a_straight_line() -> None:
    """No node of a chain sits higher than another."""
    plan = placed(by_port([worker(f"p{i}", f"s{i}", f"s{i + 1}") for i in range(6)]))
    middles = [box.center[1] for box in boxes(plan)]
    assert max(middles) - min(middles) < 0.1


def test_two_hundred_nodes_take_ours_no_time_to_speak_of() -> None:
    """CPU time, best of three, with room for a slow machine: the number to reach is 50 ms."""
    graph = layered_graph(7, 200)
    times = []
    for _ in range(3):
        start = time.process_time()
        plan = placed(graph)
        times.append(time.process_time() - start)
    assert overlaps(plan) == []
    assert min(times) < 0.5


def test_an_edge_to_nowhere_is_left_out() -> None:
    """A wrong graph is drawn as far as it goes."""
    graph = Graph(DIAMOND.nodes[:3], DIAMOND.edges)
    for engine in ENGINES:
        plan = placed(graph, engine)
        known = {node.name for node in graph.nodes}
        drawn = [bool(path) for path in plan.edges]
        assert drawn == [edge.source in known and edge.target in known for edge in graph.edges]


def test_nothing_at_all_has_a_layout() -> None:
    """An empty flow is a picture, too."""
    assert placed(Graph()).nodes == ()


@pytest.fixture
def fake_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called dot, first in the path; the test writes what it does."""
    program = tmp_path / "dot"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.mark.parametrize("does", ["exit 1", "echo nonsense", "echo graph 1 x", "exec sleep 60"])
def test_a_dot_that_fails_or_hangs_is_replaced_by_ours(fake_dot: Path, does: str) -> None:
    """After its time, ours takes over; who asked for dot alone is told."""
    fake_dot.write_text(f"#!/bin/sh\n{does}\n")
    start = time.monotonic()
    plan = layout(DIAMOND, [(90, 30)] * len(DIAMOND), [(60, 20)] * len(DIAMOND.edges), timeout=0.3)
    assert plan.engine == "own"
    assert time.monotonic() - start < 10
    with pytest.raises(Exception, match=r".") as caught:
        layout(DIAMOND, [(90, 30)] * len(DIAMOND), [(60, 20)] * len(DIAMOND.edges), engine="dot", timeout=0.3)
    assert not isinstance(caught.value, AssertionError)


def test_where_dot_is_missing_ours_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing has to be installed for a picture."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert placed(DIAMOND, "auto").engine == "own"
    with pytest.raises(FileNotFoundError, match="dot is not installed"):
        placed(DIAMOND, "dot")
