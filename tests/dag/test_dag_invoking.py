"""Running a dag: what nodes are called with, when they start, and where they run."""

from __future__ import annotations

import contextvars
import functools
import threading
from collections import OrderedDict, namedtuple
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import sniffio

from datagraph.dag import build_dag

pytestmark = pytest.mark.anyio


async def double(number: int) -> int:
    return 2 * number


async def add(left: int, right: int) -> int:
    return left + right


async def same(value: Any) -> Any:
    return value


async def test_values_come_out_of_the_nodes() -> None:
    """The seed's example: build, invoke, extract; the parameter, a constant and an immediate value go in."""
    with build_dag(int) as tm:
        ten = tm.add_immediate_node(10)
        twice = tm.add_node(double, tm.parameter_node)
        total = tm.add_node(add, twice, ten)
        more = tm.add_node(add, total, 1)
    result = await tm.invoke(4)
    assert [node.extract_result(result) for node in (tm.parameter_node, ten, twice, total, more)] == [4, 10, 8, 18, 19]
    assert result[more] == 19
    assert more in result
    assert len(result) == 5
    assert result.to_dict() == {"in:immediate": 10, "in:parameter": 4, "double": 8, "add": 18, "add-2": 19}
    assert result.status == "completed"


async def test_a_dag_without_nodes_runs() -> None:
    """It gives nothing."""
    with build_dag() as tm:
        pass
    assert len(await tm.invoke(None)) == 0


async def test_a_node_starts_the_moment_its_inputs_exist() -> None:
    """Two branches of unequal depth: the second step of one runs while the first step of the other is at work."""
    reached = anyio.Event()

    async def slow() -> str:
        await reached.wait()  # by levels this would wait for ever
        return "slow"

    async def quick() -> int:
        return 1

    async def arrive(_: int) -> None:
        reached.set()

    with build_dag() as tm:
        branch = tm.add_node(slow)
        tm.add_node(arrive, tm.add_node(double, tm.add_node(quick)))
    with anyio.fail_after(5):
        assert (await tm.invoke(None))[branch] == "slow"


async def test_all_that_is_ready_is_at_work_at_once() -> None:
    """A hundred nodes that wait for each other in their functions all begin."""
    begun = 0
    all_begun = anyio.Event()

    async def meet(_: int) -> None:
        nonlocal begun
        begun += 1
        if begun == 100:
            all_begun.set()
        await all_begun.wait()

    with build_dag(int) as tm:
        for _ in range(100):
            tm.add_node(meet, tm.parameter_node)
    with anyio.fail_after(5):
        await tm.invoke(0)


async def test_a_node_that_keeps_the_loop_keeps_nobody_else_for_long() -> None:
    """Two thousand nodes in a row that wait for nothing: another task of the loop has its turns between them."""
    turns = 0

    def spin(number: int) -> int:
        return sum(range(2000)) * 0 + number + 1

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    with build_dag(int) as tm:
        node = tm.parameter_node
        for _ in range(2000):
            node = tm.add_node(spin, node).options(where="loop")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        assert (await tm.invoke(0))[node] == 2000
        tasks.cancel_scope.cancel()
    assert turns > 2


async def test_the_same_node_twice_as_an_argument() -> None:
    """It runs once, and its value is given twice; also where the node is fed by a diamond."""
    calls = []

    async def once(number: int) -> int:
        calls.append(number)
        return number

    with build_dag(int) as tm:
        node = tm.add_node(once, tm.parameter_node)
        total = tm.add_node(add, node, node)
        diamond = tm.add_node(add, tm.add_node(double, node), tm.add_node(double, node))
        all_of_it = tm.add_node(same, [node, total, diamond, node])
    assert (await tm.invoke(3))[all_of_it] == [3, 6, 12, 3]
    assert calls == [3]


Point = namedtuple("Point", "x y")  # noqa: PYI024 - the plain kind is in use, too


class Bag(list):  # type: ignore[type-arg]
    """A list of the user's."""


async def test_nodes_inside_containers() -> None:
    """Lists, tuples, named tuples, sets and dicts, at any depth, as values and as keys; their types stay."""
    with build_dag(int) as tm:
        p = tm.parameter_node
        given = {
            "list": [p, [p, 1]],
            "tuple": (p, (p,)),
            "named": Point(p, 2),
            "set": {p, 7},
            "frozen": frozenset({p}),
            p: "key",
            "ordered": OrderedDict([("b", p), ("a", 0)]),
            "bag": Bag([p]),
            "plain": [1, 2],
        }
        node = tm.add_node(same, given)
    found = (await tm.invoke(5))[node]
    assert found == {
        "list": [5, [5, 1]],
        "tuple": (5, (5,)),
        "named": Point(5, 2),
        "set": {5, 7},
        "frozen": frozenset({5}),
        5: "key",
        "ordered": OrderedDict([("b", 5), ("a", 0)]),
        "bag": [5],
        "plain": [1, 2],
    }
    assert [type(found[key]).__name__ for key in ("named", "ordered", "bag")] == ["Point", "OrderedDict", "Bag"]


async def test_a_container_without_nodes_is_passed_on_as_it_is() -> None:
    """The very object, even one that holds itself."""
    ring: list[Any] = []
    ring.append(ring)
    with build_dag() as tm:
        node = tm.add_node(same, ring)
    assert (await tm.invoke(None))[node] is ring


async def test_containers_are_made_anew_for_every_invocation() -> None:
    """What one run does to its list, the next one does not see."""

    async def grow(numbers: list[int]) -> list[int]:
        numbers.append(0)
        return numbers

    with build_dag(int) as tm:
        node = tm.add_node(grow, [tm.parameter_node])
    assert [(await tm.invoke(n))[node] for n in (1, 2)] == [[1, 0], [2, 0]]


async def test_keyword_arguments() -> None:
    """Nodes, values and containers by keyword; names that our own options have are the function's."""

    async def described(value: int, *, name: str, limit: int = 0, retries: Any = None) -> tuple[Any, ...]:
        return value, name, limit, retries

    with build_dag(int) as tm:
        node = tm.add_node(described, tm.parameter_node, name="x", limit=tm.parameter_node, retries=[tm.parameter_node])
        swapped = tm.add_node(add, right=tm.add_node(double, 1), left=tm.parameter_node)
    result = await tm.invoke(3)
    assert result[node] == (3, "x", 3, [3])
    assert result[swapped] == 5


async def test_any_number_of_arguments() -> None:
    """Forty by position, and a function of ``*args``."""

    async def total(*numbers: int) -> int:
        return sum(numbers)

    with build_dag(int) as tm:
        nodes = [tm.add_node(add, tm.parameter_node, i) for i in range(40)]
        node = tm.add_node(total, *nodes)
    assert (await tm.invoke(1))[node] == sum(range(1, 41))


async def test_plain_functions_run_in_threads_side_by_side() -> None:
    """Two of them meet at a barrier, neither in the loop's thread; the loop goes on meanwhile."""
    barrier = threading.Barrier(2, timeout=5)

    def meet(_: int) -> int:
        barrier.wait()
        return threading.get_ident()

    with build_dag(int) as tm:
        nodes = [tm.add_node(meet, tm.parameter_node) for _ in range(2)]
    result = await tm.invoke(0)
    threads = {result[node] for node in nodes}
    assert len(threads) == 2
    assert threading.get_ident() not in threads


async def test_where_loop_calls_a_plain_function_in_the_loop() -> None:
    """For those that are too quick for a thread."""
    with build_dag() as tm:
        node = tm.add_node(threading.get_ident).options(where="loop")
    assert (await tm.invoke(None))[node] == threading.get_ident()


async def test_every_kind_of_callable() -> None:
    """Methods, partials, classes, callable objects, lambdas, builtins, and a plain function that gives a coroutine."""

    class Scale:
        def __init__(self, by: int) -> None:
            self.by = by

        async def times(self, number: int) -> int:
            return self.by * number

        async def __call__(self, number: int) -> int:
            return self.by + number

    with build_dag(int) as tm:
        p = tm.parameter_node
        nodes = [
            tm.add_node(Scale(3).times, p),
            tm.add_node(Scale(3), p),
            tm.add_node(functools.partial(add, right=5), p),
            tm.add_node(str, p),
            tm.add_node(lambda number: number * 10, p),
            tm.add_node(lambda number: double(number), p),
            tm.add_node(lambda number: double(number), p).options(where="loop"),
            tm.add_node(max, [p, 9]),
        ]
    result = await tm.invoke(2)
    assert [result[node] for node in nodes] == [6, 5, 7, "2", 20, 4, 4, 9]


async def test_it_runs_in_the_event_loop_of_the_caller(anyio_backend: str) -> None:
    """Coroutine functions are in the caller's loop and thread; asyncio and trio."""

    async def where() -> tuple[str, int]:
        await anyio.lowlevel.checkpoint()
        return sniffio.current_async_library(), threading.get_ident()

    with build_dag() as tm:
        node = tm.add_node(where)
    assert (await tm.invoke(None))[node] == (anyio_backend, threading.get_ident())


async def test_many_invocations_at_once_are_independent() -> None:
    """A hundred at a time, each with its own values, interleaved."""

    async def later(number: int) -> int:
        await anyio.sleep(0.001 * (number % 3))
        return number

    with build_dag(int) as tm:
        a = tm.add_node(later, tm.parameter_node)
        b = tm.add_node(add, a, tm.add_node(later, a))
    found: dict[int, int] = {}

    async def one(number: int) -> None:
        found[number] = (await tm.invoke(number))[b]

    async with anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(one, number)
    assert found == {number: 2 * number for number in range(100)}


async def test_a_result_belongs_to_its_dag() -> None:
    """A node of another dag finds nothing in it."""
    with build_dag() as one:
        node = one.add_node(double, 1)
    with build_dag() as other:
        other.add_node(double, 1)
    result = await other.invoke(None)
    with pytest.raises(ValueError, match="of another dag"):
        node.extract_result(result)
    assert node not in result


async def test_a_node_may_wait_for_one_whose_value_it_does_not_take() -> None:
    """`after` orders them."""
    seen = []

    async def note(what: str) -> None:
        await anyio.sleep(0.01 if what == "first" else 0)
        seen.append(what)

    with build_dag() as tm:
        second = tm.add_node(note, "second")
        first = tm.add_node(note, "first")
        second.options(after=[first])
    await tm.invoke(None)
    assert seen == ["first", "second"]


current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="none")


async def test_what_a_node_sets_in_its_context_no_other_node_sees() -> None:
    """Context variables are the invoker's in every node, as if each had a task of its own."""

    async def sets(number: int) -> str:
        before = current.get()
        current.set(f"set by {number}")
        return before

    async def reads(*_: str) -> str:
        return current.get()

    with build_dag() as tm:
        setters = [tm.add_node(sets, number) for number in range(5)]
        reader = tm.add_node(reads, *setters)
    token = current.set("the invoker's")
    result = await tm.invoke(None)
    current.reset(token)
    assert {result[node] for node in (*setters, reader)} == {"the invoker's"}


async def test_a_limit_of_the_dag_holds_for_all_its_nodes() -> None:
    """Nodes at work at once, of one invocation."""
    at_work = most = 0

    async def work(_: Any) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await anyio.sleep(0.001)
        at_work -= 1

    with build_dag(int, limit=3) as tm:
        for _ in range(4):
            node = tm.add_node(work, tm.parameter_node)
            for _ in range(4):
                tm.add_node(work, node)
    await tm.invoke(0)
    assert most == 3


async def test_a_limit_of_a_node_holds_over_all_invocations() -> None:
    """Two calls of it at once, however many invocations are under way."""
    at_work = most = 0

    async def work(number: int) -> int:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await anyio.sleep(0.002)
        at_work -= 1
        return number

    with build_dag(int) as tm:
        node = tm.add_node(work, tm.parameter_node).options(limit=2)
    async with anyio.create_task_group() as tasks:
        for number in range(9):
            tasks.start_soon(tm.invoke, number)
    assert most == 2
    assert node.name == "work"


async def test_several_nodes_may_share_a_limit() -> None:
    """An async context manager, such as a limiter of anyio's, is held during each attempt."""
    limiter = anyio.CapacityLimiter(1)
    at_work = most = 0

    async def work(_: int) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await anyio.sleep(0.001)
        at_work -= 1

    with build_dag(int) as tm:
        for _ in range(5):
            tm.add_node(work, tm.parameter_node).options(limit=limiter)
    await tm.invoke(0)
    assert most == 1


async def test_a_long_chain_and_a_wide_fan_need_no_stack() -> None:
    """Five thousand nodes in a row, and as many side by side."""
    with build_dag(int) as tm:
        node = tm.parameter_node
        for _ in range(5000):
            node = tm.add_node(add, node, 1)
        wide = tm.add_node(sum, [tm.add_node(add, tm.parameter_node, i) for i in range(5000)])
    result = await tm.invoke(0)
    assert (result[node], result[wide]) == (5000, sum(range(5000)))
