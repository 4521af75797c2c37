"""What was changed in a run, as its store keeps it: any process can read it, and an undo begins from it."""

from __future__ import annotations

import html
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, overload

import msgspec

from ..drawing.style import seconds
from ..graph.change import Change
from ..graph.model import Graph, Node
from ..graph.text import clean
from ..runtime.orders import Place
from ..streams.records import ChangeRecord

KEPT = 1000
"""Changes that a run keeps, the last ones."""
_SHOWN = 20
_MOST_LINES = 6
_CELL = "text-align:left;white-space:pre-line"
EMPTY = msgspec.Raw(b"{}")
"""No graph: the note is not one of a flow's."""


class Note(msgspec.Struct, frozen=True):
    """What is kept of a change: `before` and `after` are graphs, as JSON; `undoes` the change it takes back, or 0.

    `lengths` are those of the streams that are written by another function since, `writers` says by which: (version,
    code version), `since` who wrote before it what was not written so from the start: (..., first position, time).
    """

    lines: tuple[str, ...] = ()
    before: msgspec.Raw = EMPTY
    after: msgspec.Raw = EMPTY
    lengths: dict[str, int] = {}
    writers: dict[str, tuple[int, str]] = {}
    swapped: tuple[tuple[str, int, str], ...] = ()
    cuts: tuple[tuple[str, str, str], ...] = ()
    joins: tuple[tuple[str, str, str], ...] = ()
    undoes: int = 0
    since: dict[str, tuple[int, str, int, float]] = {}
    mended: bool = False

    @property
    def can_be_undone(self) -> bool:
        """Whether it changed the graph, takes no other change back, and is no function mended for a recovery."""
        return not self.undoes and not self.mended and self.before != self.after


_decoder = msgspec.json.Decoder(Note)


def note_of(record: ChangeRecord) -> Note:
    """The note of a change that the store keeps."""
    return _decoder.decode(record.note) if record.note else Note()


def graph_of(raw: msgspec.Raw) -> Graph:
    """A graph of a note; an empty one where there is none."""
    return Graph.from_dict(msgspec.json.decode(raw)) if raw != EMPTY else Graph((), ())


def noted(change: Change, anew: Sequence[str], undoes: int) -> dict[str, Any]:
    """The note of a change, in which the nodes `anew` begin with another function or other options."""
    after = change.after
    written_by = {node.name: version_of(node) for node in after.processors()}
    return {
        "lines": change.lines(),
        "before": change.before.to_dict(),
        "after": after.to_dict(),
        "swapped": [(name, *written_by[name]) for name in change.swapped],
        "writers": {port.stream: written_by[name] for name in anew for port in after.node(name).outputs},
        "undoes": undoes,
    }


def as_mended(graph: Graph, later: Sequence[Note]) -> Graph:
    """A graph of the past with the code that its functions were mended to since, for recoveries."""
    for note in [note for note in later if note.mended]:
        was = {node.name: version_of(node)[1] for node in graph_of(note.before).processors()}
        code = {name: new for name, _, new in note.swapped}
        nodes = [
            replace(node, attrs={**node.attrs, "code_version": code[node.name]})
            if node.name in code and version_of(node)[1] == was[node.name]
            else node
            for node in graph
        ]
        graph = Graph(tuple(nodes), graph.edges, graph.name)
    return graph


def version_of(node: Node) -> tuple[int, str]:
    """The version of a node's function, and its code's."""
    return int(node.attrs.get("version") or 1), str(node.attrs.get("code_version") or "")


def not_taken_back(records: Sequence[ChangeRecord]) -> list[int]:
    """The versions of those changes that an undo would take back, one after the other, the next one last."""
    stack: list[int] = []
    for record in records:
        note = note_of(record)
        if note.undoes in stack:
            stack.remove(note.undoes)
        elif note.can_be_undone:
            stack.append(record.version)
    return stack


class Swapped(NamedTuple):
    """A node that was given another function: the version it has since, and its code's."""

    node: str
    version: int
    code_version: str


@dataclass(frozen=True, slots=True)
class PastChange:
    """A change of a run: the wiring's `version` since, when it was made (`at`, seconds since the epoch), what it was.

    `cuts` and `joins` are the positions of streams where inputs stopped reading and where they began. `undoes` is the
    version of the change that it took back, `undone_by` of the one that took it back; None where there is none.
    """

    version: int
    at: float
    lines: tuple[str, ...]
    swapped: tuple[Swapped, ...] = ()
    cuts: tuple[Place, ...] = ()
    joins: tuple[Place, ...] = ()
    undoes: int | None = None
    undone_by: int | None = None

    @property
    def state(self) -> str:
        """ "undoes 3", "undone by 5", or ""."""
        if self.undoes is not None:
            return f"undoes {self.undoes}"
        return "" if self.undone_by is None else f"undone by {self.undone_by}"

    def __str__(self) -> str:
        state = f" ({self.state})" if self.state else ""
        return f"{self.version}. {'; '.join(self.lines[:_MOST_LINES]) or 'nothing changed'}{state}"


class PastChanges(Sequence[PastChange]):
    """The changes of a run, oldest first, as they were when this was made; of more than 1,000 the last 1,000."""

    def __init__(self, records: Sequence[ChangeRecord]) -> None:
        notes = [note_of(record) for record in records]
        undone = {note.undoes: record.version for record, note in zip(records, notes, strict=True) if note.undoes}
        self._changes = [
            PastChange(
                record.version,
                record.at,
                note.lines,
                tuple(Swapped(*each) for each in note.swapped),
                tuple(Place(*part, at) for part, at in zip(note.cuts, record.cuts, strict=False)),
                tuple(Place(*part, at) for part, at in zip(note.joins, record.joins, strict=False)),
                note.undoes or None,
                undone.get(record.version),
            )
            for record, note in zip(records, notes, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._changes)

    @overload
    def __getitem__(self, index: int) -> PastChange: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PastChange]: ...
    def __getitem__(self, index: int | slice) -> PastChange | Sequence[PastChange]:
        return self._changes[index]

    def __iter__(self) -> Iterator[PastChange]:
        return iter(self._changes)

    def rows(self, most: int = _SHOWN) -> list[tuple[str, str, str, str]]:
        """The last ones as texts: version, how long ago, what, and whether it takes one back or was taken back."""
        now = time.time()
        return [
            (
                str(change.version),
                seconds(max(0.0, now - change.at)),
                "\n".join(clean(line, 160) for line in _bounded(change.lines)),
                change.state,
            )
            for change in self._changes[-most:]
        ]

    def __repr__(self) -> str:
        more = [f"... {len(self) - _SHOWN} earlier ones"] if len(self) > _SHOWN else []
        return "\n".join([*more, *map(str, self._changes[-_SHOWN:])]) or "nothing was changed"

    def _repr_html_(self) -> str:
        if not self._changes:
            return "<p>nothing was changed</p>"
        head = "".join(f"<th style={_CELL!r}>{name}</th>" for name in ("", "ago", "change", ""))
        rows = "".join(
            f"<tr>{''.join(f'<td style={_CELL!r}>{html.escape(cell)}</td>' for cell in row)}</tr>"
            for row in self.rows()
        )
        more = f"<p>and {len(self) - _SHOWN} earlier ones</p>" if len(self) > _SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _bounded(lines: Sequence[str]) -> list[str]:
    shown = list(lines[:_MOST_LINES]) or ["nothing changed"]
    return [*shown, f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else shown
