"""Watching a run: one poller a run, however many look, that keeps its journal and tells whoever looks what it sees."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import anyio

from ..events.journal import Journal
from ..events.snapshot import Snapshot
from ..exceptions import DatagraphError
from ..graph.model import Graph
from .cost import Cost

R = TypeVar("R")
Message = dict[str, Any]
"""What a subscriber is told: {"kind": "tick", "tick": its JSON}, {"kind": "stale", "seconds", "reason"}, {"kind":
"ended"}."""

QUIET_HZ = 2.0
MOST_HZ = 10.0
STILL_HZ = 5.0
"""At most so often a run is looked at in which nothing has moved for a second."""
STALE_SECONDS = 1.5
_FIRST_SECONDS = 0.05
"""A run that is over sooner than this is looked at once, at its end."""
_AGAIN_SECONDS = 0.5
"""After a look that failed."""
_log = logging.getLogger("datagraph.observe")


@dataclass(frozen=True, slots=True)
class EdgeLook:
    """The last `values` of an edge, at the positions from `first` on, of `written` in all; nothing is taken.

    `versions` says of each of them which version of its processor wrote it; () where there was only one.
    """

    edge: str
    stream: str
    values: Sequence[Any]
    first: int
    written: int
    note: str = ""
    versions: Sequence[int | None] = ()


@dataclass(frozen=True, slots=True)
class NodeLook:
    """What there is to know of a node: its `source` where it is at hand, and what went wrong in it.

    `errors` and `letters` (dead ones) are mappings of text and values, `logs` its last lines.
    """

    node: str
    source: str | None = None
    file: str = ""
    line: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    errors: Sequence[Mapping[str, Any]] = ()
    letters: Sequence[Mapping[str, Any]] = ()
    logs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PartLook:
    """The values `start` to `stop` of a stream, by the `edge` that shows them, made by that `version` of a processor.

    `values` are the first of them: None where they are not kept any more. `exact`: these, not some of them.
    """

    stream: str
    start: int
    stop: int
    exact: bool
    values: Sequence[Any] | None
    edge: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class ValueLook:
    """Where a value came from (`came`; nothing of an input), and what `became` of it: (node, status, what it made).

    A subject that has this to tell has a method ``value_lens(edge, position)`` for it, and takes a position in
    ``edge_lens(edge, most, position)`` to show the values around it.
    """

    edge: str
    stream: str
    position: int
    came: Sequence[PartLook]
    became: Sequence[tuple[str, str, Sequence[PartLook]]]


class Subject(Protocol):
    """What a view needs of anything that it shows, of whichever kind.

    `spawn` may be called from any thread; the coroutine functions are for the loop that it starts them in.
    """

    @property
    def id(self) -> str:
        """Its id, unique in its store."""

    @property
    def name(self) -> str:
        """What its user calls it."""

    @property
    def graph(self) -> Graph:
        """What is connected to what."""

    @property
    def watcher(self) -> Watcher:
        """Its one poller."""

    def spawn(self, function: Callable[..., Awaitable[R]], *args: Any) -> Future[R]:
        """Start a coroutine function in the loop that the watcher lives in."""

    async def edge_lens(self, edge: str, most: int) -> EdgeLook:
        """The last values of an edge, at most so many; UnknownIOError."""

    async def node_lens(self, node: str, most: int) -> NodeLook:
        """A node, with at most so many of everything that there are many of; UnknownIOError."""

    async def act(self, action: str, node: str) -> str:
        """Pause, resume, stop or cancel, all of it or one node; the status after that."""


class _Subscriber:
    """Somebody who looks, at most `hz` times a second."""

    def __init__(self, tell: Callable[[Message], None], hz: float) -> None:
        self.tell = tell
        self.hz = hz
        self.told = -math.inf
        self.failures = 0


class Subscription:
    """One looker of a watcher: `set_rate` says how often it looks, `end` that it does not any more; from any thread."""

    def __init__(self, watcher: Watcher, subscriber: _Subscriber) -> None:
        self._watcher = watcher
        self._subscriber = subscriber

    def set_rate(self, hz: float) -> None:
        """Be told at most `hz` times a second; with 0 as often as is looked anyway, without asking for more."""
        before, self._subscriber.hz = self._subscriber.hz, min(hz, MOST_HZ)
        if self._subscriber.hz > before:
            self._watcher._hurry()

    def end(self) -> None:
        """Be told nothing more."""
        self._watcher._leave(self._subscriber)


class Watcher:
    """Polls one run and keeps its journal: twice a second while it runs, up to ten times while somebody looks.

    Half as often where nothing has moved for a second; where the loop that it shares with the run has no time to spare,
    as often as keeps looking below a hundredth of that loop's time; see `cost.py`. A look that is not answered yet
    is never asked again, and what was missed is not made up for: the run goes first. A store that is away is told as
    stale, and asked again until it is back. `serve` is its task; `subscribe` and `look` are called in the same loop,
    what they return from anywhere.

    Args:
        see: takes a snapshot.
        over: whether the run has ended, as far as this process knows.
        wake: an event that is set when that may have changed.
        soon: runs a function in the watcher's loop soon, from any thread.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        see: Callable[[], Awaitable[Snapshot]],
        over: Callable[[], bool],
        wake: Callable[[], anyio.Event],
        soon: Callable[[Callable[[], Any]], None],
    ) -> None:
        self.journal = journal
        self.snapshot: Snapshot | None = None
        self._see = see
        self._over = over
        self._wake = wake
        self._soon = soon
        self._subscribers: list[_Subscriber] = []
        self._hurried = anyio.Event()
        self._looking = anyio.Lock()
        self._cost = Cost()
        self._scope = anyio.CancelScope()
        self._seen = self._moved = time.monotonic()
        self._counts: object = None
        self._reason = ""
        self.polls = 0

    # -- subscribers ----------------------------------------------------------------------------------------------

    def subscribe(self, tell: Callable[[Message], None], hz: float = MOST_HZ) -> Subscription:
        """Have `tell` called with every message from now on, in the watcher's loop; at most `hz` ticks a second.

        What it raises is logged, and after ten failures in a row it is told nothing more.
        """
        subscriber = _Subscriber(tell, min(hz, MOST_HZ))
        self._subscribers.append(subscriber)
        self._hurry()
        return Subscription(self, subscriber)

    @property
    def subscribers(self) -> int:
        """How many are told."""
        return len(self._subscribers)

    def _leave(self, subscriber: _Subscriber) -> None:
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    def _hurry(self) -> None:
        self._soon(self._wake_poller)

    def _wake_poller(self) -> None:
        hurried, self._hurried = self._hurried, anyio.Event()
        hurried.set()

    def _tell(self, message: Message, *, now: float | None = None, period: float = 0.0) -> None:
        """Tell everybody, or, given a time, those who have not been told for their period, less half a poll."""
        for subscriber in tuple(self._subscribers):
            if now is not None:
                if subscriber.hz and now - subscriber.told < 1.0 / subscriber.hz - period / 2:
                    continue
                subscriber.told = now
            try:
                subscriber.tell(message)
                subscriber.failures = 0
            except Exception:
                subscriber.failures += 1
                if subscriber.failures == 1:
                    _log.exception("a view failed to take what it was told; its later failures are not logged")
                if subscriber.failures >= 10:
                    self._leave(subscriber)

    def rewired(self, graph: Graph) -> None:
        """The run has another graph from now on."""
        self.journal.rewire(graph)
        self._tell({"kind": "graph"})

    # -- the task -------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Watch until `close`."""
        self._seen = time.monotonic()
        with anyio.CancelScope() as self._scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._notice_stale)
                tasks.start_soon(self._notice_end)
                await self._poll()

    def close(self, reason: str = "") -> None:
        """Stop watching; whoever looks is told the reason, if there is one."""
        self._scope.cancel()
        if reason and self._subscribers:
            self._tell({"kind": "stale", "seconds": round(time.monotonic() - self._seen, 1), "reason": reason})

    async def finish(self) -> None:
        """The run is over for good: look a last time, tell everybody, and stop watching."""
        try:
            await self.look(everybody=True)
        finally:
            self._tell({"kind": "ended"})
            self.close()

    async def _poll(self) -> None:
        with anyio.move_on_after(_FIRST_SECONDS):
            await self._until_over(True)
        while True:
            hurried, over, began = self._hurried, self._over(), time.monotonic()
            seen = await self._try(last=over)
            if seen and over and self._over():
                self._tell({"kind": "ended"})
                await self._until_over(False)
                continue
            period = max(self._period(), self._cost.pause()) if seen else _AGAIN_SECONDS
            due = max(began + period, time.monotonic())
            with anyio.move_on_after(due - time.monotonic()) as timer:
                await hurried.wait()
            if timer.cancelled_caught:
                self._cost.woke(time.monotonic() - due)

    def _period(self) -> float:
        hz = max([QUIET_HZ, *(subscriber.hz for subscriber in self._subscribers)])
        return 1.0 / (hz if self._seen - self._moved < 1.0 else min(hz, STILL_HZ))

    async def _until_over(self, over: bool) -> None:
        """Wait until the run has ended; or, not `over`, until it goes on again."""
        while self._over() is not over:
            await self._wake().wait()

    async def _try(self, *, last: bool) -> bool:
        """Look once; whether that was answered."""
        try:
            await self._cost.of(self.look(everybody=last))
        except (DatagraphError, OSError) as error:
            self._reason = str(error)
            return False
        except Exception:
            _log.exception("a look at the run failed")
            self._reason = "it could not be looked at: the log of this process says why"
            return False
        return True

    async def look(self, *, everybody: bool = False) -> Snapshot:
        """Look now, keep what is seen, and tell those who are due, or `everybody`."""
        async with self._looking:
            snapshot = self.snapshot = await self._see()
            now = self._seen = time.monotonic()
            counts = [(edge.written, edge.read) for edge in snapshot.edges.values()]
            if counts != self._counts:
                self._counts, self._moved = counts, now
            self._reason = ""
            self.polls += 1
            told = {"kind": "tick", "tick": self.journal.record(snapshot).decode()}
            self._tell(told, now=None if everybody else now, period=self._period())
            return snapshot

    async def _notice_end(self) -> None:
        """Look at once when the run ends or goes on again."""
        over = self._over()
        while True:
            over = not over
            await self._until_over(over)
            self._wake_poller()

    async def _notice_stale(self) -> None:
        """Tell everybody, once a second, that nothing has been seen for some time."""
        while True:
            await anyio.sleep(1.0)
            away = time.monotonic() - self._seen
            resting = self._over() and not self._reason and self.snapshot is not None
            if away >= STALE_SECONDS and not resting:
                reason = self._reason or "the store does not answer"
                self._tell({"kind": "stale", "seconds": round(away, 1), "reason": reason})
