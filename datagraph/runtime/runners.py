"""Tasks that share one piece of work: started one after the other, waited for together, and cancelled together.

A task group of either library would do. That of asyncio takes a third of what a small node of a dag takes, mostly to
hear of the end of each task; here whoever shares the work says when none is left. Each runner has the context variables
that there were in the beginning, whatever the one that starts it has set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, Protocol

Runner = Callable[[], Coroutine[Any, Any, None]]


class Runners(Protocol):
    """How runners are started, in either library."""

    async def run(self, begin: Callable[[], None]) -> None:
        """Call `begin`, which spawns, and wait until none is left. What a runner raises is raised, others cancelled."""

    def spawn(self, runner: Runner) -> None:
        """Start one more."""

    def none_left(self) -> None:
        """Told by the last runner."""

    def broke(self, error: BaseException) -> None:
        """Told by a runner that ends with this."""

    def cancel(self) -> None:
        """Cancel all of them."""


class AsyncioRunners:
    """In asyncio. A task that is cancelled before it begins tells nobody, so that a cancellation counts by itself."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()
        self._tasks: list[asyncio.Task[None]] = []
        self._left: set[asyncio.Task[None]] | None = None
        self._done = False
        self._idle: asyncio.Future[None] = self._loop.create_future()
        self._error: BaseException | None = None

    async def run(self, begin: Callable[[], None]) -> None:
        begin()
        cancelled: asyncio.CancelledError | None = None
        while not self._done:
            try:
                await self._idle
            except asyncio.CancelledError as error:
                cancelled = cancelled or error
                self._idle = self._loop.create_future()
                self.cancel()
        if self._error is not None:
            for task in self._tasks:
                if task.done() and not task.cancelled():
                    task.exception()  # seen, so that the loop does not report it
            raise self._error
        if cancelled is not None:
            raise cancelled

    def spawn(self, runner: Runner) -> None:
        # Not by the loop's factory: eager tasks would nest.
        task = asyncio.Task(runner(), loop=self._loop, context=self._context.copy())
        self._tasks.append(task)
        if self._left is not None:
            self._cancel(task)

    def none_left(self) -> None:
        if self._left is None:
            self._end()

    def broke(self, error: BaseException) -> None:
        if not isinstance(error, asyncio.CancelledError):
            self._error = self._error or error
            self.cancel()

    def cancel(self) -> None:
        if self._left is not None or self._done:
            return
        self._left = set()
        for task in self._tasks:
            if not task.done():
                self._cancel(task)
        if not self._left:
            self._end()

    def _cancel(self, task: asyncio.Task[None]) -> None:
        assert self._left is not None
        self._left.add(task)
        task.add_done_callback(self._gone)
        task.cancel()

    def _gone(self, task: asyncio.Task[None]) -> None:
        assert self._left is not None
        self._left.discard(task)
        if not self._left:
            self._end()

    def _end(self) -> None:
        self._done = True
        if not self._idle.done():
            self._idle.set_result(None)


class TrioRunners:
    """In trio: a nursery, which knows all this."""

    def __init__(self) -> None:
        import trio

        self._open = trio.open_nursery
        self._context = copy_context()
        self._nursery: Any = None

    async def run(self, begin: Callable[[], None]) -> None:
        async with self._open() as self._nursery:
            begin()

    def spawn(self, runner: Runner) -> None:
        self._context.copy().run(self._nursery.start_soon, runner)

    def none_left(self) -> None:
        return

    def broke(self, error: BaseException) -> None:
        return

    def cancel(self) -> None:
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
