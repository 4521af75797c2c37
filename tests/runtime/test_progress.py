"""Who waits for whom in a ring: artificial deadlocks, as a probe shows them."""

from __future__ import annotations

from datagraph.runtime.progress import closed_set, smallest_full_edge
from datagraph.streams.records import NodeRecord, NodeSpec, Probe, ReaderRecord, RunRecord, Segment, StreamRecord


def probe(
    nodes: dict[str, tuple[tuple[str, ...], tuple[str, ...], dict[str, str]]],
    streams: dict[str, tuple[int, dict[tuple[str, str], tuple[int, int]]]],
) -> Probe:
    """Nodes as (inputs, outputs, what each worker waits for), streams as (length, {reader: (cursor, capacity)})."""
    specs = tuple(NodeSpec(name, tuple((i, i) for i in ins), outs) for name, (ins, outs, _) in nodes.items())
    run = RunRecord(id="r", name="r", status="running", graph={}, nodes=specs, meta={})
    records = {
        name: NodeRecord(
            name,
            status="running",
            report={w: {"waits": what} for w, what in waits.items()},
            lengths=dict.fromkeys(outs, 0),
            segments=tuple(Segment(port, port) for port in ins),
        )
        for name, (ins, outs, waits) in nodes.items()
    }
    found = {
        name: StreamRecord(
            name,
            length,
            0,
            0,
            False,
            {r: ReaderRecord(at, 0, room, 2**26, "hold") for r, (at, room) in readers.items()},
        )
        for name, (length, readers) in streams.items()
    }
    return Probe(now=0.0, run=run, nodes=records, streams=found, workers={})


def ring(zip_waits: str = "values:a", workers: dict[str, str] | None = None) -> Probe:
    """A splitter that waits for room in `b`, and a zip that waits for values of `a`."""
    return probe(
        {"split": ((), ("a", "b"), workers or {"w": "room:b"}), "zip": (("a", "b"), (), {"w": zip_waits})},
        {"a": (0, {("zip", "a"): (0, 2)}), "b": (2, {("zip", "b"): (0, 2)})},
    )


def test_two_nodes_that_wait_for_each_other_are_a_closed_set() -> None:
    """One for room, one for values; the full edge between them is the one to grow."""
    found = closed_set(ring())
    assert found == {"split", "zip"}
    assert smallest_full_edge(ring(), found) == (("zip", "b"), 2, 4)


def test_room_for_some_values_is_none_for_a_writer_that_needs_room_for_more() -> None:
    """Who writes safe points whole waits at an edge that is not full; it grows to what is needed, or to twice."""
    needy = ring()
    needy.streams["b"].length = 1
    assert closed_set(needy) == frozenset()
    needy.nodes["split"].report["w"]["needs"] = (7, 100)
    assert smallest_full_edge(needy, closed_set(needy)) == (("zip", "b"), 2, 8)


def test_an_edge_that_is_full_of_bytes_is_full() -> None:
    """Few large values fill an edge as many small ones do."""
    heavy = ring()
    heavy.streams["b"].length, heavy.streams["b"].size = 1, 2**26
    heavy.nodes["split"].report["w"]["needs"] = (1, 2**26)
    assert smallest_full_edge(heavy, closed_set(heavy)) == (("zip", "b"), 2, 4)


def test_a_node_that_works_frees_whoever_waits_for_it() -> None:
    """A slow reader is no deadlock."""
    assert closed_set(ring(zip_waits="")) == frozenset()


def test_a_node_waits_only_where_all_its_workers_do() -> None:
    """One worker that works may still make room."""
    assert closed_set(ring(workers={"one": "room:b", "two": ""})) == frozenset()
    assert closed_set(ring(workers={"one": "room:b", "two": "room:b"})) == {"split", "zip"}


def test_waiting_for_values_alone_is_no_deadlock() -> None:
    """A quiet flow only waits for its source."""
    quiet = probe(
        {"split": ((), ("a",), {"w": ""}), "zip": (("a",), (), {"w": "values:a"})}, {"a": (0, {("zip", "a"): (0, 2)})}
    )
    assert closed_set(quiet) == frozenset()


def test_a_reader_of_whichever_comes_waits_for_all_of_its_writers() -> None:
    """It is stuck only where each of them is."""
    nodes = {
        "x": ((), ("a", "b"), {"w": "room:b"}),
        "y": ((), ("c",), {"w": ""}),
        "m": (("a", "b", "c"), (), {"w": "values:a,c"}),
    }
    streams = {"a": (0, {("m", "a"): (0, 2)}), "b": (2, {("m", "b"): (0, 2)}), "c": (0, {("m", "c"): (0, 2)})}
    assert closed_set(probe(nodes, streams)) == frozenset()
    nodes["m"] = (("a", "b", "c"), (), {"w": "values:a"})
    assert closed_set(probe(nodes, streams)) == {"x", "m"}


def test_a_port_waits_for_the_first_of_its_parts_that_has_more_to_come() -> None:
    """A dropped writer that waits for room in what its reader is still to read is in the ring, and its edge grows."""
    nodes = {
        "old": ((), ("a",), {"w": "room:a"}),
        "read": (("in", "in#1", "in#2"), (), {"w": "values:in"}),
        "new": ((), ("b",), {"w": ""}),
    }
    streams = {
        "c": (5, {("read", "in"): (5, 9)}),
        "a": (2, {("read", "in#1"): (2, 2)}),
        "b": (9, {("read", "in#2"): (0, 9)}),
    }
    found = probe(nodes, streams)
    parts = (Segment("in", "c", 5), Segment("in#1", "a"), Segment("in#2", "b"))
    found.nodes["read"].segments = parts
    found.nodes["old"].report["w"]["needs"] = (5, 1)
    found.run.nodes = tuple(spec for spec in found.run.nodes if spec.name != "old")
    assert closed_set(found) == {"old", "read"}
    assert smallest_full_edge(found, closed_set(found)) == (("read", "in#1"), 2, 5)
