"""A dag, or a plain async function, as a processor of a flow, and as a node of another dag."""

from __future__ import annotations

import inspect

import anyio
import anyio.lowlevel
import pytest

import datagraph as dg
from datagraph import GraphError, ProcessorError, RunFailedError, Supervisor
from datagraph.dag import TaskManager, build_dag


async def lower(text: str) -> str:
    await anyio.lowlevel.checkpoint()
    return text.lower()


def count(text: str) -> int:
    return len(text.split())


async def first_letters(text: str) -> str:
    return "".join(word[0] for word in text.split())


async def report(words: int, letters: str) -> dict[str, object]:
    return {"words": words, "letters": letters}


def measures() -> TaskManager[str]:
    with build_dag(str, name="measures") as tm:
        lowered = tm.add_node(lower, tm.parameter_node)
        tm.add_node(report, tm.add_node(count, lowered), tm.add_node(first_letters, lowered))
    return tm


TEXTS = ["Alpha Beta", "gamma", "Delta EPSILON zeta"]
REPORTS = [
    {"words": 2, "letters": "ab"},
    {"words": 1, "letters": "g"},
    {"words": 3, "letters": "dez"},
]


def test_a_dag_is_a_processor_of_a_flow(supervisor: Supervisor) -> None:
    """One invocation a value, over each store and event loop, in order with several at once; then a next processor."""
    measured = dg.processor(measures().as_function(name="measured", parameter="text"))

    @dg.processor
    def words(measured: dict[str, object]) -> object:
        return measured["words"]

    assert dg.Flow(measured).run({"text": TEXTS}) == {"measured": REPORTS}
    wide = dg.processor(measures().as_function(name="measured", parameter="text"), concurrency=8)
    found = dg.Flow(wide, words).run({"text": TEXTS * 40})
    assert found == {"words": [2, 1, 3] * 40}


def test_a_plain_async_function_is_a_processor_of_a_flow(supervisor: Supervisor) -> None:
    """It needs nothing but the decorator, and is the same function as in a dag."""
    assert dg.Flow(dg.processor(lower)).run({"text": TEXTS}) == {"lower": [text.lower() for text in TEXTS]}
    with build_dag(str) as tm:
        node = tm.add_node(lower, tm.parameter_node)
    assert node.extract_result(anyio.run(tm.invoke, "A")) == "a"


def test_the_flow_knows_what_the_dag_takes_and_gives() -> None:
    """Its annotations: a flow that gives it something else is refused before it runs."""
    tm = measures()
    function = tm.as_function(name="measured", parameter="text")
    signature = inspect.signature(function)
    assert str(signature) == "(text: str) -> dict[str, object]"
    assert function.__doc__ == "The dag 'measures': report."

    @dg.processor
    def text(n: int) -> int:
        return n

    problems = dg.Flow(text, dg.processor(function)).problems
    assert [type(problem).__name__ for problem in problems] == ["MismatchedIOError"]


def test_several_nodes_give_a_tuple(in_memory: Supervisor) -> None:
    """In the order in which they were asked for."""
    with build_dag(str) as tm:
        words, letters = tm.add_node(count, tm.parameter_node), tm.add_node(first_letters, tm.parameter_node)
    both = dg.processor(tm.as_function(words, letters, name="both", parameter="text"))
    assert dg.Flow(both).run({"text": ["a b"]}) == {"both": [(2, "ab")]}


def test_an_error_in_the_dag_is_the_processors_error(in_memory: Supervisor) -> None:
    """Of the type that the node raised, with a note that names the node; a dead letter where that is asked for."""

    async def picky(text: str) -> str:
        if text == "bad":
            raise KeyError(text)
        return text

    with build_dag(str, name="inner") as tm:
        tm.add_node(picky, tm.parameter_node)
    with pytest.raises(KeyError) as caught:
        dg.Flow(dg.processor(tm.as_function(name="out", parameter="text"))).run({"text": ["good", "bad"]})
    assert isinstance(caught.value, ProcessorError)
    assert caught.value.node == "out"
    assert caught.value.__cause__ is not None
    assert "in node 'picky' of 'inner'" in caught.value.__cause__.__notes__[0]
    made = dg.processor(tm.as_function(name="out", parameter="text"), on_error="dead_letter")
    run = dg.Flow(made).start({"text": ["good", "bad", "fine"]}).join()
    assert run["out"].to_list() == ["good", "fine"]
    assert [letter.value for letter in run.dead_letters("out")] == ["bad"]


@pytest.mark.anyio
async def test_a_dag_is_a_node_of_another_dag() -> None:
    """By its function; several failures inside come out as the group that they are."""
    inner = measures()
    with build_dag(str, name="outer") as tm:
        node = tm.add_node(inner.as_function(), tm.add_node(lower, tm.parameter_node))
    assert (await tm.invoke("A B"))[node] == {"words": 2, "letters": "ab"}

    async def fail(text: str) -> None:
        raise ValueError(text)

    with build_dag(str, name="twice") as broken:
        for _ in range(2):
            broken.add_node(fail, broken.parameter_node)
    with build_dag(str) as around:
        around.add_node(broken.as_function(), "x")
    with pytest.raises(RunFailedError) as caught:
        await around.invoke("y")
    (error,) = caught.value.exceptions
    assert isinstance(error, ValueError | RunFailedError)
    assert not [leaf for leaf in leaves(caught.value) if not isinstance(leaf, ValueError)]


def leaves(error: BaseException) -> list[BaseException]:
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in leaves(inner)]


def test_what_cannot_be_a_function_says_why() -> None:
    """Unsorted, of another dag, or with a parameter that is no name."""
    tm = TaskManager[str]()
    node = tm.add_node(lower, tm.parameter_node)
    with pytest.raises(GraphError, match="is not sorted"):
        tm.as_function()
    tm.sort()
    with pytest.raises(GraphError, match="parameter is the name"):
        tm.as_function(parameter="class")
    with pytest.raises(GraphError, match="of another dag"):
        measures().as_function(node)
    empty = TaskManager[str]()
    empty.sort()
    with pytest.raises(GraphError, match="has no nodes"):
        empty.as_function()
