"""From what a store says of a run to a snapshot of it, in any process: shares and rates over the last seconds."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from ..events.snapshot import BreakpointState, EdgeState, NodeState, Snapshot, Waiting
from ..graph.model import Edge, Graph, Node
from ..graph.text import clean
from ..streams.records import NodeRecord, Probe, ReaderRecord, StreamRecord
from .bottleneck import bottleneck
from .rates import fill, rate, seconds_to_drained, seconds_to_full, shares

WINDOW_SECONDS = 5.0
LEAST_SECONDS = 0.5  # workers report twice a second: in less there is nothing to compare
LOOKS = 50

Times = Mapping[str, tuple[float, ...]]
_NONE = (0.0,) * 5  # seconds busy, starved, blocked, of processor time, of the event loop
_ENDED = {"done", "failed"}
_LONGEST = 500  # characters of what a process says of a breakpoint


class _Look(NamedTuple):
    """What is remembered of a probe: counts by edge and node, and each worker's seconds by node."""

    at: float
    edges: Mapping[str, tuple[int, int]]
    nodes: Mapping[str, int]
    times: Mapping[str, Times]


class Observer:
    """Turns probes of one run into snapshots; each is averaged over the looks of the last seconds, never a spot value.

    The first look, and every look at a run that has ended, is averaged over the whole run.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._looks: deque[_Look] = deque(maxlen=LOOKS)
        self._window = 0.0

    def window(self) -> float:
        """Seconds between the first look that counts and the last one; 0 after a single one."""
        return self._window

    def see(self, probe: Probe) -> Snapshot:
        """The run as the probe shows it."""
        look = _look(self._graph, probe)
        before = self._before(look, probe)
        run = probe.run
        snapshot = Snapshot(
            run=run.id,
            name=run.name,
            at=probe.now,
            status=run.status,
            paused=run.paused,
            stopping=run.stopping,
            elapsed=max(0.0, (run.ended or probe.now) - run.created),
            nodes={node.name: _node(self._graph, node, probe, look, before) for node in self._graph},
            edges={edge.name: _edge(self._graph, edge, probe, look, before) for edge in self._graph.edges},
            workers=len(_workers(probe)),
            error=_message(run.error),
            edits=int(run.meta.get("undoable") or 0),
        )
        found = bottleneck(self._graph, snapshot)
        return replace(snapshot, sentence=found.sentence, bottleneck=found.node or "")

    def _before(self, look: _Look, probe: Probe) -> _Look:
        """The look to compare with; the run's own beginning where there is none, or the run has ended."""
        start = _Look(probe.run.created, {}, {}, {})
        looks = self._looks
        if looks and (looks[-1].at > look.at or any(look.edges[e][0] < n[0] for e, n in looks[-1].edges.items())):
            looks.clear()  # the store went back to an earlier state
        if probe.run.status != "running":
            looks.clear()
            self._window = look.at - start.at
            return start
        while len(looks) > 1 and looks[1].at <= look.at - WINDOW_SECONDS:
            looks.popleft()
        before = looks[0] if looks else start
        self._window = look.at - before.at if looks else 0.0
        if not looks or look.at - looks[-1].at >= WINDOW_SECONDS / LOOKS:
            looks.append(look)
        return before if self._window >= LEAST_SECONDS else start


def _workers(probe: Probe) -> set[str]:
    """The living that have worked on a node; who only reads along is none of them."""
    named = {worker for node in probe.nodes.values() for worker in (node.owner, *node.report)}
    return {worker.partition(".")[0] for worker in named & set(probe.workers)}


def _look(graph: Graph, probe: Probe) -> _Look:
    edges = {edge.name: _counts(edge, probe) for edge in graph.edges}
    return _Look(
        at=probe.run.ended or probe.now,
        edges=edges,
        nodes={node.name: _moved(graph, node, edges, probe) for node in graph},
        times={name: {w: _times(facts) for w, facts in record.report.items()} for name, record in probe.nodes.items()},
    )


def _counts(edge: Edge, probe: Probe) -> tuple[int, int]:
    """How far an edge's stream is written and read; what an output shows counts as read."""
    stream = probe.streams.get(edge.stream)
    if stream is None:
        return 0, 0
    reader = _reader(edge, stream)
    return stream.length, stream.length if reader is None else min(reader.cursor, stream.length)


def _reader(edge: Edge, stream: StreamRecord) -> ReaderRecord | None:
    """Who reads the edge; of a port that was rewired, and reads the stream again, the segment that it reads last."""
    plain = stream.readers.get((edge.target, edge.target_port))
    if plain is not None and plain.until is None:
        return plain
    start = f"{edge.target_port}#"
    later = [
        (int(p[len(start) :]), r) for (n, p), r in stream.readers.items() if n == edge.target and p.startswith(start)
    ]
    return max(later, key=lambda one: one[0])[1] if later else plain


def _moved(graph: Graph, node: Node, edges: Mapping[str, tuple[int, int]], probe: Probe) -> int:
    """Values that a node has read, of all that it was ever joined to; for a source, written."""
    if not node.inputs:
        return sum(_written(graph, node, probe).values())
    record = probe.nodes.get(node.name)
    if record is None or not record.segments:
        return sum(edges[edge.name][1] for edge in graph.into(node.name))
    read = record.counters.get("before", 0)
    for segment in record.segments:
        stream = probe.streams.get(segment.stream)
        reader = stream.readers.get((node.name, segment.port)) if stream is not None else None
        if reader is not None and not segment.stream.startswith("~"):
            read += reader.cursor - reader.began
    return read


def _written(graph: Graph, node: Node, probe: Probe) -> dict[str, int]:
    """The length of each stream that a node writes."""
    streams = {edge.stream: probe.streams.get(edge.stream) for edge in graph.out_of(node.name)}
    return {name: 0 if stream is None else stream.length for name, stream in streams.items()}


def _times(facts: Mapping[str, Any]) -> tuple[float, ...]:
    """Seconds as in `_NONE`, NaN where nobody knows."""
    get = facts.get
    cpu = get("cpu")
    return (
        get("busy") or 0.0,
        get("starved") or 0.0,
        get("blocked") or 0.0,
        math.nan if cpu is None else cpu,
        get("loop") or 0.0,
    )


def _spent(now: Times, before: Times) -> tuple[float, ...]:
    """Seconds that all workers together spent between two looks; in all, where they spent none in between."""
    spent = list(_NONE)
    for worker, times in now.items():
        for i, (late, early) in enumerate(zip(times, before.get(worker, _NONE), strict=True)):
            if not late < early:  # it began anew; NaN stays NaN
                spent[i] += late - early
    return _spent(now, {}) if before and spent[0] + spent[1] + spent[2] < 0.001 else tuple(spent)


def _node(graph: Graph, node: Node, probe: Probe, look: _Look, before: _Look) -> NodeState:
    record = probe.nodes.get(node.name)
    moved, seconds = look.nodes[node.name], look.at - before.at
    written = _written(graph, node, probe)
    counted: dict[str, Any] = {
        "name": node.name,
        "read": moved if node.inputs else 0,
        "written": sum(written.values()),
        "rate": rate(moved, before.nodes.get(node.name, 0), seconds),
        "concurrency": int(node.attrs.get("concurrency") or 1),
        "version": int(node.attrs.get("version") or 1),
    }
    if record is None:
        streams = [probe.streams[port.stream] for port in node.inputs if port.stream in probe.streams]
        ended = bool(streams) and all(stream.ended for stream in streams)
        return NodeState(status="done" if ended else "running" if moved else "waiting", **counted)
    live = {w: facts for w, facts in record.report.items() if w in probe.workers or probe.run.status != "running"}
    *times, cpu, loop = _spent(look.times[node.name], before.times.get(node.name, {}))
    busy, starved, blocked = shares(*times)
    all_ = sum(times)
    counters = record.counters
    return NodeState(
        **counted,
        paused=probe.run.status == "running" and (probe.run.paused or node.name in probe.run.paused_nodes),
        status=_status(node, record, probe),
        busy=busy,
        starved=starved,
        blocked=blocked,
        workers=sum(int(facts.get("workers", 1)) for facts in live.values()) or int(node.attrs.get("workers") or 1),
        errors=counters.get("errors", 0),
        retries=counters.get("retries", 0),
        skipped=counters.get("skipped", 0),
        dead_letters=counters.get("dead_letters", 0),
        resumable=_resumable(node, record, probe),
        waits_for="" if record.status in _ENDED else _waits_for(graph, node, live),
        error=_message(record.error),
        cpu=cpu / all_ if all_ and not math.isnan(cpu) else None,
        loop=loop / all_ if all_ else 0.0,
    )


def _status(node: Node, record: NodeRecord, probe: Probe) -> str:
    if record.status in _ENDED:
        return record.status
    if probe.run.status != "running":
        return "cancelled" if probe.run.status == "cancelled" else "stopped"
    owners = {record.owner} if record.owner else set(record.report)
    if owners and not owners & set(probe.workers):
        return "source lost" if node.kind == "input" else "worker lost"
    return record.status


def _waits_for(graph: Graph, node: Node, reports: Mapping[str, Mapping[str, Any]]) -> str:
    """The port or stream that it waits for, if all of its workers wait, or the edge of the breakpoint that holds it."""
    waits = [str(facts.get("waits", "")).partition(":") for facts in reports.values()]
    if not waits or not all(what for _, _, what in waits):
        return ""
    kind, _, what = waits[0]
    if kind != "breakpoint":
        return what
    return f"breakpoint:{next((edge.name for edge in graph.into(node.name) if edge.target_port == what), what)}"


def _breakpoint(edge: Edge, probe: Probe) -> BreakpointState | None:
    """The breakpoint that who runs the edge's reader has there; a value that is held is shown before all else."""
    record = probe.nodes.get(edge.target)
    if record is None or probe.run.status != "running" or record.status in _ENDED:
        return None
    found: BreakpointState | None = None
    owner = record.owner.partition(".")[0]
    for worker, facts in record.report.items():
        told = (facts.get("stops") or {}).get(edge.target_port)
        if told is None or worker not in probe.workers or owner not in ("", worker):
            continue
        state = BreakpointState(
            condition=clean(str(told.get("where", "")), _LONGEST),
            hits=int(told.get("hits", 0)),
            position=None if told.get("position") is None else int(told["position"]),
            stream=str(told.get("stream", "")),
            value=clean(str(told.get("value", "")), _LONGEST),
            error=clean(str(told.get("error", "")), _LONGEST),
        )
        if found is None or (found.position is None and state.position is not None):
            found = state
    return found


def _resumable(node: Node, record: NodeRecord, probe: Probe) -> bool:
    """Whether a new worker could take the node up: one with locals needs all of its input since its resume point."""
    if node.attrs.get("state") != "locals" or record.status in _ENDED:
        return True
    for segment in record.segments:
        stream = probe.streams.get(segment.stream)
        if stream is not None and record.cursors.get(segment.port, (0, 0))[0] < stream.first:
            return False
    return True


def _edge(graph: Graph, edge: Edge, probe: Probe, look: _Look, before: _Look) -> EdgeState:
    written, read = look.edges[edge.name]
    then, seconds = before.edges.get(edge.name, (0, 0)), look.at - before.at
    stream = probe.streams.get(edge.stream)
    reader = _reader(edge, stream) if stream is not None else None
    into, out = rate(written, then[0], seconds), rate(read, then[1], seconds)
    counted: dict[str, Any] = {
        "name": edge.name,
        "stream": edge.stream,
        "source": edge.source,
        "target": edge.target,
        "written": written,
        "read": read,
        "rate_in": into,
        "rate_out": out,
        "breakpoint": _breakpoint(edge, probe),
    }
    if stream is None:
        return EdgeState(capacity=edge.capacity, **counted)
    if reader is None:
        return EdgeState(ended=stream.ended, waiting="closed" if stream.ended else "", **counted)
    lag, size = written - read, max(0, stream.size - reader.size) if written > read else 0
    holds = reader.hold == "hold"
    full = fill(lag, reader.capacity, size, reader.capacity_bytes) if holds else 0.0
    goes_on = probe.run.status == "running" and not probe.run.paused
    return EdgeState(
        **counted,
        lag=lag,
        size=size,
        capacity=reader.capacity if holds or (reader.hold == "free" and edge.capacity is not None) else None,
        fill=full,
        seconds_to_full=seconds_to_full(full, lag, into, out) if goes_on and not stream.ended else None,
        seconds_to_drained=seconds_to_drained(lag, into, out) if goes_on else None,
        waiting=_waiting(edge, stream, reader, probe),
        ended=stream.ended,
    )


def _waiting(edge: Edge, stream: StreamRecord, reader: ReaderRecord, probe: Probe) -> Waiting:
    lag = stream.length - reader.cursor
    target = probe.nodes.get(edge.target)
    gone = target is not None and target.status in _ENDED
    if stream.ended and (lag <= 0 or gone):
        return "closed"
    writer = reader.hold == "hold" and _held(stream, reader) and _is_blocked(edge, stream, probe)
    starved = lag <= 0 and not gone and target is not None and _says(target, f"values:{edge.target_port}", probe)
    return "both" if writer and starved else "writer" if writer else "reader" if starved else ""


def _held(stream: StreamRecord, reader: ReaderRecord) -> bool:
    """Whether no holding reader of the stream leaves less room than this one."""
    if len(stream.readers) == 1:
        return True

    def room(one: ReaderRecord) -> tuple[int, int]:
        return one.cursor + one.capacity, one.size + one.capacity_bytes

    others = [room(other) for other in stream.readers.values() if other.hold == "hold"]
    return room(reader)[0] <= min(o[0] for o in others) or room(reader)[1] <= min(o[1] for o in others)


def _is_blocked(edge: Edge, stream: StreamRecord, probe: Probe) -> bool:
    writer = probe.nodes.get(edge.source)
    return bool(stream.blocked) or (writer is not None and _says(writer, f"room:{edge.stream}", probe))


def _says(record: NodeRecord, waits: str, probe: Probe) -> bool:
    """Whether a living worker of the node says that it waits for this."""
    return any(facts.get("waits") == waits for worker, facts in record.report.items() if worker in probe.workers)


def _message(error: bytes) -> str:
    """The sentence in an error as the runtime keeps it."""
    if not error:
        return ""
    try:
        return str(json.loads(error)["message"])
    except (ValueError, TypeError, KeyError):
        return error.decode(errors="replace") if isinstance(error, bytes) else str(error)
