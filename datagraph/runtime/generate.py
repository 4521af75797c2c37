"""Functions that read streams: generators, coroutines and plain functions that take `IO`, and sources.

`pump` and `pump_in_thread` are the hot path of writing: what the function yields goes into a list, and only a full
list (or an idle writer, which sets the limit to zero) ends in a call.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, aclosing, closing
from itertools import islice
from math import inf
from time import monotonic
from typing import Any

import anyio

from ..exceptions import MismatchedIOError, UnknownIOError
from ..streams.records import Advance
from ..streams.text import short
from .emit import put
from .halting import Halted, HaltedInThread
from .home import Post, poster
from .io import IO, Reader, not_seen
from .node import Node
from .outlet import FRAME_BYTES, GATHER, Mark, Outlet, merge
from .port import Port
from .threads import in_loop, in_thread
from .values import IOVal, Many

_NAMED = {IOVal, Many}
Pressed = Callable[[Outlet], Coroutine[Any, Any, bool]]


async def pump(items: Any, only: Outlet | None, find: Callable[[Any], Outlet], pressed: Pressed) -> None:
    """Gather what an async generator yields until it ends, or until `pressed` says to stop."""
    if only is None:
        async for item in items:
            outlet = find(item)
            put(item, outlet)
            if len(outlet.buffer) >= outlet.limit and await pressed(outlet):
                return
        return
    name = only.stream
    buffer = only.buffer
    append = buffer.append
    async for item in items:
        if item.__class__ is IOVal:
            if item.name != name:
                find(item)
            append(item.value)
        elif item.__class__ is Many:
            put(item, find(item))
        else:
            append(item)
        if len(buffer) >= only.limit and await pressed(only):
            return


async def pour(values: Iterable[Any], outlet: Outlet, pressed: Pressed, most: int) -> None:
    """Put out values that are there already, `most` at a time, until `pressed` says to stop."""
    left = iter(values)
    while chunk := list(islice(left, min(most, outlet.full))):
        outlet.buffer.extend(chunk)
        if len(outlet.buffer) >= outlet.limit and await pressed(outlet):
            return


def pump_in_thread(
    items: Any, only: Outlet | None, find: Callable[[Any], Outlet], pressed: Pressed, told: Callable[[Outlet], bool]
) -> None:
    """The same for a plain generator, in a worker thread, which waits for the loop only where telling is not enough."""
    for item in items:
        outlet = only if only is not None and item.__class__ not in _NAMED else find(item)
        put(item, outlet)
        if len(outlet.buffer) >= outlet.limit and not told(outlet) and in_loop(pressed, outlet):
            return


class StreamNode(Node):
    """A node whose function takes streams."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._readers: list[Reader] = []
        self._asking = 0
        self._automatic = True
        self._pending: list[Mark] = []
        self._last: tuple[list[int], list[int]] | None = None
        self._chunk = 16
        self._given_at = 0.0
        self._given = 0
        self._seen: dict[str, Any] = {}
        self._post: Post

    async def drive(self, stack: AsyncExitStack) -> None:
        self._reset()
        call = await self.work.prepare(stack, self.context)
        streams: list[IO[Any]] = [IO(self, self.ports[port]) for port, _ in self.work.inputs]
        self._readers = list(streams)
        if self.work.wait:
            for port in self.ports.values():
                await self.until_complete(port)
        only = self.outlets[0] if len(self.outlets) == 1 else None
        flavour = self.work.flavour
        if flavour == "values" and only is not None:
            await pour(call(), only, self._pressed, 1 if self.work.rate is not None else GATHER)
        elif flavour == "asyncgen":
            async with aclosing(call(*streams)) as items:
                await pump(items, only, self._find, self._pressed)
        elif flavour == "generator":
            self._post = poster()

            def work() -> None:
                with closing(call(*streams)) as items:
                    pump_in_thread(items, only, self._find, self._pressed, self._told)

            await in_thread(self.engine.threads, self.meter.call, work)
        else:
            if flavour == "coroutine":
                result = await call(*streams)
            else:
                result = await in_thread(self.engine.threads, self.meter.call, call, *streams)
            if result is not None:
                put(result, self._find(result))

    def _reset(self) -> None:
        self._readers, self._pending, self._last = [], [], None
        self._asking, self._automatic = 0, True
        codec = self.session.codec
        self._seen = {port: codec.decode_value(data) for port, data in self.record.looked.items()}

    def _find(self, item: Any) -> Outlet:
        return find_outlet(self, item)

    # -- asked by its readers -------------------------------------------------------------------------------------

    async def asked(self, reader: Reader) -> None:
        if self.scope.deadline != inf:
            self.scope.deadline = inf
        if reader not in self._readers:
            self._readers.append(reader)
            self.arbitrary = self._automatic and (self.arbitrary or not reader.repeatable)
        if self.threaded:
            self._learn_pace()
        self._asking += 1
        try:
            if self._asking > 1:
                self._automatic = self.arbitrary = False
            if self._automatic and not any(other.in_hand for other in self._readers):
                self._note()
                if self.halts():
                    raise self.leave()
            await self.writer.breathe()
            await self.engine.gate(self)
            if self.work.rate is not None:
                await self.engine.paced(self)
        finally:
            self._asking -= 1

    def halts(self) -> bool:
        return (
            self.halting
            and self._automatic
            and not any(reader.in_hand for reader in self._readers)
            and not any(outlet.skip for outlet in self.outlets)
        )

    def leave(self) -> BaseException:
        return HaltedInThread() if self.threaded else Halted()

    def given(self, reader: Reader, count: int) -> None:
        self._given_at, self._given = monotonic(), count
        if self.engine.steps(self.name) is not None:
            self.engine.stepped(self.name, count)
        self.writer.driven_at = self._given_at
        if self.work.timeout is not None:
            self.scope.deadline = anyio.current_time() + self.work.timeout

    def paused(self) -> bool:
        return self.engine.is_paused(self.name)

    def chunk_limit(self) -> int:
        return self.within_steps(self._chunk_size())

    def _chunk_size(self) -> int:
        if self.work.timeout is not None or self.work.rate is not None:
            return 1
        if self.arbitrary:
            by_bytes = [int(FRAME_BYTES / outlet.average) for outlet in self.outlets if outlet.average]
            return max(1, min([16, *by_bytes, *(o.capacity // 4 for o in self.outlets if o.capacity)]))
        return self._chunk if self.threaded else GATHER

    async def looked(self, port: Port, value: Any) -> None:
        self._seen[port.name] = value
        self.writer.looked[port.name] = self.session.codec.encode_value(value)
        self.writer.wake()

    async def set_hold(self, port: Port, hold: Any, capacity: int | None = None) -> None:
        if self.work.wait or (port.hold == "open" and hold == "hold" and capacity is None):
            return
        if port.hold == "open" and hold == "hold":
            hold = "open"
        if capacity is not None and capacity <= self.engine.capacity(self.name, port.segments[-1].name):
            capacity = None
        port.hold = hold
        last = port.segments[-1].name
        await self.session.hold(self.name, last, hold, capacity=capacity)
        self.engine.held(self.name, last, hold, capacity)

    def seen(self, port: str) -> Any:
        return self._seen.get(port, not_seen())

    def _learn_pace(self) -> None:
        """In a thread nothing can be recalled, so a chunk should take about 10 ms."""
        if self._given and self._given_at:
            spent = monotonic() - self._given_at
            per_value = spent / self._given
            self._chunk = max(1, min(GATHER, int(0.01 / per_value) if per_value > 0 else GATHER, 4 * self._chunk))

    # -- asked by the writer --------------------------------------------------------------------------------------

    def _note(self) -> None:
        """A safe point, unless nothing has changed since the last."""
        totals = [outlet.total() for outlet in self.outlets]
        positions = [port.position for port in self.ports.values()]
        if self._last == (totals, positions):
            return
        if self._last is None and not any(totals) and not any(positions):
            return
        self._last = (totals, positions)
        reads = self._read()
        mark = Mark(totals, reads, self.saved_state(), self._letters(), ends=self._ends(reads))
        if self._pending and not self.arbitrary:
            self._pending = [merge(self._pending[0], mark)]
        else:
            self._pending.append(mark)

    def _read(self) -> list[Advance]:
        return [read for port in self.ports.values() for read in port.advances(port.position)]

    def _ends(self, reads: list[Advance]) -> list[tuple[str, str, int]] | None:
        """What `first` saw was not read, and yet is what came of it made from it."""
        return self._with_first([(read.port, read.stream, read.cursor) for read in reads]) if self._seen else None

    def _with_first(self, ends: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
        return [(name, stream, max(at, int(name in self._seen))) for name, stream, at in ends]

    def taken(self) -> list[tuple[str, str, int]]:
        return self._with_first(super().taken())

    def _letters(self) -> list[Any]:
        letters: list[Any] = []
        for port in self.ports.values():
            letters += [letter for letter in port.letters if letter]
            for position in [p for p in self.bad.get(port.name, {}) if p < port.position]:
                del self.bad[port.name][position]
            port.letters = []
        return letters

    def mark(self, limit: int) -> Mark | None:
        """The newest safe point; where only whole ones are stored, the newest of which all fits; one at least."""
        found = None
        while self._pending and (found is None or not self.arbitrary or self._is_within(limit, self._pending[0])):
            mark = self._pending.pop(0)
            found = mark if found is None else merge(found, mark)
        return found

    def _is_within(self, limit: int, mark: Mark) -> bool:
        return all(total - o.gone <= limit for total, o in zip(mark.totals, self.outlets, strict=True))

    def final(self, limit: int) -> Mark | None:
        if self.arbitrary and (mark := self.mark(limit)) is not None:
            mark.more = True
            return mark
        letters = [letter for mark in self._pending for letter in mark.letters] + self._letters()
        self._pending = []
        for reader in self._readers:
            reader.recall()
        if self.closing and self.work.sheds:
            for outlet in self.outlets:
                outlet.buffer.clear()
                outlet.skip = 0
        reads = self._read()
        totals = [outlet.total() for outlet in self.outlets]
        return Mark(totals, reads, self.saved_state(), letters, ends=self._ends(reads))

    def recall(self) -> None:
        if not self.threaded:
            for reader in self._readers:
                reader.recall()

    def hand(self) -> tuple[list[tuple[Port, int, int]], Any]:
        for reader in self._readers:
            hands, value = reader.hand()
            if hands:
                return hands, value
        return [], None

    async def commit_now(self) -> None:
        self.recall()
        self._note()
        await self.writer.flush()

    def _told(self, outlet: Outlet) -> bool:
        """In a thread: tell the writer that there is something; False where the function has to come by.

        A way there and back for every value would be all that a fast function has time for.
        """
        writer, gathered = self.writer, len(outlet.buffer)
        if gathered >= outlet.full or writer.waiting_for_room or self.work.rate is not None:
            return False
        if self.closing or self.halting or self.engine.steps(self.name) is not None:
            return False
        outlet.step = min(GATHER, 2 * outlet.step)
        outlet.limit = min(outlet.full, gathered + outlet.step)
        self._post(writer.wake)  # after the limit: a writer that becomes idle sets it to zero
        return True

    async def _pressed(self, outlet: Outlet) -> bool:
        """A buffer is at its limit; True when the function is to be closed."""
        await self.writer.pressed(outlet)
        if self.engine.is_paused(self.name):
            await self.engine.gate(self)
        if not self.work.inputs and self.engine.steps(self.name) is not None:
            self.engine.stepped(self.name, 1)
            outlet.limit = 0
        if self.work.rate is not None and not self.work.inputs:
            outlet.limit = 0
            await self.engine.paced(self)
        return self.closing or (self.halting and not self.work.inputs)


def find_outlet(node: Node, item: Any) -> Outlet:
    """The outlet that an item is for; UnknownIOError, MismatchedIOError."""
    names = node.work.outputs
    if item.__class__ is IOVal or (item.__class__ is Many and item.name is not None):
        for outlet in node.outlets:
            if outlet.stream == item.name:
                return outlet
        raise UnknownIOError(f"{node.name!r} put out a value for {item.name!r}; it declares {_listed(names)}")
    if len(names) == 1:
        return node.outlets[0]
    if not names:
        raise MismatchedIOError(
            f"{node.name!r} declares no outputs and put out {short(item)}: declare one, or return None"
        )
    raise MismatchedIOError(
        f"{node.name!r} has several outputs ({_listed(names)}) and put out the bare value {short(item)}: "
        f"say which, with IOVal(name=..., value=...)"
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names) or "no outputs"
