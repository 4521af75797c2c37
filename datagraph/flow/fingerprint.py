"""A short name for what a function does, the same in every process, so that a changed one can be told from the old."""

from __future__ import annotations

import hashlib
import inspect
import types
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ..runtime.annotations import core

_SIMPLE = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis))


def code_version(function: Callable[..., Any]) -> str:
    """Twelve hex digits of what the function does: its code, defaults and closure, without where it stands.

    Names, comments and line numbers do not count, nor do the functions it calls; of a value that is no plain constant
    only the type counts.
    """
    digest = hashlib.blake2b(digest_size=6)
    for part in _function(function, ()):
        digest.update(part.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()


def _function(function: Any, above: tuple[Any, ...]) -> Iterator[str]:
    if any(function is other for other in above):
        yield "itself"
        return
    above = (*above, function)
    if isinstance(function, partial):
        yield from _value((function.args, function.keywords), above)
    found = core(function)
    code = getattr(found, "__code__", None)
    if code is None:
        yield getattr(found, "__qualname__", type(found).__qualname__)
        return
    yield from _code(code)
    yield from _value((found.__defaults__, found.__kwdefaults__), above)
    for cell in found.__closure__ or ():
        try:
            yield from _value(cell.cell_contents, above)
        except ValueError:  # assigned later than here
            yield "later"
    for name, annotation in sorted(_annotations(found).items()):
        yield name
        yield annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _annotations(function: Any) -> dict[str, Any]:
    try:
        return dict(function.__annotations__)
    except NameError:  # Python 3.14 evaluates them only now
        return {}


def _code(code: types.CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags))
    yield repr((code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars))
    for constant in code.co_consts:
        yield from _value(constant, ())


def _value(value: Any, above: tuple[Any, ...]) -> Iterator[str]:
    if isinstance(value, types.CodeType):
        yield from _code(value)
    elif type(value) in _SIMPLE:
        yield repr(value)
    elif isinstance(value, tuple | list):
        yield f"{type(value).__name__}:{len(value)}"
        for item in value:
            yield from _value(item, above)
    elif isinstance(value, dict):
        yield f"dict:{len(value)}"
        for key, item in value.items():
            yield from _value(key, above)
            yield from _value(item, above)
    elif isinstance(value, set | frozenset):
        yield f"set:{sorted(''.join(_value(item, above)) for item in value)}"
    elif inspect.isfunction(value) or isinstance(value, partial):
        yield from _function(value, above)
    elif callable(getattr(value, "dependency", None)):  # a Depends
        yield from _function(value.dependency, above)
    else:
        yield type(value).__qualname__
