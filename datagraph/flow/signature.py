"""From a user's function to a `Binding`: which parameter is a stream, a value, a setting or injected."""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from ..exceptions import SignatureError
from ..graph.check import suggest
from ..runtime.annotations import EMPTY, Unevaluated, core, flavour, parameters
from ..runtime.inject import Binding, Dependency, is_context, mark_of, read_dependency, unreadable
from ..runtime.io import IO
from ..runtime.types import plain, without_none
from ..runtime.values import Batch
from ..runtime.work import Shape
from .types import read_type, written_type

_LISTS = (list, tuple, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)


def read(function: Callable[..., Any], *, name: str, inputs: Sequence[str], outputs: Sequence[str]) -> Binding:
    """Read what a function asks for, given the names of its processor and that one's streams.

    Raises `SignatureError`, which names the parameter and the cure, where the function does not fit.
    """
    reading = _Reading(function, name, inputs)
    for parameter in reading.found:
        reading.take(parameter)
    shape = reading.shape()
    return Binding(
        function=function,
        shape=shape,
        flavour=flavour(function),
        ports=tuple(reading.ports),
        port_types={port: _value_type(parameter.annotation) for port, parameter in reading.ports.items()},
        output_types=dict.fromkeys(outputs, reading.written()),
        batch=next(iter(reading.batches.values()), None),
        batch_frame=any(_is_frame(reading.ports[port].annotation) for port in reading.batches),
        settings=reading.settings,
        contexts=tuple(reading.contexts),
        dependencies=reading.dependencies,
        doc=inspect.getdoc(function) or "",
        location=location(function),
    )


def input_names(function: Callable[..., Any], *, name: str) -> tuple[str, ...]:
    """The inputs of a function that does not say them: its parameters without default that nothing else fills."""
    return tuple(
        p.name
        for p in _parameters(function, name)[0]
        if p.default is EMPTY
        and p.kind not in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
        and not is_context(p.annotation)
        and mark_of(p) is None
        and not (isinstance(p.annotation, Unevaluated) and "Depends(" in p.annotation.text)
    )


def location(function: Callable[..., Any]) -> str:
    """Where the function was written, as "file:line"; '' where that is not known."""
    code = getattr(core(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def _parameters(function: Callable[..., Any], name: str) -> tuple[list[inspect.Parameter], Any]:
    if not callable(function):
        raise SignatureError(f"processor {name!r} is bound to a function; got {function!r}")
    try:
        return parameters(function)
    except ValueError as error:
        raise SignatureError(
            f"processor {name!r}: {function!r} does not tell its parameters: wrap it in a function of your own"
        ) from error


class _Reading:
    """One signature, sorted parameter by parameter."""

    def __init__(self, function: Callable[..., Any], name: str, inputs: Sequence[str]) -> None:
        self.found, self.returned = _parameters(function, name)
        self.function = function
        self.where = f"processor {name!r}"
        self.inputs = tuple(inputs)
        self.ports: dict[str, inspect.Parameter] = {}
        self.streams: list[str] = []
        self.batches: dict[str, Batch] = {}
        self.settings: dict[str, Any] = {}
        self.contexts: list[str] = []
        self.dependencies: dict[str, Dependency] = {}

    def take(self, parameter: inspect.Parameter) -> None:
        """Sort one parameter."""
        name, annotation = parameter.name, parameter.annotation
        if parameter.kind in {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            stars = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "**"
            raise SignatureError(f"{self.where}: {stars}{name} cannot be filled: name each input as a parameter")
        mark = mark_of(parameter)
        if mark is not None or is_context(annotation):
            if name in self.inputs:
                what = "marked with Depends" if mark is not None else "annotated as Context"
                raise SignatureError(f"{self.where}: parameter {name!r} is {what}, but it is an input: rename one")
            if mark is not None:
                self.dependencies[name] = read_dependency(mark, where=self.where)
            else:
                self.contexts.append(name)
        elif isinstance(annotation, Unevaluated) and any(word in annotation.text for word in ("Depends(", "Batch(")):
            raise unreadable(self.where, name, annotation)
        elif name in self.inputs:
            self._input(parameter)
        else:
            self._other(parameter)

    def _input(self, parameter: inspect.Parameter) -> None:
        name, annotation = parameter.name, parameter.annotation
        self.ports[name] = parameter
        if _is_foreign_io(annotation):
            raise SignatureError(f"{self.where}: {name!r} is annotated as typing.IO, a file: use datagraph.IO")
        batch = _batch_of(annotation)
        if _is_stream(annotation):
            self.streams.append(name)
            if batch is not None:
                raise SignatureError(
                    f"{self.where}: {name!r} is a stream and a Batch: "
                    f"iterate {name}.batches({batch.size}), or annotate it as Annotated[list, Batch({batch.size})]"
                )
        elif batch is not None:
            self.batches[name] = batch

    def _other(self, parameter: inspect.Parameter) -> None:
        name, annotation = parameter.name, parameter.annotation
        hint = suggest(name, [each for each in self.inputs if each not in {p.name for p in self.found}])
        inputs = ", ".join(self.inputs) or "none"
        if _is_stream(annotation) or _batch_of(annotation) is not None:
            what = "a stream" if _is_stream(annotation) else "a batch"
            raise SignatureError(f"{self.where}: {name!r} is {what} but no input{hint}; its inputs: {inputs}")
        if parameter.default is EMPTY:
            raise SignatureError(
                f"{self.where}: parameter {name!r} is no input{hint}; its inputs: {inputs}. "
                "A setting needs a default, anything else a Depends"
            )
        self.settings[name] = parameter.default

    def shape(self) -> Shape:
        """How the function is called; SignatureError where its inputs do not go together."""
        missing = [each for each in self.inputs if each not in self.ports]
        if missing:
            names = ", ".join(map(repr, missing))
            others = [p.name for p in self.found if p.name not in self.ports]
            hint = "".join(suggest(each, others) for each in missing)
            raise SignatureError(
                f"{self.where}: no parameter for {'input' if len(missing) == 1 else 'inputs'} {names}{hint}: "
                f"give {inspect.unwrap(self.function)!r} a parameter of that name"
            )
        values = [port for port in self.ports if port not in self.streams and port not in self.batches]
        if self.streams and (values or self.batches):
            single = [*values, *self.batches]
            raise SignatureError(
                f"{self.where} mixes streams ({', '.join(self.streams)}) with inputs taken value by value "
                f"({', '.join(single)}): annotate all of them as IO[...], or none"
            )
        if self.batches and len(self.ports) > 1:
            raise SignatureError(
                f"{self.where} takes a batch ({', '.join(self.batches)}), so that has to be its only input; "
                f"got {', '.join(self.ports)}: take streams (IO[...]) instead and read them together"
            )
        if self.batches:
            return "batch"
        return "value" if values else "stream"

    def written(self) -> Any:
        """The type of what the function puts out."""
        return written_type(self.returned, many=flavour(self.function) in {"asyncgen", "generator"})


def _is_stream(annotation: Any) -> bool:
    if isinstance(annotation, Unevaluated):
        head = annotation.text.partition("[")[0].strip()
        return head.rpartition(".")[2] == "IO"
    found = without_none(plain(annotation))
    return found is IO or typing.get_origin(found) is IO


def _is_foreign_io(annotation: Any) -> bool:
    found = without_none(plain(annotation))
    return found is typing.IO or typing.get_origin(found) is typing.IO


def _batch_of(annotation: Any) -> Batch | None:
    if typing.get_origin(annotation) is not Annotated:
        return None
    for extra in annotation.__metadata__:
        if isinstance(extra, Batch):
            return extra
        if extra is Batch:
            raise SignatureError("Batch needs a size: Annotated[list, Batch(1000)]")
    return None


def _is_frame(annotation: Any) -> bool:
    # By name: pandas may not be loaded, and is not to be.
    found = without_none(plain(annotation))
    return getattr(found, "__name__", "") == "DataFrame" and str(getattr(found, "__module__", "")).startswith("pandas")


def _value_type(annotation: Any) -> Any:
    """The type of one value of an input."""
    if _is_stream(annotation):
        return read_type(annotation)
    if _batch_of(annotation) is None:
        return plain(annotation)
    held = plain(annotation)
    if _is_frame(held) or held in _LISTS:
        return EMPTY
    return typing.get_args(held)[0] if typing.get_origin(held) in _LISTS else held
