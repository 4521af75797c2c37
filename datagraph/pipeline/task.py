"""The parts of a pipeline: tasks, and the transitions between them."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from ..exceptions import SignatureError
from ..graph.check import check_name
from ..runtime.annotations import describe, signature
from ..runtime.retry import Retry
from .context import PipelineContext
from .results import DeadLetter

Handler: TypeAlias = Callable[..., Any]
Predicate: TypeAlias = Callable[[PipelineContext, Any], bool | Awaitable[bool]]
Decision: TypeAlias = Literal["raise", "skip"] | None
OnError: TypeAlias = Literal["raise", "skip"] | Callable[[DeadLetter], Decision | Awaitable[Decision]]


@dataclass
class TaskTransition:
    """A way from a task to the task `target`, for the values for which `predicate(ctx, value)` holds.

    `predicate` may be async; None takes all. `max_loops` is how often one item may take this way, None for as often as
    it likes; it is counted in ``ctx.meta["loop_counts"][(task, name or target)]``.

    Raises ValueError and TypeError for what cannot be.
    """

    target: str
    predicate: Predicate | None = None
    name: str | None = None
    max_loops: int | None = None

    def __post_init__(self) -> None:
        if self.predicate is not None and not callable(self.predicate):
            raise TypeError(f"a predicate is a function of (ctx, value); got {self.predicate!r}")
        if self.max_loops is not None:
            _whole("max_loops", self.max_loops, 0, "how often one item may take the way")


@dataclass
class DagTask:
    """A node of a pipeline: `handler(ctx, payload)`, or `handler(payload)`, called once an item.

    Args:
        id: its name, unique in its pipeline.
        handler: a coroutine function, an async generator function, a plain function or a plain generator function;
            the plain ones run in worker threads.
        transitions: where its values go; a value goes along every one whose predicate holds.
        concurrency: items that it works on at once; above 1 they leave in the order in which they are done.
        retries: how often a failed attempt is made again, a number or `Retry`. What a generator puts out is then held
            until its attempt has succeeded.
        timeout: seconds an attempt may take, waiting for room not counted. A thread cannot be stopped: it is left.
        on_error: "raise", "skip" (into the dead letters), or a function of a `DeadLetter` that returns one of them or,
            where it has dealt with it, None; None for the pipeline's.
        capacity: items that may wait on each way into it; None for the pipeline's.

    Raises ValueError, TypeError and SignatureError for what cannot be.
    """

    id: str
    handler: Handler
    transitions: list[TaskTransition] = field(default_factory=list)
    concurrency: int = 1
    retries: int | Retry = field(default=0, kw_only=True)
    timeout: float | None = field(default=None, kw_only=True)
    on_error: OnError | None = field(default=None, kw_only=True)
    capacity: int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        check_name("processor", self.id)
        self.transitions = list(self.transitions)
        _whole(f"concurrency of {self.id!r}", self.concurrency, 1, "items at once")
        if self.capacity is not None:
            check_capacity(f"capacity of {self.id!r}", self.capacity)
        check_timeout(self.id, self.timeout)
        if self.on_error is not None:
            check_on_error(self.on_error)
        takes_context(self.id, self.handler)
        self.retry  # noqa: B018 - checked by being made

    @property
    def retry(self) -> Retry:
        """`retries` as a `Retry`."""
        return self.retries if isinstance(self.retries, Retry) else Retry(self.retries)


def takes_context(id: str, handler: Any) -> bool:
    """Whether a handler takes (ctx, payload); else it takes (payload). SignatureError where it takes neither."""
    if not callable(handler):
        raise TypeError(f"the handler of {id!r} is a function of (ctx, payload); got {handler!r}")
    try:
        found = signature(handler)
    except ValueError:  # a builtin that does not tell
        return True
    for arguments, context in (((None, None), True), ((None,), False)):
        try:
            found.bind(*arguments)
        except TypeError:
            continue
        return context
    wanted = [p.name for p in found.parameters.values() if p.default is inspect.Parameter.empty]
    raise SignatureError(
        f"the handler of {id!r} is called with (ctx, payload) or with (payload); {describe(handler)} takes "
        f"({', '.join(wanted)}): give the others defaults"
    )


def check_on_error(value: Any) -> None:
    """ValueError for what `on_error` cannot be."""
    if not callable(value) and (not isinstance(value, str) or value not in {"raise", "skip"}):
        raise ValueError(f'on_error is "raise", "skip" or a function of a DeadLetter; got {value!r}')


def check_capacity(what: str, value: Any) -> None:
    """ValueError for what a capacity cannot be."""
    _whole(what, value, 1, "items that may wait")


def check_timeout(id: str, value: Any) -> None:
    """ValueError for what a timeout cannot be."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise ValueError(f"timeout of {id!r} is a number of seconds above 0; got {value!r}")


def _whole(what: str, value: Any, least: int, unit: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{what} is a number ({unit}), at least {least}; got {value!r}")
