"""A run of a dag as its user holds it, and as a view sees it."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Generic, TypeVar

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

if TYPE_CHECKING:
    from .manager import TaskManager
    from .result import ExecutionResult

P = TypeVar("P")


class DagRun(Handle, Generic[P]):
    """A run of a dag, made by ``tm.start(parameter)``: wait for it by ``await run`` or ``run.join()``.

    Those give its `ExecutionResult`, or raise RunFailedError, whose `partial` has what the nodes have given so far,
    or RunCancelledError. All else may be asked at any time, from any thread.
    """

    def __init__(self, manager: TaskManager[P], once: Once, home: Callable[[], Home], post: Post | None = None) -> None:
        self._once = once
        self._moments = Moments(once, manager.graph)
        works = _Works(manager, once, self._moments, post)
        super().__init__(Watched(works, manager.graph, id=once.id, name=once.name, home=home), self._moments.see)
        self._works = works
        self._future: Future[ExecutionResult[P]] | None = None

    @property
    def status(self) -> Outcome:
        """ "running", "completed", "failed" or "cancelled"."""
        return self._once.status

    def __repr__(self) -> str:
        return f"DagRun({self.name!r}, {self._moments.sentence()}, {self.status})"

    # -- waiting --------------------------------------------------------------------------------------------------

    async def wait(self) -> ExecutionResult[P]:
        """Wait for the end; the result."""
        return await wait_for(self._outcome())

    def __await__(self) -> Generator[Any, Any, ExecutionResult[P]]:
        return self.wait().__await__()

    def join(self, *, progress: bool | None = None) -> ExecutionResult[P]:
        """Wait for the end from a script or a cell, showing how far it is; the result.

        `progress` None shows it where there is somebody to show it to.
        """
        return self._waited(self._outcome(), progress=progress)

    def _outcome(self) -> Future[ExecutionResult[P]]:
        if self._future is None:
            raise DatagraphError("this run was invoked, so that whoever awaits `invoke` waits for it")
        return shielded(self._future)

    # -- control --------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Start no further node until `resume`; those at work go on."""
        self._works.control("pause", "")

    def resume(self) -> None:
        """Go on after `pause`."""
        self._works.control("resume", "")

    def stop(self) -> None:
        """Let the nodes at work end, and start no other; the run then counts as cancelled."""
        self._works.control("stop", "")

    def cancel(self) -> None:
        """End it at once: what is at work is cancelled."""
        self._works.control("cancel", "")

    # -- looking --------------------------------------------------------------------------------------------------

    def bottleneck(self, *, over: float = 0.0) -> Bottleneck:
        """Which node took longest of those that decided when the run ended; while it runs, what it waits for."""
        return Bottleneck(*self._moments.culprit())

    def recording(self) -> Recording:
        """What happened, a moment for each change, whether somebody looked or not."""
        return Recording(self._moments.journal())

    def _progress(self) -> tuple[float | None, str]:
        return self._moments.share(), self._moments.sentence()


class _Works:
    """What `observe.handle.Watched` looks at."""

    def __init__(self, manager: TaskManager[Any], once: Once, moments: Moments, post: Post | None) -> None:
        self._manager = manager
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
        actions: dict[str, Callable[[], None]] = {
            "pause": once.pause,
            "resume": once.resume,
            "stop": once.stop,
            "cancel": once.cancel,
        }
        if action not in actions:
            raise DatagraphError(f"a dag has no action {action!r}; it has: {', '.join(actions)}")
        if node:
            raise DatagraphError(f"a node of a dag runs once and cannot be told to {action}; the whole run can")
        if self.over or self._post is None:
            return once.status
        self._post(actions[action])
        if action == "pause":
            return "paused"
        return "cancelled" if action == "cancel" else "running"

    def edge_look(self, edge: str, most: int) -> EdgeLook:
        """The value on an edge, once it is there."""
        for found in self._manager.graph.edges:
            if found.name == edge:
                i = self._number(found.source)
                values = [self._once.values[i]] if self._once.has_value(i) else []
                return EdgeLook(edge, found.stream, values[:most], 0, len(values))
        known = [each.name for each in self._manager.graph.edges]
        raise UnknownIOError(f"the dag has no edge {edge!r}{suggest(edge, known)}")

    def node_look(self, node: str, most: int) -> NodeLook:
        """A node: its source, its options, what went wrong in it."""
        i = self._number(node)
        found = self._manager.graph.node(node)
        file, _, line = str(found.attrs.get("source", "")).rpartition(":")
        error = self._once.errors.get(i)
        errors = []
        if error is not None:
            text = "".join(traceback.format_exception(error))
            errors.append({"error": f"{type(error).__name__}: {error}", "traceback": text, "at": self._when(i)})
        settings = {key: value for key, value in found.attrs.items() if key != "source"}
        if self._once.ended[i]:
            settings["seconds"] = round(self._once.ended[i] - self._once.began[i], 6)
        if self._once.has_value(i):
            settings["value"] = repr(self._once.values[i])[:200]
        return NodeLook(
            node, _source(self._manager._nodes[i].task), file, int(line or 0), settings=settings, errors=errors
        )

    def _when(self, i: int) -> float:
        return self._once.at(self._once.ended[i])

    def _number(self, name: str) -> int:
        names = self._once.plan.names
        if name not in names:
            raise UnknownIOError(f"the dag has no node {name!r}{suggest(name, names)}; it has: {', '.join(names)}")
        return names.index(name)


def _source(function: Any) -> str | None:
    try:
        return inspect.getsource(inspect.unwrap(function)) if function is not None else None
    except (OSError, TypeError):
        return None
