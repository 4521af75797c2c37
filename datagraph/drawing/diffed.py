"""A change of a graph as one SVG: what is new is bold and green, what goes is dashed and pale, in words beneath."""

from __future__ import annotations

from ..graph.change import Change
from ..graph.diff import Joint, Mark, edge_marks, joint, merged, node_marks
from ..graph.model import Graph, Node
from ..graph.text import clean
from .cards import label_plate, label_size, node_card, node_size
from .geometry import Box, Layout
from .layout import Engine, layout
from .marks import arrow, mark, rect, text
from .style import fit
from .svg import MARGIN, frame, remark

_SIGNS: dict[Mark, tuple[str, str]] = {
    "new": ("plus", "calm"),
    "gone": ("minus", "full"),
    "changed": ("tilde", "work"),
}
_LINES: dict[Mark | None, tuple[float, str]] = {"new": (3.4, "calm"), "gone": (1.8, "full"), None: (1.6, "quiet")}
_NARROWEST = 420.0


def diffed(change: Change, *, horizontal: bool | None = None, engine: Engine = "auto") -> str:
    """The picture of a change: both graphs in one, the differences in words beneath, and what is against it.

    See `drawing.layout.layout` for `horizontal` and `engine`; like that it may block for some milliseconds.
    """
    graph = merged(change)
    sizes = [node_size(node, None) for node in graph.nodes]
    labels = [label_size(graph, edge, None) for edge in graph.edges]
    plan = layout(graph, sizes, labels, horizontal=horizontal, engine=engine)
    inner = max(plan.width, _NARROWEST)
    title = clean(graph.name) or "flow"
    top = MARGIN + 34
    dx = MARGIN + (inner - plan.width) / 2
    head = text(MARGIN, MARGIN + 12, fit(f"{title}: a change", inner, 15, bold=True), "h")
    body = _body(graph, plan, edge_marks(change), node_marks(change), (dx, top))
    foot, height = _words(change, inner, top + plan.height + MARGIN)
    said = ". ".join((*change.lines(), *change.problems)) or "nothing changes"
    return frame(f"{title}: a change", said, inner + 2 * MARGIN, height + 8, f"{head}{body}{foot}")


def _body(
    graph: Graph,
    plan: Layout,
    edges: dict[Joint, Mark],
    nodes: dict[str, Mark],
    by: tuple[float, float],
) -> str:
    marked = [edges.get(joint(edge)) for edge in graph.edges]
    order = sorted(range(len(marked)), key=lambda i: (marked[i] is not None, marked[i] == "new"))  # new drawn last
    parts = [_line(plan, i, marked[i], by) for i in order]
    for edge, found, label in zip(graph.edges, marked, plan.labels, strict=True):
        if label is not None:
            parts.append(_group(found, label_plate(graph, edge, None, label.moved(*by))))
    for node, box in zip(graph.nodes, plan.nodes, strict=True):
        parts.append(_card(node, box.moved(*by), nodes.get(node.name)))
    return "".join(parts)


def _line(plan: Layout, at: int, found: Mark | None, by: tuple[float, float]) -> str:
    width, colour = _LINES[found]
    path = tuple((x + by[0], y + by[1]) for x, y in plan.edges[at])
    return _group(found, arrow(path, width, colour))


def _card(node: Node, box: Box, found: Mark | None) -> str:
    card = _group(found, node_card(node, None, box))
    if found is None:
        return card
    badge = rect(box.x - 8, box.y - 8, 17, 17, "plate", 8.5)
    return f"{card}{badge}{mark(box.x + 0.5, box.y + 0.5, *_SIGNS[found])}"


def _group(found: Mark | None, inside: str) -> str:
    return f'<g class="{found}">{inside}</g>' if found is not None else inside


def _words(change: Change, inner: float, y: float) -> tuple[str, float]:
    """The lines of a change, each behind the sign that its nodes bear, then the problems; and where they end."""
    new, gone = len(change.added), len(change.added) + len(change.dropped)
    entries = [
        (*_SIGNS["new" if i < new else "gone" if i < gone else "changed"], line)
        for i, line in enumerate(change.lines() or ("nothing changes",))
    ]
    parts = []
    for sign, colour, said in (*entries, *(("fail", "full", problem) for problem in change.problems)):
        shown, y = remark(sign, colour, said, inner, y)
        parts.append(shown)
    return "".join(parts), y
