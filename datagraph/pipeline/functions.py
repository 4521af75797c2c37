"""The short way: one function, called with each payload of a source."""

from __future__ import annotations

from ..graph.check import check_name
from ..runtime.annotations import core
from ..runtime.retry import Retry
from .pipeline import CAPACITY, DagPipeline, Source
from .results import PipelineResults
from .routing import ResultHandler
from .task import DagTask, Handler, OnError


def function_pipeline(
    handler: Handler,
    *,
    concurrency: int = 1,
    run_id: str | None = None,
    retries: int | Retry = 0,
    timeout: float | None = None,
    on_error: OnError = "raise",
    capacity: int = CAPACITY,
) -> DagPipeline:
    """A pipeline of one function, to be started or looked at; its workers are called worker-0, worker-1, ..."""
    task = DagTask(_name(handler), handler, concurrency=concurrency, retries=retries, timeout=timeout)
    pipeline = DagPipeline([task], run_id, on_error=on_error, capacity=capacity)
    pipeline._lanes = True
    return pipeline


async def run_function_pipeline(
    source: Source,
    handler: Handler,
    *,
    result_handler: ResultHandler | None = None,
    concurrency: int = 1,
    run_id: str | None = None,
    retries: int | Retry = 0,
    timeout: float | None = None,
    on_error: OnError = "raise",
    capacity: int = CAPACITY,
    progress: bool = False,
) -> PipelineResults:
    """Call `handler(ctx, payload)` with every payload of `source`, and return what it gives as a list.

    The handler may be a coroutine function, an async generator function, a plain function or a plain generator function
    (the plain ones run in worker threads). None is no value; text, bytes, mappings, tables and arrays are one; whatever
    else can be iterated is as many as it gives. With `concurrency` above 1 the values are in the order in which they
    are done. In its context `data_id` is the payload's number, `node_path` is ["worker-N"].

    Takes and raises what `DagPipeline.run_stream` and `DagTask` do.

    >>> import anyio
    >>> async def half(ctx, n):
    ...     return n / 2 if n % 2 == 0 else None
    >>> anyio.run(run_function_pipeline, range(5), half)
    [0.0, 1.0, 2.0]
    """
    pipeline = function_pipeline(
        handler,
        concurrency=concurrency,
        run_id=run_id,
        retries=retries,
        timeout=timeout,
        on_error=on_error,
        capacity=capacity,
    )
    return await pipeline.run_stream(source, result_handler=result_handler, progress=progress)


def _name(handler: Handler) -> str:
    name = getattr(core(handler), "__name__", "") or type(handler).__name__
    try:
        return check_name("processor", "handler" if name == "<lambda>" else name)
    except ValueError:
        return "handler"
