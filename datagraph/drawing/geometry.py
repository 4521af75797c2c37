"""Where things are in a picture, in pixels, y downwards: what every layout gives and every drawing takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]
Size = tuple[float, float]
Path = tuple[Point, ...]
"""Bézier curves, end to end: a start, then three points a curve (two controls and an end)."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def center(self) -> Point:
        """Its middle."""
        return self.x + self.width / 2, self.y + self.height / 2

    def moved(self, dx: float, dy: float) -> Box:
        """The same box elsewhere."""
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def overlaps(self, other: Box) -> bool:
        """Whether the two share more than a border."""
        apart_x = self.x + self.width <= other.x or other.x + other.width <= self.x
        return not (apart_x or self.y + self.height <= other.y or other.y + other.height <= self.y)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a graph are: `nodes` beside `Graph.nodes`, `labels` and `edges` beside `Graph.edges`.

    A label is None and an edge () where an edge has none, or no ends. `horizontal` says that values flow to the right
    rather than down, `engine` what made it.
    """

    width: float
    height: float
    horizontal: bool
    nodes: tuple[Box, ...]
    labels: tuple[Box | None, ...]
    edges: tuple[Path, ...]
    engine: Literal["dot", "own"] = "own"


def straight(start: Point, end: Point) -> Path:
    """A line, as the two controls and the end of a curve."""
    (x0, y0), (x1, y1) = start, end
    return (x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3), (x1 - (x1 - x0) / 3, y1 - (y1 - y0) / 3), end


def self_loop(box: Box) -> Path:
    """A loop above a node that reads what it writes."""
    right, left = box.x + box.width - 14, box.x + box.width - 44
    return (right, box.y), (right + 12, box.y - 26), (left - 12, box.y - 26), (left, box.y)


def svg_path(path: Path) -> str:
    """The ``d`` attribute of a path."""
    if not path:
        return ""
    points = [f"{x:.1f},{y:.1f}" for x, y in path]
    return f"M{points[0]}C{' '.join(points[1:])}"
