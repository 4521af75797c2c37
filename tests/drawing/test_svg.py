"""SVG: a picture that says what is wrong, stands alone, and into which no name can smuggle anything."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagraph.drawing.dot import digraph
from datagraph.drawing.style import text_width
from datagraph.drawing.svg import svg
from datagraph.events.snapshot import EdgeState, NodeState, Snapshot
from datagraph.graph.check import problems
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.wiring import by_port

NS = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<script>alert(1)</script>",
    '<<table href="javascript:alert(1)">>',
    'x" onmouseover="alert(1)',
    "x' onload='alert(1)",
    "]]><svg onload=alert(1)>",
    "</title></svg><img src=x onerror=alert(1)>",
    "&lt;b&gt; &#x3c;",
    "a\nb\0c\x1b\r",
    "\u202egnp.exe",
    "\ud800 \ufffe",
    "`backticks` in `odd places",
    "M" * 300,
    "名前" * 60,
    "é̂" * 40,
]


def worker(name: str, reads: str = "", writes: str = "", **attrs: Any) -> Node:
    """A processor; streams are given as words."""
    inputs, outputs = (tuple(Port(word) for word in words.split()) for words in (reads, writes))
    return Node(name, inputs=inputs, outputs=outputs, attrs=attrs)


FLOW = by_port([worker("text", "path", "text"), worker("words", "text", "words", capacity=200)], name="wordcount")


def snapshot_of(graph: Graph, **more: Any) -> Snapshot:
    """Every node and every edge in some state."""
    nodes = {
        n.name: NodeState(n.name, "running", busy=0.5, starved=0.25, blocked=0.25, read=9, rate=312.4) for n in graph
    }
    edges = {
        e.name: EdgeState(
            e.name, e.stream, e.source, e.target, written=1204, read=1004, lag=200, capacity=e.capacity, fill=0.2
        )
        for e in graph.edges
    }
    return Snapshot(
        "r1",
        "evening",
        0.0,
        elapsed=83.0,
        nodes={**nodes, **more.pop("nodes", {})},
        edges={**edges, **more.pop("edges", {})},
        **more,
    )


STUCK = snapshot_of(
    FLOW,
    nodes={
        "text": NodeState("text", "running", busy=0.07, starved=0.0, blocked=0.93, read=5120, written=5120, rate=52.0),
        "words": NodeState(
            "words", "running", busy=0.99, starved=0.01, read=4920, rate=52.0, concurrency=2, dead_letters=3
        ),
    },
    edges={
        "text->words.text": EdgeState("text->words.text", "text", "text", "words", 5120, 4920, 200, 0, 200, 1.0, 52, 52)
    },
    sentence="`words` is the bottleneck: 99 % busy, its input holds 200 of 200",
    bottleneck="words",
)


def parsed(picture: str) -> ET.Element:
    """The root; fails where it is not well-formed or cannot be written as UTF-8."""
    return ET.fromstring(picture.encode())


def words(picture: str) -> str:
    """All that can be read in the picture itself, without titles and style."""
    return "\n".join("".join(element.itertext()) for element in parsed(picture).iter(f"{NS}text"))


def assert_harmless(picture: str) -> None:
    """No script, no handler, no reference, nothing but shapes and text."""
    allowed = {"svg", "title", "desc", "style", "g", "rect", "path", "text", "tspan"}
    for element in parsed(picture).iter():
        assert element.tag.removeprefix(NS) in allowed
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on")
            assert "href" not in name.lower()
            assert name == "aria-label" or "javascript:" not in value.lower()
    assert "<script" not in picture.lower()


def test_a_flow_shows_its_nodes_its_streams_and_how_they_run() -> None:
    """By name; the ends of the flow carry the names of their streams, so those edges need no label."""
    picture = svg(FLOW)
    shown = words(picture).splitlines()
    assert shown.count("wordcount") == 1
    assert sorted(shown[1:]) == ["path", "text", "text", "words", "words"]
    assert_harmless(picture)


def test_a_run_shows_where_the_data_waits_and_why() -> None:
    """The sentence, the culprit, count, lag, fill and rate of the edge, shares and trouble of the nodes."""
    shown = words(svg(FLOW, STUCK))
    for said in (
        "words is the bottleneck: 99 % busy",
        "bottleneck\n",
        "200 of 200",
        "100 %",
        "5,120 written",
        "52/s",
        "93 % blocked",
        "99 % busy",
        "3 dead letters",
        "×2",
        "evening",
        "running · 83 s",
        "1,204 values",
    ):
        assert said in shown


def test_only_the_culprit_is_marked_and_only_what_is_full_is_red() -> None:
    """One glance tells what is wrong."""
    root = parsed(svg(FLOW, STUCK))
    classes = [element.get("class", "").split() for element in root.iter()]
    assert sum("culprit" in c for c in classes) == 1
    assert sum(c[:2] == ["edge", "k-full"] for c in classes) == 1
    calm = parsed(svg(FLOW, snapshot_of(FLOW)))
    assert not any("k-full" in (e.get("class") or "") or "culprit" in (e.get("class") or "") for e in calm.iter())


def test_a_bar_is_as_long_as_what_it_shows() -> None:
    """Busy, starved and blocked fill their track in proportion."""
    rects = [
        (e.get("class"), float(e.get("width", 0)), e.get("height"))
        for e in parsed(svg(FLOW, snapshot_of(FLOW))).iter(f"{NS}rect")
    ]
    track = next(width for kind, width, height in rects if kind == "track" and height == "9.0")
    shares = {
        kind: width / track
        for kind, width, height in rects
        if height == "9.0" and kind in ("work", "starved", "blocked") and width > 20
    }
    assert shares == pytest.approx({"work": 0.5, "starved": 0.25, "blocked": 0.25}, abs=0.01)


@pytest.mark.parametrize(
    "state, said",
    [
        (NodeState("words", "failed", error="ValueError: no digits"), "ValueError: no digits"),
        (NodeState("words", "failed"), "failed"),
        (NodeState("words", "running", paused=True, busy=1.0), "paused"),
        (NodeState("words", "done", busy=1.0), "done"),
        (NodeState("words", "running", busy=1.0, errors=1, skipped=2), "1 error, 2 skipped"),
        (NodeState("words", "running", busy=1.0, resumable=False), "not resumable"),
        (NodeState("words", "running", busy=1.0, workers=3, version=2), "3 workers v2"),
        (NodeState("words"), "waiting"),
    ],
)
def test_a_node_says_its_state_and_its_trouble(state: NodeState, said: str) -> None:
    """In words, not by colour alone."""
    assert said in words(svg(FLOW, snapshot_of(FLOW, nodes={"words": state})))


@pytest.mark.parametrize(
    "change, said",
    [
        ({"capacity": None}, "no limit"),
        ({"ended": True, "lag": 0, "capacity": 200}, "all read"),
        ({"lag": 50, "capacity": 200, "fill": 0.25, "seconds_to_full": 12.0}, "full in 12 s"),
        ({"lag": 50, "capacity": 200, "fill": 0.25, "seconds_to_drained": 300.0}, "empty in 5 min"),
    ],
)
def test_an_edge_says_what_will_come_of_it(change: dict[str, Any], said: str) -> None:
    """Bound, end, and the time until it is full or empty."""
    edge = EdgeState("text->words.text", "text", "text", "words", **change)
    assert said in words(svg(FLOW, snapshot_of(FLOW, edges={edge.name: edge})))


def test_an_edge_that_is_full_at_once_does_not_say_so() -> None:
    """A moment that is over before it could be read is no news; at the brim it would flicker."""
    edge = EdgeState(
        "text->words.text", "text", "text", "words", lag=199, capacity=200, fill=0.99, seconds_to_full=0.04
    )
    assert "full in" not in words(svg(FLOW, snapshot_of(FLOW, edges={edge.name: edge})))


def test_a_snapshot_that_knows_nothing_yet_can_be_drawn() -> None:
    """A run that has just begun has no states."""
    assert "waiting" in words(svg(FLOW, Snapshot("r1", "", 0.0)))


def test_problems_stand_beneath_the_flow() -> None:
    """All of them, and the ring is marked in the picture."""
    ring = by_port([worker("a", "y", "x"), worker("b", "x", "y z"), worker("c", "q", "z")])
    picture = svg(ring, problems=problems(ring))
    assert "2 problems" in words(picture)
    assert "is written by 'b' and 'c'" in words(picture).replace("\n", " ")
    assert sum("bad" in (e.get("class") or "").split() for e in parsed(picture).iter(f"{NS}rect")) == 2
    assert "at least one processor" in words(svg(by_port([]), problems=problems(by_port([])))).replace("\n", " ")


def test_a_hint_is_shown_but_not_counted_as_a_problem() -> None:
    """A flow with a stream that looks misspelt can run."""
    shown = words(svg(FLOW, hints=["nobody writes 'tokns'"]))
    assert "nobody writes 'tokns'" in shown
    assert "problem" not in shown


def test_who_cannot_see_it_is_told() -> None:
    """Title, description and label for a screen reader, a tooltip for each node and edge."""
    root = parsed(svg(FLOW, STUCK))
    assert root.get("role") == "img"
    assert root.get("aria-label", "").startswith("evening: `words` is the bottleneck")
    assert [root[0].tag, root[1].tag] == [f"{NS}title", f"{NS}desc"]
    titles = [e.text or "" for e in root.iter(f"{NS}title")]
    assert any("busy 99 %, starved 1 %" in title for title in titles)
    assert any("5,120 written, 4,920 read, 200 waiting" in title for title in titles)


def hostile() -> Graph:
    """Every bad name as a processor, a stream, a type and a fact."""
    return by_port(
        [Node(n, inputs=(Port(n, n),), outputs=(Port(f"{n}!", n),), attrs={"executor": n}) for n in HOSTILE]
        + [worker("join", " "), Node("all", inputs=tuple(Port(f"{n}!") for n in HOSTILE[:3]))],
        name=HOSTILE[0],
    )


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_is_ever_markup(name: str) -> None:
    """As a name, a stream, an error, a status, a sentence or a problem, in a flow and in a run."""
    graph = hostile()
    bad = NodeState(name, name, busy=1.0, error=name, waits_for=name)
    run = snapshot_of(graph, nodes={name: bad}, sentence=name, error=name, bottleneck=name, status=name)
    for picture in (svg(graph, engine="own"), svg(graph, run, problems=[ValueError(name)], engine="own")):
        assert_harmless(picture)


def boxed_texts(root: ET.Element) -> Iterator[tuple[str, float, float, float, float]]:
    """Each text of a card: the text, its ends, and the ends of its box."""
    for group in root.iter(f"{NS}g"):
        box = group.find(f"{NS}rect")
        assert box is not None
        left = float(box.get("x", 0))
        right = left + float(box.get("width", 0))
        for element in group.iter(f"{NS}text"):
            kind = (element.get("class") or "").split()
            size, bold = (13, True) if "t" in kind else (11, "b" in kind)
            width = text_width("".join(element.itertext()), size, bold=bold)
            x = float(element.get("x", 0))
            start = x - width / 2 if "m" in kind else x - width if "e" in kind else x
            yield "".join(element.itertext()), start, start + width, left, right


@pytest.mark.parametrize("run", [False, True])
def test_every_text_fits_its_box(run: bool) -> None:
    """The longest names are cut, in flows and in runs; no text leaves its card."""
    graph = hostile()
    picture = svg(graph, snapshot_of(graph) if run else None, engine="own")
    found = list(boxed_texts(parsed(picture)))
    assert len(found) > 40
    for text, start, end, left, right in found:
        assert left - 0.5 <= start < end <= right + 0.5, text


def test_no_two_texts_of_a_card_touch() -> None:
    """What stands left and right on one line keeps apart."""
    root = parsed(svg(FLOW, STUCK))
    for group in root.iter(f"{NS}g"):
        lines: dict[str, list[tuple[float, float]]] = {}
        for element in group.iter(f"{NS}text"):
            kind = (element.get("class") or "").split()
            width = text_width(element.text or "", 13 if "t" in kind else 11, bold="t" in kind or "b" in kind)
            x = float(element.get("x", 0))
            start = x - width / 2 if "m" in kind else x - width if "e" in kind else x
            lines.setdefault(element.get("y", ""), []).append((start, start + width))
        for spans in lines.values():
            spans.sort()
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_the_same_flow_gives_the_same_picture() -> None:
    """To the byte, so that saved notebooks do not change."""
    assert svg(FLOW, STUCK) == svg(Graph.from_dict(FLOW.to_dict()), STUCK)
    assert not re.search(r"\bid=", svg(FLOW, STUCK)), "ids of two pictures on one page would clash"


@settings(max_examples=25)
@given(st.text(min_size=1, max_size=40), st.floats(0, 1), st.integers(0, 10**15))
def test_any_name_and_any_number_give_a_sound_picture(name: str, share: float, count: int) -> None:
    """Well-formed, whatever the text and the counts."""
    graph = by_port([worker("p", "x", "y"), Node(f"n{name}", inputs=(Port("y"), Port(f"s{name}")))])
    state = NodeState(f"n{name}", "running", busy=share, starved=1 - share, read=count, rate=float(count), errors=count)
    edges = {
        e.name: EdgeState(e.name, e.stream, e.source, e.target, count, 0, count, 0, 5, share * 2) for e in graph.edges
    }
    assert_harmless(svg(graph, snapshot_of(graph, nodes={state.name: state}, edges=edges), engine="own"))


def test_graphviz_draws_every_name_as_plain_text() -> None:
    """Its HTML labels and escape sequences are never reached by a name."""
    source = str(
        digraph(by_port([worker("<b>x</b>", "a", "b"), worker("\\N", "b", "c"), worker('q"]', "c", "d")])).source
    )
    assert 'label="<b>x</b>"' in source
    assert 'label="\\\\N"' in source
    assert 'label="q\\"]"' in source
    assert "label=<" not in source
    assert "label=<" not in str(digraph(hostile()).source)
