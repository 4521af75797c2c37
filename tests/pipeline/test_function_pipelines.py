"""One function and a source: what comes out, for each kind of function and of source."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import anyio
import numpy as np
import pandas as pd
import pytest

from datagraph.exceptions import ProcessorError, SignatureError
from datagraph.pipeline import PipelineContext, run_function_pipeline

pytestmark = pytest.mark.anyio


class Point(NamedTuple):
    x: int
    y: int


async def returns(ctx: PipelineContext, payload: int) -> int:
    return payload * 2


async def yields(ctx: PipelineContext, payload: int) -> AsyncIterator[int]:
    for _ in range(payload):
        yield payload


def plain(ctx: PipelineContext, payload: int) -> int:
    return payload * 2


def plain_yields(ctx: PipelineContext, payload: int) -> Iterator[int]:
    for _ in range(payload):
        yield payload


class Doubler:
    async def __call__(self, ctx: PipelineContext, payload: int) -> int:
        return payload * 2

    async def method(self, ctx: PipelineContext, payload: int) -> int:
        return payload * 2


@pytest.mark.parametrize(
    "handler, wanted",
    [
        (returns, [2, 4, 6]),
        (yields, [1, 2, 2, 3, 3, 3]),
        (plain, [2, 4, 6]),
        (plain_yields, [1, 2, 2, 3, 3, 3]),
        (Doubler(), [2, 4, 6]),
        (Doubler().method, [2, 4, 6]),
        (functools.partial(returns), [2, 4, 6]),
        (lambda payload: payload * 2, [2, 4, 6]),
        (lambda ctx, payload: returns(ctx, payload), [2, 4, 6]),
    ],
    ids=["coroutine", "asyncgen", "function", "generator", "object", "method", "partial", "one", "awaitable"],
)
async def test_every_kind_of_function_is_a_handler(handler: Callable[..., Any], wanted: list[int]) -> None:
    """Async or plain, returning or yielding, with or without the context."""
    assert await run_function_pipeline([1, 2, 3], handler) == wanted


@pytest.mark.parametrize(
    "value",
    [
        "text",
        "",
        b"bytes",
        bytearray(b"b"),
        {"a": 1},
        OrderedDict(a=1),
        3,
        0,
        False,
        Point(1, 2),
        np.arange(3),
        np.float64(3.5),
        pd.DataFrame({"a": [1, 2]}),
        pd.Series([1, 2]),
        int,
    ],
    ids=lambda value: type(value).__name__ + str(value)[:3],
)
async def test_what_is_one_value_stays_one(value: Any) -> None:
    """Text, bytes, mappings, tables, arrays, records and scalars are not taken apart, however they can be iterated."""

    async def give(payload: int) -> Any:
        return value

    results = await run_function_pipeline([0], give)
    assert len(results) == 1
    assert results[0] is value


@pytest.mark.parametrize(
    "make, wanted",
    [
        (lambda: None, []),
        (lambda: [1, 2], [1, 2]),
        (list, []),
        (lambda: (1, 2), [1, 2]),
        (lambda: {1}, [1]),
        (lambda: range(2), [0, 1]),
        (lambda: iter([1, 2]), [1, 2]),
        (lambda: (n for n in (1, 2)), [1, 2]),
        (lambda: {"a": 1}.values(), [1]),
        (lambda: ["ab", "c"], ["ab", "c"]),
        (lambda: [[1, 2], [3]], [[1, 2], [3]]),
        (lambda: [None, 1], [None, 1]),
    ],
    ids=str,
)
@pytest.mark.parametrize("threaded", [False, True])
async def test_what_is_returned_is_nothing_one_or_many(
    make: Callable[[], Any], wanted: list[Any], threaded: bool
) -> None:
    """None is nothing; what else can be iterated is as many values as it gives, taken apart once."""

    async def give(payload: int) -> Any:
        return make()

    assert await run_function_pipeline([0], (lambda payload: make()) if threaded else give) == wanted


async def test_an_async_iterable_that_is_returned_is_many_values() -> None:
    """And it is closed, also where the run fails in the middle of it."""
    closed = []

    async def many() -> AsyncIterator[int]:
        try:
            for number in range(100):
                yield number
        finally:
            closed.append(True)

    async def give(payload: int) -> Any:
        return many()

    def keep(value: int, ctx: PipelineContext) -> None:
        if value == 3:
            raise ValueError("three")

    assert await run_function_pipeline([0], give) == list(range(100))
    with pytest.raises(ValueError, match="three"):
        await run_function_pipeline([0], give, result_handler=keep)
    assert closed == [True, True]


async def test_a_yielded_none_is_a_value_and_a_yielded_list_is_one() -> None:
    """Only what is returned is looked at: a generator says itself how many it gives."""

    async def give(payload: int) -> AsyncIterator[Any]:
        yield None
        yield [1, 2]

    assert await run_function_pipeline([0], give) == [None, [1, 2]]


# -- sources ----------------------------------------------------------------------------------------------------------


async def counting() -> AsyncIterator[int]:
    for number in range(3):
        await anyio.lowlevel.checkpoint()
        yield number


class Sequence:
    def __getitem__(self, index: int) -> int:
        if index == 3:
            raise IndexError
        return index


@pytest.mark.parametrize(
    "make",
    [
        lambda: [0, 1, 2],
        lambda: range(3),
        lambda: iter(range(3)),
        lambda: (n for n in range(3)),
        lambda: counting(),
        lambda: counting,
        lambda: lambda: [0, 1, 2],
        lambda: Sequence(),
        lambda: {0: "a", 1: "b", 2: "c"},
        lambda: pd.Series([0, 1, 2]),
    ],
    ids=["list", "range", "iterator", "generator", "async", "async-function", "function", "getitem", "dict", "series"],
)
async def test_every_kind_of_source_is_read(make: Callable[[], Any]) -> None:
    """An iterable, an async iterable, or a function that gives one."""

    async def same(payload: int) -> int:
        return payload

    assert await run_function_pipeline(make(), same) == [0, 1, 2]


async def test_an_empty_source_ends_at_once() -> None:
    """Nothing in, nothing out."""
    assert await run_function_pipeline([], returns) == []
    assert await run_function_pipeline(iter(()), returns) == []


async def test_a_source_that_blocks_holds_nothing_up() -> None:
    """A generator that waits is read in a thread: what it gave before goes through, and the loop goes on."""
    gone_on = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        assert gone_on.wait(20)  # set by the handler of the first value, in the loop
        yield 2

    async def handler(payload: int) -> int:
        gone_on.set()
        return payload

    assert await run_function_pipeline(source(), handler) == [1, 2]


async def test_an_endless_async_source_is_closed_where_the_run_fails() -> None:
    """Its `finally` runs, before the error comes out."""
    closed = []

    async def endless() -> AsyncIterator[int]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.append(True)

    async def handler(payload: int) -> int:
        if payload == 5:
            raise KeyError("five")
        return payload

    with pytest.raises(KeyError):
        await run_function_pipeline(endless(), handler)
    assert closed == [True]


@pytest.mark.parametrize("kind", ["async", "iterator", "list"])
async def test_what_a_source_raises_comes_out_as_it_is(kind: str) -> None:
    """With a note that says that it was the source, and the results so far."""

    async def broken() -> AsyncIterator[int]:
        yield 1
        raise OSError("the disk is gone")

    def plainly() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    class Listed(list[int]):
        def __iter__(self) -> Iterator[int]:
            return plainly()

    source: Any = {"async": broken, "iterator": plainly(), "list": Listed([1])}[kind]
    with pytest.raises(OSError, match="the disk is gone") as caught:
        await run_function_pipeline(source, returns)
    assert type(caught.value) is OSError
    assert "in the source of the pipeline" in caught.value.__notes__[0]
    assert "after 1 payload" in caught.value.__notes__[0]


async def test_what_is_no_source_is_refused_with_the_cure() -> None:
    """A single payload is no source."""
    with pytest.raises(TypeError, match=r"got int: for one payload pass \[payload\]"):
        await run_function_pipeline(3, returns)  # type: ignore[arg-type]


# -- workers ----------------------------------------------------------------------------------------------------------


async def test_the_context_has_the_payloads_number_and_the_worker() -> None:
    """`data_id` is the index as text, `node_path` the worker that took it, `run_id` the run's."""

    async def who(ctx: PipelineContext, payload: str) -> tuple[Any, ...]:
        return {"who": (ctx.run_id, ctx.data_id, tuple(ctx.node_path), ctx.current_node)}  # type: ignore[return-value]

    results = await run_function_pipeline("ab", who, run_id="r")
    assert [each["who"] for each in results] == [
        ("r", "0", ("worker-0",), "worker-0"),
        ("r", "1", ("worker-0",), "worker-0"),
    ]


async def test_concurrency_is_how_many_are_worked_on_at_once() -> None:
    """Three workers, each with a name of its own, have three payloads in hand at the same time, and never four."""
    now, most, names = 0, 0, set()
    three = anyio.Event()

    async def handler(ctx: PipelineContext, payload: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        names.add(ctx.current_node)
        if now == 3:
            three.set()
        await three.wait()
        await anyio.lowlevel.checkpoint()
        now -= 1
        return payload

    with anyio.fail_after(20):
        results = await run_function_pipeline(range(12), handler, concurrency=3)
    assert sorted(results) == list(range(12))
    assert most == 3
    assert names == {"worker-0", "worker-1", "worker-2"}


async def test_plain_functions_are_as_many_threads_as_concurrency_says() -> None:
    """They compute beside the loop, side by side."""
    together = threading.Barrier(3)

    def handler(payload: int) -> str:
        together.wait(20)
        return threading.current_thread().name

    results = await run_function_pipeline(range(3), handler, concurrency=3)
    assert len(results) == 3
    assert threading.current_thread().name not in results


async def test_results_come_as_they_are_done() -> None:
    """With several workers a slow payload is overtaken; with one the order is kept."""
    last = anyio.Event()

    async def handler(payload: int) -> int:
        if payload == 0:
            await last.wait()
        if payload == 3:
            last.set()
        return payload

    with anyio.fail_after(20):
        assert await run_function_pipeline(range(4), handler, concurrency=2) == [1, 2, 3, 0]


async def test_a_result_handler_gets_everything_and_nothing_is_collected() -> None:
    """Sync or async, with the context of the value."""
    seen: list[tuple[int, str | None]] = []

    def keep(value: int, ctx: PipelineContext) -> None:
        seen.append((value, ctx.data_id))

    async def keep_async(value: int, ctx: PipelineContext) -> None:
        await anyio.lowlevel.checkpoint()
        seen.append((value, ctx.data_id))

    for handler in (keep, keep_async):
        seen.clear()
        assert await run_function_pipeline([1, 2], returns, result_handler=handler) == []
        assert seen == [(2, "0"), (4, "1")]


async def test_a_handler_that_cannot_be_called_so_is_refused_before_anything_runs() -> None:
    """The error says what it takes and what it would be called with."""
    with pytest.raises(SignatureError, match=r"called with \(ctx, payload\) or with \(payload\).*takes \(a, b, c\)"):
        await run_function_pipeline([1], lambda a, b, c: None)
    with pytest.raises(TypeError, match="the handler of"):
        await run_function_pipeline([1], "no function")  # type: ignore[arg-type]


async def test_contextvars_of_the_caller_reach_threads() -> None:
    """What the caller has set is seen by plain functions and by plain sources."""
    import contextvars

    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    who.set("me")

    def source() -> Iterator[str]:
        yield who.get()

    def handler(payload: str) -> str:
        return f"{payload} {who.get()}"

    assert await run_function_pipeline(source(), handler) == ["me me"]


async def test_cancelling_the_caller_ends_the_run() -> None:
    """What is under way is cancelled, and its `finally` runs; the cancellation goes on outwards."""
    cleaned = []
    begun = anyio.Event()

    async def handler(payload: int) -> int:
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            cleaned.append(payload)
        return payload

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_function_pipeline, [7], handler)
        await begun.wait()
        tasks.cancel_scope.cancel()
    assert cleaned == [7]


async def test_a_handler_that_raises_a_cancellation_is_a_failure_not_a_hang(anyio_backend_name: str) -> None:
    """A task that it had waited for was cancelled: an error that names the node."""
    if anyio_backend_name == "trio":

        async def handler(payload: int) -> int:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await anyio.lowlevel.checkpoint()
            raise RuntimeError("cancelled from inside")
    else:

        async def handler(payload: int) -> int:
            raise asyncio.CancelledError

    with anyio.fail_after(20), pytest.raises(ProcessorError, match="cancelled from inside") as caught:
        await run_function_pipeline([1], handler)
    assert caught.value.node == "handler"
