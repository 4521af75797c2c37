"""A run as far as this process is concerned: the engine that works on it here, or nothing but a look at it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import anyio

from ..events.journal import Journal
from ..events.snapshot import Snapshot
from ..exceptions import DatagraphError, InternalError, RunCancelledError, RunError, StoreLostError
from ..executors.base import Executor
from ..graph.change import compare
from ..graph.edit import edits_of
from ..graph.model import INPUT_PREFIX, Graph, Node
from ..graph.rewiring import changed
from ..observe.probe import Observer
from ..observe.watch import Subject, Watcher
from ..runtime.bridge import RuntimeThread
from ..runtime.failure import Failure, from_report, report
from ..runtime.feeder import Inbox, feeder, open_feeder
from ..runtime.inject import Overrides
from ..runtime.stream import StreamEngine
from ..runtime.values import OPEN
from ..runtime.work import Work
from ..streams.records import RunRecord
from ..streams.store import Session, Store
from .changing import Applied, Changes, Planned
from .compile import maker
from .offers import Offers
from .steering import Steering, as_data

if TYPE_CHECKING:
    from .processor import Processor


_TIDY = 10.0
_LEAVE = 1.0
"""Seconds that whoever waits gives dependencies to clean up, after a good end and after another."""


def worker_id() -> str:
    """An id for one process's share of one run."""
    return f"w{os.urandom(4).hex()}"


class LocalRun:
    """Lives in the runtime thread. `serve` is its task; the rest is called from there too."""

    def __init__(self, thread: RuntimeThread, store: Store, record: RunRecord, *, lease: float = 10.0) -> None:
        self.thread = thread
        self.store = store
        self.record = record
        self.session: Session = store.session(record.id, worker_id(), lease=lease)
        self.engine: StreamEngine | None = None
        self.failure: Failure | None = None
        self.error: BaseException | None = None
        self.inboxes: dict[str, Inbox] = {}
        self.changed = anyio.Event()
        self.closing = self.force = self._working = False
        self._prepare: Callable[[AsyncExitStack], Sequence[Work]] | None = None
        self.executor: Executor | None = None
        self._executors: Mapping[str, Executor] = {}
        self._again = anyio.Event()
        self._scope = anyio.CancelScope()
        self._pause = min(2.0, lease / 3)
        self.lease = lease
        self._readers: dict[str, dict[int, int]] = {}
        self._following = anyio.Lock()
        self.subject: Subject | None = None
        self.host: Callable[[LocalRun], Awaitable[LocalRun]] | None = None
        self.waiting = 0
        self.tell: Callable[[str], None] | None = None
        self.graph = Graph.from_dict(record.graph)
        self.wiring = record.wiring
        self.changes = Changes(self)
        self.steering = Steering(self)
        self._answered = 0
        self.offers = Offers(self)
        self.settings: Mapping[str, Mapping[str, Any]] = {}
        self.make: Callable[[Node, Processor], Work]
        self._observer = Observer(self.graph)
        self._watched = False
        self._watcher = Watcher(
            Journal(self.graph, run=record.id, name=record.name),
            see=self.see,
            over=lambda: self.record.status != "running",
            wake=lambda: self.changed,
            soon=thread.soon,
        )

    # -- what to work on ------------------------------------------------------------------------------------------

    def work_on(
        self,
        crew: Mapping[str, Processor],
        inputs: Mapping[str, Any],
        *,
        dropped: Sequence[tuple[Node, Processor]] = (),
        spare: Sequence[Processor] = (),
        executor: Executor,
        settings: Mapping[str, Mapping[str, Any]],
        overrides: Overrides,
        pace: float | None,
        hot: bool = False,
    ) -> None:
        """Say what this process does of the run: the functions of these nodes, and feeding these inputs."""
        feeders = [self._feeder(name, values, pace) for name, values in inputs.items()]
        self.settings = settings
        self.changes.begin(crew, dropped, spare)
        self.offers.begin(hot=hot)

        def prepare(stack: AsyncExitStack) -> Sequence[Work]:
            self.make = maker(settings=settings, overrides=overrides, stack=stack, cache={})
            return [*feeders, *self.changes.works()]

        self._prepare = prepare
        self.executor = executor
        self._executors = {name: p.executor for name, p in crew.items() if p.executor is not None}

    def _feeder(self, name: str, values: Any, pace: float | None) -> Work:
        node = INPUT_PREFIX + name
        if values is OPEN or isinstance(values, AsyncIterable):
            inbox = self.inboxes[name] = Inbox()
            return open_feeder(node, name, inbox, self.thread.soon, pace=pace)
        return feeder(node, name, values, pace=pace)

    @property
    def is_working(self) -> bool:
        """Whether the nodes of the run are run here."""
        return self.engine is not None and self._working

    def working_engine(self) -> StreamEngine:
        """What works on the run here; RunError where nothing does."""
        if self.record.status != "running":
            raise RunError(f"the run {self.record.id!r} is {self.record.status}: it cannot be changed any more")
        if self.engine is None or not self.is_working:
            raise RunError(
                f"nothing works on the run {self.record.id!r} in this process: change it where it was started, or "
                f"recover it here first"
            )
        return self.engine

    async def planned(self, what: Any) -> Planned:
        """What a change would be; of a run whose nodes run elsewhere, as far as its graph tells."""
        if self.is_working or getattr(what, "processors", None) is not None:
            return Planned(self.changes.plan(what))
        return Planned(changed(self.graph, edits_of(what)))

    async def change(self, what: Any) -> Applied:
        """Apply a change here, or have it applied by whoever runs the nodes."""
        if self.is_working:
            return await self.changes.apply(what)
        if getattr(what, "processors", None) is not None:
            self.working_engine()  # a flow has functions, which are of no use elsewhere: say so
        edits = edits_of(what)
        before = changed(self.graph, edits)
        answer = await self.steering.do("change", edits=as_data(edits))
        self.note(await self.session.beat({}))
        return Applied(before, answer["version"], answer["ms"] / 1000)

    async def undo(self) -> Applied:
        """The same for taking the last change back."""
        if self.is_working:
            return await self.changes.undo()
        before = self.graph
        answer = await self.steering.do("undo")
        self.note(await self.session.beat({}))
        return Applied(compare(before, self.graph), answer["version"], answer["ms"] / 1000, is_undo=True)

    def rewired(self, graph: Graph, version: int) -> None:
        """The wiring is another one since."""
        self.graph = graph
        self.wiring = version
        self._observer = Observer(graph)
        self._watcher.rewired(graph)
        self._wake()

    # -- the task -------------------------------------------------------------------------------------------------

    async def serve(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Work on the run until it has ended, then stay for questions until `close`."""
        begun = False
        with self._scope:
            try:
                async with self.session:
                    self.note(await self.session.beat({}))
                    begun = True
                    task_status.started()
                    if self.can_work:
                        self.watch()  # so that the run has its history, whether somebody looks or not
                    await self._serve()
            except DatagraphError as error:
                if not begun:
                    raise
                self._fail(error)
            except Exception as error:  # of ours: it must reach who waits for the run, and no other run
                if not begun:
                    raise
                bug = InternalError(f"the run {self.record.id!r} was left: {type(error).__name__}: {error}")
                bug.__cause__ = error
                self._fail(bug)

    async def _serve(self) -> None:
        while not self.closing:
            again = self._again
            if self.record.status == "running" and self._prepare is not None:
                self._working = True
                try:
                    await self._work()
                finally:
                    self._working = False
                    self._wake()
            if not again.is_set():
                await self._watch(again)

    async def _work(self) -> None:
        assert self._prepare is not None and self.executor is not None  # noqa: PT018
        await self.changes.learn()
        async with AsyncExitStack() as stack:
            engine = self.engine = StreamEngine(
                self.store,
                self.session,
                self._prepare(stack),
                executor=self.executor,
                executors=self._executors,
                on_record=self.note,
                force=self.force,
                before=self.engine,
            )
            for name, inbox in self.inboxes.items():
                engine.on_stored[name] = inbox.stored
            await engine.run()
        self.failure = self.failure or engine.failure
        self.note(await self.session.beat(engine.report()))

    async def _watch(self, again: anyio.Event) -> None:
        """Nothing to do here: hear of what others do, until the run is opened again."""
        async with anyio.create_task_group() as tasks:

            async def reopened() -> None:
                await again.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(reopened)
            while True:
                event = self.session.signals.event("run")
                before = self.record.status
                with anyio.move_on_after(self._pause if before == "running" else 300.0):
                    await event.wait()
                try:
                    # What was reported last is said again: a look at a run that has ended still shows its shares.
                    self.note(await self.session.beat(self.engine.report() if self.engine is not None else {}))
                except StoreLostError:
                    if self.record.status == "running":
                        raise
                    await anyio.sleep_forever()
                if self.can_work and before != "running" and self.record.status == "running":
                    tasks.cancel_scope.cancel()  # another process has sent dead letters again

    def note(self, record: RunRecord) -> None:
        """The run as it is now; whoever waits looks again. A failure that nobody waits for is told where it started."""
        before, self.record = self.record.status, record
        if self.engine is not None and self.engine.failure is not None:
            self.failure = self.engine.failure
        lost = record.wiring < self.wiring and not self.is_working  # else the engine says so
        if record.wiring > self.wiring or lost:  # whoever runs the nodes has changed it, or the store went back
            self.rewired(Graph.from_dict(record.graph), record.wiring)
        if record.asked > self._answered and self.is_working:
            self._answered = record.asked
            self.thread.spawn(self.steering.answer_all)
        if record.status != "running":
            error = self.outcome() or DatagraphError(f"the run {record.id!r} has ended: nothing can be sent to it")
            for inbox in self.inboxes.values():
                inbox.fail(error)
        if before == "running" and record.status == "failed":
            self._complain()
        self._wake()

    def _complain(self) -> None:
        if self.tell is not None and not self.waiting:
            self.tell(f"the run {self.record.id!r} failed: {self.outcome()}")

    def _fail(self, error: BaseException) -> None:
        self.error = error
        if self.record.status == "running":
            self._complain()
        for inbox in self.inboxes.values():
            inbox.fail(error)
        self._wake()

    def _wake(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()

    def close(self) -> None:
        """Leave the run: what it has in the store stays."""
        self.closing = True
        self._watched = False
        self._watcher.close("" if self.error is None else str(self.error))
        self._scope.cancel()

    def leave(self, why: DatagraphError) -> None:
        """Leave the run, and tell whoever waits for it why."""
        self._fail(why)
        self.close()

    # -- looking --------------------------------------------------------------------------------------------------

    async def see(self) -> Snapshot:
        """The run at this moment."""
        return self._observer.see(await self.session.probe())

    def watch(self) -> Watcher:
        """The run's poller, at work; who only looks at a run has it from the first time that this is called."""
        if not self._watched and not self.closing:
            self._watched = True
            self.thread.spawn(self._watcher.serve)
        return self._watcher

    async def reopen(self) -> None:
        """The run goes on: work on it again."""
        if self.closing and self.host is not None:
            self.closing, self.error, self._scope = False, None, anyio.CancelScope()
            self.session = self.store.session(self.record.id, worker_id(), lease=self.lease)
            await self.host(self)
            return
        again, self._again = self._again, anyio.Event()
        again.set()

    @property
    def can_work(self) -> bool:
        """Whether this process has the functions."""
        return self._prepare is not None

    async def hold_back(self, reader: object, stream: str, position: int | None) -> None:
        """A reader of this process has read so far (None: it has gone), and the flow waits for the last of them."""
        readers = self._readers.setdefault(stream, {})
        if position is None:
            readers.pop(id(reader), None)
        else:
            readers[id(reader)] = position
        async with self._following:  # one after the other: the store keeps what it is told last
            await self.session.follow(stream, min(readers.values(), default=None))

    # -- questions ------------------------------------------------------------------------------------------------

    def outcome(self) -> BaseException | None:
        """The error that whoever waits gets; None for a run that goes on or is completed."""
        if self.error is not None:
            return self.error
        if self.record.status == "failed":
            return self.failure.exception() if self.failure is not None else from_report(self.record.error)
        if self.record.status == "cancelled":
            return RunCancelledError(f"the run {self.record.id!r} was cancelled")
        return None

    async def ended(self) -> None:
        """Return when the run has ended and, if it ran here, logs are stored and dependencies cleaned up; raise what
        went wrong.
        """
        self.waiting += 1
        try:
            while self.record.status == "running" and self.error is None:
                await self.changed.wait()
            with anyio.move_on_after(_TIDY if self.record.status == "completed" else _LEAVE):
                while self._working and self.error is None:
                    await self.changed.wait()
        finally:
            self.waiting -= 1
        error = self.outcome()
        if error is not None:
            raise error

    async def control(self, action: str, node: str = "") -> None:
        """Pause, resume, stop or cancel."""
        record = await self.session.control(action, node)
        self.note(record)
        if self.engine is not None:
            self.engine.told(record)  # else it hears of it by a notice, and a pause should hold from here on

    async def fail_input(self, name: str, error: BaseException) -> None:
        """End the run as failed because of what feeds an input."""
        failure = Failure(INPUT_PREFIX + name, error)
        self.failure = self.failure or failure
        self.note(await self.session.fail(report(failure)))

    async def stop_at(self, seconds: float) -> None:
        """Stop the run after so many seconds, unless it has ended before."""
        at = time.monotonic() + seconds
        while self.record.status == "running" and self.error is None and (left := at - time.monotonic()) > 0:
            with anyio.move_on_after(left):
                await self.changed.wait()
        if self.record.status == "running" and self.error is None:
            await self.control("stop")
