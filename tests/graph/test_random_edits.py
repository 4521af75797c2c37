"""Any edits of any graph: what comes out can run, and what is different is exactly that, there and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from datagraph.graph.change import Change, compare
from datagraph.graph.check import problems
from datagraph.graph.diff import merged
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
    node_of,
    to_dict,
)
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.order import topological
from datagraph.graph.rewiring import becoming, changed
from datagraph.graph.wiring import by_port

quickly = settings(max_examples=50, deadline=None)  # other tests may have the machine meanwhile


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A flow of up to seven processors, each reading what is given or what one before it writes."""
    streams, nodes = ["g0", "g1"], []
    for i in range(draw(st.integers(1, 7))):
        reads = draw(st.lists(st.sampled_from(streams), max_size=3))
        inputs = tuple(Port(f"in{k}", stream=stream) for k, stream in enumerate(reads))
        writes = [f"s{i}{letter}" for letter in "ab"[: draw(st.integers(0, 2))]]
        attrs = {"capacity": draw(st.sampled_from([None, 5])), "settings": ["own"]}
        nodes.append(Node(f"p{i}", inputs=inputs, outputs=tuple(map(Port, writes)), attrs=attrs))
        streams += writes
    return by_port(nodes)


@st.composite
def single(draw: st.DrawFn, graph: Graph, number: int) -> Edit:
    """One edit that names what is in the graph; new processors are called after `number`."""
    node = st.sampled_from([node.name for node in graph.processors()])
    edge = st.sampled_from([edge.name for edge in graph.edges] or ["none->p0.in0"])
    stream = st.sampled_from([port.stream for node in graph for port in node.outputs] or ["none"])
    port = st.sampled_from([f"{n.name}.{p.name}" for n in graph.processors() for p in n.inputs] or ["p0.in0"])
    name = f"n{number}"
    known = draw(st.sampled_from(graph.processors()))
    match draw(st.sampled_from([Move, Move, Insert, Drop, Connect, Disconnect, Swap, Tune])).__name__:
        case "Move":
            return draw(st.one_of(st.builds(Move, edge, source=stream), st.builds(Move, edge, target=port)))
        case "Insert":
            return Insert(Node(name, inputs=(Port("x"),), outputs=(Port(f"{name}out"),)), draw(edge))
        case "Drop":
            return Drop(draw(node))
        case "Disconnect":
            return Disconnect(draw(node))
        case "Swap":
            by = Node(name, inputs=known.inputs, outputs=known.outputs, attrs={"code_version": name, "rate": 2.0})
            return Swap(known.name, by, fresh=draw(st.booleans()))
        case "Tune":
            return Tune.of(known.name, draw(st.sampled_from([{"own": 1}, {"rate": 9.0, "own": 2}, {"concurrency": 3}])))
    by = Node(name, inputs=(Port("x"), Port("y")), outputs=(Port(f"{name}out"),))
    return Connect(by, x=draw(stream), y=draw(stream))


@st.composite
def edited(draw: st.DrawFn) -> tuple[Graph, list[Edit]]:
    """A graph and some edits, of which each is made for what the ones before leave where they can be made."""
    graph = draw(graphs())
    now, edits = graph, []
    for number in range(draw(st.integers(1, 4))):
        edits.append(draw(single(now, number)))
        then = changed(graph, edits)
        now = then.after if then.after.processors() else now
    note(f"{code(edits)}\n{changed(graph, edits)}")
    return graph, edits


def reads(graph: Graph) -> dict[tuple[str, str], str]:
    return {(node.name, port.name): port.stream for node in graph.processors() for port in node.inputs}


def names(nodes: Iterable[Node]) -> list[str]:
    return sorted(node.name for node in nodes)


@quickly
@given(edited())
def test_a_change_without_problems_can_run(case: tuple[Graph, list[Edit]]) -> None:
    """No ring, one writer a stream, each input joined once, what was given still given, capacities where they were."""
    graph, edits = case
    change = changed(graph, edits)
    after = change.after
    assume(not change.problems)
    assert problems(after) == ()
    assert topological(after)
    ends = Counter((edge.target, edge.target_port) for edge in after.edges)
    assert ends == Counter((node.name, port.name) for node in after for port in node.inputs)
    assert len({edge.name for edge in after.edges}) == len(after.edges)
    assert all(edge.stream == reads(after).get((edge.target, edge.target_port), edge.stream) for edge in after.edges)
    assert names(node for node in after if node.kind == "input") == names(n for n in graph if n.kind == "input")
    tuned = {each.node for each in change.tuned if each.what == "capacity"}
    before = {(edge.target, edge.target_port): edge.capacity for edge in graph.edges}
    for edge in after.edges:
        if edge.target not in tuned:
            assert edge.capacity == before.get((edge.target, edge.target_port), edge.capacity)
    assert Graph.from_dict(after.to_dict()) == after


@quickly
@given(edited())
def test_a_change_is_what_its_edits_are_one_after_the_other(case: tuple[Graph, list[Edit]]) -> None:
    """Where each of them can be made alone."""
    graph, edits = case
    now = graph
    for edit in edits:
        step = changed(now, edit)
        assume(not step.problems)
        now = step.after
    together = changed(graph, edits)
    assert together.problems == ()
    assert together.after == now


@quickly
@given(edited())
def test_the_difference_back_is_the_inverse(case: tuple[Graph, list[Edit]]) -> None:
    """Added and dropped change places, old and new as well; what is equal has no difference."""
    graph, edits = case
    after = changed(graph, edits).after
    there, back = compare(graph, after), compare(after, graph)
    assert names(there.added) == names(back.dropped)
    assert names(there.dropped) == names(back.added)
    assert set(there.swapped) == set(back.swapped)
    assert {(n, p, old, new) for n, p, new, old in back.rewired} == set(there.rewired)
    assert {(n, what, repr(old), repr(new)) for n, what, new, old in back.tuned} == {
        (n, what, repr(old), repr(new)) for n, what, old, new in there.tuned
    }
    assert compare(after, after).is_empty
    assert there.is_empty == (
        reads(graph) == reads(after)
        and names(graph.processors()) == names(after.processors())
        and not there.swapped
        and not there.tuned
    )


@quickly
@given(edited())
def test_the_differences_are_all_that_is_different(case: tuple[Graph, list[Edit]]) -> None:
    """The wiring before, with what was rewired, dropped and added, is the wiring after."""
    graph, edits = case
    change = changed(graph, edits)
    model = reads(graph)
    for node in change.dropped:
        model = {end: stream for end, stream in model.items() if end[0] != node.name}
    for each in change.rewired:
        assert model[each.node, each.port] == each.old
        model[each.node, each.port] = each.new
    for node in change.added:
        model |= {(node.name, port.name): port.stream for port in node.inputs}
    assert model == reads(change.after)
    both = merged(change)
    assert names(both) == names({node.name: node for node in (*graph, *change.after)}.values())
    assert {e.name for e in both.edges} == {e.name for e in (*graph.edges, *change.after.edges)}


@quickly
@given(edited())
def test_a_place_is_handed_over_by_one_who_leaves_it(case: tuple[Graph, list[Edit]]) -> None:
    """The old reader read this stream and does not any more; the new one did not and does now."""
    graph, edits = case
    change: Change = changed(graph, edits)
    was, now = reads(graph), reads(change.after)
    for node, port, old_node, old_port in change.handovers:
        stream = now[node, port]
        assert was.get((node, port)) != stream
        assert was[old_node, old_port] == stream
        assert now.get((old_node, old_port)) != stream


@quickly
@given(graphs(), st.data())
def test_no_place_is_left_by_what_is_inserted_taken_over_or_passed_on(graph: Graph, data: st.DataObject) -> None:
    """Whoever stops reading a stream that goes on has somebody who begins there: nothing is skipped."""
    assume(graph.edges)
    edits: list[Edit] = []
    now = graph
    for number in range(data.draw(st.integers(1, 4))):
        edge = data.draw(st.sampled_from(now.edges))
        through = [node.name for node in now.processors() if len(node.inputs) == len(node.outputs) == 1]
        read = {edge.stream for edge in now.edges if not edge.target.startswith("out:")}
        through = [name for name in through if now.node(name).outputs[0].stream in read]
        by = Node(f"n{number}", inputs=(Port("x"),), outputs=(Port(f"n{number}out"),))
        choices: list[Edit] = [Insert(by, edge.name), *map(Drop, through)]
        edits.append(data.draw(st.sampled_from(choices)))
        then = changed(graph, edits)
        assume(not then.problems)
        now = then.after
    change = changed(graph, edits)
    was, read_now = reads(graph), reads(now)
    written = {port.stream for node in now for port in node.outputs}
    left = {end for end, stream in was.items() if read_now.get(end) != stream and stream in written}
    assert {(each.old_node, each.old_port) for each in change.handovers} == left


@quickly
@given(edited())
def test_edits_survive_being_sent_and_lines_are_single_lines(case: tuple[Graph, list[Edit]]) -> None:
    """JSON and back makes the same change."""
    graph, edits = case
    known = {node_of(edit.by).name: edit.by for edit in edits if isinstance(edit, Insert | Connect | Swap)}
    sent = [from_dict(to_dict(edit), known) for edit in edits]
    assert sent == edits
    change = changed(graph, sent)
    assert change == changed(graph, edits)
    assert all("\n" not in line for line in (*change.lines(), *change.problems))


@quickly
@given(graphs(), graphs())
def test_a_run_that_becomes_another_flow_is_that_flow(one: Graph, other: Graph) -> None:
    """Its processors are that flow's, whatever may be against it; and becoming what it is changes nothing."""
    change = becoming(one, other.processors())
    assert change.after.processors() == other.processors()
    assert becoming(one, one.processors()).is_empty
