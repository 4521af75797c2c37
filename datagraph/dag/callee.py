"""What a node calls: its flavour, what it takes and gives, and whether what it is given fits."""

from __future__ import annotations

import collections.abc
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..exceptions import MismatchedIOError, SignatureError
from ..runtime.annotations import EMPTY, Unevaluated, core, flavour, parameters, signature
from ..runtime.types import compatible, plain, type_text

_AWAITED = (collections.abc.Awaitable, collections.abc.Coroutine)
_BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Callee:
    """A function as nodes call it; read once, however many nodes call it.

    Raises SignatureError for what cannot be called, and for generators: a node gives one value.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise SignatureError(f"add_node takes a function and what to call it with; got {function!r}")
        self.function = function
        self.flavour = flavour(function)
        found = core(function)
        self.name = str(getattr(found, "__name__", "") or type(function).__name__)
        if isinstance(function, type):
            self.name = function.__name__
        elif not (inspect.isroutine(found) and found.__name__ != "__call__"):
            self.name = type(function).__name__
        if self.flavour in {"asyncgen", "generator"}:
            raise SignatureError(
                f"{self.name!r} is a generator, and a node gives one value: return a list, or use datagraph.Flow"
            )
        self.type: Any = EMPTY
        self.parameters: list[inspect.Parameter] | None = None
        try:
            self.parameters, self.type = parameters(function)
            self._signature = signature(function)
        except ValueError:  # a builtin that does not tell
            return
        if typing.get_origin(plain(self.type)) in _AWAITED:
            self.type = typing.get_args(plain(self.type))[-1]
        if isinstance(function, type):
            self.type = function
        self._read()

    def _read(self) -> None:
        found = self.parameters or []
        self._by_place = [p for p in found if p.kind in _BY_PLACE]
        self._stars = next((p for p in found if p.kind is inspect.Parameter.VAR_POSITIONAL), None)
        self._others = next((p for p in found if p.kind is inspect.Parameter.VAR_KEYWORD), None)
        self._named = {p.name: p for p in found}
        self._least = sum(p.default is EMPTY for p in self._by_place)
        self._most = 2**31 if self._stars is not None else len(self._by_place)
        self._simple = not any(p.default is EMPTY and p.kind is inspect.Parameter.KEYWORD_ONLY for p in found)
        self._typed = any(p.annotation is not EMPTY for p in found)

    def check(
        self, args: Sequence[Any], keywords: Mapping[str, Any], type_of: Callable[[Any], Any], name: str = ""
    ) -> None:
        """Raise SignatureError where it cannot be called so, MismatchedIOError where a value certainly does not fit."""
        if self.parameters is None:
            return
        if keywords or not self._simple or not self._least <= len(args) <= self._most:
            self._bind(args, keywords)
        if self._typed:
            for parameter, given in self.pairs(args, keywords):
                wanted = parameter.annotation
                if wanted is EMPTY or isinstance(wanted, Unevaluated):
                    continue
                kind = type_of(given)
                if kind is not EMPTY and _fits(kind, wanted) is False:
                    raise MismatchedIOError(
                        f"node {name or self.name!r}: {parameter.name!r} is {type_text(wanted)}, and is given "
                        f"{type_text(kind)}: change the annotation, or what is given"
                    )

    def _bind(self, args: Sequence[Any], keywords: Mapping[str, Any]) -> None:
        try:
            self._signature.bind(*args, **keywords)
        except TypeError as error:
            takes = ", ".join(str(p.replace(annotation=EMPTY)) for p in self._signature.parameters.values())
            given = ", ".join([f"{len(args)} by position", *map(repr, keywords)])
            raise SignatureError(f"{self.name}({takes}) cannot be called so: {error}; it was given {given}") from None

    def pairs(self, args: Sequence[Any], keywords: Mapping[str, Any]) -> list[tuple[inspect.Parameter, Any]]:
        """Each thing that is given with the parameter that takes it."""
        if self.parameters is None:
            return []
        found = list(zip(self._by_place, args, strict=False))
        if self._stars is not None:
            found += [(self._stars, arg) for arg in args[len(self._by_place) :]]
        for key, value in keywords.items():
            parameter = self._named.get(key, self._others)
            if parameter is not None:
                found.append((parameter, value))
        return found


def _fits(written: Any, wanted: Any) -> bool | None:
    try:
        return _compatible(written, wanted)
    except TypeError:  # a type that cannot be hashed
        return compatible(written, wanted)


_compatible = lru_cache(maxsize=1024)(compatible)
