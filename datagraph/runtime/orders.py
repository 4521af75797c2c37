"""A change of a run's wiring as the runtime is told it, and as it was carried out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..streams.records import RunSpec
from .work import Work


class Moved:
    """A port of a node that stays reads another stream."""

    __slots__ = ("new", "node", "old", "port")

    def __init__(self, node: str, port: str, old: str, new: str) -> None:
        self.node, self.port, self.old, self.new = node, port, old, new


@dataclass(slots=True)
class Orders:
    """A change as the runtime carries it out.

    `spec` is the run as it is afterwards, its nodes' inputs named by port; `moved` the ports of nodes that stay which
    read another stream; `handovers` says who begins where whom was cut, both by (node, port); `added` and `replaced`
    are the works of new nodes and of those that begin anew (another function, other options); `seeks` says where ports
    go on in their own stream: (node, port, position), `begins` where those of new nodes begin, if not with what comes.
    `capacities` are by (node, port), in values and bytes, None where nothing holds the writer back.
    `note` is what is kept of the change, as JSON, with the "lengths" of the streams whose writers begin or are
    replaced (what comes after them is by the new functions), and the "cuts" and "joins" as (node, segment, stream).
    """

    version: int
    spec: RunSpec
    moved: Sequence[Moved] = ()
    handovers: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    seeks: Sequence[tuple[str, str, int]] = ()
    begins: Mapping[tuple[str, str], int] = field(default_factory=dict)
    dropped: Sequence[str] = ()
    added: Mapping[str, Work] = field(default_factory=dict)
    replaced: Mapping[str, Work] = field(default_factory=dict)
    fresh: Sequence[str] = ()
    capacities: Mapping[tuple[str, str], tuple[int, int] | None] = field(default_factory=dict)
    note: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[bytes] = ()


class Place(NamedTuple):
    """A position of a stream where a segment of a node's port ends or begins."""

    node: str
    segment: str
    stream: str
    position: int


class Carried(NamedTuple):
    """A change that was carried out: the wiring's version since, where it cut and joined, the lengths in its note."""

    version: int
    cuts: tuple[Place, ...]
    joins: tuple[Place, ...]
    lengths: Mapping[str, int]
