"""The strokes that pictures are made of; whatever is text comes in here and leaves escaped."""

from __future__ import annotations

import html
import math

from ..graph.text import clean
from .geometry import Path, svg_path

_MARKS = {
    "run": "M-3,-4.5L4.5,0L-3,4.5Z",
    "wait": "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
    "pause": "M-2.5,-4V4M2.5,-4V4",
    "done": "M-4.5,0L-1.5,3.5L4.5,-4",
    "fail": "M-4,-4L4,4M-4,4L4,-4",
    "plus": "M-4,0H4M0,-4V4",
    "minus": "M-4,0H4",
    "tilde": "M-4.5,1.5C-3,-3.5 -1.5,-2 0,0S3,3.5 4.5,-1.5",
}


def escape(value: str, limit: int = 200) -> str:
    """Text of a user's, fit for the inside of an element or of a quoted attribute."""
    return html.escape(clean(value, limit), quote=True)


def text(x: float, y: float, value: str, kind: str) -> str:
    """A line of text with its base line at y."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(value)}</text>'


def sentence(x: float, y: float, value: str, kind: str) -> str:
    """Like `text`; what stands between backticks is bold."""
    parts = clean(value, 400).split("`")
    if len(parts) % 2 == 0:
        return text(x, y, value, kind)
    spans = [f'<tspan class="b">{escape(part)}</tspan>' if i % 2 else escape(part) for i, part in enumerate(parts)]
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" xml:space="preserve">{"".join(spans)}</text>'


def band(x: float, y: float, width: float, height: float, kind: str, radius: float) -> str:
    """A rectangle with round corners at its top only."""
    r = radius
    top = f"M{x:.1f},{y + height:.1f}v{r - height:g}a{r:g},{r:g} 0 0 1 {r:g},-{r:g}h{width - 2 * r:.1f}"
    return f'<path d="{top}a{r:g},{r:g} 0 0 1 {r:g},{r:g}v{height - r:g}Z" class="{kind}"/>'


def rect(x: float, y: float, width: float, height: float, kind: str, radius: float = 0.0) -> str:
    """A rectangle."""
    corner = f' rx="{radius:g}"' if radius else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.0):.1f}" height="{height:.1f}"{corner} class="{kind}"/>'


def mark(x: float, y: float, which: str, colour: str) -> str:
    """A small sign around (x, y), one of `_MARKS`; told by its shape, not by its colour alone."""
    return f'<path d="{_MARKS[which]}" transform="translate({x:.1f},{y:.1f})" class="mark k-{colour}"/>'


def stripes(x: float, y: float, width: float, height: float) -> str:
    """Slanted lines over a rectangle, kept inside it."""
    starts = range(3, max(0, int(width - height + 3)), 6)
    lines = "".join(f"M{x + at:.1f},{y + height:.1f}l{height * 0.6:.1f},{-height:.1f}" for at in starts)
    return f'<path d="{lines}" class="stripe" stroke-width="1.6"/>' if lines else ""


def arrow(path: Path, width: float, colour: str, *, dotted: bool = False) -> str:
    """A line along `path` with a head at its end."""
    if len(path) < 4:
        return ""
    (x0, y0), (x1, y1) = next((p for p in reversed(path[:-1]) if p != path[-1]), path[0]), path[-1]
    size = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = (x1 - x0) / size, (y1 - y0) / size
    length, half = 7.0 + width, 2.6 + width * 0.85
    back = length * 0.8
    control, end = path[-2], (x1 - dx * back, y1 - dy * back)
    shortened = (*path[:-2], (control[0] - dx * back / 2, control[1] - dy * back / 2), end)
    bx, by = x1 - dx * length, y1 - dy * length
    head = f"M{x1:.1f},{y1:.1f}L{bx - dy * half:.1f},{by + dx * half:.1f}L{bx + dy * half:.1f},{by - dx * half:.1f}Z"
    dots = " wait" if dotted else ""
    return (
        f'<path d="{svg_path(shortened)}" class="edge k-{colour}{dots}" stroke-width="{width:g}"/>'
        f'<path d="{head}" class="{colour}"/>'
    )
