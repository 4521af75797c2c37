"""Functions that are called value by value, or batch by batch: a window of slots, worked on by `concurrency` lanes.

A slot is a run of consecutive values that one lane works through; its results gather in a list, in order, and the
writer collects them from the window's left end (`ordered`) or from wherever they are ready. A value whose result was
collected is finished, so every collection is a safe point.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack, nullcontext
from time import monotonic
from typing import Any

import anyio
import anyio.to_thread

from ..streams.records import Advance
from .calls import SKIPPED, CallingNode
from .emit import spread
from .generate import find_outlet
from .home import poster
from .io import wait_any
from .outlet import GATHER, MOST_SIZES, Mark
from .port import Port
from .slots import Slot
from .values import Many

_GRAIN_SECONDS = 0.01


class ValueNode(CallingNode):
    """A node whose function takes values."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._window: deque[Slot] = deque()
        self._per_value = 0.0
        self._lock = anyio.Lock()
        self._slot_finished = anyio.Event()
        self._ended = False
        self._reported: list[int] = []
        self._letters: list[Any] = []
        self._restored: list[tuple[str, int, int]] = []
        work = self.work
        self._at_work: Callable[..., Any] = self.clock.working if work.concurrency > 1 else nullcontext
        self._zipped = work.shape == "value" and len(work.inputs) > 1
        self._one_each = False
        self._sizes: bytearray | None = None
        self._in_order = work.ordered
        self.arbitrary = not work.ordered

    async def drive(self, stack: AsyncExitStack) -> None:
        self._window.clear()
        self._ended, self._reported, self._letters, self._restored = False, [], [], []
        self._one_each, self._sizes = self._gives_one(), self._no_sizes()
        if not self._in_order and self.record.state is not None:
            for name, start, stop in self.session.codec.decode_value(self.record.state):
                self.port_of(name).expect(name, start, stop)
                self._restored.append((name, start, stop))
        self._post = poster()
        self._call = self._adapt(await self.work.prepare(stack, self.context))
        if self.work.wait:
            for port in self.ports.values():
                await self.until_complete(port)
        async with anyio.create_task_group() as lanes:
            for _ in range(self.work.concurrency):
                lanes.start_soon(self.meter.run, self._lane)

    def _adapt(self, call: Callable[..., Any]) -> Callable[..., Any]:
        if self._zipped:
            return lambda values: call(*values)
        if self.work.batch_frame:
            import pandas as pd

            return lambda values: call(pd.DataFrame(values))
        return call

    # -- lanes ----------------------------------------------------------------------------------------------------

    async def _lane(self) -> None:
        while True:
            async with self._lock:
                slot = await self._claim()
            if slot is None:
                return
            began = monotonic()
            waited = self._waited()
            with self._at_work():
                while True:
                    await self._work(slot)
                    if slot.done:
                        break
                    if self.halts():
                        return  # what was not begun is begun by whoever follows
                    slot.recall()
                    await self._breathe()
                    slot.go_on()
            self._learn(slot, monotonic() - began - (self._waited() - waited))
            self._moved()
            self._tell()

    def _moved(self) -> None:
        """A slot was finished, or results were collected: who waits for either looks again."""
        finished, self._slot_finished = self._slot_finished, anyio.Event()
        finished.set()

    def _waited(self) -> float:
        return self.clock.totals()[2]  # whoever has values does not starve, whatever other lanes do

    def _learn(self, slot: Slot, spent: float) -> None:
        per_value = max(0.0, spent) / max(1, slot.stop - slot.start)
        self._per_value = per_value if not self._per_value else 0.5 * (self._per_value + per_value)

    async def _breathe(self) -> None:
        await self.writer.breathe()
        await self.engine.gate(self)

    async def _claim(self) -> Slot | None:
        """The next slot; None where all inputs have ended. One lane at a time, so slots are in order."""
        await self._breathe()
        if self._ended or self.halts():
            return None
        await self._bounded()
        slot = await self._next_batch() if self.work.shape == "batch" else await self._next_values()
        if slot is None:
            self._ended = True
            return None
        self._window.append(slot)
        await self.engine.gate(self)  # it may have been paused while it waited for values
        return slot

    async def _bounded(self) -> None:
        """A window is not endless: one very slow value does not make the others run far ahead."""
        while sum(len(slot.results) - slot.collected for slot in self._window) >= GATHER and self._in_order:
            finished = self._slot_finished
            self._tell()
            await finished.wait()

    def _grain(self) -> int:
        if self.work.rate is not None:
            return 1
        if not self._per_value:
            return 1 if self.work.concurrency > 1 or self.threaded else 64
        return max(1, min(GATHER, int(_GRAIN_SECONDS / self._per_value) if self._per_value > 1e-7 else GATHER))

    async def _next_values(self) -> Slot | None:
        if self._zipped:
            ports = tuple(self.ports[port] for port, _ in self.work.inputs)
            for port in ports:
                if not await port.fill():
                    return None
            for port in ports:
                port.gather(self._grain())
            count = self.within_steps(min(self._grain(), *(port.available() for port in ports)))
            start = ports[0].position
            return Slot(ports, start, list(zip(*(port.take(count) for port in ports), strict=True)))
        while (port_ := await self._ready_port()) is not None:
            grain = self._grain()
            port_.gather(grain * self.work.concurrency)
            if self.work.concurrency > 1:
                grain = max(1, min(grain, len(port_.unread) // self.work.concurrency))
            values = port_.take(self.within_steps(grain))
            if values:
                return Slot((port_,), port_.position - len(values), values)
        return None

    async def _ready_port(self) -> Port | None:
        """The port to read from next: dead letters that came back go first."""
        main = self.ports[self.work.inputs[0][0]]
        if not self.work.private:
            return main if await main.fill() else None
        private = self.ports[self.work.private]
        while True:
            streams = [port.stream for port in (private, main)]
            events = [self.session.signals.event(f"values:{stream}") for stream in streams]
            for port in (private, main):
                if await port.fill(wait=False):
                    return port
            if main.ended or self.halting:
                return None
            if main.stream != streams[1]:
                continue
            with self.clock.starved(main.name):
                await wait_any(events)

    async def _next_batch(self) -> Slot | None:
        port = await self._ready_port()
        if port is None:
            return None
        if port.name == self.work.private:
            values = port.take(self.work.batch_size)
            return Slot((port,), port.position - len(values), [values], whole=True)
        values = await port.batch(self.work.batch_size, self.work.batch_within)
        if self.halting:
            port.give_back(values)
            return None
        return Slot((port,), port.position - len(values), [values], whole=True)

    # -- asked by the writer --------------------------------------------------------------------------------------

    def recall(self) -> None:
        if not self.threaded:
            for slot in self._window:
                slot.recall()

    def mark(self, limit: int) -> Mark | None:
        return self._collect(limit)

    def final(self, limit: int) -> Mark | None:
        if self.arbitrary and (mark := self._collect(limit)) is not None:
            mark.more = True
            return mark
        return self._collect(2**53, last=True)  # whatever the room: with anything left out it were not the last

    def _collect(self, limit: int, *, last: bool = False) -> Mark | None:
        """Move finished results to the outlets, about `limit` values of output; what is collected is finished."""
        window = self._window
        for slot in list(window):
            if slot.collected < len(slot.results):
                limit -= self._collect_slot(slot, limit)
            if self._in_order and not (slot.done and slot.collected == len(slot.results)):
                break
            if limit <= 0:
                break
        while window and window[0].done and window[0].collected == len(window[0].results):
            window.popleft()
        finished = {port: self._finished(port) for port in self.ports.values()}
        positions = list(finished.values())
        totals = [outlet.total() for outlet in self.outlets]
        if not last and [*positions, *totals] == self._reported:
            return None
        self._reported = [*positions, *totals]
        self._moved()
        letters, self._letters = self._letters, []
        reads = [read for port, position in finished.items() for read in port.advances(position)]
        mark = Mark(totals, reads, self._ahead(reads), letters)
        mark.each, mark.sizes = len(self.work.inputs) if self._one_each else 0, bytes(self._sizes or b"")
        self._one_each, self._sizes = self._gives_one(), self._no_sizes()
        if not self._in_order:
            mark.ends = self.taken()
        return self._made(mark)

    def _gives_one(self) -> bool:
        return self.work.shape == "value" and self._in_order and not self._many

    def _no_sizes(self) -> bytearray | None:
        return bytearray() if self.work.shape == "value" and self._in_order and len(self.outlets) == 1 else None

    def _made(self, mark: Mark) -> Mark | None:
        return mark

    def _collect_slot(self, slot: Slot, limit: int) -> int:
        """Move results of one slot; how many values that put out."""
        before = sum(outlet.total() for outlet in self.outlets)
        one_by_one = self._many or len(self.outlets) > 1
        while slot.collected < len(slot.results):
            put_out = sum(outlet.total() for outlet in self.outlets) - before
            if put_out >= limit:
                break
            start = slot.collected
            stop = start + 1 if one_by_one else min(len(slot.results), start + limit - put_out)
            self._emit(slot.results[start:stop])
            for index in [i for i in slot.letters if start <= i < stop]:
                self._letters.append(slot.letters.pop(index))
            slot.collected = stop
        return sum(outlet.total() for outlet in self.outlets) - before

    def _finished(self, port: Port) -> int:
        """The position before which everything of the port is finished."""
        mine = [
            slot.position() - slot.start + self._start_in(slot, port) for slot in self._window if port in slot.ports
        ]
        return min(mine) if mine else port.position

    def _start_in(self, slot: Slot, port: Port) -> int:
        return slot.start + (port.position - slot.ports[0].position if port is not slot.ports[0] else 0)

    def _ahead(self, reads: list[Advance]) -> bytes | None:
        """Unordered: what was collected beyond the first gap, now or before, so that a restart leaves it out."""
        if self._in_order:
            return self.saved_state()
        upto = {read.port: read.cursor for read in reads}
        self._restored = [span for span in self._restored if span[2] > upto.get(span[0], -1)]
        slots = [slot for slot in self._window if slot.collected]
        spans = [piece for slot in slots for piece in slot.ports[0].pieces(slot.start, slot.position())]
        return self.session.codec.encode_value(self._restored + spans)

    def _emit(self, results: list[Any]) -> None:
        flat = results
        if self._many:
            flat = [item for items in results if items is not SKIPPED for item in items]
        before = self.outlets[0].total() if self._sizes is not None else 0
        single = spread(
            flat, self.outlets, lambda item: find_outlet(self, item), none_is_value=self._many, skip=SKIPPED
        )
        self._one_each = self._one_each and single
        if self._sizes is not None:
            plain = single and not self._many and self.outlets[0].total() - before == len(results)
            self._measure(results, plain=plain)

    def _measure(self, results: list[Any], *, plain: bool) -> None:
        """Note how many values each result is, where they are few; `plain`: one each."""
        sizes = self._sizes
        if sizes is None or len(sizes) + len(results) > MOST_SIZES:
            self._sizes = None
        elif plain:
            sizes.extend(b"\1" * len(results))
        elif max(found := [_size(result, many=self._many) for result in results]) < 256:
            sizes.extend(found)
        else:
            self._sizes = None

    def hand(self) -> tuple[list[tuple[Port, int, int]], Any]:
        for slot in self._window:
            if not slot.done:
                index = len(slot.results)
                position = slot.start + index
                return [(port, position, position + 1) for port in slot.ports], None
        return [], None


def _size(result: Any, *, many: bool) -> int:
    """How many values it puts out (see `emit.spread`)."""
    if many:
        return 0 if result is SKIPPED else sum(len(each.values) if each.__class__ is Many else 1 for each in result)
    if result is SKIPPED or result is None:
        return 0
    return len(result.values) if result.__class__ is Many else 1
