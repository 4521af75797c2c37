"""The scene: everything a live view needs to know before it knows a number, and places that no number can outgrow."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from datagraph.drawing.cards import label_size, node_size
from datagraph.drawing.geometry import Box, Point
from datagraph.drawing.layout import Engine
from datagraph.drawing.scene import CARD_HEIGHT, LEGEND, card_size, plate_size, scene
from datagraph.drawing.style import text_width
from datagraph.drawing.svg import svg
from datagraph.events.journal import EDGE_FIELDS, NODE_FIELDS
from datagraph.graph.model import Edge, Graph, Node, Port
from datagraph.graph.wiring import by_port
from tests.drawing.test_svg import FLOW, HOSTILE, snapshot_of, worker

ENGINES: tuple[Engine, ...] = ("auto", "own")


def in_a_row(count: int) -> Graph:
    """A chain of so many processors."""
    return by_port([worker(f"step_{i}", f"s{i}", f"s{i + 1}") for i in range(count)], name="chain")


CHAIN = in_a_row(8)
BRANCHED = by_port(
    [
        worker("scan", "root", "path"),
        worker("text", "path", "text"),
        worker("words", "text", "words"),
        worker("langs", "text", "lang"),
        worker("report", "words lang", "report", wait=True),
    ],
    name="wordcount",
)


def boxes(picture: dict[str, Any]) -> dict[str, Box]:
    """Whatever stands somewhere: cards, pills and plates."""
    found = {node["name"]: node for node in picture["nodes"]}
    found |= {edge["name"]: edge["plate"] for edge in picture["edges"] if edge["plate"]}
    return {name: Box(each["x"], each["y"], each["w"], each["h"]) for name, each in found.items()}


def points(path: str) -> Iterator[Point]:
    """Points along an SVG path of cubic curves, close to each other."""
    start, *rest = ((float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path))
    for a, b, end in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        for t in (i / 40 for i in range(41)):
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
            corners = tuple(zip((start, a, b, end), weights, strict=True))
            yield sum(x * w for (x, _), w in corners), sum(y * w for (_, y), w in corners)
        start = end


def test_a_scene_is_json_with_the_nodes_and_edges_in_the_order_of_the_graph() -> None:
    """A tick names neither: its rows are in the order of the graph, and so is the scene."""
    picture = scene(FLOW)
    assert json.loads(json.dumps(picture)) == picture
    assert [node["name"] for node in picture["nodes"]] == [node.name for node in FLOW.nodes]
    assert [edge["name"] for edge in picture["edges"]] == [edge.name for edge in FLOW.edges]
    assert picture["fields"] == {"node": list(NODE_FIELDS), "edge": list(EDGE_FIELDS)}
    assert picture["name"] == "wordcount"


def test_the_legend_is_that_of_the_static_picture() -> None:
    """One legend: what a colour means in the view is what it means in the SVG."""
    static = svg(FLOW, snapshot_of(FLOW))
    for kind, words in LEGEND:
        assert words in static
        assert f'class="{kind}"' in static


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("graph", [FLOW, CHAIN, BRANCHED], ids=["flow", "chain", "branched"])
def test_nothing_overlaps_and_nothing_leaves_the_picture(graph: Graph, engine: Engine) -> None:
    """Cards and plates keep apart, in one line or in several."""
    picture = scene(graph, engine=engine)
    placed = boxes(picture)
    for (a, one), (b, two) in itertools.combinations(placed.items(), 2):
        assert not one.overlaps(two), f"{a} and {b} overlap"
    for name, box in placed.items():
        assert box.x >= 0, name
        assert box.y >= 0, name
        assert box.x + box.width <= picture["width"], name
        assert box.y + box.height <= picture["height"], name


@pytest.mark.parametrize("name", ["x", "tokenise", "a_name_that_is_as_long_as_names_get"])
def test_a_card_has_room_for_every_state(name: str) -> None:
    """Its size is known before the run, and holds what the static picture needs at its worst, but for a long name."""
    node = Node(name, inputs=(Port("a"),), outputs=(Port("b"),))
    width, height = card_size(node)
    assert height == CARD_HEIGHT
    named = text_width(name, 13, bold=True)
    assert width >= min(named + text_width("bottleneck", 11, bold=True) + 45, 250)
    assert width >= node_size(node, None)[0] or named > 150


@pytest.mark.parametrize("capacity", [None, 1, 4_000, 1_000_000])
def test_a_plate_has_room_for_a_full_edge(capacity: int | None) -> None:
    """ "4,000 of 4,000" and "100 %" stand beside each other, a rate beside a time."""
    width, _ = plate_size(Edge("s", "a", "s", "b", "s", capacity))
    if capacity is not None:
        held = text_width(f"{capacity:,} of {capacity:,}", 11, bold=True) + text_width("100 %", 11, bold=True)
        assert width - 16 >= held
    assert width - 16 >= text_width("99.9k/s", 11) + text_width("empty in 90 min", 11)


def test_an_edge_to_an_output_has_no_plate_and_is_not_said_to_be_unbounded() -> None:
    """The output says what arrived; nobody reads there, so nothing can wait."""
    ends = [edge for edge in scene(FLOW)["edges"] if edge["target"] == "out:words"]
    assert [(edge["plate"], edge["unbounded"]) for edge in ends] == [(None, False)]
    assert label_size(FLOW, FLOW.edges[-1], None) == (0.0, 0.0)


def test_an_edge_without_a_capacity_is_unbounded() -> None:
    """It is drawn as dots, whatever it holds."""
    graph = Graph((worker("a", "", "x"), worker("b", "x")), (Edge("x", "a", "x", "b", "x"),))
    assert scene(graph)["edges"][0]["unbounded"] is True


@pytest.mark.parametrize("engine", ENGINES)
def test_lines_end_where_their_heads_point(engine: Engine) -> None:
    """A head is at the border of the card it points to, and the line stops beneath it."""
    picture = scene(CHAIN, engine=engine)
    cards = boxes(picture)
    for edge in picture["edges"]:
        x, y, _ = edge["head"]
        card = cards[edge["target"]]
        assert -1.5 <= x - card.x <= card.width + 1.5, edge["name"]
        assert -1.5 <= y - card.y <= card.height + 1.5, edge["name"]
        end_x, end_y = map(float, edge["path"].split()[-1].split(","))
        assert abs(end_x - x) + abs(end_y - y) == pytest.approx(6.0, abs=3.0), edge["name"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_long_chain_is_broken_into_lines_so_that_it_can_be_read(engine: Engine) -> None:
    """In one line it would be shown at a third of its size."""
    picture = scene(CHAIN, engine=engine)
    rows = {node["y"] + node["h"] / 2 for node in picture["nodes"]}
    assert len({round(row / 40) for row in rows}) >= 3
    assert picture["horizontal"] is True
    assert picture["width"] < 1_700


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("graph", [CHAIN, BRANCHED, in_a_row(30)], ids=["chain", "branched", "thirty"])
def test_no_line_runs_through_a_card(graph: Graph, engine: Engine) -> None:
    """An edge meets the cards at its two ends and its own plate, and goes around all others."""
    picture = scene(graph, engine=engine)
    placed = boxes(picture)
    for edge in picture["edges"]:
        others = placed.keys() - {edge["name"], edge["source"], edge["target"]}
        for x, y in points(edge["path"]):
            for name in others:
                box = placed[name]
                inside = box.x < x < box.x + box.width and box.y < y < box.y + box.height
                assert not inside, f"{edge['name']} runs through {name} at {x:.0f}, {y:.0f}"


def test_a_hundred_processors_in_a_row_are_laid_out_at_once() -> None:
    """Where to break them is a shortest path, not a search through all ways; the picture keeps a page's proportions."""
    began = time.process_time()
    picture = scene(in_a_row(100), engine="own")
    assert time.process_time() - began < 2.0
    assert 1.0 < picture["width"] / picture["height"] < 3.0


def test_asking_for_a_direction_is_obeyed() -> None:
    """Down is down."""
    picture = scene(CHAIN, horizontal=False)
    assert picture["horizontal"] is False
    assert picture["height"] > picture["width"]


def test_text_of_the_users_is_clean_and_cut() -> None:
    """Names have no control characters, no marks that turn text around, and an end."""
    graph = by_port([worker(name, f"in{i}", f"out{i}") for i, name in enumerate([*HOSTILE, "M" * 100_000])])
    picture = scene(graph, engine="own")
    for node in picture["nodes"]:
        shown = [node["label"], node["title"], *node["facts"]]
        assert all(len(text) <= 300 for text in shown)
        assert all(char.isprintable() or char == "\u200d" for text in shown for char in text), shown
        assert text_width(node["label"], 13, bold=True) <= node["w"], node["label"]


def test_an_empty_flow_has_a_scene() -> None:
    """Nothing to show is no error."""
    picture = scene(by_port([]))
    assert picture["nodes"] == picture["edges"] == []
    assert picture["width"] > 0
