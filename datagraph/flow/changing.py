"""Changing a run while it goes on: what a change would be, carrying it out, and taking it back."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import anyio

from ..exceptions import GraphError, RunError
from ..graph.change import Change, compare
from ..graph.diff import picture
from ..graph.edit import Connect, Edit, Insert, Swap, edits_of, node_of
from ..graph.model import Graph, Node, Port
from ..graph.rewiring import becoming, changed
from ..graph.text import clean
from ..graph.wiring import CAPACITY
from ..runtime.orders import Carried, Moved, Orders, Place
from ..runtime.types import compatible, type_text
from ..runtime.work import Work
from .compile import respecify, room_of, works
from .functions import Functions, as_found
from .known import known
from .past import KEPT, as_mended, graph_of, not_taken_back, note_of, noted
from .versions import Version, counted, follow, last_versions, since_of

if TYPE_CHECKING:
    from ..runtime.stream import StreamEngine
    from .flow import Flow
    from .local import LocalRun
    from .processor import Processor

What = Edit | Sequence[Edit]
_AT_ONCE = frozenset({"capacity", "rate"})
"""What can be tuned without leaving the function; where it reads streams itself, also `_BETWEEN`."""
_BETWEEN = frozenset({"retries", "timeout", "on_error"})


@dataclass(frozen=True, slots=True)
class Applied:
    """A change that was carried out: what changed, the wiring's version since, and the seconds that it took.

    `cuts` and `joins` are the positions of streams where inputs stopped reading and where they began.
    """

    change: Change
    version: int
    seconds: float
    cuts: tuple[Place, ...] = ()
    joins: tuple[Place, ...] = ()
    seek: str = ""
    is_undo: bool = False

    def lines(self) -> tuple[str, ...]:
        """What was done, in short sentences."""
        return (self.seek,) if self.seek else self.change.lines()

    @property
    def began(self) -> Mapping[tuple[str, str], int]:
        """By (node, port), at which position of its stream an input began that is new or reads another stream."""
        return {(place.node, place.segment.rpartition("#")[0]): place.position for place in self.joins}

    def __str__(self) -> str:
        lines = "; ".join(self.lines()) or "nothing changed"
        undo = "" if self.seek or self.is_undo or self.change.is_empty else "; run.undo() takes it back"
        return f"{lines} ({self.seconds * 1000:.0f} ms{undo})"

    __repr__ = __str__


@dataclass(frozen=True, slots=True)
class Planned:
    """What a change would be: `lines()` in words, `problems` why it may not be applied; a picture in a notebook."""

    change: Change

    @property
    def problems(self) -> tuple[str, ...]:
        """Every reason against it; () where it can be applied."""
        return self.change.problems

    @property
    def graph(self) -> Graph:
        """What the run would be."""
        return self.change.after

    def lines(self) -> tuple[str, ...]:
        """The differences in short sentences."""
        return self.change.lines()

    def __str__(self) -> str:
        return picture(self.change)

    def __repr__(self) -> str:
        return f"Planned({'; '.join(self.lines()) or 'nothing changes'})"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from ..drawing.diffed import diffed  # layout and drawing only where a picture is asked for

        return {"text/plain": str(self), "image/svg+xml": diffed(self.change)}


class Changes:
    """The changes of one run in the process that works on it. Lives in the runtime thread."""

    def __init__(self, local: LocalRun) -> None:
        self._local = local
        self.processors: dict[str, Processor] = {}
        self._dropped: list[tuple[Node, Processor]] = []
        self._functions = Functions()
        self._had: dict[int, dict[str, Processor]] = {}  # by a change's version, before it, of those made here
        self._stack: list[int] = []  # versions of the changes that can be taken back
        self._versions: dict[str, Version] = {}  # who writes each stream, or did so last

    def begin(
        self,
        crew: Mapping[str, Processor],
        dropped: Sequence[tuple[Node, Processor]] = (),
        spare: Sequence[Processor] = (),
    ) -> None:
        """These are the functions of the run's nodes, by node; a later binding of theirs is another function.

        Those that were `dropped` before this process took the run up finish what they had in hand. An undo may need
        those that are `spare`.
        """
        self.processors = {name: copy.copy(processor) for name, processor in crew.items()}
        self._dropped = [(node, copy.copy(processor)) for node, processor in dropped]
        self._functions.add([copy.copy(processor) for processor in spare])
        self._functions.add(self.processors.values())

    async def learn(self) -> None:
        """Learn from the store what was changed: whoever did so may be gone."""
        local = self._local
        records = await local.session.changes() if local.record.wiring else []
        self._stack = not_taken_back(records)
        self._versions = last_versions(records, local.graph, local.record.created)

    def works(self) -> list[Work]:
        """What this process has to do for the nodes."""
        make = self._local.make
        left = [make(node, processor) for node, processor in self._dropped]
        return [*works(self._local.graph, self.processors, make), *left]

    def known(self) -> Mapping[str, Processor]:
        """The processors that an edit can name here."""
        return {**self.processors, **known()}

    # -- what it would be -----------------------------------------------------------------------------------------

    def plan(self, what: What | Flow) -> Change:
        """What a change would be, with everything that forbids it; GraphError for what is no change."""
        flow = getattr(what, "processors", None)
        fits = self._fits([*self.processors.values(), *_given(what)])
        if flow is not None:
            found = becoming(self._local.graph, flow, fits=fits, capacity=self._capacity)
        else:
            edits = edits_of(cast("What", what))
            found = changed(self._local.graph, edits, fits=fits, capacity=self._capacity)
        return self._checked(found, self._functions_of(found, what))

    @property
    def _capacity(self) -> int:
        return int(self._local.record.meta.get("capacity") or CAPACITY)

    def _fits(self, processors: Sequence[Processor]) -> Any:
        known = {}
        for processor in processors:
            for annotation in (*processor.binding.port_types.values(), *processor.binding.output_types.values()):
                known[type_text(annotation)] = annotation

        def fits(written: Port, read: Port) -> bool:
            if not written.type or not read.type or written.type == read.type:
                return True
            if written.type not in known or read.type not in known:
                return True
            return compatible(known[written.type], known[read.type]) is not False

        return fits

    def _functions_of(self, change: Change, what: Any) -> dict[str, Processor]:
        """The processor of each node afterwards, as far as it is known here."""
        found = {name: p for name, p in self.processors.items() if name in {n.name for n in change.after.processors()}}
        for node, processor in _named(what).items():
            if node in change.swapped or node in {each.name for each in change.added}:
                found[node] = copy.copy(processor)
        return found

    def _checked(self, change: Change, functions: Mapping[str, Processor]) -> Change:
        problems = list(change.problems)
        problems += [
            f"the function of `{node.name}` is not known in this process: define its processor here"
            for node in change.after.processors()
            if node.name not in functions or not functions[node.name].bound
        ]
        for name in change.swapped:
            problems += self._unfit(name, functions, fresh=name in change.fresh)
        for each in change.tuned:
            problems += self._untunable(each.node, each.what)
        problems += [
            f"`{node.name}` is paused, and what it has in hand would be held for ever: resume it first"
            for node in change.dropped
            if node.name in self._local.record.paused_nodes
        ]
        return replace(counted(change, self._versions), problems=tuple(dict.fromkeys(problems)))

    def _unfit(self, name: str, functions: Mapping[str, Processor], *, fresh: bool) -> list[str]:
        """Why a node's state cannot be handed to its new function."""
        old, new = self.processors.get(name), functions.get(name)
        if old is None or new is None or fresh:
            return []
        if _in_locals(old):
            why = f"`{name}` keeps its state in its locals, which no other function can be given"
            return [f"{why}: say fresh=True to start without it, or keep it in ctx.state (state='context')"]
        if old.state == "context" and new.state != "context":
            return [f"`{name}` has state, and its new function takes none (state={new.state!r}): say fresh=True"]
        return []

    def _untunable(self, name: str, what: str) -> list[str]:
        processor = self.processors.get(name)
        if processor is None or not _in_locals(processor) or what in _AT_ONCE | _BETWEEN:
            return []
        return [f"`{name}` keeps its state in its locals: {what} could only change with its function begun anew"]

    # -- carrying it out ------------------------------------------------------------------------------------------

    async def apply(self, what: What | Flow, *, begins: Mapping[tuple[str, str], int] | None = None) -> Applied:
        """Carry out a change; GraphError where it may not be, RunError where the run cannot, and nothing is changed.

        `begins` says at which position inputs, by (node, port), of new nodes begin; else it is what comes from now on.
        """
        change = self.plan(what)
        return await self._apply(change, self._functions_of(change, what), begins=begins or {})

    async def undo(self) -> Applied:
        """Take the last change back that was not taken back yet, whoever made it; RunError where there is none.

        GraphError where a function that it needs is not known in this process.
        """
        version, graph = await self._newest()
        change = compare(self._local.graph, graph)
        functions, unknown = self._functions.before(change, self.processors, known().values())
        if version in self._had:
            functions, unknown = dict(self._had[version]), []
        fresh = tuple(name for name in change.swapped if _in_locals(self.processors[name]))
        change = replace(as_found(change, functions), fresh=fresh, problems=(*change.problems, *unknown))
        return await self._apply(self._checked(change, functions), functions, undoes=version)

    async def _newest(self) -> tuple[int, Graph]:
        """The version of the newest change that was not taken back, and what the run was before it."""
        local = self._local
        if self._stack:
            version = self._stack[-1]
            records = await local.session.changes(limit=local.wiring - version + 1)
            if records and records[0].version == version:
                first, *later = map(note_of, records)
                return version, as_mended(graph_of(first.before), later)
        raise RunError(f"no change of the run {local.record.id!r} can be undone: there is none that was not taken back")

    @property
    def undoable(self) -> int:
        """How many changes can be taken back, one after the other."""
        return len(self._stack)

    async def _apply(
        self,
        change: Change,
        functions: dict[str, Processor],
        *,
        undoes: int = 0,
        begins: Mapping[tuple[str, str], int] = MappingProxyType({}),
    ) -> Applied:
        _refuse(change)
        began = time.monotonic()
        before = dict(self.processors)
        if change.is_empty:
            return Applied(change, self._local.wiring, 0.0)
        engine = self._local.working_engine()  # before the orders, which only whoever works on the run can make
        stack = self._stack_after(self._local.wiring + 1, undoes)
        orders = self._orders(change, functions, undoable=len(stack), undoes=undoes)
        orders.begins = begins
        done = await self._carry_out(engine, change, orders, functions)
        self._stack = stack
        writers: Mapping[str, tuple[int, str]] = orders.note["writers"]
        follow(self._versions, {s: Version(*by, done.lengths.get(s, 0), time.time()) for s, by in writers.items()})
        self._functions.add(functions.values())
        self._had = {version: had for version, had in self._had.items() if version in stack}
        if not undoes:
            self._had[done.version] = before
        seconds = time.monotonic() - began
        return Applied(change, done.version, seconds, done.cuts, done.joins, is_undo=bool(undoes))

    def _stack_after(self, version: int, undoes: int) -> list[int]:
        stack = [each for each in self._stack if each != undoes] if undoes else [*self._stack, version]
        return [each for each in stack if each > version - KEPT]

    async def _carry_out(
        self, engine: StreamEngine, change: Change, orders: Orders, functions: dict[str, Processor]
    ) -> Carried:
        local = self._local
        done = await engine.change(orders)
        self.processors = functions
        local.rewired(change.after, done.version)
        with anyio.CancelScope(shield=True):  # the run has changed, whether somebody waits for it or not
            for each in change.tuned:
                await self._tune_at_once(change.after.node(each.node), each.what)
        return done

    async def seek(self, node: str, port: str, position: int) -> Applied:
        """Have an input go on at another position of what it reads."""
        began, local = time.monotonic(), self._local
        engine = local.working_engine()
        orders = self._orders(compare(local.graph, local.graph), self.processors, undoable=self.undoable)
        orders.seeks = [(node, port, position)]
        said = f"`{clean(node)}.{clean(port)}` reads on from position {position:,}"
        orders.note = {**orders.note, "lines": [said]}
        done = await engine.change(orders)
        local.rewired(local.graph, done.version)
        same, seconds = compare(local.graph, local.graph), time.monotonic() - began
        return Applied(same, done.version, seconds, done.cuts, done.joins, seek=said)

    def _orders(self, change: Change, functions: Mapping[str, Processor], *, undoable: int, undoes: int = 0) -> Orders:
        local, after = self._local, change.after
        record, make = local.record, local.make
        spec = respecify(record, after, functions, undoable=undoable)

        def works(names: Sequence[str]) -> dict[str, Work]:
            return {name: make(after.node(name), functions[name]) for name in names}

        again = {each.node for each in change.tuned if not self._goes_on(each.node, each.what)}
        reads = {(node.name, port.name): port.stream for node in after.processors() for port in node.inputs}
        edges = {(edge.target, edge.target_port): edge for edge in after.edges if edge.target in functions}
        since = since_of(self._versions, change.before, record.created)
        added, replaced = [node.name for node in change.added], dict.fromkeys((*change.swapped, *sorted(again)))
        return Orders(
            local.wiring,
            spec,
            moved=[Moved(each.node, each.port, each.old, reads[each.node, each.port]) for each in change.rewired],
            handovers={(h.node, h.port): (h.old_node, h.old_port) for h in change.handovers},
            dropped=[node.name for node in change.dropped],
            added=works(added),
            replaced=works(list(replaced)),
            fresh=change.fresh,
            capacities={end: room_of(edge, functions[edge.target]) for end, edge in edges.items()},
            note={**noted(change, [*added, *replaced], undoes), "since": since},
        )

    def _goes_on(self, node: str, what: str) -> bool:
        """Whether a setting changes under the running function."""
        processor = self.processors[node]
        return what == "capacity" or (processor.binding.shape == "stream" and what in _AT_ONCE | _BETWEEN)

    async def _tune_at_once(self, node: Node, what: str) -> None:
        if not self._goes_on(node.name, what):
            return
        engine = self._local.working_engine()
        edges = {edge.target_port: edge for edge in self._local.graph.into(node.name)}
        rooms = {port: room_of(edge, self.processors[node.name]) for port, edge in edges.items()}
        await engine.tune(self._local.make(node, self.processors[node.name]), rooms if what == "capacity" else {})


def _in_locals(processor: Processor) -> bool:
    return processor.binding.shape == "stream" and processor.state == "locals"


def _given(what: Any) -> list[Processor]:
    return list(_named(what).values())


def _named(what: Any) -> dict[str, Processor]:
    """The processors that a change brings along, by the node that each is for."""
    flow = getattr(what, "processors", None)
    if flow is not None:
        return {processor.name: processor for processor in flow}
    found: dict[str, Processor] = {}
    for edit in edits_of(what):
        if isinstance(edit, Swap | Insert | Connect) and not isinstance(edit.by, Node):
            by: Any = edit.by  # what describes itself and is no node is a processor
            found[edit.node if isinstance(edit, Swap) else node_of(by).name] = by
    return found


def _refuse(change: Change) -> None:
    if change.problems:
        raise GraphError("this change cannot be made:\n" + "\n".join(f"- {problem}" for problem in change.problems))
