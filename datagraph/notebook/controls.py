"""Control by a view: what a browser asks for becomes a call of the subject, what comes back is bounded JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from ..exceptions import DatagraphError, GraphError, UnknownIOError
from ..graph.check import suggest
from ..graph.model import Graph
from ..graph.text import clean
from ..observe.watch import Message, Subject
from . import lens

MOST_EDITS = 50
MOST_STEPS = 1_000_000
MOST_LINES = 200
MOST_KNOWN = 500
_MOST_LINE = 400
MOST_VALUE = 100_000
_CALLS = ("plan", "change", "undo", "step", "resend", "known", "seek", "breakpoint", "decide", "held")
KINDS = frozenset((*_CALLS, "knobs"))
"""The messages that are answered here."""
ACTING = frozenset({"change", "undo", "step", "resend", "seek", "breakpoint", "decide"})
"""Those after which the run looks different."""
_KNOBS = ("capacity", "concurrency", "workers", "rate", "retries", "timeout", "on_error")
Edits = list[dict[str, Any]]
"""What `graph.edit.from_dict` reads, one after the other; together they are one change."""


class Controls(Protocol):
    """What a subject may have besides what it shows; a view offers those that are there."""

    async def plan(self, edits: Edits) -> Mapping[str, Any]:
        """What the edits would change, as "lines", why not, as "problems", and the "code" that does the same."""

    async def change(self, edits: Edits) -> Mapping[str, Any]:
        """Do it: its "lines", how many "ms" it took, its "code"."""

    async def undo(self) -> Mapping[str, Any]:
        """Take the last change back: "lines" and "ms"."""

    async def step(self, node: str, count: int) -> str:
        """Let a paused node do so many values more; its status then."""

    async def resend(self, node: str) -> int:
        """Put a node's dead letters before it again; how many."""

    async def known(self) -> Sequence[Mapping[str, Any]]:
        """The processors of this process that are not in the run: "name", "inputs", "outputs", "doc"."""

    async def seek(self, node: str, port: str, position: int) -> object:
        """Have a node read one of its inputs again, or on, from a position."""

    async def breakpoint(self, edge: str, where: str | None) -> Mapping[str, Any]:
        """Hold the reader of an edge at values that a condition chooses; None takes it away; the "code" of that."""

    async def decide(self, edge: str, verdict: str, position: int, value: Any = None) -> Mapping[str, Any]:
        """Let the value that is held there "go" on, "drop" it, or "replace" it; the "code" of that."""

    async def held(self, edge: str) -> Mapping[str, Any]:
        """What is held at an edge: "position", "text", and "json" where that carries the value."""


def offered(subject: Subject | None) -> list[str]:
    """The names of the calls that a subject takes."""
    return [name for name in _CALLS if callable(getattr(subject, name, None))]


def redefined(subject: Subject | None) -> list[str]:
    """The nodes for which the kernel has a newer function than the run."""
    return [str(name) for name in getattr(subject, "offers", ())][:MOST_KNOWN]


async def answer(subject: Subject, content: Message) -> Message:
    """Do what a message asks for; DatagraphError where it asks for what cannot be."""
    kind = str(content["kind"])
    if kind == "knobs":
        return knobs(subject.graph, _name(content, "node"))
    controls: Any = subject
    if kind not in offered(subject):
        raise DatagraphError(f"{clean(subject.name) or 'this'} can be looked at from here, not changed: no {kind!r}")
    match kind:
        case "plan":
            return _told(await controls.plan(_edits(content)))
        case "change":
            return _told(await controls.change(_edits(content)))
        case "undo":
            return _told(await controls.undo())
        case "step":
            node, count = _name(content, "node"), _whole(content, "count", 1, MOST_STEPS)
            return {"node": node, "count": count, "status": clean(str(await controls.step(node, count)))}
        case "resend":
            node = _name(content, "node")
            return {"node": node, "count": int(await controls.resend(node))}
        case "known":
            return {"known": [_processor(each) for each in list(await controls.known())[:MOST_KNOWN]]}
        case "breakpoint" | "decide" | "held":
            return await _at_breakpoint(controls, content)
        case _:
            node, port = _name(content, "node"), _name(content, "port")
            position = _whole(content, "position", 0, 2**53)
            await controls.seek(node, port, position)
            return {"node": node, "port": port, "position": position}


async def look(subject: Subject, content: Message) -> Message:
    """What a lens shows of an edge: its last values, those around a position "at", or of the one "value" its story."""
    edge, traced = _name(content, "edge"), getattr(subject, "value_lens", None)
    if traced is None:
        return lens.edge_data(await subject.edge_lens(edge, lens.MOST_ROWS))
    if "value" in content:
        try:
            return lens.value_data(await traced(edge, _whole(content, "value", 0, 2**53)))
        except ValueError as error:
            raise DatagraphError(str(error)) from error
    at = () if content.get("at") is None else (_whole(content, "at", 0, 2**53),)
    source: Any = subject
    return {**lens.edge_data(await source.edge_lens(edge, lens.MOST_ROWS, *at)), "traced": True}


def knobs(graph: Graph, node: str) -> Message:
    """What of a processor can be turned while it runs, with what it is; own settings with what they were tuned to."""
    found = next((each for each in graph.processors() if each.name == node), None)
    if found is None:
        names = [each.name for each in graph.processors()]
        raise UnknownIOError(f"the run has no processor {node!r}{suggest(node, names)}")
    values = {name: found.attrs.get(name) for name in _KNOBS}
    capacities = [edge.capacity for edge in graph.into(node)]
    values["capacity"] = next((each for each in capacities if each is not None), None)
    given = found.attrs.get("given") or {}
    settings = {name: given.get(name) for name in list(found.attrs.get("settings") or ())[:MOST_LINES]}
    return {"node": node, "knobs": _plain(values), "settings": _plain(settings)}


async def _at_breakpoint(controls: Any, content: Message) -> Message:
    edge = _name(content, "edge")
    match content["kind"]:
        case "breakpoint":
            where = content.get("where")
            if where is not None and not isinstance(where, str):
                raise DatagraphError(f"a condition is a text; got {lens.cell(where)}")
            return {"edge": edge, "code": lens.lines(str((await controls.breakpoint(edge, where))["code"]))}
        case "decide":
            position, verdict = _whole(content, "position", 0, 2**53), _name(content, "verdict")
            value = _json(content.get("value")) if verdict == "replace" else None
            told = await controls.decide(edge, verdict, position, value)
            return {"edge": edge, "position": position, "code": lens.lines(str(told["code"]))}
        case _:
            held = await controls.held(edge)
            return {"position": held["position"], "text": lens.lines(str(held["text"])), "json": held["json"]}


def _json(text: object) -> Any:
    if not isinstance(text, str) or len(text) > MOST_VALUE:
        raise DatagraphError(f"a value is given as JSON of at most {MOST_VALUE:,} characters; got {lens.cell(text)}")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatagraphError(f"this is no JSON: {error}; a text is written in quotes, a record as {{...}}") from None


def _edits(content: Message) -> Edits:
    edits = content.get("edits")
    if not isinstance(edits, list) or not edits or not all(isinstance(edit, dict) for edit in edits):
        raise GraphError(f"a change is a list of edits, each with its kind under 'edit'; got {lens.cell(edits)}")
    if len(edits) > MOST_EDITS:
        raise GraphError(f"a change by a view has at most {MOST_EDITS} edits; got {len(edits)}: make it in two")
    return edits


def _name(content: Message, key: str) -> str:
    name = content.get(key)
    if not isinstance(name, str) or not name:
        article = "an" if key[0] in "aeiou" else "a"
        raise DatagraphError(f"{content['kind']!r} needs the name of {article} {key}; got {lens.cell(name)}")
    return name


def _whole(content: Message, key: str, least: int, most: int) -> int:
    value = content.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise DatagraphError(f"a {key} is a whole number from {least:,} to {most:,}; got {lens.cell(value)}")
    return value


def _told(data: Mapping[str, Any]) -> Message:
    """What a change comes to, as texts that may be anybody's."""
    told: Message = {"lines": _texts(data.get("lines") or (), _MOST_LINE)}
    if "problems" in data:
        told["problems"] = _texts(data["problems"] or (), 2 * _MOST_LINE)
    if "ms" in data:
        told["ms"] = round(float(data["ms"]), 1)
    if data.get("code"):
        told["code"] = lens.lines(str(data["code"]))
    return told


def _processor(data: Mapping[str, Any]) -> Message:
    return {
        "name": str(data["name"]),
        "inputs": _texts(data.get("inputs") or ()),
        "outputs": _texts(data.get("outputs") or ()),
        "doc": clean(str(data.get("doc") or ""), _MOST_LINE),
    }


def _texts(values: Iterable[object], limit: int = lens.MOST_CELL) -> list[str]:
    return [clean(str(value), limit) for value in list(values)[:MOST_LINES]]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has them; of what it has not, the text."""
    return {k: v if v is None or isinstance(v, bool | int | float | str) else lens.cell(v) for k, v in values.items()}
