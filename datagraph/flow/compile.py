"""From a flow's processors to what the runtime works with: works, and the run's specification."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from ..graph.check import check_name
from ..graph.model import Graph
from ..runtime.context import Context
from ..runtime.inject import Binding, Overrides, prepare
from ..runtime.work import Work
from ..streams.records import Hold, NodeSpec, ReaderSpec, RunSpec, StreamSpec

if TYPE_CHECKING:
    from .processor import Processor

KEEP = 10_000
KEEP_RESULTS = 1_000_000
_PRIVATE = "~"


def run_id(name: str) -> str:
    """An id for a new run of that name."""
    return f"{check_name('run', name)}-{os.urandom(4).hex()}"


def private_stream(processor: Processor) -> str:
    """The stream that brings a processor's dead letters back; "" where it can have none."""
    return _PRIVATE + processor.name if processor.on_error == "dead_letter" and _per_value(processor) else ""


def _per_value(processor: Processor) -> bool:
    return processor.binding.shape != "stream" and len(processor.inputs) == 1


def works(
    processors: Sequence[Processor],
    *,
    settings: Mapping[str, Mapping[str, Any]],
    overrides: Overrides,
    stack: AsyncExitStack,
    cache: dict[Any, Any],
) -> list[Work]:
    """The orders of every node. Dependencies are shared by all of them through `cache` and cleaned up by `stack`."""
    return [
        work(processor, settings=settings.get(processor.name, {}), overrides=overrides, stack=stack, cache=cache)
        for processor in processors
    ]


def work(
    processor: Processor,
    *,
    settings: Mapping[str, Any],
    overrides: Overrides,
    stack: AsyncExitStack,
    cache: dict[Any, Any],
) -> Work:
    """The orders of one node."""
    binding: Binding = processor.binding

    async def ready(inner: AsyncExitStack, context: Context) -> Callable[..., Any]:
        return await prepare(
            binding, stack, context=context, settings=context.settings, overrides=overrides, cache=cache
        )

    batch = binding.batch
    return Work(
        name=processor.name,
        inputs=tuple((port, port) for port in binding.ports),
        outputs=tuple(processor.outputs),
        shape=binding.shape,
        flavour=binding.flavour,
        prepare=ready,
        concurrency=processor.concurrency,
        workers=processor.workers,
        ordered=processor.ordered,
        wait=processor.wait,
        retry=processor.retry,
        timeout=processor.timeout,
        rate=processor.rate,
        on_error=processor.on_error,
        state=processor.state,
        batch_size=batch.size if batch is not None else 1,
        batch_within=batch.within if batch is not None else None,
        batch_frame=binding.batch_frame,
        uses_context=binding.has_context,
        private=private_stream(processor),
        settings=dict(settings),
        version=f"{processor.version}:{processor.code_version}",
    )


def specify(
    run: str,
    name: str,
    graph: Graph,
    processors: Sequence[Processor],
    *,
    keep: int,
    keep_results: int,
    paused: bool,
    meta: Mapping[str, Any],
) -> RunSpec:
    """The run as the store writes it down."""
    nodes = [
        NodeSpec(node.name, outputs=tuple(p.stream for p in node.outputs), counts=False) for node in _inputs(graph)
    ]
    streams: list[StreamSpec] = []
    by_name = {processor.name: processor for processor in processors}
    for processor in processors:
        private = private_stream(processor)
        inputs = tuple((port, port) for port in processor.binding.ports)
        nodes.append(
            NodeSpec(
                processor.name,
                inputs=(*inputs, (private, private)) if private else inputs,
                outputs=tuple(processor.outputs),
                shared=processor.workers > 1,
                ordered=processor.ordered,
            )
        )
        if private:
            readers = (ReaderSpec(processor.name, private, hold="open"),)
            streams.append(StreamSpec(private, processor.name, readers, keep=keep, private=True))
    for node in graph:
        streams += [_stream(graph, node.name, port.stream, by_name, keep, keep_results) for port in node.outputs]
    return RunSpec(run, name, graph.to_dict(), tuple(nodes), tuple(streams), paused, meta)


def _inputs(graph: Graph) -> list[Any]:
    return [node for node in graph if node.kind == "input"]


def _stream(
    graph: Graph, writer: str, stream: str, processors: Mapping[str, Processor], keep: int, keep_results: int
) -> StreamSpec:
    readers = []
    for edge in graph.edges:
        if edge.stream != stream or edge.target not in processors:
            continue
        hold: Hold = "hold" if edge.capacity is not None else "open"
        capacity = {} if edge.capacity is None else {"capacity": edge.capacity}
        if edge.capacity_bytes is not None:
            capacity["capacity_bytes"] = edge.capacity_bytes
        batch = processors[edge.target].binding.batch
        if batch is not None and edge.capacity is not None:
            capacity["capacity"] = max(edge.capacity, 2 * batch.size)
        readers.append(ReaderSpec(edge.target, edge.target_port, hold=hold, **capacity))
    return StreamSpec(stream, writer, tuple(readers), keep=keep if readers else keep_results)
