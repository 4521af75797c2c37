"""The streams that a processor's function reads. The hot path of reading is `IO.__anext__`, four lines below.

A value is *in hand* from the moment it is given out until its reader is asked for the next one. Positions are not
counted value by value: a chunk is a list that is being iterated, and how much of it has gone is what its iterator no
longer expects. To have a reader come by soon, the rest of its chunk is taken away from under it (`Reader.recall`), so
its next step ends in the slow path, which is the place for safe points, pauses and waiting.
"""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, Protocol, TypeVar, cast

import anyio

from ..exceptions import EmptyStreamError, MismatchedIOError
from .outlet import GATHER
from .port import Port, opened
from .threads import in_loop
from .values import IOVal

T = TypeVar("T")

_MISSING: Any = object()


class Desk(Protocol):
    """The node that readers belong to: asked before every chunk."""

    threaded: bool

    async def asked(self, reader: Reader) -> None:
        """A reader has finished what it had: maybe a safe point, maybe a pause, maybe a wait for room."""

    def given(self, reader: Reader, count: int) -> None:
        """A reader gave out a chunk of so many values."""

    def paused(self) -> bool:
        """Whether nothing is to be given out now; `asked` waits until it may."""

    def chunk_limit(self) -> int:
        """The most values that one chunk may hold now."""

    async def looked(self, port: Port, value: Any) -> None:
        """`first` saw this value."""

    async def set_hold(self, port: Port, hold: str, capacity: int | None = None) -> None:
        """Change how a port holds its stream back."""

    def halts(self) -> bool:
        """Whether the function is to be left at this point, where nothing is in hand."""

    def leave(self) -> BaseException:
        """What is raised in the function to have it left."""

    def seen(self, port: str) -> Any:
        """What `first` saw before a restart, or the missing mark."""


class Reader:
    """Something that gives out values chunk by chunk: a port, or several joined."""

    repeatable = True

    def __init__(self, desk: Desk, ports: tuple[Port, ...]) -> None:
        self._desk = desk
        self._ports = ports
        self._chunk: list[Any] = []
        self._it: Iterator[Any] = iter(self._chunk)
        self.in_hand = False

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        for value in self._it:
            return value
        return await self._next()

    def __iter__(self) -> Any:
        if not self._desk.threaded:
            raise TypeError("a stream is read with 'async for' here; only plain functions and generators use 'for'")
        return self

    def __next__(self) -> Any:
        for value in self._it:
            return value
        try:
            return in_loop(self._next)
        except StopAsyncIteration:
            raise StopIteration from None

    async def _next(self) -> Any:
        self._chunk = []
        self.in_hand = False
        while True:
            await self._desk.asked(self)
            chunk = await self._more(self._desk.chunk_limit())
            if not chunk and self._desk.halts():
                raise self._desk.leave()
            if not chunk or not self._desk.paused():
                break
            self._take_back(chunk)  # it was paused while it waited
        if not chunk:
            self._it = iter(())
            raise StopAsyncIteration
        self._chunk = chunk
        self._it = it = iter(chunk)
        self.in_hand = True
        self._desk.given(self, len(chunk))
        return next(it)

    async def _more(self, limit: int) -> list[Any]:
        raise NotImplementedError

    def recall(self) -> None:
        """Take back what has not been given out yet, so that the next step comes to `_next`."""
        left = operator.length_hint(self._it)
        if left:
            chunk = self._chunk
            tail = chunk[len(chunk) - left :]
            del chunk[len(chunk) - left :]
            self._take_back(tail)

    def _take_back(self, tail: list[Any]) -> None:
        raise NotImplementedError

    def hand(self) -> tuple[list[tuple[Port, int, int]], Any]:
        """Which positions (port, start, stop) are in hand, and the value; nothing where none is."""
        left = operator.length_hint(self._it)
        if not self.in_hand or left >= len(self._chunk):
            return [], None
        value = self._chunk[len(self._chunk) - left - 1]
        return [(port, port.position - left - 1, port.position - left) for port in self._ports], value


class IO(Reader, Generic[T]):
    """A stream, as a processor's function sees it.

    ``async for value in foo`` reads value after value (plain functions and generators: ``for``). A quiet stream is no
    error: reading waits. It ends when its writer has ended and everything was read.
    """

    def __init__(self, desk: Desk, port: Port) -> None:
        super().__init__(desk, (port,))
        self._port = port
        self._looked_only = True

    def __repr__(self) -> str:
        return f"IO({self._port.name!r})"

    @property
    def name(self) -> str:
        """The port's name."""
        return self._port.name

    def __aiter__(self) -> AsyncIterator[T]:
        return cast("AsyncIterator[T]", self)

    async def _more(self, limit: int) -> list[Any]:
        if self._looked_only:
            self._looked_only = False
            if self._port.hold == "free":
                await self._desk.set_hold(self._port, "hold")
        while await self._port.fill():
            if values := self._port.take(limit):
                return values
        return []

    def _take_back(self, tail: list[Any]) -> None:
        self._port.give_back(tail)

    def stream(self, cursor: int | None = None) -> AsyncIterator[T]:
        """The values from here on, or from the position `cursor` (values from the start of the stream) on.

        Raises StreamTrimmedError, when read, where the values at `cursor` are not kept any more.
        """
        if cursor is not None:
            if cursor < 0:
                raise ValueError(f"a cursor counts values from the start of the stream; got {cursor}")
            self._chunk, self._it = [], iter(())
            self._port.rewind(cursor)
        return cast("AsyncIterator[T]", self)

    async def first(self, default: T = _MISSING) -> T:
        """The first value of the stream; waits for it. It is a look: nothing is read and nobody is held back by it.

        `default` is returned where the stream ended empty; without one that is an EmptyStreamError.
        """
        port = self._port
        seen = self._desk.seen(port.name)
        if seen is not _NOT_SEEN:
            return cast("T", seen)
        value = await self._look(default, first=True)
        if value is not default or default is _MISSING:
            await self._desk.looked(port, value)
        if self._looked_only and port.hold == "hold":  # only now: what is not held may be trimmed at once
            await self._desk.set_hold(port, "free")
        return value

    async def latest(self, default: T = _MISSING) -> T:
        """The newest value of the stream as it is now; waits for one. A look, like `first`; it cannot be replayed."""
        if self._looked_only and self._port.hold == "hold":
            await self._desk.set_hold(self._port, "free")
        return await self._look(default, first=False)

    async def _look(self, default: T, *, first: bool) -> T:
        port = self._port
        while True:
            event = port.session.signals.event(f"values:{port.stream}")
            await port.session.watch(port.stream)
            if first:
                found = await port.session.read(port.stream, 0, 1)
            else:
                found = await port.session.tail(port.stream, 1)
            if found.frames:
                values = opened(port.codec, port.stream, found.frames[0 if first else -1])
                return cast("T", values[0 if first else -1])
            if found.ended:
                if default is _MISSING:
                    raise EmptyStreamError(f"the stream {port.stream!r} ended without a value: give first() a default")
                return default
            if self._desk.halts():
                raise self._desk.leave()
            with port.clock.starved(port.name):
                await event.wait()

    async def is_complete(self) -> bool:
        """Whether the stream has ended and every value of it has been given out; never waits."""
        if operator.length_hint(self._it) or self._port.ready():
            return False
        return not await self._port.fill(wait=False) and self._port.ended

    def stream_with(
        self, *others: IO[Any], pad: Any = _MISSING, strict: bool = False
    ) -> AsyncIterator[tuple[Any, ...]]:
        """Tuples of one value of each stream, until the shortest ends.

        With `pad` until the longest ends, missing values being `pad`; with `strict` streams of unequal length are a
        MismatchedIOError.
        """
        return Zipped(self._desk, self._together(others), pad=pad, strict=strict)

    def as_available(self, *others: IO[Any]) -> AsyncIterator[IOVal[Any]]:
        """``IOVal(name, value)`` of whichever stream has something; the order cannot be replayed."""
        return Merged(self._desk, self._together(others))

    def batches(self, size: int, within: float | None = None) -> AsyncIterator[list[T]]:
        """Lists of `size` values; shorter ones `within` seconds after their first value came, and at the end."""
        if size < 1:
            raise ValueError(f"a batch holds at least one value; got size={size}")
        return Batched(self._desk, self._together(())[0], size, within)

    async def collect(self) -> list[T]:
        """Everything to the end, as a list. Its edge has no capacity from then on."""
        await self._desk.set_hold(self._port, "open")
        self._looked_only = False
        return [value async for value in self]

    def _together(self, others: tuple[IO[Any], ...]) -> tuple[Port, ...]:
        for io in (self, *others):
            io.recall()
            io._looked_only = False
        return tuple(io._port for io in (self, *others))


class _NotSeen:
    pass


_NOT_SEEN: Any = _NotSeen()


def not_seen() -> Any:
    """The mark that says that `first` saw nothing yet."""
    return _NOT_SEEN


class Zipped(Reader):
    """Tuples of one value of each port. Half a tuple is unread."""

    def __init__(self, desk: Desk, ports: tuple[Port, ...], *, pad: Any, strict: bool) -> None:
        super().__init__(desk, ports)
        self._pad = pad
        self._strict = strict

    async def _more(self, limit: int) -> list[Any]:
        alive = [await port.fill() for port in self._ports]
        if not any(alive):
            return []
        if not all(alive):
            if self._strict:
                short = ", ".join(p.name for p, more in zip(self._ports, alive, strict=True) if not more)
                raise MismatchedIOError(f"streams of unequal length were zipped with strict=True: {short} ended first")
            if self._pad is _MISSING:
                return []
        limit = min([limit, *(p.available() for p, more in zip(self._ports, alive, strict=True) if more)])
        columns = [p.take(limit) if more else [self._pad] * limit for p, more in zip(self._ports, alive, strict=True)]
        return list(zip(*columns, strict=True))

    def _take_back(self, tail: list[Any]) -> None:
        for port, column in zip(self._ports, zip(*tail, strict=True), strict=True):
            if not (port.ended and not port.ready() and column[0] is self._pad):
                port.give_back(list(column))


class Merged(Reader):
    """Values of several ports as they come, each port in its own order."""

    repeatable = False

    def __init__(self, desk: Desk, ports: tuple[Port, ...]) -> None:
        super().__init__(desk, ports)
        self._turn = 0
        self._from = ports[0]

    async def _more(self, limit: int) -> list[Any]:
        while True:
            streams = [p.stream for p in self._ports]
            events = [p.session.signals.event(f"values:{p.stream}") for p in self._ports]
            count = len(self._ports)
            for step in range(count):
                port = self._ports[(self._turn + step) % count]
                if await port.fill(wait=False):
                    self._turn = (self._turn + step + 1) % count
                    self._from = port
                    return [IOVal(name=port.name, value=value) for value in port.take(limit)]
            if all(port.ended for port in self._ports):
                return []
            if streams != [p.stream for p in self._ports]:
                continue
            with self._ports[0].clock.starved(*(port.name for port in self._ports)):
                await wait_any(events)

    def _take_back(self, tail: list[Any]) -> None:
        self._from.give_back([item.value for item in tail])


class Batched(Reader):
    """Lists of values. A batch that is not full yet is unread."""

    def __init__(self, desk: Desk, port: Port, size: int, within: float | None) -> None:
        super().__init__(desk, (port,))
        self._port = port
        self._size = size
        self._within = within
        self.repeatable = within is None
        self._raised = False

    async def _more(self, limit: int) -> list[Any]:
        port, size = self._port, self._size
        if not self._raised:
            self._raised, limit = True, 1  # nobody knows yet how long one takes
            await self._desk.set_hold(port, "hold", capacity=2 * size)
        if not await port.fill():
            return []
        found = [await port.batch(size, self._within)]
        while self.repeatable and len(found) < limit and not port.bad and (len(found) + 1) * size <= GATHER:
            port.gather(size)  # whole ones that are here already
            if port.available() < size:
                break
            found.append(port.take(size))
        return found

    def hand(self) -> tuple[list[tuple[Port, int, int]], Any]:
        """The whole batch is in hand."""
        left = operator.length_hint(self._it)
        if not self.in_hand or left >= len(self._chunk):
            return [], None
        at = len(self._chunk) - left - 1
        batch, stop = self._chunk[at], self._port.position - sum(map(len, self._chunk[at + 1 :]))
        return [(self._port, stop - len(batch), stop)], batch

    def _take_back(self, tail: list[Any]) -> None:
        for values in reversed(tail):
            self._port.give_back(values)


async def wait_any(events: list[anyio.Event]) -> None:
    """Return when one of the events is set."""
    async with anyio.create_task_group() as tasks:

        async def one(event: anyio.Event) -> None:
            await event.wait()
            tasks.cancel_scope.cancel()

        for event in events:
            tasks.start_soon(one, event)
