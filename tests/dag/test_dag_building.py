"""Building a dag: what a node takes, what is refused before anything runs, and what the errors say."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from datagraph import (
    CyclicFlowError,
    DatagraphError,
    DuplicateProcessorError,
    GraphError,
    InvalidNameError,
    MismatchedIOError,
    Retry,
    SignatureError,
)
from datagraph.dag import ExecutionResult, TaskManager, TaskNode, build_dag


async def double(number: int) -> int:
    return 2 * number


async def add(left: int, right: int) -> int:
    return left + right


def shout(text: str) -> str:
    return text.upper()


def test_the_listed_names_are_there() -> None:
    """What the documents list can be imported from `datagraph.dag`."""
    from datagraph import dag

    assert {"TaskManager", "TaskNode", "ExecutionResult", "build_dag"} <= set(dag.__all__)
    for name in ("add_node", "add_immediate_node", "parameter_node", "sort", "invoke"):
        assert hasattr(TaskManager, name)
    assert hasattr(TaskNode, "extract_result")
    assert isinstance(TaskManager[None](), TaskManager)


def test_the_parameter_node_is_one_and_the_same() -> None:
    """However often it is asked for, there is one; after sort it is still there."""
    tm = TaskManager[int]()
    node = tm.parameter_node
    assert tm.parameter_node is node
    tm.sort()
    assert tm.parameter_node is node


def test_a_parameter_node_cannot_be_made_after_sort() -> None:
    """First touched after sort, it is refused with the documented words."""
    tm = TaskManager[int]()
    tm.sort()
    with pytest.raises(ValueError, match="'add_node' can not be called after 'sort'"):
        _ = tm.parameter_node


@pytest.mark.parametrize("what", ["add_node", "add_immediate_node", "sort", "options"])
def test_a_sorted_dag_cannot_be_changed(what: str) -> None:
    """Each call that would change it says so, as a ValueError."""
    tm = TaskManager[int]()
    node = tm.add_node(double, tm.parameter_node)
    tm.sort()
    calls = {
        "add_node": lambda: tm.add_node(double, 1),
        "add_immediate_node": lambda: tm.add_immediate_node(1),
        "sort": tm.sort,
        "options": lambda: node.options(retries=1),
    }
    with pytest.raises(ValueError, match=f"'{what}' can not be called after 'sort'"):
        calls[what]()


def test_a_node_of_another_dag_is_refused() -> None:
    """Also where it is deep inside a list."""
    one, other = TaskManager[int](name="one"), TaskManager[int](name="other")
    foreign = one.add_immediate_node(1)
    with pytest.raises(ValueError, match="of another dag, 'one'"):
        other.add_node(double, foreign)
    with pytest.raises(GraphError, match="of another dag, 'one'"):
        other.add_node(sum, [[1, {"a": foreign}]])
    with pytest.raises(GraphError, match="of another dag, 'one'"):
        other.add_node(double, 1).options(after=foreign)


async def _invoke_unsorted() -> None:
    await TaskManager[None]().invoke(None)


def test_an_unsorted_dag_cannot_be_invoked() -> None:
    """The error says what to do."""
    with pytest.raises(ValueError, match=r"not sorted: call sort\(\)"):
        anyio.run(_invoke_unsorted)
    with pytest.raises(GraphError, match="not sorted"):
        TaskManager[None]().start(None)


def test_build_dag_sorts_at_a_clean_exit_only() -> None:
    """An error in the block goes through, and leaves the dag unsorted."""
    with build_dag(int) as tm:
        tm.add_node(double, tm.parameter_node)
        assert not tm.sorted
    assert tm.sorted
    with pytest.raises(KeyError, match="mine"), build_dag() as broken:
        raise KeyError("mine")
    assert not broken.sorted


def test_a_wrong_number_of_arguments_is_found_when_built() -> None:
    """Too few, too many and unknown keywords; the message shows the signature and what was given."""
    tm = TaskManager[int]()
    with pytest.raises(
        SignatureError, match=r"add\(left, right\) cannot be called so: missing .*'right'.*1 by position"
    ):
        tm.add_node(add, 1)
    with pytest.raises(TypeError, match="too many positional arguments"):
        tm.add_node(add, 1, 2, 3)
    with pytest.raises(SignatureError, match="unexpected keyword argument 'by'"):
        tm.add_node(add, 1, 2, by=3)
    with pytest.raises(SignatureError, match="multiple values for argument 'left'"):
        tm.add_node(add, 1, left=2)


def test_a_value_that_cannot_fit_is_found_when_built() -> None:
    """What a node gives, the parameter, an immediate value and a constant are compared with the annotation."""
    tm = TaskManager[int](parameter_type=int)
    with pytest.raises(MismatchedIOError, match="node 'shout': 'text' is str, and is given int"):
        tm.add_node(shout, tm.add_node(double, 1))
    with pytest.raises(ValueError, match="'text' is str, and is given int"):
        tm.add_node(shout, tm.parameter_node)
    with pytest.raises(MismatchedIOError, match="'number' is int, and is given str"):
        tm.add_node(double, tm.add_immediate_node("x"))
    with pytest.raises(MismatchedIOError, match="'right' is int, and is given str"):
        tm.add_node(add, 1, right="x")


def test_what_may_fit_is_not_refused() -> None:
    """An int for a float, a part of a union, anything for Any, and names that nobody knows."""

    async def half(number: float) -> float | None:
        return number / 2

    async def shown(value: Any) -> str:
        return str(value)

    async def strange(value: Unknown) -> AlsoUnknown:  # noqa: F821 - it is about that
        return value

    with build_dag(int) as tm:
        halved = tm.add_node(half, tm.parameter_node)
        tm.add_node(double, halved)  # float | None for int: cannot be told
        tm.add_node(shout, tm.add_node(shown, halved))
        tm.add_node(strange, tm.add_node(strange, 1))
    assert tm.sorted


def test_a_ring_is_named() -> None:
    """Nodes that wait for each other by `after` are named in order, the first one twice."""
    tm = TaskManager[int]()
    first = tm.add_node(double, 1).options(name="first")
    second = tm.add_node(double, first).options(name="second")
    third = tm.add_node(double, second).options(name="third")
    first.options(after=third)
    with pytest.raises(CyclicFlowError, match="ring") as caught:
        tm.sort()
    assert set(caught.value.cycle) == {"first", "second", "third"}
    assert caught.value.cycle[0] == caught.value.cycle[-1]
    assert not tm.sorted


@pytest.mark.parametrize("task", [3, "text", None])
def test_what_cannot_be_called_is_refused(task: Any) -> None:
    """A node takes a function."""
    with pytest.raises(SignatureError, match="takes a function"):
        TaskManager[None]().add_node(task)


def test_a_generator_is_refused() -> None:
    """A node gives one value; the message says what to use instead."""

    async def many() -> AsyncIterator[int]:
        yield 1

    def several() -> Any:
        yield 1

    for task in (many, several):
        with pytest.raises(SignatureError, match=r"is a generator, and a node gives one value.*datagraph\.Flow"):
            TaskManager[None]().add_node(task)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"timeout": 0}, "timeout is a number of seconds above 0; got 0"),
        ({"timeout": True}, "timeout is a number"),
        ({"limit": 0}, "limit is a number of calls at once, at least 1"),
        ({"limit": 1.5}, "CapacityLimiter"),
        ({"retries": -1}, "retries is a number or a Retry"),
        ({"retries": "2"}, "retries is a number or a Retry"),
        ({"where": "moon"}, "where is 'loop' or 'thread'; got 'moon'"),
        ({"where": "thread"}, "is a coroutine function, which runs in the loop"),
        ({"name": "a\nb"}, "name"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    """Each says what it takes and what it got, as a GraphError."""
    with pytest.raises(GraphError, match=message):
        TaskManager[None]().add_node(double, 1).options(**options)


def test_options_are_for_nodes_that_are_called() -> None:
    """A constant and the parameter have none."""
    tm = TaskManager[int]()
    for node in (tm.parameter_node, tm.add_immediate_node(1)):
        with pytest.raises(GraphError, match="is not called, so that it has no options"):
            node.options(retries=1)


def test_options_left_out_stay_as_they_are() -> None:
    """They can be said one after the other."""
    node = TaskManager[None]().add_node(double, 1).options(retries=Retry(3, on=(OSError,)))
    node.options(timeout=2).options(name="twice")
    assert (node.name, node._options.timeout, node._options.retry.attempts) == ("twice", 2, 3)


def test_names_are_unique_and_say_what_runs() -> None:
    """A function's name, numbered where it is taken; one that was given stands, two of them are refused."""
    with build_dag(int) as tm:
        nodes = [tm.add_node(double, tm.parameter_node) for _ in range(3)]
        nodes.append(tm.add_node(double, 1).options(name="double-2"))
        nodes.append(tm.add_node(functools.partial(add, right=1), 1))
        nodes.append(tm.add_node(lambda: 1))
        nodes.append(tm.add_node(str, 1))
    names = [node.name for node in nodes]
    assert names == ["double", "double-3", "double-4", "double-2", "add", "<lambda>", "str"]
    assert len(set(names)) == len(names)
    again = TaskManager[None]()
    again.add_node(double, 1).options(name="same")
    again.add_node(double, 1).options(name="same")
    with pytest.raises(DuplicateProcessorError, match="two nodes are called 'same'"):
        again.sort()


def test_names_and_limits_of_a_dag_are_checked() -> None:
    """A name that cannot be shown and a limit of nothing are refused."""
    with pytest.raises(InvalidNameError):
        TaskManager[None](name="")
    for limit in (0, True, "2"):
        with pytest.raises(GraphError, match="at least 1"):
            TaskManager[None](limit=limit)  # type: ignore[arg-type]


def test_reprs_are_short_and_the_same_every_time() -> None:
    """They name, and have no address in them."""
    with build_dag(int, name="sums") as tm:
        node = tm.add_node(double, tm.parameter_node)
    result = anyio.run(tm.invoke, 1)
    assert repr(tm) == "TaskManager('sums', 2 nodes)"
    assert repr(node) == "TaskNode('double')"
    assert repr(result) == "ExecutionResult('sums', completed, 2 of 2)"
    assert isinstance(result, ExecutionResult)
    assert issubclass(SignatureError, DatagraphError)
