"""Values on their way in memory: edges with a capacity, and the queue of a node whose workers compete for them.

Bounded edges can lock a graph that has a ring: each node of it waits for room that another one would make. Such a
closed set is found the moment that its last worker begins to wait, and its smallest full edge grows (Parks, 1995);
nothing else ever makes an edge longer than its capacity.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any, Literal

import anyio

Kind = Literal["busy", "starved", "blocked", "paused"]


class Lanes:
    """Seconds that one node's workers spent busy, starved and blocked, all of them together."""

    __slots__ = ("_now", "_since", "_spent", "workers")

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._now: dict[str, int] = {"busy": 0, "starved": workers, "blocked": 0, "paused": 0}
        self._spent: dict[str, float] = dict.fromkeys(self._now, 0.0)
        self._since = monotonic()

    def shift(self, before: Kind, after: Kind) -> None:
        """One worker does something else from now on."""
        now = monotonic()
        passed, self._since = now - self._since, now
        for kind, workers in self._now.items():
            if workers:
                self._spent[kind] += passed * workers
        self._now[before] -= 1
        self._now[after] += 1

    def stop(self) -> None:
        """Nobody works here any more: the time stands still."""
        for kind in ("busy", "starved", "blocked"):
            while self._now[kind] > 0:
                self.shift(kind, "paused")

    def all(self, kind: Kind) -> bool:
        """Whether every worker is at this."""
        return self._now[kind] == self.workers

    def totals(self) -> tuple[float, float, float]:
        """Seconds (busy, starved, blocked), what goes on right now included; from any thread."""
        passed = monotonic() - self._since
        busy, starved, blocked = (self._spent[k] + passed * self._now[k] for k in ("busy", "starved", "blocked"))
        return busy, starved, blocked


class MemoryEdge:
    """One way into a node's queue: at most `capacity` of what it wrote waits there.

    `written` and `read` count values. `seen` keeps the last values from when somebody first asked for them.
    """

    __slots__ = ("_waiting", "capacity", "name", "queue", "read", "seen", "written")

    def __init__(self, name: str, queue: MemoryQueue, capacity: int) -> None:
        self.name = name
        self.queue = queue
        self.capacity = capacity
        self.written = 0
        self.read = 0
        self.seen: deque[Any] | None = None
        self._waiting: list[anyio.Event] = []

    @property
    def lag(self) -> int:
        """Values that wait."""
        return self.written - self.read

    @property
    def blocks(self) -> bool:
        """Whether a writer waits for room."""
        return bool(self._waiting)

    def offer(self, context: Any, value: Any) -> bool:
        """Put a value in, if there is room."""
        if self.written - self.read >= self.capacity:
            return False
        self.written += 1
        queue = self.queue
        queue.items.append((self, context, value))
        if self.seen is not None:
            self.seen.append(value)
        if queue.takers:
            queue.takers.popleft().set()
        return True

    async def room(self) -> None:
        """Wait until there may be room."""
        event = anyio.Event()
        self._waiting.append(event)
        try:
            await event.wait()
        finally:
            if event in self._waiting:
                self._waiting.remove(event)

    def taken(self) -> None:
        """A value of this edge was taken. Writers go on when an eighth of a full edge is free: one value at a time
        would cost a change of tasks each.
        """
        self.read += 1
        if self._waiting and self.written - self.read <= self.capacity - (self.capacity + 7) // 8:
            self.wake()

    def wake(self) -> None:
        """Let the writers look again."""
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.set()


class MemoryQueue:
    """What waits for one node, in the order in which it came; its workers compete for it.

    `blocked` has the edge that each worker waits at for room.
    """

    __slots__ = ("blocked", "items", "lanes", "name", "takers")

    def __init__(self, name: str, workers: int) -> None:
        self.name = name
        self.items: deque[tuple[MemoryEdge, Any, Any]] = deque()
        self.takers: deque[anyio.Event] = deque()
        self.lanes = Lanes(workers)
        self.blocked: list[MemoryEdge] = []

    async def wait(self) -> None:
        """Wait until there may be something to take."""
        event = anyio.Event()
        self.takers.append(event)
        try:
            await event.wait()
        finally:
            if event in self.takers:
                self.takers.remove(event)


def closed_set(queues: Iterable[MemoryQueue]) -> set[MemoryQueue]:
    """The nodes whose workers all wait for room that only one of these nodes could make."""
    stuck = {queue for queue in queues if len(queue.blocked) == queue.lanes.workers}
    while True:
        free = {q for q in stuck if any(e.queue not in stuck or e.lag < e.capacity for e in q.blocked)}
        if not free:
            return stuck
        stuck -= free


def relieve(stuck: set[MemoryQueue], told: Callable[[MemoryEdge, int], None]) -> None:
    """Let the smallest full edge of a closed set grow by half; `told` hears of it and of its capacity before."""
    edge = min((edge for queue in stuck for edge in queue.blocked), key=lambda edge: edge.capacity)
    before = edge.capacity
    edge.capacity += (before + 1) // 2
    told(edge, before)
    edge.wake()
