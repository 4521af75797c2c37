"""Engine 1: every node fires once, the moment its inputs exist; nothing goes by levels.

A runner takes whatever is ready, one node after the other, and goes on with what that made ready: a chain needs one
task, however long it is. Runners are started as long as more is ready than runners are about to begin, so that a node
waits for nobody but its inputs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from contextvars import Context, copy_context
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
from .garbage import seldom
from .runners import AsyncioRunners, Runners, TrioRunners

Outcome = Literal["running", "completed", "failed", "cancelled"]
OnFailure = Literal["cancel", "drain", "continue"]

_LONGEST = 0.01
"""Seconds for which a runner keeps the loop to itself, where its nodes wait for nothing."""
_MANY = 1000
"""Nodes from which on a collection of garbage in their midst takes longer than they do."""
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
        self._runners: Runners
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
        if self.started_at:
            self._runners.cancel()

    # -- running --------------------------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        """Fire every node; how it ended. Only cancellation from outside, and what is no Exception, is raised."""
        self._runners = AsyncioRunners() if current_backend() == "asyncio" else TrioRunners()
        self.started_at, self.wall = _clock(), time.time()
        if self._tell is not None:
            self._tell(RunStarted(run=self.id, at=self.wall, name=self.name))
        self._ready.extend(self.plan.first)
        try:
            with seldom() if len(self.plan.names) > _MANY else nullcontext():
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
        await self._runners.run(self._more)

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
            self._runners.spawn(self._work)

    async def _work(self) -> None:
        """A runner: node after node, until none is ready. All in one coroutine: each further one costs every node."""
        self._pending -= 1
        self._active += 1
        ready, values, fire, tell = self._ready, self.values, self._fire, self._tell
        missing, after, began, ended = self._missing, self.plan.after, self.began, self.ended
        asks = self._skip is not None or self._admit is not None
        clean, now = copy_context(), _clock()
        rest = now + _LONGEST
        try:
            while ready and not self.stopping:
                if self.paused:
                    await self._resumed.wait()
                    now = _clock()
                    continue
                i = ready.popleft()
                if len(ready) > self._pending:
                    self._more()
                began[i] = now
                if tell is not None and (not asks or self._begins(i)):
                    tell(NodeStarted(run=self.id, at=self.at(now), node=self.plan.names[i]))
                try:
                    value = await (self._ask(i) if asks else fire[i](self))  # type: ignore[misc]
                except BaseException as error:
                    now = self._failed(i, error)
                else:
                    now = ended[i] = _clock()
                    if type(value) is Skipped:
                        value = self._skipped(i, value)
                    if value is _HELD:
                        self._hold(i)
                        continue
                    values[i] = value
                    if tell is not None:
                        tell(NodeEnded(run=self.id, at=self.at(now), node=self.plan.names[i]))
                    for j in after[i]:
                        missing[j] -= 1
                        if not missing[j]:
                            ready.append(j)
                if self._held:
                    self._take()
                if not ready or _changed(clean):
                    break  # what it set is not for the next node: another runner, as the first one was, takes over
                if now > rest:
                    await anyio.lowlevel.checkpoint()
                    rest = (now := _clock()) + _LONGEST
        except BaseException as error:
            self._runners.broke(error)
            raise
        finally:
            self._leave()

    def _leave(self) -> None:
        """A runner ends: others take over what is ready."""
        self._active -= 1
        if self._ready and not self.stopping:
            self._more()
        elif not self._active and not self._pending:
            self._runners.none_left()

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

    def _begins(self, i: int) -> bool:
        """Whether a node that comes up begins: where nodes are admitted, it is only asked about the first time."""
        return self._admit is None or i in self._asked

    def _hold(self, i: int) -> None:
        """Put a node aside that is not admitted yet."""
        self.began[i] = self.ended[i] = 0.0
        self._held.append(i)
        self._take()

    def _skipped(self, i: int, skipped: Skipped) -> Any:
        self.skipped[i] = skipped.reason
        return skipped.value

    def _take(self) -> None:
        """Have those begin that are admitted now."""
        if self._held and self._admit is not None and not self.stopping:
            chosen = set(self._admit(tuple(self._held)))
            self._held = [i for i in self._held if i not in chosen]
            self._ready.extend(sorted(chosen))

    def _failed(self, i: int, error: BaseException) -> float:
        """Keep what went wrong, and see what that means for the others; when it did. Raises what ends the runner."""
        now = self.ended[i] = _clock()
        if not isinstance(error, Exception):
            if not isinstance(error, anyio.get_cancelled_exc_class()) or _is_cancelled():
                self.cancelled.add(i)
                self.stopping = True
                raise error
            inner = error
            error = RunCancelledError("what it waited for was cancelled by somebody else")
            error.__cause__ = inner
        self.errors[i] = error
        name, attempts = self.plan.names[i], self.retries.get(i, 0) + 1
        tried = f", attempt {attempts}" if attempts > 1 else ""
        error.add_note(f"in node {name!r} of {self.name!r} (run {self.id}{tried})")
        if self._tell is not None:
            said = f"{type(error).__name__}: {error}"
            self._tell(NodeFailed(run=self.id, at=self.at(now), node=name, error=said, attempts=attempts))
        means = self._on_failure if isinstance(self._on_failure, str) else self._on_failure(i, error)
        if means == "cancel":
            self._end()
        elif means == "drain":
            self.stopping = True
        return now

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


def _changed(clean: Context) -> bool:
    """Whether a context variable has another value than in this context."""
    try:
        return copy_context() != clean
    except Exception:  # values that cannot be compared, such as arrays
        return True


def _is_cancelled() -> bool:
    """Whether this task was cancelled, and not only something that it waited for."""
    if current_backend() == "asyncio":
        import asyncio

        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return True
