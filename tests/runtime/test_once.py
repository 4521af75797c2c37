"""The engine of nodes that fire once: order, hooks, failure policies, control, and what it knows afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import pytest

from datagraph import CyclicFlowError, InternalError
from datagraph.runtime.once import Once, Plan, Skipped

pytestmark = pytest.mark.anyio
Fire = Callable[[Once], Awaitable[Any]]

DIAMOND = Plan.of("abcd", [(), (0,), (0,), (1, 2)])
"""a, then b and c, then d."""


def value(number: Any) -> Fire:
    async def fire(_: Once) -> Any:
        return number

    return fire


def failing(error: Exception) -> Fire:
    async def fire(_: Once) -> Any:
        raise error

    return fire


def gate(event: anyio.Event, number: Any = None) -> Fire:
    async def fire(_: Once) -> Any:
        await event.wait()
        return number

    return fire


def made(plan: Plan, fire: Sequence[Fire | None], **options: Any) -> Once:
    return Once(plan, fire, [None] * len(plan.names), **options)


def test_a_plan_counts_what_each_node_waits_for() -> None:
    """The same node twice counts once; nobody waits for what is given."""
    plan = Plan.of("abc", [(), (0, 0), (0, 1)], given=[0])
    assert plan.before == (0, 0, 1)
    assert plan.after == ((), (2,), ())
    assert plan.first == (1,)


def test_a_ring_is_named() -> None:
    """In order, the first one twice; nodes outside it are not named."""
    with pytest.raises(CyclicFlowError, match=r"in a ring: 'b' -> 'c' -> 'b'|in a ring: 'c' -> 'b' -> 'c'"):
        Plan.of("abc", [(), (0, 2), (1,)])


async def test_a_run_fires_each_node_once_and_keeps_when() -> None:
    """Values, and times that follow the order."""
    once = made(DIAMOND, [value(i) for i in range(4)])
    assert await once.run() == "completed"
    assert once.values == [0, 1, 2, 3]
    assert once.began[0] <= once.ended[0] <= once.began[1] <= once.ended[1] <= once.began[3] <= once.ended[3]
    assert once.started_at <= once.began[0]
    assert once.ended[3] <= once.finished_at


async def test_continue_goes_on_with_what_does_not_wait_for_the_failure() -> None:
    """And says who is lost, and because of whom."""
    plan = Plan.of("abcde", [(), (), (0,), (2,), (1,)])
    error = ValueError("no")
    once = made(plan, [failing(error), value(1), value(2), value(3), value(4)], on_failure="continue")
    assert await once.run() == "failed"
    assert once.errors == {0: error}
    assert once.lost() == {2: 0, 3: 0}
    assert [once.has_value(i) for i in range(5)] == [False, True, False, False, True]


async def test_drain_lets_what_is_at_work_end() -> None:
    """And starts no more."""
    go, begun = anyio.Event(), anyio.Event()

    async def fails(_: Once) -> None:
        await begun.wait()
        go.set()
        raise ValueError

    async def work(_: Once) -> int:
        begun.set()
        await go.wait()
        return 1

    plan = Plan.of("abc", [(), (), (1,)])
    once = made(plan, [fails, work, value(2)], on_failure="drain")
    assert await once.run() == "failed"
    assert once.values == [None, 1, None]
    assert not once.began[2]


async def test_a_policy_may_depend_on_the_node() -> None:
    """A function of number and error."""
    seen = []

    def policy(i: int, error: Exception) -> str:
        seen.append((i, str(error)))
        return "continue" if i == 0 else "cancel"

    plan = Plan.of("abc", [(), (), ()])
    forever = anyio.Event()
    once = made(plan, [failing(ValueError("a")), failing(ValueError("b")), gate(forever)], on_failure=policy)
    with anyio.fail_after(5):
        assert await once.run() == "failed"
    assert seen == [(0, "a"), (1, "b")]
    assert once.cancelled | set(once.errors) >= {0, 1}


async def test_a_skipped_node_has_its_value_and_the_reason() -> None:
    """By the hook, before it is admitted, or by what the node gives itself."""

    async def skip(i: int) -> Skipped | None:
        return Skipped("kept", "fresh") if i == 1 else None

    async def gives_up(_: Once) -> Skipped:
        return Skipped("own", "nothing to do")

    once = made(DIAMOND, [value(0), value(1), gives_up, value(3)], skip=skip)
    assert await once.run() == "completed"
    assert once.values == [0, "kept", "own", 3]
    assert once.skipped == {1: "fresh", 2: "nothing to do"}


async def test_nobody_begins_before_being_admitted() -> None:
    """One at a time here; it is asked again whenever a node has ended."""
    at_work: list[int] = []
    most = 0

    def work(i: int) -> Fire:
        async def fire(_: Once) -> int:
            nonlocal most
            at_work.append(i)
            most = max(most, len(at_work))
            await anyio.lowlevel.checkpoint()
            at_work.remove(i)
            free.append(1)
            return i

        return fire

    free = [1]

    def admit(candidates: Sequence[int]) -> list[int]:
        return [candidates[-1]] if free and not free.clear() else []

    plan = Plan.of("abcdef", [()] * 6)
    once = made(plan, [work(i) for i in range(6)], admit=admit)
    with anyio.fail_after(5):
        assert await once.run() == "completed"
    assert once.values == list(range(6))
    assert most == 1


async def test_admitting_nobody_is_a_bug_that_says_so() -> None:
    """Nothing is at work and nothing may begin: that would be a run that never ends."""
    once = made(Plan.of("ab", [(), ()]), [value(0), value(1)], admit=lambda _: [])
    with anyio.fail_after(5), pytest.raises(InternalError, match="none of these was admitted: 'a', 'b'"):
        await once.run()


async def test_a_limit_is_never_passed() -> None:
    """And all that it allows is at work."""
    begun, at_work, most, go = 0, 0, 0, anyio.Event()

    async def fire(_: Once) -> None:
        nonlocal begun, at_work, most
        begun, at_work = begun + 1, at_work + 1
        most = max(most, at_work)
        if begun == 3:
            go.set()
        await go.wait()
        await anyio.lowlevel.checkpoint()
        at_work -= 1

    once = made(Plan.of([str(i) for i in range(9)], [()] * 9), [fire] * 9, limit=3)
    with anyio.fail_after(5):
        assert await once.run() == "completed"
    assert (begun, most) == (9, 3)


async def test_a_cancelled_run_ends_at_once_and_one_that_has_ended_stays_so() -> None:
    """What is at work is cancelled; cancelling later changes nothing."""
    forever = anyio.Event()
    once = made(DIAMOND, [value(0), gate(forever), gate(forever), value(3)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(once.run)
        await anyio.wait_all_tasks_blocked()
        once.cancel()
    assert (once.status, once.cancelled) == ("cancelled", {1, 2})
    done = made(DIAMOND, [value(i) for i in range(4)])
    await done.run()
    done.cancel()
    assert done.status == "completed"


async def test_a_run_that_is_cancelled_before_it_begins_fires_nothing() -> None:
    """Its status says so."""
    once = made(DIAMOND, [value(i) for i in range(4)])
    once.cancel()
    assert await once.run() == "cancelled"
    assert once.values == [None] * 4


async def test_stopping_a_paused_run_ends_it() -> None:
    """It is not left waiting for its resumption."""
    once = made(DIAMOND, [value(i) for i in range(4)])
    once.pause()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(once.run)
        await anyio.wait_all_tasks_blocked()
        assert not any(once.began)
        once.stop()
    assert once.status == "cancelled"


async def test_what_a_hook_raises_ends_the_run_and_nothing_is_left_behind() -> None:
    """An error of an admission is nobody's node: it leaves `run`, and what is at work is cancelled."""
    forever = anyio.Event()
    left = []

    async def fire(_: Once) -> None:
        try:
            await forever.wait()
        finally:
            left.append(1)

    def admit(candidates: Sequence[int]) -> Sequence[int]:
        if len(candidates) > 1 or 1 in candidates:
            raise RuntimeError("a bug in the hook")
        return candidates

    once = made(Plan.of("ab", [(), ()]), [fire, fire], admit=admit)
    with anyio.fail_after(5), pytest.raises((RuntimeError, ExceptionGroup)):
        await once.run()
    assert once.status == "cancelled"
