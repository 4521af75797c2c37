"""Who writes a flow's inputs: an iterable, an async iterable of the caller's loop, or senders to an open input."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import anyio

from ..exceptions import DatagraphError, StoreLostError
from .context import Context
from .work import Work


class Inbox:
    """A queue from other threads and loops into a feeder. A sender is told when its values are stored.

    Values stay until they are stored, so a feeder that starts again (after the store went back) sends them again.
    """

    def __init__(self) -> None:
        self._values: deque[Any] = deque()
        self._first = 0
        self._known = False
        self._wake: Callable[[], None] | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._waiters: list[tuple[int, Callable[[BaseException | None], None]]] = []
        self._error: BaseException | None = None

    def put(self, values: Iterable[Any], done: Callable[[BaseException | None], None]) -> None:
        """From any thread: add values; `done` is called, in the runtime's thread, when they are stored."""
        with self._lock:
            error = self._error
            if error is None and self._closed:
                error = DatagraphError("this input is complete: nothing can be sent to it any more")
            if error is None:
                self._values.extend(values)
                self._waiters.append((self._first + len(self._values), done))
        if error is not None:
            done(error)
        elif self._wake is not None:
            self._wake()

    def close(self) -> None:
        """From any thread: nothing more comes."""
        self._closed = True
        if self._wake is not None:
            self._wake()

    def stored(self, length: int) -> None:
        """The stream holds so many values now."""
        with self._lock:
            while self._values and self._first < length:
                self._values.popleft()
                self._first += 1
            ready = [done for target, done in self._waiters if target <= length]
            self._waiters = [(target, done) for target, done in self._waiters if target > length]
        for done in ready:
            done(None)

    def fail(self, error: BaseException) -> None:
        """The run has ended: whoever waits is told."""
        with self._lock:
            self._error = error
            waiters, self._waiters = self._waiters, []
        for _, done in waiters:
            done(error)

    async def values(self, length: int, soon: Callable[[Callable[[], None]], None]) -> AsyncIterator[Any]:
        """The values as they come, in the runtime's loop, after the `length` that the stream holds already."""
        event = anyio.Event()

        def wake() -> None:
            soon(lambda: event.set())  # noqa: PLW0108 - `event` is another one by then

        with self._lock:
            if not self._known:
                self._known = True
                self._waiters = [(target + length, done) for target, done in self._waiters]
                self._first = length
        if length < self._first:
            raise StoreLostError(
                f"the store lost {self._first - length} values that had been sent and acknowledged: send them again"
            )
        self._wake = wake
        at = length
        while True:
            while at < self._first + len(self._values):
                yield self._values[at - self._first]
                at += 1
            if self._closed:
                return
            event = anyio.Event()
            if at < self._first + len(self._values) or self._closed:
                continue
            await event.wait()


def feeder(name: str, stream: str, values: Any, *, pace: float | None = None) -> Work:
    """The work of feeding `stream` from an iterable; a list, tuple or range in the loop, others in a worker thread."""
    inline = isinstance(values, list | tuple | range)

    begun = False

    async def prepare(stack: AsyncExitStack, context: Context) -> Callable[..., Any]:
        def in_thread() -> Iterator[Any]:
            nonlocal begun
            if begun and isinstance(values, Iterator):
                raise StoreLostError(
                    f"the store lost values of the input {stream!r}, which was given as an iterator and cannot be read "
                    f"twice: `recover` the run with the same values"
                )
            begun = True
            yield from values

        return (lambda: values) if inline else in_thread

    return _work(name, stream, prepare, "values" if inline else "generator", pace, sheds=True)


def open_feeder(
    name: str, stream: str, inbox: Inbox, wake: Callable[[Callable[[], None]], None], *, pace: float | None = None
) -> Work:
    """The work of feeding `stream` from an inbox."""

    async def prepare(stack: AsyncExitStack, context: Context) -> Callable[..., Any]:
        return lambda: inbox.values(context.lengths.get(stream, 0), wake)

    return _work(name, stream, prepare, "asyncgen", pace, replays=False)


def _work(
    name: str,
    stream: str,
    prepare: Any,
    flavour: Any,
    pace: float | None,
    *,
    replays: bool = True,
    sheds: bool = False,
) -> Work:
    return Work(
        name=name,
        inputs=(),
        outputs=(stream,),
        shape="stream",
        flavour=flavour,
        prepare=prepare,
        rate=pace,
        replays=replays,
        sheds=sheds,
    )
