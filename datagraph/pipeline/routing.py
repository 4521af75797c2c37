"""Where a value goes when its task has put it out: along every way that takes it, into the results, or aside."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio.lowlevel

from ..events.bus import Bus
from ..events.model import DeadlockRelieved, ValueDropped
from ..runtime.inflight import InFlight
from ..runtime.queues import MemoryEdge, MemoryQueue, closed_set, relieve
from .context import PipelineContext
from .results import PipelineResults
from .task import Predicate
from .working import Way, WorkingNode

if TYPE_CHECKING:
    from .failing import Failing

LOOPS = "loop_counts"
LONGEST = 0.01
"""Seconds for which handlers that never wait keep the loop to themselves."""
ResultHandler = Callable[[Any, PipelineContext], Any]


class Leads(Protocol):
    """A way as it is chosen."""

    @property
    def name(self) -> str: ...
    @property
    def key(self) -> tuple[str, str]: ...
    @property
    def predicate(self) -> Predicate | None: ...
    @property
    def max_loops(self) -> int | None: ...


W = TypeVar("W", bound=Leads)


async def choose(task: str, ways: Iterable[W], context: PipelineContext, value: Any) -> tuple[list[W], W | None]:
    """The ways out of a task that take a value; and the last that would, had it not been taken too often already."""
    chosen: list[W] = []
    looped: W | None = None
    for way in ways:
        if way.predicate is not None:
            try:
                holds: Any = way.predicate(context, value)
                if inspect.isawaitable(holds):
                    holds = await holds
                holds = bool(holds)
            except Exception as error:
                error.add_note(f"in the predicate of {task!r} for {way.name!r}")
                raise
            if not holds:
                continue
        if way.max_loops is not None and context.meta.get(LOOPS, {}).get(way.key, 0) >= way.max_loops:
            looped = way
            continue
        chosen.append(way)
    return chosen, looped


def onward(context: PipelineContext, way: Leads) -> PipelineContext:
    """The context for whoever is next on this way."""
    copy = context.copy()
    if way.max_loops is not None:
        counts = copy.meta.setdefault(LOOPS, {})
        counts[way.key] = counts.get(way.key, 0) + 1
    return copy


def nowhere(task: str) -> LookupError:
    """The error of a value that no way takes, where that is one."""
    return LookupError(f"no way out of {task!r} takes this value, and unmatched is 'raise'")


class Router:
    """Routes the values of one run."""

    def __init__(
        self,
        nodes: Mapping[str, WorkingNode],
        *,
        run: str,
        unmatched: str,
        ringed: bool,
        result_handler: ResultHandler | None,
        results: PipelineResults,
        failing: Failing,
        bus: Bus,
    ) -> None:
        self.inflight = InFlight()
        self._queues = [node.queue for node in nodes.values()]
        self._readers = {node.queue: node.name for node in nodes.values()}
        self._into: dict[MemoryQueue, list[MemoryEdge]] = {node.queue: [] for node in nodes.values()}
        for node in nodes.values():
            for way in node.ways:
                self._into[way.edge.queue].append(way.edge)
        self._run = run
        self._unmatched = unmatched
        self._ringed = ringed
        self._handler = result_handler
        self._results = results
        self._failing = failing
        self._bus = bus
        self.dropped: dict[tuple[str, str], int] = {}
        self.breathed = monotonic()

    async def breathe(self) -> None:
        """Let others have a turn of the loop."""
        await anyio.lowlevel.checkpoint()
        self.breathed = monotonic()

    async def put(self, node: WorkingNode, context: PipelineContext, value: Any) -> None:
        """One value that a node has put out."""
        if monotonic() - self.breathed > LONGEST:
            await self.breathe()
        if not node.ways:
            await self._result(node, context, value)
            return
        chosen = node.ways if node.plain else await self._choose(node, context, value)
        for way in chosen:
            copy = onward(context, way)
            self.inflight.begin()
            if not way.edge.offer(copy, value):
                await self._room(node.queue, way.edge, copy, value)

    async def feed(self, edge: MemoryEdge, context: PipelineContext, value: Any) -> None:
        """One value from outside; it waits for room as long as it takes."""
        while not edge.offer(context, value):
            await edge.room()
        self.inflight.begin()

    # -- which way ------------------------------------------------------------------------------------------------

    async def _choose(self, node: WorkingNode, context: PipelineContext, value: Any) -> list[Way]:
        """The ways that take the value; none where it has been dealt with otherwise."""
        try:
            chosen, looped = await choose(node.name, node.ways, context, value)
        except Exception as error:
            await self._failing.give_up(node, context, value, error, where="predicate")
            return []
        if not chosen:
            await self._unrouted(node, context, value, looped)
        return chosen

    async def _unrouted(self, node: WorkingNode, context: PipelineContext, value: Any, looped: Way | None) -> None:
        if looped is None and self._unmatched == "result":
            await self._result(node, context, value)
            return
        if looped is None and self._unmatched == "raise":
            error = nowhere(node.name)
            await self._failing.give_up(node, context, value, error, where="unmatched")
            return
        if looped is None:
            reason = f"no edge of {node.name!r} matched"
            node.skipped += 1
            self._results.reasons[reason] += 1
            if self._results.reasons[reason] == 1:
                self._bus.emit(ValueDropped(run=self._run, at=time(), node=node.name, reason=reason))
            self.dropped[node.name, reason] = self._results.reasons[reason]
            return
        reason = f"{looped.name!r} was taken max_loops={looped.max_loops} times"
        self._results.reasons[reason] += 1
        copy = context.copy()
        copy.meta["reason"] = reason
        await self._result(node, copy, value)

    async def _result(self, node: WorkingNode, context: PipelineContext, value: Any) -> None:
        exit = node.exit
        assert exit is not None
        if self._handler is None:
            self._results.append(value)
        else:
            try:
                done = self._handler(value, context.copy())
                if inspect.isawaitable(done):
                    await done
            except Exception as error:
                error.add_note(f"in the result_handler, for a value of {node.name!r}")
                await self._failing.give_up(node, context, value, error, where="result_handler")
                return
        exit.written += 1
        if exit.seen is not None:
            exit.seen.append(value)

    # -- room -----------------------------------------------------------------------------------------------------

    async def _room(self, queue: MemoryQueue, edge: MemoryEdge, context: PipelineContext, value: Any) -> None:
        """Wait for room as a worker of a node, so that a ring whose nodes all wait is found."""
        queue.lanes.shift("busy", "blocked")
        queue.blocked.append(edge)
        try:
            while True:
                if self._ringed and len(queue.blocked) == queue.lanes.workers:
                    self._unlock(queue)
                if edge.offer(context, value):
                    return
                await edge.room()
        finally:
            queue.blocked.remove(edge)
            queue.lanes.shift("blocked", "busy")

    def _unlock(self, queue: MemoryQueue) -> None:
        """This node makes no more room by itself: let writers use what there is, and see whether it will ever go on."""
        for edge in self._into[queue]:
            if edge.blocks and edge.lag < edge.capacity:
                edge.wake()
        stuck = closed_set(self._queues)
        if stuck:
            names = tuple(sorted(self._readers[each] for each in stuck))
            relieve(stuck, lambda edge, before: self._tell(edge, before, names))

    def _tell(self, edge: MemoryEdge, before: int, nodes: tuple[str, ...]) -> None:
        event = DeadlockRelieved(
            run=self._run,
            at=time(),
            node=self._readers[edge.queue],
            stream=edge.name,
            capacity_before=before,
            capacity_after=edge.capacity,
            nodes=nodes,
        )
        self._bus.emit(event)
