"""What happens when a function fails: retries, timeouts, rates, the four policies, and who is told."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio
import pytest

import datagraph as dg
from datagraph import IO, OPEN, Batch, Context, Processor, Retry

pytestmark = pytest.mark.usefixtures("supervisor")

FAST = Retry(3, backoff=0.001, jitter=0.0)


def made(function: Any, inputs: list[str], outputs: tuple[str, ...] = ("out",), name: str = "p", **options: Any) -> Any:
    """A processor with that function."""
    found = Processor(name, inputs=inputs, outputs=outputs, **options)
    found(function)
    return found


class Flaky:
    """Fails the first `times` attempts at each value that is asked for, and remembers every attempt."""

    def __init__(self, bad: int, times: int, error: type[Exception] = ValueError) -> None:
        self.bad, self.left, self.error = bad, times, error
        self.attempts: list[Any] = []

    def __call__(self, value: int) -> int:
        """The value, or the error."""
        self.attempts.append(value)
        if value == self.bad and self.left:
            self.left -= 1
            raise self.error(f"no {value}")
        return value


# -- retries ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("options", [{}, {"concurrency": 3}, {"workers": 2}], ids=["one", "lanes", "workers"])
def test_a_value_is_tried_again_and_nothing_is_lost(kind: str, options: dict[str, int]) -> None:
    """The value that failed is tried again until it succeeds, in its place."""
    flaky = Flaky(5, 3)

    def plain(n: int) -> int:
        return flaky(n)

    async def coroutine(n: int) -> int:
        return flaky(n)

    function = plain if kind == "plain" else coroutine
    found = dg.Flow(made(function, ["n"], retries=FAST, **options)).run({"n": range(20)})
    assert found == {"out": list(range(20))}
    assert flaky.attempts.count(5) == 4


def test_a_batch_is_tried_again_whole() -> None:
    """The same batch, once more."""
    sizes: list[int] = []

    def total(n: Annotated[list[int], Batch(4)]) -> int:
        sizes.append(len(n))
        if len(sizes) == 2:
            raise OSError
        return sum(n)

    assert dg.Flow(made(total, ["n"], retries=FAST)).run({"n": range(10)}) == {"out": [6, 22, 17]}
    assert sizes == [4, 4, 4, 2]


def test_only_the_errors_named_are_tried_again() -> None:
    """`on=` says which; all others fail at once."""
    flaky = Flaky(1, 1, KeyError)

    def p(n: int) -> int:
        return flaky(n)

    with pytest.raises(dg.ProcessorError) as caught:
        dg.Flow(made(p, ["n"], retries=Retry(5, on=(OSError,)))).run({"n": [1]})
    assert caught.value.attempts == 1
    assert isinstance(caught.value, KeyError)


def test_a_retry_drops_what_the_attempt_had_put_out() -> None:
    """A value generator that failed half-way puts nothing out twice."""
    failed: list[int] = []

    def twice(n: int) -> Iterator[int]:
        yield n
        if n == 2 and not failed:
            failed.append(n)
            raise ValueError
        yield -n

    assert dg.Flow(made(twice, ["n"], retries=FAST)).run({"n": [1, 2, 3]}) == {"out": [1, -1, 2, -2, 3, -3]}


@pytest.mark.parametrize("state", ["none", "context", "locals"])
def test_a_generator_is_started_again_without_a_double(state: Any) -> None:
    """What it had put out after its last safe point is dropped, or replayed and dropped: each value once."""
    failed: list[int] = []

    async def p(n: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            yield value
            if value == 7 and not failed:
                failed.append(value)
                raise ValueError("once")
            yield -value

    found = dg.Flow(made(p, ["n"], retries=FAST, state=state)).run({"n": range(1, 20)})
    assert found["out"] == [one for n in range(1, 20) for one in (n, -n)]


def test_a_plain_generator_is_started_again_without_a_double() -> None:
    """The same in a worker thread."""
    failed: list[int] = []

    def p(n: IO[int]) -> Iterator[int]:
        for value in n:
            if value == 7 and not failed:
                failed.append(value)
                raise ValueError("once")
            yield value

    assert dg.Flow(made(p, ["n"], retries=FAST)).run({"n": range(500)}) == {"out": list(range(500))}


def test_a_generator_with_locals_is_replayed_to_the_same_result() -> None:
    """A running total in a local variable is right after a failure."""
    failed: list[int] = []

    async def totals(n: IO[int]) -> AsyncIterator[int]:
        total = 0
        async for value in n:
            total += value
            if value == 50 and not failed:
                failed.append(value)
                raise ValueError("once")
            yield total

    found = dg.Flow(made(totals, ["n"], retries=FAST)).run({"n": range(100)})
    assert found["out"] == [n * (n + 1) // 2 for n in range(100)]


def test_a_state_is_restored_before_a_retry() -> None:
    """`ctx.state` is what it was at the last safe point, whatever the attempt made of it."""
    failed: list[int] = []

    async def totals(n: IO[int], ctx: Context) -> AsyncIterator[int]:
        async for value in n:
            ctx.state["total"] = ctx.state.get("total", 0) + value
            if value == 50 and not failed:
                failed.append(value)
                raise ValueError("once")
            yield ctx.state["total"]

    found = dg.Flow(made(totals, ["n"], retries=FAST, state="context")).run({"n": range(100)})
    assert found["out"] == [n * (n + 1) // 2 for n in range(100)]


# -- timeout, rate ----------------------------------------------------------------------------------------------------


def test_a_timeout_cancels_a_coroutine() -> None:
    """An attempt that takes too long is cancelled: its cleanup runs."""
    cleaned: list[int] = []

    async def p(n: int) -> int:
        try:
            if n == 1 and 1 not in cleaned:
                await anyio.sleep(30)
        finally:
            cleaned.append(n)
        return n

    found = dg.Flow(made(p, ["n"], timeout=0.05, retries=FAST)).run({"n": [0, 1, 2]})
    assert found == {"out": [0, 1, 2]}
    assert cleaned == [0, 1, 1, 2]


def test_a_timeout_without_retries_fails_the_run() -> None:
    """As a TimeoutError of the processor."""

    async def p(n: int) -> int:
        await anyio.sleep(30)
        return n

    with pytest.raises(TimeoutError) as caught:
        dg.Flow(made(p, ["n"], timeout=0.02)).run({"n": [0]})
    assert caught.value.node == "p"  # type: ignore[attr-defined]


def test_a_timeout_abandons_a_thread() -> None:
    """A plain function cannot be stopped; its late result is thrown away."""
    go, tries = threading.Event(), []

    def p(n: int) -> int:
        tries.append(n)
        if len(tries) == 1:
            go.wait(20)
            return -1
        return n

    found = dg.Flow(made(p, ["n"], timeout=0.05, retries=FAST)).run({"n": [5]})
    go.set()
    assert found == {"out": [5]}


def test_a_timeout_of_a_generator_counts_for_each_value() -> None:
    """Waiting for values is not its time; working on one for too long is."""

    async def p(n: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            if value == 3:
                await anyio.sleep(30)
            yield value

    run = dg.Flow(made(p, ["n"], timeout=0.1)).start({"n": OPEN})
    run["n"].send(1)
    time.sleep(0.15)
    run["n"].send(2)
    values = iter(run["out"])
    assert [next(values), next(values)] == [1, 2]
    run["n"].send(3)
    with pytest.raises(TimeoutError):
        run.join()


def test_rate_limits_attempts_a_second() -> None:
    """Twenty values at 200 a second take a tenth of a second or more."""

    def p(n: int) -> int:
        return n

    began = time.monotonic()
    dg.Flow(made(p, ["n"], rate=200)).run({"n": range(20)})
    assert time.monotonic() - began >= 0.08


# -- what is left after the last attempt ------------------------------------------------------------------------------


def test_a_failure_tells_node_value_position_and_attempts() -> None:
    """It is a ProcessorError and also of the cause's type, with the cause chained."""
    flaky = Flaky(7, 99)

    def p(n: int) -> int:
        return flaky(n)

    with pytest.raises(ValueError, match=r"'p' failed at 7 .position 7. after 2 attempts: ValueError: no 7") as caught:
        dg.Flow(made(p, ["n"], retries=Retry(1, backoff=0.001))).run({"n": range(20)})
    error = caught.value
    assert isinstance(error, dg.ProcessorError)
    assert (error.node, error.value, error.position, error.attempts) == ("p", "7", 7, 2)
    assert isinstance(error.__cause__, ValueError)
    assert str(error.__cause__) == "no 7"


def test_a_failure_reaches_everybody() -> None:
    """Who joins, who awaits, who iterates, who asks for results and who reads `errors`."""
    gate = threading.Event()

    def p(n: int) -> int:
        gate.wait(10)
        raise LookupError("none")

    run = dg.Flow(made(p, ["n"])).start({"n": [1]})
    caught: list[type[BaseException]] = []

    def reader() -> None:
        try:
            list(run["out"])
        except dg.ProcessorError as error:
            caught.append(type(error))

    async def waiter() -> None:
        with pytest.raises(LookupError):
            await run.wait()
        with pytest.raises(LookupError):
            await run["out"].first()

    thread = threading.Thread(target=reader)
    thread.start()
    gate.set()
    thread.join(10)
    assert len(caught) == 1
    anyio.run(waiter)
    for look in (run.join, run.results, run.stop):
        with pytest.raises(LookupError):
            look()
    assert run.status == "failed"
    assert isinstance(run.errors[0], LookupError)


def test_a_failure_leaves_what_was_written_before_it() -> None:
    """A reader gets those values, and then the error."""
    flaky = Flaky(10, 99)

    def p(n: int) -> int:
        return flaky(n)

    run = dg.Flow(made(p, ["n"])).start({"n": range(20)})
    seen = []
    with pytest.raises(ValueError, match="no 10"):  # noqa: PT012 - the loop is what raises
        for value in run["out"]:
            seen.append(value)  # noqa: PERF402 - an error ends it
    assert seen == list(range(10))


def test_a_failure_stops_the_other_nodes() -> None:
    """An endless source does not go on for a run that has failed; its `finally` runs."""
    closed = threading.Event()

    async def forever() -> AsyncIterator[int]:
        n = 0
        try:
            while True:
                yield n
                n += 1
        finally:
            closed.set()

    def p(n: int) -> int:
        if n == 1000:
            raise ValueError("enough")
        return n

    run = dg.Flow(made(forever, [], ("n",), "source"), made(p, ["n"])).start()
    with pytest.raises(ValueError, match="enough"):
        run.join()
    assert closed.wait(10)


def test_a_source_that_fails_says_so() -> None:
    """It has no position."""

    def source() -> Iterator[int]:
        yield 1
        raise RuntimeError("dry")

    with pytest.raises(RuntimeError, match="'p' failed: RuntimeError: dry") as caught:
        dg.Flow(made(source, [])).run()
    assert caught.value.position is None  # type: ignore[attr-defined]


def test_an_input_that_fails_says_so() -> None:
    """An iterable that raises fails the run, and the input is named."""

    def given() -> Iterator[int]:
        yield 1
        raise RuntimeError("torn")

    def p(n: int) -> int:
        return n

    with pytest.raises(RuntimeError, match="'in:n' failed: RuntimeError: torn"):
        dg.Flow(made(p, ["n"])).run({"n": given()})


def test_skip_goes_on_and_counts() -> None:
    """The value is left out."""

    def p(n: int) -> float:
        return 12 / n

    run = dg.Flow(made(p, ["n"], on_error="skip")).start({"n": [3, 0, 4]}).join()
    assert run["out"].to_list() == [4.0, 3.0]
    assert run.status == "completed"
    assert run.snapshot().nodes["p"].skipped == 1


@pytest.mark.parametrize("state", ["none", "context"])
def test_skip_goes_on_in_a_generator(state: Any) -> None:
    """The function is started again behind the value that failed."""

    async def p(n: IO[int]) -> AsyncIterator[float]:
        async for value in n:
            yield 12 / value

    flow = dg.Flow(made(p, ["n"], on_error="skip", state=state))
    assert flow.run({"n": [3, 0, 4, 0, 6]}) == {"out": [4.0, 3.0, 2.0]}


@pytest.mark.parametrize("shape", ["value", "stream", "batch"])
def test_a_dead_letter_keeps_value_position_and_error(shape: str) -> None:
    """The run completes, and the letter says what happened."""

    def value(n: int) -> float:
        return 12 / n

    async def stream(n: IO[int]) -> AsyncIterator[float]:
        async for one in n:
            yield 12 / one

    def batch(n: Annotated[list[int], Batch(1)]) -> float:
        return 12 / n[0]

    function: Any = {"value": value, "stream": stream, "batch": batch}[shape]
    options: dict[str, Any] = {"state": "none"} if shape == "stream" else {}
    run = dg.Flow(made(function, ["n"], on_error="dead_letter", **options)).start({"n": [3, 0, 4]}).join()
    assert run["out"].to_list() == [4.0, 3.0]
    (letter,) = run.dead_letters("p")
    assert letter.value == ([0] if shape == "batch" else 0)
    assert (letter.port, letter.position, letter.attempts) == ("n", 1, 1)
    assert letter.error.startswith("ZeroDivisionError")
    assert "ZeroDivisionError" in letter.traceback


def test_dead_letters_sent_again_go_to_the_node_alone() -> None:
    """The sibling that reads the same stream sees nothing twice; the ended run goes on and ends again."""
    broken = [True]

    def p(n: int) -> int:
        if n == 2 and broken[0]:
            raise ValueError
        return n

    def sibling(n: int) -> int:
        return n

    flow = dg.Flow(made(p, ["n"], on_error="dead_letter"), made(sibling, ["n"], ("other",), "sibling"))
    run = flow.start({"n": [1, 2, 3]}).join()
    assert run["out"].to_list() == [1, 3]
    broken[0] = False
    assert run.dead_letters("p").resend() == 1
    run.join()
    assert run["out"].to_list() == [1, 3, 2]
    assert run["other"].to_list() == [1, 2, 3]
    assert len(run.dead_letters("p")) == 0


def test_pause_holds_the_bad_value_until_it_is_resumed() -> None:
    """The node waits, the log says why; after a fix the value goes through in its place."""
    broken = [True]

    def p(n: int) -> int:
        if n == 2 and broken[0]:
            raise ValueError("not yet")
        return n

    run = dg.Flow(made(p, ["n"], on_error="pause")).start({"n": [1, 2, 3]})
    until = time.monotonic() + 10
    while not any("not yet" in line for line in run.logs("p")):
        assert time.monotonic() < until
        time.sleep(0.01)
    assert run["out"].to_list() in ([], [1])
    broken[0] = False
    run.resume("p")
    assert run.join()["out"].to_list() == [1, 2, 3]


# -- values that cannot travel, replays that differ -------------------------------------------------------------------


def test_a_value_that_cannot_be_encoded_fails_its_own_processor(store_url: str) -> None:
    """A CodecError names the processor, the stream and the value; memory:// copies nothing and takes anything."""

    def p(n: int) -> Any:
        return threading.Lock()

    flow = dg.Flow(made(p, ["n"]))
    if store_url == "memory://":
        assert len(flow.run({"n": [1]})["out"]) == 1
        return
    with pytest.raises(dg.CodecError, match=r"'p'.*'out'.*lock|lock.*'out'") as caught:
        flow.run({"n": [1]})
    assert caught.value.node == "p"  # type: ignore[attr-defined]


@pytest.mark.parametrize("store_url", ["valkey"], indirect=True)  # objects in memory have no checksum
def test_a_replay_that_differs_is_an_error_and_no_wrong_result() -> None:
    """A random generator with locals cannot be replayed."""
    failed: list[int] = []

    async def p(n: IO[int], ctx: Context) -> AsyncIterator[float]:
        async for value in n:
            yield random.random()
            if value == 5 and not failed:
                await ctx.commit()
                failed.append(value)
                raise ValueError("once")

    with pytest.raises(dg.NonDeterministicError, match="'p' was replayed and wrote other values to 'out'"):
        dg.Flow(made(p, ["n"], retries=FAST)).run({"n": range(10)})


# -- cancelling and pausing -------------------------------------------------------------------------------------------


def test_cancel_closes_generators_and_tells_who_waits() -> None:
    """`finally` blocks run, and waiting is a RunCancelledError."""
    started, closed = threading.Event(), threading.Event()

    async def p(n: IO[int]) -> AsyncIterator[int]:
        started.set()
        try:
            async for value in n:
                yield value
        finally:
            closed.set()

    run = dg.Flow(made(p, ["n"])).start({"n": OPEN})
    assert started.wait(10)
    run.cancel()
    assert closed.wait(10)
    assert run.status == "cancelled"
    with pytest.raises(dg.RunCancelledError):
        run.join()
    with pytest.raises(dg.RunCancelledError):
        run["n"].send(1)


def test_pausing_a_run_stops_calls_and_resuming_goes_on() -> None:
    """Nothing is lost."""
    calls: list[int] = []

    def p(n: int) -> int:
        calls.append(n)
        time.sleep(0.0005)
        return n

    run = dg.Flow(made(p, ["n"])).start({"n": range(600)})
    while len(calls) < 20:
        time.sleep(0.001)
    run.pause()
    time.sleep(0.1)
    before = len(calls)
    time.sleep(0.1)
    assert len(calls) == before < 600
    assert run.status == "paused"
    run.resume()
    assert run.join()["out"].to_list() == list(range(600))


def test_pausing_one_node_lets_the_others_work() -> None:
    """Its input fills; the sibling goes on."""

    def p(n: int) -> int:
        return n

    def sibling(n: int) -> int:
        return n

    flow = dg.Flow(made(p, ["n"], capacity=5000), made(sibling, ["n"], ("other",), "sibling"))
    run = flow.start({"n": range(300)}, paused=True)
    run.pause("p")
    run.resume()
    assert [value for value, _ in zip(run["other"], range(300), strict=False)] == list(range(300))
    assert run["out"].to_list() == []
    run.resume("p")
    assert run.join()["out"].to_list() == list(range(300))
