"""A run of a pipeline as a view sees it: its counters as a probe, its values and its errors."""

from __future__ import annotations

import inspect
import json
import time
from collections import deque
from itertools import islice
from typing import Any

from ..events.snapshot import Snapshot
from ..exceptions import UnknownIOError
from ..graph.check import suggest
from ..graph.model import Edge, Node
from ..observe.probe import Observer
from ..observe.watch import EdgeLook, NodeLook
from ..runtime.queues import MemoryEdge
from ..streams.records import NodeRecord, Probe, ReaderRecord, RunRecord, StreamRecord
from .engine import Engine
from .failing import position
from .shape import PORT, SOURCE
from .working import WorkingNode

_WORKER = "here"
_SHOWN = ("runs_in", "concurrency", "ordered", "capacity", "retries", "timeout", "on_error", "doc")
_NOTHING: tuple[Any, ...] = (None, "", 0, False)
_SEEN = 200


class Looking:
    """See `observe.handle.Works`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._observer = Observer(engine.graph)

    @property
    def over(self) -> bool:
        """Whether the run has ended."""
        return self._engine.status != "running"

    def see(self) -> Snapshot:
        """The run at this moment."""
        return self._observer.see(probe(self._engine))

    def control(self, action: str, node: str) -> str:
        """Pause, resume, stop or cancel, or one node; the status after that."""
        engine = self._engine
        engine.check(action, node)
        if node:
            self._node(node)
        if action in {"pause", "resume"}:
            getattr(engine, action)(node)
        else:
            getattr(engine, action)()
        return "paused" if engine.status == "running" and engine.paused else engine.status

    def edge_look(self, edge: str, most: int) -> EdgeLook:
        """What waits on an edge and, from the first look on, what has passed."""
        found = next((each for each in self._engine.graph.edges if each.name == edge), None)
        if found is None:
            known = [each.name for each in self._engine.graph.edges]
            raise UnknownIOError(f"the run has no edge {edge!r}{suggest(edge, known)}; it has: {', '.join(known)}")
        counts = self._engine.edges[found.stream]
        note = ""
        if counts.seen is None:
            waits = list(_waiting(counts)) if isinstance(counts, MemoryEdge) else _results(self._engine, found, most)
            counts.seen = deque(waits, maxlen=_SEEN)
            note = "what waits now; what passes from here on is kept, too"
        values = list(counts.seen)[-most:]
        return EdgeLook(edge, found.stream, values, max(0, counts.written - len(values)), counts.written, note)

    def node_look(self, node: str, most: int) -> NodeLook:
        """A node: its source, its settings, its last errors and dead letters."""
        found = self._node(node)
        state = self._engine.nodes.get(node)
        file, _, line = str(found.attrs.get("source") or "").rpartition(":")
        letters = list(state.letters)[-most:] if state is not None else []
        return NodeLook(
            node,
            source=_source(state),
            file=file,
            line=int(line) if line.isdigit() else 0,
            settings={k: v for k, v in found.attrs.items() if k in _SHOWN and v not in _NOTHING},
            errors=list(state.troubles)[-most:] if state is not None else [],
            letters=[
                {
                    "position": position(letter.context),
                    "value": letter.value,
                    "error": f"{type(letter.error).__name__}: {letter.error}",
                    "traceback": letter.traceback,
                    "attempts": letter.attempts,
                }
                for letter in letters
            ],
        )

    def _node(self, name: str) -> Node:
        try:
            return self._engine.graph.node(name)
        except KeyError:
            known = [node.name for node in self._engine.graph]
            raise UnknownIOError(
                f"the run has no node {name!r}{suggest(name, known)}; it has: {', '.join(known)}"
            ) from None


def _waiting(edge: MemoryEdge) -> list[Any]:
    return [value for found, _, value in tuple(edge.queue.items) if found is edge]


def _results(engine: Engine, edge: Edge, most: int) -> list[Any]:
    """The last results, where a single task puts them out; of several nobody knows whose each is."""
    alone = len([each for each in engine.graph.edges if each.target == edge.target]) == 1
    return list(islice(reversed(engine.results), most))[::-1] if alone else []


def _source(state: WorkingNode | None) -> str | None:
    if state is None:
        return None
    try:
        return inspect.getsource(inspect.unwrap(state.task.handler))
    except (OSError, TypeError):
        return None


def probe(engine: Engine) -> Probe:
    """The counters of a run, in the words of a store."""
    over = engine.status != "running"
    run = RunRecord(
        id=engine.id,
        name=engine.name,
        status=engine.status,
        graph={},
        nodes=(),
        meta={},
        paused=engine.paused and not over,
        stopping=engine.stopping and not over,
        paused_nodes=frozenset(name for name, node in engine.nodes.items() if node.paused),
        error=_message(str(engine.error)) if over and engine.error is not None else b"",
        created=engine.began,
        ended=engine.ended if over else 0.0,
    )
    return Probe(
        now=time.time(),
        run=run,
        nodes={name: _node_record(engine, node) for name, node in engine.nodes.items()} | _given(engine),
        streams={edge.stream: _stream(engine, edge) for edge in engine.graph.edges},
        workers={_WORKER: 1.0},
    )


def _message(text: str) -> bytes:
    return json.dumps({"message": text}).encode()


def _given(engine: Engine) -> dict[str, NodeRecord]:
    """The source as a node: it waits for room, or for whoever gives it its values, which counts as its work."""
    waits = next((name for name, edge in engine.edges.items() if isinstance(edge, MemoryEdge) and edge.blocks), "")
    begins = {edge.stream for edge in engine.graph.out_of(SOURCE)}
    report = {"waits": f"room:{waits}"} if waits in begins else {}
    done = engine.source_ended and engine.status in {"running", "completed"}
    return {SOURCE: NodeRecord(SOURCE, owner=_WORKER, status="done" if done else "running", report={_WORKER: report})}


def _node_record(engine: Engine, node: WorkingNode) -> NodeRecord:
    busy, starved, blocked = node.queue.lanes.totals()
    report = {"busy": busy, "starved": starved, "blocked": blocked, "workers": 1, "waits": _waits(node)}
    status: Any = "running" if node.started else "waiting"
    if node.failed:
        status = "failed"
    elif engine.status == "completed":
        status = "done"
    counters = {
        "errors": node.errors,
        "retries": node.retries,
        "skipped": node.skipped,
        "dead_letters": node.dead_letters,
    }
    error = _message(node.failed) if node.failed else b""
    return NodeRecord(node.name, owner=_WORKER, status=status, counters=counters, report={_WORKER: report}, error=error)


def _waits(node: WorkingNode) -> str:
    """What all of a node's workers wait for."""
    if node.queue.lanes.all("starved"):
        return f"values:{PORT}"
    blocked = list(node.queue.blocked)
    if blocked and node.queue.lanes.all("blocked"):
        return f"room:{blocked[0].name}"
    return ""


def _stream(engine: Engine, edge: Edge) -> StreamRecord:
    counts = engine.edges[edge.stream]
    over = engine.status != "running"
    ended = over or (edge.source == SOURCE and engine.source_ended)
    if not isinstance(counts, MemoryEdge):
        return StreamRecord(edge.stream, counts.written, ended=over)
    reader = ReaderRecord(counts.read, 0, counts.capacity, 2**62, "hold")
    return StreamRecord(
        edge.stream,
        counts.written,
        ended=ended,
        readers={(edge.target, edge.target_port): reader},
        blocked=(_WORKER,) if counts.blocks else (),
    )
