"""Dependency injection: what a processor's function asks for besides values, solved once a run.

Dependencies are marked with fast-depends' `Depends`, ours or its own, and mean what they mean there, without casts.
They are solved here and not by its `CallModel`, because that (3.0.9) looks annotations up among the locals of every
frame on the stack and changes them in place, makes a cached dependency twice where two nodes start at once, forgets
`use_cache=False` where the same function is also asked for with a cache, lets a dependency swallow the run's failure,
and skips the cleanup of a plain generator when the run is cancelled.
"""

from __future__ import annotations

import inspect
import math
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any

import anyio
import anyio.to_thread

from ..exceptions import SignatureError
from ..graph.check import suggest
from .annotations import EMPTY, Unevaluated, describe, flavour, parameters, signature
from .context import Context
from .values import Batch
from .work import Flavour, Shape

Overrides = Mapping[Callable[..., Any], "Callable[..., Any] | Dependency"]

CLEANUP_SECONDS = 10.0
"""How long an async dependency may take to clean up once its run is cancelled."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def Depends(dependency: Callable[..., Any], *, use_cache: bool = True) -> Any:  # noqa: N802
    """Mark a parameter as injected: it is what `dependency` returns or yields, once a run.

    Args:
        dependency: a function, coroutine function, generator or async generator with one ``yield``; it may have
            dependencies and a `Context` parameter of its own. What follows the ``yield`` is the cleanup.
        use_cache: False calls it anew for each place that asks.

    Written as ``Annotated[T, Depends(f)]`` or ``= Depends(f)``; ``fast_depends.Depends`` is understood as well.
    """
    import fast_depends  # loads pydantic where that is installed, which `import datagraph` must not

    return fast_depends.Depends(dependency, use_cache=use_cache, cast=False)


@dataclass(frozen=True, slots=True)
class Dependency:
    """A dependency as it was read: `needs` are its own, by parameter, `contexts` its parameters for the `Context`."""

    function: Callable[..., Any]
    flavour: Flavour
    use_cache: bool = True
    needs: Mapping[str, Dependency] = field(default_factory=dict)
    contexts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """A processor's function, and what each of its parameters is.

    `ports` are the inputs in the order in which the prepared callable takes them; `port_types` the type of one value
    of each, `output_types` the same for outputs. `settings` are the defaults of the plain parameters, `contexts` the
    parameters that take the `Context`; `location` is "file:line".
    """

    function: Callable[..., Any]
    shape: Shape
    flavour: Flavour
    ports: tuple[str, ...] = ()
    port_types: Mapping[str, Any] = field(default_factory=dict)
    output_types: Mapping[str, Any] = field(default_factory=dict)
    batch: Batch | None = None
    batch_frame: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    contexts: tuple[str, ...] = ()
    dependencies: Mapping[str, Dependency] = field(default_factory=dict)
    doc: str = ""
    location: str = ""

    @property
    def has_context(self) -> bool:
        """Whether the function takes the `Context`, or something that it depends on does."""
        return bool(self.contexts) or any(map(_takes_context, self.dependencies.values()))


def _takes_context(dependency: Dependency) -> bool:
    return bool(dependency.contexts) or any(map(_takes_context, dependency.needs.values()))


def mark_of(parameter: inspect.Parameter) -> Any:
    """The `Depends` mark of a parameter, in its annotation or its default; None where it has none."""
    module = sys.modules.get("fast_depends.dependencies.model")
    if module is None:  # then nobody can have made a mark
        return None
    marks = [item for item in _metadata(parameter.annotation) if isinstance(item, module.Dependant)]
    if isinstance(parameter.default, module.Dependant):
        marks.append(parameter.default)
    if len(marks) > 1:
        raise SignatureError(f"parameter {parameter.name!r} has {len(marks)} Depends: leave one")
    return marks[0] if marks else None


def is_context(annotation: Any) -> bool:
    """Whether a parameter of this annotation is to be given the `Context`."""
    if isinstance(annotation, Unevaluated):  # imported for type checkers only
        return annotation.text.replace(" ", "").removesuffix("|None").rpartition(".")[2] == "Context"
    if typing.get_origin(annotation) is Annotated:
        return is_context(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return any(is_context(part) for part in typing.get_args(annotation))
    return isinstance(annotation, type) and issubclass(annotation, Context)


def unreadable(where: str, name: str, annotation: Unevaluated) -> SignatureError:
    """The error for a parameter whose annotation matters and cannot be evaluated."""
    return SignatureError(
        f"{where}: the annotation of {name!r}, {annotation.text!r}, cannot be evaluated ({annotation.reason}): "
        "define what it names at the top of the module, or above the processor in the same function"
    )


def read_dependency(mark: Any, *, where: str, above: tuple[Callable[..., Any], ...] = ()) -> Dependency:
    """Read a `Depends` mark, or a bare callable, and all that it depends on; `where` begins the messages.

    Raises SignatureError for what cannot be called, parameters that nothing fills, and rings.
    """
    function = getattr(mark, "dependency", mark)
    if not callable(function):
        raise SignatureError(f"{where}: Depends takes a function; got {function!r}")
    label = f"{where}: dependency {describe(function)}"
    if any(function is other for other in above):
        ring = " -> ".join(describe(each) for each in (*above, function))
        raise SignatureError(f"{where}: a dependency depends on itself: {ring}")
    try:
        found, _ = parameters(function)
    except ValueError:  # a builtin that does not tell what it takes: called with nothing
        found = []
    needs: dict[str, Dependency] = {}
    contexts: list[str] = []
    for parameter in found:
        annotation, name = parameter.annotation, parameter.name
        if (inner := mark_of(parameter)) is not None:
            needs[name] = read_dependency(inner, where=label, above=(*above, function))
        elif is_context(annotation):
            contexts.append(name)
        elif isinstance(annotation, Unevaluated) and "Depends(" in annotation.text:
            raise unreadable(label, name, annotation)
        elif parameter.default is EMPTY and parameter.kind not in _VARIADIC:
            raise SignatureError(
                f"{label} has a parameter {name!r} that nothing fills: give it a default, a Depends, "
                "or the annotation Context"
            )
    return Dependency(function, flavour(function), getattr(mark, "use_cache", True), needs, tuple(contexts))


def read_overrides(overrides: Overrides) -> dict[Callable[..., Any], Dependency]:
    """Read replacements where their annotations can be evaluated: in the thread and function that gives them."""
    return {
        original: given
        if isinstance(given, Dependency)
        else read_dependency(given, where=f"the override of {describe(original)}")
        for original, given in overrides.items()
    }


def unused_overrides(bindings: Iterable[Binding], overrides: Overrides) -> list[Callable[..., Any]]:
    """The originals in `overrides` that nothing in these bindings depends on: most likely mistakes."""
    known: list[Callable[..., Any]] = []
    waiting = [dependency for binding in bindings for dependency in binding.dependencies.values()]
    waiting += [given for given in overrides.values() if isinstance(given, Dependency)]
    while waiting:
        dependency = waiting.pop()
        known.append(dependency.function)
        waiting.extend(dependency.needs.values())
    return [original for original in overrides if not any(_same(original, each) for each in known)]


async def prepare(
    binding: Binding,
    stack: AsyncExitStack,
    *,
    context: Context,
    settings: Mapping[str, Any],
    overrides: Overrides,
    cache: dict[Any, Any],
) -> Callable[..., Any]:
    """The function with everything but its inputs filled in; it takes what is in ``binding.ports``, in that order.

    `settings` are those that differ from their defaults. What dependencies yielded is cleaned up by `stack`, in the
    opposite order; it must live as long as `cache`, which all nodes of a run in this process share, and so a
    dependency must not hold a cancel scope or task group over its ``yield``. The function itself is returned where
    nothing is to be filled in and its inputs come first.

    Raises SignatureError for unknown settings, and whatever a dependency raises.
    """
    for name in settings:
        if name not in binding.settings:
            known = ", ".join(binding.settings) or "none"
            hint = suggest(name, binding.settings)
            raise SignatureError(f"{context.node!r} has no setting {name!r}{hint}; its settings: {known}")
    filled: dict[str, Any] = {**settings, **dict.fromkeys(binding.contexts, context)}
    solver = _Solver(stack, context, read_overrides(overrides), cache)
    for name, dependency in binding.dependencies.items():
        filled[name] = await solver.solve(dependency)
    return _fill(binding.function, binding.ports, filled)


def _fill(function: Callable[..., Any], ports: tuple[str, ...], filled: Mapping[str, Any]) -> Callable[..., Any]:
    """A lambda that puts each argument where it belongs: by position a third of the time of a partial's keywords."""
    takes = list(signature(function).parameters.values())
    if not filled and tuple(p.name for p in takes[: len(ports)] if p.kind in _POSITIONAL) == ports:
        return function
    given = {name: f"a{index}" for index, name in enumerate(ports)}
    constants: dict[str, Any] = {"function": function}
    arguments: list[str] = []
    positional = True
    for index, parameter in enumerate(takes):
        name, by_position = parameter.name, parameter.kind in _POSITIONAL
        if parameter.kind in _VARIADIC or (name not in given and name not in filled and not by_position):
            continue
        if name not in given:
            if name not in filled and parameter.default is EMPTY:  # a partial that has it already
                positional = False
                continue
            constants[f"c{index}"] = filled.get(name, parameter.default)
        text = given.get(name, f"c{index}")
        arguments.append(text if by_position and positional else f"{name}={text}")
    code = f"lambda {', '.join(constants)}: lambda {', '.join(given.values())}: function({', '.join(arguments)})"
    return typing.cast("Callable[..., Any]", eval(code, {})(*constants.values()))  # noqa: S307 - our own text


class _Slot:
    """One cached dependency; whoever comes while it is being made waits for it."""

    __slots__ = ("lock", "ready", "value")

    def __init__(self) -> None:
        self.lock = anyio.Lock()
        self.ready = False
        self.value: Any = None


class _Solver:
    def __init__(
        self,
        stack: AsyncExitStack,
        context: Context,
        overrides: Mapping[Callable[..., Any], Dependency],
        cache: dict[Any, Any],
    ) -> None:
        self._stack = stack
        self._context = context
        self._overrides = overrides
        self._cache = cache

    async def solve(self, asked: Dependency, above: tuple[Callable[..., Any], ...] = ()) -> Any:
        dependency = self._replaced(asked)
        if any(dependency.function is other for other in above):
            ring = " -> ".join(describe(each) for each in (*above, dependency.function))
            raise SignatureError(f"with these overrides a dependency depends on itself: {ring}")
        if not asked.use_cache:
            return await self._make(dependency, above)
        slot = self._slot(dependency)
        async with slot.lock:
            if not slot.ready:
                slot.value = await self._make(dependency, above)
                slot.ready = True
        return slot.value

    def _slot(self, dependency: Dependency) -> _Slot:
        # What has seen a context belongs to it (one of a node's workers); the rest is shared by all nodes of the run.
        owner = self._context if self._sees_context(dependency) else None
        try:
            key: Any = (dependency.function, owner)
            return typing.cast("_Slot", self._cache.setdefault(key, _Slot()))
        except TypeError:  # an unhashable callable
            return typing.cast("_Slot", self._cache.setdefault((id(dependency.function), owner), _Slot()))

    def _replaced(self, dependency: Dependency) -> Dependency:
        for original, replacement in self._overrides.items():
            if _same(original, dependency.function):
                return replacement
        return dependency

    def _sees_context(self, dependency: Dependency, above: tuple[Dependency, ...] = ()) -> bool:
        if dependency in above:
            return False
        inner = (self._replaced(each) for each in dependency.needs.values())
        return bool(dependency.contexts) or any(self._sees_context(each, (*above, dependency)) for each in inner)

    async def _make(self, dependency: Dependency, above: tuple[Callable[..., Any], ...]) -> Any:
        filled: dict[str, Any] = dict.fromkeys(dependency.contexts, self._context)
        for name, inner in dependency.needs.items():
            filled[name] = await self.solve(inner, (*above, dependency.function))
        call = _fill(dependency.function, (), filled) if filled else dependency.function
        if dependency.flavour == "coroutine":
            return await call()
        if dependency.flavour == "asyncgen":
            return await self._enter_async(call)
        # Plain ones may block (open a file, load a model): a worker thread keeps the run's loop and leases alive.
        if dependency.flavour == "generator":
            return await self._enter_plain(call)
        value = await anyio.to_thread.run_sync(call)
        return await value if inspect.iscoroutine(value) else value

    async def _enter_async(self, call: Callable[..., Any]) -> Any:
        manager = asynccontextmanager(call)()
        value = await manager.__aenter__()

        async def leave(*error: Any) -> None:
            if anyio.current_effective_deadline() > -math.inf:
                await manager.__aexit__(*error)
                return
            # The run is cancelled: without a shield the first await of the cleanup would be its last.
            with anyio.move_on_after(CLEANUP_SECONDS, shield=True) as scope:
                await manager.__aexit__(*error)
            if scope.cancelled_caught:
                name = describe(call)
                self._context.logger.warning("the cleanup of %s was given up after %s s", name, CLEANUP_SECONDS)

        self._stack.push_async_exit(leave)
        return value

    async def _enter_plain(self, call: Callable[..., Any]) -> Any:
        manager = contextmanager(call)()
        value = await anyio.to_thread.run_sync(manager.__enter__)

        async def leave(*error: Any) -> None:
            # A limiter of its own: it must not wait for the threads of processors that wait for this very cleanup.
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(partial(manager.__exit__, *error), limiter=anyio.CapacityLimiter(1))

        self._stack.push_async_exit(leave)
        return value


def _metadata(annotation: Any) -> tuple[Any, ...]:
    return annotation.__metadata__ if typing.get_origin(annotation) is Annotated else ()


def _same(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether both are the same function, or a cell that was run again (or a pickle) made a second one of it."""
    if one is other or one == other:
        return True
    names = [(getattr(f, "__module__", None), getattr(f, "__qualname__", None)) for f in (one, other)]
    return names[0] == names[1] and bool(names[0][1]) and "<" not in str(names[0][1])
