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
from ..graph.wiring import CAPACITY
from ..runtime.orders import Carried, Moved, Orders, Place
from ..runtime.types import compatible, type_text
from ..runtime.work import Work
from .compile import KEEP, KEEP_RESULTS, room_of, specify, works
from .known import known

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

    @property
    def began(self) -> Mapping[tuple[str, str], int]:
        """By (node, port), at which position of its stream an input began that is new or reads another stream."""
        return {(place.node, place.segment.rpartition("#")[0]): place.position for place in self.joins}

    def __str__(self) -> str:
        lines = "; ".join(self.change.lines()) or "nothing changed"
        return f"{lines} ({self.seconds * 1000:.0f} ms; run.undo() takes it back)"

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
        self._before: list[tuple[Graph, dict[str, Processor]]] = []

    def begin(self, crew: Mapping[str, Processor], dropped: Sequence[tuple[Node, Processor]] = ()) -> None:
        """These are the functions of the run's nodes, by node; a later binding of theirs is another function.

        Those that were `dropped` before this process took the run up finish what they had in hand.
        """
        self.processors = {name: copy.copy(processor) for name, processor in crew.items()}
        self._dropped = [(node, copy.copy(processor)) for node, processor in dropped]

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
        return self._checked(found, self._functions(found, what))

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

    def _functions(self, change: Change, what: Any) -> dict[str, Processor]:
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
        return replace(_versioned(change), problems=tuple(dict.fromkeys(problems)))

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
        return await self._apply(change, self._functions(change, what), begins=begins or {})

    async def undo(self) -> Applied:
        """Take the last change back that was not taken back yet; RunError where there is none."""
        if not self._before:
            raise RunError(f"no change of the run {self._local.record.id!r} can be undone in this process")
        graph, processors = self._before[-1]
        change = compare(self._local.graph, graph)
        fresh = tuple(name for name in change.swapped if _in_locals(self.processors[name]))
        change = self._checked(replace(change, fresh=fresh), processors)
        applied = await self._apply(change, dict(processors), keep=False)
        self._before.pop()
        return applied

    @property
    def undoable(self) -> int:
        """How many changes can be taken back, one after the other."""
        return len(self._before)

    async def _apply(
        self,
        change: Change,
        functions: dict[str, Processor],
        *,
        keep: bool = True,
        begins: Mapping[tuple[str, str], int] = MappingProxyType({}),
    ) -> Applied:
        _refuse(change)
        began = time.monotonic()
        before = (self._local.graph, dict(self.processors))
        if change.is_empty:
            return Applied(change, self._local.wiring, 0.0)
        engine = self._local.working_engine()  # before the orders, which only whoever works on the run can make
        orders = self._orders(change, functions, undoable=self.undoable + (1 if keep else -1))
        orders.begins = begins
        done = await self._carry_out(engine, change, orders, functions)
        if keep:
            self._before.append(before)
        return Applied(change, done.version, time.monotonic() - began, done.cuts, done.joins)

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
        done = await engine.change(orders)
        local.rewired(local.graph, done.version)
        seconds = time.monotonic() - began
        return Applied(compare(local.graph, local.graph), done.version, seconds, done.cuts, done.joins)

    def _orders(self, change: Change, functions: Mapping[str, Processor], *, undoable: int) -> Orders:
        local, after = self._local, change.after
        record, make = local.record, local.make
        meta: dict[str, Any] = {**record.meta, "undoable": undoable}
        meta["sources"] = {name: p.source[:20_000] for name, p in functions.items() if p.source}
        spec = specify(
            record.id,
            record.name,
            after,
            functions,
            keep=meta.get("keep", KEEP),
            keep_results=meta.get("keep_results", KEEP_RESULTS),
            paused=record.paused,
            meta=meta,
        )

        def works(names: Sequence[str]) -> dict[str, Work]:
            return {name: make(after.node(name), functions[name]) for name in names}

        again = {each.node for each in change.tuned if not self._goes_on(each.node, each.what)}
        reads = {(node.name, port.name): port.stream for node in after.processors() for port in node.inputs}
        edges = {(edge.target, edge.target_port): edge for edge in after.edges if edge.target in functions}
        return Orders(
            local.wiring,
            spec,
            moved=[Moved(each.node, each.port, each.old, reads[each.node, each.port]) for each in change.rewired],
            handovers={(h.node, h.port): (h.old_node, h.old_port) for h in change.handovers},
            dropped=[node.name for node in change.dropped],
            added=works([node.name for node in change.added]),
            replaced=works(list(dict.fromkeys((*change.swapped, *sorted(again))))),
            fresh=change.fresh,
            capacities={end: room_of(edge, functions[edge.target]) for end, edge in edges.items()},
            note={"lines": change.lines(), "before": change.before.to_dict(), "after": after.to_dict()},
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


def _versioned(change: Change) -> Change:
    """A node that was given another function is of a later version, any other one of that which it was of."""
    before = {node.name: node for node in change.before.processors()}
    nodes = []
    for node in change.after:
        if node.name in before:
            version = (node.name in change.swapped) + int(before[node.name].attrs.get("version") or 1)
            node = replace(node, attrs={**node.attrs, "version": version})  # noqa: PLW2901 - the same node, counted on
        nodes.append(node)
    return replace(change, after=Graph(tuple(nodes), change.after.edges, change.after.name))


def _refuse(change: Change) -> None:
    if change.problems:
        raise GraphError("this change cannot be made:\n" + "\n".join(f"- {problem}" for problem in change.problems))
