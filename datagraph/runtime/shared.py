"""One of several workers of a node: it claims ranges of the input from the store and commits them in claim order."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import anyio

from ..streams.records import Range
from .io import wait_any
from .lanes import ValueNode
from .outlet import GATHER, Mark
from .slots import Slot

_RANGE_SECONDS = 0.05
_LOOK_SECONDS = 1.0


class SharedNode(ValueNode):
    """A `ValueNode` whose values come in claimed ranges, one range at a time."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._in_order, self.arbitrary = True, False  # within a range: how far it is done is one number
        self._range: Range | None = None

    async def drive(self, stack: AsyncExitStack) -> None:
        self._range = None
        await super().drive(stack)

    def halts(self) -> bool:
        """Between two ranges: one that was claimed is finished, since nobody else has it."""
        return self.halting and self._range is None

    def redo(self) -> bool:
        """Never: what is claimed and left to others would keep the node from ever being one that is not shared."""
        return False

    async def _next_values(self) -> Slot | None:
        while True:
            claimed = self._range
            if claimed is not None:
                port = self.port_of(claimed.port)
                left = claimed.stop - port.position
                if left > 0 and await port.fill():
                    grain = self._grain()
                    if self.work.concurrency > 1:
                        grain = max(1, min(grain, left // self.work.concurrency))
                    values = port.take(self.within_steps(min(left, grain)))
                    beyond = port.position - claimed.stop
                    if beyond > 0:  # as many as it has passed over
                        port.give_back(values[-beyond:])
                        del values[-beyond:]
                    return Slot((port,), port.position - len(values), values)
                await self._committed()
            if not await self._take():
                return None

    async def _committed(self) -> None:
        """Return when the whole range is stored."""
        while self._window or self.writer.pending():
            finished = self._slot_finished
            if any(not slot.done for slot in self._window):
                await finished.wait()
            await self.writer.flush()
        self._range = None

    async def _take(self) -> bool:
        """Claim the next range; False where nothing is left and nothing will come."""
        per_value = self._per_value
        limit = self.work.concurrency
        if per_value:
            limit = max(limit, min(GATHER, int(_RANGE_SECONDS * self.work.concurrency / max(per_value, 1e-6))))
        signals = self.session.signals
        while not self.halting:
            streams = [segment.stream for segment in self.segments()]
            events = [signals.event(f"values:{s}") for s in streams] + [signals.event(f"turn:{self.name}")]
            for stream in streams:
                await self.session.watch(stream)
            taken = await self.session.take(self.name, limit)
            if taken.range is not None:
                self._range = claimed = taken.range
                self.port_of(claimed.port).claim(claimed.port, claimed.stream, claimed.start)
                return True
            if taken.finished:
                return False
            # Nobody tells that another worker's lease has lapsed, so it is looked for.
            with self.clock.starved(self.work.inputs[0][0]), anyio.move_on_after(_LOOK_SECONDS):
                await wait_any(events)
            await self._breathe()
        return False

    def _made(self, mark: Mark) -> Mark | None:
        """A commit of a claim moves no cursors: the store does, as the claims are committed."""
        claimed = self._range
        if claimed is None:
            mark.reads = ()
            return mark if self.writer.finishing else None
        upto = min([slot.position() for slot in self._window], default=self.port_of(claimed.port).position)
        mark.reads, mark.claim, mark.upto, mark.since = (), claimed.id, upto, claimed.start
        mark.ends = [(claimed.port, claimed.stream, upto)]
        return mark
