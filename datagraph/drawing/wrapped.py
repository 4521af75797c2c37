"""A wide layout, broken into lines as text is: where few edges cross, what follows goes on beneath, at the left."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..graph.model import Graph
from .geometry import Box, Layout, Path, Point, Size, straight

_MOST_LINES = 20
_MOST_CUTS = 100
_MOST_CROSSING = 2
_NARROWEST_GAP = 16.0
_NEAR = 70.0
_TURN = 18.0
_LANE = 9.0
_BETWEEN = 44.0
_CORNER = 9.0


@dataclass(frozen=True, slots=True)
class _Cut:
    """A place between columns: its x, and of each edge that crosses there whether it does so before its label."""

    x: float
    crossing: tuple[tuple[int, bool], ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """What stands between two cuts, and how far it is moved."""

    box: Box
    dx: float
    dy: float


def wrappings(graph: Graph, plan: Layout) -> Iterator[Layout]:
    """The ways to break a layout to the right into two lines or more, each with lines as even as can be."""
    if not plan.horizontal or len(plan.nodes) < 3:
        return
    works = sorted(box.x for node, box in zip(graph.nodes, plan.nodes, strict=True) if node.kind == "processor")
    for cuts in _even(_cuts(graph, plan), works, plan.width):
        yield _broken(graph, plan, cuts)


def _even(cuts: Sequence[_Cut], works: Sequence[float], width: float) -> Iterator[Sequence[_Cut]]:
    """For two lines, three and so on the cuts of which the widest line is least: a shortest path, line by line."""
    start, end = _Cut(0.0, ()), _Cut(width, ())
    ways: dict[_Cut, tuple[float, tuple[_Cut, ...]]] = {start: (0.0, ())}
    for _ in range(_MOST_LINES):
        longer: dict[_Cut, tuple[float, tuple[_Cut, ...]]] = {}
        for cut in (*cuts, end):
            before = [
                (max(widest, cut.x - last.x), (*chosen, cut))
                for last, (widest, chosen) in ways.items()
                if last.x < cut.x and _is_line(last, cut, works)
            ]
            if before:
                longer[cut] = min(before, key=lambda way: way[0])
        if end in longer and len(longer[end][1]) > 1:
            yield longer[end][1][:-1]
        ways = {cut: way for cut, way in longer.items() if cut is not end}


def _is_line(left: _Cut, right: _Cut, works: Sequence[float]) -> bool:
    """Whether work is done between the two, and no edge is broken by both."""
    worked = bisect.bisect(works, left.x) < bisect.bisect(works, right.x)
    return worked and not {i for i, _ in left.crossing} & {i for i, _ in right.crossing}


def _boxes(plan: Layout) -> list[Box]:
    return [*plan.nodes, *(label for label in plan.labels if label is not None)]


def _cuts(graph: Graph, plan: Layout) -> list[_Cut]:
    """Where no box is in the way and few edges cross, each from beside the gap to beside the gap."""
    boxes = sorted(_boxes(plan), key=lambda box: box.x)
    place = {node.name: box for node, box in zip(graph.nodes, plan.nodes, strict=True)}
    found = []
    right = boxes[0].x + boxes[0].width
    for box in boxes[1:]:
        if box.x - right >= _NARROWEST_GAP:
            cut = _cut(graph, plan, place, (right, box.x))
            if cut is not None:
                found.append(cut)
        right = max(right, box.x + box.width)
    step = -(-len(found) // _MOST_CUTS) or 1
    return found[::step]


def _cut(graph: Graph, plan: Layout, place: dict[str, Box], gap: Size) -> _Cut | None:
    x = sum(gap) / 2
    crossing: list[tuple[int, bool]] = []
    for i, (edge, path) in enumerate(zip(graph.edges, plan.edges, strict=True)):
        if not path or not min(p[0] for p in path) < x < max(p[0] for p in path):
            continue
        label, source, target = plan.labels[i], place[edge.source], place[edge.target]
        before = label is not None and label.x > x
        left, right = (source, label or target) if before or label is None else (label, target)
        near = -1 <= gap[0] - (left.x + left.width) <= _NEAR and -1 <= right.x - gap[1] <= _NEAR
        if not near or len(crossing) == _MOST_CROSSING:
            return None
        crossing.append((i, before))
    return _Cut(x, tuple(crossing))


def _parts(plan: Layout, cuts: Sequence[_Cut]) -> list[Box]:
    """What each line holds, as one box around it."""
    borders = [float("-inf"), *(cut.x for cut in cuts), float("inf")]
    parts = []
    for low, high in itertools.pairwise(borders):
        points = [(b.x, b.y) for b in _boxes(plan) if low < b.x < high]
        points += [(b.x + b.width, b.y + b.height) for b in _boxes(plan) if low < b.x < high]
        points += [p for path in plan.edges if path and low < path[0][0] and path[-1][0] < high for p in path]
        x, y = min(p[0] for p in points), min(p[1] for p in points)
        parts.append(Box(x, y, max(p[0] for p in points) - x, max(p[1] for p in points) - y))
    return parts


def _broken(graph: Graph, plan: Layout, cuts: Sequence[_Cut]) -> Layout:
    margin = _TURN + _LANE * _MOST_CROSSING
    lines: list[_Line] = []
    y = 0.0
    for part in _parts(plan, cuts):
        lines.append(_Line(part, margin - part.x, y - part.y))
        y += part.height + _BETWEEN

    def moved(box: Box) -> Box:
        line = lines[sum(cut.x < box.x for cut in cuts)]
        return box.moved(line.dx, line.dy)

    nodes = tuple(moved(box) for box in plan.nodes)
    labels = tuple(moved(label) if label is not None else None for label in plan.labels)
    edges = [_shifted(path, lines[sum(cut.x < path[0][0] for cut in cuts)]) if path else path for path in plan.edges]
    place = {node.name: box for node, box in zip(graph.nodes, nodes, strict=True)}
    for row, cut in enumerate(cuts):
        lanes = _lanes(cut, [plan.edges[i] for i, _ in cut.crossing])
        for (i, before), lane in zip(cut.crossing, lanes, strict=True):
            ends = place[graph.edges[i].source], labels[i], place[graph.edges[i].target]
            edges[i] = _rerouted(plan.edges[i], plan.labels[i], ends, before, (lines[row], lines[row + 1]), lane)
    width = max(line.box.width for line in lines) + 2 * margin
    return replace(plan, width=width, height=y - _BETWEEN, nodes=nodes, labels=labels, edges=tuple(edges))


def _lanes(cut: _Cut, paths: Sequence[Path]) -> list[tuple[int, int]]:
    """For each crossing edge its lane on the way down and its lane at the left, so that they do not cross."""
    starts = sorted(range(len(paths)), key=lambda i: -paths[i][0][1])
    ends = sorted(range(len(paths)), key=lambda i: paths[i][-1][1])
    return [(starts.index(i), ends.index(i)) for i in range(len(cut.crossing))]


def _shifted(path: Path, line: _Line) -> Path:
    return tuple((x + line.dx, y + line.dy) for x, y in path)


def _rerouted(
    path: Path,
    label: Box | None,
    ends: tuple[Box, Box | None, Box],
    before: bool,
    lines: tuple[_Line, _Line],
    lane: tuple[int, int],
) -> Path:
    """The path of a broken edge: what it was on one line, the way to the other, and what it is there."""
    source, moved, target = ends
    if label is None or moved is None:
        return _way_back(_right(source), _left(target), lines, lane)
    if before:
        rest = _shifted(path[_joint(path, label.x) :], lines[1])
        return (*_way_back(_right(source), rest[0], lines, lane), *rest[1:])
    first = _shifted(path[: _joint(path, label.x + label.width) + 1], lines[0])
    return (*first, *_way_back(first[-1], _left(target), lines, lane)[1:])


def _joint(path: Path, x: float) -> int:
    """The index of the point between two curves that is nearest to `x`."""
    return min(range(0, len(path), 3), key=lambda i: abs(path[i][0] - x))


def _right(box: Box) -> Point:
    return box.x + box.width, box.center[1]


def _left(box: Box) -> Point:
    return box.x, box.center[1]


def _way_back(start: Point, end: Point, lines: tuple[_Line, _Line], lane: tuple[int, int]) -> Path:
    """Right, down, left between the two lines, down again and in; with round corners."""
    above, below = lines
    outer, inner = (each * _LANE for each in lane)
    right = above.box.x + above.dx + above.box.width + _TURN + outer
    left = below.box.x + below.dx - _TURN - inner
    bottom = above.box.y + above.dy + above.box.height
    middle = bottom + _BETWEEN / 2 + outer - _LANE / 2
    corners = [start, (right, start[1]), (right, middle), (left, middle), (left, end[1]), end]
    return rounded(corners, _CORNER)


def rounded(corners: Sequence[Point], radius: float) -> Path:
    """Straight lines from corner to corner, the corners rounded."""
    path: list[Point] = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        enter, leave = _towards(corner, before, radius), _towards(corner, after, radius)
        path += [*straight(path[-1], enter), _towards(corner, before, radius / 2), _towards(corner, after, radius / 2)]
        path.append(leave)
    return (*path, *straight(path[-1], corners[-1]))


def _towards(start: Point, end: Point, by: float) -> Point:
    """The point `by` pixels from one on the way to the other, at most half of the way."""
    (x0, y0), (x1, y1) = start, end
    far = abs(x1 - x0) + abs(y1 - y0)  # all lines are level or upright
    part = min(by / far, 0.5) if far else 0.0
    return x0 + (x1 - x0) * part, y0 + (y1 - y0) * part
