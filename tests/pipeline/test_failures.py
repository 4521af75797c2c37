"""What fails raises, or is put aside where it can be seen; nothing vanishes."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from datagraph.events.model import NodeFailed, RunEnded, ValueDeadLettered
from datagraph.exceptions import ProcessorError, RunCancelledError
from datagraph.pipeline import (
    DagPipeline,
    DagTask,
    DeadLetter,
    PipelineBuilder,
    PipelineContext,
    Retry,
    TaskTransition,
    run_function_pipeline,
)

pytestmark = pytest.mark.anyio

AT_ONCE = Retry(3, backoff=0, jitter=0)


async def same(value: Any) -> Any:
    return value


async def picky(value: int) -> int:
    if value % 3 == 2:
        raise ValueError(f"no {value}")
    return value


def picky_plain(value: int) -> int:
    if value % 3 == 2:
        raise ValueError(f"no {value}")
    return value


async def picky_many(value: int) -> AsyncIterator[int]:
    if value % 3 == 2:
        raise ValueError(f"no {value}")
    yield value


def picky_plain_many(value: int) -> Iterator[int]:
    if value % 3 == 2:
        raise ValueError(f"no {value}")
    yield value


FLAVOURS = pytest.mark.parametrize("handler", [picky, picky_plain, picky_many, picky_plain_many])


@FLAVOURS
async def test_an_error_raises_with_node_value_and_place(handler: Any) -> None:
    """By default; it is a ProcessorError and of its cause's type, chained, with the results so far."""
    built = PipelineBuilder().task("first", same).task("picky", handler).edge("first", "picky").build()
    with pytest.raises(ValueError, match="no 2") as caught:
        await built.run_stream(range(10))
    error = caught.value
    assert isinstance(error, ProcessorError)
    assert isinstance(error.__cause__, ValueError)
    assert (error.node, error.value, error.position, error.attempts) == ("picky", "2", 2, 1)
    assert str(error) == "'picky' failed at 2 (position 2): ValueError: no 2"
    assert error.partial == [0, 1]  # type: ignore[attr-defined]


@FLAVOURS
async def test_skipped_errors_are_dead_letters(handler: Any) -> None:
    """Each with its node, value, context, error and traceback; the others arrive."""
    results = await run_function_pipeline(range(7), handler, on_error="skip")
    assert results == [0, 1, 3, 4, 6]
    assert [(each.node, each.value, each.context.data_id) for each in results.dead_letters] == [
        (handler.__name__, 2, "2"),
        (handler.__name__, 5, "5"),
    ]
    letter = results.dead_letters[0]
    assert (letter.where, letter.attempts) == ("handler", 1)
    assert f"in {handler.__name__}" in letter.traceback
    assert repr(letter) == f"DeadLetter({handler.__name__!r}, 2, 'ValueError: no 2')"


async def test_a_task_says_for_itself_what_an_error_means() -> None:
    """A task's `on_error` goes before the pipeline's."""
    tasks = [DagTask("a", picky, [TaskTransition("b")], on_error="skip"), DagTask("b", same)]
    results = await DagPipeline(tasks, on_error="raise").run_stream([1, 2])
    assert (results, len(results.dead_letters)) == ([1], 1)
    with pytest.raises(ValueError, match="no 2"):
        await DagPipeline([DagTask("a", picky, on_error="raise")], on_error="skip").run_stream([2])


async def test_a_function_decides_letter_by_letter() -> None:
    """ "raise", "skip", or None where it has dealt with it itself; sync or async."""
    told: list[Any] = []

    def decide(letter: DeadLetter) -> Any:
        told.append(letter.value)
        return {2: "skip", 5: None, 8: "raise"}[letter.value]

    async def decide_async(letter: DeadLetter) -> Any:
        await anyio.lowlevel.checkpoint()
        return decide(letter)

    for decider in (decide, decide_async):
        told.clear()
        with pytest.raises(ValueError, match="no 8") as caught:
            await run_function_pipeline(range(10), picky, on_error=decider)
        assert told == [2, 5, 8]
        assert [each.value for each in caught.value.partial.dead_letters] == [2]  # type: ignore[attr-defined]


@pytest.mark.parametrize("answer", ["explode", 3, True])
async def test_a_decision_that_is_none_of_the_three_is_an_error(answer: Any) -> None:
    """What was returned instead is said."""
    with pytest.raises(ValueError, match='an on_error function returns "raise", "skip" or None; it returned'):
        await run_function_pipeline([2], picky, on_error=lambda letter: answer)


async def test_an_on_error_function_that_fails_ends_the_run() -> None:
    """With its own error, told where it came from."""

    def decide(letter: DeadLetter) -> None:
        raise RuntimeError("cannot decide")

    with pytest.raises(RuntimeError, match="cannot decide") as caught:
        await run_function_pipeline([2], picky, on_error=decide)
    assert caught.value.__cause__ is not None
    assert "in the on_error function" in caught.value.__cause__.__notes__[0]


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_error_of_a_predicate_is_an_error_like_any_other(kind: str) -> None:
    """It raises and names task and way, or is put aside; it is never taken for a no."""

    def wrong(ctx: PipelineContext, value: dict[str, int]) -> bool:
        return value["size"] > 3

    async def wrong_async(ctx: PipelineContext, value: dict[str, int]) -> bool:
        return value["size"] > 3

    ways = [TaskTransition("b", wrong if kind == "sync" else wrong_async), TaskTransition("b")]
    tasks = [DagTask("a", same, ways), DagTask("b", same)]
    with pytest.raises(KeyError) as caught:
        await DagPipeline(tasks).run_stream([{}])
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__notes__ == ["in the predicate of 'a' for 'a→b'"]
    results = await DagPipeline(tasks, on_error="skip").run_stream([{}, {"size": 5}])
    assert results == [{"size": 5}, {"size": 5}]
    assert [(each.where, each.value) for each in results.dead_letters] == [("predicate", {})]


async def test_an_error_of_a_result_handler_is_one_as_well() -> None:
    """Raised, or put aside with the value that it had."""

    async def keep(value: int, ctx: PipelineContext) -> None:
        if value == 1:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full") as caught:
        await run_function_pipeline([1, 2], same, result_handler=keep)
    assert "in the result_handler, for a value of 'same'" in caught.value.__cause__.__notes__  # type: ignore[union-attr]
    results = await run_function_pipeline([1, 2], same, result_handler=keep, on_error="skip")
    assert [(each.where, each.value) for each in results.dead_letters] == [("result_handler", 1)]


async def test_the_first_error_ends_all_the_others() -> None:
    """Workers that are under way are cancelled, and clean up."""
    cleaned: list[int] = []
    waiting = anyio.Event()

    async def work(value: int) -> None:
        if value == 1:
            await waiting.wait()
            raise ValueError("one")
        try:
            waiting.set()
            await anyio.sleep_forever()
        finally:
            cleaned.append(value)

    with anyio.fail_after(20), pytest.raises(ValueError, match="one"):
        await run_function_pipeline([0, 1], work, concurrency=2)
    assert cleaned == [0]


async def test_errors_at_the_same_time_are_notes_of_the_first() -> None:
    """None is lost."""
    together = anyio.Event()
    here = 0

    async def work(value: int) -> None:
        nonlocal here
        here += 1
        if here == 2:
            together.set()
        with anyio.CancelScope(shield=True):
            await together.wait()
        raise ValueError(f"value {value}")

    with anyio.fail_after(20), pytest.raises(ValueError, match=r"value \d") as caught:
        await run_function_pipeline([0, 1], work, concurrency=2)
    assert len([note for note in caught.value.__notes__ if note.startswith("meanwhile, 'work' failed")]) == 1


@pytest.mark.parametrize("threaded", [False, True])
async def test_stop_iteration_is_an_error_like_any_other(threaded: bool) -> None:
    """`next` of something empty in a handler neither ends anything quietly nor hangs."""

    def empty(value: int) -> int:
        return next(iter([]))  # type: ignore[no-any-return]

    async def empty_async(value: int) -> int:
        return next(iter([]))  # type: ignore[no-any-return]

    with anyio.fail_after(20), pytest.raises(ProcessorError, match="StopIteration"):
        await run_function_pipeline([1], empty if threaded else empty_async)


# -- retries and timeouts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_failed_attempt_is_made_again(threaded: bool) -> None:
    """As often as `retries` says; then the value has failed, and the number of attempts is told."""
    tries: list[int] = []

    def flaky(value: int) -> int:
        tries.append(value)
        if tries.count(value) < 3:
            raise OSError("again")
        return value

    async def flaky_async(value: int) -> int:
        return flaky(value)

    handler = flaky if threaded else flaky_async
    assert await run_function_pipeline([1, 2], handler, retries=AT_ONCE) == [1, 2]
    assert tries == [1, 1, 1, 2, 2, 2]
    tries.clear()
    with pytest.raises(OSError, match="after 2 attempts"):
        await run_function_pipeline([1], handler, retries=Retry(1, backoff=0))


async def test_only_the_errors_that_are_meant_are_retried() -> None:
    """`Retry(on=...)`."""
    tries = 0

    async def wrong(value: int) -> int:
        nonlocal tries
        tries += 1
        raise KeyError("never")

    with pytest.raises(KeyError):
        await run_function_pipeline([1], wrong, retries=Retry(5, on=(OSError,), backoff=0))
    assert tries == 1


async def test_what_a_failed_attempt_had_put_out_is_dropped() -> None:
    """So a retry repeats nothing, and leaves no traces in the context."""
    tries = 0

    async def flaky(ctx: PipelineContext, value: int) -> AsyncIterator[tuple[str, int]]:
        nonlocal tries
        tries += 1
        ctx.meta["tries"] = ctx.meta.get("tries", 0) + 1
        yield f"a{tries}"  # type: ignore[misc]
        if tries < 3:
            raise OSError("again")
        yield f"b{ctx.meta['tries']}"  # type: ignore[misc]

    assert await run_function_pipeline([1], flaky, retries=AT_ONCE) == ["a3", "b1"]


async def test_an_attempt_that_takes_too_long_is_a_failure() -> None:
    """Cancelled in the loop; it may be made again."""
    tries = 0
    cancelled = []

    async def slow_once(value: int) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.append(value)
        return value

    assert await run_function_pipeline([1], slow_once, timeout=0.05, retries=AT_ONCE) == [1]
    assert cancelled == [1]
    tries = 0
    with pytest.raises(TimeoutError, match=r"it took longer than timeout=0.05 seconds"):
        await run_function_pipeline([1], slow_once, timeout=0.05)


async def test_a_thread_that_takes_too_long_is_left() -> None:
    """Nobody waits for it; the error says that it goes on."""
    release = threading.Event()
    ended = threading.Event()

    def slow(value: int) -> int:
        release.wait(20)
        ended.set()
        return value

    with pytest.raises(TimeoutError, match="its thread goes on by itself: none can be stopped"):
        await run_function_pipeline([1], slow, timeout=0.05)
    assert not ended.is_set()
    release.set()
    assert await anyio.to_thread.run_sync(ended.wait, 20)


async def test_waiting_for_room_is_no_slowness() -> None:
    """The time limit of a task does not run while the next one holds it back."""

    async def many(value: int) -> AsyncIterator[int]:
        for number in range(10):
            yield number

    async def slow(value: int) -> int:
        if value == 0:
            await anyio.sleep(0.8)
        return value

    built = (
        PipelineBuilder().task("many", many, timeout=0.5).task("slow", slow, capacity=1).edge("many", "slow").build()
    )
    assert await built.run_stream([1]) == list(range(10))


# -- events and states ------------------------------------------------------------------------------------------------


async def test_failures_are_told_as_events_and_states() -> None:
    """Dead letters and the failure that ended it, in the run's events and on its nodes."""

    async def work(value: int) -> int:
        if value == 1:
            raise ValueError("bad")
        if value == 3:
            raise KeyError("worse")
        return value

    def decide(letter: DeadLetter) -> Any:
        return "skip" if isinstance(letter.error, ValueError) else "raise"

    run = DagPipeline([DagTask("work", work, on_error=decide)]).start(range(5))
    with pytest.raises(KeyError):
        await run
    kinds = [type(event) for event in run.events()]
    assert kinds.index(ValueDeadLettered) < kinds.index(NodeFailed) < kinds.index(RunEnded)
    state = run.snapshot().nodes["work"]
    assert (state.status, state.errors, state.dead_letters) == ("failed", 2, 1)
    assert "worse" in state.error
    assert run.status == "failed"
    assert [letter.value for letter in run.dead_letters] == [1]


async def test_a_cancelled_run_says_so() -> None:
    """To whoever waits, with what there was."""

    async def work(value: int) -> int:
        if value == 2:
            await anyio.sleep_forever()
        return value

    run = DagPipeline([DagTask("work", work)]).start(range(5))
    with anyio.fail_after(20):
        while len(run.results) < 2:
            await anyio.sleep(0.001)
    run.cancel()
    with pytest.raises(RunCancelledError) as caught:
        await run
    assert caught.value.partial == [0, 1]  # type: ignore[attr-defined]
    assert run.status == "cancelled"
    assert run.snapshot().status == "cancelled"
