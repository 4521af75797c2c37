"""What is different between two graphs of one run, and whether the run can go from the one to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..exceptions import CyclicFlowError
from .check import problems as wrong
from .check import suggest
from .model import Edge, Graph, Node, Port
from .order import descendants
from .text import clean, signature
from .tuning import TUNED

Fits = Callable[[Port, Port], bool]


class Rewired(NamedTuple):
    """An input that reads another stream than before."""

    node: str
    port: str
    old: str
    new: str


class Tuned(NamedTuple):
    """A setting with another value; None is a value, an own setting that was left at its default is `DEFAULT`."""

    node: str
    what: str
    old: Any
    new: Any


class Handover(NamedTuple):
    """An input that starts to read a stream where another one, which stops reading it, was."""

    node: str
    port: str
    old_node: str
    old_port: str


class _Default:
    def __repr__(self) -> str:
        return "default"


DEFAULT = _Default()


def same_type(written: Port, read: Port) -> bool:
    """Whether two ports say the same of what passes, or one says nothing."""
    return not written.type or not read.type or written.type == read.type


@dataclass(frozen=True, slots=True)
class Change:
    """From one graph of a run to another; as text the differences in words, and what forbids it.

    `problems` says everything that forbids it, () if it can be done; `after` is what would be. `added` and `dropped`
    are processors, `swapped` names of nodes with another function, those in `fresh` without the state of the one
    before. `handovers` says of inputs that begin to read a stream whose place in it they take.
    """

    before: Graph
    after: Graph
    problems: tuple[str, ...] = ()
    added: tuple[Node, ...] = ()
    dropped: tuple[Node, ...] = ()
    swapped: tuple[str, ...] = ()
    rewired: tuple[Rewired, ...] = ()
    tuned: tuple[Tuned, ...] = ()
    handovers: tuple[Handover, ...] = ()
    fresh: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be different."""
        return not (self.added or self.dropped or self.swapped or self.rewired or self.tuned)

    @property
    def stranded(self) -> tuple[tuple[str, str], ...]:
        """(node, stream) of what nobody would read to its end, since its writer and its reader go at once.

        Only where nodes that stay got something from that reader: what leads nowhere is not missed.
        """
        stay = {node.name for node in self.after.processors()}
        gone = {node.name for node in self.dropped}
        return tuple(
            (edge.target, edge.stream)
            for edge in self.before.edges
            if edge.source in gone and edge.target in gone and descendants(self.before, edge.target) & stay
        )

    def lines(self) -> tuple[str, ...]:
        """The differences in short sentences."""
        return (
            *(f"new: `{clean(node.name)}` ({signature(node)})" for node in self.added),
            *(f"dropped: `{clean(node.name)}` ({signature(node)})" for node in self.dropped),
            *(self._swapped(name) for name in self.swapped),
            *(self._rewired(each) for each in self.rewired),
            *(f"`{clean(each.node)}`: {clean(each.what)} {_value(each)}" for each in self.tuned),
            *(f"nobody reads `{clean(stream)}` any more" for stream in self._unread()),
        )

    def __str__(self) -> str:
        lines = list(self.lines()) or ["nothing changes"]
        if self.problems:
            lines += ["", "this cannot be done:", *(f"- {problem}" for problem in self.problems)]
        return "\n".join(lines)

    def _swapped(self, name: str) -> str:
        old, new = (graph.node(name).attrs.get("version") for graph in (self.before, self.after))
        version = f" (version {old} -> {new})" if old != new and old and new else ""
        return f"`{clean(name)}`: another function{version}{', without the state' if name in self.fresh else ''}"

    def _rewired(self, each: Rewired) -> str:
        one = len(self.after.node(each.node).inputs) == 1
        reader = each.node if one else f"{each.node}.{each.port}"
        return f"`{clean(reader)}` reads `{clean(each.new)}` instead of `{clean(each.old)}`"

    def _unread(self) -> Iterator[str]:
        written = {port.stream for node in self.after for port in node.outputs}
        read = inputs_of(self.after)
        for stream in dict.fromkeys(stream for stream in inputs_of(self.before).values()):
            if stream in written and stream not in read.values():
                yield stream


def compare(before: Graph, after: Graph, *, fits: Fits = same_type) -> Change:
    """What is different in `after`, and why the run might not be able to go there.

    `fits` says of a writer's port and a reader's that are newly joined whether values of the one suit the other.
    """
    old = {node.name: node for node in before.processors()}
    new = {node.name: node for node in after.processors()}
    both = [(old[name], new[name]) for name in new if name in old]
    return Change(
        before,
        after,
        problems=tuple(dict.fromkeys(_problems(before, after, both, fits))),
        added=tuple(node for name, node in new.items() if name not in old),
        dropped=tuple(node for name, node in old.items() if name not in new),
        swapped=tuple(now.name for was, now in both if _function(was) != _function(now)),
        rewired=tuple(each for was, now in both for each in _rewirings(was, now)),
        tuned=tuple(each for was, now in both for each in _tunings(before, after, was, now)),
        handovers=tuple(_handovers(before, after)),
    )


# -- differences ------------------------------------------------------------------------------------------------------


def _function(node: Node) -> object:
    """What makes a node the function that it is: its code where that is known, else also where it stands."""
    beside = {"given", *TUNED, *(("version", "source", "doc") if node.attrs.get("code_version") else ())}
    attrs = {key: value for key, value in node.attrs.items() if key not in beside}
    return attrs, {(p.name, p.type) for p in node.inputs}, {(p.name, p.type, p.stream) for p in node.outputs}


def same_function(one: Node, other: Node) -> bool:
    """Whether two nodes are the same function, as far as is known, of the same ports with the same options."""
    return _function(one) == _function(other)


def _rewirings(was: Node, now: Node) -> Iterator[Rewired]:
    old = {port.name: port.stream for port in was.inputs}
    for port in now.inputs:
        if old.get(port.name, port.stream) != port.stream:
            yield Rewired(now.name, port.name, old[port.name], port.stream)


def _tunings(before: Graph, after: Graph, was: Node, now: Node) -> Iterator[Tuned]:
    old = {edge.target_port: edge.capacity for edge in before.into(was.name)}
    new = {edge.target_port: edge.capacity for edge in after.into(now.name)}
    pairs = {(old[port], new[port]): None for port in new if port in old and old[port] != new[port]}
    for before_it, after_it in pairs:
        yield Tuned(now.name, "capacity", before_it, after_it)
    for key in TUNED:
        if key != "capacity" and was.attrs.get(key) != now.attrs.get(key):
            yield Tuned(now.name, key, was.attrs.get(key), now.attrs.get(key))
    given, gives = was.attrs.get("given", {}), now.attrs.get("given", {})
    for key in dict.fromkeys((*given, *gives)):
        if key not in TUNED and given.get(key, DEFAULT) != gives.get(key, DEFAULT):
            yield Tuned(now.name, key, given.get(key, DEFAULT), gives.get(key, DEFAULT))


def _handovers(before: Graph, after: Graph) -> Iterator[Handover]:
    """Who begins to read a stream takes the place of the one who stops, if it is clear who that is."""
    was, now = inputs_of(before), inputs_of(after)
    stopped: dict[str, list[tuple[str, str]]] = {}
    for end, stream in was.items():
        if now.get(end) != stream:
            stopped.setdefault(stream, []).append(end)
    for end, stream in now.items():
        if was.get(end) == stream or stream not in stopped:
            continue
        left = stopped[stream]
        near = left if len(left) == 1 else [old for old in left if _near(before, after, old[0], end[0])]
        if len(near) == 1:
            yield Handover(*end, *near[0])


def _near(before: Graph, after: Graph, old: str, new: str) -> bool:
    """Whether the old reader's values come from the new one now, or the new one's came from the old one before."""
    return any(edge.target == old for edge in after.out_of(new)) or any(e.target == new for e in before.out_of(old))


def inputs_of(graph: Graph) -> Mapping[tuple[str, str], str]:
    """The stream that each input of a processor reads."""
    return {(node.name, port.name): port.stream for node in graph.processors() for port in node.inputs}


def _value(each: Tuned) -> str:
    old, new = (f"{v:,}" if isinstance(v, int) and not isinstance(v, bool) else str(v) for v in (each.old, each.new))
    return f"{clean(old, 40)} -> {clean(new, 40)}"


# -- problems ---------------------------------------------------------------------------------------------------------


def _problems(before: Graph, after: Graph, both: list[tuple[Node, Node]], fits: Fits) -> Iterator[str]:
    for problem in wrong(after):
        if isinstance(problem, CyclicFlowError):
            yield f"a ring: {' -> '.join(f'`{clean(name)}`' for name in problem.cycle)} would wait for each other"
        else:
            yield str(problem)
    yield from _missing(before, after)
    for was, now in both:
        yield from differences(was, now)
    yield from _misfits(before, after, fits)


def _missing(before: Graph, after: Graph) -> Iterator[str]:
    """Streams that somebody would read and nobody would write."""
    given = {node.name for node in before if node.kind == "input"}
    written = {port.stream for node in after if node.name in given or node.kind != "input" for port in node.outputs}
    was = inputs_of(before)
    for end, stream in inputs_of(after).items():
        if stream in written:
            continue
        node, port = (clean(name) for name in end)
        if was.get(end) == stream:
            yield f"`{node}` would be left without its input {port!r}: give it another stream, or drop it as well"
        else:
            yield f"nobody writes or gives {clean(stream)!r}, which `{node}` would read{suggest(stream, written)}"


def differences(was: Node, now: Node) -> Iterator[str]:
    """How the ports of what a node would be differ from those that it has."""
    for way, old, new in (
        ("reads", [p.name for p in was.inputs], [p.name for p in now.inputs]),
        ("writes", [p.name for p in was.outputs], [p.name for p in now.outputs]),
    ):
        if sorted(old) != sorted(new):
            cure = "give it the same inputs" if way == "reads" else f"say outputs={old!r}"
            yield f"`{clean(was.name)}` {way} {_listed(old)}, its new function {_listed(new)}: {cure}"


def _misfits(before: Graph, after: Graph, fits: Fits) -> Iterator[str]:
    """Edges that were not there, or not between these types, and whose types do not fit."""
    known = set(_typed(before).values())
    for edge, types in _typed(after).items():
        written, read = types
        if types not in known and after.node(edge.target).kind == "processor" and not fits(written, read):
            yield (
                f"`{clean(edge.target)}` reads {clean(read.type)!r} as {clean(read.name)!r}, but "
                f"{clean(edge.stream)!r} holds {clean(written.type)!r}"
            )


def _typed(graph: Graph) -> Mapping[Edge, tuple[Port, Port]]:
    outputs = {(node.name, port.name): port for node in graph for port in node.outputs}
    inputs = {(node.name, port.name): port for node in graph for port in node.inputs}
    found = {}
    for edge in graph.edges:
        written, read = outputs.get((edge.source, edge.source_port)), inputs.get((edge.target, edge.target_port))
        if written is not None and read is not None:
            found[edge] = (written, read)
    return found


def _listed(names: list[str]) -> str:
    return ", ".join(repr(clean(name)) for name in names) or "nothing"
