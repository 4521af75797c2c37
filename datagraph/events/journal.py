"""The recorded snapshots of a run, small enough to keep all day, to save with a notebook and to send to a browser."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from math import floor, isfinite, log10
from operator import attrgetter
from typing import Any, Self

import msgspec

from ..exceptions import CodecError
from ..graph.model import Edge, Graph
from .snapshot import BreakpointState, EdgeState, NodeState, Snapshot

Tick = dict[str, Any]
"""A packed snapshot: plain JSON, nodes and edges as lists of values in the order of their graph."""

NODE_FIELDS = (
    "status",
    "busy",
    "starved",
    "blocked",
    "read",
    "written",
    "rate",
    "workers",
    "concurrency",
    "errors",
    "retries",
    "skipped",
    "dead_letters",
    "version",
    "paused",
    "resumable",
    "waits_for",
    "error",
    "cpu",
    "loop",
)
EDGE_FIELDS = (
    "written",
    "read",
    "lag",
    "size",
    "capacity",
    "fill",
    "rate_in",
    "rate_out",
    "seconds_to_full",
    "seconds_to_drained",
    "waiting",
    "ended",
    "breakpoint",
)
VERSION = 1
MOST_TICKS = 600
MOST_BYTES = 8 * 2**20
_LONGEST_ERROR = 300
_SHARES = {"busy", "starved", "blocked", "fill", "cpu", "loop"}
_NODE_SHARES = frozenset(i for i, name in enumerate(NODE_FIELDS) if name in _SHARES)
_EDGE_SHARES = frozenset(i for i, name in enumerate(EDGE_FIELDS) if name in _SHARES)
_NODE_VALUES, _EDGE_VALUES = attrgetter(*NODE_FIELDS), attrgetter(*EDGE_FIELDS)
_NODE_ERROR = NODE_FIELDS.index("error")
_LEAST_EDGE_FIELDS = EDGE_FIELDS.index("breakpoint")
"""Recordings from before there were breakpoints have so many."""
_FACTS = ("at", "elapsed", "status", "paused", "stopping", "workers", "error", "sentence", "bottleneck", "edits")

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(dict[str, Any])


class _When(msgspec.Struct):
    """All that is read of a tick to decide whether it is kept."""

    at: float


_WHEN = msgspec.json.Decoder(_When)


def pack(snapshot: Snapshot, graph: Graph) -> Tick:
    """The snapshot as a tick: shares with 3 digits, rates with 3 significant ones, an error with 300 characters.

    What the snapshot does not have of the graph is as it is before anything has happened.
    """
    tick: Tick = {name: getattr(snapshot, name) for name in _FACTS}
    tick["at"], tick["elapsed"] = round(snapshot.at, 3), round(snapshot.elapsed, 3)
    tick["error"] = snapshot.error[:_LONGEST_ERROR]
    nodes, edges = snapshot.nodes, snapshot.edges
    tick["n"] = [_node_values(nodes.get(node.name) or NodeState(node.name)) for node in graph.nodes]
    tick["e"] = [_values(edges.get(edge.name) or _unknown(edge), _EDGE_VALUES, _EDGE_SHARES) for edge in graph.edges]
    return tick


def unpack(tick: Mapping[str, Any], graph: Graph, *, run: str = "", name: str = "") -> Snapshot:
    """The inverse of `pack`, as exact as the digits that it keeps; of the run of that id and name.

    Raises CodecError where the tick is none of this graph.
    """
    try:
        nodes = {
            node.name: msgspec.convert({"name": node.name, **_named(NODE_FIELDS, values)}, NodeState)
            for node, values in zip(graph.nodes, tick["n"], strict=True)
        }
        edges = {
            edge.name: msgspec.convert({**_ends(edge), **_named(EDGE_FIELDS, values)}, EdgeState)
            for edge, values in zip(graph.edges, tick["e"], strict=True)
        }
        known = {"edits": 0, **tick}  # which earlier recordings do not have
        facts = {"run": run, "name": name, **{fact: known[fact] for fact in _FACTS}}
        return replace(msgspec.convert(facts, Snapshot), nodes=nodes, edges=edges)
    except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        raise CodecError(f"this is no moment of the graph {graph.name!r}: {error}; something else wrote it") from None


def encode(tick: Tick) -> bytes:
    """The tick as JSON."""
    return _ENCODER.encode(tick)


def decode(data: bytes) -> Tick:
    """The inverse of `encode`."""
    return _DECODER.decode(data)


def _named(fields: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    earlier = fields is EDGE_FIELDS and _LEAST_EDGE_FIELDS <= len(values) < len(fields)
    return dict(zip(fields, values, strict=not earlier))


def _ends(edge: Edge) -> dict[str, str]:
    return {"name": edge.name, "stream": edge.stream, "source": edge.source, "target": edge.target}


def _unknown(edge: Edge) -> EdgeState:
    return EdgeState(edge.name, edge.stream, edge.source, edge.target, capacity=edge.capacity)


def _values(state: NodeState | EdgeState, get: Callable[[Any], tuple[Any, ...]], shares: frozenset[int]) -> list[Any]:
    values = list(get(state))
    for i, value in enumerate(values):
        if type(value) is float and value:
            values[i] = None if not isfinite(value) else round(value, 3) if i in shares else _significant(value)
        elif type(value) is BreakpointState:
            values[i] = asdict(value)
    return values


def _node_values(state: NodeState) -> list[Any]:
    values = _values(state, _NODE_VALUES, _NODE_SHARES)
    if len(state.error) > _LONGEST_ERROR:
        values[_NODE_ERROR] = state.error[:_LONGEST_ERROR]
    return values


def _significant(value: float) -> float:
    """Three significant digits.

    >>> _significant(1234.5678), _significant(0.012345)
    (1230.0, 0.0123)
    """
    return round(value, 2 - floor(log10(abs(value)))) if value else 0.0


class Journal:
    """The ticks of one run, oldest first, bounded: at most `most` of them and `most_bytes` of JSON.

    The last ones are all kept, as they came; of the earlier ones as many as leave even gaps, over the whole run. The
    first and the last are always there. A tick that is no later than the last one takes its place.
    """

    def __init__(
        self, graph: Graph, *, run: str = "", name: str = "", most: int = MOST_TICKS, most_bytes: int = MOST_BYTES
    ) -> None:
        if most < 4:
            raise ValueError(f"a journal keeps at least 4 ticks; got most={most}")
        self.graph = graph
        self.run = run
        self.name = name
        self._most = most
        self._most_bytes = most_bytes
        self._even: list[tuple[float, bytes]] = []
        self._recent: deque[tuple[float, bytes]] = deque()
        self._gap = 0.0
        self._size = 0
        self._earlier: list[tuple[float, Graph]] = []

    def __len__(self) -> int:
        return len(self._even) + len(self._recent)

    def __iter__(self) -> Iterator[Tick]:
        return map(decode, self.texts())

    @property
    def size(self) -> int:
        """Bytes of JSON that are kept."""
        return self._size

    def rewire(self, graph: Graph) -> None:
        """The run has another graph from now on; what was seen before is kept as far as names are the same."""
        if self._recent:
            self._earlier.append((self._recent[-1][0], self.graph))
        self.graph = graph

    def _bring_up(self) -> None:
        """Pack what was packed by an earlier graph again, when somebody asks for it."""
        earlier, self._earlier = self._earlier, []
        if not earlier:
            return

        def again(entry: tuple[float, bytes]) -> tuple[float, bytes]:
            old = next((graph for until, graph in earlier if entry[0] <= until), None)
            return entry if old is None else (entry[0], encode(pack(unpack(decode(entry[1]), old), self.graph)))

        self._even = [again(entry) for entry in self._even]
        self._recent = deque(again(entry) for entry in self._recent)
        self._size = sum(len(data) for _, data in chain(self._even, self._recent))

    def texts(self) -> list[bytes]:
        """The ticks as JSON, oldest first."""
        self._bring_up()
        return [data for _, data in chain(self._even, self._recent)]

    def last(self) -> bytes | None:
        """The last tick as JSON."""
        self._bring_up()
        return self._recent[-1][1] if self._recent else None

    def record(self, snapshot: Snapshot) -> bytes:
        """Keep a snapshot; its tick as JSON."""
        data = encode(pack(snapshot, self.graph))
        self.add(data)
        return data

    def add(self, data: bytes) -> None:
        """Keep a tick that is JSON already."""
        at = _WHEN.decode(data).at
        if self._recent and at <= self._recent[-1][0]:
            at, before = self._recent.pop()
            self._size -= len(before)
        self._recent.append((at, data))
        self._size += len(data)
        while len(self) > 4 and (len(self) > self._most or self._size > self._most_bytes):
            self._make_room()

    def _make_room(self) -> None:
        """Move the oldest of the recent ones to the even ones, or drop it; halve these where they are as many."""
        if len(self._recent) > 2 and len(self._recent) >= len(self._even):
            oldest = self._recent.popleft()
            if not self._even or oldest[0] - self._even[-1][0] >= self._gap:
                self._even.append(oldest)
            else:
                self._size -= len(oldest[1])
            return
        self._gap = 2 * (self._even[-1][0] - self._even[0][0]) / max(2, len(self._even))
        kept = thinned([at for at, _ in self._even], self._gap)
        self._even = [self._even[i] for i in kept]
        self._size = sum(len(data) for _, data in chain(self._even, self._recent))

    # -- saved ----------------------------------------------------------------------------------------------------

    def to_json(self, most_bytes: int | None = None) -> bytes:
        """The journal as JSON: version, run, name, graph and ticks; of these, evenly, what `most_bytes` hold."""
        head = _ENCODER.encode({"version": VERSION, "run": self.run, "name": self.name, "graph": self.graph.to_dict()})
        texts = self.texts()
        if most_bytes is not None:
            texts = fitted(texts, most_bytes - len(head) - 16)
        return b"%s,%s:[%s]}" % (head[:-1], b'"ticks"', b",".join(texts))

    def to_dict(self) -> dict[str, Any]:
        """The journal as plain data, the same as `to_json`."""
        return _DECODER.decode(self.to_json())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; CodecError where it is none, or a newer datagraph wrote it."""
        if data.get("version") != VERSION or not isinstance(data.get("ticks"), list):
            raise CodecError(
                f"this is no recording that can be read: its version is {data.get('version')!r}, and {VERSION} is "
                f"understood: upgrade datagraph, or save it again"
            )
        ticks = data["ticks"]
        journal = cls(
            Graph.from_dict(data["graph"]),
            run=str(data["run"]),
            name=str(data["name"]),
            most=max(4, len(ticks), MOST_TICKS),
            most_bytes=2**62,
        )
        for tick in ticks:
            unpack(tick, journal.graph)  # else the error would come when it is drawn
            journal.add(encode(tick))
        return journal


def thinned(times: Sequence[float], gap: float) -> list[int]:
    """Which of these ascending times stay: the first, and each that is at least `gap` after the one before it.

    >>> thinned([0, 1, 2, 3, 7, 8], 2)
    [0, 2, 4]
    """
    kept: list[int] = []
    for i, at in enumerate(times):
        if not kept or at - times[kept[-1]] >= gap:
            kept.append(i)
    return kept


def fitted(texts: list[bytes], most_bytes: int) -> list[bytes]:
    """Every second, fourth, ... of the texts, and the last, so that they are no more than `most_bytes` together."""
    step = 1
    while True:
        chosen = texts[::-1][::step][::-1] if step > 1 else texts
        if step > 1 and chosen and chosen[0] is not texts[0]:
            chosen = [texts[0], *chosen]
        if len(chosen) <= 2 or sum(map(len, chosen)) + len(chosen) <= most_bytes:
            return chosen if sum(map(len, chosen)) <= most_bytes else texts[-1:]
        step *= 2
