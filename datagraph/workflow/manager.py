"""A workflow on this machine: within its resources, in worker processes."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from ..runtime.resources import Resources
from .abstract import AbstractManager
from .communicator import AbstractCommunicator, ProcessCommunicator, ThreadCommunicator
from .task import AbstractTask
from .worker import Done

_PROCESS = "worker processes"


class WorkflowManager(AbstractManager):
    """A workflow whose tasks run in processes of their own (or in threads), as many at once as there is room for.

    Args:
        end_task: the last task, or several; they and all before them are the workflow.
        resources: how much there is of what tasks need, as in ``{"gpu": 2}``; of anything else there is no end.
        executor_kwargs: ``max_workers`` worker processes (as many as there are cores), and what else loky's
            ProcessPoolExecutor takes for each.
        name, state, keep_going: see `AbstractManager`.

    Raises GraphError where a task needs more than there is, and what `AbstractManager` raises.
    """

    def __init__(
        self,
        end_task: AbstractTask | Sequence[AbstractTask],
        resources: Mapping[str, float] | None = None,
        executor_kwargs: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        state: str | os.PathLike[str] | None = None,
        keep_going: bool = True,
    ) -> None:
        super().__init__(end_task, name=name, state=state, keep_going=keep_going)
        settings = dict(executor_kwargs or {})
        most = settings.pop("max_workers", None)
        self._resources = Resources({**(resources or {}), _PROCESS: most if most is not None else _cores()})
        self._communicators: Mapping[Literal["process", "thread"], AbstractCommunicator] = {
            "process": ProcessCommunicator(settings),
            "thread": ThreadCommunicator(),
        }
        for task in self.tasks:
            self._resources.check(f"the task {task.identifier!r}", self._demand(task))

    def _choose_tasks(self, ready: Sequence[AbstractTask]) -> Collection[AbstractTask]:
        return self._resources.choose((task, self._demand(task)) for task in ready)

    def _demand(self, task: AbstractTask) -> Mapping[str, float]:
        return {**task.resources, _PROCESS: 1} if task.where == "process" else task.resources

    async def _launch_task(self, task: AbstractTask) -> Done:
        return await self._communicators[task.where].perform(task)

    def _wrapup_task(self, task: AbstractTask) -> None:
        self._resources.give(task)

    async def _interrupt(self) -> None:
        for communicator in self._communicators.values():
            await communicator.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
