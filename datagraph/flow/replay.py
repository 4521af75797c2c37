"""Replay: recorded values of an edge, fed to a processor in a run of its own, at the pace at which they once came."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from ..events.journal import EDGE_FIELDS, Tick
from ..exceptions import GraphError, UnknownIOError
from ..executors.local import LocalExecutor
from ..graph.check import LONGEST_NAME, suggest
from ..graph.edit import node_of
from ..graph.model import Edge, Graph
from ..graph.wiring import KEEP, KEEP_RESULTS, by_port
from ..runtime.feeder import Inbox
from ..runtime.values import OPEN
from .compile import run_id, sources_of, specify
from .local import LocalRun
from .reading import between

if TYPE_CHECKING:
    from .processor import Processor

SLOWEST, FASTEST = 0.1, 100.0
_WRITTEN = EDGE_FIELDS.index("written")


async def replayed(
    local: LocalRun, edge: str, start: int, stop: int | None, into: Processor | None, speed: float | None
) -> LocalRun:
    """A run of its own of `into` that is fed these values; see `Run.replay`. Lives in the runtime thread."""
    if speed is not None and not SLOWEST <= speed <= FASTEST:
        raise ValueError(f"speed is {SLOWEST} to {FASTEST:.0f} times the recorded pace, or None; got {speed!r}")
    found = _edge(local.graph, edge)
    processor, settings = _reader(local, found) if into is None else (into, {})
    node = node_of(processor)
    if len(node.inputs) != 1:
        raise GraphError(f"{node.name!r} has {len(node.inputs)} inputs: what is replayed into has one (into=)")
    assert local.host is not None  # only whoever is served has a `Run`
    values = await _recorded(local, found.stream, start, stop)
    due = [] if speed is None else [seconds / speed for seconds in await _moments(local, found.stream, start, values)]
    port = node.inputs[0].name
    name = f"{local.record.name[: LONGEST_NAME - 32]} replay"  # room for what makes it an id
    graph = by_port([node], name=name)
    meta: dict[str, Any] = {"stores": local.store.codec.name, "keep": KEEP, "keep_results": KEEP_RESULTS}
    crew, run = {processor.name: processor}, run_id(name)
    await local.store.create(
        specify(
            *(run, name, graph, crew),
            keep=KEEP,
            keep_results=KEEP_RESULTS,
            paused=False,
            meta={**meta, "sources": sources_of(crew)},
        )
    )
    sandbox = LocalRun(local.thread, local.store, await local.store.find(run), lease=local.lease)
    sandbox.work_on(
        {processor.name: processor},
        {port: values if speed is None else OPEN},
        executor=local.executor or LocalExecutor(),
        settings={processor.name: settings},
        overrides={},
        pace=None,
    )
    await local.host(sandbox)
    if speed is not None:
        local.thread.spawn(_feed, sandbox, sandbox.inboxes[port], values, due)
    return sandbox


def _edge(graph: Graph, name: str) -> Edge:
    for edge in graph.edges:
        if edge.name == name:
            return edge
    names = [edge.name for edge in graph.edges]
    raise UnknownIOError(f"the run has no edge {name!r}{suggest(name, names)}; it has: {', '.join(names)}")


def _reader(local: LocalRun, edge: Edge) -> tuple[Processor, Mapping[str, Any]]:
    """The processor at the edge's end, with the settings that it has there."""
    processor = local.changes.processors.get(edge.target)
    if processor is None:
        raise GraphError(f"no processor of this process reads {edge.name!r}: say which it is replayed into (into=)")
    given = {**local.settings.get(edge.target, {}), **local.graph.node(edge.target).attrs.get("given", {})}
    return processor, {name: value for name, value in given.items() if name in processor.binding.settings}


async def _recorded(local: LocalRun, stream: str, start: int, stop: int | None) -> list[Any]:
    length = (await local.session.tail(stream, 1)).length
    stop = length if stop is None else stop
    if not 0 <= start < stop <= length:
        raise ValueError(f"{stream!r} has the positions 0 to {length:,} so far; got start={start}, stop={stop}")
    return await between(local, stream, start, stop)


# -- the pace ---------------------------------------------------------------------------------------------------------


async def _moments(local: LocalRun, stream: str, start: int, values: Sequence[Any]) -> list[float]:
    """When each value came, in seconds after the first of them, as far as the run's journal knows.

    Values carry no time of their own. The journal has how many there were, twice a second; in between they came evenly.
    """
    watcher = local.watch()
    if watcher.snapshot is None or watcher.snapshot.status == "running":
        await watcher.look()
    journal = watcher.journal
    edges = [i for i, edge in enumerate(journal.graph.edges) if edge.stream == stream]
    known = seen(list(journal), edges)
    moments = [came(known, count) for count in range(start + 1, start + 1 + len(values))]
    return [at - moments[0] for at in moments]


class Seen(NamedTuple):
    """So many values were written, and the first and the last moment at which there were so many."""

    written: int
    first: float
    last: float


def seen(ticks: Sequence[Tick], edges: Sequence[int]) -> list[Seen]:
    """What the ticks of these edges, which are of one stream, know of it; counts grow."""
    began = ticks[0]["at"] - ticks[0]["elapsed"] if ticks else 0.0
    found = [Seen(0, began, began)]
    for tick in ticks:
        count, at = max((tick["e"][i][_WRITTEN] for i in edges), default=0), tick["at"]
        if count > found[-1].written:
            found.append(Seen(count, at, at))
        elif count == found[-1].written:
            found[-1] = found[-1]._replace(last=at)
    return found


def came(found: Sequence[Seen], count: int) -> float:
    """The moment at which there were so many values.

    >>> known = [Seen(0, 0.0, 1.0), Seen(10, 2.0, 5.0), Seen(30, 7.0, 7.0)]
    >>> [came(known, count) for count in (5, 10, 20, 40)]
    [1.5, 2.0, 6.0, 7.0]
    """
    after = bisect_left(found, count, key=lambda one: one.written)
    if after >= len(found):
        return found[-1].last
    if after == 0:
        return found[0].first
    before, then = found[after - 1], found[after]
    return before.last + (count - before.written) / (then.written - before.written) * (then.first - before.last)


async def _feed(sandbox: LocalRun, inbox: Inbox, values: Sequence[Any], due: Sequence[float]) -> None:
    """Put each value in when it is due; late, and then as fast as they go, where they are not taken fast enough."""
    began, at = time.monotonic(), 0
    while at < len(values) and sandbox.record.status == "running" and sandbox.error is None:
        now = time.monotonic() - began
        upto = bisect_right(due, now, lo=at)
        if upto == at:
            with anyio.move_on_after(due[at] - now):
                await sandbox.changed.wait()
            continue
        await _put(inbox, values[at:upto])
        at = upto
    inbox.close()


async def _put(inbox: Inbox, values: Sequence[Any]) -> None:
    stored = anyio.Event()
    inbox.put(values, lambda _: stored.set())
    await stored.wait()
