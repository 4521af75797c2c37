"""A pipeline: tasks, joined by transitions, that items stream through in memory."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import anyio

from ..exceptions import DuplicateProcessorError, UnknownIOError, UnresolvedFlowError
from ..graph.check import suggest
from ..graph.model import Graph
from ..graph.text import to_text
from ..observe.bar import Bar
from ..observe.following import Runnable
from ..runtime.bridge import Backend
from ..runtime.home import home
from .engine import Engine
from .flowing import as_flow
from .looking import Looking
from .results import PipelineResults
from .routing import ResultHandler
from .run import PipelineRun, watched
from .shape import UNMATCHED, graph_of, rings, sinks, sources
from .task import DagTask, OnError, check_capacity, check_on_error

if TYPE_CHECKING:
    from ..flow.flow import Flow

Source = Iterable[Any] | AsyncIterable[Any] | Callable[[], Iterable[Any] | AsyncIterable[Any]]
Unmatched = Literal["result", "drop", "raise"]
CAPACITY = 64


class DagPipeline(Runnable):
    """Tasks that items stream through, in this process, by bounded queues.

    Every task that no other leads to gets every payload of the source. What a task puts out goes along every
    transition whose predicate holds, each item by itself (two ways that meet again give two items there); what none
    takes becomes a result. A pipeline may be run as often as one likes, also at the same time.

    Args:
        tasks: in any order; of a ring that nothing leads to, the first is where it begins.
        run_id: what its runs are called in contexts and logs; by default a new id.
        name: what is shown; by default after its tasks.
        on_error: what a failure means where a task does not say: "raise", "skip" or a function; see `DagTask`.
        unmatched: what becomes of a value of which no predicate holds: a "result", "drop" (counted), or "raise".
        capacity: items that may wait on each way where its task does not say.

    Raises ValueError for no tasks, two of one id, and transitions to tasks that are not there.
    """

    def __init__(
        self,
        tasks: Iterable[DagTask],
        run_id: str | None = None,
        *,
        name: str | None = None,
        on_error: OnError = "raise",
        unmatched: Unmatched = "result",
        capacity: int = CAPACITY,
    ) -> None:
        found = list(tasks.values() if isinstance(tasks, Mapping) else tasks)
        check_on_error(on_error)
        check_capacity("capacity", capacity)
        if unmatched not in UNMATCHED:
            raise ValueError(f"unmatched is one of {', '.join(map(repr, UNMATCHED))}; got {unmatched!r}")
        self.tasks = _by_id(found)
        self.run_id = str(uuid.uuid4()) if run_id is None else run_id
        self.name = name or "-".join(self.tasks)[:60]
        self.on_error: OnError = on_error
        self.unmatched: Unmatched = unmatched
        self.capacity = capacity
        self.ringed = rings(self.tasks)
        self.sources = sources(self.tasks, self.ringed)
        self.sinks = sinks(self.tasks)
        self._graph = graph_of(self.tasks, self.sources, name=self.name, capacity=capacity, unmatched=unmatched)
        self._lanes = False
        self._runs = itertools.count(1)
        super().__init__()

    def __repr__(self) -> str:
        return f"DagPipeline({', '.join(self.tasks)})"

    # -- running --------------------------------------------------------------------------------------------------

    async def run_stream(
        self, source: Source, *, result_handler: ResultHandler | None = None, progress: bool = False
    ) -> PipelineResults:
        """Run every payload of `source` through, in the event loop of the caller, and return the results as a list.

        Args:
            source: an iterable, an async iterable, or a function that gives one (an async generator function). What
                may block (an iterator, a generator) is read in a thread.
            result_handler: called as ``result_handler(value, ctx)`` with each result; sync (it runs in the loop: keep
                it short) or async. Nothing is collected then, and the list is empty.
            progress: show how far it is, in a terminal or beneath a notebook's cell.

        Returns the results in the order in which they come out, with `dead_letters` and `reasons`; see
        `PipelineResults`. Raises ProcessorError, which is also of the cause's type and names the node, where a task
        failed and `on_error` is "raise"; and what the source raises. What there was of results is its `partial`.
        """
        engine = self._engine(source, result_handler)
        subject = watched(engine)
        self._following.began(subject)
        if not progress:
            return await engine.run()
        return await _with_bar(engine)

    def start(
        self, source: Source, *, result_handler: ResultHandler | None = None, backend: Backend = "asyncio"
    ) -> PipelineRun:
        """Start a run in the runtime thread, of asyncio or trio, and return at once: from a script, a cell or a loop.

        Takes what `run_stream` takes; async sources and handlers run in the thread's loop, not in the caller's.
        """
        engine = self._engine(source, result_handler)
        subject = watched(engine)
        thread = home(backend)
        run = PipelineRun(engine, subject, thread, thread.spawn(engine.run))
        subject.watch()
        self._following.began(subject)
        return run

    def as_flow(self) -> Flow:
        """The same tasks as a `datagraph.Flow`, whose input is "source" and whose results are "results".

        Each task becomes a processor and each way a stream, so that what is on its way is in a store: it survives the
        process, and can be watched from others. Tasks of a ring become one processor, in which an item goes round until
        all that came of it has left. What is skipped is in ``run.dead_letters(task)``; of a ring it is on a stream of
        its own, called after its tasks and "dead_letters". Values and `meta` are to be such as a stream can carry.

        Raises GraphError for what cannot be a flow: a task whose `on_error` is a function.

        >>> pipeline = DagPipeline([DagTask("double", lambda n: 2 * n)])
        >>> pipeline.as_flow()
        Flow(double)
        """
        return as_flow(self)

    def _engine(self, source: Any, result_handler: ResultHandler | None) -> Engine:
        if not (callable(source) or isinstance(source, Iterable | AsyncIterable) or hasattr(source, "__getitem__")):
            raise TypeError(
                f"a source is an iterable, an async iterable, or a function that gives one; got "
                f"{type(source).__name__}: for one payload pass [payload]"
            )
        if result_handler is not None and not callable(result_handler):
            raise TypeError(f"result_handler is a function of (value, ctx); got {result_handler!r}")
        number = next(self._runs)
        id = self.run_id if number == 1 else f"{self.run_id}-{number}"
        return Engine(self, source, id=id, result_handler=result_handler, lanes=self._lanes)

    # -- pictures -------------------------------------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """What is connected to what, the source and the results included."""
        return self._graph

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from ..drawing.svg import svg

        return {"text/plain": to_text(self.graph), "image/svg+xml": svg(self.graph)}


def _by_id(tasks: list[DagTask]) -> dict[str, DagTask]:
    if not tasks:
        raise UnresolvedFlowError("a pipeline has at least one task: DagPipeline([DagTask('clean', clean)])")
    found: dict[str, DagTask] = {}
    for task in tasks:
        if not isinstance(task, DagTask):
            raise TypeError(f"a pipeline is made of DagTask; got {type(task).__name__}")
        if task.id in found:
            raise DuplicateProcessorError(f"two tasks are called {task.id!r}; an id says which one is meant")
        found[task.id] = task
    for task in tasks:
        for way in task.transitions:
            if way.target not in found:
                raise UnknownIOError(
                    f"{task.id!r} leads to {way.target!r}, which the pipeline lacks{suggest(way.target, found)}; "
                    f"its tasks: {', '.join(found)}"
                )
    return found


async def _with_bar(engine: Engine) -> PipelineResults:
    bar, looking = Bar(), Looking(engine)
    result: PipelineResults | None = None
    error: BaseException | None = None

    async def show() -> None:
        while True:
            await anyio.sleep(0.25)
            bar.update(looking.see())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(show)
        try:
            result = await engine.run()
        except Exception as found:  # raised outside of the group, as it is
            error = found
        finally:
            tasks.cancel_scope.cancel()
            if bar.used:
                bar.update(looking.see())
            bar.close()
    if error is not None:
        raise error
    assert result is not None
    return result
