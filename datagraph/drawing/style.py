"""The one legend: what a colour, a width and a number mean, in light and in dark, here and in the live view."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Literal

Level = Literal["calm", "busy", "full"]

AMBER_FROM = 0.60
RED_FROM = 0.85
SOON_FROM = 0.5
"""Seconds: an edge that is full or empty sooner is so before it could be read."""

LIGHT = {
    "page": "#ffffff",
    "card": "#f7f8fa",
    "line": "#c4cad4",
    "track": "#dfe3ea",
    "ink": "#1c2430",
    "muted": "#5b6675",
    "calm": "#12876f",
    "busy": "#d98e04",
    "full": "#c4203f",
    "work": "#2f6fde",
    "starved": "#ccd4df",
    "blocked": "#7d4cc2",
    "stripe": "#ffffff",
    "culprit": "#fdf0f2",
}
DARK = {
    "page": "#14181f",
    "card": "#1d232d",
    "line": "#465163",
    "track": "#323b49",
    "ink": "#e8ecf2",
    "muted": "#9aa7b8",
    "calm": "#3cc3a2",
    "busy": "#f0b73f",
    "full": "#ff6b81",
    "work": "#6ea2ff",
    "starved": "#4b5869",
    "blocked": "#b690f2",
    "stripe": "#14181f",
    "culprit": "#33202a",
}
"""Told apart without colour vision: green, amber and red differ in lightness too, and "blocked" is striped."""

FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans',sans-serif"

_RULES = """
.dg text{font-family:FONT;fill:{ink}}
.dg .t{font-size:13px;font-weight:600}
.dg .s{font-size:11px;fill:{muted}}
.dg .n{font-size:11px;fill:{ink};font-variant-numeric:tabular-nums}
.dg .on{fill:{page}}
.dg .h{font-size:15px;font-weight:600}
.dg .c{font-size:13px}
.dg .b{font-weight:600}
.dg .e{text-anchor:end}
.dg .m{text-anchor:middle}
.dg .page{fill:{page};stroke:{line};stroke-opacity:.5}
.dg .card{fill:{card};stroke:{line};stroke-width:1.2}
.dg .plate{fill:{page};stroke:{line}}
.dg .culprit{fill:{culprit};stroke:{full};stroke-width:2.4}
.dg .bad{stroke:{full};stroke-width:2;stroke-dasharray:5 3}
.dg .track{fill:{track}}
.dg .calm{fill:{calm}}
.dg .busy{fill:{busy}}
.dg .full{fill:{full}}
.dg .work{fill:{work}}
.dg .starved{fill:{starved}}
.dg .blocked{fill:{blocked}}
.dg .quiet{fill:{muted}}
.dg .stripe{stroke:{stripe}}
.dg .mark{fill:none;stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
.dg .k-calm{stroke:{calm}}
.dg .k-busy{stroke:{busy}}
.dg .k-full{stroke:{full}}
.dg .k-work{stroke:{work}}
.dg .k-quiet{stroke:{muted}}
.dg .edge{fill:none;stroke-linecap:round;stroke-linejoin:round}
.dg .wait{stroke-dasharray:2 5}
.dg .new .card{stroke:{calm};stroke-width:2.4}
.dg .new .plate{stroke:{calm};stroke-width:1.6}
.dg .changed .card{stroke:{work};stroke-width:2.4}
.dg .gone text,.dg .gone path{opacity:.65}
.dg .gone .card,.dg .gone .plate{stroke:{full};stroke-dasharray:5 3}
.dg .gone .edge{stroke-dasharray:7 6}
"""


def level(fill: float) -> Level:
    """The colour of a fill (0 to 1): calm to 60 %, busy to 85 %, full above."""
    if fill > RED_FROM:
        return "full"
    return "busy" if fill > AMBER_FROM else "calm"


def stroke(fill: float) -> float:
    """The width of an edge, in pixels, by its fill: what is full is also thick."""
    return round(1.6 + 3.4 * min(max(fill, 0.0), 1.0), 2)


def css() -> str:
    """The rules for pictures of class ``dg``: light, or dark where the reader or JupyterLab asks for it.

    Every colour is written out before its variable, for programs that know no variables (librsvg, LaTeX).
    """
    rules = []
    for rule in _RULES.strip().replace("FONT", FONT).splitlines():
        selector, _, body = rule.rstrip("}").partition("{")
        declarations = []
        for part in body.split(";"):
            key, _, value = part.partition(":")
            if value.startswith("{"):
                name = value.strip("{}")
                declarations += [f"{key}:{LIGHT[name]}", f"{key}:var(--dg-{name})"]
            else:
                declarations.append(part)
        rules.append(f"{selector}{{{';'.join(declarations)}}}")
    light, dark = _variables(LIGHT), _variables(DARK)
    return "\n".join(
        [
            f".dg{{{light}}}",
            f"@media (prefers-color-scheme:dark){{.dg{{{dark}}}}}",
            f"[data-jp-theme-light=true] .dg{{{light}}}",
            f"[data-jp-theme-light=false] .dg{{{dark}}}",
            *rules,
        ]
    )


def _variables(colours: Mapping[str, str]) -> str:
    return ";".join(f"--dg-{name}:{colour}" for name, colour in colours.items())


def number(value: float) -> str:
    """A count, exact and grouped up to ten million, then short: ``9,999,999``, ``12.3M``."""
    if abs(value) < 10_000_000:
        return f"{value:,.0f}"
    return short(value)


def short(value: float) -> str:
    """A number in at most five characters: ``0.3``, ``42``, ``1.2k``, ``35M``."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit * 0.9995:
            scaled = value / limit
            return f"{scaled:.0f}{unit}" if scaled >= 99.95 else f"{scaled:.1f}".removesuffix(".0") + unit
    return f"{value:.0f}" if abs(value) >= 9.95 or value == int(value) else f"{value:.1f}"


def seconds(value: float) -> str:
    """A duration: ``0.4 s``, ``12 s``, ``3 min``, ``5 h``, ``2 d``."""
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if value < limit:
            return f"{value / size:.1f} {unit}" if value < 9.95 and unit == "s" else f"{value / size:.0f} {unit}"
    return f"{value / 86_400:.0f} d"


def percent(share: float) -> str:
    """A share (0 to 1): ``97 %``."""
    return f"{share * 100:.0f} %"


_CLASSES = ((0.33, "ijlI '|.,:;!·"), (0.43, "frt()[]{}/\\-"), (0.6, "cksvxyz_"), (1.0, "mwMWQG@%&—…"))
_BOLD = 1.13
_WIDTHS = {char: width for width, chars in _CLASSES for char in chars}
"""In units of the font size, after DejaVu Sans: the widest of the usual fonts."""


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """How wide `text` is at most, in pixels, in any usual sans-serif font of `size` pixels."""
    return sum(map(_char_width, text)) * size * (_BOLD if bold else 1.0)


def fit(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """`text`, cut with an ellipsis so that it is not wider than `width` pixels."""
    room = width / (size * (_BOLD if bold else 1.0))
    used, kept = 0.0, 0
    for i, char in enumerate(text):
        used += _char_width(char)
        if used > room:
            return text[:kept].rstrip() + "…"
        if used + _char_width("…") <= room:
            kept = i + 1
    return text


def wrap(text: str, width: float, size: float, lines: int) -> list[str]:
    """`text` in at most `lines` lines of at most `width` pixels."""
    found: list[str] = []
    words = text[: int(width) * lines].split()[::-1]
    while words and len(found) < lines - 1:
        line = words.pop()
        while words and text_width(f"{line} {words[-1]}", size) <= width:
            line += " " + words.pop()
        found.append(fit(line, width, size))
    return [*found, fit(" ".join(reversed(words)), width, size)] if words else found


def _char_width(char: str) -> float:
    """The width of a character, in units of the font size."""
    known = _WIDTHS.get(char)
    if known is None:
        if unicodedata.east_asian_width(char) in "WF":
            known = 1.05
        elif unicodedata.combining(char):
            known = 0.0
        else:
            known = 0.78 if char.isupper() or ord(char) > 0x2000 else 0.64
    return known
