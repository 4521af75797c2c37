"""Check: every problem at once, each with a message to act on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagraph.exceptions import (
    CyclicFlowError,
    DuplicateIOError,
    DuplicateProcessorError,
    GraphError,
    InvalidNameError,
    UnknownIOError,
    UnresolvedFlowError,
)
from datagraph.graph.check import NameKind, check, check_name, problems, suggest
from datagraph.graph.model import Edge, Graph, Node, Port
from datagraph.graph.wiring import by_port, hints

KINDS: tuple[NameKind, ...] = ("processor", "port", "stream", "run")


def worker(name: str, reads: str = "", writes: str = "", **attrs: object) -> Node:
    """A processor; streams are given as words."""
    inputs, outputs = (tuple(Port(word) for word in words.split()) for words in (reads, writes))
    return Node(name, inputs=inputs, outputs=outputs, attrs=attrs)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name, says",
    [
        ("", "empty"),
        ("  \t", "blank"),
        ("x" * 300, "has 300"),
        ("a\nb", r"'\\n'"),
        ("a\0b", r"'\\x00'"),
        ("a\x7f", "control character"),
        ("a\u2028b", "control character"),
        ("a\ud800", "surrogate"),
        ("~retry", "reserved"),
        ("in:foo", "'in:'|':'"),
        ("out:foo", "'out:'|':'"),
        (5, r"5 \(int\)"),
        (None, "NoneType"),
    ],
)
def test_a_name_that_cannot_be_used_says_what_is_wrong_with_it(kind: NameKind, name: object, says: str) -> None:
    """Empty, blank, too long, control characters, half a surrogate, reserved, or no text at all."""
    with pytest.raises(InvalidNameError, match=says):
        check_name(kind, name)


@pytest.mark.parametrize("char", "{}:/")
def test_what_keys_and_files_use_is_refused_in_streams_and_runs_only(char: str) -> None:
    """A processor may be called "a/b"; a stream or a run may not."""
    name = f"a{char}b"
    for kind in ("stream", "run"):
        with pytest.raises(InvalidNameError, match="use - or _ instead"):
            check_name(kind, name)
    assert check_name("processor", name) == name


@pytest.mark.parametrize(
    "name", ["<script>alert(1)<-script>", 'x"onmouseover="alert(1)', "naïve 名前 🙂", "a.b-c_d", "x" * 128]
)
def test_markup_quotes_and_every_script_are_good_names(name: str) -> None:
    """They are escaped where they are shown, so nobody has to forbid them."""
    assert all(check_name(kind, name) == name for kind in KINDS)


@given(st.text(max_size=200))
def test_a_name_is_kept_or_refused_and_the_message_is_one_short_line(name: str) -> None:
    """Whatever the text, `check_name` gives it back or says why not in one printable line."""
    said = ""
    try:
        kept = check_name("stream", name)
    except InvalidNameError as error:
        kept, said = name, str(error)
    assert kept == name
    assert said.isprintable()
    assert len(said) < 300


def test_two_processors_of_one_name() -> None:
    """The name is in the message; its streams are not reported a second time."""
    (problem,) = problems(by_port([worker("twin", "a", "b"), worker("twin", "a", "b")]))
    assert isinstance(problem, DuplicateProcessorError)
    assert "'twin'" in str(problem)


def test_a_stream_of_two_writers_names_both() -> None:
    """The stream and both processors are in the message."""
    with pytest.raises(DuplicateIOError, match="'out' is written by 'left' and 'right'"):
        check(by_port([worker("left", "a", "out"), worker("right", "a", "out")]))


def test_a_stream_named_twice_by_one_processor() -> None:
    """That is a slip of the pen, and said so."""
    with pytest.raises(DuplicateIOError, match="'p' reads 'a' twice"):
        check(by_port([worker("p", "a a", "b")]))


def test_a_ring_shows_its_path() -> None:
    """The error carries the ring, too."""
    with pytest.raises(CyclicFlowError, match="'a' -> 'b' -> 'c' -> 'a'") as caught:
        check(by_port([worker("a", "z", "x"), worker("b", "x", "y"), worker("c", "y", "z")]))
    assert caught.value.cycle == ("a", "b", "c", "a")


def test_a_processor_that_reads_what_it_writes() -> None:
    """A ring of one names the stream."""
    with pytest.raises(CyclicFlowError, match="'p' reads 'x', which it writes itself") as caught:
        check(by_port([worker("p", "x", "x")]))
    assert caught.value.cycle == ("p", "p")


def test_an_empty_flow() -> None:
    """It has nothing to run."""
    with pytest.raises(UnresolvedFlowError, match="at least one processor"):
        check(by_port([]))


def test_an_edge_to_nowhere_suggests_where() -> None:
    """Unknown ports and nodes are named with what is close to them."""
    nodes = (worker("text", "path", "words"), worker("count", "words", "total"))
    with pytest.raises(UnknownIOError, match=r"'text' has no output 'wrods' \(did you mean 'words'\?\)"):
        check(Graph(nodes, (Edge("words", "text", "wrods", "count", "words"),)))
    with pytest.raises(UnknownIOError, match=r"'cuont', which the flow lacks \(did you mean 'count'\?\)"):
        check(Graph(nodes, (Edge("words", "text", "words", "cuont", "words"),)))


def test_all_problems_come_at_once_one_a_line() -> None:
    """Several problems are one error that lists and holds them all."""
    graph = by_port(
        [
            worker("a", "x", "y"),
            worker("a", "q", "r"),
            worker("b", "y", "x w"),
            worker("c", "v", "w"),
            worker("~d", "w"),
        ]
    )
    with pytest.raises(UnresolvedFlowError, match="the flow has 4 problems") as caught:
        check(graph)
    kinds = [type(problem) for problem in caught.value.problems]
    assert kinds == [InvalidNameError, DuplicateProcessorError, DuplicateIOError, CyclicFlowError]
    assert str(caught.value).count("\n") == 4
    assert all(isinstance(problem, GraphError) for problem in problems(graph))


def test_a_good_graph_has_no_problems() -> None:
    """Fan-out, fan-in, sources and sinks are all fine."""
    flow = [
        worker("src", "", "a"),
        worker("l", "a", "b"),
        worker("r", "a", "c"),
        worker("join", "b c p"),
        worker("end", "c"),
    ]
    assert problems(by_port(flow)) == ()
    check(by_port(flow))


def test_a_misspelt_stream_is_hinted_at() -> None:
    """Read by nobody and written by nobody, with names that are close: likely one stream."""
    graph = by_port([worker("tokenise", "text", "tokens"), worker("count", "tokns", "total")])
    assert hints(graph) == ("nobody writes 'tokns', which 'count' reads (did you mean 'tokens'?)",)
    assert suggest("zebra", ["tokens"]) == ""
    assert hints(by_port([worker("a", "x", "y"), worker("b", "y", "z")])) == ()
