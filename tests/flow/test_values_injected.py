"""What a function is given besides values: dependencies, the context, settings; and where what it prints goes."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import anyio
import pytest

import datagraph as dg
from datagraph import IO, Context, Depends, LocalExecutor, Processor, Retry

pytestmark = pytest.mark.usefixtures("supervisor")


def made(function: Any, inputs: list[str], outputs: tuple[str, ...] = ("out",), name: str = "p", **options: Any) -> Any:
    """A processor with that function."""
    found = Processor(name, inputs=inputs, outputs=outputs, **options)
    found(function)
    return found


def two() -> int:
    return 2


async def three() -> int:
    return 3


def sixfold(a: Annotated[int, Depends(two)], b: int = Depends(three)) -> int:
    return a * b


@pytest.mark.parametrize("dependency, wanted", [(two, [2, 4]), (three, [3, 6]), (sixfold, [6, 12])])
def test_a_dependency_is_given(dependency: Any, wanted: list[int]) -> None:
    """Plain, async and nested ones."""

    async def p(n: IO[int], factor: int = Depends(dependency)) -> AsyncIterator[int]:
        async for value in n:
            yield value * factor

    def q(n: int, factor: int = Depends(dependency)) -> int:
        return n * factor

    assert dg.Flow(made(p, ["n"]), made(q, ["n"], ("q",), "q")).run({"n": [1, 2]}) == {"out": wanted, "q": wanted}


def test_a_dependency_is_made_once_a_run_and_cleaned_up_at_its_end() -> None:
    """Shared by the processors of one run, made anew for the next."""
    told: list[str] = []

    def connection() -> Iterator[str]:
        told.append("open")
        yield "c"
        told.append("close")

    async def later() -> AsyncIterator[str]:
        told.append("open later")
        yield "l"
        told.append("close later")

    def p(n: int, c: Annotated[str, Depends(connection)], d: Annotated[str, Depends(later)]) -> str:
        return c + d

    def q(n: int, c: Annotated[str, Depends(connection)]) -> str:
        return c

    flow = dg.Flow(made(p, ["n"]), made(q, ["n"], ("q",), "q"))
    for _ in range(2):
        told.clear()
        run = flow.start({"n": [1, 2]}).join()
        assert (run["out"].to_list(), run["q"].to_list()) == (["cl", "cl"], ["c", "c"])
        assert sorted(told) == ["close", "close later", "open", "open later"]


def test_a_dependency_without_cache_is_made_for_each_place() -> None:
    """`use_cache=False`."""
    made_so_far: list[int] = []

    def number() -> int:
        made_so_far.append(1)
        return len(made_so_far)

    def p(n: int, a: int = Depends(number, use_cache=False), b: int = Depends(number, use_cache=False)) -> list[int]:
        return sorted([a, b])

    assert dg.Flow(made(p, ["n"])).run({"n": [0]}) == {"out": [[1, 2]]}


def test_a_dependency_is_overridden_at_start() -> None:
    """`overrides={original: replacement}`, for one run."""

    def p(n: int, factor: int = Depends(two)) -> int:
        return n * factor

    flow = dg.Flow(made(p, ["n"]))
    assert flow.run({"n": [1]}, overrides={two: lambda: 50}) == {"out": [50]}
    assert flow.run({"n": [1]}) == {"out": [2]}


def test_a_dependency_that_fails_fails_its_processor() -> None:
    """It is named."""

    def broken() -> int:
        raise ConnectionError("no database")

    def p(n: int, c: int = Depends(broken)) -> int:
        return c

    with pytest.raises(ConnectionError, match="'p' failed: ConnectionError: no database"):
        dg.Flow(made(p, ["n"])).run({"n": [1]})


def test_a_dependency_may_take_the_context() -> None:
    """And know for which node it is made."""

    def name(ctx: Context) -> str:
        return ctx.node

    def p(n: int, who: str = Depends(name)) -> str:
        return who

    flow = dg.Flow(made(p, ["n"]), made(p, ["n"], ("q",), "q"))
    assert flow.run({"n": [1]}) == {"out": ["p"], "q": ["q"]}


def test_the_context_knows_run_and_node() -> None:
    """Its names, in every kind of function."""

    def p(n: int, ctx: Context) -> list[str]:
        return [ctx.run, ctx.node]

    async def q(n: IO[int], ctx: Context) -> list[str]:
        return [ctx.run, ctx.node]

    run = dg.Flow(made(p, ["n"]), made(q, ["n"], ("q",), "q")).start({"n": [1]}).join()
    assert run["out"].to_list() == [[run.id, "p"]]
    assert run["q"].to_list() == [[run.id, "q"]]


@pytest.mark.parametrize("options", [{}, {"concurrency": 4}, {"workers": 2}], ids=["one", "lanes", "workers"])
def test_the_key_is_one_for_each_value_and_the_same_for_each_attempt(options: dict[str, int]) -> None:
    """An idempotency key for effects outside."""
    keys: dict[int, set[str]] = {}
    failed: set[int] = set()

    def p(n: int, ctx: Context) -> int:
        keys.setdefault(n, set()).add(ctx.key)
        if n % 3 == 0 and n not in failed:
            failed.add(n)
            raise OSError
        return n

    dg.Flow(made(p, ["n"], retries=Retry(2, backoff=0.001), **options)).run({"n": range(30)})
    assert all(len(each) == 1 for each in keys.values())
    assert len(set.union(*keys.values())) == 30


def test_the_key_of_a_stream_is_that_of_the_value_in_hand_also_when_it_is_replayed() -> None:
    """A generator sees a key a value, and the same ones again after a failure."""
    keys: dict[int, set[str]] = {}
    failed: list[int] = []

    async def p(n: IO[int], ctx: Context) -> AsyncIterator[int]:
        async for value in n:
            keys.setdefault(value, set()).add(ctx.key)
            if value == 15 and not failed:
                failed.append(value)
                raise OSError
            yield value

    dg.Flow(made(p, ["n"], retries=Retry(2, backoff=0.001))).run({"n": range(30)})
    assert all(len(each) == 1 for each in keys.values())
    assert len(set.union(*keys.values())) == 30


def test_commit_stores_what_was_put_out_before_it() -> None:
    """When it returns, readers elsewhere can see it."""
    go = threading.Event()
    there: list[int] = []

    async def p(n: IO[int], ctx: Context) -> AsyncIterator[int]:
        async for value in n:
            yield value
            await ctx.commit()
            there.append(value)
            break
        while not go.is_set():
            await anyio.sleep(0.005)

    run = dg.Flow(made(p, ["n"])).start({"n": [1, 2, 3]})
    while not there:
        assert run.status == "running"
    assert run["out"].to_list() == [1]
    go.set()
    run.join()


def test_settings_are_seen_in_the_context_too() -> None:
    """As they are now."""

    def p(n: int, ctx: Context, factor: int = 2) -> list[int]:
        return [factor, ctx.settings.get("factor", 2)]

    flow = dg.Flow(made(p, ["n"]))
    assert flow.run({"n": [1]}, settings={"p": {"factor": 9}}) == {"out": [[9, 9]]}


@pytest.mark.parametrize("kind", ["plain", "async", "generator", "stream"])
def test_print_goes_to_the_log_of_the_node(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """And not into whichever cell runs."""

    def plain(n: int) -> int:
        print("hello", n)
        return n

    async def coroutine(n: int) -> int:
        print("hello", n)
        return n

    def generator(n: int) -> Iterator[int]:
        print("hello", n)
        yield n

    async def stream(n: IO[int]) -> AsyncIterator[int]:
        async for value in n:
            print("hello", value)
            yield value

    function = {"plain": plain, "async": coroutine, "generator": generator, "stream": stream}[kind]
    run = dg.Flow(made(function, ["n"])).start({"n": [1, 2]}).join()
    print("mine")
    assert [line for line in run.logs("p") if "hello" in line] == ["hello 1", "hello 2"]
    sys.stdout.flush()
    assert "hello" not in capfd.readouterr().out


def test_the_logger_writes_to_the_log_of_the_node() -> None:
    """With its level."""

    def p(n: int, ctx: Context) -> int:
        ctx.logger.warning("low on %s", "fuel")
        return n

    run = dg.Flow(made(p, ["n"])).start({"n": [1]}).join()
    assert "WARNING low on fuel" in run.logs("p")


def test_a_processor_may_have_an_executor_of_its_own() -> None:
    """It is given the node to run."""
    ran: list[str] = []

    class Mine(LocalExecutor):
        async def run(self, job: Any) -> None:
            ran.append(job.name)
            await super().run(job)

    def p(n: int) -> int:
        return n

    assert dg.Flow(made(p, ["n"], executor=Mine())).run({"n": [1]}) == {"out": [1]}
    assert ran == ["p"]
