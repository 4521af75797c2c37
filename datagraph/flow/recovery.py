"""Taking up a run whose process is gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..events.model import RunRecovered, encode
from ..exceptions import GraphError, LeaseHeldError, NotResumableError, RunError
from ..graph.model import INPUT_PREFIX, Graph, Node
from ..graph.text import signature
from ..runtime.inject import Overrides
from ..streams.records import ChangeRecord, Probe, RunRecord
from .functions import like
from .local import LocalRun
from .mending import write_down
from .past import graph_of, note_of
from .pumps import Pump

if TYPE_CHECKING:
    from .flow import Flow
    from .processor import Processor
    from .supervisor import Supervisor


async def recovered(
    supervisor: Supervisor,
    record: RunRecord,
    flow: Flow | Sequence[Processor],
    inputs: Mapping[str, Any],
    pumps: Sequence[Pump],
    *,
    force: bool,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    overrides: Overrides | None = None,
    pace: float | None = None,
) -> LocalRun:
    """A local run that goes on with what a dead process left; its `pumps` are told what is stored already.

    Raises GraphError where the flow is not the run's, LeaseHeldError where a worker is alive (unless `force`),
    NotResumableError where an unfinished input was not given again.
    """
    crew = crew_of(record, flow)
    store = supervisor.store
    async with store.session(record.id, "recover", lease=0) as session:
        probe = await session.probe()
        _can_go_on(record, probe)
        left = [node.name for node in probe.nodes.values() if node.status != "done"]
        if not force:
            _nobody_alive(record, probe)
        given = _inputs_left(record, probe, inputs)
        dropped = _dropped(record, probe, await session.changes(), flow)
        if force:
            for node in left:
                await session.claim(node, force=True)  # fences whoever has it; this session has no lease to keep it
            await session.dismiss([worker for worker, seconds in probe.workers.items() if seconds > 0])
        record = await write_down(session, record, crew, left)
        if left:
            await session.tell([encode(RunRecovered(run=record.id, at=probe.now, nodes=tuple(left)))])
    for pump in pumps:
        pump.skip = probe.streams[pump.name].length
    local = LocalRun(supervisor.thread, store, record, lease=supervisor.lease)
    local.force = force
    local.work_on(
        crew,
        given,
        dropped=dropped,
        spare=given_in(flow),
        executor=supervisor.executor,
        settings=settings or {},
        overrides=overrides or {},
        pace=pace,
    )
    return local


def _can_go_on(record: RunRecord, probe: Probe) -> None:
    """A run that is completed can be taken up for the sake of its dead letters, to send them again."""
    letters = any(node.counters.get("dead_letters") for node in probe.nodes.values())
    if record.status != "running" and not (record.status == "completed" and letters):
        raise RunError(f"the run {record.id!r} is {record.status}: there is nothing to recover")


def given_in(flow: Flow | Sequence[Processor]) -> Sequence[Processor]:
    """The processors of a flow, or of a list of them."""
    return flow if isinstance(flow, Sequence) else flow.processors


def crew_of(record: RunRecord, flow: Flow | Sequence[Processor]) -> dict[str, Processor]:
    """The processor of each node of the run; GraphError where one has none.

    A flow has to be that of the run, unless the run was changed since it began. Then, and of a list of processors, each
    node takes the one with the code that it had, else the one of its name, and what is of no node is left aside.
    """
    processors = given_in(flow)
    if not record.wiring and not isinstance(flow, Sequence):
        _same_graph(record, flow.resolve().graph)
    return {node.name: _function(record, node, processors) for node in Graph.from_dict(record.graph).processors()}


def _function(record: RunRecord, node: Node, processors: Sequence[Processor]) -> Processor:
    found = like(node, processors, by_name=True)
    if found is not None:
        return found
    raise GraphError(
        f"the run {record.id!r} has a node {node.name!r} ({signature(node)}) and no processor given fits it: pass that "
        f"one, too. The run was changed since it began; list all processors that may be in it: recover(id, [...])"
    )


def _dropped(
    record: RunRecord, probe: Probe, changes: Sequence[ChangeRecord], flow: Flow | Sequence[Processor]
) -> list[tuple[Node, Processor]]:
    """Nodes that a change dropped and that still have something in hand, as they were, with their processors."""
    known = {node.name for node in Graph.from_dict(record.graph)}
    processors = given_in(flow)
    left = [name for name, state in probe.nodes.items() if name not in known and state.status != "done"]
    graphs = [graph_of(note_of(change).before) for change in changes if left]
    found = []
    for name in left:
        was = next((node for graph in reversed(graphs) for node in graph.processors() if node.name == name), None)
        if was is not None:
            found.append((was, _function(record, was, processors)))
    return found


def _same_graph(record: RunRecord, graph: Graph) -> None:
    theirs = _shape(Graph.from_dict(record.graph))
    ours = _shape(graph)
    if theirs != ours:
        missing = ", ".join(sorted(str(x) for x in theirs - ours)) or "nothing"
        extra = ", ".join(sorted(str(x) for x in ours - theirs)) or "nothing"
        raise GraphError(f"this flow is not that of the run {record.id!r}: it lacks {missing} and has {extra} too much")


def _shape(graph: Graph) -> set[str]:
    return {edge.name for edge in graph.edges} | {node.name for node in graph}


def _nobody_alive(record: RunRecord, probe: Probe) -> None:
    busy = [node for node in probe.nodes.values() if node.status != "done"]
    alive = {worker for node in busy for worker in (node.owner, *node.report)} & set(probe.workers)
    if alive:
        longest = max(probe.workers[worker] for worker in alive)
        raise LeaseHeldError(
            f"the run {record.id!r} has a worker that is alive, or was until a moment ago: wait {longest:.0f} s for "
            f"its lease to lapse, or take over at once with force=True"
        )


def _inputs_left(record: RunRecord, probe: Probe, given: Mapping[str, Any]) -> dict[str, Any]:
    left = {}
    for name, node in probe.nodes.items():
        if not name.startswith(INPUT_PREFIX) or node.status == "done":
            continue
        stream = name.removeprefix(INPUT_PREFIX)
        if stream not in given:
            raise NotResumableError(
                f"the input {stream!r} of the run {record.id!r} was not finished "
                f"({probe.streams[stream].length} values are stored): pass inputs={{{stream!r}: ...}} with the same "
                f"values as before; those that are stored are skipped"
            )
        left[stream] = given[stream]
    return left
