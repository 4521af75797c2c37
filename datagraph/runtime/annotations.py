"""What a function asks for: its parameters with their annotations evaluated, wherever it was written.

Annotations may be text (``from __future__ import annotations``) that names things local to another function, so each
is evaluated by itself, and one that cannot be stays `Unevaluated` instead of spoiling the others.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .work import Flavour

EMPTY: Any = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Unevaluated:
    """An annotation that only its text is known of, and why."""

    text: str
    reason: str


def core(function: Callable[..., Any]) -> Any:
    """The plain function under partials, methods, callable objects and ``functools.wraps``; else what was given."""
    found: Any = function
    while True:
        if isinstance(found, functools.partial):
            found = found.func
        elif inspect.ismethod(found):
            found = found.__func__
        elif hasattr(found, "__wrapped__"):
            found = inspect.unwrap(found)
        elif isinstance(found, type):
            init = found.__init__  # type: ignore[misc]
            return init if inspect.isfunction(init) else found
        elif inspect.isfunction(found) or inspect.isbuiltin(found) or not inspect.isfunction(type(found).__call__):
            return found
        else:
            found = type(found).__call__


def flavour(function: Callable[..., Any]) -> Flavour:
    """How a callable is to be run: what calling it gives."""
    call = function
    while isinstance(call, functools.partial):
        call = call.func
    if not (inspect.isroutine(call) or isinstance(call, type)):
        call = type(call).__call__
    if inspect.isasyncgenfunction(call):
        return "asyncgen"
    if inspect.iscoroutinefunction(call):
        return "coroutine"
    return "generator" if inspect.isgeneratorfunction(call) else "function"


def describe(function: Callable[..., Any]) -> str:
    """A name for messages."""
    return str(getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or repr(function))


def signature(function: Callable[..., Any]) -> inspect.Signature:
    """`inspect.signature`, with annotations left unevaluated where that is the language's default (Python 3.14)."""
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def parameters(function: Callable[..., Any]) -> tuple[list[inspect.Parameter], Any]:
    """The parameters, and the return annotation, all evaluated or `Unevaluated`.

    Raises ValueError for builtins that do not tell their signature.
    """
    given = signature(function)
    space = _Namespace(core(function))
    found = [p.replace(annotation=space.evaluate(p.annotation)) for p in given.parameters.values()]
    return found, space.evaluate(given.return_annotation)


class _Namespace:
    """Where a function's annotations are looked up: as the function's own code would, then its callers' scopes."""

    def __init__(self, function: Any) -> None:
        self._globals: dict[str, Any] = getattr(function, "__globals__", {})
        code = getattr(function, "__code__", None)
        self._locals: dict[str, Any] = {}
        for scope in reversed(list(_scopes(code))):
            self._locals.update(scope)
        self._locals.update(_closure(function))
        for parameter in getattr(function, "__type_params__", ()):
            self._locals[parameter.__name__] = parameter

    def evaluate(self, annotation: Any) -> Any:
        if annotation is EMPTY or annotation is None or isinstance(annotation, type):
            return annotation
        holder = types.SimpleNamespace(__annotations__={"it": annotation})
        try:
            hints = typing.get_type_hints(holder, self._globals, self._locals, include_extras=True)
        except Exception as error:
            if not isinstance(annotation, str | typing.ForwardRef):
                return annotation  # only something inside it is unknown, as in IO["Local"]
            text = annotation if isinstance(annotation, str) else annotation.__forward_arg__
            return Unevaluated(text.strip(), f"{type(error).__name__}: {error}")
        return hints["it"]


def _closure(function: Any) -> Iterator[tuple[str, Any]]:
    code = getattr(function, "__code__", None)
    for name, cell in zip(getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=False):
        try:
            yield name, cell.cell_contents
        except ValueError:  # assigned later than here
            continue


def _scopes(code: Any) -> Iterator[Mapping[str, Any]]:
    """The locals of the functions that are running and that this code is written in, the innermost first.

    A name in a text annotation makes no closure, so where a processor is defined inside a function, only the frame
    of that function knows it. It is found by the code object: names of other frames must not be mistaken for it.
    """
    frame = inspect.currentframe()
    try:
        while frame is not None and code is not None:
            if code in frame.f_code.co_consts:
                yield frame.f_locals
                code = frame.f_code
            frame = frame.f_back
    finally:
        del frame
