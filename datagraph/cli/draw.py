"""`datagraph draw`."""

from __future__ import annotations

from pathlib import Path

import typer

from ..drawing.svg import svg
from ..flow.flow import Flow
from ..graph.text import to_dot, to_mermaid, to_text
from .errors import failure, misuse

_GRAPHVIZ = (".png", ".pdf")


def draw_flow(flow: Flow, output: Path | None) -> None:
    """To the terminal, or to a file as its suffix says; problems go to stderr."""
    graph = flow.graph
    if output is None:
        typer.echo(to_text(graph))
    elif output.suffix == ".svg":
        output.write_text(svg(graph, problems=flow.problems), encoding="utf-8")
    elif output.suffix in {".dot", ".mmd", ".txt"}:
        write = {".dot": to_dot, ".mmd": to_mermaid, ".txt": to_text}[output.suffix]
        output.write_text(write(graph).rstrip("\n") + "\n", encoding="utf-8")
    elif output.suffix in _GRAPHVIZ:
        _render(flow, output)
    else:
        known = ", ".join((".svg", ".dot", ".mmd", ".txt", *_GRAPHVIZ))
        raise misuse(f"{output} is of no kind that can be drawn: {known}")
    for problem in flow.problems:
        typer.echo(f"! {problem}", err=True)


def _render(flow: Flow, output: Path) -> None:
    import graphviz

    try:
        output.write_bytes(flow.draw().pipe(format=output.suffix[1:]))
    except graphviz.ExecutableNotFound:
        raise failure(f"{output.suffix} needs graphviz's program `dot`: install it, or draw to .svg") from None
