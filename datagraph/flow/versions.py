"""Which version of its processor wrote which values of a stream."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio

from ..graph.change import Change
from ..graph.model import Graph, Node
from ..streams.records import ChangeRecord
from .past import EMPTY, Note, graph_of, note_of, version_of

if TYPE_CHECKING:
    from .local import LocalRun


class Version(NamedTuple):
    """A version of the processor that writes a stream: its `number`, its code's, and what it wrote `first` and when.

    `first` is a position of the stream, and where the next version begins this one has ended; `at` is the server's time
    in seconds at which it took over.
    """

    number: int
    code_version: str
    first: int
    at: float


async def written_by(local: LocalRun, stream: str) -> tuple[Version, ...]:
    """Who wrote a stream of a run, oldest first."""
    record = local.record
    records = await local.session.changes()
    if not records:
        return versions_of((), local.graph, stream, created=record.created)
    return await anyio.to_thread.run_sync(partial(versions_of, records, local.graph, stream, created=record.created))


def versions_of(records: Sequence[ChangeRecord], graph: Graph, stream: str, *, created: float) -> tuple[Version, ...]:
    """Who wrote a stream, oldest first, by the changes that are kept of a run and its graph now.

    Of a run of whose changes the first are not kept any more it begins with whoever wrote it then.
    """
    notes = [note_of(record) for record in records]
    found = [version for name, version in _at_first(notes, graph, created).items() if name == stream]
    for record, note in zip(records, notes, strict=True):
        found += [version for name, version in brought(note, record.at).items() if name == stream]
    return tuple(each for i, each in enumerate(found) if not i or each[:2] != found[i - 1][:2])


def _at_first(notes: Sequence[Note], graph: Graph, created: float) -> dict[str, Version]:
    before = graph_of(notes[0].before) if notes and notes[0].before != EMPTY else graph
    found = {
        port.stream: Version(*version_of(node), 0, created) for node in before.processors() for port in node.outputs
    }
    return found | {stream: Version(*facts) for note in notes[:1] for stream, facts in note.since.items()}


def brought(note: Note, at: float) -> dict[str, Version]:
    """The streams that a change gave another writer, or the same one anew."""
    return {stream: Version(*writer, note.lengths.get(stream, 0), at) for stream, writer in note.writers.items()}


def last_versions(records: Sequence[ChangeRecord], graph: Graph, created: float) -> dict[str, Version]:
    """Who wrote each stream last, by the changes that are kept; `graph` is the run's now."""
    notes = [note_of(record) for record in records]
    found = _at_first(notes, graph, created)
    for record, note in zip(records, notes, strict=True):
        follow(found, brought(note, record.at))
    return found


def follow(versions: dict[str, Version], later: Mapping[str, Version]) -> None:
    """Who wrote each stream last, after a change."""
    for stream, version in later.items():
        if stream not in versions or versions[stream][:2] != version[:2]:
            versions[stream] = version


def since_of(versions: Mapping[str, Version], graph: Graph, created: float) -> dict[str, Version]:
    """Those of them that were not there from the start, of streams that are written now."""
    now = {port.stream for node in graph.processors() for port in node.outputs}
    return {stream: version for stream, version in versions.items() if stream in now and version.at != created}


def version_at(versions: Sequence[Version], position: int) -> Version | None:
    """The one that wrote the value at a position, if that is known."""
    index = bisect_right(versions, position, key=lambda version: version.first)
    return versions[index - 1] if index else None


def counted(change: Change, versions: Mapping[str, Version]) -> Change:
    """The change, with a later version of each node that is given another function, and of any other its own.

    A later one is also what writes on where another function wrote before it was dropped; `versions` are the last.
    """
    before = {node.name: node for node in change.before.processors()}
    nodes = []
    for node in change.after:
        was = [versions[port.stream][:2] for port in node.outputs if port.stream in versions]
        if node.name in before:
            nodes.append(_as(node, version_of(before[node.name])[0] + (node.name in change.swapped)))
        elif was:
            nodes.append(_as(node, max(was)[0] + any(code != version_of(node)[1] for _, code in was)))
        else:
            nodes.append(node)
    return replace(change, after=Graph(tuple(nodes), change.after.edges, change.after.name))


def _as(node: Node, version: int) -> Node:
    return replace(node, attrs={**node.attrs, "version": version})
