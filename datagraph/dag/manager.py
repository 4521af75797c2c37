"""A dag: built node by node, sorted once, and invoked as often and as many times at once as one likes."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Generic, TypeVar, overload

from ..events.bus import Bus, Observer
from ..exceptions import GraphError, RunCancelledError, RunFailedError
from ..graph.check import check_name
from ..graph.model import Graph
from ..graph.text import to_text
from ..observe.following import Follower, Runnable
from ..runtime.annotations import EMPTY
from ..runtime.bridge import Backend, current_backend
from ..runtime.home import Post, home, poster
from ..runtime.once import Once, Plan
from . import picture
from .arguments import Argument, Built, Constant, numbers, read
from .callee import Callee
from .calls import Fire, compiled
from .function import as_function
from .node import TaskNode
from .result import ExecutionResult
from .run import DagRun

P = TypeVar("P")
R = TypeVar("R")
V = TypeVar("V")


class TaskManager(Runnable, Generic[P]):
    """A dag whose runs take a parameter of type `P`. A node starts the moment that its inputs exist.

    Args:
        name: what it is called in events and pictures.
        limit: nodes at work at once, of one invocation; None for as many as are ready.
        parameter_type: the type of the parameter, which is compared with the annotations of those that take it.

    >>> import anyio
    >>> async def double(number: int) -> int:
    ...     return 2 * number
    >>> async def add(left: int, right: int) -> int:
    ...     return left + right
    >>> with build_dag(int) as tm:
    ...     twice = tm.add_node(double, tm.parameter_node)
    ...     total = tm.add_node(add, twice, tm.add_node(double, twice))
    >>> total.extract_result(anyio.run(tm.invoke, 5))
    30
    """

    def __init__(self, *, name: str = "dag", limit: int | None = None, parameter_type: Any = None) -> None:
        self.name = check_name("run", name)
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise GraphError(f"limit is a number of nodes at once, at least 1; got {limit!r}")
        self._limit = limit
        self._parameter_type = EMPTY if parameter_type is None else parameter_type
        self._nodes: list[TaskNode[P, Any]] = []
        self._parameter: TaskNode[P, P] | None = None
        self._callees: dict[Any, Callee] = {}
        self._plan: Plan | None = None
        self._fire: tuple[Fire | None, ...] = ()
        self._values: list[Any] = []
        self._graph: Graph | None = None
        self._bus = Bus()
        super().__init__()
        self._watched = False

    def __repr__(self) -> str:
        return f"TaskManager({self.name!r}, {len(self._nodes)} nodes{'' if self.sorted else ', not sorted'})"

    # -- building -------------------------------------------------------------------------------------------------

    @overload
    def add_node(
        self, task: Callable[..., Coroutine[Any, Any, R]], /, *deps: Any, **keywords: Any
    ) -> TaskNode[P, R]: ...

    @overload
    def add_node(self, task: Callable[..., Awaitable[R]], /, *deps: Any, **keywords: Any) -> TaskNode[P, R]: ...

    @overload
    def add_node(self, task: Callable[..., R], /, *deps: Any, **keywords: Any) -> TaskNode[P, R]: ...

    def add_node(self, task: Callable[..., Any], /, *deps: Any, **keywords: Any) -> TaskNode[P, Any]:
        """Add a node that calls `task` with these arguments.

        Args:
            task: a coroutine function, or a plain function, which runs in a worker thread.
            deps: nodes of this dag, whose values it is called with; plain values; and lists, tuples, sets and dicts
                with nodes in them, at any depth.
            keywords: the same, by keyword. How it is called is said by ``add_node(...).options(retries=3, ...)``.

        Raises SignatureError where `task` cannot be called so, MismatchedIOError where an annotation says that a
        value cannot fit, GraphError (all of them a ValueError) for a node of another dag and after ``sort()``.
        """
        self._check_open("add_node")
        callee = self._callee(task)
        args = tuple([read(dep, self._number) for dep in deps])
        named = {key: read(value, self._number) for key, value in keywords.items()} if keywords else None
        callee.check(args, named or {}, self._type_of)
        return self._add(
            TaskNode(self, len(self._nodes), "task", callee=callee, args=args, keywords=named, type=callee.type)
        )

    def add_immediate_node(self, value: V) -> TaskNode[P, V]:
        """Add a node that has this value in every run. Raises GraphError after ``sort()``."""
        self._check_open("add_immediate_node")
        return self._add(TaskNode(self, len(self._nodes), "immediate", value=value, type=type(value)))

    @property
    def parameter_node(self) -> TaskNode[P, P]:
        """The node whose value is what `invoke` is called with; always the same one."""
        if self._parameter is None:
            self._check_open("add_node")
            node = TaskNode[P, P](self, len(self._nodes), "parameter", type=self._parameter_type)
            self._parameter = self._add(node)
        return self._parameter

    def sort(self) -> None:
        """Freeze the dag: from now on it can be invoked, and nothing can be added.

        Raises CyclicFlowError, which names the ring, where nodes wait for each other by ``options(after=...)``;
        DuplicateProcessorError where two were called the same; GraphError when it was sorted before.
        """
        self._check_open("sort")
        names = picture.named(self._nodes)
        waits = [
            [j for arg in (*node._args, *(node._keywords or {}).values()) for j in numbers(arg)]
            + [other._number for other in node._after]
            for node in self._nodes
        ]
        given = [node._number for node in self._nodes if node._callee is None]
        plan = Plan.of(names, waits, given)
        constants: list[Any] = []
        self._fire = tuple(compiled(node, constants, len(self._nodes)) for node in self._nodes)
        self._values = [node._value for node in self._nodes] + constants
        for node, name in zip(self._nodes, names, strict=True):
            node._name = name
        self._plan = plan

    @property
    def sorted(self) -> bool:
        """Whether it can be invoked."""
        return self._plan is not None

    def _add(self, node: TaskNode[P, R]) -> TaskNode[P, R]:
        self._nodes.append(node)
        self._graph = None
        return node

    def _check_open(self, what: str) -> None:
        if self._plan is not None:
            raise GraphError(f"{what!r} can not be called after 'sort': build another dag")

    def _callee(self, task: Callable[..., Any]) -> Callee:
        try:
            callee = self._callees.get(task)
        except TypeError:  # a callable that cannot be hashed
            return Callee(task)
        if callee is None:
            callee = self._callees[task] = Callee(task)
        return callee

    def _number(self, value: Any) -> int | None:
        """The number of a node, None for any other value."""
        return self._own(value, "a node")._number if isinstance(value, TaskNode) else None

    def _own(self, node: TaskNode[Any, Any], what: str) -> TaskNode[Any, Any]:
        if node._manager is not self:
            raise GraphError(
                f"{what}: {node.name!r} is of another dag, {node._manager.name!r}; a dag has its own nodes"
            )
        return node

    def _type_of(self, argument: Argument) -> Any:
        if isinstance(argument, Constant):
            return type(argument.value)
        return EMPTY if isinstance(argument, Built) else self._nodes[argument]._type

    # -- running --------------------------------------------------------------------------------------------------

    async def invoke(self, parameter: P) -> ExecutionResult[P]:
        """Run every node, each as soon as its inputs exist, in the event loop of the caller; the values.

        Any number of invocations may be under way. Where nodes fail, those at work are cancelled, and RunFailedError
        is raised: an ExceptionGroup of all their errors, which keeps what the others have given as `partial`.
        GraphError before ``sort()``.
        """
        once = self._once(parameter)
        if not self._watched:
            await once.run()
            return self._outcome(once)
        run = self._handle(once, poster())
        self._following.began(run.subject)
        try:
            await once.run()
        finally:
            run.subject.ended()
        return self._outcome(once, run)

    def start(self, parameter: P, *, backend: Backend | None = None) -> DagRun[P]:
        """Start a run in a thread of datagraph's own and return at once, from a script, a cell or any event loop.

        `backend` is the event loop's library there, "asyncio" or "trio"; None for that of the caller. What belongs to
        the caller's own event loop cannot be used there: `invoke` runs in it. GraphError before ``sort()``.
        """
        once = self._once(parameter)
        thread = home(backend or current_backend())
        run = self._handle(once, thread.soon)
        future = thread.spawn(self._serve, once, run)
        run._future = future
        self._following.began(run.subject)
        return run

    def run(self, parameter: P, *, backend: Backend | None = None) -> ExecutionResult[P]:
        """`start` it and wait for its end, from a script or a cell, showing how far it is; the values."""
        return self.start(parameter, backend=backend).join()

    async def _serve(self, once: Once, run: DagRun[P]) -> ExecutionResult[P]:
        try:
            await once.run()
        finally:
            run.subject.ended()
        return self._outcome(once, run)

    def as_function(
        self, *nodes: TaskNode[P, Any], name: str | None = None, parameter: str = "value"
    ) -> Callable[[P], Coroutine[Any, Any, Any]]:
        """The dag as an async function of its parameter, which gives the value of a node, or a tuple of several.

        So it can be a processor of a flow, ``dg.processor(tm.as_function(node, parameter="text"))``, a node of another
        dag or anything else that takes a function. Where one node fails, that one's error is raised.

        Args:
            nodes: whose values it gives; by default the last node added.
            name: what the function is called; by default as the dag.
            parameter: what its parameter is called, which in a flow is the stream that it reads.
        """
        return as_function(self, nodes or self._nodes[-1:], name or self.name, parameter)

    def _once(self, parameter: P) -> Once:
        plan = self._plan
        if plan is None:
            raise GraphError("this dag is not sorted: call sort(), or build it by `with build_dag() as tm:`")
        values = self._values.copy()
        if self._parameter is not None:
            values[self._parameter._number] = parameter
        id = f"dag-{os.urandom(5).hex()}"
        return Once(plan, self._fire, values, id=id, name=self.name, limit=self._limit, bus=self._bus)

    def _outcome(self, once: Once, run: DagRun[P] | None = None) -> ExecutionResult[P]:
        result = ExecutionResult(self, once, run)
        if once.errors:
            names = [once.plan.names[i] for i in once.errors]
            shown = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            counted = "a node" if len(names) == 1 else f"{len(names)} nodes"
            raise RunFailedError(f"{counted} of {self.name!r} failed: {shown}", [*once.errors.values()], names, result)
        if once.status == "cancelled":
            error = RunCancelledError(f"the run {once.id!r} of {self.name!r} was cancelled: {len(result)} values")
            error.partial = result
            raise error
        return result

    def _handle(self, once: Once, post: Post | None = None) -> DagRun[P]:
        return DagRun(self, once, partial(home, current_backend()), post)

    # -- looking --------------------------------------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """The dag as data, whether it is sorted or not."""
        if self._graph is None:
            self._graph = picture.graph(self._nodes, picture.named(self._nodes), self.name)
        return self._graph

    def view(self) -> Any:
        """The dag in a notebook, live with its newest run, and with each that begins while it is shown.

        Raises MissingExtraError where anywidget is not installed.
        """
        self._watched = True
        return super().view()

    def follow(self, follower: Follower) -> None:
        """Have a bound method called with the newest run, if there is one, and with each that begins."""
        self._watched = True
        super().follow(follower)

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with every event of every run that begins from now on; returns a function that ends that."""
        return self._bus.subscribe(observer)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from ..drawing.svg import svg

        return {"text/plain": f"{self!r}\n{to_text(self.graph)}", "image/svg+xml": svg(self.graph)}


@overload
def build_dag(
    parameter_type: None = None, *, name: str = "dag", limit: int | None = None
) -> AbstractContextManager[TaskManager[None]]: ...


@overload
def build_dag(
    parameter_type: type[V], *, name: str = "dag", limit: int | None = None
) -> AbstractContextManager[TaskManager[V]]: ...


@contextmanager
def build_dag(parameter_type: Any = None, *, name: str = "dag", limit: int | None = None) -> Iterator[TaskManager[Any]]:
    """A `TaskManager` to add nodes to, which is sorted at the end of the block.

    Takes what `TaskManager` takes. An error in the block leaves it unsorted.
    """
    manager = TaskManager[Any](name=name, limit=limit, parameter_type=parameter_type)
    yield manager
    manager.sort()
