"""A run as a view sees it: what `observe.watch.Subject` asks for, answered by the run's store."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import msgspec

from ..exceptions import DatagraphError, StreamTrimmedError, UnknownIOError
from ..graph.model import Edge, Graph, Node
from ..observe.watch import EdgeLook, NodeLook, PartLook, ValueLook, Watcher
from ..runtime.port import opened
from ..streams.records import Probe
from ..streams.text import short
from .breakpoints import as_json, held_at
from .letters import read_letter
from .lineage import Lineage, Part
from .local import LocalRun
from .versions import Version, version_at, written_by

R = TypeVar("R")
_ACTIONS = ("pause", "resume", "stop", "cancel")
LONGEST_HELD = 4_000
"""Characters that a view is shown of a value that is held."""


class RunSubject:
    """See `observe.watch.Subject`."""

    def __init__(self, local: LocalRun) -> None:
        self._local = local
        self._versions: tuple[int, dict[str, tuple[Version, ...]]] = (0, {})  # by the wiring that they are of

    @property
    def id(self) -> str:
        """The run's id."""
        return self._local.record.id

    @property
    def name(self) -> str:
        """What the run is called."""
        return self._local.record.name

    @property
    def graph(self) -> Graph:
        """What is connected to what."""
        return self._local.graph

    @property
    def watcher(self) -> Watcher:
        """The run's one poller, at work from now on."""
        return self._local.watch()

    def spawn(self, function: Callable[..., Awaitable[R]], *args: Any) -> Future[R]:
        """Start a coroutine function in the runtime thread, from any thread; NotAttachedError after a detach."""
        return self._local.thread.spawn(function, *args)

    async def act(self, action: str, node: str) -> str:
        """Pause, resume, stop or cancel the run, or pause or resume one node; the run's status after that."""
        if action not in _ACTIONS:
            raise DatagraphError(f"a run has no action {action!r}; it has: {', '.join(_ACTIONS)}")
        if node and action not in {"pause", "resume"}:
            raise DatagraphError(f"{action!r} is for a whole run; one node can be paused and resumed")
        if node:
            self._node(node)
        await self._local.control(action, node)
        record = self._local.record
        return "paused" if record.status == "running" and record.paused else record.status

    @property
    def offers(self) -> list[str]:
        """The nodes whose processors were defined again in this process, and could be swapped for the new ones."""
        return list(self._local.offers.found)

    # -- control --------------------------------------------------------------------------------------------------

    async def plan(self, edits: list[dict[str, Any]]) -> Mapping[str, Any]:
        """What edits, as `graph.edit.from_dict` reads them, would change, and why they may not be applied."""
        found: Mapping[str, Any] = await self._local.steering.do("plan", edits=edits)
        return found

    async def change(self, edits: list[dict[str, Any]]) -> Mapping[str, Any]:
        """Apply edits."""
        found: Mapping[str, Any] = await self._local.steering.do("change", edits=edits)
        return found

    async def undo(self) -> Mapping[str, Any]:
        """Take the last change back."""
        found: Mapping[str, Any] = await self._local.steering.do("undo")
        return found

    async def step(self, node: str, count: int) -> str:
        """Let a paused node do so many values more."""
        self._node(node)
        return str(await self._local.steering.do("step", node=node, count=count))

    async def seek(self, node: str, port: str, position: int) -> object:
        """Have an input go on at another position of its stream."""
        return await self._local.steering.do("seek", node=node, port=port, position=position)

    async def breakpoint(self, edge: str, where: str | None) -> Mapping[str, Any]:
        """Hold the reader of an edge at values that a condition chooses; None takes the breakpoint away."""
        await self._local.steering.do("breakpoint", edge=edge, where=where)
        if where is None:
            return {"edge": edge, "where": None, "code": f"run.breakpoints[{edge!r}].remove()"}
        return {"edge": edge, "where": where, "code": f"run.breakpoint({edge!r}, {where!r})"}

    async def decide(self, edge: str, verdict: str, position: int, value: Any = None) -> Mapping[str, Any]:
        """Let the value that is held at a position go on, drop it, or replace it."""
        await self._local.steering.do("decide", edge=edge, verdict=verdict, position=position, value=value)
        given = repr(value) if verdict == "replace" else ""
        return {"edge": edge, "position": position, "code": f"run.breakpoints[{edge!r}].hit.{verdict}({given})"}

    async def held(self, edge: str) -> Mapping[str, Any]:
        """The value that is held at an edge: its "position", a "text" of it, and "json" where that can carry it."""
        self._edge(edge)
        found = await held_at(self._local, edge)
        if found is None:
            raise DatagraphError(f"no value is held at {edge!r} now")
        text = short(found.value, LONGEST_HELD) if found.exact else str(found.value)
        json_text = as_json(found.value, LONGEST_HELD) if found.exact else None
        return {"position": found.position, "text": text, "json": json_text}

    async def known(self) -> list[Mapping[str, Any]]:
        """The processors that could be put into the run."""
        found: list[Mapping[str, Any]] = await self._local.steering.do("known")
        return found

    async def resend(self, node: str) -> int:
        """Give a node its dead letters again; how many."""
        self._node(node)
        count = await self._local.session.reopen(node)
        await self._local.reopen()
        return count

    # -- lenses ---------------------------------------------------------------------------------------------------

    async def edge_lens(self, edge: str, most: int, position: int | None = None) -> EdgeLook:
        """The last values that were written to an edge's stream, or those around a position, at most so many; nothing
        is taken from anybody.
        """
        found = self._edge(edge)
        session = self._local.session
        if position is not None:
            return await self._around(found, most, position)
        reading = await session.tail(found.stream, most)
        codec = session.codec.bind(f"{session.run}:{found.stream}".encode())
        values: list[Any] = []
        note = ""
        for frame in reading.frames:
            try:
                values += opened(codec, found.stream, frame)
            except DatagraphError as error:  # one value that cannot be read hides no others
                values.clear()
                note = str(error)
        values = values[-most:]
        first = reading.length - len(values)
        numbers = await self._numbers(found.stream, first, reading.length)
        return EdgeLook(edge, found.stream, values, first, reading.length, note, numbers)

    async def _numbers(self, stream: str, first: int, end: int) -> list[int | None]:
        """The versions that wrote the values from `first` to `end`; [] where there was only one."""
        made = await self._made(stream)
        versions = [version_at(made, at) for at in range(first, end)] if len(made) > 1 else []
        return [None if version is None else version.number for version in versions]

    async def _made(self, stream: str) -> tuple[Version, ...]:
        """The versions that wrote a stream; the store is asked again when the run was changed."""
        wiring = self._local.wiring
        if self._versions[0] != wiring:
            self._versions = (wiring, {})
        known = self._versions[1]
        if wiring and stream not in known:
            known[stream] = await written_by(self._local, stream)
        return known.get(stream, ())

    async def _around(self, edge: Edge, most: int, position: int) -> EdgeLook:
        """The values around a position; a StreamTrimmedError where it is not kept any more."""
        session, start = self._local.session, max(0, position - most // 2)
        try:
            reading = await session.read(edge.stream, start, most)
        except StreamTrimmedError as error:
            start = min(error.found, position)
            reading = await session.read(edge.stream, start, most)
        codec = session.codec.bind(f"{session.run}:{edge.stream}".encode())
        values: list[Any] = []
        note = ""
        for frame in reading.frames:
            try:
                found = opened(codec, edge.stream, frame)
            except DatagraphError as error:
                found, note = ["(cannot be read)"] * frame.count, str(error)
            values += found[max(0, start - (frame.end - frame.count)) :]
        values = values[:most]
        numbers = await self._numbers(edge.stream, start, start + len(values))
        return EdgeLook(edge.name, edge.stream, values, start, reading.length, note, numbers)

    async def value_lens(self, edge: str, position: int) -> ValueLook:
        """Where a value of an edge's stream came from, and what became of it; ValueError, StreamTrimmedError."""
        found, lineage = self._edge(edge), Lineage(self._local)
        origin = await lineage.origin(found.stream, position)
        fate = await lineage.fate(found.stream, position)
        came = [await self._part(part, reader=found.source) for part in origin]
        became = [(one.node, one.status, [await self._part(part) for part in one.made]) for one in fate]
        return ValueLook(edge, found.stream, position, came, became)

    async def _part(self, part: Part, reader: str = "") -> PartLook:
        edges = [edge for edge in self.graph.edges if edge.stream == part.stream]
        edge = next((edge for edge in edges if edge.target == reader), edges[0] if edges else None)
        made = await self._made(part.stream) or await written_by(self._local, part.stream)
        version = version_at(made, part.start)
        name = edge.name if edge is not None else None
        number = version.number if version is not None else None
        return PartLook(part.stream, part.start, part.stop, part.exact, part.values, name, number)

    async def node_lens(self, node: str, most: int) -> NodeLook:
        """What there is to know of a node: source, settings, errors, dead letters, the end of its log."""
        found = self._node(node)
        session = self._local.session
        probe = await session.probe()
        letters = await session.letters(node, limit=10_000) if found.kind == "processor" else []
        logs = await session.logs(node, limit=most) if found.kind == "processor" else []
        file, _, line = str(found.attrs.get("source") or "").rpartition(":")
        sources: Mapping[str, Any] = self._local.record.meta.get("sources") or {}
        return NodeLook(
            node,
            source=sources.get(node) or None,
            file=file,
            line=int(line) if line.isdigit() else 0,
            settings={name: value for name, value in found.attrs.items() if name in _SHOWN and value not in _NOTHING},
            errors=_errors(node, probe),
            letters=[self._letter(node, id_, data) for id_, data in letters[-most:]],
            logs=[line for _, line in logs],
        )

    def _letter(self, node: str, id_: str, data: Any) -> Mapping[str, Any]:
        try:
            letter = read_letter(self._local, node, id_, data)
        except (DatagraphError, msgspec.MsgspecError) as error:
            return {"position": None, "value": None, "error": f"this letter cannot be read: {error}", "traceback": ""}
        return {name: getattr(letter, name) for name in ("position", "value", "error", "traceback", "attempts")}

    def _edge(self, name: str) -> Edge:
        for edge in self.graph.edges:
            if edge.name == name:
                return edge
        raise UnknownIOError(f"the run has no edge {name!r}; it has: {', '.join(e.name for e in self.graph.edges)}")

    def _node(self, name: str) -> Node:
        for node in self.graph:
            if node.name == name:
                return node
        raise UnknownIOError(f"the run has no node {name!r}; it has: {', '.join(n.name for n in self.graph)}")


_NOTHING: tuple[Any, ...] = (None, "", 0, False, [])
_SHOWN = (
    "runs_in",
    "shape",
    "state",
    "concurrency",
    "workers",
    "ordered",
    "executor",
    "capacity",
    "retries",
    "timeout",
    "rate",
    "on_error",
    "wait",
    "settings",
    "version",
    "doc",
)


def _errors(node: str, probe: Probe) -> list[Mapping[str, Any]]:
    """What ended the run, where it was this node, and the node's own last error, once."""
    found: list[Mapping[str, Any]] = []
    record = probe.nodes.get(node)
    for error, at in ((record.error if record is not None else b"", 0.0), (probe.run.error, probe.run.ended)):
        told = _told(error)
        if told and told.get("node", node) == node and not any(told["error"] == other["error"] for other in found):
            found.append({**told, "at": at})
    return found


def _told(error: bytes) -> dict[str, Any]:
    if not error:
        return {}
    try:
        record: dict[str, Any] = json.loads(error)
        return {
            "node": record.get("node", ""),
            "error": str(record.get("message", "")),
            "traceback": str(record.get("traceback", "")),
        }
    except (ValueError, TypeError, AttributeError):
        return {"error": error.decode(errors="replace"), "traceback": ""}
