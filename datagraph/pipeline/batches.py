"""Batches of payloads over child processes: each batch is a run of its own, in a process that does nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Iterator
from functools import partial
from typing import Any

import anyio

from ..exceptions import WorkerLostError, processor_error
from ..runtime.bridge import Backend
from ..runtime.children import ChildError, Children, portable
from ..runtime.retry import Retry
from .builder import PipelineBuilder
from .context import PipelineContext
from .functions import function_pipeline
from .pipeline import DagPipeline
from .results import DeadLetter, PipelineResults
from .task import Handler, OnError, takes_context

Row = dict[str, Any]


def run_function_pipeline_in_subprocess(
    handler: Handler,
    data_batches: Iterable[Iterable[Any]],
    *,
    processes: int = 1,
    concurrency: int = 1,
    retries: int | Retry = 0,
    timeout: float | None = None,
    on_error: OnError = "raise",
    backend: Backend = "asyncio",
) -> PipelineResults:
    """Run `handler` over every batch, each in one of at most `processes` child processes; waits for the end.

    The handler, its payloads and its values travel by cloudpickle, so it may stand in a notebook cell. The other
    arguments are those of `run_function_pipeline`, for each batch.

    Returns a list of dicts, batch after batch: run_id, data_id (the payload's number in its batch), node and value;
    `dead_letters` and `reasons` as in `PipelineResults`. Raises ProcessorError, also of the cause's type, which names
    the batch and the payload; WorkerLostError where a process died, which names the batch it had.
    """
    takes_context(getattr(handler, "__name__", "handler"), handler)
    make = partial(
        function_pipeline, handler, concurrency=concurrency, retries=retries, timeout=timeout, on_error=on_error
    )
    return run_pipeline_in_subprocess(make, data_batches, processes=processes, backend=backend)


def run_pipeline_in_subprocess(
    pipeline_factory: Callable[[], DagPipeline | PipelineBuilder],
    data_batches: Iterable[Iterable[Any]],
    *,
    processes: int = 1,
    backend: Backend = "asyncio",
) -> PipelineResults:
    """Run the pipeline that `pipeline_factory` makes over every batch, each in one of at most `processes` children.

    The factory is called in the child, for each batch anew. See `run_function_pipeline_in_subprocess` for the rest.
    """
    if not callable(pipeline_factory):
        raise TypeError(f"pipeline_factory is a function that makes a pipeline; got {pipeline_factory!r}")
    if not isinstance(processes, int) or isinstance(processes, bool) or processes < 1:
        raise ValueError(f"processes is a number of child processes, at least 1; got {processes!r}")
    found: dict[int, PipelineResults] = {}
    try:
        with Children(partial(_run_batch, pipeline_factory, backend), processes) as children:
            found.update(children.run(_batches(data_batches)))
    except ChildError as failed:
        error = _batch_error(failed)
        error.partial = _joined(found)  # type: ignore[attr-defined]
        raise error from error.__cause__
    except WorkerLostError as lost:
        lost.partial = _joined(found)
        raise
    return _joined(found)


def _batches(data_batches: Iterable[Iterable[Any]]) -> Iterator[list[Any]]:
    for number, batch in enumerate(data_batches):
        if isinstance(batch, AsyncIterable) or not isinstance(batch, Iterable):
            raise TypeError(f"batch {number} is an iterable of payloads; got {type(batch).__name__}")
        yield list(batch)


def _run_batch(factory: Callable[[], Any], backend: Backend, batch: list[Any]) -> PipelineResults:
    """In the child: one batch."""
    made = factory()
    pipeline = made.build() if isinstance(made, PipelineBuilder) else made
    if not isinstance(pipeline, DagPipeline):
        raise TypeError(f"pipeline_factory makes a DagPipeline; it returned {type(made).__name__}")
    rows: list[Row] = []

    def keep(value: Any, ctx: PipelineContext) -> None:
        rows.append({"run_id": ctx.run_id, "data_id": ctx.data_id, "node": ctx.current_node, "value": value})

    done = anyio.run(partial(pipeline.run_stream, batch, result_handler=keep), backend=backend)
    found = PipelineResults(rows, run_id=done.run_id)
    found.reasons = done.reasons
    found.dead_letters = [_portable(letter) for letter in done.dead_letters]
    return found


def _portable(letter: DeadLetter) -> DeadLetter:
    error = portable(letter.error)
    return DeadLetter(letter.node, letter.value, letter.context, error, letter.attempts, letter.where)


def _joined(found: dict[int, PipelineResults]) -> PipelineResults:
    """All batches in their order."""
    joined = PipelineResults()
    for _, part in sorted(found.items()):
        joined.extend(part)
        joined.dead_letters.extend(part.dead_letters)
        joined.reasons.update(part.reasons)
    return joined


def _batch_error(failed: ChildError) -> Exception:
    facts = dict(failed.facts)
    node, value = facts.get("node", ""), facts.get("value", "")
    where = f": {node!r} failed" if node else ""
    at = f" at {value}" if value else ""
    error = processor_error(
        f"batch {failed.number}{where}{at}: {failed}",
        failed.error,
        node=node,
        value=value,
        position=facts.get("position"),
        attempts=facts.get("attempts", 1),
    )
    error.add_note("the traceback in the process that ran it:\n" + failed.traceback)
    return error
