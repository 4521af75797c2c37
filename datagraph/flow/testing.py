"""Running one processor on lists, on the real engine and the memory store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import anyio

from ..exceptions import DatagraphError
from ..graph.model import Graph
from ..graph.wiring import by_port
from ..runtime.bridge import RuntimeThread, current_backend
from ..runtime.inject import Overrides
from ..streams.memory import MemoryStore
from .compile import specify
from .inputs import normalise
from .local import LocalRun
from .run import Run

if TYPE_CHECKING:
    from .processor import Processor


def run_processor(
    processor: Processor,
    inputs: Mapping[str, Any],
    *,
    settings: Mapping[str, Any] | None = None,
    overrides: Overrides | None = None,
) -> Any:
    """The values that a processor puts out for these inputs: a list, or lists by output name where there are several.

    Raises what the processor raised, as a ProcessorError that is also of the cause's type.
    """
    graph = by_port([processor.node()])
    thread = RuntimeThread(current_backend())
    try:
        outputs = thread.call(_run, thread, processor, graph, normalise(inputs), settings or {}, overrides or {})
    finally:
        thread.stop()
    return outputs[processor.outputs[0]] if len(processor.outputs) == 1 else outputs or None


async def _run(
    thread: RuntimeThread,
    processor: Processor,
    graph: Graph,
    inputs: Mapping[str, Any],
    settings: Mapping[str, Any],
    overrides: Overrides,
) -> dict[str, list[Any]]:
    from ..executors.local import LocalExecutor

    async with MemoryStore() as store:
        spec = specify(
            "test", "test", graph, {processor.name: processor}, keep=-1, keep_results=-1, paused=False, meta={}
        )
        await store.create(spec)
        local = LocalRun(thread, store, await store.find("test"))
        local.work_on(
            {processor.name: processor},
            inputs,
            executor=LocalExecutor(),
            settings={processor.name: settings},
            overrides=overrides,
            pace=None,
        )
        found: dict[str, list[Any]] = {}
        failed: Exception | None = None
        async with anyio.create_task_group() as tasks:
            await tasks.start(local.serve)
            try:
                await local.ended()
                run = Run(thread, local)
                found = {name: (await run[name].read_all())[0] for name in processor.outputs}
            except DatagraphError as error:
                failed = error  # raised outside of the task group, which would wrap it
            local.close()
    if failed is not None:
        raise failed
    return found
