"""Which node comes before which. Nothing here recurses: a chain of ten thousand nodes is as good as one of ten."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping

from ..exceptions import CyclicFlowError
from .model import Graph

Neighbours = Mapping[str, tuple[str, ...]]
Pair = tuple[str, str]


def successors(graph: Graph, without: Collection[Pair] = ()) -> Neighbours:
    """For each node the nodes that read what it writes, each once; `without` leaves out (writer, reader) pairs."""
    found: dict[str, dict[str, None]] = {node.name: {} for node in graph.nodes}
    for edge in graph.edges:
        if edge.source in found and edge.target in found and (edge.source, edge.target) not in without:
            found[edge.source][edge.target] = None
    return {name: tuple(others) for name, others in found.items()}


def predecessors(graph: Graph, without: Collection[Pair] = ()) -> Neighbours:
    """For each node the nodes that write what it reads, each once; `without` leaves out (writer, reader) pairs."""
    found: dict[str, list[str]] = {node.name: [] for node in graph.nodes}
    for name, readers in successors(graph, without).items():
        for reader in readers:
            found[reader].append(name)
    return {name: tuple(others) for name, others in found.items()}


def descendants(graph: Graph, name: str) -> frozenset[str]:
    """The nodes that what `name` writes can reach; itself only if it lies on a ring. KeyError if it is unknown."""
    return _reached(successors(graph), name)


def ancestors(graph: Graph, name: str) -> frozenset[str]:
    """The nodes whose values can reach `name`; itself only if it lies on a ring. KeyError if it is unknown."""
    return _reached(predecessors(graph), name)


def topological(graph: Graph) -> tuple[str, ...]:
    """Node names, writers before their readers; where either would do, in the order of the graph (Kahn, 1962).

    Raises `CyclicFlowError` if there is a ring.
    """
    order = _kahn(successors(graph))
    if len(order) < len({node.name for node in graph.nodes}):
        cycle = find_cycle(graph)
        raise CyclicFlowError(f"a ring has no first node: {' -> '.join(map(repr, cycle))}; cut it somewhere", cycle)
    return order


def levels(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """Nodes by the length of the longest way to them from a source; edges that close a ring do not count."""
    after = successors(graph, back_edges(graph))
    level = dict.fromkeys(after, 0)
    for name in _kahn(after):
        for reader in after[name]:
            level[reader] = max(level[reader], level[name] + 1)
    rows: list[list[str]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    for name, at in level.items():
        rows[at].append(name)
    return tuple(tuple(row) for row in rows)


def depth_first(graph: Graph) -> tuple[str, ...]:
    """Node names, writers before their readers and as close before them as can be: the order to read a graph in.

    A node that nobody reads comes at once after the last of its writers. Edges that close a ring do not count.
    """
    closing = back_edges(graph)
    before, after = predecessors(graph, closing), successors(graph, closing)
    done: dict[str, None] = {}
    for name in sorted(before, key=lambda name: not before[name]):
        stack = [name] if name not in done else []
        while stack:
            top = stack[-1]
            waiting = [writer for writer in before[top] if writer not in done]
            if waiting:
                stack.append(waiting[0])
                continue
            done[stack.pop()] = None
            for reader in after[top]:
                if not after[reader] and all(writer in done for writer in before[reader]):
                    done[reader] = None
    return tuple(done)


def back_edges(graph: Graph) -> frozenset[Pair]:
    """(writer, reader) pairs without which the graph has no ring; empty where it has none anyhow."""
    after = successors(graph)
    found: set[Pair] = set()
    state: dict[str, int] = {}  # 1: on the way we are following, 2: done
    for start in after:
        stack = [start] if start not in state else []
        todo = {start: iter(after[start])}
        state.setdefault(start, 1)
        while stack:
            top = stack[-1]
            for reader in todo[top]:
                if state.get(reader) == 1:
                    found.add((top, reader))
                elif reader not in state:
                    state[reader] = 1
                    todo[reader] = iter(after[reader])
                    stack.append(reader)
                    break
            else:
                state[stack.pop()] = 2
    return frozenset(found)


def find_cycle(graph: Graph) -> tuple[str, ...]:
    """One ring in the order in which values go round it, the first name again at the end; () if there is none."""
    cycles = find_cycles(graph)
    return cycles[0] if cycles else ()


def find_cycles(graph: Graph) -> tuple[tuple[str, ...], ...]:
    """Rings that share no node, so many that without their nodes no ring is left; each as in `find_cycle`."""
    before = {name: set(others) for name, others in predecessors(graph).items()}
    place = {name: i for i, name in enumerate(before)}
    cycles: list[tuple[str, ...]] = []
    while True:
        _drop_sources(before)
        if not before:
            return tuple(cycles)
        # Whatever is left has a writer that is left: walking upstream must come back to itself.
        name = min(before, key=place.__getitem__)
        seen: dict[str, int] = {}
        while name not in seen:
            seen[name] = len(seen)
            name = min(before[name], key=place.__getitem__)
        ring = list(seen)[seen[name] :][::-1]
        first = min(range(len(ring)), key=lambda i: place[ring[i]])
        ring = ring[first:] + ring[:first]
        cycles.append((*ring, ring[0]))
        for gone in ring:
            del before[gone]
        for others in before.values():
            others.difference_update(ring)


def _drop_sources(before: dict[str, set[str]]) -> None:
    """Take away, again and again, the nodes that wait for nobody."""
    after: dict[str, list[str]] = {name: [] for name in before}
    for name, others in before.items():
        for other in others:
            after[other].append(name)
    ready = [name for name, others in before.items() if not others]
    while ready:
        name = ready.pop()
        del before[name]
        for reader in after[name]:
            before[reader].discard(name)
            if not before[reader]:
                ready.append(reader)


def _kahn(after: Neighbours) -> tuple[str, ...]:
    names = tuple(after)
    place = {name: i for i, name in enumerate(names)}
    missing = dict.fromkeys(names, 0)
    for readers in after.values():
        for reader in readers:
            missing[reader] += 1
    ready = [place[name] for name, count in missing.items() if not count]
    order: list[str] = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for reader in after[name]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, place[reader])
    return tuple(order)


def _reached(neighbours: Neighbours, start: str) -> frozenset[str]:
    found: set[str] = set()
    todo = list(neighbours[start])
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(neighbours[name])
    return frozenset(found)
