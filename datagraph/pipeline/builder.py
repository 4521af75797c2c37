"""A pipeline, put together call by call."""

from __future__ import annotations

from typing import Any, Self

from ..exceptions import DuplicateProcessorError, UnknownIOError
from ..graph.check import suggest
from ..runtime.retry import Retry
from .pipeline import DagPipeline
from .task import DagTask, Handler, OnError, Predicate, TaskTransition


class PipelineBuilder:
    """``PipelineBuilder().task("a", f).task("b", g).edge("a", "b").build()``."""

    def __init__(self) -> None:
        self._tasks: dict[str, DagTask] = {}

    def task(
        self,
        id: str,
        handler: Handler,
        *,
        concurrency: int = 1,
        retries: int | Retry = 0,
        timeout: float | None = None,
        on_error: OnError | None = None,
        capacity: int | None = None,
    ) -> Self:
        """Add a task; see `DagTask`. ValueError where there is one of that id."""
        if id in self._tasks:
            raise DuplicateProcessorError(f"there is a task {id!r} already; an id says which one is meant")
        self._tasks[id] = DagTask(
            id,
            handler,
            concurrency=concurrency,
            retries=retries,
            timeout=timeout,
            on_error=on_error,
            capacity=capacity,
        )
        return self

    def edge(
        self,
        source: str,
        target: str,
        *,
        predicate: Predicate | None = None,
        name: str | None = None,
        max_loops: int | None = None,
    ) -> Self:
        """Lead from one task to another, or back; see `TaskTransition`. ValueError where there is no such task."""
        for what, id in (("from", source), ("to", target)):
            if id not in self._tasks:
                known = ", ".join(self._tasks) or "none"
                raise UnknownIOError(
                    f"an edge leads {what} {id!r}, but there is no such task{suggest(id, self._tasks)}: add it before "
                    f"its edges; the tasks so far: {known}"
                )
        self._tasks[source].transitions.append(TaskTransition(target, predicate, name, max_loops))
        return self

    def build(self, *, run_id: str | None = None, **options: Any) -> DagPipeline:
        """The pipeline; `options` are those of `DagPipeline`. ValueError where there are no tasks."""
        tasks = [
            DagTask(
                task.id,
                task.handler,
                list(task.transitions),
                task.concurrency,
                retries=task.retries,
                timeout=task.timeout,
                on_error=task.on_error,
                capacity=task.capacity,
            )
            for task in self._tasks.values()
        ]
        return DagPipeline(tasks, run_id, **options)
