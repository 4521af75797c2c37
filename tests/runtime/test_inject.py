"""Dependencies: solved once a run, on both loops, cleaned up in order."""

# ruff: noqa: B008 - a Depends as a default is what is tested
from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Annotated, Any, Self

import anyio
import fast_depends
import pytest

from datagraph.exceptions import SignatureError
from datagraph.flow.signature import read
from datagraph.runtime import inject
from datagraph.runtime.context import Context
from datagraph.runtime.inject import Binding, Depends, prepare, read_overrides, unused_overrides

pytestmark = pytest.mark.anyio


class Run:
    """One run: its stack, its cache, and what its dependencies noted."""

    def __init__(self, overrides: Mapping[Callable[..., Any], Callable[..., Any]] | None = None) -> None:
        self.stack = AsyncExitStack()
        self.cache: dict[Any, Any] = {}
        self.overrides = overrides or {}

    async def __aenter__(self) -> Self:
        await self.stack.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> bool | None:
        return await self.stack.__aexit__(*error)

    async def prepare(
        self,
        function: Callable[..., Any] | Binding,
        inputs: tuple[str, ...] = ("x",),
        node: str = "node",
        context: Context | None = None,
        **settings: Any,
    ) -> Callable[..., Any]:
        if isinstance(function, Binding):
            binding = function
        else:
            binding = read(function, name=node, inputs=inputs, outputs=("y",))
        context = context or Context("run", node)
        return await prepare(
            binding, self.stack, context=context, settings=settings, overrides=self.overrides, cache=self.cache
        )


NOTES: list[str] = []


@pytest.fixture(autouse=True)
def notes() -> list[str]:
    """What the dependencies of one test noted."""
    NOTES.clear()
    return NOTES


def plain() -> str:
    NOTES.append("plain")
    return "plain"


async def coroutine() -> str:
    await anyio.lowlevel.checkpoint()
    NOTES.append("coroutine")
    return "coroutine"


def generator() -> Iterator[str]:
    NOTES.append("generator in")
    try:
        yield "generator"
    finally:
        NOTES.append("generator out")


async def asyncgen(inner: Annotated[str, Depends(generator)]) -> AsyncIterator[str]:
    NOTES.append("asyncgen in")
    await anyio.lowlevel.checkpoint()
    yield f"asyncgen over {inner}"
    await anyio.lowlevel.checkpoint()
    NOTES.append("asyncgen out")


def nested(first: str = Depends(coroutine), second: str = Depends(asyncgen)) -> str:
    return f"{first}, {second}"


# Nothing to fill in


async def test_a_function_that_asks_for_values_only_is_called_bare() -> None:
    """There is nothing to add to a call, so nothing is added."""

    def double(x: int, factor: int = 2) -> int:
        return x * factor

    async with Run() as run:
        assert await run.prepare(double) is double


async def test_a_setting_that_was_tuned_is_filled_in() -> None:
    """The others keep their defaults, wherever they stand."""

    def scale(x: int, factor: int = 2, offset: int = 0, *, sign: int = 1) -> int:
        return sign * (x * factor + offset)

    async with Run() as run:
        assert (await run.prepare(scale, offset=5))(10) == 25
        assert (await run.prepare(scale, sign=-1))(10) == -20


async def test_unknown_settings_are_refused_with_the_nearest_name() -> None:
    """A misspelt setting would else be a silent no-op."""

    def scale(x: int, factor: int = 2) -> int:
        return x * factor

    async with Run() as run:
        with pytest.raises(SignatureError, match=r"'node' has no setting 'facter' \(did you mean 'factor'\?\)"):
            await run.prepare(scale, facter=5)


@pytest.mark.parametrize("order", ["inputs first", "inputs last", "positional only", "keyword only"])
async def test_arguments_reach_their_parameters_wherever_those_stand(order: str) -> None:
    """Inputs come in the order of `ports`; injected ones go to their own places."""

    def first(x: int, y: int, dep: Annotated[str, Depends(plain)], ctx: Context, k: int = 3) -> Any:
        return x, y, dep, ctx.node, k

    def last(dep: Annotated[str, Depends(plain)], ctx: Context, x: int, y: int, k: int = 3) -> Any:
        return x, y, dep, ctx.node, k

    def positional(dep: Annotated[str, Depends(plain)], x: int, /, y: int, ctx: Context, k: int = 3) -> Any:
        return x, y, dep, ctx.node, k

    def keyword(ctx: Context, *, y: int, dep: str = Depends(plain), k: int = 3, x: int) -> Any:
        return x, y, dep, ctx.node, k

    chosen = {"inputs first": first, "inputs last": last, "positional only": positional, "keyword only": keyword}[order]
    async with Run() as run:
        binding = read(chosen, name="node", inputs=("x", "y"), outputs=())
        call = await run.prepare(chosen, ("x", "y"))
        assert call(*({"x": 1, "y": 2}[port] for port in binding.ports)) == (1, 2, "plain", "node", 3)
        call = await run.prepare(chosen, ("x", "y"), k=4)
        assert call(*({"x": 1, "y": 2}[port] for port in binding.ports)) == (1, 2, "plain", "node", 4)


# Kinds of dependencies


async def test_every_kind_of_dependency_nests_and_is_cleaned_up_in_the_opposite_order() -> None:
    """Functions, coroutine functions, generators and async generators, by annotation and by default."""

    async def work(x: int, dep: Annotated[str, Depends(nested)], again: str = Depends(plain)) -> str:
        return f"{x}: {dep}, {again}"

    async with Run() as run:
        call = await run.prepare(work)
        assert await call(1) == "1: coroutine, asyncgen over generator, plain"
        assert NOTES == ["coroutine", "generator in", "asyncgen in", "plain"]
    assert NOTES[4:] == ["asyncgen out", "generator out"]


async def test_classes_methods_and_callable_objects_are_dependencies_too() -> None:
    """Whatever can be called, with dependencies of its own."""

    class Client:
        def __init__(self, dep: Annotated[str, Depends(plain)]) -> None:
            self.dep = dep

        async def __call__(self) -> str:
            return f"called {self.dep}"

        def method(self) -> str:
            return f"method {self.dep}"

    client = Client("mine")

    def work(x: int, a: Any = Depends(Client), b: Any = Depends(client), c: Any = Depends(client.method)) -> Any:
        return x, a.dep, b, c

    async with Run() as run:
        assert (await run.prepare(work))(1) == (1, "plain", "called mine", "method mine")


async def test_builtins_that_do_not_tell_their_parameters_are_called_with_nothing() -> None:
    """`Depends(dict)` makes a dict."""

    def work(x: int, memo: Any = Depends(dict)) -> Any:
        return memo

    async with Run() as run:
        assert (await run.prepare(work))(1) == {}


async def test_the_marks_of_fast_depends_itself_are_understood() -> None:
    """A user may import `Depends` from either."""

    def work(x: int, dep: Annotated[str, fast_depends.Depends(plain)]) -> str:
        return dep

    async with Run() as run:
        assert (await run.prepare(work))(1) == "plain"


async def test_annotations_never_cast() -> None:
    """A dependency that returns text stays text, whatever its parameter is annotated as."""

    def number() -> Any:
        return "7"

    def work(x: int, dep: Annotated[int, Depends(number)]) -> Any:
        return x, dep

    async with Run() as run:
        assert (await run.prepare(work))("1") == ("1", "7")


async def test_plain_dependencies_do_not_block_the_loop() -> None:
    """They run in a worker thread, so that a slow one holds up nobody's lease."""

    def where() -> Iterator[int]:
        yield threading.get_ident()

    def work(x: int, dep: Annotated[int, Depends(where)], other: Annotated[int, Depends(threading.get_ident)]) -> Any:
        return dep, other

    async with Run() as run:
        assert threading.get_ident() not in (await run.prepare(work))(1)


# The cache of a run


async def test_a_dependency_is_made_once_a_run_for_all_nodes_and_places() -> None:
    """Two nodes that ask for it share one, and the next run has its own."""
    for _ in range(2):
        async with Run() as run:
            for node in ("one", "two"):

                def work(x: int, a: Any = Depends(plain), b: Any = Depends(nested), c: Any = Depends(generator)) -> Any:
                    return a, b, c

                await run.prepare(work, node=node)
    assert sorted(NOTES) == sorted(
        ["plain", "coroutine", "generator in", "asyncgen in", "asyncgen out", "generator out"] * 2
    )


async def test_nodes_that_start_together_wait_for_the_one_that_makes_it() -> None:
    """The second to ask does not make a second one."""
    made = 0

    async def slow() -> object:
        nonlocal made
        made += 1
        await anyio.wait_all_tasks_blocked()
        return object()

    def work(x: int, dep: Annotated[object, Depends(slow)]) -> object:
        return dep

    binding = read(work, name="node", inputs=("x",), outputs=())
    found: list[object] = []
    async with Run() as run:

        async def start() -> None:
            found.append((await run.prepare(binding))(1))

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(start)
    assert made == 1
    assert found[0] is found[1] is found[2]


async def test_use_cache_false_makes_one_for_each_place_that_asks() -> None:
    """Beside a place that asks for the shared one."""

    def work(
        x: int,
        a: Annotated[str, Depends(plain)],
        b: Annotated[str, Depends(plain, use_cache=False)],
        c: Annotated[str, Depends(plain, use_cache=False)],
        d: Annotated[str, Depends(plain)],
    ) -> None: ...

    async with Run() as run:
        await run.prepare(work)
    assert NOTES == ["plain"] * 3


async def test_what_sees_a_context_belongs_to_it() -> None:
    """A cached dependency that takes the Context, itself or further down, is made once for each node and worker."""

    def label(ctx: Context) -> Context:
        return ctx

    def over(label: Annotated[Context, Depends(label)]) -> Context:
        NOTES.append("over")
        return label

    def work(x: int, dep: Annotated[Context, Depends(over)]) -> Context:
        return dep

    contexts = [Context("run", "first"), Context("run", "second"), Context("run", "second")]
    async with Run() as run:
        for context in contexts * 2:
            assert (await run.prepare(work, context=context))(1) is context
    assert NOTES == ["over"] * 3


# Overrides


async def test_an_override_takes_the_place_of_a_dependency_at_any_depth() -> None:
    """The original is not called, and the replacement has dependencies of its own."""

    async def fake(inner: Annotated[str, Depends(coroutine)]) -> str:
        return f"fake over {inner}"

    def work(x: int, dep: Annotated[str, Depends(asyncgen)]) -> str:
        return dep

    async with Run(read_overrides({generator: fake})) as run:
        assert (await run.prepare(work))(1) == "asyncgen over fake over coroutine"
    assert "generator in" not in NOTES


async def test_an_override_knows_a_function_whose_cell_ran_again() -> None:
    """The processor may still hold the function of the cell's first run."""
    first, second = {}, {}
    for space in (first, second):
        space["__name__"] = "notebook"
        exec("def get_client():\n    return 'real'", space)

    def work(x: int, dep: str = Depends(first["get_client"])) -> str:
        return dep

    async with Run({second["get_client"]: lambda: "fake"}) as run:
        assert (await run.prepare(work))(1) == "fake"


async def test_overrides_that_replace_nothing_are_found() -> None:
    """So that a start can refuse them."""

    def work(x: int, dep: Annotated[str, Depends(nested)]) -> None: ...

    binding = read(work, name="node", inputs=("x",), outputs=())
    assert unused_overrides([binding], {generator: plain, plain: coroutine}) == [plain]


async def test_an_override_that_asks_for_its_original_is_refused() -> None:
    """It would be its own replacement, for ever."""

    def wrapper(dep: Annotated[str, Depends(plain)]) -> str:
        return dep

    def work(x: int, dep: Annotated[str, Depends(plain)]) -> None: ...

    async with Run(read_overrides({plain: wrapper})) as run:
        with pytest.raises(SignatureError, match=r"depends on itself: .*wrapper -> .*wrapper"):
            await run.prepare(work)


# Failures and cleanup


async def test_a_dependency_that_fails_raises_its_own_error_and_is_tried_again_by_the_next() -> None:
    """What was entered before it is cleaned up."""

    async def broken() -> None:
        NOTES.append("broken")
        raise OSError("no server")

    def work(x: int, a: Annotated[str, Depends(generator)], b: Annotated[None, Depends(broken)]) -> None: ...

    with pytest.raises(OSError, match="no server"):  # noqa: PT012 - the run is what raises
        async with Run() as run:
            with pytest.raises(OSError, match="no server"):
                await run.prepare(work)
            await run.prepare(work)
    assert NOTES == ["generator in", "broken", "broken", "generator out"]


async def test_a_dependency_sees_the_failure_of_the_run_and_cannot_swallow_it() -> None:
    """It may roll back; the run has failed all the same."""

    async def transaction() -> AsyncIterator[None]:
        try:
            yield
        except ValueError as error:
            NOTES.append(f"rolled back: {error}")

    def lock() -> Iterator[None]:
        try:
            yield
        except ValueError:
            NOTES.append("unlocked")

    def work(x: int, a: Annotated[None, Depends(lock)], b: Annotated[None, Depends(transaction)]) -> None: ...

    with pytest.raises(ValueError, match="bad value"):  # noqa: PT012 - the run is what raises
        async with Run() as run:
            await run.prepare(work)
            raise ValueError("bad value")
    assert NOTES == ["rolled back: bad value", "unlocked"]


async def test_a_cancelled_run_still_cleans_up() -> None:
    """Plain generators in their thread, async ones with time to await."""

    async def careful() -> AsyncIterator[str]:
        try:
            yield "careful"
        finally:
            await anyio.lowlevel.checkpoint()
            NOTES.append("careful out")

    def file() -> Iterator[str]:
        try:
            yield "file"
        finally:
            NOTES.append("file out")

    def other(x: int, a: Annotated[str, Depends(file)], b: Annotated[str, Depends(careful)]) -> None: ...

    with anyio.CancelScope() as scope:
        async with Run() as run:
            await run.prepare(other)
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert NOTES == ["careful out", "file out"]


async def test_a_cleanup_that_hangs_is_given_up_when_the_run_is_cancelled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Cancelling a run ends, and the log says whose cleanup was cut short."""
    monkeypatch.setattr(inject, "CLEANUP_SECONDS", 0.01)

    async def stuck() -> AsyncIterator[str]:
        try:
            yield "stuck"
        finally:
            await anyio.sleep_forever()

    def work(x: int, dep: Annotated[str, Depends(stuck)]) -> None: ...

    with anyio.CancelScope() as scope:
        async with Run() as run:
            await run.prepare(work)
            scope.cancel()
            await anyio.sleep_forever()
    assert "stuck" in caplog.text


# Reading


def first_of_ring(x: Annotated[int, Depends(lambda: second_of_ring)]) -> int:  # replaced below
    return x


def second_of_ring(x: Annotated[int, Depends(first_of_ring)]) -> int:
    return x


first_of_ring.__annotations__["x"] = Annotated[int, Depends(second_of_ring)]


def test_a_ring_of_dependencies_is_refused_by_name() -> None:
    """When the function is bound, not when the run hangs."""

    def work(x: int, dep: Annotated[int, Depends(first_of_ring)]) -> None: ...

    with pytest.raises(SignatureError, match="itself: first_of_ring -> second_of_ring -> first_of_ring"):
        read(work, name="work", inputs=("x",), outputs=())


@pytest.mark.parametrize(
    "dependency, message",
    [
        (lambda url: url, "has a parameter 'url' that nothing fills"),
        (5, "Depends takes a function; got 5"),
    ],
)
def test_dependencies_that_cannot_be_called_are_refused_when_bound(dependency: Any, message: str) -> None:
    """The message names processor and dependency."""

    def work(x: int, dep: int = Depends(dependency)) -> None: ...

    with pytest.raises(SignatureError, match=f"processor 'work'.*{message}"):
        read(work, name="work", inputs=("x",), outputs=())


def test_two_marks_on_one_parameter_are_refused() -> None:
    """Which of them is meant cannot be known."""

    def work(x: int, dep: Annotated[str, Depends(plain)] = Depends(generator)) -> None: ...

    with pytest.raises(SignatureError, match="'dep' has 2 Depends"):
        read(work, name="work", inputs=("x",), outputs=())
