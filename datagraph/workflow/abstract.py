"""A workflow: its tasks, which of them run, and in which order."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from ..events.bus import Bus, Observer
from ..exceptions import GraphError, RunCancelledError, RunExistsError, RunFailedError, UnknownIOError
from ..graph.check import check_name, suggest
from ..graph.model import Graph
from ..graph.text import to_text
from ..observe.following import Runnable
from ..runtime.bridge import Backend, current_backend
from ..runtime.files import Staging
from ..runtime.home import home
from ..runtime.once import Once, Plan, Skipped
from .check import check, check_given, ordered
from .decisions import Explanation
from .judge import Judge
from .picture import picture
from .run import WorkflowRun
from .states import TaskState
from .task import AbstractTask, walk
from .worker import Done

Force = bool | Iterable[str]


class AbstractManager(Runnable, ABC):
    """Runs a task and all before it, each as soon as its inputs are there, and none that has nothing to do.

    A custom manager says with `_choose_tasks` which of those that are ready begin, and with `_launch_task` how one is
    done; it may say more with `_wrapup_task` and `_interrupt`.

    Args:
        end_task: the last task, or several.
        name: what it is called in events and pictures; by default as the last task.
        state: the folder for what is recorded of all tasks; None for beside the outputs of each.
        keep_going: whether tasks that do not wait for one that failed go on.

    Raises CyclicFlowError, DuplicateProcessorError, DuplicateIOError or GraphError, all of them a ValueError, for what
    could not run.
    """

    def __init__(
        self,
        end_task: AbstractTask | Sequence[AbstractTask],
        *,
        name: str | None = None,
        state: str | os.PathLike[str] | None = None,
        keep_going: bool = True,
    ) -> None:
        ends = [end_task] if isinstance(end_task, AbstractTask) else list(end_task)
        others = [task for task in ends if not isinstance(task, AbstractTask)]
        if others or not ends:
            raise GraphError(f"a workflow has a task at its end, or several; got {others[0] if others else ends!r}")
        self.ends: tuple[AbstractTask, ...] = tuple(ends)
        self.tasks: tuple[AbstractTask, ...] = tuple(ordered(list(walk(ends))))
        self.name = check_name("run", name or ends[-1].identifier)
        self.keep_going = keep_going
        self._state = os.fspath(state) if state is not None else None
        self._graph: Graph | None = None
        self._bus = Bus()
        super().__init__()
        self._judge: Judge | None = None
        self._newest: WorkflowRun | None = None
        self.validate_dag()

    # -- what a custom manager says --------------------------------------------------------------------------------

    @abstractmethod
    def _choose_tasks(self, ready: Sequence[AbstractTask]) -> Iterable[AbstractTask]:
        """Which of those that are ready begin now; asked whenever one becomes ready or has ended."""

    @abstractmethod
    async def _launch_task(self, task: AbstractTask) -> Done:
        """Do a task that writes beside its places, as `worker.perform` does, wherever: within its `timeout`, and no
        longer when this is cancelled.
        """

    def _wrapup_task(self, task: AbstractTask) -> None:
        """A task that was chosen has ended, in whichever way."""

    def _get_running_task_state(self, task: AbstractTask) -> TaskState:
        """The state of a task."""
        return task.state

    async def _interrupt(self) -> None:
        """The run is over: let go what it held."""

    # -- what everybody does with it -------------------------------------------------------------------------------

    @property
    def end_task(self) -> AbstractTask:
        """The last task."""
        return self.ends[-1]

    @property
    def adj_list(self) -> dict[AbstractTask, list[AbstractTask]]:
        """The tasks, each with those that wait for it."""
        return {task: [other for other in self.tasks if task in other.dependencies] for task in self.tasks}

    @property
    def waiting(self) -> set[AbstractTask]:
        """The tasks that wait for others."""
        return self._in(TaskState.WAITING) - self.ready

    @property
    def ready(self) -> set[AbstractTask]:
        """The tasks that could begin."""
        waiting = self._in(TaskState.WAITING)
        return {task for task in waiting if all(t.state is TaskState.COMPLETE for t in task.dependencies)}

    @property
    def running(self) -> set[AbstractTask]:
        """The tasks at work."""
        return self._in(TaskState.RUNNING)

    @property
    def failed(self) -> set[AbstractTask]:
        """The tasks that failed."""
        return self._in(TaskState.FAILED)

    @property
    def complete(self) -> set[AbstractTask]:
        """The tasks that are done."""
        return self._in(TaskState.COMPLETE)

    def _in(self, state: TaskState) -> set[AbstractTask]:
        return {task for task in self.tasks if self._get_running_task_state(task) is state}

    def validate_dag(self) -> None:
        """Raise for what could not run: see the class."""
        ordered(list(walk(self.ends)))
        check(self.tasks)

    def initialize_workflow_state(self, sync: bool = True) -> None:
        """Have the state of every task follow what is there: COMPLETE where it is fresh, else WAITING.

        Without `sync` the states stay as they are, only those that were left RUNNING become WAITING.
        """
        fresh = set(self.explain().tasks("fresh")) if sync else set()
        for task in self.tasks:
            if sync:
                task._become(TaskState.COMPLETE if task.identifier in fresh else TaskState.WAITING)
            elif task.state is TaskState.RUNNING:
                task.interrupt()

    def explain(self, *, force: Force = False) -> Explanation:
        """Which tasks would run now, and why, without running any of them."""
        return self._judged(force).explain()

    def dry_run(self, *, force: Force = False) -> list[str]:
        """The names of the tasks that would run now, in order, with those that perhaps would."""
        return self.explain(force=force).tasks("run", "perhaps")

    def run(
        self,
        sync: bool = True,
        *,
        force: Force = False,
        backend: Backend | None = None,
        progress: bool | None = None,
    ) -> WorkflowRun:
        """Run what is not fresh and wait for the end, from a script or a cell; the run, which tells what was done.

        Args:
            sync: look at what is there; False believes the states of the tasks, and runs all but COMPLETE ones.
            force: True runs every task, names run those tasks, whatever is recorded.
            backend: the event loop's library, "asyncio" or "trio".
            progress: whether it shows how far it is; None where somebody can see it.

        Where tasks fail, those that do not wait for them go on; then RunFailedError names them. FloatingIOError where
        a file that was given is not there.
        """
        return self.start(sync, force=force, backend=backend).join(progress=progress)

    def start(self, sync: bool = True, *, force: Force = False, backend: Backend | None = None) -> WorkflowRun:
        """Start a run and return at once, from a script, a cell or any event loop; ``await`` the run, or `join` it.

        RunExistsError while another run of this manager goes on.
        """
        if self._newest is not None and self._newest.status == "running":
            raise RunExistsError(f"{self.name!r} is running already: wait for it, or cancel it")
        check_given(self.tasks)
        judge = self._judge = self._judged(force)
        thread = home(backend or current_backend())
        given = [node.name for node in self.graph if node.kind == "input"]
        once = self._once(judge, given, sync)
        run = self._newest = WorkflowRun(self, once, lambda: thread, thread.soon)
        run.set_aside = judge.set_aside
        for task in self.tasks:
            if sync or task.state is not TaskState.COMPLETE:
                task._become(TaskState.WAITING)
        run._future = thread.spawn(self._serve, once, run, judge)
        self._following.began(run.subject)
        return run

    # -- running ---------------------------------------------------------------------------------------------------

    def _judged(self, force: Force) -> Judge:
        names = [task.identifier for task in self.tasks]
        forced = names if force is True else [force] if isinstance(force, str) else list(force or ())
        for name in forced:
            if name not in names:
                raise UnknownIOError(f"there is no task {name!r} to be forced{suggest(name, names)}")
        return Judge(self.tasks, self.ends, self._state, forced)

    def _once(self, judge: Judge, given: list[str], sync: bool) -> Once:
        first = len(given)
        numbers = {task: first + i for i, task in enumerate(self.tasks)}
        inputs: list[list[int]] = [[] for _ in given]
        inputs += [sorted(numbers[before] for before in task.dependencies) for task in self.tasks]
        plan = Plan.of([*given, *(task.identifier for task in self.tasks)], inputs, range(first))
        fires: list[Callable[[Once], Any] | None] = [None] * first
        fires += [partial(self._do, judge, task, numbers[task]) for task in self.tasks]

        async def skip(i: int) -> Skipped | None:
            return await self._skip(judge, self.tasks[i - first], sync)

        def admit(ready: Sequence[int]) -> list[int]:
            return [numbers[task] for task in self._choose_tasks([self.tasks[i - first] for i in ready])]

        return Once(
            plan,
            fires,
            [None] * len(plan.names),
            id=f"workflow-{os.urandom(5).hex()}",
            name=self.name,
            skip=skip,
            admit=admit,
            on_failure="continue" if self.keep_going else "drain",
            bus=self._bus,
        )

    async def _serve(self, once: Once, run: WorkflowRun, judge: Judge) -> WorkflowRun:
        try:
            await anyio.to_thread.run_sync(self._look, judge)
            await once.run()
        finally:
            with anyio.CancelScope(shield=True):
                await self._interrupt()
            for task in self.running:
                task.interrupt()
            run.subject.ended()
        if once.errors:
            raise self._failure(once, run)
        if once.status == "cancelled":
            error = RunCancelledError(f"the run {once.id!r} was cancelled: {run!r}")
            error.partial = run
            raise error
        return run

    def _look(self, judge: Judge) -> None:
        for records in judge.records():
            records.sweep()
        judge.explain()

    def _failure(self, once: Once, run: WorkflowRun) -> RunFailedError:
        names = [once.plan.names[i] for i in once.errors]
        counted = "a task" if len(names) == 1 else f"{len(names)} tasks"
        told = f"{counted} of {self.name!r} failed: {', '.join(map(repr, names))}"
        if run.not_run:
            told += f"; not run because of that: {', '.join(map(repr, run.not_run))}"
        return RunFailedError(told, list(once.errors.values()), names, run)

    async def _skip(self, judge: Judge, task: AbstractTask, sync: bool) -> Skipped | None:
        if not sync and task.state is TaskState.COMPLETE:
            return Skipped(None, "it is complete")
        run = self._newest
        assert run is not None
        try:
            decision = await anyio.to_thread.run_sync(judge.decide, task)
        except Exception as error:
            await self._failed(judge, task, error, "")
            raise
        run.decisions[task.identifier] = decision
        if decision.verdict != "fresh":
            return None
        task._become(TaskState.COMPLETE)
        return Skipped(None, f"fresh: {'; '.join(decision.reasons)}")

    async def _do(self, judge: Judge, task: AbstractTask, number: int, once: Once) -> None:
        """With its retries."""
        tries = 1
        try:
            task._become(TaskState.RUNNING)
            while True:
                try:
                    await self._attempt(judge, task)
                except Exception as error:
                    if tries > task.retry.attempts or not task.retry.matches(error):
                        await self._failed(judge, task, error, f", attempt {tries}" if tries > 1 else "")
                        raise
                else:
                    break
                once.retries[number] = tries
                await anyio.sleep(task.retry.delay(tries))
                tries += 1
            task._become(TaskState.COMPLETE)
        except BaseException:
            task.interrupt()
            raise
        finally:
            self._wrapup_task(task)

    async def _attempt(self, judge: Judge, task: AbstractTask) -> None:
        stage = Staging()
        try:
            staged = await anyio.to_thread.run_sync(judge.begin, task, stage)
            done = await self._launch_task(staged)
            run = self._newest
            if run is not None and done.log:
                run.logs[task.identifier] = done.log
            if done.error is not None:
                if done.traceback and task.where == "process":
                    done.error.add_note(f"in its worker process:\n{done.traceback}".rstrip())
                raise done.error
            await anyio.to_thread.run_sync(judge.settle, task, done, stage)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(judge.give_up, task, stage)

    async def _failed(self, judge: Judge, task: AbstractTask, error: Exception, attempt: str) -> None:
        error.add_note(f"in the task {task.identifier!r} of {self.name!r}{attempt}")
        task._become(TaskState.RUNNING)
        task.fail()
        await anyio.to_thread.run_sync(judge.fail, task, error)

    # -- looking ---------------------------------------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """The workflow as data."""
        if self._graph is None:
            self._graph = picture(self.tasks, self.name)
        return self._graph

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with every event of every run that begins from now on; returns a function that ends that."""
        return self._bus.subscribe(observer)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self.tasks)} tasks)"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from ..drawing.svg import svg

        return {"text/plain": f"{self!r}\n{to_text(self.graph)}", "image/svg+xml": svg(self.graph)}
