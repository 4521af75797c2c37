"""What becomes of a value that failed for good: the run ends, it is put aside, or a function of the user's decides."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from time import time
from typing import Any

from ..events.bus import Bus
from ..events.model import NodeFailed, ValueDeadLettered
from ..exceptions import processor_error
from ..runtime.failure import Failure, GivenUp
from ..streams.text import short
from .context import PipelineContext
from .results import DeadLetter, PipelineResults
from .working import WorkingNode


class Failing:
    """Decides, for one run. `stop` ends it."""

    def __init__(self, results: PipelineResults, bus: Bus, *, run: str, stop: Callable[[Failure], None]) -> None:
        self._results = results
        self._bus = bus
        self._run = run
        self._stop = stop

    async def give_up(
        self,
        node: WorkingNode,
        context: PipelineContext,
        value: Any,
        error: Exception,
        attempts: int = 1,
        where: str = "handler",
    ) -> None:
        """Deal with a value as the task says; raises GivenUp where the run ends."""
        letter = DeadLetter(node.name, value, context, error, attempts, where)
        node.trouble(letter)
        decision: Any = node.on_error
        kept = True
        if callable(decision):
            try:
                decision = decision(letter)
                if inspect.isawaitable(decision):
                    decision = await decision
            except Exception as own:
                own.add_note(f"in the on_error function, for {letter!r}")
                self._fail(node, letter, own)
            kept = decision is not None
        if decision == "raise":
            self._fail(node, letter, error)
        if decision not in {"skip", None}:
            wrong = ValueError(f'an on_error function returns "raise", "skip" or None; it returned {short(decision)}')
            self._fail(node, letter, wrong)
        if kept:
            node.dead_letters += 1
            node.letters.append(letter)
            self._results.dead_letters.append(letter)
        else:
            node.skipped += 1
        event = ValueDeadLettered(
            run=self._run,
            at=time(),
            node=node.name,
            stream=node.queue.name,
            position=position(context),
            error=f"{type(error).__name__}: {error}",
            attempts=attempts,
        )
        self._bus.emit(event)

    def _fail(self, node: WorkingNode, letter: DeadLetter, error: Exception) -> None:
        failure = Failure(node.name, error, short(letter.value), position(letter.context), letter.attempts)
        node.failed = failure.message()
        at = position(letter.context)
        self._bus.emit(
            NodeFailed(
                run=self._run, at=time(), node=node.name, error=failure.text(), position=at, attempts=letter.attempts
            )
        )
        self._stop(failure)
        raise GivenUp(failure)


def position(context: PipelineContext) -> int | None:
    """The item's place in its source, where its id says it."""
    return int(context.data_id) if context.data_id and context.data_id.isdecimal() else None


def source_error(error: BaseException, run: str, given: int) -> BaseException:
    """The source's own error, told where it came from."""
    error.add_note(f"in the source of the pipeline (run {run}), after {given} payload{'' if given == 1 else 's'}")
    return error


def cancelled_itself(node: str, error: BaseException) -> Exception:
    """A handler raised a cancellation that nobody asked for: an error like any other."""
    return processor_error(f"the handler of {node!r} was cancelled from inside", error, node=node)
