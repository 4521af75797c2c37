"""Engine 2: nodes run while values flow. One `StreamEngine` is one process's share of one run."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from ..exceptions import DatagraphError, RunError, StoreError, StoreLostError, UnknownIOError
from ..executors.base import Executor
from ..streams.records import RunRecord
from ..streams.store import Session, Store
from .failure import Failure, leading
from .garbage import seldom
from .gates import Gates
from .generate import StreamNode
from .hub import LocalHub
from .lanes import ValueNode
from .lifecycle import relieved
from .node import Node
from .orders import Carried, Orders
from .prints import NodeLog, speaking_for
from .progress import closed_set, smallest_full_edge
from .reports import report_of
from .rewire import Change
from .shared import SharedNode
from .work import Work

_THREADS = 64


class StreamEngine(Gates, LocalHub):
    """Runs the given works of one run; every node of it that is not here is somebody else's.

    `run` returns when the run has ended (in the store) or nothing of it is left to do here.
    """

    def __init__(
        self,
        store: Store,
        session: Session,
        works: Sequence[Work],
        *,
        executor: Executor,
        executors: Mapping[str, Executor] | None = None,
        on_record: Callable[[RunRecord], None] | None = None,
        beat: float = 0.5,
        force: bool = False,
        before: StreamEngine | None = None,
    ) -> None:
        Gates.__init__(self)
        LocalHub.__init__(self, session)
        self.keep_stops(before)
        self.force = force
        self.store = store
        self.works = list(works)
        self.threads = anyio.CapacityLimiter(_THREADS)
        self.failure: Failure | None = None
        self.stopping = False
        self._executor = executor
        self._executors = dict(executors or {})
        self._on_record = on_record
        self._beat = beat
        self._told = 0
        self._logs: dict[str, NodeLog] = {}
        self._flushing = anyio.Lock()
        self._scope = anyio.CancelScope()
        self._rewound: float | None = None
        self._wiring = 0
        self._missed = session.signals.missed
        self._at_work: set[Node] = set()
        self._running: TaskGroup
        self._tasks: TaskGroup
        self._begun = anyio.Event()
        self._changing = anyio.Lock()
        self._over = False
        self._kept_open: dict[Session, anyio.Event] = {}
        self._made = 0

    # -- running --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until the run has ended, or this process's share of it is done. Raises StoreError only."""
        try:
            with seldom():
                await self._share()
        except BaseExceptionGroup as group:
            error = leading(group)
            if error is None:
                raise
            if isinstance(error, UnknownIOError | StoreLostError):
                await self._news()  # where the store went back to before a change, it says so
            raise error from error.__cause__
        finally:
            for node in self.nodes:  # whoever waits for one that has not even begun
                node.ready.set()
                node.over.set()
            with anyio.CancelScope(shield=True), anyio.move_on_after(2.0):
                await self._last_words()

    async def _share(self) -> None:
        async with anyio.create_task_group() as tasks:
            self._scope = tasks.cancel_scope
            self._tasks = tasks
            self.learn(await self.session.probe())
            for work in self.works:
                await self._make(work)
            record = await self._hear(self.session.beat({}))
            self._rewound, self._wiring = record.rewound, record.wiring
            tasks.start_soon(self._beats)
            async with anyio.create_task_group() as self._running:
                try:
                    for node in self.nodes:
                        self._start(node)
                    self._begun.set()
                    await self._all_over()
                finally:
                    self._over = True
                    self._begun.set()
            await self._flush_logs()
            await self._hear(self._news())
            tasks.cancel_scope.cancel()

    async def _last_words(self) -> None:
        try:
            await self._flush_logs()
            await self._hear(self.session.beat(self.report()))
        except DatagraphError:
            return

    async def _make(self, work: Work) -> list[Node]:
        """The nodes that do a work here: one, or one a worker, each with a session of its own."""
        made: list[Node] = []
        if work.workers == 1:
            made.append((StreamNode if work.shape == "stream" else ValueNode)(self, work, self.session))
        else:
            for index in range(work.workers):
                self._made += 1
                worker = f"{self.session.worker}.{work.name}.{index}.{self._made}"
                session = self.store.session(self.session.run, worker)
                await self._tasks.start(self._keep_open, session)
                self._sessions.append(session)
                made.append(SharedNode(self, work, session))
        self.nodes += made
        return made

    async def _keep_open(self, session: Session, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        left = self._kept_open[session] = anyio.Event()
        async with session:
            task_status.started()
            while not left.is_set():
                await session.beat({})
                with anyio.move_on_after(2.0):
                    await left.wait()

    def _start(self, node: Node) -> None:
        self._at_work.add(node)
        self._running.start_soon(self._run_node, node)

    async def _all_over(self) -> None:
        """Return when no node is at work, and none will be that a change is about to put in another's place."""
        while self._at_work or self._changing.statistics().locked:
            await self._stirred.wait()

    async def _run_node(self, node: Node) -> None:
        executor = self._executors.get(node.name, self._executor)
        try:
            with speaking_for(self._log(node.name)):
                await executor.run(node)
        finally:
            self._at_work.discard(node)
            self.stir()

    async def _beats(self) -> None:
        while True:
            event = self.session.signals.event("run")
            with anyio.move_on_after(self._beat):
                await event.wait()
            if self._missed != self.session.signals.missed:
                self._missed = self.session.signals.missed
                await self._verify()
            await self._hear(self._reported())
            if self.record is not None and self._rewound != self.record.rewound:
                await self._go_back(self.record.rewound)

    # -- a change of the wiring -----------------------------------------------------------------------------------

    async def change(self, orders: Orders) -> Carried:
        """Carry out a change, one at a time; everything stays as it was where that raises."""
        await self._begun.wait()
        async with self._changing:
            if self._over:
                raise RunError(
                    f"the run {self.session.run!r} has nothing left to do here: it cannot be changed any more"
                )
            try:
                done = await Change(self, orders).apply()
                self._wiring = max(self._wiring, done.version)
                return done
            finally:
                self.stir()

    async def tune(self, work: Work, rooms: Mapping[str, tuple[int, int] | None]) -> None:
        """Give a node other options under its running function, and its ports these capacities (values, bytes)."""
        for node in self.nodes:
            if node.name == work.name:
                node.work = work
                await node.ready.wait()
                node.press()
        for name, room in rooms.items():
            for node in [node for node in self.nodes if node.name == work.name][:1]:
                port = node.ports.get(name)
                if port is not None and port.hold == "hold" and room is not None:
                    segment = port.segments[-1]
                    await self.session.hold(node.name, segment.name, "hold", capacity=room[0])
                    self.resized(node.name, segment.name, segment.stream, room[0])

    async def enter(self, work: Work) -> None:
        """Have a node run from now on."""
        if self._over:
            return
        for node in await self._make(work):
            if self.stopping:
                node.close()
            self._start(node)

    def leave(self, node: Node) -> None:
        """The node object is done with; another may run in its place."""
        super().leave(node)
        left = self._kept_open.pop(node.session, None)
        if left is not None:
            self._sessions.remove(node.session)
            left.set()

    async def come_back(self, nodes: Sequence[Node]) -> None:
        """Have nodes that were to be left, and are only now, run again as they did."""
        for node in nodes:
            await node.over.wait()
        async with self._changing:
            still = [node for node in nodes if node in self.nodes and node.status == "halted"]
            for node in still:
                self.leave(node)
            for work in {node.name: node.work for node in still}.values():
                await self.enter(work)
        self.stir()

    def soon(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Have that done beside everything else."""
        self._tasks.start_soon(function, *args)

    # -- a store that went back -----------------------------------------------------------------------------------

    async def _news(self) -> RunRecord:
        """The run as it is now; StoreLostError where that is as it was before a change that was made."""
        made = self._wiring
        record = await self.session.beat(self.report())
        if record.wiring < made:
            raise StoreLostError(
                f"the store went back to before a change of the run {record.id!r}: its wiring is of version "
                f"{record.wiring}, and change {made} is lost; recover the run, which goes on from what the store has"
            )
        return record

    async def rewound(self) -> None:
        record = await self._hear(self._news())
        if self._rewound != record.rewound:
            await self._go_back(record.rewound)

    async def _verify(self) -> None:
        """After a cut: does the store still have all that it has confirmed to nodes of this process?"""
        for session in self._sessions:
            nodes = [(node, *node.known()) for node in self.nodes if node.session is session]
            ports = [(port.stream, port.where(port.fetched)[1]) for node, *_ in nodes for port in node.ports.values()]
            probe = await session.probe()
            lost = any(stream in probe.streams and probe.streams[stream].length < at for stream, at in ports)
            for node, epoch, seq in nodes:
                found = probe.nodes.get(node.name)
                if found is None:  # dropped and done
                    continue
                lost = lost or found.epoch < epoch or (found.epoch == epoch and found.seq < seq)
            if lost and probe.run.status == "running":
                await self.session.rewind()
                return

    async def _go_back(self, rewound: float) -> None:
        """Have every node here begin again from what the store has; those that were done, too."""
        self._rewound = rewound
        self.learn(await self.session.probe())
        for node in self.nodes:
            if node in self._at_work:
                node.restart()
            elif node.status == "done":
                self._start(node)

    def told(self, record: RunRecord) -> None:
        """What a control of this process was answered."""
        self._told += 1
        self.look(record)

    async def _hear(self, asked: Awaitable[RunRecord]) -> RunRecord:
        """Look at an answer of the store, unless a control was answered meanwhile: that is newer."""
        told = self._told
        record = await asked
        if told == self._told:
            self.look(record)
        return record

    async def _reported(self) -> RunRecord:
        record = await self._news()
        await self._flush_logs()  # first: whoever hears of the end may look for the last lines
        return record

    def look(self, record: RunRecord) -> None:
        """The run as it is now: pause, go on, drain, or leave."""
        self.record = record
        self.stopping = record.stopping
        self.stir()
        for node in self.nodes:
            node.recall()  # who is slow shows how far it is
            if self.is_paused(node.name):
                node.press()
            if self.stopping:
                node.close()
        if self._on_record is not None:
            self._on_record(record)
        if record.status in {"failed", "cancelled"}:
            self._scope.cancel()

    def cancel(self) -> None:
        """Leave at once, saying nothing to the store."""
        self._scope.cancel()

    # -- asked by nodes -------------------------------------------------------------------------------------------

    async def failed(self, node: Node, failure: Failure) -> None:
        if self.failure is None:
            self.failure = failure

    async def pause(self, node: str, failure: Failure) -> None:
        self._log(node).add(f"paused: {failure.message()}")
        self.told(await self.session.control("pause", node))

    # -- deadlock -------------------------------------------------------------------------------------------------

    async def relieve(self, node: str, stream: str) -> None:
        await self.session.beat(self.report())
        probe = await self.session.probe()
        waiting = closed_set(probe)
        if node not in waiting:
            return
        edge = smallest_full_edge(probe, waiting)
        if edge is None:
            return
        (reader, port), capacity, grown = edge
        if await self.session.grow(reader, port, capacity, grown):
            self.held(reader, port, "hold", grown)
            streams = {each.port: each.stream for each in probe.nodes[reader].segments}
            await self.session.tell(
                relieved(self.session.run, reader, streams.get(port, port), capacity, grown, waiting)
            )
            self._log(reader).add(f"a deadlock was relieved: the capacity of {reader}.{port} is {grown} now")

    # -- telling --------------------------------------------------------------------------------------------------

    def report(self) -> dict[str, dict[str, Any]]:
        """What this process says of its nodes, see `reports`."""
        return report_of(self.nodes, self.stops)

    def _log(self, node: str) -> NodeLog:
        log = self._logs.get(node)
        if log is None:
            log = self._logs[node] = NodeLog(node)
        return log

    def logger(self, node: str) -> logging.Logger:
        return self._log(node).logger(self.session.run)

    async def _flush_logs(self) -> None:
        async with self._flushing:  # whoever finds nothing left to write must know that it is written
            for node, log in list(self._logs.items()):
                lines = log.take()
                if lines:
                    try:
                        await self.session.log(node, lines)
                    except StoreLostError:
                        raise
                    except StoreError:
                        return
