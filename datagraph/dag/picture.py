"""A dag as a graph: its nodes by their names, an edge for each value that goes from one to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..exceptions import DuplicateProcessorError
from ..graph.check import check_name
from ..graph.model import INPUT_PREFIX, Edge, Graph, Node, Port
from ..graph.text import clean
from ..runtime.annotations import EMPTY, core
from ..runtime.types import type_text
from .arguments import numbers
from .node import TaskNode

AnyNode = TaskNode[Any, Any]


def named(nodes: Sequence[AnyNode]) -> tuple[str, ...]:
    """The name of each node in its graph: what it was called, or its function's name, numbered where that is taken.

    Raises DuplicateProcessorError where two nodes were called the same.
    """
    taken: dict[str, int] = {}
    for node in nodes:
        if node._called is not None and node._called in taken:
            raise DuplicateProcessorError(f"two nodes are called {node._called!r}: give one another name")
        if node._called is not None:
            taken[node._called] = 1
    names = []
    for node in nodes:
        name = node._called
        if name is None:
            base = name = _own_name(node)
            while name in taken:
                taken[base] = number = taken.get(base, 1) + 1
                name = f"{base}-{number}"
            taken.setdefault(name, 1)
        names.append(name)
    return tuple(names)


def graph(nodes: Sequence[AnyNode], names: Sequence[str], name: str) -> Graph:
    """The picture; constants among the arguments are not in it, the parameter and immediate nodes are its inputs."""
    drawn = []
    edges = []
    outputs = [Port("value", type_text(node._type)) for node in nodes]
    for node, own in zip(nodes, names, strict=True):
        inputs = []
        for port, source in _ports(node):
            kind = outputs[source].type
            inputs.append(Port(port, kind, stream=_stream(names[source])))
            edges.append(Edge(_stream(names[source]), names[source], "value", own, port))
        out = Port("value", outputs[node._number].type, stream=_stream(own))
        drawn.append(
            Node(
                own,
                "processor" if node._callee is not None else "input",
                tuple(inputs),
                (out,),
                _label(node, own),
                _facts(node),
            )
        )
    return Graph(tuple(drawn), tuple(edges), name)


def _own_name(node: AnyNode) -> str:
    if node._callee is None:
        return f"{INPUT_PREFIX}{node._kind}"
    try:
        return check_name("processor", node._callee.name)
    except ValueError:
        return "task"


def _stream(name: str) -> str:
    return name.removeprefix(INPUT_PREFIX)


def _label(node: AnyNode, name: str) -> str:
    return clean(repr(node._value), 40) if node._kind == "immediate" else _stream(name)


def _ports(node: AnyNode) -> list[tuple[str, int]]:
    """What each value that comes from another node is called here: by the parameter that takes it."""
    found: list[tuple[str, int]] = []
    callee = node._callee
    if callee is None:
        return found
    names = [parameter.name for parameter, _ in callee.pairs(node._args, node._keywords or {})]
    given = [*node._args, *(node._keywords or {}).values()]
    names += [f"argument {i}" for i in range(len(names) + 1, len(given) + 1)]
    for name, argument in zip(names, given, strict=True):
        found += [(name, number) for number in numbers(argument)]
    found += [("after", other._number) for other in node._after]
    return _unique(found)


def _unique(ports: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The ports with names of their own: ``parts``, ``parts-2``, ``parts-3``."""
    taken: set[str] = set()
    found = []
    for base, number in ports:
        name, i = base, 1
        while name in taken:
            i += 1
            name = f"{base}-{i}"
        taken.add(name)
        found.append((name, number))
    return found


def _facts(node: AnyNode) -> dict[str, Any]:
    callee = node._callee
    if callee is None:
        return {}
    options = node._options
    code = getattr(core(callee.function), "__code__", None)
    in_loop = callee.flavour == "coroutine" or options.where == "loop"
    facts = {
        "runs_in": "async" if in_loop else "thread",
        "retries": options.retry.attempts,
        "timeout": options.timeout,
        "limit": options.limit if isinstance(options.limit, int) else None,
        "type": type_text(callee.type) if callee.type is not EMPTY else "",
        "source": f"{code.co_filename}:{code.co_firstlineno}" if code is not None else "",
        "doc": (getattr(callee.function, "__doc__", None) or "").strip().partition("\n")[0],
    }
    return {key: value for key, value in facts.items() if value}
