"""The history of a run as one SVG that stands alone: how full each edge was and what each node did, over time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..events.journal import EDGE_FIELDS, NODE_FIELDS
from ..graph.model import Graph
from ..graph.text import clean
from .marks import escape, rect, stripes, text
from .style import css, fit, level, number, seconds, short, text_width

_MARGIN = 20.0
_NAMES = 210.0
_WIDTH = 620.0
_NUMBERS = 96.0
_ROW = 30.0
_STRIP = 20.0
_MOST_ROWS = 60
_STATUS, _BUSY, _STARVED, _BLOCKED = (NODE_FIELDS.index(name) for name in ("status", "busy", "starved", "blocked"))
_LAG, _FILL, _CAPACITY = (EDGE_FIELDS.index(name) for name in ("lag", "fill", "capacity"))

Tick = Mapping[str, Any]


class Picture:
    """An SVG that shows itself in a notebook; `save` writes it into a file."""

    def __init__(self, svg: str, said: str) -> None:
        self.svg = svg
        self._said = said

    def __repr__(self) -> str:
        return f"Picture({clean(self._said)!r})"

    def save(self, path: str | Path) -> Path:
        """Write the SVG; returns the path."""
        path = Path(path)
        path.write_text(self.svg, encoding="utf-8")
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "image/svg+xml": self.svg}


def chart(graph: Graph, ticks: Sequence[Tick], *, name: str = "") -> str:
    """The chart of a run's ticks: a row for each edge that a processor reads, then one for each processor.

    An edge's row is as high as it was full (its lag, where nothing bounds it, over the most that it was); a
    processor's is divided into busy, starved and blocked. Time runs to the right, at one scale for all.
    """
    rows = _rows(graph, ticks)
    shown = rows[:_MOST_ROWS]
    width = 2 * _MARGIN + _NAMES + _WIDTH + _NUMBERS
    y = _MARGIN + 34
    parts = []
    for i, row in enumerate(shown):
        if i and row.kind != shown[i - 1].kind:
            y += 8
        parts.append(row.draw(_MARGIN + _NAMES, y))
        y += _ROW
    parts.append(_axis(ticks, _MARGIN + _NAMES, y + 2))
    y += 26
    if len(rows) > len(shown):
        parts.append(text(_MARGIN, y + 8, f"and {len(rows) - len(shown)} more", "s"))
        y += 18
    parts.append(_legend(y))
    height = y + 24
    title = clean(name or graph.name or "flow")
    said = f"{title}: {len(ticks)} moments" + (f" in {seconds(_span(ticks)[1])}" if ticks else "")
    head = text(_MARGIN, _MARGIN + 12, fit(title, width - 260, 15, bold=True), "h")
    right = text(width - _MARGIN, _MARGIN + 12, f"{len(ticks)} moments", "c e")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dg" role="img" aria-label="{escape(said, 300)}" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'style="max-width:100%;height:auto"><title>{escape(title)}</title><style>{css()}</style>'
        f"{rect(0.5, 0.5, width - 1, height - 1, 'page', 10)}{head}{right}{''.join(parts)}</svg>"
    )


class _Row:
    """One strip: a name to its left, what was most to its right, and areas that are stacked from below."""

    def __init__(
        self, kind: str, name: str, note: str, times: Sequence[float], areas: Sequence[tuple[str, Sequence[float]]]
    ) -> None:
        self.kind = kind
        self.name = name
        self.note = note
        self.times = times
        self.areas = areas

    def draw(self, x: float, y: float) -> str:
        parts = [rect(x, y, _WIDTH, _STRIP, "track", 3)]
        base = [0.0] * len(self.times)
        for colour, values in self.areas:
            top = [low + value for low, value in zip(base, values, strict=True)]
            parts.append(_area(x, y, self.times, base, top, colour))
            base = top
        label = fit(clean(self.name), _NAMES - 14, 12, bold=self.kind == "node")
        parts.append(text(x - 12, y + 14, label, f"c e{' b' if self.kind == 'node' else ''}"))
        parts.append(text(x + _WIDTH + 10, y + 14, self.note, "n"))
        return "".join(parts)


def _rows(graph: Graph, ticks: Sequence[Tick]) -> list[_Row]:
    start, end = _span(ticks)
    scale = 1.0 / max(end - start, 1e-9)
    times = [(tick["elapsed"] - start) * scale for tick in ticks]
    rows = []
    work = {node.name for node in graph.processors()}
    for i, edge in enumerate(graph.edges):
        if edge.target in work:
            rows.append(_edge_row(edge.stream, edge.target, [tick["e"][i] for tick in ticks], times))
    for i, node in enumerate(graph.nodes):
        if node.kind == "processor":
            states = [tick["n"][i] for tick in ticks]
            areas = [(kind, _column(states, at)) for kind, at in _SHARES]
            busy = _mean(areas[0][1], times)
            rows.append(_Row("node", node.label, f"{busy * 100:.0f} % busy" if ticks else "", times, areas))
    return rows


_SHARES = (("work", _BUSY), ("blocked", _BLOCKED), ("starved", _STARVED))


def _edge_row(stream: str, target: str, states: Sequence[Sequence[Any]], times: Sequence[float]) -> _Row:
    lags = _column(states, _LAG)
    most = max(lags, default=0.0)
    bounded = any(state[_CAPACITY] is not None for state in states)
    fills = [min(1.0, fill) for fill in _column(states, _FILL)] if bounded else [lag / (most or 1.0) for lag in lags]
    note = f"at most {number(most) if most < 100_000 else short(most)}" if states else ""

    def where(kind: str) -> list[float]:
        return [fill if (level(fill) if bounded else "quiet") == kind else 0.0 for fill in fills]

    areas = [(kind, where(kind)) for kind in ("calm", "busy", "full", "quiet")]
    return _Row("edge", f"{stream} → {target}", note, times, [area for area in areas if any(area[1])])


def _column(states: Sequence[Sequence[Any]], at: int) -> list[float]:
    return [float(state[at] or 0.0) for state in states]


def _mean(values: Sequence[float], times: Sequence[float]) -> float:
    """Over the time, not over the moments, which stand closer together at the end."""
    spans = [late - early for early, late in itertools.pairwise(times)]
    total = sum(spans)
    if not total:
        return values[-1] if values else 0.0
    return sum(value * span for value, span in zip(values[1:], spans, strict=True)) / total


def _area(x: float, y: float, times: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str) -> str:
    """Between two lines of steps: what is told at a moment is of the time before it."""
    if not times:
        return ""
    across: Callable[[float], str] = lambda at: f"{x + at * _WIDTH:.1f}"
    down: Callable[[float], str] = lambda share: f"{y + _STRIP * (1.0 - min(max(share, 0.0), 1.0)):.1f}"
    moments = list(zip(times, (times[0], *times), low, high, strict=False))
    upper = "".join(f"L{across(before)},{down(top)}L{across(at)},{down(top)}" for at, before, _, top in moments)
    lower = "".join(
        f"L{across(at)},{down(base)}L{across(before)},{down(base)}" for at, before, base, _ in moments[::-1]
    )
    return f'<path d="M{across(times[0])},{down(low[0])}{upper}{lower}Z" class="{colour}"/>'


def _span(ticks: Sequence[Tick]) -> tuple[float, float]:
    return (float(ticks[0]["elapsed"]), float(ticks[-1]["elapsed"])) if ticks else (0.0, 0.0)


def _axis(ticks: Sequence[Tick], x: float, y: float) -> str:
    start, end = _span(ticks)
    if not ticks:
        return text(x, y + 12, "nothing was recorded", "s")
    places = ((0.0, ""), (0.5, " m"), (1.0, " e"))
    return "".join(
        text(x + at * _WIDTH, y + 12, seconds(start + (end - start) * at), f"s{kind}") for at, kind in places
    )


def _legend(y: float) -> str:
    entries = (
        ("calm", "filled to 60 %"),
        ("busy", "to 85 %"),
        ("full", "above"),
        ("quiet", "no bound"),
        ("work", "busy"),
        ("blocked", "blocked: no room"),
        ("starved", "starved: no input"),
    )
    x, parts = _MARGIN, []
    for kind, words in entries:
        parts.append(rect(x, y, 12, 9, kind, 0 if kind == "blocked" else 2))
        if kind == "blocked":
            parts.append(stripes(x, y, 12, 9))
        parts.append(text(x + 17, y + 8.5, words, "s"))
        x += text_width(words, 11) + 32
    return "".join(parts)
