"""What one run of a dag has given: the value of each node that got so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..events.snapshot import Snapshot
from ..exceptions import GraphError, RunError
from ..graph.model import Graph
from ..runtime.once import Once, Outcome
from .node import TaskNode

if TYPE_CHECKING:
    from .manager import TaskManager
    from .run import DagRun

P = TypeVar("P")
R = TypeVar("R")


class ExecutionResult(Generic[P]):
    """The values of one run: ``result[node]``, or ``node.extract_result(result)``. Never initialise one yourself."""

    __slots__ = ("_manager", "_once", "_run")

    def __init__(self, manager: TaskManager[P], once: Once, run: DagRun[P] | None = None) -> None:
        self._manager = manager
        self._once = once
        self._run = run

    def __getitem__(self, node: TaskNode[P, R]) -> R:
        if node._manager is not self._manager:
            raise GraphError(f"the node {node.name!r} is of another dag than this result, {self._manager.name!r}")
        if not self._once.has_value(node._number):
            raise self._missing(node)
        value: R = self._once.values[node._number]
        return value

    def __contains__(self, node: object) -> bool:
        """Whether a node has a value."""
        return isinstance(node, TaskNode) and node._manager is self._manager and self._once.has_value(node._number)

    def __len__(self) -> int:
        return sum(map(self._once.has_value, range(len(self._once.plan.names))))

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"ExecutionResult({self._manager.name!r}, {self.status}, {len(self)} of {len(self._once.plan.names)})"

    @property
    def status(self) -> Outcome:
        """ "completed"; of what an error has kept "failed" or "cancelled"."""
        return self._once.status

    @property
    def graph(self) -> Graph:
        """What is connected to what."""
        return self._manager.graph

    @property
    def run(self) -> DagRun[P]:
        """The run that gave it: its tables, history, picture, and the file that `save` makes of it."""
        if self._run is None:
            self._run = self._manager._handle(self._once)
        return self._run

    def snapshot(self) -> Snapshot:
        """The run at its end."""
        return self.run.snapshot()

    def to_dict(self) -> dict[str, Any]:
        """The values by the names of their nodes, of those that have one."""
        once = self._once
        return {name: once.values[i] for i, name in enumerate(once.plan.names) if once.has_value(i)}

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {**self.run._repr_mimebundle_(), "text/plain": repr(self)}

    def _missing(self, node: TaskNode[Any, Any]) -> RunError:
        once, i = self._once, node._number
        if i in once.errors:
            return RunError(f"{node.name!r} has no value: it failed with {type(once.errors[i]).__name__}")
        cause = once.lost().get(i)
        why = "it had not ended when the run did" if once.began[i] else "it had not begun when the run ended"
        if cause is not None:
            why = f"it waited for what {once.plan.names[cause]!r} did not give"
        return RunError(f"{node.name!r} has no value in this run, which is {once.status}: {why}")
