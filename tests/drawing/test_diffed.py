"""The picture of a change: what is new, what goes and what is changed, told by shape and words, never by colour alone."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from datagraph.drawing.diffed import diffed
from datagraph.graph.change import Change
from datagraph.graph.diff import edge_marks, merged, node_marks, picture
from datagraph.graph.edit import Connect, Disconnect, Drop, Insert, Move, Swap, Tune
from datagraph.graph.model import Node, Port
from datagraph.graph.rewiring import changed
from datagraph.graph.wiring import by_port

NS = "{http://www.w3.org/2000/svg}"
HOSTILE = ["<script>alert(1)</script>", 'x" onload="alert(1)', "a\nb\0c", "`ticks", "</g></svg>", "M" * 300, "\ud800"]


def worker(name: str, reads: str = "", writes: str = "", **attrs: Any) -> Node:
    """A processor; streams are given as words."""
    inputs, outputs = (tuple(Port(word) for word in words.split()) for words in (reads, writes))
    return Node(name, inputs=inputs, outputs=outputs, attrs=attrs)


FLOW = by_port(
    [
        worker("load", "path", "text"),
        worker("split", "text", "words", concurrency=1),
        worker("count", "words", "count"),
        worker("keep", "words"),
    ],
    name="wordcount",
)
CLEAN = worker("clean", "words", "cleaned")
CHANGE = changed(FLOW, [Insert(CLEAN, "words->count.words"), Drop("keep"), Tune("split", concurrency=2)])


def groups(shown: str, kind: str) -> list[str]:
    """The first text, or else the title, of every part that is marked so; of lines that have neither ""."""
    found = (element for element in ET.fromstring(shown.encode()).iter(f"{NS}g") if element.get("class") == kind)
    return [next((text.text or "" for text in element.iter(f"{NS}text")), "") for element in found]


def words(shown: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(shown.encode()).iter(f"{NS}text")]


def signs(shown: str, start: str) -> int:
    """How many marks of that shape there are."""
    paths = ET.fromstring(shown.encode()).iter(f"{NS}path")
    return sum(
        (path.get("class") or "").startswith("mark") and (path.get("d") or "").startswith(start) for path in paths
    )


def test_both_graphs_are_in_one_picture() -> None:
    """What is new with its edges, what goes with its edges, and the node that is tuned; the rest is as ever."""
    shown = diffed(CHANGE)
    assert sorted(groups(shown, "new")) == ["", "", "clean", "cleaned", "words"]  # two lines, their two labels, a node
    assert sorted(groups(shown, "gone")) == ["", "", "keep", "words", "words"]
    assert groups(shown, "changed") == ["split"]


def test_every_mark_is_a_shape_and_every_difference_a_sentence() -> None:
    """Plus, minus and tilde beside the nodes and before the lines; a reader of the screen hears the lines."""
    shown = diffed(CHANGE)
    assert [signs(shown, sign) for sign in ("M-4,0H4M0", "M-4.5,1.5C")] == [1 + 1, 1 + 2]
    assert signs(shown, "M-4,0H4") - signs(shown, "M-4,0H4M0") == 1 + 1
    assert words(shown)[-4:] == [
        "new: clean (words -> cleaned)",
        "dropped: keep (words ->)",
        "count reads cleaned instead of words",
        "split: concurrency 1 -> 2",
    ]
    assert "dropped: `keep`" in (ET.fromstring(shown).get("aria-label") or "")


def test_what_is_new_is_thicker_and_what_goes_is_dashed() -> None:
    """Whoever sees no colours sees the same change."""
    root = ET.fromstring(diffed(CHANGE))
    found: dict[str, set[str]] = {}
    for group in root.iter(f"{NS}g"):
        for path in group.findall(f"{NS}path"):
            if "edge" in (path.get("class") or ""):
                found.setdefault(group.get("class") or "", set()).add(path.get("stroke-width") or "")
    assert found == {"new": {"3.4"}, "gone": {"1.8"}}
    assert ".dg .gone .edge{stroke-dasharray:7 6}" in "".join(root.itertext())


def test_what_is_against_a_change_stands_beneath_it() -> None:
    """The picture of what would be is drawn all the same, also of a ring; nothing at all says that."""
    shown = diffed(changed(FLOW, Move("text->split.text", source="count")))
    assert words(shown)[-1] == "a ring: split -> count -> split would wait for each other"
    assert signs(shown, "M-4,-4L4,4") == 1
    assert words(diffed(changed(FLOW, [])))[-1] == "nothing changes"


def test_no_name_breaks_out_of_the_picture() -> None:
    """Whatever the new processors and streams are called, it is well-formed and holds shapes and text only."""
    edits = [Connect(worker("x", "words", "y"))]
    edits += [
        Connect(Node(name, inputs=(Port("in", name, "words"),), outputs=(Port(f"{name}!", name),))) for name in HOSTILE
    ]
    change = changed(FLOW, edits)
    assert len(change.added) == 1 + len(HOSTILE)
    for element in ET.fromstring(diffed(change).encode()).iter():
        assert element.tag.removeprefix(NS) in {"svg", "title", "desc", "style", "g", "rect", "path", "text", "tspan"}
        assert not [name for name in element.attrib if name.startswith("on")]
    assert all(line.isprintable() for line in (*change.lines(), *picture(change).splitlines()))


def test_the_picture_in_characters_marks_what_is_new_and_what_is_changed() -> None:
    """A plus and a tilde instead of the dot, and the words beneath."""
    change = changed(FLOW, [Insert(CLEAN, "words->count.words"), Drop("keep"), Swap("split", FLOW.node("split"))])
    assert picture(change) == (
        "wordcount: 4 processors\n"
        "\n"
        "▷ path\n"
        "│\n"
        "● load  (path -> text)\n"
        "│\n"
        "~ split  (text -> words)\n"
        "│\n"
        "+ clean  (words -> cleaned)\n"
        "│\n"
        "~ count  (cleaned -> count)\n"
        "│\n"
        "□ count\n"
        "\n"
        "new: `clean` (words -> cleaned)\n"
        "dropped: `keep` (words ->)\n"
        "`split`: another function\n"
        "`count` reads `cleaned` instead of `words`"
    )


def test_what_changes_can_be_asked_for_without_drawing() -> None:
    """By node and by edge: a view draws it its own way."""
    change: Change = changed(FLOW, Disconnect("count"))
    assert node_marks(change) == {"count": "gone", "out:count": "gone"}
    assert set(edge_marks(change).values()) == {"gone"}
    assert [name for *_, name in edge_marks(change)] == ["words->count.words", "count->out:count.count"]
    assert merged(change).edges == FLOW.edges
