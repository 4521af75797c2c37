"""Where to put what: by Graphviz' `dot` where it is installed and quick enough, else by a layout of ours."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from typing import Literal

from ..graph.model import Graph
from ..graph.order import back_edges, levels
from .geometry import Box, Layout, Path, Point, Size, self_loop, straight
from .layered import layered

Engine = Literal["auto", "dot", "own"]

DOT_SECONDS = 2.0
_INCH = 72.0
_WIDEST = 1_060.0
_GAP = 30.0


def layout(
    graph: Graph,
    nodes: Sequence[Size],
    labels: Sequence[Size],
    *,
    horizontal: bool | None = None,
    engine: Engine = "auto",
    timeout: float = DOT_SECONDS,
) -> Layout:
    """Place the nodes and the edges' labels of a graph; sizes are (width, height) in pixels, a label may be (0, 0).

    `horizontal` is by itself to the right for a flow that fits a page so, and down for a longer one. With `engine`
    "auto", `dot` is given `timeout` seconds before ours is taken; "dot" and "own" ask for one of them, and "dot" raises
    what goes wrong with it.
    It blocks while `dot` runs, some 20 ms: call it off an event loop.
    """
    if horizontal is None:
        horizontal = _length(graph, nodes, labels) <= _WIDEST
    if engine != "own" and graph.nodes:
        try:
            return _by_dot(graph, nodes, labels, horizontal, timeout)
        except (OSError, subprocess.SubprocessError, ValueError, LookupError):
            if engine == "dot":
                raise
    return layered(graph, nodes, labels, horizontal=horizontal)


def _length(graph: Graph, nodes: Sequence[Size], labels: Sequence[Size]) -> float:
    """About how wide the graph is from left to right."""
    wide = {node.name: width for node, (width, _) in zip(graph.nodes, nodes, strict=True)}
    tags = {edge.target: width for edge, (width, _) in zip(graph.edges, labels, strict=True)}
    rows = [max(wide[name] for name in row) + max(tags.get(name, 0.0) for name in row) for row in levels(graph)]
    return sum(rows) + 2 * _GAP * (len(rows) - 1)


def _by_dot(graph: Graph, nodes: Sequence[Size], labels: Sequence[Size], horizontal: bool, timeout: float) -> Layout:
    program = shutil.which("dot")
    if program is None:
        raise FileNotFoundError("dot is not installed")
    answer = subprocess.run(
        [program, "-Tplain"],
        input=_source(graph, nodes, labels, horizontal),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=True,
    )
    boxes, curves, size = _parse(answer.stdout)
    place = {node.name: i for i, node in reversed(list(enumerate(graph.nodes)))}
    paths: list[Path] = []
    tags: list[Box | None] = []
    for i, edge in enumerate(graph.edges):
        a, b = place.get(edge.source), place.get(edge.target)
        tag: Box | None = None
        path: Path = ()
        if a is not None and a == b:
            path = self_loop(boxes[f"n{a}"])
        elif a is not None and b is not None and labels[i][0]:
            tag = boxes[f"e{i}"]
            path = _joined(curves[f"n{a}", f"e{i}"].pop(0), curves[f"e{i}", f"n{b}"].pop(0))
        elif a is not None and b is not None:
            path = curves[f"n{a}", f"n{b}"].pop(0)
        tags.append(tag)
        paths.append(path)
    placed = tuple(boxes[f"n{i}"] for i in range(len(graph.nodes)))
    return Layout(*size, horizontal, placed, tuple(tags), tuple(paths), "dot")


def _source(graph: Graph, nodes: Sequence[Size], labels: Sequence[Size], horizontal: bool) -> str:
    """Only numbers and names of ours: nothing that a user wrote reaches `dot`."""
    lines = [
        "digraph{",
        f"graph[rankdir={'LR' if horizontal else 'TB'} nodesep=0.25 ranksep=0.42 outputorder=edgesfirst]",
        'node[shape=box fixedsize=true label="" margin=0] edge[dir=none]',
    ]
    lines += [f"n{i}[width={w / _INCH:.4f} height={h / _INCH:.4f}]" for i, (w, h) in enumerate(nodes)]
    place = {node.name: i for i, node in reversed(list(enumerate(graph.nodes)))}
    closing = back_edges(graph)
    enter, leave = (":w", ":e") if horizontal else (":n", ":s")
    for i, (edge, (width, height)) in enumerate(zip(graph.edges, labels, strict=True)):
        a, b = place.get(edge.source), place.get(edge.target)
        if a is None or b is None or a == b:
            continue
        if not width:
            lines.append(f"n{a}->n{b}[minlen=2]")
            continue
        ports = ("", "") if (edge.source, edge.target) in closing else (enter, leave)
        lines.append(f"e{i}[width={width / _INCH:.4f} height={height / _INCH:.4f}]")
        lines.append(f"n{a}->e{i}{ports[0]}[weight=2] e{i}{ports[1]}->n{b}[weight=2]")
    return "\n".join([*lines, "}"])


def _parse(plain: str) -> tuple[dict[str, Box], dict[tuple[str, str], list[Path]], Size]:
    """Boxes and curves from the "plain" format: inches, y upwards, splines of 3n + 1 points."""
    boxes: dict[str, Box] = {}
    curves: dict[tuple[str, str], list[Path]] = {}
    width = height = 0.0
    for line in plain.splitlines():
        kind, *words = line.split()
        if kind == "graph":
            width, height = float(words[1]) * _INCH, float(words[2]) * _INCH
        elif kind == "node":
            x, y, w, h = (float(word) * _INCH for word in words[1:5])
            boxes[words[0]] = Box(x - w / 2, height - y - h / 2, w, h)
        elif kind == "edge":
            numbers = [float(word) * _INCH for word in words[3 : 3 + 2 * int(words[2])]]
            points: list[Point] = [(x, height - y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
            curves.setdefault((words[0], words[1]), []).append(tuple(points))
    return boxes, curves, (width, height)


def _joined(first: Path, second: Path) -> Path:
    """One path to a label, straight through it, and on."""
    return (*first, *straight(first[-1], second[0]), *second[1:])
