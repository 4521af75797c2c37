"""Order: who comes before whom, and what is a ring."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagraph.exceptions import CyclicFlowError
from datagraph.graph.model import Edge, Graph, Node, Port
from datagraph.graph.order import (
    ancestors,
    back_edges,
    depth_first,
    descendants,
    find_cycle,
    find_cycles,
    levels,
    predecessors,
    successors,
    topological,
)


def graph_of(count: int, pairs: list[tuple[int, int]]) -> Graph:
    """A graph of nodes 0, 1, ... whose every pair is one edge through a stream of its own."""
    streams = {pair: f"s{i}" for i, pair in enumerate(dict.fromkeys(pairs))}
    nodes = tuple(
        Node(
            str(n),
            inputs=tuple(Port(s) for (_, b), s in streams.items() if b == n),
            outputs=tuple(Port(s) for (a, _), s in streams.items() if a == n),
        )
        for n in range(count)
    )
    return Graph(nodes, tuple(Edge(s, str(a), s, str(b), s) for (a, b), s in streams.items()))


@st.composite
def graphs(draw: st.DrawFn, *, rings: bool = True) -> Graph:
    """Any small graph; without rings where asked."""
    count = draw(st.integers(1, 9))
    end = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(end, end), max_size=18))
    return graph_of(count, pairs if rings else [(min(p), max(p)) for p in pairs if p[0] != p[1]])


@given(graphs(rings=False))
def test_every_order_puts_writers_before_their_readers(graph: Graph) -> None:
    """Both orders hold every node once, each after all that it reads from; levels rise along every edge."""
    level = {name: i for i, row in enumerate(levels(graph)) for name in row}
    for order in (topological(graph), depth_first(graph)):
        place = {name: i for i, name in enumerate(order)}
        assert sorted(order) == sorted(node.name for node in graph)
        assert all(place[edge.source] < place[edge.target] for edge in graph.edges)
    assert all(level[edge.source] < level[edge.target] for edge in graph.edges)
    assert find_cycle(graph) == ()
    assert not back_edges(graph)


@given(graphs())
def test_a_ring_is_found_where_there_is_one_and_only_there(graph: Graph) -> None:
    """A graph has an order or a ring, never both, and the ring that is named is one."""
    after = successors(graph)
    cycles = find_cycles(graph)
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(b in after[a] for a, b in itertools.pairwise(cycle))
    if cycles:
        with pytest.raises(CyclicFlowError) as caught:
            topological(graph)
        assert caught.value.cycle == find_cycle(graph)
    else:
        assert len(topological(graph)) == len(graph)
    assert bool(cycles) == any(name in descendants(graph, name) for name in after)


@given(graphs())
def test_without_its_back_edges_no_graph_has_a_ring(graph: Graph) -> None:
    """Pictures of wrong graphs rely on that: every node has a level and a place."""
    closing = back_edges(graph)
    left = Graph(graph.nodes, tuple(e for e in graph.edges if (e.source, e.target) not in closing))
    assert find_cycle(left) == ()
    assert levels(graph) == levels(left)
    assert sorted(depth_first(graph)) == sorted(node.name for node in graph)


@given(graphs())
def test_ancestors_are_those_who_have_it_as_descendant(graph: Graph) -> None:
    """The two relations are each other's inverse, as are the neighbours they grow from."""
    names = [node.name for node in graph]
    assert all((a in ancestors(graph, b)) == (b in descendants(graph, a)) for a in names for b in names)
    assert all((a in predecessors(graph)[b]) == (b in successors(graph)[a]) for a in names for b in names)


def test_levels_follow_the_longest_way() -> None:
    """A node that is reached directly and by a detour comes after the detour."""
    assert levels(graph_of(4, [(0, 3), (0, 1), (1, 2), (2, 3)])) == (("0",), ("1",), ("2",), ("3",))


def test_a_leaf_is_read_right_after_its_writer() -> None:
    """In the order for reading, what nobody reads does not wait until the end."""
    assert depth_first(graph_of(4, [(0, 1), (1, 2), (0, 3)])) == ("0", "3", "1", "2")


def test_a_ring_is_named_from_its_first_node_along_the_flow() -> None:
    """The message shows the path in the direction in which values would go."""
    graph = graph_of(4, [(0, 2), (2, 3), (3, 1), (1, 2)])
    assert find_cycle(graph) == ("1", "2", "3", "1")
    with pytest.raises(CyclicFlowError, match="'1' -> '2' -> '3' -> '1'"):
        topological(graph)


def test_a_chain_of_ten_thousand_is_no_problem() -> None:
    """Nothing recurses."""
    graph = graph_of(10_000, [])
    chain = Graph(graph.nodes, tuple(Edge("s", str(i), "s", str(i + 1), "s") for i in range(9_999)))
    assert depth_first(chain) == topological(chain) == tuple(map(str, range(10_000)))
    assert len(descendants(chain, "0")) == 9_999
    assert not back_edges(chain)


def test_an_unknown_node_is_a_key_error() -> None:
    """Like `Graph.node`."""
    with pytest.raises(KeyError):
        descendants(graph_of(1, []), "nobody")
