"""Engine 2 in memory: the workers of a task compete for its items, full edges hold writers back, and what is in flight
decides the end.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.lowlevel

from ..events.bus import Bus
from ..events.model import (
    Event,
    NodeEnded,
    NodeStarted,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    ValueDropped,
)
from ..exceptions import DatagraphError, RunCancelledError
from ..runtime.failure import Failure, GivenUp, leaves
from ..runtime.home import Post, poster
from ..runtime.pump import AHEAD, Pump
from .context import PipelineContext
from .failing import Failing, cancelled_itself, source_error
from .results import PipelineResults
from .routing import LONGEST, ResultHandler, Router
from .working import WorkingNode, connect

if TYPE_CHECKING:
    from .pipeline import DagPipeline

Status = Literal["running", "completed", "failed", "cancelled"]

MOST_EVENTS = 10_000


class Engine:
    """One run of a pipeline, in the loop that calls `run`. Its controls and counters may be used from any thread."""

    def __init__(
        self,
        pipeline: DagPipeline,
        source: Any,
        *,
        id: str,
        result_handler: ResultHandler | None = None,
        lanes: bool = False,
    ) -> None:
        self.id = id
        self.name = pipeline.name
        self.graph = pipeline.graph
        self.bus = Bus()
        self.events: deque[Event] = deque(maxlen=MOST_EVENTS)
        self.bus.subscribe(self.events.append)
        self.results = PipelineResults(run_id=pipeline.run_id)
        self.status: Status = "running"
        self.paused = False
        self.stopping = False
        self.given = 0
        self.began = self.ended = time.time()
        self.failure: Failure | None = None
        self.error: BaseException | None = None
        self.source_ended = False
        self._run_id = pipeline.run_id
        self._source = source
        self._lanes = lanes
        self._cancelled = False
        self._resting = False
        self._giving = False
        self._also: list[Failure] = []
        self._post: Post | None = None
        self._scope: anyio.CancelScope | None = None
        self._feeding: anyio.CancelScope | None = None
        self.nodes = {task.id: WorkingNode(task, pipeline.on_error) for task in pipeline.tasks.values()}
        self._begins, self.edges = connect(self.graph, self.nodes)
        self._failing = Failing(self.results, self.bus, run=id, stop=self._fail)
        self._router = Router(
            self.nodes,
            run=id,
            unmatched=pipeline.unmatched,
            ringed=bool(pipeline.ringed),
            result_handler=result_handler,
            results=self.results,
            failing=self._failing,
            bus=self.bus,
        )
        self.on_end: Callable[[], None] = lambda: None

    # -- the run --------------------------------------------------------------------------------------------------

    async def run(self) -> PipelineResults:
        """Work until nothing is in flight any more; raises what went wrong, with the results so far as `.partial`."""
        self._post = poster()
        self.began = time.time()
        self.bus.emit(RunStarted(run=self.id, at=self.began, name=self.name))
        error: BaseException | None = None
        try:
            async with anyio.create_task_group() as tasks:
                self._scope = tasks.cancel_scope
                if self._cancelled:
                    tasks.cancel_scope.cancel()
                for node in self.nodes.values():
                    for lane in range(node.task.concurrency):
                        tasks.start_soon(self._work, node, f"worker-{lane}" if self._lanes else node.name)
                tasks.start_soon(self._feed)
                await self._router.inflight.wait()
                tasks.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            error = leaves(group)[0]
        except BaseException:
            self._end("cancelled")
            raise
        error = self._outcome(error)
        self._end("completed" if error is None else "cancelled" if self._cancelled else "failed", error)
        if error is None:
            return self.results
        with suppress(AttributeError):  # an exception may have slots
            error.partial = self.results  # type: ignore[attr-defined]
        raise error

    def _outcome(self, error: BaseException | None) -> BaseException | None:
        """What the caller gets: a failure before a cancellation, the first of several with the others as notes."""
        if self.failure is not None:
            error = self.failure.exception()
            for other in self._also:
                error.add_note(f"meanwhile, {other.message()}")
        elif error is None and self.error is not None:
            error = self.error
        elif error is None and self._cancelled:
            error = RunCancelledError(f"the run {self.id!r} was cancelled")
        return error

    def _end(self, status: Status, error: BaseException | None = None) -> None:
        self.ended = time.time()
        self.error = error
        for node in self.nodes.values():
            node.queue.lanes.stop()
            if node.started and not node.failed:
                read, written = node.read, node.written
                self.bus.emit(NodeEnded(run=self.id, at=self.ended, node=node.name, read=read, written=written))
        for (name, reason), count in self._router.dropped.items():
            self.bus.emit(ValueDropped(run=self.id, at=self.ended, node=name, reason=reason, count=count))
        self.status = status
        self.bus.emit(RunEnded(run=self.id, at=self.ended, status=status, error=str(error) if error else ""))
        self.on_end()

    def _fail(self, failure: Failure) -> None:
        self._resting = True
        if self.failure is None:
            self.failure = failure
        else:
            self._also.append(failure)
        if self._scope is not None:
            self._scope.cancel()

    # -- the source -----------------------------------------------------------------------------------------------

    async def _feed(self) -> None:
        try:
            with anyio.CancelScope() as self._feeding:
                if not self.stopping:
                    await self._pour()
        except Exception as error:
            self.error = source_error(error, self.id, self.given)
            if self._scope is not None:
                self._scope.cancel()
        finally:
            self.source_ended = True
            self._router.inflight.close()

    async def _pour(self) -> None:
        source = self._source
        if callable(source) and not isinstance(source, Iterable | AsyncIterable):
            source = source()
        if isinstance(source, AsyncIterable):
            async with _closing(source) as payloads:
                async for payload in payloads:
                    await self._give(payload)
        elif isinstance(source, Iterator) or not hasattr(source, "__len__"):
            assert self._post is not None
            pump = Pump(source, self._post, min([AHEAD, *(edge.capacity for edge in self._begins)])).start()
            try:
                async for payload in pump:
                    await self._give(payload)
            finally:
                pump.close()
        else:
            for payload in source:
                await self._give(payload)
                if monotonic() - self._router.breathed > LONGEST:
                    await self._router.breathe()

    async def _give(self, payload: Any) -> None:
        """Hand a payload to every task that begins; a stop waits until all of them have it."""
        if self.stopping:
            self._stop_feeding()
            await anyio.lowlevel.checkpoint()
        id = str(self.given)
        self.given += 1
        self._giving = True
        for edge in self._begins:
            await self._router.feed(edge, PipelineContext(self._run_id, id), payload)
        self._giving = False

    def _stop_feeding(self) -> None:
        if self._feeding is not None and not self._giving:
            self._feeding.cancel()

    # -- the workers ----------------------------------------------------------------------------------------------

    async def _work(self, node: WorkingNode, name: str) -> None:
        """One worker: takes what waits for its node, item by item, until the run ends."""
        queue, router = node.queue, self._router
        items, lanes, inflight = queue.items, queue.lanes, router.inflight
        busy = False
        while True:
            if self._resting or node.paused or not items:
                if busy:
                    busy = False
                    lanes.shift("busy", "starved")
                if self.failure is not None or self._cancelled:
                    return  # at once: where nothing ever waits, a cancellation would come late
                if self.paused or node.paused:
                    await self._rest(node)
                else:
                    await queue.wait()
                continue
            edge, context, value = items.popleft()
            edge.taken()
            node.read += 1
            if not busy:
                busy = True
                lanes.shift("starved", "busy")
                if not node.started:
                    node.started = True
                    self.bus.emit(NodeStarted(run=self.id, at=time.time(), node=node.name))
            context.node_path.append(name)
            await self._one(node, context, value)
            inflight.finish()
            if monotonic() - router.breathed > LONGEST:
                await router.breathe()

    async def _rest(self, node: WorkingNode) -> None:
        node.queue.lanes.shift("starved", "paused")
        try:
            while self.paused or node.paused:
                node.resumed = node.resumed or anyio.Event()
                await node.resumed.wait()
        finally:
            node.queue.lanes.shift("paused", "starved")

    async def _one(self, node: WorkingNode, context: PipelineContext, value: Any) -> None:
        """Handle one item, as often as it takes."""
        attempts = 0
        while True:
            attempts += 1
            error: Exception
            tried = context.copy() if node.retry.attempts else context
            try:
                if node.retry.attempts or node.task.timeout is not None:
                    await self._attempt(node, tried, value)
                else:
                    put = partial(self._router.put, node, context)
                    await node.caller.call(put, *((context, value) if node.with_context else (value,)))
                return
            except GivenUp:
                return
            except Exception as found:
                error = found
            except anyio.get_cancelled_exc_class() as found:
                if anyio.current_effective_deadline() == -inf or self._scope is None:
                    raise
                error = cancelled_itself(node.name, found)
            if attempts > node.retry.attempts or not node.retry.matches(error):
                with suppress(GivenUp):
                    await self._failing.give_up(node, tried, value, error, attempts)
                return
            node.retries += 1
            await anyio.sleep(node.retry.delay(attempts))

    async def _attempt(self, node: WorkingNode, context: PipelineContext, value: Any) -> None:
        """One attempt: what it puts out is held until it has succeeded, where another one may follow."""
        held: list[tuple[PipelineContext, Any]] = []
        route = self._router.put
        timeout = node.task.timeout
        with anyio.move_on_after(timeout) as scope:

            async def put(one: Any) -> None:
                if node.retry.attempts:
                    held.append((context.copy(), one))
                    return
                left, scope.deadline = scope.deadline - anyio.current_time(), inf
                await route(node, context, one)  # as long as there is no room: that is nobody's slowness
                scope.deadline = anyio.current_time() + left

            await node.caller.call(put, *((context, value) if node.with_context else (value,)))
        if scope.cancelled_caught:
            left_on = "; its thread goes on by itself: none can be stopped" if node.caller.threaded else ""
            raise TimeoutError(f"it took longer than timeout={timeout:g} seconds{left_on}")
        for copy, one in held:
            await route(node, copy, one)

    # -- controls, from any thread --------------------------------------------------------------------------------

    def pause(self, node: str = "") -> None:
        """Take nothing more up, in one node or in all."""
        if node:
            self.nodes[node].paused = True
        else:
            self.paused = self._resting = True
        self.bus.emit(RunPaused(run=self.id, at=time.time(), node=node))

    def resume(self, node: str = "") -> None:
        """Go on after `pause`."""
        if node:
            self.nodes[node].paused = False
        else:
            self.paused, self._resting = False, self.failure is not None or self._cancelled
        self.bus.emit(RunResumed(run=self.id, at=time.time(), node=node))
        self.soon(self._wake)

    def stop(self) -> None:
        """Take nothing more from the source; what is in flight arrives."""
        self.stopping = True
        self.soon(self._stop_feeding)

    def cancel(self) -> None:
        """End at once."""
        self._cancelled = self._resting = True
        self.soon(lambda: self._scope.cancel() if self._scope is not None else None)

    def soon(self, function: Callable[[], Any]) -> None:
        """Run a function in the run's loop, where it has begun."""
        if self._post is not None:
            self._post(function)

    def _wake(self) -> None:
        for node in self.nodes.values():
            resumed, node.resumed = node.resumed, None
            if resumed is not None:
                resumed.set()

    def check(self, action: str, node: str) -> None:
        """DatagraphError where the run cannot do this."""
        if action not in {"pause", "resume", "stop", "cancel"}:
            raise DatagraphError(f"a run has no action {action!r}; it has: pause, resume, stop, cancel")
        if node and action not in {"pause", "resume"}:
            raise DatagraphError(f"{action!r} is for a whole run; one node can be paused and resumed")


def _closing(source: AsyncIterable[Any]) -> Any:
    """The values of an async iterable, closed at the end where that can be done."""
    iterator = source.__aiter__()
    if hasattr(iterator, "aclose"):
        return aclosing(iterator)
    return _Open(iterator)


class _Open:
    """An async iterator that needs no closing."""

    def __init__(self, iterator: AsyncIterator[Any]) -> None:
        self._iterator = iterator

    async def __aenter__(self) -> AsyncIterator[Any]:
        return self._iterator

    async def __aexit__(self, *error: object) -> None:
        return
