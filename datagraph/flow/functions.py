"""Finding the function that a node once had, among those that this process knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..graph.change import Change, same_function
from ..graph.model import Graph, Node
from ..graph.text import clean, signature

if TYPE_CHECKING:
    from .processor import Processor

_KEPT = 1000


class Functions:
    """The processors that this process was given for the nodes of a run, each function once; the last 1,000."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Processor] = {}

    def add(self, processors: Iterable[Processor]) -> None:
        """These could be asked for again."""
        for processor in processors:
            if processor.bound:
                key = _what_it_is(processor)
                self._known.pop(key, None)
                self._known[key] = processor
        while len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]

    def before(
        self, change: Change, running: Mapping[str, Processor], others: Iterable[Processor]
    ) -> tuple[dict[str, Processor], list[str]]:
        """The functions of a graph that a run goes back to, and why those that are not there cannot be had.

        Nodes that stay keep what is `running`. One that is swapped back needs the code that it had; one that was
        dropped has it, too, or else what is called like it here.
        """
        found: dict[str, Processor] = {}
        problems = []
        known = [*others, *running.values(), *self._known.values()]
        again = {node.name for node in change.added}
        for node in change.after.processors():
            if node.name in running and node.name not in change.swapped:
                found[node.name] = running[node.name]
                continue
            chosen = like(node, known, by_name=node.name in again)
            if chosen is None:
                problems.append(_unknown(node))
            found[node.name] = chosen if chosen is not None else running.get(node.name, known[0])
        return found, problems


def like(node: Node, processors: Sequence[Processor], *, by_name: bool) -> Processor | None:
    """The last of those processors that fit a node and have its code, best also its name, or `by_name` only that."""
    ports, outputs = {port.name for port in node.inputs}, {port.name for port in node.outputs}
    fitting = [p for p in processors if p.bound and {*p.inputs} == ports and {*p.outputs} == outputs]
    same_code = [p for p in fitting if p.code_version == node.attrs.get("code_version")]
    same_name = [p for p in fitting if p.name == node.name]
    both = [p for p in same_code if p in same_name]
    alike = [p for p in both if same_function(p.node(), node)]
    for found in (alike, both, same_code, same_name if by_name else []):
        if found:
            return found[-1]
    return None


def as_found(change: Change, functions: Mapping[str, Processor]) -> Change:
    """The change, in which nodes that come back say the code that they come back with."""
    code = {node.name: functions[node.name].code_version for node in change.added if node.name in functions}
    nodes = [
        replace(node, attrs={**node.attrs, "code_version": code[node.name]}) if node.name in code else node
        for node in change.after
    ]
    return replace(change, after=Graph(tuple(nodes), change.after.edges, change.after.name))


def _what_it_is(processor: Processor) -> tuple[object, ...]:
    """Its name, its code and what cannot be tuned."""
    p = processor
    return p.name, p.code_version, p.inputs, p.outputs, p.state, p.ordered, p.wait, id(p.executor)


def _unknown(node: Node) -> str:
    name, version, code = clean(node.name), node.attrs.get("version") or 1, node.attrs.get("code_version") or "unknown"
    return (
        f"the function that `{name}` ({signature(node)}) had as version {version} (code {code}) is not known in this "
        f"process: define a processor {node.name!r} with that function here, or recover the run with it in the list"
    )
