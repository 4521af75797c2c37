"""A reader of a stream that is no node of the flow: it lives in the runtime thread and takes nothing from anybody."""

from __future__ import annotations

from typing import Any

from ..exceptions import StreamTrimmedError
from ..runtime.io import wait_any
from ..runtime.port import opened
from .local import LocalRun

_VALUES = 4096


async def between(local: LocalRun, stream: str, start: int, stop: int) -> list[Any]:
    """The values at positions `start` to `stop`, as far as they are written; StreamTrimmedError."""
    cursor = Cursor(local, stream, start)
    values: list[Any] = []
    while cursor.position < stop and (more := await cursor.read(wait=False)):
        values += more
    return values[: max(0, stop - start)]


class Cursor:
    """Reads one stream of a run from a position on, waiting for what is still to come."""

    def __init__(self, local: LocalRun, stream: str, position: int | None, *, hold: bool = False) -> None:
        self.position = position or 0
        self._from_first_kept = position is None
        self._local = local
        self._stream = stream
        self._hold = hold
        self._watched = False

    async def read(self, wait: bool = True) -> list[Any]:
        """The next values, [] at the end (or, not waiting, where there is nothing). Raises what ended the run."""
        local = self._local
        session = local.session
        if not self._watched and wait:
            self._watched = True
            await session.watch(self._stream)
        if self._hold:
            await local.hold_back(self, self._stream, self.position)
        values = await self._next(wait)
        if not values:
            await self.let_go()
        return values

    async def let_go(self) -> None:
        """Hold the flow back no more."""
        if self._hold:
            self._hold = False
            await self._local.hold_back(self, self._stream, None)

    @property
    def holds(self) -> bool:
        """Whether the flow waits for this reader."""
        return self._hold

    async def _next(self, wait: bool) -> list[Any]:
        local, session = self._local, self._local.session
        while True:
            event = session.signals.event(f"values:{self._stream}")
            changed = local.changed
            running = local.record.status == "running"
            reading = await self._look()
            if reading.frames:
                break
            if reading.ended or not wait:
                return []
            if not running or local.error is not None:
                error = local.outcome()
                if error is not None:
                    raise error
                return []
            local.waiting += 1
            try:
                await wait_any([event, changed])
            finally:
                local.waiting -= 1
        codec = session.codec.bind(f"{session.run}:{self._stream}".encode())
        values: list[Any] = []
        for frame in reading.frames:
            start = frame.end - frame.count
            values += opened(codec, self._stream, frame)[max(0, self.position - start) :]
            self.position = frame.end
        return values

    async def _look(self) -> Any:
        session = self._local.session
        try:
            return await session.read(self._stream, self.position, _VALUES)
        except StreamTrimmedError as error:
            if not self._from_first_kept:
                raise
            self.position = error.found
            return await session.read(self._stream, self.position, _VALUES)
