"""The life of one node in this process: claim it, run its function, commit, try again, give up, close."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import anyio

from ..exceptions import (
    DatagraphError,
    FencedError,
    RewoundError,
    StoreError,
    UnknownIOError,
)
from ..streams.codec import Codec
from ..streams.records import Advance, NodeRecord
from ..streams.store import Session
from ..streams.text import short
from .clock import Clock
from .context import Context
from .failure import Failure, GivenUp, leading
from .giving_up import give_up
from .halting import Halted, HaltedInThread
from .host import Engine
from .meter import Meter
from .outlet import Mark, Outlet
from .port import Port
from .segments import Segment, port_of
from .work import Work
from .writer import Writer


class Node:
    """One node, run by this process. Subclasses say how its function is driven: `drive`, `mark`, `recall`, `hand`."""

    arbitrary = False

    def __init__(self, engine: Engine, work: Work, session: Session) -> None:
        self.engine = engine
        self.work = work
        self.name = work.name
        self.session = session
        self.clock = Clock(work.concurrency)
        self.meter = Meter()
        self.settings: dict[str, Any] = dict(work.settings)
        self.status = "waiting"
        self.threaded = work.threaded
        self.ports: dict[str, Port] = {}
        self.outlets: list[Outlet] = []
        self.closing = False
        self.halting = False
        self.ready = anyio.Event()  # it knows what it reads, or never will
        self.over = anyio.Event()
        self.scope = anyio.CancelScope()
        self._attempt = anyio.CancelScope()
        self._restarting = False
        self.record = NodeRecord(work.name)
        self.context: Context
        self.writer: Writer
        self.bad: dict[str, dict[int, bytes]] = {}
        self.counters: dict[str, int] = {}

    # -- what subclasses say --------------------------------------------------------------------------------------

    async def drive(self, stack: AsyncExitStack) -> None:
        """Call the function until it has returned."""
        raise NotImplementedError

    def mark(self, limit: int) -> Mark | None:
        """The newest safe point that was not handed over yet."""
        raise NotImplementedError

    def final(self, limit: int) -> Mark | None:
        """The last safe point, after `drive` has returned."""
        raise NotImplementedError

    def recall(self) -> None:
        """Come to a safe point soon."""

    def hand(self) -> tuple[list[tuple[Port, int, int]], Any]:
        """The positions in hand, and the value."""
        return [], None

    def within_steps(self, count: int) -> int:
        """So many values, one where the node is paused and may do some."""
        return count if self.engine.steps(self.name) is None else 1

    def halts(self) -> bool:
        """Whether its function is to be left, and may be left now."""
        return self.halting

    # -- the life -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run to the end; the store says what that was. Raises only what concerns the store."""
        try:
            await self._live()
        finally:
            self.clock.stop()
            self.engine.closed(self)
            self.ready.set()
            self.over.set()

    async def _live(self) -> None:
        failures, place, mine = 0, "", self.engine.force
        while True:
            try:
                # What was this worker's is so again, whoever had it in the state that the store went back to.
                self.record = await self.session.claim(self.name, force=mine)
            except FencedError:
                self.status = "fenced"
                return
            mine = False
            if self.record.status == "done":
                self.status = "done"
                return
            self.status = "running"
            try:
                await self._attempted()
            except RewoundError:
                mine = True
                await self.engine.rewound()
                continue
            except FencedError:
                if await self._lost_a_range():
                    continue
                self.status = "fenced"
                return
            except StoreError:
                raise
            except GivenUp as given:
                await give_up(self, given.failure, [], None)
                return
            except Exception as error:
                if isinstance(error, UnknownIOError):  # perhaps of a store that went back to before it was made
                    await self.engine.rewound()
                if self._restarting:
                    if self._has_left():
                        return
                    mine = True
                    continue
                hands, value = self.hand()
                here = repr([(port.name, start) for port, start, _ in hands])
                failures = failures + 1 if here == place else 1
                place = here
                if failures <= self.work.retry.attempts and self._may_retry(error):
                    self.count("retries")
                    await anyio.sleep(self.work.retry.delay(failures))
                    continue
                position = hands[0][0].where(hands[0][1])[1] if hands else None
                failure = Failure(self.name, error, short(value) if hands else "", position, failures)
                if not await give_up(self, failure, hands, value):
                    return
                failures = 0
                continue
            if self._has_left():
                return
            if self._restarting:
                mine = True
                continue
            self.status = "done"
            return

    def _has_left(self) -> bool:
        if self.halting:
            self.status = "halted"
        return self.halting

    async def _attempted(self) -> None:
        self._restarting = False
        with anyio.CancelScope() as self._attempt:
            await self._once()

    def restart(self) -> None:
        """The store went back: what is under way here is void; begin again from what it has."""
        self._restarting = True
        self._attempt.cancel()

    async def _lost_a_range(self) -> bool:
        """A shared node's worker that slept may lose what it had in hand and still claim more."""
        return self.work.workers > 1 and (await self.session.beat({})).status == "running"

    def known(self) -> tuple[int, int]:
        """Epoch and number of the last commit that the store has confirmed."""
        return self.record.epoch, self.writer.seq if hasattr(self, "writer") else self.record.seq

    def _may_retry(self, error: Exception) -> bool:
        return not isinstance(error, DatagraphError) and self.work.retry.matches(error)

    async def _once(self) -> None:
        """From the resume point to the end, or to an error; groups of errors are reduced to the one that leads."""
        try:
            async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
                self._open()
                self.engine.opened(self, self.record)
                tasks.start_soon(self.meter.run, self.writer.run)
                with anyio.CancelScope() as self.scope:
                    if self.closing:  # it was told to stop before it began, or between two attempts
                        self.scope.cancel()
                    await self.engine.gate(self)
                    try:
                        await self.meter.run(self.drive, stack)
                    except* (Halted, HaltedInThread):
                        pass
                if self.scope.cancelled_caught and not self.closing:
                    raise TimeoutError(f"{self.name!r} took longer than its timeout of {self.work.timeout} s")
                await self.writer.finish(self.final, close=not self.halting)
        except BaseExceptionGroup as group:
            error = leading(group)
            if error is None:
                raise
            raise error from error.__cause__

    def _open(self) -> None:
        record = self.record
        self.outlets = [Outlet(stream, record, self._codec(stream)) for stream in self.work.outputs]
        if not self.work.replays:
            for outlet in self.outlets:
                outlet.skip = 0
        if not self.ports:
            for name, _ in self._inputs():
                self.ports[name] = Port(self.session, self.name, name, self.clock, self.engine)
        segments = record.segments or [(name, stream, None) for name, stream in self._inputs()]
        for name, port in self.ports.items():
            port.resume(record, [each for each in segments if port_of(each[0], list(self.ports)) == name])
            port.bad = dict(self.bad.get(name, {}))
            port.halts = self.halts
            port.stop = self.engine.stop_at(self.name, name)
            if self.work.wait:
                port.hold = "open"
        self.context = Context(
            self.session.run,
            self.name,
            state=self._restore(record.state) if self.work.state == "context" else None,
            settings=self.settings,
            logger=self.engine.logger(self.name),
            lengths=dict(record.lengths),
            key=self._key,
            commit=self.commit_now,
        )
        self.writer = Writer(
            self.session,
            record,
            self.outlets,
            delivery=self.engine,
            clock=self.clock,
            resumes=self.work.resumes,
            has_inputs=bool(self.work.inputs),
            shared=self.work.workers > 1,
        )
        self.writer.source = self
        self.ready.set()
        self.writer.counters = self.counters
        self.counters = {}

    def _codec(self, stream: str) -> Codec:
        return self.session.codec.bind(f"{self.session.run}:{stream}".encode())

    def _inputs(self) -> list[tuple[str, str]]:
        private = [(self.work.private, self.work.private)] if self.work.private else []
        return [*self.work.inputs, *private]

    def _restore(self, state: bytes | None) -> dict[str, Any]:
        if state is None:
            return {}
        restored = self.session.codec.decode_value(state)
        return dict(restored) if isinstance(restored, Mapping) else {}

    def saved_state(self) -> bytes | None:
        """The context's state as it is now, where the processor keeps one."""
        if self.work.state != "context":
            return None
        return self.session.codec.encode_value(self.context.state)

    def _key(self) -> str:
        hands, _ = self.hand()
        places = [port.where(start) for port, start, _ in hands]
        where = ",".join(f"{segment.name}:{position}" for segment, position in places)
        return f"{self.session.run}:{self.name}:{where}"

    async def until_complete(self, port: Port) -> None:
        """`wait=True`: return when the port's stream has ended."""
        while True:
            stream = port.segments[-1].stream
            event = self.session.signals.event(f"values:{stream}")
            await self.session.watch(stream)
            if self.halting:
                raise Halted
            found = [segment.until is None and await self._goes_on(segment.stream) for segment in port.segments]
            if not any(found):
                return
            with self.clock.starved(port.name):
                await event.wait()

    async def _goes_on(self, stream: str) -> bool:
        return not (await self.session.tail(stream, 1)).ended

    def segments(self) -> list[Segment]:
        """What its ports read, one after the other."""
        return [segment for port in self.ports.values() for segment in port.segments]

    def port_of(self, segment: str) -> Port:
        """The port that a segment is part of."""
        return self.ports[port_of(segment, list(self.ports))]

    def taken(self) -> list[tuple[str, str, int]]:
        """See `Source`."""
        found = []
        for port in self.ports.values():
            for segment in port.segments[: port.segments.index(port.reading) + 1]:
                if segment.offset is not None:
                    at = port.position if segment.end is None else min(port.position, segment.end)
                    found.append((segment.name, segment.stream, at - segment.offset))
        return found

    def start_of(self, segment: str) -> int:
        """See `Source`."""
        return next((each.start for each in self.segments() if each.name == segment), 0)

    def settled(self, reads: Sequence[Advance]) -> None:
        """These reads are in the store."""
        for port in self.ports.values():
            port.settled(reads)

    async def commit_now(self) -> None:
        """`Context.commit`; subclasses that read streams make a safe point first."""
        await self.writer.flush()

    # -- pausing, stopping ----------------------------------------------------------------------------------------

    def press(self) -> None:
        """Something has changed (a pause, a stop): have the driver come by."""
        self.recall()
        for outlet in self.outlets:
            outlet.limit = 0

    def halt(self) -> None:
        """Leave the function at the next safe point, with all that it has put out stored, and do not close the node."""
        self.halting = True
        self.press()
        self.nudge()
        self.engine.stir()

    def nudge(self) -> None:
        """Have what waits for values look again at what it waits for."""
        for segment in self.segments():
            self.session.signals.set(f"values:{segment.stream}")
        self.session.signals.set(f"turn:{self.name}")
        for port in self.ports.values():
            if port.stop is not None:
                port.stop.poke()

    def redo(self) -> bool:
        """Leave the function at once; whoever follows does again what it has in hand. False where that cannot be."""
        written = self.writer.is_parting or any(outlet.count or outlet.skip for outlet in self.outlets)
        if not self.work.resumes or written:
            return False
        self.restart()
        return True

    def is_source(self) -> bool:
        """Whether stopping has to close it: it reads nothing any more."""
        if self.work.inputs and not self.ports:
            return False  # it has not begun
        return all(port.hold == "free" or (port.ended and not port.ready()) for port in self.ports.values())

    def close(self) -> None:
        """The run is stopping: a node that reads nothing is closed, the others drain."""
        if self.is_source() and not self.closing:
            self.closing = True
            self.scope.cancel()

    # -- failing --------------------------------------------------------------------------------------------------

    def count(self, counter: str) -> None:
        """One more of something, told with the next commit."""
        self.counters[counter] = self.counters.get(counter, 0) + 1
