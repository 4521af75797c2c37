"""Calling a function for the values of a slot: in the loop or in a thread, again where it failed, left out at last."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.to_thread

from ..streams.text import short
from .failure import Failure, GivenUp
from .giving_up import letter
from .home import Post
from .node import Node
from .slots import Slot

POSITION: ContextVar[str] = ContextVar("datagraph_position", default="")
SKIPPED: Any = object()


class CallingNode(Node):
    """A node whose function is called for each value of a slot."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        work = self.work
        self._call: Callable[..., Any]
        self._post: Post
        self._many = work.flavour in {"asyncgen", "generator"}
        self._careful = work.timeout is not None or work.rate is not None or self._many or work.uses_context

    @property
    def halted(self) -> bool:
        """Whether a lane should come by."""
        return self.engine.is_paused(self.name) or self.writer.waiting_for_room or self.closing or self.halting

    async def _work(self, slot: Slot) -> None:
        """Work through a slot; returns early where it was recalled."""
        while not slot.done:
            try:
                if self.engine.steps(self.name) is not None:
                    await self._step(slot)
                elif self._careful:
                    for value in slot.it:
                        slot.results.append(await self._try(slot, value))
                        self._tell()
                elif self.threaded:
                    await anyio.to_thread.run_sync(self.meter.call, self._in_thread, slot, limiter=self.engine.threads)
                else:
                    await self._in_loop(slot)
            except GivenUp:
                raise
            except Exception as error:
                index = len(slot.results)
                value = slot.values[len(slot.values) - slot.left() - 1]
                slot.results.append(await self._after(slot, index, value, error))
                continue
            if self.halted or not slot.left():
                return

    async def _step(self, slot: Slot) -> None:
        """One value of a node that is paused and may do some."""
        for value in slot.it:
            self.engine.stepped(self.name, 1)
            slot.results.append(await self._try(slot, value))
            self._tell()
            return

    async def _in_loop(self, slot: Slot) -> None:
        call, append, writer = self._call, slot.results.append, self.writer
        for value in slot.it:
            append(await call(value))
            if writer.idle:
                writer.wake()

    def _in_thread(self, slot: Slot) -> None:
        call, append, writer, post = self._call, slot.results.append, self.writer, self._post
        for value in slot.it:
            append(call(value))
            if writer.idle:
                writer.idle = False
                post(writer.wake)
            if self.halted:
                return

    def _tell(self) -> None:
        if self.writer.idle:
            self.writer.wake()

    async def _try(self, slot: Slot, value: Any) -> Any:
        try:
            return await self._call_once(slot, value, slot.start + len(slot.results))
        except Exception as error:
            return await self._after(slot, len(slot.results), value, error)

    async def _call_once(self, slot: Slot, value: Any, position: int) -> Any:
        if self.work.rate is not None:
            await self.engine.paced(self)
        segment, at = slot.ports[0].where(position)
        POSITION.set(f"{segment.name}:{at}")
        timeout = self.work.timeout
        with anyio.fail_after(timeout):
            flavour = self.work.flavour
            if flavour == "coroutine":
                return await self._call(value)
            if flavour == "asyncgen":
                return [item async for item in self._call(value)]
            call = self._call if flavour == "function" else lambda v: list(self._call(v))
            return await anyio.to_thread.run_sync(
                self.meter.call, call, value, limiter=self.engine.threads, abandon_on_cancel=timeout is not None
            )

    async def _after(self, slot: Slot, index: int, value: Any, error: Exception) -> Any:
        """The first attempt failed: try again, then do what `on_error` says."""
        attempts = 1
        position = slot.start if slot.whole else slot.start + index
        while True:
            while attempts <= self.work.retry.attempts and self.work.retry.matches(error):
                self._add("retries")
                await anyio.sleep(self.work.retry.delay(attempts))
                attempts += 1
                try:
                    return await self._call_once(slot, value, position)
                except Exception as again:
                    error = again
            port = slot.ports[0]
            failure = Failure(self.name, error, short(value), port.where(position)[1], attempts)
            policy = self.work.on_error
            if policy == "pause":
                await self.engine.pause(self.name, failure)
                await self.engine.gate(self)
                attempts = 0
                try:
                    return await self._call_once(slot, value, position)
                except Exception as again:
                    error, attempts = again, 1
                continue
            if policy == "fail":
                with anyio.move_on_after(1.0):
                    await self.writer.flush()
                raise GivenUp(failure) from error
            self._add("errors")
            if policy == "dead_letter":
                self._add("dead_letters")
                slot.letters[index] = letter(self, failure, port, position, value)
            else:
                self._add("skipped")
            return SKIPPED

    def _key(self) -> str:
        return f"{self.session.run}:{self.name}:{POSITION.get()}"

    def _add(self, counter: str) -> None:
        self.writer.counters[counter] = self.writer.counters.get(counter, 0) + 1
