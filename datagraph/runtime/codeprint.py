"""What a function does, in named parts: its code, what it carries, and what of its own module it uses."""

from __future__ import annotations

import dataclasses
import dis
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

Digest = Callable[[Any], str]
_PLAIN = (bool, int, float, complex, str, bytes, type(None), range, Enum)
_FLAGS = (
    inspect.CO_VARARGS
    | inspect.CO_VARKEYWORDS
    | inspect.CO_GENERATOR
    | inspect.CO_COROUTINE
    | (inspect.CO_ITERABLE_COROUTINE | inspect.CO_ASYNC_GENERATOR)
)
_CALLED = (type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial)
_PLAIN_MODULES = {"datetime", "decimal", "fractions", "pathlib", "re", "uuid", "zoneinfo"}


def function_parts(function: Any, digest: Digest) -> dict[str, str]:
    """The digest of each thing that decides what a call does, by its name: ``code``, ``default x``, ``closure y``,
    ``helper clean``, ``constant FACTOR``.

    Comments, line numbers, file names, docstrings and annotations do not count. Of the module's names those count that
    the code uses: functions and classes which the same module defines, and constants of plain data; what is imported
    counts by its name only. `digest` is asked for every value and every helper, and has to stop at rings.
    """
    if isinstance(function, functools.partial):
        inner = function_parts(function.func, digest)
        return {**inner, "arguments": digest((function.args, sorted(function.keywords.items())))}
    if inspect.ismethod(function):
        return {**function_parts(function.__func__, digest), "self": digest(function.__self__)}
    if not isinstance(function, types.FunctionType):
        return {"code": digest(_name(function))}
    found = {"code": digest(tuple(_code(function.__code__, digest)))}
    for name, default in _defaults(function):
        found[f"default {name}"] = digest(default)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            found[f"closure {name}"] = digest(cell.cell_contents)
        except ValueError:  # assigned later than here
            found[f"closure {name}"] = ""
    found |= _globals(function, digest)
    return found


def class_parts(kind: type, digest: Digest) -> dict[str, str]:
    """The same for a class: each of its methods and plain attributes, and its bases by name."""
    found = {"class": digest((_name(kind), [_name(base) for base in kind.__bases__]))}
    for name, value in sorted(vars(kind).items()):
        if name in {"__doc__", "__dict__", "__weakref__", "__module__", "__annotations__", "__firstlineno__"}:
            continue
        inner = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
        if isinstance(inner, types.FunctionType) or _is_data(inner):
            found[f"member {name}"] = digest(inner)
    return found


def is_own(value: Any, module: str) -> bool:
    """Whether a function or class was defined in that module."""
    return isinstance(value, types.FunctionType | type | functools.partial) and _module(value) == module


def _defaults(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    code, given = function.__code__, function.__defaults__ or ()
    yield from zip(code.co_varnames[code.co_argcount - len(given) : code.co_argcount], given, strict=True)
    yield from sorted((function.__kwdefaults__ or {}).items())


def _module(value: Any) -> str:
    return str(getattr(value.func if isinstance(value, functools.partial) else value, "__module__", ""))


def _globals(function: types.FunctionType, digest: Digest) -> dict[str, str]:
    found = {}
    module = function.__module__
    for name in sorted(set(_global_names(function.__code__))):
        if name not in function.__globals__:
            continue  # a builtin, or something that is not there yet
        value = function.__globals__[name]
        if value is function:
            continue
        inner = inspect.unwrap(value) if callable(value) and hasattr(value, "__wrapped__") else value
        if is_own(value, module) or is_own(inner, module):
            found[f"helper {name}"] = digest(value if isinstance(value, types.FunctionType | type) else inner)
        elif _is_data(value, module):
            found[f"constant {name}"] = digest(value)
        else:
            found[f"import {name}"] = digest(_name(value))
    return found


def _global_names(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in {"LOAD_GLOBAL", "LOAD_NAME"}:
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)


def _code(code: types.CodeType, digest: Digest) -> Iterator[Any]:
    """What a code does, without where its constants stand: a docstring is one of them, and does not count."""
    yield sys.version_info[:2]
    for each in dis.get_instructions(code):
        if each.opcode not in dis.hasconst:
            yield (each.opname, each.arg)
        elif isinstance(each.argval, types.CodeType):
            yield from _code(each.argval, digest)
        else:
            yield (each.opname, digest(each.argval))
    yield code.co_exceptiontable
    yield (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & _FLAGS)
    yield (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)


def _is_data(value: Any, module: str = "") -> bool:
    """Whether a value is plain, all the way down; arrays, tables and dataclasses are, too.

    Containers may also hold classes, which count by name, and functions of this module.
    """
    try:
        return not isinstance(value, _CALLED) and _is_plain(value, module)
    except RecursionError:
        return False


def _is_plain(value: Any, own: str) -> bool:
    module = type(value).__module__.partition(".")[0]
    if module in {"numpy", "pandas"}:
        return hasattr(value, "shape")
    if isinstance(value, dict):
        return all(_is_plain(each, own) for pair in value.items() for each in pair)
    if isinstance(value, tuple | list | set | frozenset):
        return all(_is_plain(each, own) for each in value)
    if isinstance(value, _CALLED):
        return isinstance(value, type | types.BuiltinFunctionType) or is_own(value, own)
    if dataclasses.is_dataclass(value):
        return all(_is_plain(getattr(value, field.name, None), own) for field in dataclasses.fields(value))
    return isinstance(value, _PLAIN) or module in _PLAIN_MODULES


def _name(value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return value.__name__
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{getattr(named, '__module__', '')}.{named.__qualname__}"
