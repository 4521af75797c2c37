"""What goes wrong in a dag: siblings, partial results, retries, timeouts, cancellation, and what the errors say."""

from __future__ import annotations

import asyncio
import threading
import traceback
from typing import Any

import anyio
import pytest

from datagraph import DatagraphError, GraphError, Retry, RunCancelledError, RunError, RunFailedError
from datagraph.dag import build_dag

pytestmark = pytest.mark.anyio


async def double(number: int) -> int:
    return 2 * number


async def fail(number: int) -> int:
    raise ValueError(f"{number} is bad")


async def test_a_failure_cancels_the_siblings_and_keeps_what_there_is() -> None:
    """The one at work is cancelled and cleans up, what waits never begins, and the values are on the error."""
    cleaned = []

    async def sleeper(_: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.append("sleeper")

    with build_dag(int, name="work") as tm:
        good = tm.add_node(double, tm.parameter_node)
        asleep = tm.add_node(sleeper, good)
        bad = tm.add_node(fail, tm.add_node(double, good))
        never = tm.add_node(double, bad)
    with anyio.fail_after(5), pytest.raises(RunFailedError, match="a node of 'work' failed: 'fail'") as caught:
        await tm.invoke(3)
    error = caught.value
    assert cleaned == ["sleeper"]
    assert (error.nodes, str(error.exceptions[0])) == (("fail",), "12 is bad")
    assert error.partial.status == "failed"
    assert error.partial[good] == 6
    assert good in error.partial
    assert bad not in error.partial
    for node, why in (
        (bad, "'fail' has no value: it failed with ValueError"),
        (asleep, "it had not ended when the run did"),
        (never, "it waited for what 'fail' did not give"),
    ):
        with pytest.raises(RunError, match=why):
            node.extract_result(error.partial)


async def test_the_error_is_a_group_and_names_node_and_run() -> None:
    """``except*`` finds the kind; the note on it says where; the traceback leads into the user's function."""
    with build_dag(int, name="work") as tm:
        tm.add_node(fail, tm.parameter_node).options(name="check")
    found: list[BaseExceptionGroup[ValueError]] = []
    try:
        await tm.invoke(3)
    except* ValueError as group:
        found.append(group)
    assert isinstance(found[0], RunFailedError)
    assert found[0].nodes == ("check",)
    (error,) = found[0].exceptions
    (note,) = error.__notes__
    assert note.startswith("in node 'check' of 'work' (run dag-")
    assert traceback.extract_tb(error.__traceback__)[-1].name == "fail"
    assert issubclass(RunFailedError, DatagraphError)
    assert issubclass(RunFailedError, ExceptionGroup)


async def test_every_failure_is_in_the_group() -> None:
    """Those that fail at once, and one that fails while it is cancelled."""
    go = anyio.Event()

    async def fails_after(number: int) -> None:
        await go.wait()
        raise KeyError(number)

    async def fails_when_cancelled(_: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise OSError("the cleaning failed")

    async def opens(_: int) -> None:
        go.set()

    with build_dag(int) as tm:
        tm.add_node(fails_when_cancelled, tm.parameter_node)
        tm.add_node(fails_after, 1)
        tm.add_node(fails_after, 2)
        tm.add_node(opens, tm.parameter_node)
    with pytest.raises(RunFailedError) as caught:
        await tm.invoke(0)
    assert {type(error).__name__ for error in caught.value.exceptions} == {"KeyError", "OSError"}
    assert "fails_when_cancelled" in caught.value.nodes


async def test_one_invocation_that_fails_leaves_the_others_alone() -> None:
    """They share a dag, not a fate."""

    async def picky(number: int) -> int:
        await anyio.sleep(0.001)
        if number == 3:
            raise ValueError(number)
        return number

    with build_dag(int) as tm:
        node = tm.add_node(double, tm.add_node(picky, tm.parameter_node))
    outcomes: dict[int, Any] = {}

    async def one(number: int) -> None:
        try:
            outcomes[number] = (await tm.invoke(number))[node]
        except RunFailedError:
            outcomes[number] = "failed"

    async with anyio.create_task_group() as tasks:
        for number in range(6):
            tasks.start_soon(one, number)
    assert outcomes == {0: 0, 1: 2, 2: 4, 3: "failed", 4: 8, 5: 10}


async def test_retries_try_again_and_count() -> None:
    """Up to the number; the last error counts, and its note tells the attempt."""
    calls = {"shaky": 0, "hopeless": 0}

    async def shaky(number: int) -> int:
        calls["shaky"] += 1
        if calls["shaky"] < 3:
            raise OSError("not yet")
        return number

    def hopeless(_: int) -> None:
        calls["hopeless"] += 1
        raise OSError(f"attempt {calls['hopeless']}")

    quick = Retry(2, backoff=0.001)
    with build_dag(int) as tm:
        node = tm.add_node(shaky, tm.parameter_node).options(retries=quick)
    result = await tm.invoke(7)
    assert result[node] == 7
    assert result.snapshot().nodes["shaky"].retries == 2
    with build_dag(int) as tm:
        tm.add_node(hopeless, tm.parameter_node).options(retries=quick)
    with pytest.raises(RunFailedError) as caught:
        await tm.invoke(0)
    assert str(caught.value.exceptions[0]) == "attempt 3"
    assert "attempt 3)" in caught.value.exceptions[0].__notes__[0]


async def test_only_the_errors_named_are_tried_again() -> None:
    """``Retry(on=...)``."""
    calls = []

    async def wrong(number: int) -> None:
        calls.append(number)
        raise KeyError(number)

    with build_dag(int) as tm:
        tm.add_node(wrong, tm.parameter_node).options(retries=Retry(5, on=(OSError,), backoff=0.001))
    with pytest.raises(RunFailedError):
        await tm.invoke(1)
    assert calls == [1]


async def test_a_timeout_ends_an_attempt() -> None:
    """An async attempt is cancelled; the error says how long it had; the next attempt has its own time."""
    tries = []

    async def slow(number: int) -> int:
        tries.append(number)
        if len(tries) < 2:
            await anyio.sleep_forever()
        return number

    with build_dag(int) as tm:
        node = tm.add_node(slow, tm.parameter_node).options(timeout=0.02, retries=Retry(1, backoff=0.001))
    with anyio.fail_after(5):
        assert (await tm.invoke(4))[node] == 4
    with build_dag(int) as tm:
        tm.add_node(anyio.sleep, 60).options(timeout=0.02, name="nap")
    with anyio.fail_after(5), pytest.raises(RunFailedError) as caught:
        await tm.invoke(4)
    (error,) = caught.value.exceptions
    assert isinstance(error, TimeoutError)
    assert str(error) == "it took longer than 0.02 s"
    assert "in node 'nap'" in error.__notes__[0]


async def test_a_timeout_of_a_thread_says_that_it_goes_on() -> None:
    """A thread cannot be stopped: nobody waits for it, and the error says so."""
    go, ended = threading.Event(), threading.Event()

    def stuck() -> None:
        go.wait(10)
        ended.set()

    with build_dag() as tm:
        tm.add_node(stuck).options(timeout=0.02)
    with anyio.fail_after(5), pytest.raises(RunFailedError) as caught:
        await tm.invoke(None)
    assert "its thread cannot be stopped and goes on by itself" in str(caught.value.exceptions[0])
    go.set()
    assert ended.wait(5)


async def test_a_thread_does_not_hold_up_a_run_that_failed() -> None:
    """A sibling's failure ends the run at once; the node whose thread goes on is called abandoned."""
    go = threading.Event()

    def stuck() -> None:
        go.wait(10)

    async def bad() -> None:
        await anyio.sleep(0.01)
        raise ValueError

    with build_dag() as tm:
        tm.add_node(stuck)
        tm.add_node(bad)
    try:
        with anyio.fail_after(5), pytest.raises(RunFailedError) as caught:
            await tm.invoke(None)
        states = caught.value.partial.snapshot().nodes
        assert (states["stuck"].status, states["bad"].status) == ("abandoned", "failed")
    finally:
        go.set()


async def test_cancelling_the_invoker_cancels_the_nodes() -> None:
    """A cancelled scope around `invoke` reaches what is at work, and nothing runs on behind its back."""
    begun, cleaned = anyio.Event(), []

    async def work(number: int) -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            cleaned.append(number)

    with build_dag(int) as tm:
        for number in range(3):
            tm.add_node(tm_next, tm.add_node(work, number))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tm.invoke, 0)
            await begun.wait()
            tasks.cancel_scope.cancel()
    assert sorted(cleaned) == [0, 1, 2]


async def tm_next(_: None) -> None:
    raise AssertionError("it should never begin")


async def test_a_deadline_around_invoke_holds() -> None:
    """`anyio.move_on_after` and a nested dag."""
    with build_dag() as inner:
        inner.add_node(anyio.sleep_forever)
    with build_dag() as outer:
        outer.add_node(inner.invoke, None)
    with anyio.move_on_after(0.02) as scope:
        await outer.invoke(None)
    assert scope.cancelled_caught


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_asyncio_timeouts_and_tasks_work_around_and_inside() -> None:
    """`asyncio.timeout` around `invoke`, `asyncio.timeout` and `TaskGroup` in a node, and cancelling its task."""

    async def inside() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            pass
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(double(4))
        return f"{task.result()}"

    with build_dag() as tm:
        node = tm.add_node(inside)
        again = tm.add_node(inside).options(after=node)
    assert (await tm.invoke(None))[again] == "8"
    with build_dag() as tm:
        tm.add_node(asyncio.sleep, 60)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await tm.invoke(None)
    task = asyncio.create_task(tm.invoke(None))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_a_node_waited_for_was_cancelled_by_somebody_else() -> None:
    """That is a failure of the node, not the end of the whole program."""
    other = asyncio.get_running_loop().create_future()

    async def waits() -> None:
        await other

    with build_dag() as tm:
        tm.add_node(waits)
    asyncio.get_running_loop().call_later(0.01, other.cancel)
    with pytest.raises(RunFailedError) as caught:
        await tm.invoke(None)
    (error,) = caught.value.exceptions
    assert isinstance(error, RunCancelledError)
    assert "cancelled by somebody else" in str(error)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_node_that_cancels_its_own_task_cancels_the_run() -> None:
    """It ends as cancelled, with what there is, and does not hang."""

    async def gives_up(number: int) -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(60)
        return number

    with build_dag(int) as tm:
        good = tm.add_node(double, tm.parameter_node)
        tm.add_node(double, tm.add_node(gives_up, good))
    with anyio.fail_after(5), pytest.raises(RunCancelledError) as caught:
        await tm.invoke(1)
    assert caught.value.partial[good] == 2


async def test_what_is_no_exception_ends_everything() -> None:
    """A BaseException of a node leaves `invoke`, and what is at work is cancelled."""

    class Stop(BaseException):
        pass

    cleaned = []

    async def stops() -> None:
        await anyio.sleep(0.01)
        raise Stop

    async def sleeper() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            cleaned.append(1)

    with build_dag() as tm:
        tm.add_node(stops)
        tm.add_node(sleeper)
    with anyio.fail_after(5), pytest.raises((Stop, BaseExceptionGroup)) as caught:
        await tm.invoke(None)
    assert isinstance(caught.value, Stop) or caught.value.subgroup(Stop) is not None
    assert cleaned == [1]


async def test_a_failed_run_can_be_looked_at() -> None:
    """Its snapshot says who failed with what, who was cancelled, and who was not reached and why."""
    with build_dag() as tm:
        tm.add_node(anyio.sleep, 60).options(name="sleeper")
        bad = tm.add_node(fail, 1)
        tm.add_node(double, tm.add_node(double, bad))
    with pytest.raises(RunFailedError) as caught:
        await tm.invoke(None)
    snapshot = caught.value.partial.snapshot()
    assert snapshot.status == "failed"
    assert snapshot.error == "1 is bad"
    statuses = {name: state.status for name, state in snapshot.nodes.items()}
    assert statuses["fail"] == "failed"
    assert statuses["sleeper"] in {"cancelled", "not run"}
    assert statuses["double"] == statuses["double-2"] == "not run"
    assert snapshot.nodes["double-2"].waits_for == "fail"
    assert snapshot.nodes["fail"].error == "ValueError: 1 is bad"


def test_a_result_of_another_dag_says_so() -> None:
    """The message names both."""
    with build_dag(name="one") as one:
        node = one.add_node(double, 1)
    with build_dag(name="two") as two:
        two.add_node(double, 1)
    with pytest.raises(GraphError, match="'double' is of another dag than this result, 'two'"):
        node.extract_result(anyio.run(two.invoke, None))
