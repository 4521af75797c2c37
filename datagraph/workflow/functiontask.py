"""Tasks that call a function."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import anyio

from ..exceptions import SignatureError, TaskError
from ..runtime.fingerprint import function_fingerprints
from ..streams.text import short
from .datum import AbstractDatum
from .filedatum import FileDatum
from .task import AbstractTask, _named


class FunctionTask(AbstractTask):
    """Calls a function, sync or async, with the inputs by keyword; what it returns are the outputs.

    It runs again when the function is another: its code, constants, defaults, closure, or a function or constant of
    the same module that it uses.

    Args:
        identifier: its name.
        function: what is called; ValueError where it cannot be called, SignatureError where not with these inputs.
        inputs: by the names of its parameters.
        outputs: by name: None for an object in memory, a path or `FileDatum` for a file where it is pickled, or any
            other datum; or only names. A function of one output may return its value as it is, one of several returns
            a dict with exactly their names.
        dependencies, resources, options: as for every task, see `AbstractTask`.
    """

    def __init__(
        self,
        identifier: str,
        function: Callable[..., Any],
        inputs: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | Iterable[str] | None = None,
        dependencies: Iterable[AbstractTask] | None = None,
        resources: Mapping[str, float] | None = None,
        **options: Any,
    ) -> None:
        if not callable(function):
            raise ValueError(f"the function of {identifier!r} is something that can be called; got {short(function)}")
        self.function = function
        super().__init__(identifier, inputs, outputs, dependencies, resources, **options)
        try:
            inspect.signature(function).bind(**self.inputs)
        except TypeError as error:
            given = ", ".join(self.inputs) or "none"
            raise SignatureError(
                f"the function of {identifier!r} cannot be called so: {error}; inputs: {given}"
            ) from None
        except ValueError:  # a builtin that does not say what it takes
            pass

    def _initialize_outputs(self, outputs: Any) -> dict[str, AbstractDatum]:
        paths = {n: FileDatum(pointer=p) if isinstance(p, str | os.PathLike) else p for n, p in _named(outputs)}
        return super()._initialize_outputs(paths)

    def _run_logic(self, inputs: Mapping[str, Any]) -> None:
        result = self.function(**inputs)
        if inspect.isawaitable(result):
            result = anyio.run(_awaited, result)
        wanted = set(self.outputs)
        if isinstance(result, dict) and set(result) == wanted and wanted:
            values = result
        elif len(wanted) == 1:
            values = dict.fromkeys(wanted, result)
        elif not wanted and result in (None, {}):
            values = {}
        else:
            names = ", ".join(map(repr, self.outputs)) or "none"
            got = f"a dict of {', '.join(map(repr, result))}" if isinstance(result, dict) else short(result)
            raise TaskError(f"its function returns a dict of its outputs, which are: {names}; it gave {got}")
        for name, value in values.items():
            self.outputs[name]._store(value)

    def _quickhash(self) -> Mapping[str, Any]:
        return function_fingerprints(self.function)

    @property
    def reference(self) -> bool:
        """Whether another process would import the function instead of being sent it."""
        function = self.function
        while isinstance(function, functools.partial):
            function = function.func
        return getattr(function, "__module__", "__main__") != "__main__"


class PklTask(FunctionTask):
    """A `FunctionTask` whose outputs are pickled into files: paths that end with ``.pkl``, or datums."""

    def _initialize_outputs(self, outputs: Any) -> dict[str, AbstractDatum]:
        for name, given in _named(outputs):
            bad = not os.fspath(given).endswith(".pkl") if isinstance(given, str | os.PathLike) else given is None
            if bad:
                raise ValueError(f"the output {name!r} of a PklTask is a path that ends with .pkl; got {given!r}")
        return super()._initialize_outputs(outputs)


async def _awaited(result: Awaitable[Any]) -> Any:
    return await result
