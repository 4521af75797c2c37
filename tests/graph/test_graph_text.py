"""Text: a picture in characters, DOT and Mermaid, in which no name is ever markup."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.text import clean, signature, to_dot, to_mermaid, to_text
from datagraph.graph.wiring import by_port

HOSTILE = [
    "<script>alert(1)</script>",
    '<<table href="javascript:alert(1)">>',
    'x"onmouseover="alert(1)',
    '"]; evil [label="',
    "back\\",
    "\\N \\G \\l",
    "a\nb\tc\r\0d\x1b[31m",
    "#quot;] --> x",
    "`code` **bold** end",
    "\u202egnp.exe",
    "zero\u200bwidth",
    "\ud800 half",
    "x" * 300,
    "名前 🙂",
]


def worker(name: str, reads: str = "", writes: str = "", **attrs: object) -> Node:
    """A processor; streams are given as words."""
    inputs, outputs = (tuple(Port(word) for word in words.split()) for words in (reads, writes))
    return Node(name, inputs=inputs, outputs=outputs, attrs=attrs)


def hostile() -> Graph:
    """Every bad name as a processor, a stream and a type."""
    return by_port([Node(n, inputs=(Port(n, n),), outputs=(Port(f"{n}!", n),), attrs={"executor": n}) for n in HOSTILE])


def test_a_fan_out_and_a_fan_in_are_drawn_with_rails() -> None:
    """The picture, character by character."""
    graph = by_port(
        [
            worker("text", "path", "text"),
            worker("words", "text", "words", concurrency=2),
            worker("langs", "text", "lang"),
            worker("report", "words lang", "report", wait=True),
        ],
        name="wordcount",
    )
    assert to_text(graph) == (
        "wordcount: 4 processors\n"
        "\n"
        "▷ path\n"
        "│\n"
        "● text  (path -> text)\n"
        "├─╮\n"
        "● │ words  (text -> words)  concurrency 2\n"
        "│ │\n"
        "│ ● langs  (text -> lang)\n"
        "├─╯\n"
        "● report  (words, lang -> report)  waits for all\n"
        "│\n"
        "□ report"
    )


def test_an_empty_flow_and_a_ring_can_be_read_too() -> None:
    """A wrong flow still has a picture that says what it is."""
    assert to_text(Graph()) == "(an empty flow)"
    assert "↺ b writes back to a: a ring" in to_text(by_port([worker("a", "y", "x"), worker("b", "x", "y")]))


def test_many_nodes_take_one_line_each_and_few_more() -> None:
    """A long chain has no empty rails between its lines."""
    chain = by_port([worker(f"p{i}", f"s{i}", f"s{i + 1}") for i in range(30)])
    assert len(to_text(chain).splitlines()) == 32


def test_a_signature_is_what_a_node_reads_and_writes() -> None:
    """Also for a source and a sink."""
    assert signature(worker("p", "a b", "c")) == "a, b -> c"
    assert signature(worker("p", "", "c")) == "-> c"
    assert signature(worker("p", "a", "")) == "a ->"


@given(st.text())
def test_clean_text_is_one_printable_line(text: str) -> None:
    """No control characters, nothing invisible, at most 80 characters, and it can be encoded."""
    shown = clean(text)
    assert len(shown) <= 80
    assert all(char.isprintable() or char.isspace() or char == "\u200d" or ord(char) > 0xFF for char in shown)
    assert not set(shown) & set("\n\r\t\0\x1b\u202e\u200b\u2028")
    shown.encode()


@pytest.mark.parametrize("show", [to_text, to_mermaid, to_dot])
def test_no_name_breaks_out_of_its_line(show: object) -> None:
    """The number of lines does not depend on the names, and none holds a control character."""
    assert callable(show)
    harmless = by_port([Node(f"n{i}", inputs=(Port(f"a{i}"),), outputs=(Port(f"b{i}"),)) for i in range(len(HOSTILE))])
    shown = show(hostile())
    assert len(shown.splitlines()) == len(show(harmless).splitlines())
    assert not any(char < " " for char in shown.replace("\n", ""))
    shown.encode()


def test_mermaid_labels_hold_only_letters_and_entities() -> None:
    """Quotes, brackets, angle brackets and backticks are all written as numbers."""
    lines = to_mermaid(hostile()).splitlines()[1:]
    for line in lines:
        label = line[line.index('"') + 1 : line.rindex('"')]
        assert not set(label) & set("\"'<>[](){}`|\\")


@pytest.mark.skipif(shutil.which("dot") is None, reason="dot is not installed")
def test_dot_reads_what_we_write_and_draws_every_name_as_text() -> None:
    """Graphviz itself sees as many nodes as there are, with the names as they are shown."""
    graph = hostile()
    answer = subprocess.run(["dot", "-Tsvg"], input=to_dot(graph).encode(), capture_output=True, timeout=10, check=True)
    picture = answer.stdout.decode()
    assert picture.count('class="node"') == len(graph)
    assert "<script" not in picture
    assert "<a " not in picture
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in picture
    assert "evil" in picture


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=14))
def test_every_node_of_any_graph_is_on_one_line(pairs: list[tuple[int, int]]) -> None:
    """Whatever is joined to whatever, rings too, each node has exactly one line, and the same one each time."""
    flow = [
        worker(f"node{n}", " ".join(f"s{a}" for a, b in pairs if b == n), f"s{n}")
        for n in sorted({n for p in pairs for n in p})
    ]
    graph = by_port(flow)
    lines = to_text(graph).splitlines()
    assert sum("●" in line for line in lines) == len(flow)
    assert sum("▷" in line or "□" in line for line in lines) == len(graph) - len(flow)
    assert to_text(graph) == to_text(Graph.from_dict(graph.to_dict()))
