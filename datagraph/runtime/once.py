"""Engine 1: every node fires once, the moment its inputs exist; nothing goes by levels.

A runner takes whatever is ready, one node after the other, and goes on with what that made ready: a chain needs one
task, however long it is. Runners are started as long as more is ready than runners are about to begin, so that a node
waits for nobody but its inputs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Literal

import anyio
import anyio.lowlevel

from ..events.bus import Bus
from ..events.model import NodeEnded, NodeFailed, NodeStarted, RunEnded, RunStarted
from ..exceptions import CyclicFlowError, InternalError, RunCancelledError
from ..graph.model import Edge, Graph, Node
from ..graph.order import find_cycle
from .bridge import current_backend

Outcome = Literal["running", "completed", "failed", "cancelled"]
OnFailure = Literal["cancel", "drain", "continue"]
Spawn = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]

_LONGEST = 0.01
"""Seconds for which a runner keeps the loop to itself, where its nodes wait for nothing."""
_clock = time.perf_counter


@dataclass(frozen=True, slots=True)
class Plan:
    """What waits for what, by number: `before[i]` counts what node i waits for, `after[i]` is what waits for it.

    `first` can be fired at once. Nodes that are `given` have a value from the start; nobody waits for them.
    """

    names: tuple[str, ...]
    inputs: tuple[tuple[int, ...], ...]
    before: tuple[int, ...]
    after: tuple[tuple[int, ...], ...]
    first: tuple[int, ...]
    given: frozenset[int] = frozenset()

    @classmethod
    def of(cls, names: Sequence[str], inputs: Sequence[Collection[int]], given: Iterable[int] = ()) -> Plan:
        """The plan of nodes that wait for those of these numbers; CyclicFlowError names a ring."""
        known = frozenset(given)
        waits = tuple(
            () if i in known else tuple(dict.fromkeys(j for j in wanted if j not in known))
            for i, wanted in enumerate(inputs)
        )
        after: list[list[int]] = [[] for _ in names]
        for i, wanted in enumerate(waits):
            for j in wanted:
                after[j].append(i)
        before = tuple(map(len, waits))
        first = tuple(i for i, count in enumerate(before) if not count and i not in known)
        plan = cls(tuple(names), waits, before, tuple(map(tuple, after)), first, known)
        plan._check()
        return plan

    def _check(self) -> None:
        missing, reached = list(self.before), list(self.first)
        for i in reached:
            for j in self.after[i]:
                missing[j] -= 1
                if not missing[j]:
                    reached.append(j)
        if len(reached) + len(self.given) < len(self.names):
            nodes = tuple(map(Node, self.names))
            edges = (Edge("", self.names[j], "", self.names[i], "") for i, js in enumerate(self.inputs) for j in js)
            cycle = find_cycle(Graph(nodes, tuple(edges)))
            path = " -> ".join(map(repr, cycle))
            raise CyclicFlowError(f"these wait for each other in a ring: {path}; take one of them out", cycle)


@dataclass(frozen=True, slots=True)
class Skipped:
    """What a node gives that had nothing to do: its value is there already, and `reason` says why."""

    value: Any = None
    reason: str = ""


class Once:
    """One run of a plan. `run` does it all; what it knows is there to be read, also from other threads, at any time.

    Args:
        fire: for each node what does it: called with this run when the node is to begin, it gives an awaitable of
            the node's value, or of `Skipped`. The values of the others are in `values`.
        values: by node; of those that are given they are there already. It is filled in place.
        limit: nodes that may be at work at once; None for as many as are ready.
        skip: awaited before a node is admitted; what it gives instead of None is the node's outcome.
        admit: which of the ready nodes may begin now, asked whenever a node becomes ready or has ended; one that is
            not named is asked about again. Whoever admits by resources takes them back when `fire` has ended.
        on_failure: what a failure means for the others: "cancel" them, "drain" (let those at work end and start no
            more), or "continue" with all that do not wait for it; or a function of number and error that says which.
        bus: told of nodes and of the run, if it has observers when the run begins.

    What raises an error of its own is in `errors`, by node, and nothing of it leaves `run`.
    """

    def __init__(
        self,
        plan: Plan,
        fire: Sequence[Callable[[Once], Awaitable[Any]] | None],
        values: list[Any],
        *,
        id: str = "",
        name: str = "",
        limit: int | None = None,
        skip: Callable[[int], Awaitable[Any]] | None = None,
        admit: Callable[[Sequence[int]], Iterable[int]] | None = None,
        on_failure: OnFailure | Callable[[int, Exception], OnFailure] = "cancel",
        bus: Bus | None = None,
    ) -> None:
        count = len(plan.names)
        self.plan = plan
        self.id = id
        self.name = name
        self.values = values
        self.status: Outcome = "running"
        self.began = [0.0] * count
        self.ended = [0.0] * count
        self.errors: dict[int, Exception] = {}
        self.skipped: dict[int, str] = {}
        self.cancelled: set[int] = set()
        self.abandoned: set[int] = set()
        self.retries: dict[int, int] = {}
        self.started_at = 0.0
        self.finished_at = 0.0
        self.wall = 0.0
        self.paused = False
        self.stopping = False
        self._fire = fire
        self._missing = list(plan.before)
        self._ready: deque[int] = deque()
        self._held: list[int] = []
        self._asked: set[int] = set()
        self._limit = limit
        self._skip = skip
        self._admit = admit
        self._on_failure = on_failure
        self._tell = bus.emit if bus is not None and bus.observed else None
        self._active = 0
        self._pending = 0
        self._spawn: Spawn
        self._scope: anyio.CancelScope | None = None
        self._resumed = anyio.Event()

    # -- control, in the run's loop -------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End it now: what is at work is cancelled."""
        if self.status == "running":
            self.status = "cancelled"
        self._end()

    def stop(self) -> None:
        """Let what is at work end, and start nothing more."""
        self.stopping = True
        if self.paused:
            self.resume()

    def pause(self) -> None:
        """Start no node until `resume`; what is at work goes on."""
        self.paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self.paused = False
        resumed, self._resumed = self._resumed, anyio.Event()
        resumed.set()

    def _end(self) -> None:
        self.stopping = True
        if self._scope is not None:
            self._scope.cancel()

    # -- running --------------------------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """Fire every node; how it ended. Only cancellation from outside, and what is no Exception, is raised."""
        self.started_at, self.wall = _clock(), time.time()
        if self._tell is not None:
            self._tell(RunStarted(run=self.id, at=self.wall, name=self.name))
        self._ready.extend(self.plan.first)
        try:
            with anyio.CancelScope() as self._scope:
                await self._run()
            self._settle()
        except BaseException:
            self.status = "cancelled"
            raise
        finally:
            self.finished_at = _clock()
            if self._tell is not None:
                error = next(map(str, self.errors.values()), "")
                self._tell(RunEnded(run=self.id, at=self.at(self.finished_at), status=self.status, error=error))
        return self.status

    async def _run(self) -> None:
        if not self._ready or self.stopping:
            return
        if current_backend() == "asyncio":
            import asyncio

            # Its tasks cost a fifth of those of anyio. What is cancelled around them reaches them through it.
            async with asyncio.TaskGroup() as tasks:
                self._spawn = lambda function: tasks.create_task(function())
                self._more()
        else:
            import trio

            async with trio.open_nursery() as nursery:
                self._spawn = nursery.start_soon
                self._more()

    def _settle(self) -> None:
        if self.errors:
            self.status = "failed"
        elif self.status == "running" and not all(map(self.is_over, range(len(self.plan.names)))):
            if not self.stopping:
                names = ", ".join(repr(self.plan.names[i]) for i in self._held[:5])
                raise InternalError(f"nothing is at work, and none of these was admitted: {names}")
            self.status = "cancelled"
        elif self.status == "running":
            self.status = "completed"

    def _more(self) -> None:
        """Start runners for what is ready, at most twice as many as there are: few where no node waits for anything."""
        room = min(len(self._ready), 2 * self._active or 1) - self._pending
        if self._limit is not None:
            room = min(room, self._limit - self._active - self._pending)
        for _ in range(room):
            self._pending += 1
            self._spawn(self._work)

    async def _work(self) -> None:
        """A runner: node after node, until none is ready."""
        self._pending -= 1
        self._active += 1
        try:
            await self._fire_ready()
        finally:
            self._active -= 1
        if self._ready and not self.stopping:
            self._more()

    async def _fire_ready(self) -> None:
        ready, values, fire, ended = self._ready, self.values, self._fire, self.ended
        missing, after, began = self._missing, self.plan.after, self.began
        asks = self._skip is not None or self._admit is not None
        clean = copy_context()
        now = _clock()
        rest = now + _LONGEST
        while ready and not self.stopping:
            if self.paused:
                await self._resumed.wait()
                now = _clock()
                continue
            i = ready.popleft()
            if len(ready) > self._pending:
                self._more()
            began[i] = now
            if self._tell is not None:
                self._tell(NodeStarted(run=self.id, at=self.at(now), node=self.plan.names[i]))
            try:
                value = await (self._ask(i) if asks else fire[i](self))  # type: ignore[misc]
            except BaseException as error:
                if not self._failed(i, error):
                    raise
            else:
                now = ended[i] = _clock()
                if type(value) is Skipped:
                    self.skipped[i] = value.reason
                    value = value.value
                elif value is _HELD:
                    began[i] = ended[i] = 0.0
                    self._held.append(i)
                    self._take()
                    continue
                values[i] = value
                if self._tell is not None:
                    self._tell(NodeEnded(run=self.id, at=self.at(now), node=self.plan.names[i]))
                for j in after[i]:
                    missing[j] -= 1
                    if not missing[j]:
                        ready.append(j)
            if self._held:
                self._take()
            if copy_context() != clean:
                return  # what it set is not for the next node: another runner, as the first one was, takes over
            if now > rest and ready:
                await anyio.lowlevel.checkpoint()
                now = _clock()
                rest = now + _LONGEST

    async def _ask(self, i: int) -> Any:
        """With hooks: skip it, put it aside until it is admitted, or fire it."""
        if i not in self._asked:
            self._asked.add(i)
            if self._skip is not None and (outcome := await self._skip(i)) is not None:
                return outcome
            if self._admit is not None:
                return _HELD
        fire = self._fire[i]
        assert fire is not None
        return await fire(self)

    def _take(self) -> None:
        """Have those begin that are admitted now."""
        if self._held and self._admit is not None and not self.stopping:
            chosen = set(self._admit(tuple(self._held)))
            self._held = [i for i in self._held if i not in chosen]
            self._ready.extend(sorted(chosen))

    def _failed(self, i: int, error: BaseException) -> bool:
        """Keep what went wrong, and see what that means for the others; whether this runner goes on."""
        now = self.ended[i] = _clock()
        if not isinstance(error, Exception):
            if not isinstance(error, anyio.get_cancelled_exc_class()) or _is_cancelled():
                self.cancelled.add(i)
                return False
            inner = error
            error = RunCancelledError("what it waited for was cancelled by somebody else")
            error.__cause__ = inner
        self.errors[i] = error
        name = self.plan.names[i]
        if self._tell is not None:
            attempts = self.retries.get(i, 0) + 1
            said = f"{type(error).__name__}: {error}"
            self._tell(NodeFailed(run=self.id, at=self.at(now), node=name, error=said, attempts=attempts))
        means = self._on_failure if isinstance(self._on_failure, str) else self._on_failure(i, error)
        if means == "cancel":
            self._end()
        elif means == "drain":
            self.stopping = True
        return True

    # -- questions ------------------------------------------------------------------------------------------------

    def at(self, moment: float) -> float:
        """A moment of this run's clock in seconds since the epoch."""
        return self.wall + moment - self.started_at

    def is_over(self, i: int) -> bool:
        """Whether a node has ended, in whichever way."""
        return bool(self.ended[i]) or i in self.plan.given

    def has_value(self, i: int) -> bool:
        """Whether a node has a value."""
        return i in self.plan.given or bool(self.ended[i] and i not in self.errors and i not in self.cancelled)

    def lost(self) -> dict[int, int]:
        """The nodes that can never begin, each with one that failed before it."""
        found: dict[int, int] = {}
        todo = [(j, i) for i in (*self.errors, *self.cancelled) for j in self.plan.after[i]]
        while todo:
            i, cause = todo.pop()
            if i not in found:
                found[i] = cause
                todo += [(j, cause) for j in self.plan.after[i]]
        return found


_HELD = object()


def _is_cancelled() -> bool:
    """Whether this task was cancelled, and not only something that it waited for."""
    if current_backend() == "asyncio":
        import asyncio

        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return True
