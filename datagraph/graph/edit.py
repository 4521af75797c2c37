"""Edits of a running flow, as data: names and descriptions of nodes, which can be sent, recorded and undone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from types import MappingProxyType
from typing import Any, Protocol, Self

from ..exceptions import GraphError
from .check import suggest
from .model import Node


class Described(Protocol):
    """What can describe itself as a node, as a processor does."""

    def node(self) -> Node:
        """Its name, ports and facts."""
        ...


def node_of(by: Node | Described) -> Node:
    """The processor's node; GraphError for anything else."""
    given: object = by
    describe = None if isinstance(given, type) else getattr(given, "node", None)
    node = describe() if callable(describe) else given
    if not isinstance(node, Node) or node.kind != "processor":
        name = getattr(given, "__name__", "")
        cure = f"decorate {name} with @processor" if callable(given) and name else "pass what @processor made"
        raise GraphError(f"an edit takes a processor; got {given!r}: {cure}")
    return node


class Edit:
    """One edit of a run's wiring; a list of them is one change."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Move(Edit):
    """Another start or another end for an edge.

    Args:
        edge: its name, "words->count.words".
        source: the stream that its reader reads instead.
        target: the input, "node.port", that reads its stream instead, from where the reader before was; that one
            must get another stream in the same change, or go.

    Raises GraphError unless one of the two is given.
    """

    edge: str
    source: str = ""
    target: str = ""

    def __post_init__(self) -> None:
        _texts(self, "edge", "source", "target")
        if bool(self.source) == bool(self.target):
            raise GraphError(
                f"Move({self.edge!r}) moves one end of the edge: give source= (a stream) or target= ('node.port')"
            )


@dataclass(frozen=True, slots=True)
class Swap(Edit):
    """The same node with the function of `by`, which has the same inputs and outputs.

    It goes on with the state of the one before, unless `fresh`.
    """

    node: str
    by: Node | Described
    fresh: bool = False

    def __post_init__(self) -> None:
        _texts(self, "node")
        node_of(self.by)


@dataclass(frozen=True, slots=True)
class Insert(Edit):
    """The processor `by`, of one input and one output, between the edge's stream and its reader."""

    by: Node | Described
    edge: str

    def __post_init__(self) -> None:
        _texts(self, "edge")
        node_of(self.by)


@dataclass(frozen=True, slots=True)
class Drop(Edit):
    """Without this node: who read its one output reads its one input's stream instead."""

    node: str

    def __post_init__(self) -> None:
        _texts(self, "node")


@dataclass(frozen=True, slots=True, init=False)
class Connect(Edit):
    """A new branch: the processor `by`; `reads` says, by input, where it reads another stream than one of that name.

    >>> Connect(Node("count"), words="clean").reads["words"]
    'clean'
    """

    by: Node | Described
    reads: Mapping[str, str] = field(hash=False)

    def __init__(self, by: Node | Described, /, **reads: str) -> None:
        node_of(by)
        for port, stream in reads.items():
            if not isinstance(stream, str):
                raise GraphError(f"Connect(..., {port}=...) takes the name of a stream; got {stream!r}")
        object.__setattr__(self, "by", by)
        object.__setattr__(self, "reads", MappingProxyType(reads))


@dataclass(frozen=True, slots=True)
class Disconnect(Edit):
    """Without this node and everything that only it feeds."""

    node: str

    def __post_init__(self) -> None:
        _texts(self, "node")


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Tune(Edit):
    """Other settings for a node: capacity, concurrency, workers, rate, retries, timeout, on_error, or its own.

    >>> Tune("words", concurrency=2)
    Tune('words', concurrency=2)
    """

    node: str
    changes: Mapping[str, Any] = field(hash=False)

    def __init__(self, node: str, /, **changes: Any) -> None:
        object.__setattr__(self, "node", node)
        object.__setattr__(self, "changes", MappingProxyType(changes))
        _texts(self, "node")
        if not changes:
            raise GraphError(f"Tune({node!r}) changes nothing: name a setting, as in Tune({node!r}, concurrency=2)")

    @classmethod
    def of(cls, node: str, changes: Mapping[str, Any]) -> Self:
        """The same with the settings in a mapping."""
        return cls(node, **changes)

    def __repr__(self) -> str:
        return f"Tune({', '.join([repr(self.node), *_keywords(self.changes)])})"


KINDS: Mapping[str, type[Edit]] = {
    kind.__name__.lower(): kind for kind in (Move, Swap, Insert, Drop, Connect, Disconnect, Tune)
}


def edits_of(edits: Edit | Sequence[Edit]) -> tuple[Edit, ...]:
    """One edit or several as a tuple; GraphError for anything else."""
    found = (edits,) if isinstance(edits, Edit) else edits
    if not isinstance(found, list | tuple) or not all(isinstance(edit, Edit) for edit in found):
        kinds = ", ".join(kind.__name__ for kind in KINDS.values())
        raise GraphError(f"a change is an edit ({kinds}) or a list of them; got {edits!r}")
    return tuple(found)


# -- as JSON ----------------------------------------------------------------------------------------------------------


def to_dict(edit: Edit) -> dict[str, Any]:
    """JSON-able form; a processor is its name.

    >>> to_dict(Move("words->count.words", source="raw"))
    {'edit': 'move', 'edge': 'words->count.words', 'source': 'raw'}
    """
    data: dict[str, Any] = {"edit": type(edit).__name__.lower()}
    match edit:
        case Move(edge, source, target):
            data["edge"] = edge
            data |= {"source": source} if source else {"target": target}
        case Swap(node, by, fresh):
            data |= {"node": node, "by": node_of(by).name, "fresh": fresh}
        case Insert(by, edge):
            data |= {"by": node_of(by).name, "edge": edge}
        case Connect(by, reads):
            data |= {"by": node_of(by).name, "reads": dict(reads)}
        case Tune(node, changes):
            data |= {"node": node, "changes": {name: plain(name, value) for name, value in changes.items()}}
        case Drop(node) | Disconnect(node):
            data["node"] = node
    return data


def from_dict(data: Mapping[str, Any], known: Mapping[str, Node | Described]) -> Edit:
    """The inverse of `to_dict`, with the processors that are `known` by name; GraphError for what cannot be read."""
    if not isinstance(data, Mapping):
        raise GraphError(f"an edit is read from a mapping such as {{'edit': 'drop', 'node': 'count'}}; got {data!r}")
    kind, rest = data.get("edit"), {key: value for key, value in data.items() if key != "edit"}
    if not isinstance(kind, str) or kind not in KINDS:
        raise GraphError(f"an edit is one of {', '.join(KINDS)}; got {kind!r}{suggest(str(kind), KINDS)}")
    if "by" in rest:
        name = rest["by"]
        if not isinstance(name, str) or name not in known:
            listed = ", ".join(map(repr, sorted(known))) or "none"
            raise GraphError(
                f"no processor {name!r} is known in this process{suggest(str(name), known)}; known: {listed}"
            )
        rest["by"] = known[name]
    make: Callable[..., Edit] = KINDS[kind]
    first: tuple[Any, ...] = ()
    try:
        if kind in ("tune", "connect"):  # the names of their keywords are the user's
            first, rest = (rest.pop("node" if kind == "tune" else "by"),), _only(rest)
        return make(*first, **rest)
    except (TypeError, KeyError) as error:
        raise GraphError(f"{dict(data)!r} is no edit of the kind {kind!r}: {error}") from error


def _only(rest: Mapping[str, Any]) -> dict[str, Any]:
    if set(rest) - {"reads", "changes"}:
        raise TypeError(f"it has nothing called {', '.join(sorted(set(rest) - {'reads', 'changes'}))}")
    for key, values in rest.items():
        if not isinstance(values, Mapping):
            raise TypeError(f"{key} is a mapping of names")
    return {str(name): value for values in rest.values() for name, value in values.items()}


def plain(name: str, value: Any) -> Any:
    """A setting as JSON can have it: of a `Retry` the number of attempts, of an object its text."""
    if name == "retries":
        return getattr(value, "attempts", value)
    if isinstance(value, Mapping):
        return {str(key): plain("", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain("", item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


# -- as Python --------------------------------------------------------------------------------------------------------


def code(edits: Edit | Sequence[Edit]) -> str:
    """The Python that does it, with ``import datagraph as dg`` and processors in variables of their names.

    >>> code(Move("text->words.text", source="raw"))
    'dg.Move("text->words.text", source="raw")'
    """
    found = [_code(edit) for edit in edits_of(edits)]
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]"


def _code(edit: Edit) -> str:
    match edit:
        case Move(edge, source, target):
            words = [_quoted(edge), f"source={_quoted(source)}" if source else f"target={_quoted(target)}"]
        case Swap(node, by, fresh):
            words = [_quoted(node), _variable(by), *(["fresh=True"] if fresh else [])]
        case Insert(by, edge):
            words = [_variable(by), _quoted(edge)]
        case Connect(by, reads):
            words = [_variable(by), *_keywords(reads)]
        case Tune(node, changes):
            words = [_quoted(node), *_keywords(changes)]
        case Drop(node) | Disconnect(node):
            words = [_quoted(node)]
    return f"dg.{type(edit).__name__}({', '.join(words)})"


def _variable(by: Node | Described) -> str:
    name = re.sub(r"\W", "_", node_of(by).name)
    return name if name.isidentifier() and not iskeyword(name) else f"_{name}"


def _keywords(changes: Mapping[str, Any]) -> list[str]:
    """A mapping as the arguments of a call."""
    words = {name: name.isidentifier() and not iskeyword(name) for name in changes}
    found = [f"{name}={_quoted(changes[name])}" for name, plainly in words.items() if plainly]
    rest = ", ".join(f"{_quoted(name)}: {_quoted(changes[name])}" for name, plainly in words.items() if not plainly)
    return [*found, f"**{{{rest}}}"] if rest else found


def _quoted(value: Any) -> str:
    """As Python has it, in double quotes where that needs no escapes."""
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and text[0] == "'" and '"' not in text else text


def _texts(edit: Any, *names: str) -> None:
    for name in names:
        value = getattr(edit, name)
        if not isinstance(value, str):
            raise GraphError(f"{type(edit).__name__}: {name} is a name; got {value!r}")
