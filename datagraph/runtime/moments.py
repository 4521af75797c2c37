"""A run of once-nodes as snapshots: at this moment or at any before, from when its nodes began and ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from ..drawing.style import number, seconds
from ..events.journal import Journal
from ..events.snapshot import EdgeState, NodeState, Snapshot
from ..graph.model import Edge, Graph
from .once import Once

MOST = 300
"""Moments of which a history is made: all where there are no more, else at even gaps."""
_MOST_STATES = 200_000
"""States of nodes and edges in all of them: the more nodes there are, the fewer moments."""
_LONGEST_WAY = 6


class Moments:
    """Looks at `once`, whose nodes have the same names in `graph`; from any thread, while it runs and after."""

    def __init__(self, once: Once, graph: Graph) -> None:
        self._once = once
        self.graph = graph
        self._number = {name: i for i, name in enumerate(once.plan.names)}
        self._fired = [i for i in range(len(once.plan.names)) if i not in once.plan.given]
        self._reads = Counter(edge.target for edge in graph.edges)

    def see(self, at: float | None = None) -> Snapshot:
        """The run at a moment of its clock (`time.perf_counter`); None is now, or its end."""
        once = self._once
        now = at if at is not None else once.finished_at or time.perf_counter()
        over = bool(once.finished_at) and now >= once.finished_at
        status = once.status if over else "running"
        lost = once.lost()
        began = once.started_at or now
        return Snapshot(
            run=once.id,
            name=once.name,
            at=once.at(now) if once.started_at else time.time(),
            status=status,
            paused=once.paused and not over,
            stopping=once.stopping and not over,
            elapsed=now - began,
            nodes={
                node.name: self._node(node.name, self._number[node.name], now, over, lost)
                for node in self.graph
                if node.name in self._number
            },
            edges={edge.name: self._edge(edge, now) for edge in self.graph.edges},
            workers=1,
            error="; ".join(map(str, once.errors.values())) if over else "",
            sentence=self.sentence(now),
            bottleneck=(self.slowest() or "") if over else "",
        )

    def _node(self, name: str, i: int, now: float, over: bool, lost: dict[int, int]) -> NodeState:
        once = self._once
        began, ended = once.began[i], once.ended[i]
        if i in once.plan.given:
            return NodeState(name, "done", written=1)
        start = once.started_at or now
        read = self._reads[name] if began and began <= now else 0
        if not began or began > now:
            cause = lost.get(i)
            if over or (cause is not None and once.ended[cause] <= now):
                return NodeState(name, "not run", waits_for=once.plan.names[cause] if cause is not None else "")
            waits = next((j for j in once.plan.inputs[i] if not once.ended[j] or once.ended[j] > now), None)
            return NodeState(name, starved=1.0, waits_for=once.plan.names[waits] if waits is not None else "")
        if not ended or ended > now:
            return NodeState(name, "running", busy=1.0, read=read, retries=once.retries.get(i, 0))
        life = ended - start
        busy = (ended - began) / life if life > 0 else 1.0
        error = once.errors.get(i)
        return NodeState(
            name,
            self._status(i),
            busy=busy,
            starved=1.0 - busy,
            read=read,
            written=int(once.has_value(i)),
            errors=int(error is not None),
            retries=once.retries.get(i, 0),
            error=f"{type(error).__name__}: {error}" if error is not None else once.skipped.get(i, ""),
        )

    def _status(self, i: int) -> str:
        once = self._once
        if i in once.errors:
            return "failed"
        if i in once.cancelled:
            return "abandoned" if i in once.abandoned else "cancelled"
        return "skipped" if i in once.skipped else "done"

    def _edge(self, edge: Edge, now: float) -> EdgeState:
        once = self._once
        source, target = self._number[edge.source], self._number[edge.target]
        given = source in once.plan.given
        written = given or (once.has_value(source) and once.ended[source] <= now)
        read = bool(once.began[target]) and once.began[target] <= now
        return EdgeState(
            edge.name,
            edge.stream,
            edge.source,
            edge.target,
            written=int(written),
            read=int(read),
            lag=int(written) - int(read),
            waiting="closed" if read else "" if written else "reader",
            ended=written,
        )

    # -- in words -------------------------------------------------------------------------------------------------

    def sentence(self, now: float | None = None) -> str:
        """How far it is, and what it works on; at its end, which way through it took longest."""
        once = self._once
        now = now if now is not None else once.finished_at or time.perf_counter()
        fired = self._fired
        done = sum(1 for i in fired if once.ended[i] and once.ended[i] <= now)
        counted = f"{number(done)} of {number(len(fired))} nodes"
        if once.finished_at and now >= once.finished_at:
            whole = f"{counted} in {_took(now - once.started_at)}"
            return f"{whole}; the longest way: {self._told_way()}" if len(self.longest_way()) > 1 else whole
        at_work = [i for i in fired if once.began[i] and once.began[i] <= now and not 0 < once.ended[i] <= now]
        if not at_work:
            return counted
        longest = min(at_work, key=once.began.__getitem__)
        since = f"`{once.plan.names[longest]}` for {_took(now - once.began[longest])}"
        others = f", {number(len(at_work))} at once" if len(at_work) > 1 else ""
        return f"{counted}; at work: {since}{others}"

    def culprit(self) -> tuple[str | None, str]:
        """The node that takes longest of those that decide when it ends, and that in a sentence."""
        once, node = self._once, self.slowest()
        if node is None:
            return None, "no node was at work"
        i = self._number[node]
        if once.finished_at:
            took, whole = once.ended[i] - once.began[i], once.finished_at - once.started_at
            alone = f"`{node}` took {_took(took)} of {_took(whole)}"
            return node, f"{alone}, the most on the longest way: {self._told_way()}" if len(self._fired) > 1 else alone
        waiting = self._waiting_for(i)
        counted = f"{number(waiting)} node{'' if waiting == 1 else 's'}"
        waits = f"; {counted} wait{'s' if waiting == 1 else ''} for it" if waiting else ""
        return node, f"`{node}` has been at work for {_took(time.perf_counter() - once.began[i])}{waits}"

    def _told_way(self) -> str:
        once, way = self._once, self.longest_way()
        shown = way[-_LONGEST_WAY:]
        told = ", then ".join(f"`{once.plan.names[i]}` {_took(once.ended[i] - once.began[i])}" for i in shown)
        before = len(way) - len(shown)
        return f"{before} before, then {told}" if before else told

    def _waiting_for(self, i: int) -> int:
        """How many nodes cannot begin before this one has ended."""
        after, found = self._once.plan.after, {i}
        todo = [i]
        while todo:
            new = set(after[todo.pop()]) - found
            found |= new
            todo += new
        return len(found) - 1

    def share(self) -> float:
        """How many of its nodes have ended, from 0 to 1."""
        ended = self._once.ended
        return sum(1 for i in self._fired if ended[i]) / len(self._fired) if self._fired else 1.0

    def slowest(self) -> str | None:
        """The node that took longest of those that decided when it ended, or that has been at work longest."""
        once = self._once
        at_work = [i for i in self._fired if once.began[i] and not once.ended[i]] if not once.finished_at else []
        if at_work:
            return once.plan.names[min(at_work, key=once.began.__getitem__)]
        way = self.longest_way()
        return once.plan.names[max(way, key=lambda i: once.ended[i] - once.began[i])] if way else None

    def longest_way(self) -> list[int]:
        """The nodes that decided when it ended, first to last: each is what the next one waited for longest."""
        once = self._once
        ended = [i for i in range(len(once.plan.names)) if once.began[i] and once.ended[i]]
        way = [max(ended, key=once.ended.__getitem__)] if ended else []
        while way and (before := [j for j in once.plan.inputs[way[-1]] if once.ended[j]]):
            way.append(max(before, key=once.ended.__getitem__))
        return way[::-1]

    # -- history --------------------------------------------------------------------------------------------------

    def journal(self) -> Journal:
        """What happened so far, a moment for each change, whether somebody looked or not."""
        once = self._once
        journal = Journal(self.graph, run=once.id, name=once.name)
        for moment in self._changes():
            journal.record(self.see(moment))
        journal.record(self.see())
        return journal

    def _changes(self) -> Iterator[float]:
        once = self._once
        if not once.started_at:
            return
        found = sorted({once.started_at, *filter(None, once.began), *filter(None, once.ended)})
        # Of what happened within a thousandth of a second, which is as exact as a journal is, the last one tells all.
        kept = [a for a, b in pairwise(found) if b - a >= 0.001] + found[-1:]
        most = max(10, min(MOST, _MOST_STATES // (len(self.graph.nodes) + len(self.graph.edges) + 1)))
        yield from kept[:: len(kept) // most + 1]


def _took(duration: float) -> str:
    """A time that a node has taken, also where that is a small part of a second."""
    if duration >= 0.9995:
        return seconds(duration)
    return f"{duration * 1000:.3g} ms" if duration >= 0.0009995 else f"{duration * 1e6:.3g} µs"
