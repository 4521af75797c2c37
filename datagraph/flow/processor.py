"""The processor: a named piece of work with named streams in and out, and the function that does it."""

from __future__ import annotations

import functools
import html
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack, overload

from ..exceptions import FloatingIOError, SignatureError, UnknownIOError, UnregisteredProcessorError
from ..graph.check import check_name, suggest
from ..graph.model import Node, Port
from ..runtime.inject import Binding
from ..runtime.retry import Retry
from ..runtime.types import type_text
from ..runtime.work import OnError, StateMode
from . import options as check
from .fingerprint import code_version
from .known import defined
from .options import Options
from .signature import input_names, read

Function = Callable[..., Any]


class Processor:
    """A named piece of work that reads the streams `inputs` and writes the streams `outputs`; decorates its function.

    Args:
        name: what the node is called.
        inputs: names of the streams it reads; each is a parameter of the function.
        outputs: names of the streams it writes.
        wait: start only when every input of its own is complete.
        concurrency: values in flight in one worker; `workers`: copies of it. Above 1 both are for functions of one
            input that are called value by value and keep nothing.
        ordered: keep the order of the values where several are in flight.
        executor: where it runs; None for the supervisor's.
        capacity: values that may wait on each input edge before its writer is held back; None for the default.
        retries: how often a failed attempt is made again, a number or `Retry`.
        timeout: seconds an attempt may take; None for no limit.
        rate: attempts a second over all workers; None for no limit.
        on_error: after the last attempt "fail" the run, put the value among the "dead_letter"s, "skip" it, or "pause".
        state: what it keeps from value to value: anything in its "locals", ``ctx.state`` ("context"), or "none".

    Raises GraphError for a value that cannot be, and, when a function is bound, SignatureError for one that does not
    fit.

    >>> double = Processor("double", inputs=["number"], outputs=["twice"])
    >>> @double
    ... def _double(number: int) -> int:
    ...     return 2 * number
    >>> double
    Processor('double', number -> twice)
    """

    def __init__(
        self,
        name: str,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        *,
        wait: bool = False,
        concurrency: int = 1,
        workers: int = 1,
        ordered: bool = True,
        executor: Any = None,
        capacity: int | None = None,
        retries: int | Retry = 0,
        timeout: float | None = None,
        rate: float | None = None,
        on_error: OnError = "fail",
        state: StateMode = "locals",
    ) -> None:
        self.name = check_name("processor", name)
        where = f"processor {name!r}"
        self.inputs = check.stream_names(where, "inputs", inputs)
        self.outputs = check.stream_names(where, "outputs", outputs)
        self.wait = check.flag(where, "wait", wait)
        self.concurrency = check.whole(where, "concurrency", concurrency)
        self.workers = check.whole(where, "workers", workers)
        self.ordered = check.flag(where, "ordered", ordered)
        self.executor = check.executor(where, executor)
        self.capacity = None if capacity is None else check.whole(where, "capacity", capacity)
        self.retry = check.retry(where, retries)
        self.timeout = check.above_zero(where, "timeout", timeout, "seconds")
        self.rate = check.above_zero(where, "rate", rate, "attempts a second")
        self.on_error: OnError = check.choice(where, "on_error", on_error, OnError)
        self.version = 0
        self.code_version = ""
        self.source = ""
        self._state: StateMode = check.choice(where, "state", state, StateMode)
        self._binding: Binding | None = None
        self._calls = False

    # The function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Bind the function given; one made by ``@processor`` calls its function with these values instead."""
        if not self._calls and len(args) == 1 and not kwargs and self._would_bind(args[0]):
            self.bind(args[0])
            return self
        function = self.function
        for name, default in self._marked(args, kwargs):
            raise SignatureError(
                f"{self.name!r} was called without {name!r}, which a run fills with {default!r}: "
                f"pass {name}=..., or use {self.name}.test(...)"
            )
        return function(*args, **kwargs)

    def _would_bind(self, value: Any) -> bool:
        if self._binding is None:
            return callable(value)
        return inspect.isroutine(value) or isinstance(value, functools.partial | Processor)

    def bind(self, function: Function) -> None:
        """Make `function` what the processor does; `version` grows if it does something else than the one before.

        Raises SignatureError where it does not fit; then the function before stays.
        """
        if isinstance(function, Processor):
            function = function.function
        binding = read(function, name=self.name, inputs=self.inputs, outputs=self.outputs)
        check.check_fit(
            f"processor {self.name!r}",
            binding,
            concurrency=self.concurrency,
            workers=self.workers,
            on_error=self.on_error,
            state=self._state,
        )
        version = code_version(function)
        if version != self.code_version:
            self.version += 1
        self.code_version = version
        self._binding = binding
        self.source = _source(function)
        functools.update_wrapper(self, function, updated=())
        defined(self)

    @property
    def bound(self) -> bool:
        """Whether it has a function in this process."""
        return self._binding is not None

    @property
    def binding(self) -> Binding:
        """What is known of the function; UnregisteredProcessorError where there is none."""
        if self._binding is None:
            parameters = ", ".join(self.inputs)
            raise UnregisteredProcessorError(
                f"processor {self.name!r} has no function in this process: decorate one with the processor "
                f"(async def _{self.name}({parameters}): ...), or import the module that does"
            )
        return self._binding

    @property
    def function(self) -> Function:
        """The function that does the work; UnregisteredProcessorError where there is none."""
        return self.binding.function

    @property
    def doc(self) -> str:
        """The function's docstring, or ''."""
        return self._binding.doc if self._binding else ""

    @property
    def state(self) -> StateMode:
        """What is kept from value to value: "none" for functions that are called anew for each."""
        return check.effective_state(self._state, self._binding)

    @property
    def runs_in(self) -> str:
        """Where calls go: the "async" event loop or a worker "thread"; "" while no function is bound."""
        if self._binding is None:
            return ""
        return "async" if self._binding.flavour in {"asyncgen", "coroutine"} else "thread"

    def test(
        self,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        overrides: Mapping[Function, Function] | None = None,
        **values: Any,
    ) -> Any:
        """Run it on lists, ``words.test(text=["a b", "c"])``, without a store or a server.

        Args:
            inputs: the values of each input by name, where a keyword will not do.
            overrides: replacements of dependencies, {original: replacement}.
            **values: the values of inputs, and settings, by name.

        Returns the list of what it put out; a dict of lists by name where it has several outputs.
        Raises FloatingIOError for inputs not given, UnknownIOError for names it does not have, and what the function
        raises.
        """
        given = {**(inputs or {}), **values}
        settings = {name: given.pop(name) for name in self.binding.settings if name in given}
        for name in given:
            if name not in self.inputs:
                hint = suggest(name, (*self.inputs, *self.binding.settings))
                raise UnknownIOError(f"{self.name!r} has neither an input nor a setting {name!r}{hint}")
        missing = tuple(name for name in self.inputs if name not in given)
        if missing:
            raise FloatingIOError(f"test of {self.name!r} needs values for {', '.join(missing)}", missing)
        from .testing import run_processor  # it stands on the engine, and so above this file

        return run_processor(self, given, settings=settings, overrides=overrides or {})

    def _marked(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """Parameters that would be called with a `Depends` itself."""
        if not self.binding.dependencies:
            return []
        signature = inspect.signature(self.function)
        try:
            given = signature.bind_partial(*args, **kwargs).arguments
        except TypeError:  # the call itself says it better
            return []
        defaults = {name: signature.parameters[name].default for name in self.binding.dependencies}
        return [(n, d) for n, d in defaults.items() if d is not inspect.Parameter.empty and n not in given]

    # As others see it

    def node(self) -> Node:
        """The processor as a node of a graph: names and facts, without the function."""
        binding = self._binding
        reads = binding.port_types if binding else {}
        writes = binding.output_types if binding else {}
        return Node(
            name=self.name,
            inputs=tuple(Port(name, _text(reads, name)) for name in self.inputs),
            outputs=tuple(Port(name, _text(writes, name)) for name in self.outputs),
            attrs={
                "wait": self.wait,
                "concurrency": self.concurrency,
                "workers": self.workers,
                "ordered": self.ordered,
                "executor": _executor_name(self.executor),
                "capacity": self.capacity,
                "retries": self.retry.attempts,
                "timeout": self.timeout,
                "rate": self.rate,
                "on_error": self.on_error,
                "state": self.state,
                "shape": binding.shape if binding else "",
                "flavour": binding.flavour if binding else "",
                "runs_in": self.runs_in,
                "settings": sorted(binding.settings) if binding else [],
                "doc": self.doc.partition("\n")[0],
                "source": binding.location if binding else "",
                "version": self.version,
                "code_version": self.code_version,
            },
        )

    def __repr__(self) -> str:
        return f"Processor({self.name!r}, {self._arrow()})"

    def _arrow(self) -> str:
        return f"{', '.join(self.inputs)} -> {', '.join(self.outputs)}".strip()

    def _card(self) -> str:
        where = _executor_name(self.executor) or self.runs_in or "no function yet"
        parts = [self._arrow(), where, f"concurrency {self.concurrency}"]
        if self.workers > 1:
            parts.append(f"workers {self.workers}")
        return ", ".join(parts)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        doc = html.escape(self.doc.partition("\n")[0])
        card = (
            '<div style="display:inline-block;border:1px solid currentColor;border-radius:6px;padding:4px 10px">'
            f"<b>{html.escape(self.name)}</b> <code>{html.escape(self._card())}</code>"
            f"{f'<br><small>{doc}</small>' if doc else ''}</div>"
        )
        return {"text/plain": self._card(), "text/html": card}


@overload
def processor(function: Function, /) -> Processor: ...


@overload
def processor(*, name: str | None = None, **options: Unpack[Options]) -> Callable[[Function], Processor]: ...


def processor(
    function: Function | None = None, /, *, name: str | None = None, **options: Unpack[Options]
) -> Processor | Callable[[Function], Processor]:
    """Make a processor of a function: its name, its inputs, and one output named like it.

    The inputs are the parameters without default that are neither `Depends` nor `Context`. `name` and `options` are
    those of `Processor` and say otherwise; ``outputs=()`` makes a sink. The result, called with values, calls the
    function.

    Raises what `Processor` raises.

    >>> @processor
    ... def words(text: str) -> int:
    ...     return len(text.split())
    >>> words, words("a b c")
    (Processor('words', text -> words), 3)
    """
    if function is None:
        return lambda function: _make(function, name, options)
    if not callable(function):
        raise SignatureError(f"@processor decorates a function; got {function!r}")
    return _make(function, name, options)


def _make(function: Function, name: str | None, options: Options) -> Processor:
    if isinstance(function, Processor):
        function = function.function
    name = check.function_name(function) if name is None else name
    given: dict[str, Any] = {"inputs": None, "outputs": (name,), **options}
    if given["inputs"] is None:
        given["inputs"] = input_names(function, name=name)
    made = Processor(name, **given)
    made._calls = True
    made.bind(function)
    return made


def _executor_name(executor: Any) -> str:
    return "" if executor is None else str(getattr(executor, "name", "") or type(executor).__name__)


def _text(types: Mapping[str, Any], name: str) -> str:
    return type_text(types[name]) if name in types else ""


def _source(function: Function) -> str:
    try:
        return inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):  # typed into a plain interpreter, or a callable object
        return ""
