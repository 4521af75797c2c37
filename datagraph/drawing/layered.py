"""A small layered layout of ours, for where `dot` is not installed (Sugiyama, Tagawa and Toda, 1981).

Ranks by longest path; a label has a rank of its own between its nodes, a long edge a place in every rank it crosses,
so that nothing can overlap; order within a rank by barycentres; places by isotonic regression. It works along the flow
("along") and across it; whether along is to the right or down is decided last.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ..graph.model import Graph
from ..graph.order import back_edges, levels
from .geometry import Box, Layout, Path, Point, Size, self_loop, straight

_ORDER_SWEEPS = 8
_PLACE_SWEEPS = 8
_STRAIGHT = 8.0
_RANK_GAP = 30.0
_NODE_GAP = 20.0
_EDGE_GAP = 12.0
_PORT_GAP = 9.0


@dataclass(slots=True)
class _Item:
    """A node, a label, or the place where a long edge crosses a rank."""

    rank: int
    along: float = 0.0
    across: float = 0.0
    weight: float = 1.0
    at: float = 0.0
    before: list[_Item] = field(default_factory=list)
    after: list[_Item] = field(default_factory=list)


_Chain = tuple[list[_Item], bool]  # the items an edge goes through, along the flow; whether it runs against it


def layered(graph: Graph, nodes: Sequence[Size], labels: Sequence[Size], *, horizontal: bool) -> Layout:
    """Place nodes and labels of these sizes (width, height); a label of no width is left out."""
    turned = [size if horizontal else size[::-1] for size in nodes]
    items = _node_items(graph, turned)
    place = {node.name: i for i, node in reversed(list(enumerate(graph.nodes)))}
    chains: list[_Chain | None] = []
    label_items: list[_Item | None] = []
    for edge, size in zip(graph.edges, labels, strict=True):
        a, b = place.get(edge.source), place.get(edge.target)
        label = None
        chain: _Chain | None = None
        if a is not None and b is not None and a != b:
            against = items[a].rank > items[b].rank
            first, last = (items[b], items[a]) if against else (items[a], items[b])
            if size[0]:
                along, across = size if horizontal else size[::-1]
                label = _Item(last.rank - 1, along, across, 2.0)
            chain = (_chain(first, last, label), against)
        chains.append(chain)
        label_items.append(label)
    ranks = _ranks(items, chains)
    _sort(ranks)
    _spread(ranks)
    starts = _rank_starts(ranks)
    paths = _paths(chains, starts, items)
    return _turned(graph, items, label_items, paths, starts, horizontal)


def _node_items(graph: Graph, sizes: Sequence[Size]) -> list[_Item]:
    rank = {name: 2 * i for i, names in enumerate(levels(graph)) for name in names}
    closing = back_edges(graph)
    fed = {edge.target for edge in graph.edges if (edge.source, edge.target) not in closing}
    for node in graph.nodes:
        readers = [rank[e.target] for e in graph.out_of(node.name) if e.target in rank and e.target != node.name]
        if node.name not in fed and readers:
            rank[node.name] = max(0, min(readers) - 2)
    return [_Item(rank[node.name], along, across) for node, (along, across) in zip(graph.nodes, sizes, strict=True)]


def _chain(first: _Item, last: _Item, label: _Item | None) -> list[_Item]:
    between = range(first.rank + 1, last.rank)
    inner = [label if label is not None and rank == label.rank else _Item(rank, weight=4.0) for rank in between]
    chain = [first, *inner, last]
    for left, right in pairwise(chain):
        left.after.append(right)
        right.before.append(left)
    return chain


def _ranks(items: list[_Item], chains: Sequence[_Chain | None]) -> list[list[_Item]]:
    inner = [item for chain in chains if chain is not None for item in chain[0][1:-1]]
    ranks: list[list[_Item]] = [[] for _ in range(max((item.rank for item in items), default=-1) + 1)]
    for item in (*items, *inner):
        ranks[item.rank].append(item)
    return ranks


def _sort(ranks: list[list[_Item]]) -> None:
    """Order each rank so that few edges cross: barycentres, down and up in turns, the best order seen is kept."""
    for rank in ranks:
        for i, item in enumerate(rank):
            item.at = float(i)
    best, fewest = [list(rank) for rank in ranks], _crossings(ranks)
    for sweep in range(_ORDER_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for rank in ranks if down else reversed(ranks):
            centre = {}
            for i, item in enumerate(rank):
                others = item.before if down else item.after
                centre[id(item)] = sum(other.at for other in others) / len(others) if others else float(i)
            rank.sort(key=lambda item: centre[id(item)])
            for i, item in enumerate(rank):
                item.at = float(i)
        count = _crossings(ranks)
        if count < fewest:
            best, fewest = [list(rank) for rank in ranks], count
    ranks[:] = best


def _crossings(ranks: list[list[_Item]]) -> int:
    count = 0
    for rank in ranks:
        seen: list[float] = []
        for item in rank:
            for at in sorted(other.at for other in item.after):
                count += len(seen) - bisect_right(seen, at)
                insort(seen, at)
    return count


def _spread(ranks: list[list[_Item]]) -> None:
    """Move every item as near to its neighbours as the ones beside it allow."""
    for rank in ranks:
        _settle(rank, [0.0] * len(rank))
    for sweep in range(_PLACE_SWEEPS):
        down, last = sweep % 2 == 0, sweep >= _PLACE_SWEEPS - 4
        for rank in ranks if down else reversed(ranks):
            wanted = []
            for item in rank:
                # An edge that is the only one at both of its ends wants to be straight.
                pull = [(o.at, _pull(o, item)) for o in item.before] if last or down else []
                pull += [(o.at, _pull(item, o)) for o in item.after] if last or not down else []
                weight = sum(w for _, w in pull)
                wanted.append(sum(at * w for at, w in pull) / weight if pull else item.at)
            _settle(rank, wanted)
    lowest = min((item.at - item.across / 2 for rank in ranks for item in rank), default=0.0)
    for rank in ranks:
        for item in rank:
            item.at -= lowest


def _pull(before: _Item, after: _Item) -> float:
    return _STRAIGHT if len(before.after) == len(after.before) == 1 else 1.0


def _settle(rank: list[_Item], wanted: Sequence[float]) -> None:
    """The places nearest to the wanted ones that keep order and distance: pool adjacent violators (Ayer, 1955)."""
    offset, offsets = 0.0, []
    for i, item in enumerate(rank):
        if i:
            gap = _NODE_GAP if item.across and rank[i - 1].across else _EDGE_GAP
            offset += (rank[i - 1].across + item.across) / 2 + gap
        offsets.append(offset)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, count
    for item, want, off in zip(rank, wanted, offsets, strict=True):
        mean, weight, count = want - off, item.weight, 1
        while blocks and blocks[-1][0] > mean:
            m, w, c = blocks.pop()
            mean, weight, count = (mean * weight + m * w) / (weight + w), weight + w, count + c
        blocks.append((mean, weight, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    for item, mean, off in zip(rank, means, offsets, strict=True):
        item.at = mean + off


def _rank_starts(ranks: list[list[_Item]]) -> list[Size]:
    """Start and thickness of each rank along the flow."""
    found, at = [], 0.0
    for rank in ranks:
        thickness = max((item.along for item in rank), default=0.0)
        found.append((at, thickness))
        at += thickness + _RANK_GAP
    return found


def _paths(chains: Sequence[_Chain | None], starts: list[Size], nodes: list[_Item]) -> list[list[Point]]:
    """For each edge its corners (along, across), two an item: where it enters and where it leaves the item's rank."""
    leaving: dict[tuple[int, int], float] = {}
    for node in nodes:
        for others in (node.before, node.after):
            room = min(_PORT_GAP, node.across * 0.7 / max(1, len(others)))
            ordered = sorted(range(len(others)), key=lambda i: (others[i].at, i))
            for i, which in enumerate(ordered):
                leaving[id(node), id(others[which])] = node.at + (i - (len(others) - 1) / 2) * room
    found = []
    for chain in chains:
        corners: list[Point] = []
        if chain is not None:
            line, against = chain
            for i, item in enumerate(line):
                start, thickness = starts[item.rank]
                if i == 0:
                    at = leaving[id(item), id(line[1])]
                    corners += [(start + (thickness + item.along) / 2, at), (start + thickness, at)]
                elif i == len(line) - 1:
                    at = leaving[id(item), id(line[-2])]
                    corners += [(start, at), (start + (thickness - item.along) / 2, at)]
                else:
                    corners += [(start, item.at), (start + thickness, item.at)]
            if against:
                corners.reverse()
        found.append(corners)
    return found


def _curve(corners: list[Point], horizontal: bool) -> Path:
    """Straight within a rank, an S between ranks."""

    def point(along: float, across: float) -> Point:
        return (along, across) if horizontal else (across, along)

    path: list[Point] = [point(*corners[0])] if corners else []
    for i, ((a0, c0), (a1, c1)) in enumerate(pairwise(corners)):
        if i % 2 == 0 or abs(c0 - c1) < 0.05:
            if abs(a0 - a1) > 0.05:
                path += straight(point(a0, c0), point(a1, c1))
        else:
            middle = (a0 + a1) / 2
            path += [point(middle, c0), point(middle, c1), point(a1, c1)]
    return tuple(path)


def _turned(
    graph: Graph,
    items: list[_Item],
    labels: list[_Item | None],
    paths: list[list[Point]],
    starts: list[Size],
    horizontal: bool,
) -> Layout:
    def box(item: _Item) -> Box:
        start, thickness = starts[item.rank]
        along, across = start + (thickness - item.along) / 2, item.at - item.across / 2
        if horizontal:
            return Box(along, across, item.along, item.across)
        return Box(across, along, item.across, item.along)

    boxes = tuple(box(item) for item in items)
    tags = tuple(None if label is None else box(label) for label in labels)
    place = {node.name: i for i, node in reversed(list(enumerate(graph.nodes)))}
    edges = tuple(
        self_loop(boxes[place[edge.source]])
        if edge.source == edge.target and edge.source in place
        else _curve(corners, horizontal)
        for edge, corners in zip(graph.edges, paths, strict=True)
    )
    every = [*boxes, *(tag for tag in tags if tag is not None)]
    points = [point for path in edges for point in path]
    width = max([b.x + b.width for b in every] + [x for x, _ in points], default=0.0)
    height = max([b.y + b.height for b in every] + [y for _, y in points], default=0.0)
    return Layout(width, height, horizontal, boxes, tags, edges, "own")
