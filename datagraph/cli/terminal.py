"""A snapshot in a terminal. Names are untrusted text: they become `Text`, which reads no markup."""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..drawing.style import SOON_FROM, level, number, percent, seconds, short
from ..events.snapshot import EdgeState, NodeState, Snapshot
from ..graph.model import INPUT_PREFIX, OUTPUT_PREFIX
from ..graph.text import clean

_COLOURS = {"calm": "green", "busy": "yellow", "full": "bold red"}
_STATUS = {
    "running": "cyan",
    "done": "green",
    "completed": "green",
    "failed": "bold red",
    "cancelled": "red",
    "paused": "yellow",
    "at breakpoint": "yellow",
}
_PIPE_WIDTH = 160  # where nobody says how wide a pipe is, nothing is cut
_BAR = 12


def console(*, stderr: bool = False) -> Console:
    """A console that cuts nothing where it writes to a pipe or a file."""
    made = Console(stderr=stderr, highlight=False, emoji=False)
    if not made.is_terminal:
        made = Console(stderr=stderr, highlight=False, emoji=False, width=_PIPE_WIDTH)
    return made


def is_terminal() -> bool:
    """Whether a table that redraws itself can be shown."""
    return sys.stdout.isatty() and console().is_terminal


def picture(snapshot: Snapshot, *, note: str = "") -> Group:
    """The whole run: a line on top, its nodes, its edges, and the sentence about its bottleneck."""
    parts: list[RenderableType] = [
        _head(snapshot, note),
        _nodes(snapshot),
        _edges(snapshot),
        Text(snapshot.sentence, style="bold"),
    ]
    if snapshot.error:
        parts.append(Text(clean(snapshot.error, 500), style="bold red"))
    return Group(*parts)


def status_text(status: str, *, paused: bool = False) -> Text:
    """A status in its colour."""
    shown = "paused" if paused else status
    return Text(shown, style="bold red" if "lost" in shown else _STATUS.get(shown, ""))


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table without frame, as the commands print them."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=True, overflow="ellipsis")
    return table


def _head(snapshot: Snapshot, note: str) -> Text:
    line = Text(clean(snapshot.name or snapshot.run), style="bold")
    line.append("  ")
    line.append_text(status_text("stopping" if snapshot.stopping and snapshot.status == "running" else snapshot.status))
    if snapshot.paused and snapshot.status == "running":
        line.append(" (paused)", style="yellow")
    line.append(f"  {seconds(snapshot.elapsed)}", style="dim")
    if note:
        line.append(f"  {note}")
    return line


def _nodes(snapshot: Snapshot) -> Table:
    table = plain_table(
        "node", "state", "busy █  starved ·  blocked ▒", "read", "written", "per s", "errors",
        right=("read", "written", "per s", "errors"),
    )  # fmt: skip
    for name, state in snapshot.nodes.items():
        if name.startswith(OUTPUT_PREFIX):
            continue
        label = clean(name.removeprefix(INPUT_PREFIX))
        shown = Text(f"▷ {label}" if name != name.removeprefix(INPUT_PREFIX) else label)
        if state.workers > 1 or state.concurrency > 1:
            shown.append(f" ×{state.workers * state.concurrency}", style="dim")
        if name == snapshot.bottleneck:
            shown.stylize("bold red")
        table.add_row(
            shown,
            status_text("at breakpoint" if state.at_breakpoint else state.status, paused=state.paused),
            _shares(state),
            number(state.read) if state.read else "",
            number(state.written) if state.written else "",
            short(state.rate) if state.rate else "",
            Text(number(state.errors), style="bold red") if state.errors else "",
        )
    return table


def _shares(state: NodeState) -> Text:
    """Busy, starved and blocked as one bar, told apart without colour, and the largest in words."""
    largest, what = max((state.busy, "busy"), (state.starved, "starved"), (state.blocked, "blocked"))
    if largest <= 0:
        return Text("")
    busy, starved = round(state.busy * _BAR), round(state.starved * _BAR)
    starved = min(starved, _BAR - busy)
    bar = Text()
    bar.append("█" * busy, style="blue")
    bar.append("·" * starved, style="dim")
    bar.append("▒" * (_BAR - busy - starved), style="magenta")
    bar.append(f" {percent(largest):>5} {what}")
    return bar


def _edges(snapshot: Snapshot) -> Table:
    table = plain_table(
        "stream", "from → to", "written", "waiting", "fill", "per s", "soon", right=("written", "waiting", "per s")
    )
    for edge in snapshot.edges.values():
        if edge.target.startswith(OUTPUT_PREFIX):
            ends = f"{_label(edge.source)} → (result)"
        else:
            ends = f"{_label(edge.source)} → {_label(edge.target)}"
        table.add_row(
            Text(clean(edge.stream)),
            Text(ends),
            number(edge.written),
            number(edge.lag),
            _fill(edge),
            short(edge.rate_out) if edge.rate_out else "",
            Text(_soon(edge), style="dim"),
        )
    return table


def _label(node: str) -> str:
    return clean(node.removeprefix(INPUT_PREFIX))


def _fill(edge: EdgeState) -> Text:
    if edge.capacity is None:
        return Text("" if edge.target.startswith(OUTPUT_PREFIX) else "no limit", style="dim")
    if edge.waiting == "closed":
        return Text("all read", style="dim")
    full = round(min(edge.fill, 1.0) * _BAR)
    bar = Text("█" * full, style=_COLOURS[level(edge.fill)])
    bar.append("░" * (_BAR - full), style="dim")
    bar.append(f" {percent(edge.fill):>5} of {number(edge.capacity)}")
    return bar


def _soon(edge: EdgeState) -> str:
    if edge.waiting == "closed" or not edge.lag:
        return ""
    full, empty = edge.seconds_to_full or 0.0, edge.seconds_to_drained or 0.0
    if full >= SOON_FROM and edge.fill < 1:
        return f"full in {seconds(full)}"
    if empty >= SOON_FROM:
        return f"empty in {seconds(empty)}"
    return "full" if edge.fill >= 1 else ""
