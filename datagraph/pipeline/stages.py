"""What tasks do as processors of a flow: an item comes from a stream, and what comes of it leaves on others.

A ring cannot be a flow's: who writes what waits for its own end never ends. So the tasks of a ring are one stage, in
which an item goes round until all that came of it has left.
"""

from __future__ import annotations

import inspect
import traceback
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import anyio

from ..runtime.context import Context
from ..runtime.io import IO
from ..runtime.outputs import Caller
from ..runtime.values import IOVal
from .context import PipelineContext
from .routing import choose, nowhere, onward
from .task import DagTask, Predicate, takes_context

CONTEXT = "context"
"""The parameter of a stage's function by which a flow tells it the run, and the place of the item."""


@dataclass(slots=True)
class Item:
    """A value on its way to the task `to`, with its context."""

    to: str
    context: PipelineContext
    value: Any


@dataclass(frozen=True, slots=True)
class Leg:
    """A way out of a task, and the stream that it has become; none within a ring."""

    target: str
    name: str
    key: tuple[str, str]
    predicate: Predicate | None
    max_loops: int | None
    stream: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One task, or those of a ring, as one processor of a flow.

    `begins` is the task that the payloads of the source come to, "" where what comes is an `Item`. `results` is the
    stream of what leaves the pipeline here. A ring says itself what its tasks `skips`: on the stream `failed`.
    """

    tasks: Mapping[str, DagTask]
    legs: Mapping[str, tuple[Leg, ...]]
    begins: str
    results: str
    unmatched: str
    ring: bool = False
    skips: frozenset[str] = frozenset()
    failed: str = ""

    async def work(self, given: Any, context: Context) -> AsyncGenerator[IOVal[Any], None]:
        """All that comes of one item."""
        going = deque([self._begin(given, context) if self.begins else given])
        while going:
            item = going.popleft()
            try:
                async with aclosing(self._step(item, going, context)) as values:
                    async for value in values:
                        yield value
            except Exception as error:
                if item.to not in self.skips:
                    raise
                letter = {"task": item.to, "value": item.value, "data_id": item.context.data_id}
                said = "".join(traceback.format_exception(error))
                yield IOVal(self.failed, letter | {"error": f"{type(error).__name__}: {error}", "traceback": said})

    async def _step(self, item: Item, going: deque[Item], context: Context) -> AsyncGenerator[IOVal[Any], None]:
        """One task's work on one item: what stays in the ring joins those that are `going`."""
        task = self.tasks[item.to]
        at = item.context.for_node(task.id)
        async with aclosing(_attempts(task, at, item.value, ring=self.ring)) as values:
            async for here, value in values:
                chosen, looped = await choose(task.id, self.legs[task.id], here, value)
                for leg in chosen:
                    onwards = Item(leg.target, onward(here, leg), value)
                    if leg.stream:
                        yield IOVal(leg.stream, onwards)
                    else:
                        going.append(onwards)
                if chosen:
                    continue
                if looped is not None or not self.legs[task.id] or self.unmatched == "result":
                    yield IOVal(self.results, value)
                elif self.unmatched == "raise":
                    raise nowhere(task.id)
                else:
                    context.logger.info("no edge of %r matched a value: it was dropped", task.id)

    def _begin(self, payload: Any, context: Context) -> Item:
        position = context.key.rpartition(":")[2]
        return Item(self.begins, PipelineContext(context.run, position), payload)


async def _attempts(
    task: DagTask, context: PipelineContext, value: Any, *, ring: bool
) -> AsyncGenerator[tuple[PipelineContext, Any], None]:
    """What a task puts out, each with the context as it was then; in a ring tried again here, else by the flow."""
    if not ring or not (task.retry.attempts or task.timeout):
        async with aclosing(_call(task, context, value)) as values:
            async for one in values:
                yield context, one
        return
    attempts = 0
    while True:
        tried = context.copy()
        try:
            with anyio.fail_after(task.timeout):
                found = [(tried.copy(), one) async for one in _call(task, tried, value)]
            break
        except Exception as error:
            attempts += 1
            if attempts > task.retry.attempts or not task.retry.matches(error):
                raise
            await anyio.sleep(task.retry.delay(attempts))
    for pair in found:
        yield pair


def _call(task: DagTask, context: PipelineContext, value: Any) -> AsyncGenerator[Any, None]:
    caller = Caller(task.handler, 1, abandon=task.timeout is not None)
    return caller.values(*((context, value) if takes_context(task.id, task.handler) else (value,)))


def stage_function(stage: Stage, stream: str) -> Callable[..., Any]:
    """The function of a stage's processor, which reads that stream. It shows the code of its (first) task."""

    async def work(**given: Any) -> AsyncIterator[Any]:
        context = given.pop(CONTEXT)
        async with aclosing(stage.work(given[stream], context)) as values:
            async for value in values:
                yield value

    first = next(iter(stage.tasks.values()))
    work.__wrapped__ = first.handler  # type: ignore[attr-defined]
    work.__doc__ = getattr(first.handler, "__doc__", None)
    return _with_parameters(work, {stream: inspect.Parameter.empty, CONTEXT: Context})


def merge_function(streams: tuple[str, ...]) -> Callable[..., Any]:
    """The function of a processor that joins streams, item by item, as they come."""

    async def merge(**given: IO[Any]) -> AsyncIterator[Any]:
        first, *others = given.values()
        async for one in first.as_available(*others):
            yield one.value

    return _with_parameters(merge, dict.fromkeys(streams, IO[Any]))


def _with_parameters(function: Callable[..., Any], annotations: Mapping[str, Any]) -> Callable[..., Any]:
    kind = inspect.Parameter.KEYWORD_ONLY
    found = [inspect.Parameter(name, kind, annotation=annotation) for name, annotation in annotations.items()]
    function.__signature__ = inspect.Signature(found)  # type: ignore[attr-defined]
    return function
