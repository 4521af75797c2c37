"""What is written on a node and on an edge, and how large that is."""

from __future__ import annotations

from ..events.snapshot import EdgeState, NodeState
from ..graph.model import Edge, Graph, Node
from ..graph.text import clean, facts, signature
from .geometry import Box, Size
from .marks import band, escape, mark, rect, stripes, text
from .style import SOON_FROM, fit, level, number, percent, seconds, short, text_width

_WIDEST = 230.0
_PAD = 11.0
_BAND = 17.0

_SIGNS = {
    "running": ("run", "work"),
    "waiting": ("wait", "quiet"),
    "paused": ("pause", "busy"),
    "completed": ("done", "calm"),
    "failed": ("fail", "full"),
    "cancelled": ("fail", "quiet"),
    "abandoned": ("fail", "quiet"),
    "lost": ("fail", "full"),
}
_DONE = ("ended", "done", "closed", "finished", "complete", "skipped")


def sign(status: str, *, paused: bool = False) -> tuple[str, str]:
    """The mark and the colour of a status."""
    words = status.split()
    key = "paused" if paused else "completed" if status in _DONE else words[-1] if words else "waiting"
    return _SIGNS.get(key, _SIGNS["waiting"])


def node_size(node: Node, state: NodeState | None, *, culprit: bool = False) -> Size:
    """Width and height of a node's card."""
    rows = _rows(node, state)
    bold, *small = rows
    width = max([text_width(bold, 13, bold=True) + 2, *(text_width(row, 11) for row in small)])
    if node.kind != "processor":
        return min(max(width + 30, 72.0), _WIDEST), 32.0 if len(rows) == 1 else 46.0
    if state is None:
        return min(max(width + 2 * _PAD + 6, 92.0), _WIDEST), 38.0 if len(rows) == 1 else 52.0
    badge = _badge(state)
    first = text_width(bold, 13, bold=True) + 18 + (text_width(badge, 11) + 12 if badge else 0)
    width = max(first, text_width(_trouble(state), 11, bold=True) + 18, 138.0)
    height = (80.0 if _trouble(state) else 64.0) + (_BAND if culprit else 0.0)
    return min(width + 2 * _PAD, _WIDEST), height


def node_card(node: Node, state: NodeState | None, box: Box, *, culprit: bool = False, bad: bool = False) -> str:
    """A node at its place."""
    parts = [f"<g><title>{escape(_node_title(node, state), 600)}</title>"]
    if node.kind != "processor":
        parts.append(_pill(node, state, box))
    elif state is None:
        parts += [rect(box.x, box.y, box.width, box.height, "card bad" if bad else "card", 8), _rows_text(node, box)]
    else:
        parts.append(_run_card(node, state, box, culprit))
    return "".join([*parts, "</g>"])


def label_size(graph: Graph, edge: Edge, state: EdgeState | None) -> Size:
    """Width and height of what is written on an edge; (0, 0) where its ends say everything."""
    if state is None:
        rows = _edge_rows(graph, edge)
        if not rows:
            return 0.0, 0.0
        width = max(text_width(row, 11, bold=i == 0) for i, row in enumerate(rows))
        return min(width + 14, _WIDEST), 18.0 if len(rows) == 1 else 31.0
    if edge.target in {node.name for node in graph.nodes if node.kind == "output"}:
        return 0.0, 0.0
    pairs = enumerate(_state_rows(edge, state))
    width = max(text_width(a, 11, bold=i < 2) + text_width(b, 11, bold=i == 1) + 12 for i, (a, b) in pairs)
    return min(max(width + 16, 136.0), _WIDEST), 62.0


def label_plate(graph: Graph, edge: Edge, state: EdgeState | None, box: Box) -> str:
    """What is written on an edge, at its place."""
    parts = [f"<g><title>{escape(_edge_title(edge, state), 600)}</title>"]
    x, right, inner = box.x + 8, box.x + box.width - 8, box.width - 16
    if state is None:
        rows = _edge_rows(graph, edge)
        parts.append(rect(box.x, box.y, box.width, box.height, "plate", 9))
        for i, row in enumerate(rows):
            shown = fit(row, box.width - 12, 11, bold=i == 0)
            parts.append(text(box.center[0], box.y + 13 + 12.5 * i, shown, "n b m" if i == 0 else "s m"))
        return "".join([*parts, "</g>"])
    parts.append(rect(box.x, box.y, box.width, box.height, "plate", 7))
    colour = level(state.fill)
    for i, (first, second) in enumerate(_state_rows(edge, state)):
        y = (box.y + 15, box.y + 41, box.y + 55)[i]
        loud = i == 0 or (i == 1 and colour == "full" and state.capacity is not None)
        room = inner - (text_width(second, 11, bold=loud and i > 0) + 8 if second else 0)
        parts.append(text(x, y, fit(first, room, 11, bold=loud), "n b" if loud else "s" if i == 2 else "n"))
        if second:
            parts.append(text(right, y, second, "n b e" if loud and i else "s e"))
    parts.append(rect(x, box.y + 21, inner, 7, "track", 2))
    if state.capacity is not None and state.fill > 0:
        parts.append(rect(x, box.y + 21, max(2.0, inner * min(state.fill, 1.0)), 7, colour, 2))
    return "".join([*parts, "</g>"])


def _rows(node: Node, state: NodeState | None) -> list[str]:
    """What stands in a card of a flow, or in the pill of a run: a name, and a line beneath."""
    rows = [clean(node.label)]
    if node.kind == "processor":
        if state is None and (found := facts(node.attrs)):
            rows.append(", ".join(found))
    elif state is not None:
        count = max(state.written, state.read)
        rows.append(state.status if "lost" in state.status else f"{number(count)} {_unit(node, count)}")
    elif typed := next((port.type for port in (*node.inputs, *node.outputs) if port.type), ""):
        rows.append(clean(typed, 40))
    return rows


def _unit(node: Node, count: int) -> str:
    return "given" if node.kind == "input" else "value" if count == 1 else "values"


def _rows_text(node: Node, box: Box, state: NodeState | None = None) -> str:
    rows = _rows(node, state)
    middle = box.center[0]
    top = box.y + box.height / 2 + (4.5 if len(rows) == 1 else -2.0)
    parts = [text(middle, top, fit(rows[0], box.width - 20, 13, bold=True), "t m")]
    if len(rows) > 1:
        parts.append(text(middle, top + 15.5, fit(rows[1], box.width - 20, 11), "n m" if state else "s m"))
    return "".join(parts)


def _pill(node: Node, state: NodeState | None, box: Box) -> str:
    lost = state is not None and "lost" in state.status
    shape = rect(box.x, box.y, box.width, box.height, "card bad" if lost else "card", box.height / 2)
    return shape + _rows_text(node, box, state)


def _run_card(node: Node, state: NodeState, box: Box, culprit: bool) -> str:
    failed = state.status == "failed"
    parts = [rect(box.x, box.y, box.width, box.height, f"card{' culprit' if culprit else ' bad' if failed else ''}", 8)]
    if culprit:
        parts.append(band(box.x, box.y, box.width, _BAND, "full", 8))
        parts.append(text(box.center[0], box.y + 12.5, "bottleneck", "n b m on"))
        box = Box(box.x, box.y + _BAND, box.width, box.height - _BAND)
    x, right, inner = box.x + _PAD, box.x + box.width - _PAD, box.width - 2 * _PAD
    parts.append(mark(x + 5, box.y + 16, *sign(state.status, paused=state.paused or state.at_breakpoint)))
    badge = _badge(state)
    room = inner - 18 - (text_width(badge, 11) + 8 if badge else 0)
    parts.append(text(x + 17, box.y + 20.5, fit(clean(node.label), room, 13, bold=True), "t"))
    if badge:
        parts.append(text(right, box.y + 20.5, badge, "n e"))
    parts.append(_shares(state, x, box.y + 30, inner))
    rate = f"{short(state.rate)}/s" if state.rate else ""
    parts.append(text(x, box.y + 54, fit(_doing(state), inner - text_width(rate, 11) - 8, 11), "n"))
    if rate:
        parts.append(text(right, box.y + 54, rate, "s e"))
    if trouble := _trouble(state):
        parts.append(mark(x + 5, box.y + 66.5, "fail", "full"))
        parts.append(text(x + 17, box.y + 70.5, fit(trouble, inner - 17, 11, bold=True), "n b"))
    return "".join(parts)


def _shares(state: NodeState, x: float, y: float, width: float) -> str:
    """Busy, starved and blocked as one bar."""
    parts = [rect(x, y, width, 9, "track", 2)]
    at = x
    for kind, share in (("work", state.busy), ("starved", state.starved), ("blocked", state.blocked)):
        part = width * min(max(share, 0.0), 1.0)
        if part >= 0.5:
            parts.append(rect(at, y, part, 9, kind))
            if kind == "blocked":
                parts.append(stripes(at, y, part, 9))
            at += part
    return "".join(parts)


def _doing(state: NodeState) -> str:
    """What a node does most of its time, or its status where it does nothing any more."""
    if state.paused:
        return "paused"
    if state.at_breakpoint:
        return "at a breakpoint"
    share, what = max((state.busy, "busy"), (state.starved, "starved"), (state.blocked, "blocked"))
    if state.status not in ("running", "waiting") or share <= 0:
        return clean(state.status, 40)
    return f"{percent(share)} {what}"


def _badge(state: NodeState) -> str:
    """Workers and concurrency where they are not 1, and the version of a function that was swapped."""
    parts = [f"{state.workers} workers"] if state.workers > 1 else []
    if state.concurrency > 1:
        parts.append(f"×{state.concurrency}")
    if state.version > 1:
        parts.append(f"v{state.version}")
    return " ".join(parts)


def _trouble(state: NodeState) -> str:
    counts = (
        (state.dead_letters, "dead letter", "dead letters"),
        (state.errors, "error", "errors"),
        (state.skipped, "skipped", "skipped"),
    )
    found = [f"{number(count)} {one if count == 1 else many}" for count, one, many in counts if count]
    if state.status == "failed" and state.error:
        return clean(state.error)
    return ", ".join(found) or ("" if state.resumable else "not resumable")


def _edge_rows(graph: Graph, edge: Edge) -> list[str]:
    ends = [node for node in graph.nodes if node.name in (edge.source, edge.target)]
    if any(node.kind != "processor" and node.label == edge.stream for node in ends):
        return []
    typed = next((p.type for n in ends for p in (*n.outputs, *n.inputs) if p.stream == edge.stream and p.type), "")
    return [clean(edge.stream), clean(typed, 40)] if typed else [clean(edge.stream)]


def _state_rows(edge: Edge, state: EdgeState) -> list[tuple[str, str]]:
    name = (clean(edge.stream), f"{short(state.rate_out)}/s" if state.rate_out or not state.ended else "")
    if state.waiting == "closed" or (state.ended and not state.lag):
        held = ("all read", "")
    elif state.capacity is None:
        held = (f"{number(state.lag)} waiting", "no limit")
    else:
        held = (f"{number(state.lag)} of {number(state.capacity)}", percent(state.fill))
    soon = ""
    full, empty = state.seconds_to_full or 0.0, state.seconds_to_drained or 0.0
    if state.lag and full >= SOON_FROM and state.fill < 1:
        soon = f"full in {seconds(full)}"
    elif state.lag and empty >= SOON_FROM:
        soon = f"empty in {seconds(empty)}"
    return [name, held, (f"{number(state.written)} written", soon)]


def _node_title(node: Node, state: NodeState | None) -> str:
    if state is None:
        return f"{node.label} ({signature(node)}) {', '.join(facts(node.attrs))}".strip()
    shares = f"busy {percent(state.busy)}, starved {percent(state.starved)}, blocked {percent(state.blocked)}"
    return (
        f"{node.label}: {state.status}, {shares}; {number(state.read)} read, {number(state.written)} written, "
        f"{number(state.errors)} errors {state.error}"
    ).strip()


def _edge_title(edge: Edge, state: EdgeState | None) -> str:
    bound = "no limit" if edge.capacity is None else f"at most {number(edge.capacity)} waiting"
    if state is None:
        return f"{edge.name}: {bound}"
    held = f"{number(state.written)} written, {number(state.read)} read, {number(state.lag)} waiting"
    rates = f"{short(state.rate_in)}/s in, {short(state.rate_out)}/s out"
    return f"{edge.name}: {held}, fill {percent(state.fill)}, {rates}"
