"""A run of a workflow as its user holds it, and as a view sees it."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from ..events.snapshot import Snapshot
from ..exceptions import DatagraphError, UnknownIOError
from ..graph.check import suggest
from ..observe.bottleneck import Bottleneck
from ..observe.handle import Handle, Home, Watched
from ..observe.recording import Recording
from ..observe.watch import EdgeLook, NodeLook
from ..runtime.bridge import shielded, wait_for
from ..runtime.home import Post
from ..runtime.moments import Moments
from ..runtime.once import Once, Outcome
from .datum import AbstractDatum, MemoryDatum
from .decisions import Decision, Explanation
from .functiontask import FunctionTask
from .scripttask import ScriptTask
from .states import DatumState
from .task import AbstractTask

if TYPE_CHECKING:
    from .abstract import AbstractManager


class WorkflowRun(Handle):
    """A run of a workflow, made by ``manager.start()``: wait for it by ``await run`` or ``run.join()``.

    Both give the run itself, or raise RunFailedError, which names the tasks that failed and has the run as `partial`.
    All else may be asked at any time, from any thread.
    """

    def __init__(self, manager: AbstractManager, once: Once, home: Callable[[], Home], post: Post) -> None:
        self._once = once
        self._tasks = {task.identifier: task for task in manager.tasks}
        self._moments = Moments(once, manager.graph)
        self.decisions: dict[str, Decision] = {}
        self.logs: dict[str, str] = {}
        self.set_aside: Sequence[tuple[str, str]] = ()
        self._works = _Works(self, once, self._moments, post)
        super().__init__(Watched(self._works, manager.graph, id=once.id, name=once.name, home=home), self._moments.see)
        self._future: Future[WorkflowRun]

    def __repr__(self) -> str:
        counts = [
            (len(self.done), "done"),
            (len(self.fresh), "fresh"),
            (len(self.failed), "failed"),
            (len(self.not_run), "not run"),
        ]
        told = ", ".join(f"{count} {what}" for count, what in counts if count) or "nothing yet"
        return f"WorkflowRun({self.name!r}, {self.status}: {told})"

    @property
    def status(self) -> Outcome:
        """ "running", "completed", "failed" or "cancelled"."""
        return self._once.status

    @property
    def done(self) -> list[str]:
        """The tasks that were run to their end."""
        once = self._once
        return [name for i, name in self._numbered() if once.has_value(i) and i not in once.skipped]

    @property
    def fresh(self) -> list[str]:
        """The tasks that had nothing to do."""
        return [name for i, name in self._numbered() if i in self._once.skipped]

    @property
    def failed(self) -> list[str]:
        """The tasks that failed."""
        return [name for i, name in self._numbered() if i in self._once.errors]

    @property
    def not_run(self) -> list[str]:
        """The tasks that have not come to their end: for want of what others should have given, or not yet."""
        once = self._once
        return [name for i, name in self._numbered() if not once.has_value(i) and i not in once.errors]

    def explain(self) -> Explanation:
        """What was decided of each task so far, and why."""
        return Explanation([self.decisions[name] for _, name in self._numbered() if name in self.decisions])

    def _numbered(self) -> list[tuple[int, str]]:
        return [(i, name) for i, name in enumerate(self._once.plan.names) if i not in self._once.plan.given]

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def wait(self) -> WorkflowRun:
        """Wait for the end."""
        return await wait_for(shielded(self._future))

    def __await__(self) -> Generator[Any, Any, WorkflowRun]:
        return self.wait().__await__()

    def join(self, *, progress: bool | None = None) -> WorkflowRun:
        """Wait for the end from a script or a cell; `progress` None shows how far it is where somebody can see it.

        Ctrl-C ends the run, and its worker processes with it.
        """
        try:
            return self._waited(shielded(self._future), progress=progress)
        except KeyboardInterrupt:
            self.cancel()
            self._future.exception()
            raise

    # -- control ---------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Start no further task until `resume`; those at work go on."""
        self._works.control("pause", "")

    def resume(self) -> None:
        """Go on after `pause`."""
        self._works.control("resume", "")

    def stop(self) -> None:
        """Let the tasks at work end, and start no other; the run then counts as cancelled."""
        self._works.control("stop", "")

    def cancel(self) -> None:
        """End it at once: the processes at work are killed, and nothing half written stays."""
        self._works.control("cancel", "")

    # -- looking ---------------------------------------------------------------------------------------------------

    def bottleneck(self, *, over: float = 0.0) -> Bottleneck:
        """Which task took longest of those that decided when the run ended; while it runs, what it waits for."""
        return Bottleneck(self._moments.slowest(), self._moments.sentence())

    def recording(self) -> Recording:
        """What happened, a moment for each change, whether somebody looked or not."""
        return Recording(self._moments.journal())

    def _progress(self) -> tuple[float | None, str]:
        return self._moments.share(), self._moments.sentence()


class _Works:
    """What `observe.handle.Watched` looks at."""

    def __init__(self, run: WorkflowRun, once: Once, moments: Moments, post: Post) -> None:
        self._run = run
        self._once = once
        self._moments = moments
        self._post = post

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return bool(self._once.finished_at)

    def see(self) -> Snapshot:
        """How it is now."""
        return self._moments.see()

    def control(self, action: str, node: str) -> str:
        """Pause, resume, stop or cancel the run; the status after that."""
        once = self._once
        actions: Mapping[str, Callable[[], None]] = {
            "pause": once.pause,
            "resume": once.resume,
            "stop": once.stop,
            "cancel": once.cancel,
        }
        if action not in actions:
            raise DatagraphError(f"a workflow has no action {action!r}; it has: {', '.join(actions)}")
        if node:
            raise DatagraphError(f"a task of a workflow runs once and cannot be told to {action}; the whole run can")
        if self.over:
            return once.status
        self._post(actions[action])
        return {"pause": "paused", "cancel": "cancelled"}.get(action, "running")

    def edge_look(self, edge: str, most: int) -> EdgeLook:
        """What is on an edge, once it is there."""
        graph = self._run.graph
        for found in graph.edges:
            if found.name == edge:
                task = self._run._tasks.get(found.source)
                datum = task.outputs.get(found.source_port) if task is not None else None
                if task is None:
                    values: list[Any] = str(graph.node(found.source).attrs["path"]).split("\0")
                else:
                    values = [_shown(leaf) for leaf in datum.leaves() if _is_there(leaf)] if datum is not None else []
                return EdgeLook(edge, found.stream, values[:most], 0, len(values))
        known = [each.name for each in graph.edges]
        raise UnknownIOError(f"the workflow has no edge {edge!r}{suggest(edge, known)}")

    def node_look(self, node: str, most: int) -> NodeLook:
        """A task: its source, why it runs or does not, what it said, what went wrong."""
        once, names = self._once, self._once.plan.names
        if node not in names:
            raise UnknownIOError(f"the workflow has no task {node!r}{suggest(node, names)}")
        i, found = names.index(node), self._run.graph.node(node)
        file, _, line = str(found.attrs.get("source", "")).rpartition(":")
        settings = {key: value for key, value in found.attrs.items() if key != "source"}
        if once.ended[i]:
            settings["seconds"] = round(once.ended[i] - once.began[i], 6)
        if node in self._run.decisions:
            decision = self._run.decisions[node]
            settings["why"] = f"{decision.verdict}: {'; '.join(decision.reasons)}"
        errors = []
        error = once.errors.get(i)
        if error is not None:
            text = "".join(traceback.format_exception(error))
            errors.append(
                {"error": f"{type(error).__name__}: {error}", "traceback": text, "at": once.at(once.ended[i])}
            )
        logs = self._run.logs.get(node, "").splitlines()[-most:]
        return NodeLook(
            node, _source(self._run._tasks.get(node)), file, int(line or 0), settings=settings, errors=errors, logs=logs
        )


def _is_there(leaf: AbstractDatum) -> bool:
    return leaf.state is DatumState.AVAILABLE


def _shown(leaf: AbstractDatum) -> Any:
    return leaf.pointer if isinstance(leaf, MemoryDatum) else leaf._path() or leaf.pointer


def _source(task: AbstractTask | None) -> str | None:
    if isinstance(task, ScriptTask):
        return task.script
    try:
        return inspect.getsource(inspect.unwrap(task.function)) if isinstance(task, FunctionTask) else None
    except (OSError, TypeError):
        return None
