"""From a flow's processors to what the runtime works with: works, and the run's specification."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..graph.check import check_name
from ..graph.model import Edge, Graph, Node
from ..graph.tuning import TUNED
from ..graph.wiring import CAPACITY_BYTES, KEEP, KEEP_RESULTS
from ..runtime.context import Context
from ..runtime.inject import Binding, Overrides, prepare
from ..runtime.work import Work
from ..streams.records import NodeSpec, ReaderSpec, RunRecord, RunSpec, StreamSpec

if TYPE_CHECKING:
    from .processor import Processor

LONGEST_SOURCE = 20_000
"""Characters of a processor's source that a run keeps, so that other processes can show it."""
_PRIVATE = "~"


def run_id(name: str) -> str:
    """An id for a new run of that name."""
    return f"{check_name('run', name)}-{os.urandom(4).hex()}"


def private_stream(node: Node, processor: Processor) -> str:
    """The stream that brings a node's dead letters back; "" where it can have none."""
    one_by_one = processor.binding.shape != "stream" and len(node.inputs) == 1
    return _PRIVATE + node.name if node.attrs["on_error"] == "dead_letter" and one_by_one else ""


def works(
    graph: Graph,
    processors: Mapping[str, Processor],
    make: Callable[[Node, Processor], Work],
) -> list[Work]:
    """The orders of every node that has its processor here."""
    return [make(graph.node(name), processor) for name, processor in processors.items()]


def maker(
    *,
    settings: Mapping[str, Mapping[str, Any]],
    overrides: Overrides,
    stack: AsyncExitStack,
    cache: dict[Any, Any],
) -> Callable[[Node, Processor], Work]:
    """Makes orders; dependencies are shared by all nodes of the run through `cache` and cleaned up by `stack`."""

    def make(node: Node, processor: Processor) -> Work:
        return work(
            node,
            processor,
            settings=settings.get(node.name, {}),
            overrides=overrides,
            stack=stack,
            cache=cache,
        )

    return make


def work(
    node: Node,
    processor: Processor,
    *,
    settings: Mapping[str, Any],
    overrides: Overrides,
    stack: AsyncExitStack,
    cache: dict[Any, Any],
) -> Work:
    """The orders of one node: the function is the processor's, name, streams and options are the node's."""
    binding: Binding = processor.binding

    async def ready(inner: AsyncExitStack, context: Context) -> Callable[..., Any]:
        return await prepare(
            binding, stack, context=context, settings=context.settings, overrides=overrides, cache=cache
        )

    batch, attrs = binding.batch, node.attrs
    streams = {port.name: port.stream for port in (*node.inputs, *node.outputs)}
    retry = processor.retry
    own = {name: value for name, value in attrs.get("given", {}).items() if name not in TUNED}
    return Work(
        name=node.name,
        inputs=tuple((port, streams[port]) for port in binding.ports),
        outputs=tuple(streams[port] for port in processor.outputs),
        shape=binding.shape,
        flavour=binding.flavour,
        prepare=ready,
        concurrency=attrs["concurrency"],
        workers=attrs["workers"],
        ordered=processor.ordered,
        wait=processor.wait,
        retry=retry if retry.attempts == attrs["retries"] else replace(retry, attempts=attrs["retries"]),
        timeout=attrs["timeout"],
        rate=attrs["rate"],
        on_error=attrs["on_error"],
        state=processor.state,
        batch_size=batch.size if batch is not None else 1,
        batch_within=batch.within if batch is not None else None,
        batch_frame=binding.batch_frame,
        uses_context=binding.has_context,
        private=private_stream(node, processor),
        settings={**settings, **own},
        version=f"{attrs['version']}:{processor.code_version}",
    )


def sources_of(processors: Mapping[str, Processor]) -> dict[str, str]:
    """The source of each node's function, as far as it is at hand."""
    return {name: p.source[:LONGEST_SOURCE] for name, p in processors.items() if p.bound and p.source}


def respecify(record: RunRecord, graph: Graph, processors: Mapping[str, Processor], **facts: Any) -> RunSpec:
    """A run after a change: another graph, other functions by node, and these `facts` in its meta."""
    meta: dict[str, Any] = {**record.meta, "sources": sources_of(processors), **facts}
    return specify(
        record.id,
        record.name,
        graph,
        processors,
        keep=meta.get("keep", KEEP),
        keep_results=meta.get("keep_results", KEEP_RESULTS),
        paused=record.paused,
        meta=meta,
    )


def specify(
    run: str,
    name: str,
    graph: Graph,
    processors: Mapping[str, Processor],
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
    for node in graph.processors():
        processor = processors[node.name]
        private = private_stream(node, processor)
        stream_of = {port.name: port.stream for port in node.inputs}
        inputs = tuple((port, stream_of[port]) for port in processor.binding.ports)
        nodes.append(
            NodeSpec(
                node.name,
                inputs=(*inputs, (private, private)) if private else inputs,
                outputs=tuple(port.stream for port in node.outputs),
                shared=node.attrs["workers"] > 1,
                ordered=processor.ordered,
            )
        )
        if private:
            readers = (ReaderSpec(node.name, private, hold="open"),)
            streams.append(StreamSpec(private, node.name, readers, keep=keep, private=True))
    for node in graph:
        streams += [_stream(graph, node.name, port.stream, processors, keep, keep_results) for port in node.outputs]
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
        room = room_of(edge, processors[edge.target])
        if room is None:
            readers.append(ReaderSpec(edge.target, edge.target_port, hold="open"))
        else:
            readers.append(ReaderSpec(edge.target, edge.target_port, *room))
    return StreamSpec(stream, writer, tuple(readers), keep=keep if readers else keep_results)


def room_of(edge: Edge, reader: Processor) -> tuple[int, int] | None:
    """The capacity of an edge in values and bytes, twice a batch at least; None where nothing holds its writer back."""
    if edge.capacity is None:
        return None
    batch = reader.binding.batch
    values = edge.capacity if batch is None else max(edge.capacity, 2 * batch.size)
    return values, CAPACITY_BYTES if edge.capacity_bytes is None else edge.capacity_bytes
