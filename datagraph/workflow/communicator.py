"""Between a manager and what does its tasks."""

from __future__ import annotations

import pickle
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from ..exceptions import MissingExtraError, WorkerLostError
from ..runtime.bridge import wait_for
from .functiontask import FunctionTask
from .task import AbstractTask
from .worker import Done, packed, parts, perform, perform_packed, ready


class AbstractCommunicator(ABC):
    """Takes tasks to where they are done, and brings back what became of them."""

    @abstractmethod
    async def perform(self, task: AbstractTask) -> Done:
        """Have it done, as `worker.perform` does; where this is cancelled, the work is ended.

        WorkerLostError where what did it is gone, TimeoutError where it took longer than the task's `timeout`.
        """

    async def close(self) -> None:  # noqa: B027 - some hold nothing
        """No more tasks will come."""


class ThreadCommunicator(AbstractCommunicator):
    """Tasks are done in threads of this process: a script can be killed, a function cannot be stopped, and goes on."""

    async def perform(self, task: AbstractTask) -> Done:
        """Have it done."""
        ended = False
        with anyio.move_on_after(task.timeout):
            try:
                return await anyio.to_thread.run_sync(perform, task, abandon_on_cancel=True)
            except anyio.get_cancelled_exc_class():
                ended = task._end()
                raise
        raise _late(task, "its script was killed" if ended else "its thread cannot be stopped, and goes on by itself")


class ProcessCommunicator(AbstractCommunicator):
    """Tasks are done in processes of loky, one at a time in each: one that dies takes nothing else with it.

    A process is begun when there is no idle one, and knows nothing of this one's ``__main__``: functions of a notebook
    cell or a script are sent there, those of modules are imported.

    Args:
        settings: for loky's ProcessPoolExecutor, as ``initializer``, ``initargs``, ``env``.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self._settings = {"timeout": None, **(settings or {}), "max_workers": 1}
        self._idle: list[Any] = []

    async def perform(self, task: AbstractTask) -> Done:
        """Have it done."""
        expected = parts(task) if isinstance(task, FunctionTask) and task.reference else None
        data = await anyio.to_thread.run_sync(packed, task, expected)
        executor = self._idle.pop() if self._idle else await anyio.to_thread.run_sync(self._begin)
        ended = False
        try:
            await wait_for(executor.submit(ready))  # it is there; what it takes to begin is not the task's time
            with anyio.move_on_after(task.timeout):
                answer = await wait_for(executor.submit(perform_packed, data))
                ended = True
            if not ended:
                raise _late(task, "its process was killed")
        except _broken() as error:
            text = str(error).partition("\n")[0]
            raise WorkerLostError(f"the process that did {task.identifier!r} died: {text}") from None
        finally:
            if ended:
                self._idle.append(executor)
            else:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(partial(executor.shutdown, kill_workers=True))
        done: Done = pickle.loads(answer)  # noqa: S301 - from a process that this one started
        return done

    async def close(self) -> None:
        """End the processes."""
        idle, self._idle = self._idle, []
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for executor in idle:
                    tasks.start_soon(anyio.to_thread.run_sync, partial(executor.shutdown, kill_workers=True))

    def _begin(self) -> Any:
        try:
            import loky
        except ImportError:
            raise MissingExtraError("worker processes need loky: `pip install loky`, or say where='thread'") from None
        return loky.ProcessPoolExecutor(**self._settings)


def _late(task: AbstractTask, otherwise: str) -> TimeoutError:
    return TimeoutError(f"it took longer than {task.timeout:g} s; {otherwise}")


def _broken() -> type[Exception]:
    from concurrent.futures.process import BrokenProcessPool

    return BrokenProcessPool
