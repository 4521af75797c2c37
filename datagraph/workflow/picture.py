"""A workflow as a graph: its tasks, what was given to them, an edge for each datum that goes from one to another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

from ..graph.model import INPUT_PREFIX, Edge, Graph, Node, Port
from ..graph.text import clean
from .datum import AbstractDatum, MemoryDatum
from .datumlist import DatumList
from .filedatum import FileDatum
from .functiontask import FunctionTask
from .scripttask import ScriptTask
from .task import AbstractTask

_AFTER = "after"


def picture(tasks: Sequence[AbstractTask], name: str) -> Graph:
    """The graph of tasks that are given first to last; plain values that were given are not in it."""
    owner = {id(leaf): (task, out) for task in tasks for out, datum in task.outputs.items() for leaf in _with(datum)}
    given: dict[str, Node] = {}
    nodes: list[Node] = []
    edges: list[Edge] = []
    for task in tasks:
        ports: list[Port] = []
        for port, source, out, kind in _sources(task, owner, given):
            unique = _unique(port, ports)
            stream = source.removeprefix(INPUT_PREFIX) if out == "value" else _stream(source, out)
            ports.append(Port(unique, kind, stream))
            edges.append(Edge(stream, source, out, task.identifier, unique))
        outs = [Port(n, _kind(datum), _stream(task.identifier, n)) for n, datum in task.outputs.items()]
        if any(task in other.dependencies for other in tasks):
            outs.append(Port(_AFTER, "", _stream(task.identifier, _AFTER)))
        nodes.append(Node(task.identifier, inputs=tuple(ports), outputs=tuple(outs), attrs=_facts(task)))
    used = {(edge.source, edge.source_port) for edge in edges}
    trimmed = [
        Node(
            n.name,
            n.kind,
            n.inputs,
            tuple(p for p in n.outputs if p.name != _AFTER or (n.name, _AFTER) in used),
            n.label,
            n.attrs,
        )
        for n in nodes
    ]
    return Graph((*given.values(), *trimmed), tuple(edges), name)


def _sources(
    task: AbstractTask, owner: dict[int, tuple[AbstractTask, str]], given: dict[str, Node]
) -> Iterator[tuple[str, str, str, str]]:
    """Where each input comes from: its port, the node, that node's port, its type."""
    written: set[AbstractTask] = set()
    for name, datum in task.inputs.items():
        found: dict[tuple[str, str], str] = {}
        outside = []
        for leaf in _with(datum) if not isinstance(datum, DatumList) else datum.leaves():
            if id(leaf) in owner:
                writer, out = owner[id(leaf)]
                written.add(writer)
                found[writer.identifier, out] = _kind(leaf)
            elif not isinstance(leaf, MemoryDatum):
                outside.append(leaf)
        if isinstance(datum, DatumList) and id(datum) in owner:
            writer, out = owner[id(datum)]
            written.add(writer)
            found[writer.identifier, out] = _kind(datum)
        if outside:
            found[_given(datum, outside, given), "value"] = _kind(datum)
        yield from ((name, source, out, kind) for (source, out), kind in found.items())
    for other in sorted(task.dependencies - written, key=lambda each: each.identifier):
        yield _AFTER, other.identifier, _AFTER, ""


def _given(datum: AbstractDatum, leaves: list[AbstractDatum], given: dict[str, Node]) -> str:
    """The node of what was given, which is made at its first use."""
    paths = [leaf._path() or str(leaf.pointer) for leaf in leaves]
    label = os.path.basename(paths[0]) or paths[0]
    if len(paths) > 1:
        label = f"{label} and {len(paths) - 1} more"
    label = clean(label, 40)
    name, count, key = INPUT_PREFIX + label, 1, "\0".join(paths)
    while name in given and given[name].attrs["path"] != key:
        count += 1
        name = f"{INPUT_PREFIX}{label} {count}"
    if name not in given:
        port = Port("value", _kind(datum), name.removeprefix(INPUT_PREFIX))
        given[name] = Node(name, "input", outputs=(port,), label=label, attrs={"path": key})
    return name


def _with(datum: AbstractDatum) -> Iterator[AbstractDatum]:
    yield datum
    if isinstance(datum, DatumList):
        yield from datum.leaves()


def _unique(name: str, ports: Sequence[Port]) -> str:
    taken, count, found = {port.name for port in ports}, 1, name
    while found in taken:
        count += 1
        found = f"{name}-{count}"
    return found


def _stream(task: str, output: str) -> str:
    return f"{task}.{output}"


def _kind(datum: AbstractDatum) -> str:
    if isinstance(datum, DatumList):
        return f"list of {_plain(datum.datum_type)}"
    return _plain(type(datum))


def _plain(kind: type) -> str:
    return "file" if kind is FileDatum else "object" if kind is MemoryDatum else kind.__name__


def _facts(task: AbstractTask) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "runs_in": task.where,
        "retries": task.retry.attempts,
        "timeout": task.timeout,
        "resources": ", ".join(f"{amount:g} {name}" for name, amount in task.resources.items()),
    }
    if isinstance(task, FunctionTask):
        code = getattr(task.function, "__code__", None)
        facts["source"] = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""
        facts["doc"] = (getattr(task.function, "__doc__", None) or "").strip().partition("\n")[0]
    if isinstance(task, ScriptTask):
        facts["doc"] = clean(task.script.strip().partition("\n")[0], 80)
    return {key: value for key, value in facts.items() if value}
