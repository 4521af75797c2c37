"""Wiring: processors joined by the names of their streams."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.wiring import CAPACITY, CAPACITY_BYTES, by_port


def test_a_chain_gets_an_input_and_an_output() -> None:
    """What nobody writes is fed from outside, what nobody reads can be read there; types are handed on."""
    text = Node("text", inputs=(Port("path", "str"),), outputs=(Port("body", "bytes"),))
    words = Node("words", inputs=(Port("body"),), outputs=(Port("count", "int"),))
    graph = by_port([text, words], name="wc")
    assert graph.name == "wc"
    assert [(node.name, node.kind, node.label) for node in graph] == [
        ("in:path", "input", "path"),
        ("text", "processor", "text"),
        ("words", "processor", "words"),
        ("out:count", "output", "count"),
    ]
    assert [edge.name for edge in graph.edges] == ["path->text.path", "body->words.body", "count->out:count.count"]
    assert graph.node("in:path").outputs == (Port("path", "str"),)
    assert graph.node("out:count").inputs == (Port("count", "int"),)


def test_every_reader_has_an_edge_of_its_own() -> None:
    """A stream with two readers is two edges with two capacities."""
    graph = by_port(
        [
            Node("src", outputs=(Port("x"),)),
            Node("a", inputs=(Port("x"),), attrs={"capacity": 7}),
            Node("b", inputs=(Port("x"),)),
        ]
    )
    assert [(e.target, e.capacity, e.capacity_bytes) for e in graph.edges] == [
        ("a", 7, CAPACITY_BYTES),
        ("b", CAPACITY, CAPACITY_BYTES),
    ]


def test_who_waits_for_all_and_who_looks_from_outside_bound_nothing() -> None:
    """`wait=True` must take in the whole stream, whatever its capacity says; an output holds nobody back."""
    graph = by_port([Node("all", inputs=(Port("x"),), outputs=(Port("y"),), attrs={"wait": True, "capacity": 5})])
    assert [(e.capacity, e.capacity_bytes) for e in graph.edges] == [(None, None), (None, None)]


def test_a_port_may_carry_another_name_than_its_stream() -> None:
    """Streams are joined, ports are kept."""
    graph = by_port([Node("a", outputs=(Port("result", stream="x"),)), Node("b", inputs=(Port("value", stream="x"),))])
    (edge,) = graph.edges
    assert (edge.stream, edge.source_port, edge.target_port, edge.name) == ("x", "result", "value", "x->b.value")


def test_a_wrong_graph_is_wired_all_the_same() -> None:
    """Both writers of one stream are joined to its reader, so that the picture can show what is wrong."""
    flow = [Node("a", outputs=(Port("x"),)), Node("b", outputs=(Port("x"),)), Node("c", inputs=(Port("x"),))]
    assert [(e.source, e.target) for e in by_port(flow).edges] == [("a", "c"), ("b", "c")]


NAMES = st.lists(st.sampled_from("abcdef"), max_size=3, unique=True)


@given(st.lists(st.tuples(NAMES, NAMES), max_size=6))
def test_every_port_is_joined_and_the_graph_survives_json(specs: list[tuple[list[str], list[str]]]) -> None:
    """Whatever the processors, no port is left without an edge, and dict and back is the same graph."""
    flow = [
        Node(f"p{i}", inputs=tuple(map(Port, reads)), outputs=tuple(map(Port, writes)))
        for i, (reads, writes) in enumerate(specs)
    ]
    graph = by_port(flow)
    assert {(e.source, e.source_port) for e in graph.edges} == {(n.name, p.name) for n in graph for p in n.outputs}
    assert {(e.target, e.target_port) for e in graph.edges} == {(n.name, p.name) for n in graph for p in n.inputs}
    assert Graph.from_dict(graph.to_dict()) == graph
