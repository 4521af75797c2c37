"""A flow, or a run at one moment, as one SVG that stands alone: no script, no reference, no font but the reader's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..events.snapshot import EdgeState, NodeState, Snapshot
from ..exceptions import CyclicFlowError
from ..graph.model import Edge, Graph, Node
from ..graph.text import clean
from .cards import label_plate, label_size, node_card, node_size, sign
from .geometry import Layout, Path, Point
from .layout import Engine, layout
from .marks import arrow, escape, mark, rect, sentence, stripes, text
from .style import css, fit, level, seconds, stroke, text_width, wrap

MARGIN = 20.0
_NARROWEST = 480.0
_LINE = 18.0


def svg(
    graph: Graph,
    snapshot: Snapshot | None = None,
    *,
    problems: Sequence[Exception | str] = (),
    hints: Sequence[str] = (),
    horizontal: bool | None = None,
    engine: Engine = "auto",
) -> str:
    """The picture of a flow, its `problems` and `hints` beneath; with a `snapshot` that of a run at that moment.

    Light or dark as the reader has it. See `drawing.layout.layout` for `horizontal` and `engine`; like that it may
    block for some milliseconds.
    """
    states = [_node_state(graph, node, snapshot) for node in graph.nodes]
    edges = [_edge_state(edge, snapshot) for edge in graph.edges]
    culprit = snapshot.bottleneck if snapshot is not None else ""
    sizes = [node_size(node, s, culprit=node.name == culprit) for node, s in zip(graph.nodes, states, strict=True)]
    labels = [label_size(graph, edge, state) for edge, state in zip(graph.edges, edges, strict=True)]
    plan = layout(graph, sizes, labels, horizontal=horizontal, engine=engine)
    inner = max(plan.width, _NARROWEST if snapshot is not None or problems or hints else 0.0, 60.0)
    width = inner + 2 * MARGIN
    head, y = _head(graph, snapshot, inner)
    dx, dy = (width - plan.width) / 2, y
    body = _body(graph, plan, states, edges, snapshot, problems, dx, dy)
    foot, height = _foot(snapshot, problems, hints, inner, y + plan.height + (MARGIN if graph.nodes else 0.0))
    said = snapshot.sentence if snapshot is not None else f"{len(graph.processors())} processors"
    return frame(_name(graph, snapshot), said, width, height, f"{head}{body}{foot}")


def frame(name: str, said: str, width: float, height: float, inside: str) -> str:
    """A picture of its own around what is drawn: its size, its page, its rules, and what is said of it aloud."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dg" role="img" aria-label="{escape(f"{name}: {said}", 500)}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="max-width:100%;height:auto"><title>{escape(name)}</title><desc>{escape(said, 500)}</desc>'
        f"<style>{css()}</style>{rect(0.5, 0.5, width - 1, height - 1, 'page', 10)}{inside}</svg>"
    )


def _name(graph: Graph, snapshot: Snapshot | None) -> str:
    return (snapshot.name or snapshot.run if snapshot is not None else "") or graph.name or "flow"


def _node_state(graph: Graph, node: Node, snapshot: Snapshot | None) -> NodeState | None:
    """The state of a node; of what stands for the outside world the edges know what it gave or got."""
    if snapshot is None:
        return None
    state = snapshot.nodes.get(node.name, NodeState(node.name))
    if node.kind == "processor":
        return state
    edges = [snapshot.edges[edge.name] for edge in graph.edges if edge.name in snapshot.edges]
    count = max((edge.written for edge in edges if node.name in (edge.source, edge.target)), default=0)
    return replace(state, written=max(count, state.written), read=0)


def _edge_state(edge: Edge, snapshot: Snapshot | None) -> EdgeState | None:
    if snapshot is None:
        return None
    unknown = EdgeState(edge.name, edge.stream, edge.source, edge.target, capacity=edge.capacity)
    return snapshot.edges.get(edge.name, unknown)


def _head(graph: Graph, snapshot: Snapshot | None, inner: float) -> tuple[str, float]:
    """Name, status and the sentence; and where the picture begins."""
    if snapshot is None:
        if not graph.name:
            return "", MARGIN
        shown = fit(clean(graph.name), inner, 15, bold=True)
        return text(MARGIN, MARGIN + 12, shown, "h"), MARGIN + 32
    status = "paused" if snapshot.paused else "stopping" if snapshot.stopping else snapshot.status
    facts = [clean(status, 40), seconds(snapshot.elapsed)]
    if snapshot.workers > 1:
        facts.append(f"{snapshot.workers} workers")
    right = " · ".join(facts)
    room = inner - text_width(right, 13) - 40
    parts = [
        mark(MARGIN + 6, MARGIN + 7, *sign(status)),
        text(MARGIN + 20, MARGIN + 12, fit(clean(_name(graph, snapshot)), room, 15, bold=True), "h"),
        text(MARGIN + inner, MARGIN + 12, right, "c e"),
    ]
    y = MARGIN + 34
    for line in wrap(clean(snapshot.sentence, 1000), inner, 13, 4):
        parts.append(sentence(MARGIN, y, line, "c"))
        y += _LINE
    if snapshot.error:
        parts.append(mark(MARGIN + 6, y - 4.5, "fail", "full"))
        for line in wrap(clean(snapshot.error, 1000), inner - 20, 13, 3):
            parts.append(text(MARGIN + 20, y, line, "c b"))
            y += _LINE
    return "".join(parts), y + 4


def _body(
    graph: Graph,
    plan: Layout,
    states: Sequence[NodeState | None],
    edges: Sequence[EdgeState | None],
    snapshot: Snapshot | None,
    problems: Sequence[Exception | str],
    dx: float,
    dy: float,
) -> str:
    ring = {name for problem in problems if isinstance(problem, CyclicFlowError) for name in problem.cycle}
    culprit = snapshot.bottleneck if snapshot is not None else ""
    order = sorted(range(len(graph.edges)), key=lambda i: _fill(edges[i]))  # what is full is drawn over what is not
    parts = [_line(graph, graph.edges[i], edges[i], _moved(plan.edges[i], dx, dy)) for i in order]
    for edge, known, label in zip(graph.edges, edges, plan.labels, strict=True):
        if label is not None:
            parts.append(label_plate(graph, edge, known, label.moved(dx, dy)))
    for node, state, box in zip(graph.nodes, states, plan.nodes, strict=True):
        first = node.name == culprit
        parts.append(node_card(node, state, box.moved(dx, dy), culprit=first, bad=node.name in ring))
    return "".join(parts)


def _fill(state: EdgeState | None) -> float:
    return state.fill if state is not None else 0.0


def _line(graph: Graph, edge: Edge, state: EdgeState | None, path: Path) -> str:
    unbounded = edge.capacity is None and any(n.name == edge.target and n.kind == "processor" for n in graph.nodes)
    moves = state is not None and state.capacity is not None and bool(state.lag or state.rate_out)
    colour = level(_fill(state)) if moves else "quiet"
    return arrow(path, stroke(_fill(state)), colour, dotted=unbounded)


def _moved(path: Path, dx: float, dy: float) -> Path:
    return tuple((x + dx, y + dy) for x, y in path)


def _foot(
    snapshot: Snapshot | None, problems: Sequence[Exception | str], hints: Sequence[str], inner: float, y: float
) -> tuple[str, float]:
    """The problems and hints of a flow, the legend of a run; and the height of the whole picture."""
    parts = []
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        parts.append(text(MARGIN, y + 12, count, "c b"))
        y += 14
    for entry in (*(("fail", "full", note) for note in problems), *(("wait", "busy", note) for note in hints)):
        note, y = remark(*entry, inner, y)
        parts.append(note)
    if snapshot is not None and snapshot.nodes:
        parts.append(_legend(inner, (MARGIN, y + 6)))
        y += 24
    return "".join(parts), y + (8 if parts else 0)


def remark(sign_: str, colour: str, said: Exception | str, inner: float, y: float) -> tuple[str, float]:
    """A sentence under a picture, behind its sign, in as many lines as it needs; and where the next one begins."""
    lines = wrap(clean(str(said), 1000), inner - 20, 13, 6)
    parts = [mark(MARGIN + 6, y + 11.5, sign_, colour)]
    parts += [sentence(MARGIN + 20, y + 16 + i * _LINE, line, "c") for i, line in enumerate(lines)]
    return "".join(parts), y + _LINE * len(lines) + 6


def _legend(inner: float, at: Point) -> str:
    entries = (
        ("work", "busy"),
        ("starved", "starved: no input"),
        ("blocked", "blocked: no room"),
        ("calm", "fill to 60 %"),
        ("busy", "to 85 %"),
        ("full", "above"),
    )
    x, y = at
    widths = [text_width(words, 11) + 18 for _, words in entries]
    gap = min(14.0, max(0.0, (inner - sum(widths)) / (len(entries) - 1)))
    parts = []
    for (kind, words), width in zip(entries, widths, strict=True):
        parts.append(rect(x, y, 12, 9, kind, 0 if kind == "blocked" else 2))
        if kind == "blocked":
            parts.append(stripes(x, y, 12, 9))
        parts.append(text(x + 17, y + 8.5, words, "s"))
        x += width + gap
    return "".join(parts)
