"""Processors: their options, the function bound to them, and what they show."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import cloudpickle
import pytest

from datagraph.exceptions import (
    DatagraphError,
    FloatingIOError,
    GraphError,
    InvalidNameError,
    SignatureError,
    UnknownIOError,
    UnregisteredProcessorError,
)
from datagraph.flow.fingerprint import code_version
from datagraph.flow.processor import Processor, processor
from datagraph.runtime.context import Context
from datagraph.runtime.inject import Depends
from datagraph.runtime.io import IO
from datagraph.runtime.retry import Retry
from datagraph.runtime.values import Batch, IOVal


def three() -> int:
    return 3


# Binding


def test_a_processor_decorates_its_function_and_stays_a_processor() -> None:
    """As in the first README."""
    foobar = Processor(name="foobar", inputs=["foo"], outputs=["bar"])

    @foobar
    async def _foobar(foo: IO[int], multiplier: Annotated[int, Depends(three)]) -> AsyncIterator[IOVal[int]]:
        """Multiply."""
        for i in range(await foo.first()):
            yield IOVal(name="bar", value=i * multiplier)

    assert _foobar is foobar
    assert (foobar.inputs, foobar.outputs, foobar.version) == (("foo",), ("bar",), 1)
    assert foobar.binding.shape == "stream"
    assert foobar.doc == foobar.__doc__ == "Multiply."
    assert foobar.source.lstrip().startswith("@foobar\n")
    assert repr(foobar) == "Processor('foobar', foo -> bar)"


def test_a_processor_without_a_function_says_how_to_give_one() -> None:
    """Where the function is asked for, by attribute or by call."""
    lonely = Processor("lonely", ["a"], ["b"])
    assert not lonely.bound
    for ask in (lambda: lonely.binding, lambda: lonely.function, lambda: lonely(5), lambda: lonely(a=5)):
        with pytest.raises(UnregisteredProcessorError, match=r"'lonely' has no function.*async def _lonely\(a\)"):
            ask()
    assert repr(lonely) == "Processor('lonely', a -> b)"
    assert lonely.node().attrs["shape"] == ""


def test_binding_again_redefines_and_counts_only_what_changed() -> None:
    """The same code in another place is the same version."""
    double = Processor("double", ["x"], ["y"])

    @double
    def first(x: int) -> int:
        return 2 * x

    code = double.code_version

    @double
    def same_again(x: int) -> int:
        # moved and commented
        return 2 * x

    assert (double.version, double.code_version) == (1, code)

    @double
    async def changed(x: int) -> int:
        return 3 * x

    assert (double.version, double.function.__name__) == (2, "changed")
    assert double.code_version != code


def test_a_function_that_does_not_fit_leaves_the_one_before() -> None:
    """A cell with a mistake does not break what runs."""
    double = Processor("double", ["x"], ["y"])
    double(lambda x: 2 * x)
    with pytest.raises(SignatureError):
        double(lambda z: 2 * z)
    assert (double.version, double.function(4)) == (1, 8)


def test_a_bound_processor_called_with_values_calls_its_function() -> None:
    """And one called with a function binds it."""
    double = Processor("double", ["x"], ["y"])
    double(functools.partial(lambda x, factor: factor * x, factor=2))
    assert double(4) == 8
    assert double(x=5) == 10


def test_callable_objects_bind_too() -> None:
    """A model that is loaded once, say."""

    class Model:
        def __call__(self, x: int) -> int:
            return x + 1

    adder = Processor("adder", ["x"], ["y"])
    assert adder(Model()) is adder
    assert adder(1) == 2
    assert adder.source == ""


# @processor


def test_the_decorator_reads_name_inputs_and_output_from_the_function() -> None:
    """The short way."""

    @processor
    def words(text: str) -> int:
        """Count them."""
        return len(text.split())

    assert (words.name, words.inputs, words.outputs) == ("words", ("text",), ("words",))
    assert (words.binding.shape, words.runs_in, words.version) == ("value", "thread", 1)
    assert words("a b c") == 3
    assert words(text="a b") == 2
    assert words.__name__ == "words"


def test_the_decorator_takes_the_options_of_a_processor() -> None:
    """Those it is given say otherwise than the function."""

    @processor(name="load", outputs=(), capacity=200, retries=Retry(3), concurrency=4, timeout=2)
    async def _load(row: dict[str, int], ctx: Context, table: str = "t") -> None: ...

    assert (_load.name, _load.inputs, _load.outputs, _load.capacity) == ("load", ("row",), (), 200)
    assert (_load.retry, _load.concurrency, _load.timeout, _load.runs_in) == (Retry(3), 4, 2.0, "async")
    assert repr(_load) == "Processor('load', row ->)"


def test_a_coroutine_function_is_called_as_one() -> None:
    """Calling it gives the coroutine."""

    @processor
    async def slow(x: int) -> int:
        return x

    coroutine = slow(3)
    with pytest.raises(StopIteration) as stop:
        coroutine.send(None)
    assert stop.value.value == 3


def test_a_decorated_function_may_take_functions_as_values() -> None:
    """It is bound for good, so a function is a value like any other."""

    @processor
    def called(f: Callable[[], int]) -> int:
        return f()

    assert called(three) == 3
    assert called.version == 1


def test_a_call_without_what_a_run_would_fill_in_says_so() -> None:
    """Instead of calling the function with the mark itself."""

    @processor
    def work(x: int, n: int = Depends(three)) -> int:
        return x * n

    assert work(2, n=4) == 8
    assert work(2, 5) == 10
    with pytest.raises(SignatureError, match=r"without 'n'.*work.test"):
        work(2)
    with pytest.raises(TypeError, match="missing"):
        work(n=3)


def test_what_has_no_name_needs_one() -> None:
    """A lambda, or a partial."""
    with pytest.raises(SignatureError, match="has no name"):
        processor(lambda x: x)
    assert processor(name="same")(lambda x: x).name == "same"
    with pytest.raises(SignatureError, match="got 5"):
        processor(5)  # type: ignore[call-overload]


# Options


@pytest.mark.parametrize(
    "options, message",
    [
        ({"inputs": "abc"}, r"inputs is one text, 'abc'; pass a list: inputs=\['abc'\]"),
        ({"outputs": "abc"}, r"pass a list: outputs=\['abc'\]"),
        ({"inputs": 5}, r"inputs is a list of names; got 5"),
        ({"inputs": {"a": 1}}, r"inputs is a list of names"),
        ({"inputs": ["a", "a"]}, r"inputs has 'a' twice"),
        ({"inputs": ["not-a-name"]}, r"'not-a-name' cannot be"),
        ({"inputs": ["class"]}, r"'class' cannot be"),
        ({"outputs": ["a:b"]}, r"holds ':'"),
        ({"outputs": [""]}, r"must not be empty"),
        ({"outputs": [5]}, r"is text; got"),
        ({"concurrency": 0}, r"concurrency is a whole number, 1 or more; got 0"),
        ({"concurrency": True}, r"concurrency is a whole number"),
        ({"workers": 1.5}, r"workers is a whole number, 1 or more; got 1.5"),
        ({"capacity": 0}, r"capacity is a whole number, 1 or more; got 0"),
        ({"timeout": 0}, r"timeout is seconds above 0.*got 0"),
        ({"timeout": float("nan")}, r"timeout is seconds above 0"),
        ({"rate": -1}, r"rate is attempts a second above 0.*got -1"),
        ({"rate": "fast"}, r"rate is attempts a second above 0.*got 'fast'"),
        ({"retries": -1}, r"retries is a whole number, 0 or more, or Retry\(...\); got -1"),
        ({"retries": True}, r"retries is"),
        ({"wait": 1}, r"wait is True or False; got 1"),
        ({"ordered": None}, r"ordered is True or False; got None"),
        (
            {"on_error": "dead_leter"},
            r"on_error is one of 'fail', 'dead_letter', 'skip', 'pause'; got .* mean 'dead_letter'",
        ),
        ({"state": "local"}, r"state is one of 'locals', 'context', 'none'; got 'local'"),
        ({"state": ["locals"]}, r"state is one of"),
        ({"executor": "process"}, r"executor is an object such as ProcessExecutor\(\).*got 'process'"),
    ],
)
def test_options_that_cannot_be_are_refused_with_what_was_given(options: dict[str, Any], message: str) -> None:
    """When the processor is made, by one error that is a ValueError and ours."""
    with pytest.raises(GraphError, match=message) as caught:
        Processor("node", **options)
    assert isinstance(caught.value, DatagraphError | ValueError)


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 200, "in:foo", None])
def test_names_that_cannot_be_are_refused(name: Any) -> None:
    """By the one rule for names."""
    with pytest.raises(InvalidNameError):
        Processor(name)


def _stream(x: IO[int]) -> Iterator[int]:
    yield 1


def _value(x: int) -> int:
    return x


def _values(x: int, y: int) -> int:
    return x + y


def _batch(x: Annotated[list[int], Batch(10)]) -> int:
    return len(x)


def _source() -> Iterator[int]:
    yield 1


def _make(function: Any, **options: Any) -> Processor:
    inputs = [name for name in ("x", "y") if name in function.__annotations__]
    return processor(name="node", inputs=inputs, **options)(function)


@pytest.mark.parametrize("option", ["concurrency", "workers"])
@pytest.mark.parametrize(
    "function, more, reason",
    [
        (_stream, {}, r"reads the stream x itself \(IO\)"),
        (_stream, {"state": "none"}, r"reads the stream x itself \(IO\)"),
        (_values, {}, r"zips 2 inputs \(x, y\)"),
        (_batch, {}, r"takes batches"),
        (_source, {}, r"has no input"),
        (_value, {"state": "context"}, r"keeps state in its context"),
    ],
)
def test_several_at_once_are_refused_with_the_reason(
    option: str, function: Any, more: dict[str, Any], reason: str
) -> None:
    """Where order or state would be lost."""
    with pytest.raises(SignatureError, match=rf"{option}=2 is for functions of one input.*this one {reason}"):
        _make(function, **{option: 2}, **more)
    assert _make(_value, **{option: 2}, state="none").state == "none"


def test_a_function_called_value_by_value_keeps_no_locals() -> None:
    """The default, "locals", says nothing about it; only streams are read from within."""
    assert [_make(f).state for f in (_stream, _value, _values, _batch, _source)] == [
        "locals",
        "none",
        "none",
        "none",
        "locals",
    ]
    assert _make(_value, state="context").state == "context"


@pytest.mark.parametrize("on_error", ["dead_letter", "skip"])
def test_going_on_after_a_failure_is_refused_where_locals_would_be_lost(on_error: str) -> None:
    """A stream function that keeps nothing, or only its context, may."""
    with pytest.raises(SignatureError, match=rf"on_error='{on_error}'.*locals is lost.*state=\"none\""):
        _make(_stream, on_error=on_error)
    for function in (_value, _values, _batch):
        assert _make(function, on_error=on_error).on_error == on_error
    for state in ("none", "context"):
        assert _make(_stream, on_error=on_error, state=state).on_error == on_error


def test_retries_are_a_number_or_a_retry() -> None:
    """`retries=3` is `Retry(3)`."""
    assert Processor("node", retries=3).retry == Processor("other", retries=Retry(3)).retry
    assert Processor("node").retry.attempts == 0


# What others see


def test_the_node_tells_names_types_and_facts_that_go_through_json() -> None:
    """Nothing of the function itself is in it."""

    class Farm:
        name = "farm"

    @processor(
        executor=Farm(), concurrency=3, retries=2, timeout=1.5, rate=10, on_error="skip", capacity=7, ordered=False
    )
    def words(text: str, least: int = 1) -> dict[str, int]:
        """Count words.

        More about it.
        """
        return {}

    node = words.node()
    assert [(port.name, port.type) for port in node.inputs] == [("text", "str")]
    assert [(port.name, port.type) for port in node.outputs] == [("words", "dict[str, int]")]
    attrs = json.loads(json.dumps(dict(node.attrs)))
    assert attrs.pop("source").rpartition(":")[0] == __file__
    assert attrs.pop("code_version") == words.code_version
    assert attrs == {
        "wait": False,
        "concurrency": 3,
        "workers": 1,
        "ordered": False,
        "executor": "farm",
        "capacity": 7,
        "retries": 2,
        "timeout": 1.5,
        "rate": 10.0,
        "on_error": "skip",
        "state": "none",
        "shape": "value",
        "flavour": "function",
        "runs_in": "thread",
        "settings": ["least"],
        "doc": "Count words.",
        "version": 1,
    }


def test_the_card_of_a_cell_says_what_the_processor_is_and_escapes_names() -> None:
    """Names are untrusted text."""

    @processor
    def words(text: str) -> int:
        """<b>bold</b>"""
        return 1

    card = words._repr_mimebundle_()
    assert card["text/plain"] == "text -> words, thread, concurrency 1"
    assert "&lt;b&gt;bold" in card["text/html"]
    odd = Processor("<script>alert(1)</script>", ["x"], ["<img>"], workers=2)
    card = odd._repr_mimebundle_()
    assert card["text/plain"] == "x -> <img>, no function yet, concurrency 1, workers 2"
    assert "<script>" not in card["text/html"]
    assert "<img>" not in card["text/html"]


def test_test_refuses_names_that_are_no_input_or_setting() -> None:
    """Before anything runs."""

    @processor
    def words(text: str, least: int = 1) -> int:
        return 1

    with pytest.raises(UnknownIOError, match=r"neither an input nor a setting 'txt' \(did you mean 'text'\?\)"):
        words.test(txt=["a"])
    with pytest.raises(FloatingIOError, match="needs values for text") as caught:
        words.test(least=3)
    assert caught.value.names == ("text",)


NOTEBOOK = """
import sys
from typing import Annotated
import cloudpickle
from datagraph.flow.processor import Processor, processor
from datagraph.runtime.inject import Depends
def three(): return 3
unit = 2
@processor(retries=2)
def work(x: int, n: Annotated[int, Depends(three)], k: int = 1) -> int:
    return x * n * unit
sys.stdout.buffer.write(cloudpickle.dumps(work))
"""


def test_a_processor_of_a_notebook_travels_to_another_process() -> None:
    """By value, with its function, its dependencies and its version."""
    root = str(Path(__file__).parents[2])
    sent = subprocess.run([sys.executable, "-c", NOTEBOOK], cwd=root, capture_output=True, check=True, timeout=60)
    work = cloudpickle.loads(sent.stdout)
    assert work(5, 3) == 30
    assert (work.name, work.inputs, work.version, work.retry) == ("work", ("x",), 1, Retry(2))
    assert work.binding.dependencies["n"].function() == 3
    assert work.code_version == code_version(work.function)


def test_importing_processors_loads_nothing_heavy() -> None:
    """fast-depends, which loads pydantic, comes with the first `Depends`."""
    script = (
        "import sys, datagraph.flow.processor as p\n"
        "@p.processor\ndef f(x: int): return x\n"
        "print([m for m in ('fast_depends', 'pydantic', 'pandas', 'ipywidgets', 'asyncio') if m in sys.modules])"
    )
    root = str(Path(__file__).parents[2])
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, check=True, text=True, timeout=60
    )
    assert "fast_depends" not in found.stdout
    assert "pydantic" not in found.stdout
    assert "pandas" not in found.stdout


# Code versions


def _compile(source: str, **names: Any) -> Any:
    space: dict[str, Any] = {"Depends": Depends, **names}
    exec(compile(source, "<cell>", "exec", dont_inherit=True), space)
    return space["f"]


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("def f(x): return x + 1", "\n\n# note\ndef f(x):\n    return x + 1  # note", True),
        ("def f(x): return x + 1", "def f(x): return x + 2", False),
        ("def f(x): return x + 1", "def f(x): return x - 1", False),
        ("def f(x): return x.a", "def f(x): return x.b", False),
        ("def f(x, k=1): return k", "def f(x, k=2): return k", False),
        ("def f(x, *, k=1): return k", "def f(x, *, k=2): return k", False),
        ("def f(x: int): return x", "def f(x: str): return x", False),
        ("def f(x): return x", "async def f(x): return x", False),
        ("def f(x): return [y + 1 for y in x]", "def f(x): return [y + 2 for y in x]", False),
        ("def f(x): return x in {1, 'a', 2.5}", "def f(x): return x in {2.5, 1, 'a'}", True),
        ("def f(x): return 1", "def f(x): return True", False),
        (
            "def make(n):\n def f(x): return n\n return f\nf = make(1)",
            "def make(n):\n def f(x): return n\n return f\nf = make(2)",
            False,
        ),
        ("def f(x, k=object()): return k", "def f(x, k=object()): return k", True),
        (
            "def g(): return 1\ndef f(x, k=Depends(g)): return k",
            "def g(): return 2\ndef f(x, k=Depends(g)): return k",
            False,
        ),
    ],
)
def test_a_code_version_changes_with_what_the_function_does(one: str, other: str, same: bool) -> None:
    """Not with where it stands."""
    assert (code_version(_compile(one)) == code_version(_compile(other))) is same


def test_a_recursive_function_has_a_code_version() -> None:
    """It holds itself in its closure."""

    def make() -> Any:
        def f(x: int) -> int:
            return 0 if x == 0 else f(x - 1)

        return f

    assert code_version(make()) == code_version(make())


def test_a_code_version_is_the_same_in_another_process() -> None:
    """Text is hashed differently in each process; the version is not."""
    source = "def f(x, k=('a', 1)): return x in {'a', 'b', 'c', 'd'}"
    script = f"from datagraph.flow.fingerprint import code_version\n{source}\nprint(code_version(f))"
    root = str(Path(__file__).parents[2])
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, check=True, text=True, timeout=60
    )
    assert found.stdout.strip() == code_version(_compile(source))
