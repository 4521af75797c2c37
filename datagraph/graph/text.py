"""A graph as text: a picture for a terminal, DOT, Mermaid. Names are untrusted: cut, escaped, never read as markup."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .model import Graph, Node
from .order import back_edges, depth_first, successors

LONGEST_LABEL = 80
_COMPACT_ABOVE = 12
_MARKS = {"processor": "●", "input": "▷", "output": "□"}


def clean(text: str, limit: int = LONGEST_LABEL) -> str:
    """`text` on one line and fit to be shown: no control characters, invisible ones escaped, at most `limit` long."""
    shown: list[str] = []
    for char in text:
        if len(shown) > limit:
            break
        kind = unicodedata.category(char)
        if kind in ("Zl", "Zp") or char in "\t\n\r":
            shown.append(" ")
        elif kind == "Cs" or char in "\ufffe\uffff":
            shown.append("\ufffd")
        elif kind == "Cf" and char != "\u200d":
            shown.append(f"\\u{ord(char):04x}")
        elif kind != "Cc":
            shown.append(char)
    line = "".join(shown)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def signature(node: Node) -> str:
    """What a node reads and writes: ``text -> words``."""
    reads = ", ".join(clean(port.stream) for port in node.inputs)
    writes = ", ".join(clean(port.stream) for port in node.outputs)
    return f"{reads} -> {writes}".strip()


def facts(attrs: Mapping[str, Any]) -> tuple[str, ...]:
    """What is special about how a node runs, in few words: ``concurrency 4``, ``waits for all``."""
    found = [f"{key} {attrs[key]}" for key in ("concurrency", "workers") if attrs.get(key, 1) not in (None, 1)]
    if attrs.get("executor") not in (None, "", "local", "LocalExecutor"):
        found.append(str(attrs["executor"]))
    if attrs.get("wait"):
        found.append("waits for all")
    if attrs.get("ordered") is False:
        found.append("any order")
    if attrs.get("rate"):
        found.append(f"at most {attrs['rate']:g}/s" if isinstance(attrs["rate"], int | float) else str(attrs["rate"]))
    return tuple(clean(fact, 40) for fact in found)


def to_text(graph: Graph, signs: Mapping[str, str] = MappingProxyType({})) -> str:
    """A picture of the graph in characters: one line a node, writers above their readers, joined by rails.

    `signs` are characters to mark nodes with, by name, instead of those for their kinds.

    >>> from datagraph.graph.model import Port
    >>> from datagraph.graph.wiring import by_port
    >>> print(to_text(by_port([Node("text", inputs=(Port("path"),), outputs=(Port("words"),))])))
    ▷ path
    │
    ● text  (path -> words)
    │
    □ words
    """
    rails = _Rails(compact=len(graph) > _COMPACT_ABOVE)
    closing = back_edges(graph)
    after = successors(graph, closing)
    nodes = {node.name: node for node in reversed(graph.nodes)}
    for name in depth_first(graph):
        rails.node(name, _line(nodes[name], signs.get(name, "")), after[name])
    lines = [line.rstrip() for line in rails.lines] or ["(an empty flow)"]
    for source, target in sorted(closing):
        lines.append(f"↺ {clean(source)} writes back to {clean(target)}: a ring")
    if graph.name:
        count = len(graph.processors())
        lines.insert(0, f"{clean(graph.name)}: {count} processor{'' if count == 1 else 's'}\n")
    return "\n".join(lines)


def to_mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart; nodes are n0, n1, ... and names are escaped labels."""
    lines = ["flowchart LR"]
    for i, node in enumerate(graph.nodes):
        opening, closing = ("[", "]") if node.kind == "processor" else ("([", "])")
        lines.append(f'    n{i}{opening}"{_mermaid(node.label)}"{closing}')
    lines += [f'    n{source} -->|"{_mermaid(stream)}"| n{target}' for source, stream, target in _joined(graph)]
    return "\n".join(lines) + "\n"


def to_dot(graph: Graph) -> str:
    """The graph in DOT; nodes are n0, n1, ... and names are quoted labels, never HTML or attributes."""
    lines = ["digraph {", "    rankdir=LR", '    node [shape=box style="rounded" fontname="Helvetica"]']
    lines.append('    edge [fontname="Helvetica" fontsize=11]')
    for i, node in enumerate(graph.nodes):
        shape = "" if node.kind == "processor" else " shape=oval"
        lines.append(f'    n{i} [label="{_dot(node.label)}"{shape}]')
    lines += [f'    n{source} -> n{target} [label="{_dot(stream)}"]' for source, stream, target in _joined(graph)]
    return "\n".join([*lines, "}"]) + "\n"


def _joined(graph: Graph) -> list[tuple[int, str, int]]:
    """Writer, stream and reader of every edge whose ends exist; nodes by their place."""
    place = {node.name: i for i, node in reversed(list(enumerate(graph.nodes)))}
    ends = ((place.get(edge.source), edge.stream, place.get(edge.target)) for edge in graph.edges)
    return [(a, stream, b) for a, stream, b in ends if a is not None and b is not None]


def _dot(text: str) -> str:
    return clean(text).replace("\\", "\\\\").replace('"', '\\"')


def _mermaid(text: str) -> str:
    # Mermaid writes an entity as #60; and reads markup, Markdown and entities in labels.
    return "".join(char if char.isalnum() or char in " _-.,:" else f"#{ord(char)};" for char in clean(text))


def _line(node: Node, sign: str) -> str:
    label = f"{sign or _MARKS[node.kind]} {clean(node.label)}"
    if node.kind != "processor":
        typed = next((port.type for port in (*node.inputs, *node.outputs) if port.type), "")
        return f"{label}: {clean(typed, 40)}" if typed else label
    return "  ".join((label, f"({signature(node)})", ", ".join(facts(node.attrs)))).rstrip()


class _Rails:
    """Lines with rails on their left, as ``git log --graph`` has: a rail is an edge that still needs its reader."""

    def __init__(self, *, compact: bool) -> None:
        self.lines: list[str] = []
        self._rails: list[str | None] = []
        self._compact = compact

    def node(self, name: str, text: str, readers: tuple[str, ...]) -> None:
        at = self._arrive(name)
        row = ["│" if rail is not None else " " for rail in self._rails]
        row[at], text = text[0], text[2:]
        self.lines.append(" ".join(row) + " " + text)
        self._leave(at, readers)

    def _arrive(self, name: str) -> int:
        """The column for a node: its rails are joined in the leftmost one; a source takes a free one."""
        mine = [i for i, rail in enumerate(self._rails) if rail == name]
        if not mine:
            self._rails.append(name)
            return len(self._rails) - 1
        if len(mine) > 1:
            self._connect(mine[0], mine[1:], "┴", "╯")
            for i in mine[1:]:
                self._rails[i] = None
            self._trim()
        elif not self._compact and self.lines and self.lines[-1][-1] not in "╮╯":
            self._connect(mine[0], [], "", "")
        return mine[0]

    def _leave(self, at: int, readers: tuple[str, ...]) -> None:
        self._rails[at] = readers[0] if readers else None
        new = []
        for reader in readers[1:]:
            free = [i for i in range(at + 1, len(self._rails)) if self._rails[i] is None and i not in new]
            column = free[0] if free else len(self._rails)
            if column == len(self._rails):
                self._rails.append(None)
            self._rails[column] = reader
            new.append(column)
        if new:
            self._connect(at, sorted(new), "┬", "╮")
        self._trim()

    def _trim(self) -> None:
        while self._rails and self._rails[-1] is None:
            self._rails.pop()

    def _connect(self, at: int, others: list[int], middle: str, last: str) -> None:
        """A row that joins column `at` to the columns `others` on its right."""
        row = ""
        end = max(others, default=at)
        for i, rail in enumerate(self._rails):
            inside = at <= i < end
            if i == at:
                char = "├" if others else "│"
            elif i in others:
                char = last if i == end else middle
            else:
                char = "│" if rail is not None else ("─" if inside else " ")
            row += char + ("─" if inside else " ")
        self.lines.append(row.rstrip())
