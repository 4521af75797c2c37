"""What a function's parameters are taken for."""

from __future__ import annotations

import functools
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd
import pytest

from datagraph.exceptions import SignatureError
from datagraph.flow.signature import input_names, read
from datagraph.runtime.context import Context
from datagraph.runtime.inject import Binding, Depends
from datagraph.runtime.io import IO
from datagraph.runtime.types import type_text
from datagraph.runtime.values import Batch, IOVal

if TYPE_CHECKING:
    from .nowhere import Model


def dependency() -> int:
    return 3


def bound(function: Callable[..., Any], *inputs: str, outputs: tuple[str, ...] = ("out",)) -> Binding:
    return read(function, name="node", inputs=inputs, outputs=outputs)


# Shapes


def test_the_function_of_the_first_readme_is_a_stream_function() -> None:
    """`IO[T]` named after an input is a stream; what Depends marks is injected; the types are told."""

    async def _foobar(foo: IO[int], multiplier: Annotated[int, Depends(dependency)]) -> AsyncIterator[IOVal[int]]:
        yield IOVal(name="bar", value=await foo.first() * multiplier)

    binding = read(_foobar, name="foobar", inputs=["foo"], outputs=["bar"])
    assert (binding.shape, binding.flavour, binding.ports) == ("stream", "asyncgen", ("foo",))
    assert (binding.port_types, binding.output_types) == ({"foo": int}, {"bar": int})
    assert binding.dependencies["multiplier"].function is dependency
    assert not binding.has_context
    assert binding.location.partition(":")[0].endswith("test_signature.py")


def test_parameters_of_other_types_make_a_function_of_values() -> None:
    """With or without annotations, one input or several."""

    def one(text): ...  # type: ignore[no-untyped-def]

    def two(b: int, a: str, limit: int = 5) -> float: ...  # type: ignore[empty-body]

    assert bound(one, "text").shape == "value"
    binding = bound(two, "a", "b")
    assert (binding.shape, binding.ports, binding.settings) == ("value", ("b", "a"), {"limit": 5})
    assert {port: type_text(kind) for port, kind in binding.port_types.items()} == {"b": "int", "a": "str"}
    assert binding.output_types == {"out": float}


@pytest.mark.parametrize(
    "annotation, frame, text",
    [
        (Annotated[list[int], Batch(10, within=1.0)], False, "int"),
        (Annotated[list, Batch(10, within=1.0)], False, ""),
        (Annotated[int, Batch(10, within=1.0)], False, "int"),
        (Annotated[pd.DataFrame, Batch(10, within=1.0)], True, ""),
    ],
)
def test_a_batch_is_a_list_or_a_frame(annotation: Any, frame: bool, text: str) -> None:
    """The port's type is that of one value, which a frame does not tell."""

    def load(rows: annotation) -> None: ...

    binding = bound(load, "rows", outputs=())
    assert (binding.shape, binding.batch, binding.batch_frame) == ("batch", Batch(10, within=1.0), frame)
    assert type_text(binding.port_types["rows"]) == text


def test_a_function_without_inputs_is_a_source() -> None:
    """It is a stream function with no ports."""

    def count(stop: int = 3) -> Iterator[int]:
        yield from range(stop)

    binding = bound(count)
    assert (binding.shape, binding.flavour, binding.ports, binding.settings) == ("stream", "generator", (), {"stop": 3})


def test_flavours_tell_how_a_function_is_run() -> None:
    """Also through partials and callable objects."""

    async def coroutine(x: int, k: int = 1) -> None: ...

    async def asyncgen(x: int) -> AsyncIterator[int]:
        yield x

    def generator(x: int) -> Iterator[int]:
        yield x

    class Model:
        def __call__(self, x: int) -> int:
            return x

        async def method(self, x: int) -> int:
            return x

    functions = [coroutine, asyncgen, generator, Model(), Model().method, functools.partial(coroutine, k=2), str.upper]
    names = ["x"] * 6 + ["self"]
    found = [bound(function, name).flavour for function, name in zip(functions, names, strict=True)]
    assert found == ["coroutine", "asyncgen", "generator", "function", "coroutine", "coroutine", "function"]


def test_a_wrapped_function_is_read_as_the_one_within() -> None:
    """`functools.wraps` keeps parameters, annotations and where they are looked up."""

    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return call

    @logged
    def work(x: IO[int], dep: Annotated[int, Depends(dependency)]) -> None: ...

    binding = bound(work, "x")
    assert (binding.shape, list(binding.dependencies)) == ("stream", ["dep"])


def test_optional_and_bare_streams_are_streams() -> None:
    """In each way of writing them."""

    def work(a: IO, b: IO[int] | None, c: IO[str] | None, d: Annotated[IO[float], "metres"] = None) -> None: ...  # type: ignore[type-arg, assignment]

    binding = bound(work, "a", "b", "c", "d")
    assert binding.shape == "stream"
    assert [type_text(binding.port_types[port]) for port in "abcd"] == ["", "int", "str", "float"]


def test_the_context_is_known_by_its_annotation() -> None:
    """Whatever the parameter is called, and also where it may be None."""

    def work(x: int, ctx: Context, other: Context | None = None) -> None: ...

    binding = bound(work, "x")
    assert binding.contexts == ("ctx", "other")
    assert binding.has_context
    assert binding.settings == {}


def test_the_inputs_of_a_function_are_its_parameters_without_default() -> None:
    """Without those that a run fills in otherwise."""

    def work(
        a: int, b: IO[int], ctx: Context, c: Annotated[int, Depends(dependency)], d: int = 3, *, e: str
    ) -> None: ...

    assert input_names(work, name="work") == ("a", "b", "e")


# Where annotations are looked up


LOCAL_SOURCE = """
from __future__ import annotations
from typing import Annotated
from datagraph.flow.signature import read
from datagraph.runtime.inject import Depends
from datagraph.runtime.io import IO

def get():
    return 1

def work(x: IO[int], dep: Annotated[int, Depends(get)]): ...

binding = read(work, name="work", inputs=["x"], outputs=["out"])

def outer():
    def local():
        return 2
    def middle():
        class Row: ...
        def inner(x: IO[Row], dep: Annotated[int, Depends(local)]): ...
        return read(inner, name="inner", inputs=["x"], outputs=["out"])
    return middle()

nested = outer()
"""


@pytest.mark.parametrize("where", ["module", "cell", "split namespaces"])
def test_text_annotations_are_found_wherever_the_function_stands(where: str, tmp_path: Path) -> None:
    """In a module, a notebook cell, and inside functions, where a text annotation makes no closure."""
    code = compile(LOCAL_SOURCE, str(tmp_path / "cell.py"), "exec", dont_inherit=True)
    space: dict[str, Any] = {"__name__": "__main__"}
    if where == "module":
        module = ModuleType("somewhere")
        exec(code, module.__dict__)
        space = module.__dict__
    elif where == "cell":
        exec(code, space)
    else:
        # As IPython's %%time and debuggers do it; functions see globals only, so only the direct one can be read.
        exec(LOCAL_SOURCE.partition("def outer")[0], {"__name__": "__main__"}, space)
    assert space["binding"].dependencies["dep"].function is space["get"]
    if where != "split namespaces":
        nested = space["nested"]
        assert nested.dependencies["dep"].function() == 2
        assert type_text(nested.port_types["x"]) == "Row"


def test_names_of_other_frames_are_not_taken_for_the_functions_own() -> None:
    """A caller's local of the same name is somebody else's."""

    def caller() -> Binding:
        dependency = 5  # noqa: F841 - the trap
        return bound(standing_elsewhere, "x")

    assert caller().dependencies["dep"].function is dependency


def standing_elsewhere(x: int, dep: Annotated[int, Depends(dependency)]) -> int:
    return x


def test_what_only_type_checkers_import_is_known_by_its_text() -> None:
    """`IO[...]` is a stream and `Context` the context even then; any other type is only shown."""

    def streams(x: IO[Model], ctx: Context) -> AsyncIterator[IOVal[Model]]: ...  # type: ignore[empty-body]

    def hidden(x: int, ctx: int) -> None: ...

    def values(x: Model) -> Model: ...  # type: ignore[empty-body]

    binding = bound(streams, "x")
    assert (binding.shape, binding.contexts) == ("stream", ("ctx",))
    assert type_text(binding.port_types["x"]) == "Model"
    hidden.__annotations__ = {"x": "unknown.IO[Model]", "ctx": "unknown.Context | None"}
    binding = bound(hidden, "x")
    assert (binding.shape, binding.contexts) == ("stream", ("ctx",))
    assert type_text(binding.port_types["x"]) == "Model"
    assert type_text(bound(values, "x").port_types["x"]) == "Model"


def test_marks_that_cannot_be_evaluated_are_an_error_that_says_so() -> None:
    """Leaving them out would run the function without what it asks for."""

    def depends(x: int, dep: Annotated[int, Depends(nowhere)]) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    def batch(x: Annotated[list[Model], Batch(10)]) -> None: ...

    with pytest.raises(SignatureError, match=r"annotation of 'dep'.*cannot be evaluated.*'nowhere' is not defined"):
        bound(depends, "x")
    with pytest.raises(SignatureError, match=r"annotation of 'x'.*Batch\(10\).*cannot be evaluated"):
        bound(batch, "x")


def test_a_forward_reference_inside_a_type_does_not_hide_the_type() -> None:
    """`IO["Later"]` is a stream of Later."""

    def work(x) -> None: ...  # type: ignore[no-untyped-def]

    work.__annotations__["x"] = IO["Later"]  # type: ignore[name-defined]
    binding = bound(work, "x")
    assert binding.shape == "stream"
    assert type_text(binding.port_types["x"]) == "Later"


# What does not fit


def _mixed(a: IO[int], b: int) -> None: ...
def _batch_and_value(a: Annotated[list[int], Batch(3)], b: int) -> None: ...
def _two_batches(a: Annotated[list[int], Batch(3)], b: Annotated[list[int], Batch(3)]) -> None: ...
def _stream_and_batch(a: Annotated[IO[int], Batch(3)]) -> None: ...
def _class_batch(a: Annotated[list[int], Batch]) -> None: ...
def _stars(a: int, *others: int) -> None: ...
def _double_stars(a: int, **others: int) -> None: ...
def _misspelt(texts: str) -> None: ...
def _extra(a: int, unrelated: int) -> None: ...
def _foreign_stream(a: int, lots: IO[int]) -> None: ...
def _file(a: typing.IO[str]) -> None: ...
def _context_input(a: Context) -> None: ...
def _depends_input(a: int = Depends(dependency)) -> None: ...
def _nothing() -> None: ...


@pytest.mark.parametrize(
    "function, inputs, message",
    [
        (_mixed, "a b", r"'node' mixes streams \(a\) with inputs taken value by value \(b\)"),
        (_batch_and_value, "a b", r"batch \(a\), so that has to be its only input; got a, b"),
        (_two_batches, "a b", r"batch \(a, b\), so that has to be its only input"),
        (_stream_and_batch, "a", r"'a' is a stream and a Batch: iterate a.batches\(3\)"),
        (_class_batch, "a", r"Batch needs a size"),
        (_stars, "a", r"\*others cannot be filled"),
        (_double_stars, "a b", r"\*\*others cannot be filled"),
        (_misspelt, "text", r"parameter 'texts' is no input \(did you mean 'text'\?\); its inputs: text"),
        (_extra, "a", r"parameter 'unrelated' is no input; its inputs: a. A setting needs a default"),
        (_foreign_stream, "a", r"'lots' is a stream but no input"),
        (_file, "a", r"typing.IO, a file: use datagraph.IO"),
        (_context_input, "a", r"'a' is annotated as Context, but it is an input"),
        (_depends_input, "a", r"'a' is marked with Depends, but it is an input"),
        (_nothing, "a b", r"no parameter for inputs 'a', 'b'"),
        (5, "a", r"is bound to a function; got 5"),
    ],
)
def test_a_function_that_does_not_fit_is_refused_with_the_reason(function: Any, inputs: str, message: str) -> None:
    """What is wrong, what was given, what to do."""
    with pytest.raises(SignatureError, match=message):
        bound(function, *inputs.split())


def test_a_declared_input_that_is_misspelt_as_a_setting_is_suggested() -> None:
    """A parameter with a default is a setting, but not when it was meant to be the input."""

    def work(texts: str = "") -> None: ...

    with pytest.raises(SignatureError, match=r"no parameter for input 'text' \(did you mean 'texts'\?\)"):
        bound(work, "text")
