"""The graph as an object of the `graphviz` package, for those who want to go on with that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..exceptions import MissingExtraError
from ..graph.model import Graph
from ..graph.text import clean, facts
from .style import LIGHT

if TYPE_CHECKING:
    import graphviz


def digraph(graph: Graph) -> graphviz.Digraph:
    """A `graphviz.Digraph` of the graph; nodes are n0, n1, ..., names are plain labels whatever they hold.

    Raises `MissingExtraError` where the Python package graphviz is not installed; rendering also needs `dot`.
    """
    try:
        import graphviz
    except ImportError as error:
        raise MissingExtraError(
            "drawing with graphviz needs its Python package: pip install graphviz (and dot, of graphviz.org)"
        ) from error

    font = {"fontname": "Helvetica", "fontcolor": LIGHT["ink"], "fontsize": "12"}
    box = {"shape": "box", "style": "rounded,filled", "fillcolor": LIGHT["card"], "color": LIGHT["line"]}
    picture = graphviz.Digraph(
        graph_attr={"rankdir": "LR", "bgcolor": LIGHT["page"], "nodesep": "0.3", "ranksep": "0.5"},
        node_attr={**font, **box, "height": "0.45", "margin": "0.18,0.08"},
        edge_attr={**font, "fontsize": "10", "color": LIGHT["muted"], "arrowsize": "0.7"},
    )
    place = {node.name: i for i, node in reversed(list(enumerate(graph.nodes)))}
    for i, node in enumerate(graph.nodes):
        label = "\n".join([clean(node.label), *facts(node.attrs)])
        more = {} if node.kind == "processor" else {"shape": "oval", "style": "filled"}
        picture.node(f"n{i}", _plain(label), **more)
    ends = {node.name for node in graph.nodes if node.kind != "processor"}
    for edge in graph.edges:
        if edge.source in place and edge.target in place:
            label = "" if edge.source in ends or edge.target in ends else clean(edge.stream)
            picture.edge(f"n{place[edge.source]}", f"n{place[edge.target]}", _plain(label))
    return picture


def _plain(label: str) -> str:
    """A label that is neither HTML nor an escape sequence, both of which graphviz would read in it."""
    import graphviz

    plain: str = graphviz.nohtml(label.replace("\\", "\\\\").replace("\n", "\\n"))
    return plain
