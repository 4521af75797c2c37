"""Functions mended for a recovery: that they are others is written down, so that each value knows its version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..graph.change import Change
from ..graph.model import Graph
from ..streams.records import Rewire, RunRecord, RunSpec, StreamSpec
from .compile import respecify
from .past import noted
from .versions import last_versions, since_of

if TYPE_CHECKING:
    from ..streams.store import Session
    from .processor import Processor


async def write_down(
    session: Session, record: RunRecord, crew: Mapping[str, Processor], left: Sequence[str]
) -> RunRecord:
    """Say in the run which of the nodes that are `left` to do go on with another function, and from which position on.

    Returns the run after that.
    """
    before = Graph.from_dict(record.graph)
    nodes = [node for node in before.processors() if node.name in left]
    names = [node.name for node in nodes if crew[node.name].code_version != node.attrs.get("code_version")]
    if not names or record.status != "running":
        return record
    for name in names:
        await session.claim(name, force=True)  # whoever had them, and wakes up once more, can write no more of them
    await session.dismiss([worker for worker, seconds in (await session.probe()).workers.items() if seconds <= 0])
    probe = await session.probe()
    change = Change(before, _with_their_code(before, names, crew), swapped=tuple(names))
    versions = last_versions(await session.changes(), before, record.created)
    note = noted(change, names, 0)
    facts: dict[str, Any] = {
        "mended": True,
        "lines": [f"{line}, mended for a recovery" for line in note["lines"]],
        "since": since_of(versions, before, record.created),
        "lengths": {stream: probe.streams[stream].length for stream in note["writers"]},
    }
    spec = _spec(record, change.after, crew)
    done = await session.rewire(Rewire(record.wiring, spec, note=json.dumps({**note, **facts}).encode()))
    return replace(record, graph=spec.graph, meta=spec.meta, wiring=done.version)


def _with_their_code(graph: Graph, names: list[str], crew: Mapping[str, Processor]) -> Graph:
    nodes = []
    for node in graph:
        if node.name in names:
            new = crew[node.name].node().attrs
            facts = {"version": int(node.attrs.get("version") or 1) + 1}
            facts |= {name: new[name] for name in ("code_version", "source", "doc")}
            node = replace(node, attrs={**node.attrs, **facts})  # noqa: PLW2901 - the same node
        nodes.append(node)
    return Graph(tuple(nodes), graph.edges, graph.name)


def _spec(record: RunRecord, graph: Graph, crew: Mapping[str, Processor]) -> RunSpec:
    """The run as it is, with another graph."""
    spec = respecify(record, graph, crew)
    streams = [
        stream if stream.private else StreamSpec(stream.name, stream.writer, (), stream.keep) for stream in spec.streams
    ]
    return replace(spec, nodes=record.nodes, streams=tuple(streams))
