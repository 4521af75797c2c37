"""Edits: what each makes of a graph, and every reason why one is refused."""

from __future__ import annotations

from typing import Any

import pytest

from datagraph.graph.change import Change, Handover, Rewired, Tuned, compare
from datagraph.graph.edit import Connect, Disconnect, Drop, Edit, Insert, Move, Swap, Tune
from datagraph.graph.model import Graph, Node, Port
from datagraph.graph.rewiring import becoming, changed
from datagraph.graph.wiring import by_port


def worker(name: str, reads: str = "", writes: str = "", **attrs: Any) -> Node:
    """A processor; streams are given as words, each with a type after a colon if it has one."""
    inputs, outputs = (tuple(Port(*word.split(":")) for word in words.split()) for words in (reads, writes))
    return Node(name, inputs=inputs, outputs=outputs, attrs=attrs)


FLOW = by_port(
    [
        worker("load", "path", "text"),
        worker("split", "text", "words", settings=["least"], capacity=50),
        worker("count", "words", "count"),
        worker("report", "words count", "report", wait=True),
    ],
    name="wordcount",
)
CLEAN = worker("clean", "words", "cleaned")


def lines(change: Change) -> tuple[str, ...]:
    """What a change says, where it can be made."""
    assert change.problems == ()
    return change.lines()


def refusal(*edits: Edit, graph: Graph = FLOW) -> str:
    """The one reason against these edits."""
    (problem,) = changed(graph, edits).problems
    return problem


def edge_names(graph: Graph) -> set[str]:
    return {edge.name for edge in graph.edges}


def test_a_moved_source_is_another_stream_for_one_input() -> None:
    """Nothing else reads anything else, and the edge keeps its capacity."""
    change = changed(FLOW, Move("text->split.text", source="path"))
    assert change.rewired == (Rewired("split", "text", "text", "path"),)
    assert lines(change) == ("`split` reads `path` instead of `text`", "nobody reads `text` any more")
    assert edge_names(change.after) - edge_names(FLOW) == {"path->split.text", "text->out:text.text"}
    assert [edge.capacity for edge in change.after.into("split")] == [50]
    assert change.after.node("split").inputs == (Port("text", stream="path"),)
    assert change.handovers == ()


def test_a_moved_target_takes_the_edge_over_where_the_old_reader_was() -> None:
    """The old reader goes in the same change; by the node's name alone, if it has one input."""
    graph = by_port([*FLOW.processors(), worker("tally", "path", "sum")])
    change = changed(graph, [Drop("report"), Move("words->count.words", target="tally"), Disconnect("count")])
    assert change.rewired == (Rewired("tally", "path", "path", "words"),)
    assert change.handovers == (Handover("tally", "path", "count", "words"),)  # not of report, which reads it no more
    change = changed(
        graph, [Move("words->count.words", target="tally.path"), Move("words->count.words", source="text")]
    )
    assert change.handovers == (Handover("tally", "path", "count", "words"),)
    assert lines(change) == ("`count` reads `text` instead of `words`", "`tally` reads `words` instead of `path`")


def test_a_reader_whose_edge_was_taken_must_get_another_or_go() -> None:
    """Alone the move is refused; with another stream, or without the node, it is not."""
    move = Move("words->count.words", target="report.count")
    assert refusal(move).startswith("`count` would be left without its input 'words'")
    assert changed(FLOW, [move, Drop("count")]).problems == ()
    assert changed(FLOW, [move, Insert(CLEAN, "words->count.words")]).problems == ()
    assert changed(FLOW, [move, Move("words->count.words", source="text")]).problems == ()
    assert "would be left" in refusal(move, Drop("split"))
    graph = by_port([*FLOW.processors(), worker("tally", "path", "sum")])
    there = [Move("words->count.words", target="tally"), Move("words->tally.path", target="count.words")]
    assert refusal(*there, graph=graph).startswith("`tally` would be left without its input 'path'")
    anew = [move, Drop("count"), Connect(worker("count", "words", "count"))]
    assert changed(FLOW, anew).problems == ()


def test_what_is_inserted_stands_where_its_reader_stood() -> None:
    """It reads on where that one was, which reads its output from the first value on."""
    change = changed(FLOW, Insert(CLEAN, "words->count.words"))
    assert lines(change) == ("new: `clean` (words -> cleaned)", "`count` reads `cleaned` instead of `words`")
    assert change.handovers == (Handover("clean", "words", "count", "words"),)
    assert change.added == (change.after.node("clean"),)
    assert {"words->clean.words", "cleaned->count.words", "words->report.words"} <= edge_names(change.after)


def test_an_edge_keeps_its_capacity_and_a_new_one_gets_what_is_said() -> None:
    """The run's own bound stays where it was, whoever writes the stream now."""
    graph = by_port(FLOW.processors(), capacity=7)
    change = changed(graph, Insert(CLEAN, "words->count.words"), capacity=9)
    bounds = {edge.name: edge.capacity for edge in change.after.edges if edge.target in ("clean", "count", "load")}
    assert bounds == {"words->clean.words": 9, "cleaned->count.words": 7, "path->load.path": 7}
    assert change.tuned == ()


def test_a_port_of_another_name_reads_the_edge_it_is_inserted_into() -> None:
    """What counts is the edge, not what the port of the new one is called."""
    change = changed(FLOW, Insert(worker("strip", "line", "stripped"), "path->load.path"))
    assert lines(change)[1] == "`load` reads `stripped` instead of `path`"
    assert "path->strip.line" in edge_names(change.after)


def test_an_insert_before_the_end_makes_the_flow_longer() -> None:
    """Who reads the stream by its name goes on reading it; the new one's output can be read as well."""
    change = changed(FLOW, Insert(worker("mail", "report", "sent"), "report->out:report.report"))
    assert lines(change) == ("new: `mail` (report -> sent)",)
    assert [node.name for node in change.after][-2:] == ["mail", "out:sent"]


def test_an_insert_and_a_drop_leave_everything_as_it_was() -> None:
    """Also the capacities and the order."""
    there = changed(FLOW, Insert(CLEAN, "words->count.words")).after
    assert changed(there, Drop("clean")).after == FLOW
    assert changed(FLOW, []).after == FLOW
    assert changed(FLOW, []).is_empty
    assert str(changed(FLOW, [])) == "nothing changes"


def test_who_reads_what_a_dropped_node_wrote_reads_what_it_read() -> None:
    """All of its readers, from where it was."""
    change = changed(FLOW, Drop("split"))
    assert lines(change) == (
        "dropped: `split` (text -> words)",
        "`count` reads `text` instead of `words`",
        "`report.words` reads `text` instead of `words`",
    )
    assert change.handovers == (
        Handover("count", "words", "split", "text"),
        Handover("report", "words", "split", "text"),
    )


def test_a_dropped_node_that_nobody_reads_is_gone_with_its_outputs() -> None:
    """However many inputs it had."""
    change = changed(FLOW, Drop("report"))
    assert lines(change) == ("dropped: `report` (words, count -> report)", "nobody reads `count` any more")
    assert [node.name for node in change.after if node.kind == "output"] == ["out:count"]


def test_what_waits_before_a_dropped_node_must_have_a_way_to_go() -> None:
    """Two neighbours at once, or a node that was moved away first, would leave values behind; one by one they go."""
    assert refusal(Drop("count"), Drop("split")) == (
        "`count` cannot be dropped together with `split`: what waits between them would be lost; drop one, then the other"
    )
    assert "cannot be dropped together with `split`" in refusal(Drop("split"), Drop("count"))
    assert refusal(Move("words->count.words", source="text"), Drop("count")).startswith(
        "`count` cannot be moved and dropped at once: what waits for it in 'words'"
    )
    assert changed(changed(FLOW, Drop("split")).after, Drop("count")).problems == ()
    assert changed(FLOW, [Drop("report"), Drop("count"), Drop("split")]).problems == ()
    twice = changed(FLOW, [Insert(CLEAN, "words->count.words"), Insert(worker("trim", "x", "t"), "words->clean.words")])
    assert (twice.problems, twice.stranded) == ((), ())
    assert compare(twice.after, FLOW).stranded == (("clean", "t"),)


def test_whose_place_is_taken_is_told_of_several_that_leave_a_stream() -> None:
    """Who is inserted before one of them takes that one's; a new branch begins by itself, or where it replaces one."""
    other = worker("other", "words", "o")
    insert = [Insert(CLEAN, "words->count.words"), Insert(other, "words->report.words")]
    assert changed(FLOW, insert).handovers == (
        Handover("clean", "words", "count", "words"),
        Handover("other", "words", "report", "words"),
    )
    assert changed(FLOW, [Insert(CLEAN, "words->count.words"), Connect(other)]).handovers == (
        Handover("clean", "words", "count", "words"),
    )
    assert changed(FLOW, [Drop("report"), Connect(other)]).handovers == (Handover("other", "words", "report", "words"),)
    assert changed(FLOW, Connect(other)).handovers == ()
    chain: list[Edit] = [Insert(CLEAN, "words->count.words"), Insert(other, "words->clean.words")]
    assert changed(FLOW, chain).handovers == (Handover("other", "words", "count", "words"),)
    chain.append(Move("words->report.words", source="text"))
    assert changed(FLOW, chain).handovers == (Handover("other", "words", "count", "words"),)
    back = compare(changed(FLOW, insert[0]).after, FLOW)
    assert back.handovers == (Handover("count", "words", "clean", "words"),)


def test_a_node_between_several_streams_cannot_just_be_dropped() -> None:
    """What its readers would read instead is not clear."""
    graph = by_port([worker("join", "a b", "c"), worker("end", "c", "d")])
    assert refusal(Drop("join"), graph=graph) == (
        "`join` has 2 inputs and 1 output, so what `end` would read instead is not clear: "
        "move their edges first, or Disconnect it"
    )
    assert changed(graph, [Move("c->end.c", source="a"), Drop("join")]).problems == ()
    assert "has no inputs and 1 output" in refusal(Drop("a"), graph=by_port([worker("a", "", "x"), worker("b", "x")]))


def test_disconnect_takes_everything_with_it_that_only_this_node_feeds() -> None:
    """Through as many nodes as there are; one that also reads something else would be left without an input."""
    change = changed(FLOW, Disconnect("split"))
    assert [node.name for node in change.dropped] == ["split", "count", "report"]
    assert [node.name for node in change.after] == ["in:path", "load", "out:text"]
    assert refusal(Disconnect("count")).startswith("`report` would be left without its input 'count'")


def test_a_branch_is_connected_to_streams_of_the_run() -> None:
    """By the names of its inputs, or by those that are said."""
    change = changed(FLOW, Connect(CLEAN))
    assert lines(change) == ("new: `clean` (words -> cleaned)",)
    change = changed(FLOW, Connect(CLEAN, words="text"))
    assert lines(change) == ("new: `clean` (text -> cleaned)",)
    assert "text->clean.words" in edge_names(change.after)
    branch = [Connect(worker("last", "cleaned", "z")), Connect(CLEAN)]
    assert changed(FLOW, branch).problems == ()


def test_an_input_stays_one_when_nobody_reads_it_any_more() -> None:
    """What is given to the run is still given; it can be read by its name."""
    change = changed(FLOW, [Disconnect("load"), Connect(worker("tick", "", "ticks"))])
    assert [node.name for node in change.after] == ["in:path", "tick", "out:path", "out:ticks"]
    assert lines(change)[-1] == "nobody reads `path` any more"


def test_a_swap_keeps_name_streams_and_what_was_tuned() -> None:
    """The rest is the new function's."""
    graph = changed(FLOW, [Tune("split", concurrency=4, least=2), Move("text->split.text", source="path")]).after
    by = worker("tokens", "text:str", "words:str", settings=["least", "most"], rate=9.0, code_version="b")
    change = changed(graph, Swap("split", by))
    assert change.swapped == ("split",)
    assert change.fresh == ()
    node = change.after.node("split")
    assert node.inputs == (Port("text", "str", "path"),)
    assert (node.attrs["concurrency"], node.attrs["rate"]) == (4, 9.0)
    assert node.attrs["given"] == {"concurrency": 4, "least": 2}
    assert change.tuned == (Tuned("split", "capacity", 50, 4_000), Tuned("split", "rate", None, 9.0))


def test_a_swap_says_whether_the_state_stays_and_which_version_it_is() -> None:
    """A function with the same facts is still another one."""
    graph = by_port([worker("sum", "x", "y", version=1, code_version="a")])
    by = worker("sum", "x", "y", version=2, code_version="b")
    assert lines(changed(graph, Swap("sum", by))) == ("`sum`: another function (version 1 -> 2)",)
    assert lines(changed(graph, Swap("sum", by, fresh=True))) == (
        "`sum`: another function (version 1 -> 2), without the state",
    )
    same = changed(graph, Swap("sum", graph.node("sum"), fresh=True))
    assert (same.is_empty, same.swapped, same.fresh) == (False, ("sum",), ("sum",))


def test_the_same_code_from_another_place_is_no_other_function() -> None:
    """A cell that was run again, another process that counts its versions anew."""
    one = by_port([worker("sum", "x", "y", version=3, code_version="a", source="In [3]", doc="adds")])
    again = worker("sum", "x", "y", version=1, code_version="a", source="In [9]", doc="adds up")
    assert becoming(one, [again]).is_empty
    assert becoming(one, [worker("sum", "x", "y", version=1, code_version="b")]).swapped == ("sum",)


def test_a_swap_with_other_ports_says_what_differs() -> None:
    """Inputs and outputs both."""
    said = refusal(Swap("count", worker("tally", "word", "sum")))
    assert "`count` reads 'words', its new function 'word': give it the same inputs" in said
    assert "`count` writes 'count', its new function 'sum': say outputs=['count']" in said


@pytest.mark.parametrize(
    "edit, says",
    [
        (
            Move("words->cuont.words", source="text"),
            "no edge 'words->cuont.words' (did you mean 'words->count.words'?)",
        ),
        (Move("words->count.words", source="txt"), "the run has no stream 'txt' (did you mean 'text'?)"),
        (Move("words->count.words", source="load"), "the run has no stream 'load'; `load` writes 'text'"),
        (Move("words->count.words", source="words"), "`count` reads 'words' already"),
        (Move("words->count.words", target="report.words"), "`report` reads 'words' already"),
        (Move("words->count.words", target="report"), "the run has no input 'report'"),
        (Move("report->out:report.report", source="text"), "is read by its name"),
        (Move("text->split.text", source="count"), "a ring: `split` -> `count` -> `split` would wait for each other"),
        (Swap("cuont", CLEAN), "the run has no processor 'cuont' (did you mean 'count'?)"),
        (Drop("in:path"), "the run has no processor 'in:path'"),
        (Insert(worker("count", "words", "x"), "words->count.words"), "a processor `count` already"),
        (Insert(worker("two", "a b", "c"), "words->count.words"), "`two` has 2 inputs and 1 output"),
        (Connect(worker("again", "path", "text")), "'text' is written by 'load' and 'again'"),
        (Connect(worker("new", "wrods", "x")), "nobody writes or gives 'wrods', which `new` would read"),
        (Connect(worker("new", "", "path")), "'path' is written by 'in:path' and 'new'"),
        (Connect(worker("new", "text", "x"), txet="words"), "`new` has no input 'txet' (did you mean 'text'?)"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason_and_what_was_meant(edit: Edit, says: str) -> None:
    """One problem, one sentence."""
    assert says in refusal(edit)


def test_every_reason_comes_at_once() -> None:
    """The rest of a change with a bad edit is looked at, too, and the text says all of it."""
    change = changed(FLOW, [Drop("split"), Drop("x"), Tune("count", rate=-1), Move("words->report.words", source="zz")])
    assert len(change.problems) == 3
    assert str(change).count("\n- ") == 3
    assert "this cannot be done:" in str(change)


def test_a_type_that_does_not_fit_is_refused_on_new_edges_only() -> None:
    """Unknown types fit; what is joined already is not judged; another judge may be given."""
    graph = by_port([worker("a", "x", "n:int s:str"), worker("b", "n:float", "y"), worker("c", "s:str", "z")])
    assert changed(graph, Tune("b", rate=1)).problems == ()
    move = Move("n->b.n", source="s")
    assert refusal(move, graph=graph) == "`b` reads 'float' as 'n', but 's' holds 'str'"
    assert changed(graph, move, fits=lambda *ports: bool(ports)).problems == ()
    assert "'s' holds 'str'" in refusal(Swap("c", worker("d", "s:int", "z")), graph=graph)
    assert changed(graph, Swap("c", worker("d", "s:int", "z")), fits=lambda *ports: bool(ports)).problems == ()
    assert changed(graph, Move("n->b.n", source="x")).problems == ()


def test_a_run_becomes_another_flow() -> None:
    """Nodes are the same by name; what the run was given and tuned to stays."""
    tuned = changed(FLOW, Tune("count", rate=5.0)).after
    flow = [
        worker("load", "path", "text"),
        worker("split", "text", "words", settings=["least"], capacity=50),
        CLEAN,
        worker("count", "words", "count"),
    ]
    change = becoming(tuned, flow)
    assert lines(change) == (
        "new: `clean` (words -> cleaned)",
        "dropped: `report` (words, count -> report)",
        "nobody reads `count` any more",
    )
    assert change.after.node("count").attrs["rate"] == 5.0
    assert becoming(FLOW, list(FLOW.processors())).is_empty


def test_a_flow_that_the_run_cannot_become_is_refused() -> None:
    """Other ports under the same name, and an input that nobody gives."""
    change = becoming(FLOW, [worker("load", "url", "text"), worker("split", "text", "tokens")])
    assert [problem.partition(":")[0] for problem in change.problems] == [
        "nobody writes or gives 'url', which `load` would read",
        "`load` reads 'path', its new function 'url'",
        "`split` writes 'words', its new function 'tokens'",
    ]
