"""Where everything of a live view stands, as data: worked out once for every state, so that nothing ever moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..events.journal import EDGE_FIELDS, NODE_FIELDS
from ..graph.model import Edge, Graph, Node
from ..graph.text import clean, facts, signature
from .geometry import Box, Layout, Path, Size, svg_path
from .layout import Engine, layout
from .style import AMBER_FROM, RED_FROM, fit, number, text_width
from .wrapped import wrappings

VERSION = 1
LEGEND = (
    ("work", "busy"),
    ("starved", "starved: no input"),
    ("blocked", "blocked: no room"),
    ("calm", "fill to 60 %"),
    ("busy", "to 85 %"),
    ("full", "above"),
)
"""What a colour means: its class in `style.css` and its words."""

PAGE: Size = (1_040.0, 560.0)
"""What a view in a notebook has at hand; of two ways to lay a graph out, the one that is read better there is taken."""

CARD_HEIGHT = 82.0
PILL_HEIGHT = 46.0
PLATE_HEIGHT = 62.0
_CARD_WIDTHS = (188.0, 250.0)
_PILL_WIDTHS = (118.0, 230.0)
_PLATE_WIDTHS = (160.0, 236.0)
_MARGIN = 20.0
_HEAD_BACK = 6.0
_RATHER_RIGHT = 1.15  # in one line, to the right, is how one reads
_MOST = 9_999_999  # the longest count that is written out; see `style.number`


def scene(graph: Graph, horizontal: bool | None = None, engine: Engine = "auto") -> dict[str, Any]:
    """What the view draws before it knows a number: JSON-able, with every text of the user's cleaned and cut.

    `horizontal` None takes what fits a notebook's page best. Like `layout` it may block for some ten milliseconds.
    """
    plan = _plan(graph, horizontal, engine)
    outputs = {node.name for node in graph.nodes if node.kind == "output"}
    return {
        "version": VERSION,
        "name": clean(graph.name),
        "width": round(plan.width + 2 * _MARGIN, 1),
        "height": round(plan.height + 2 * _MARGIN, 1),
        "horizontal": plan.horizontal,
        "engine": plan.engine,
        "legend": [list(entry) for entry in LEGEND],
        "levels": [AMBER_FROM, RED_FROM],
        "nodes": [_node(node, box) for node, box in zip(graph.nodes, plan.nodes, strict=True)],
        "edges": [
            _edge(edge, path, label, ends=edge.target in outputs)
            for edge, path, label in zip(graph.edges, plan.edges, plan.labels, strict=True)
        ],
        "fields": {"node": list(NODE_FIELDS), "edge": list(EDGE_FIELDS)},
    }


def card_size(node: Node) -> Size:
    """Room for a node in any state: its name beside the word "bottleneck", the longest counts, every badge."""
    name = text_width(clean(node.label), 13, bold=True)
    if node.kind != "processor":
        counted = text_width(f"{number(_MOST)} values", 11)
        return _within(max(name, counted) + 26, _PILL_WIDTHS), PILL_HEIGHT
    return _within(name + text_width("bottleneck", 11, bold=True) + 52, _CARD_WIDTHS), CARD_HEIGHT


def plate_size(edge: Edge, outputs: frozenset[str] | set[str] = frozenset()) -> Size:
    """Room for what an edge says in any state; (0, 0) for one that ends at an output, which says it itself."""
    if edge.target in outputs:
        return 0.0, 0.0
    held = "no limit" if edge.capacity is None else f"{number(edge.capacity)} of {number(edge.capacity)}"
    rows = (
        min(text_width(clean(edge.stream), 11, bold=True), 90.0) + text_width(f"{number(_MOST)} written", 11),
        text_width(held, 11, bold=True) + text_width("100 %", 11, bold=True),
        text_width("99.9k/s", 11) + text_width("empty in 90 min", 11),
    )
    return _within(max(rows) + 28, _PLATE_WIDTHS), PLATE_HEIGHT


def _plan(graph: Graph, horizontal: bool | None, engine: Engine) -> Layout:
    outputs = {node.name for node in graph.nodes if node.kind == "output"}
    cards = [card_size(node) for node in graph.nodes]
    plates = [plate_size(edge, outputs) for edge in graph.edges]
    ways: Sequence[bool] = (True, False) if horizontal is None else (horizontal,)
    plans = [layout(graph, cards, plates, horizontal=way, engine=engine) for way in ways]
    found = [(_scale(plan) * (_RATHER_RIGHT if plan.horizontal else 1.0), plan) for plan in plans]
    found += [(_scale(each), each) for plan in plans for each in wrappings(graph, plan)]
    return max(found, key=lambda each: (each[0], -each[1].height))[1]


def _scale(plan: Layout) -> float:
    """How large the layout can be shown on a page; 1 is its own size."""
    wide, high = (space / max(side, 1.0) for space, side in zip(PAGE, (plan.width, plan.height), strict=True))
    return min(wide, high, 1.0)


def _within(width: float, limits: Size) -> float:
    return round(min(max(width, limits[0]), limits[1]), 1)


def _node(node: Node, box: Box) -> dict[str, Any]:
    place = box.moved(_MARGIN, _MARGIN)
    width = place.width - (40 if node.kind == "processor" else 20)
    return {
        "name": node.name,
        "label": fit(clean(node.label), width, 13, bold=True),
        "kind": node.kind,
        **_box(place),
        "title": clean(f"{node.label} ({signature(node)})" if node.kind == "processor" else node.label, 300),
        "facts": [fit(fact, place.width - 22, 11) for fact in _facts(node)],
    }


def _facts(node: Node) -> list[str]:
    """What is known of a node before it runs: what is special about it, or the type of what passes."""
    if node.kind == "processor":
        return [signature(node).replace("->", "→"), *([", ".join(found)] if (found := facts(node.attrs)) else [])]
    typed = next((port.type for port in (*node.inputs, *node.outputs) if port.type), "")
    return [clean(typed, 40)] if typed else []


def _edge(edge: Edge, path: Path, label: Box | None, *, ends: bool) -> dict[str, Any]:
    line, head = _arrow(tuple((x + _MARGIN, y + _MARGIN) for x, y in path))
    return {
        "name": edge.name,
        "stream": clean(edge.stream),
        "source": edge.source,
        "target": edge.target,
        "port": edge.target_port,
        "path": line,
        "head": head,
        "unbounded": edge.capacity is None and not ends,
        "capacity": edge.capacity,
        "plate": _box(label.moved(_MARGIN, _MARGIN)) if label is not None else None,
    }


def _box(box: Box) -> Mapping[str, float]:
    return {"x": round(box.x, 1), "y": round(box.y, 1), "w": round(box.width, 1), "h": round(box.height, 1)}


def _arrow(path: Path) -> tuple[str, list[float] | None]:
    """The line without the tip that its head covers; and the head: where it points to, and its angle in degrees."""
    if len(path) < 4:
        return "", None
    (x0, y0), (x1, y1) = next((p for p in reversed(path[:-1]) if p != path[-1]), path[0]), path[-1]
    size = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = (x1 - x0) / size * _HEAD_BACK, (y1 - y0) / size * _HEAD_BACK
    control = path[-2]
    line = (*path[:-2], (control[0] - dx / 2, control[1] - dy / 2), (x1 - dx, y1 - dy))
    return svg_path(line), [round(x1, 1), round(y1, 1), round(math.degrees(math.atan2(dy, dx)), 1)]
