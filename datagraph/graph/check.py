"""Everything that is wrong with a graph, at once."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Literal

from ..exceptions import (
    CyclicFlowError,
    DatagraphError,
    DuplicateIOError,
    DuplicateProcessorError,
    InvalidNameError,
    UnknownIOError,
    UnresolvedFlowError,
)
from .model import INPUT_PREFIX, OUTPUT_PREFIX, Graph, Node
from .order import find_cycles

NameKind = Literal["processor", "port", "stream", "run"]

LONGEST_NAME = 128
_IN_KEYS = ("stream", "run")
_KEY_CHARACTERS = "{}:/"


def check_name(kind: NameKind, name: object) -> str:
    """The name, if it can be one; markup and quotes can: they are escaped wherever they are shown.

    Raises `InvalidNameError` for what is not text, empty, blank, longer than 128 characters, holds control
    characters or half a surrogate pair, or starts with what is reserved ("~", "in:", "out:"); for a stream or a run
    also for braces, colons and slashes, which its keys and files use themselves.
    """
    if not isinstance(name, str):
        raise InvalidNameError(f"a {kind} name is text; got {_shown(name)} ({type(name).__name__})")
    if not name.strip():
        raise InvalidNameError(f"a {kind} name must not be empty or blank; got {name!r}: give it a word")
    if len(name) > LONGEST_NAME:
        raise InvalidNameError(
            f"a {kind} name has at most {LONGEST_NAME} characters; {_shown(name)} has {len(name)}: shorten it"
        )
    for char in name:
        if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
            what = "half of a surrogate pair" if unicodedata.category(char) == "Cs" else "a control character"
            raise InvalidNameError(f"the {kind} name {_shown(name)} holds {what}, {char!a}: leave it out")
        if kind in _IN_KEYS and char in _KEY_CHARACTERS:
            raise InvalidNameError(
                f"the {kind} name {_shown(name)} holds {char!r}; "
                "{ } : / have a meaning in the keys of a store: use - or _ instead"
            )
    for prefix in ("~", INPUT_PREFIX, OUTPUT_PREFIX):
        if name.startswith(prefix):
            raise InvalidNameError(f"the {kind} name {_shown(name)} starts with {prefix!r}, which is reserved")
    return name


def suggest(name: str, known: Iterable[str]) -> str:
    """A question to end an error with, " (did you mean 'words'?)", or "" where nothing known is close to `name`."""
    close = difflib.get_close_matches(name, sorted(set(known) - {name}), n=1, cutoff=0.7)
    return f" (did you mean {close[0]!r}?)" if close else ""


def problems(graph: Graph) -> tuple[DatagraphError, ...]:
    """The error of everything that is wrong: names, doubles, edges, rings, in that order; () if the graph can run."""
    if not graph.processors():
        return (UnresolvedFlowError("the flow is empty: give it at least one processor"),)
    return (*_bad_names(graph), *_doubles(graph), *_bad_edges(graph), *_rings(graph))


def check(graph: Graph) -> None:
    """Raise what `problems` finds: a single problem itself, several as one `UnresolvedFlowError`, one a line."""
    raise_all(problems(graph))


def raise_all(found: tuple[DatagraphError, ...]) -> None:
    """Raise these problems, if there are any: one by itself, several as one `UnresolvedFlowError`, one a line."""
    if len(found) == 1:
        raise found[0]
    if found:
        lines = "\n".join(f"  - {problem}" for problem in found)
        raise UnresolvedFlowError(f"the flow has {len(found)} problems:\n{lines}", found)


def _bad_names(graph: Graph) -> Iterator[DatagraphError]:
    seen: set[tuple[str, object]] = set()
    for node in graph.nodes:
        named: list[tuple[NameKind, object]] = [("processor", node.name)] if node.kind == "processor" else []
        for port in (*node.inputs, *node.outputs):
            named.append(("stream", port.stream))
            if port.name != port.stream:
                named.append(("port", port.name))
        for kind, name in named:
            if (kind, name) not in seen:
                seen.add((kind, name))
                try:
                    check_name(kind, name)
                except InvalidNameError as problem:
                    yield problem


def _doubles(graph: Graph) -> Iterator[DatagraphError]:
    names: dict[str, int] = {}
    for node in graph.nodes:
        names[node.name] = names.get(node.name, 0) + 1
    for name, count in names.items():
        if count > 1:
            yield DuplicateProcessorError(
                f"{count} processors are called {_shown(name)}; a name says which one is meant: rename all but one"
            )
    writers: dict[str, list[str]] = {}
    for node in graph.nodes:
        yield from _twice_in(node)
        for stream in dict.fromkeys(port.stream for port in node.outputs):
            writers.setdefault(stream, []).append(node.name)
    for stream, found in writers.items():
        different = list(dict.fromkeys(found))
        if len(different) > 1:
            yield DuplicateIOError(
                f"the stream {_shown(stream)} is written by {_listed(different)}; a stream has one writer: "
                "rename one output, or read both in a processor that joins them"
            )


def _twice_in(node: Node) -> Iterator[DatagraphError]:
    for way, ports in (("reads", node.inputs), ("writes", node.outputs)):
        names = [port.name for port in ports]
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                yield DuplicateIOError(f"{_shown(node.name)} {way} {_shown(name)} twice; name it once")


def _bad_edges(graph: Graph) -> Iterator[DatagraphError]:
    outputs = {(node.name, port.name) for node in graph.nodes for port in node.outputs}
    inputs = {(node.name, port.name) for node in graph.nodes for port in node.inputs}
    for edge in graph.edges:
        for end, port, ports, way in (
            (edge.source, edge.source_port, outputs, "output"),
            (edge.target, edge.target_port, inputs, "input"),
        ):
            if (end, port) in ports:
                continue
            known = [name for node, name in ports if node == end]
            if known or any(node.name == end for node in graph.nodes):
                yield UnknownIOError(f"{_shown(end)} has no {way} {_shown(port)}{suggest(port, known)}")
            else:
                close = suggest(end, (node.name for node in graph.nodes))
                yield UnknownIOError(f"the edge {_shown(edge.name)} joins {_shown(end)}, which the flow lacks{close}")


def _rings(graph: Graph) -> Iterator[DatagraphError]:
    for cycle in find_cycles(graph):
        if len(cycle) == 2:
            streams = [e.stream for e in graph.edges if e.source == e.target == cycle[0]]
            yield CyclicFlowError(
                f"{_shown(cycle[0])} reads {_listed(streams)}, which it writes itself: it would wait for its own "
                "output; rename one of the two",
                cycle,
            )
        else:
            path = " -> ".join(map(_shown, cycle))
            yield CyclicFlowError(f"these wait for each other in a ring: {path}; rename a stream to cut it", cycle)


def _listed(names: list[str]) -> str:
    shown = [_shown(name) for name in names]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _shown(name: object) -> str:
    """A name in a message: quoted, unprintable characters escaped, at most about 60 characters."""
    text = ascii(name) if isinstance(name, str) and not name.isprintable() else repr(name)
    return text if len(text) <= 60 else f"{text[:50]}...{text[-1]}"
