"""A node of a dag: what is called, with what, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, get_args

from ..exceptions import GraphError
from ..graph.check import check_name
from ..runtime.retry import Retry
from .arguments import Argument
from .callee import Callee

if TYPE_CHECKING:
    from .manager import TaskManager
    from .result import ExecutionResult

P = TypeVar("P")
R = TypeVar("R")
Where = Literal["loop", "thread"]
Kind = Literal["task", "immediate", "parameter"]


_NEVER = Retry(0)


@dataclass(frozen=True, slots=True)
class Options:
    """How a node is called; see `TaskNode.options`."""

    retry: Retry = _NEVER
    timeout: float | None = None
    limit: int | AbstractAsyncContextManager[Any] | None = None
    where: Where | None = None


PLAIN = Options()


class TaskNode(Generic[P, R]):
    """A node of a `TaskManager`, which makes it: never initialise one yourself. `R` is the type of its value."""

    __slots__ = (
        "__weakref__",
        "_after",
        "_args",
        "_called",
        "_callee",
        "_keywords",
        "_kind",
        "_manager",
        "_name",
        "_number",
        "_options",
        "_type",
        "_value",
    )

    def __init__(
        self,
        manager: TaskManager[P],
        number: int,
        kind: Kind,
        *,
        callee: Callee | None = None,
        args: Sequence[Argument] = (),
        keywords: dict[str, Argument] | None = None,
        value: Any = None,
        type: Any = None,
    ) -> None:
        self._manager = manager
        self._number = number
        self._kind = kind
        self._callee = callee
        self._args = args
        self._keywords = keywords
        self._value = value
        self._type = type
        self._name = ""
        self._called: str | None = None
        self._options = PLAIN
        self._after: tuple[TaskNode[P, Any], ...] = ()

    @property
    def name(self) -> str:
        """What the node is called; before ``sort()`` what its function is called, which may not be unique yet."""
        return self._name or self._called or (self._callee.name if self._callee is not None else self._kind)

    @property
    def task(self) -> Callable[..., Any] | None:
        """What is called; None for a constant and for the parameter."""
        return self._callee.function if self._callee is not None else None

    def options(
        self,
        *,
        name: str | None = None,
        retries: int | Retry | None = None,
        timeout: float | None = None,
        limit: int | AbstractAsyncContextManager[Any] | None = None,
        where: Where | None = None,
        after: TaskNode[P, Any] | Sequence[TaskNode[P, Any]] | None = None,
    ) -> Self:
        """Say how the node is called; returns the node. What is left out stays as it is.

        Args:
            name: what it is called in errors, events and pictures; by default as its function.
            retries: how often a failed attempt is made again, a number or `Retry`.
            timeout: seconds that an attempt may take. A thread cannot be stopped: it goes on, and nobody waits for it.
            limit: calls of this node at once, over all invocations of its dag in one event loop; or an async context
                manager such as an ``anyio.CapacityLimiter`` that several nodes share. It is held during an attempt.
            where: "loop" calls a plain function in the event loop, which it must not block; "thread" is the default
                for plain functions. Coroutine functions always run in the loop.
            after: nodes that have to be done before, though it takes nothing from them.

        Raises GraphError for values that cannot be, and after ``sort()``.
        """
        self._manager._check_open("options")
        if self._callee is None:
            raise GraphError(f"{self.name!r} is not called, so that it has no options")
        if name is not None:
            self._called = check_name("processor", name)
        if after is not None:
            nodes = (after,) if isinstance(after, TaskNode) else tuple(after)
            self._after += tuple(self._manager._own(node, "after=") for node in nodes)
        given: dict[str, Any] = {"timeout": timeout, "limit": limit, "where": where}
        if retries is not None:
            given["retry"] = retries if isinstance(retries, Retry) else _retry(retries)
        self._options = replace(self._options, **{key: value for key, value in given.items() if value is not None})
        self._check(self._callee)
        return self

    def _check(self, callee: Callee) -> None:
        options, where = self._options, f"node {self.name!r}"
        timeout: object = options.timeout
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int | float) or timeout <= 0):
            raise GraphError(f"{where}: timeout is a number of seconds above 0; got {timeout!r}")
        limit: object = options.limit
        counted = isinstance(limit, int) and not isinstance(limit, bool) and limit >= 1
        if limit is not None and not counted and not isinstance(limit, AbstractAsyncContextManager):
            raise GraphError(
                f"{where}: limit is a number of calls at once, at least 1, or an async context manager such as "
                f"anyio.CapacityLimiter(3); got {limit!r}"
            )
        if options.where not in (None, *get_args(Where)):
            raise GraphError(f"{where}: where is 'loop' or 'thread'; got {options.where!r}")
        if options.where == "thread" and callee.flavour == "coroutine":
            raise GraphError(f"{where}: {callee.name} is a coroutine function, which runs in the loop: leave where out")

    def extract_result(self, result: ExecutionResult[P]) -> R:
        """The node's value in that run.

        Raises ValueError where the result is none of this dag, RunError where the node has no value: it failed, or
        the run ended before.
        """
        value: R = result[self]
        return value

    def __repr__(self) -> str:
        return f"TaskNode({self.name!r})"


def _retry(retries: object) -> Retry:
    try:
        return Retry(retries)  # type: ignore[arg-type]
    except ValueError as error:
        raise GraphError(f"retries is a number or a Retry: {error}") from None
