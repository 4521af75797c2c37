"""From a node to what the engine fires: as little as possible between the two."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from operator import itemgetter
from types import TracebackType
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread

from ..runtime.once import Once
from .arguments import Argument, Built, Constant, Values
from .node import PLAIN, TaskNode

Fire = Callable[[Once], Awaitable[Any]]
Call = Callable[[Values], Any]


def compiled(node: TaskNode[Any, Any], constants: list[Any], first: int) -> Fire | None:
    """What the engine fires for a node; None for a node that has its value from the start.

    A constant among the arguments is appended to `constants`, which stand in a run's values from place `first` on.
    """
    callee = node._callee
    if callee is None:
        return None
    call = _call(callee.function, node, constants, first)
    options, number = node._options, node._number
    if callee.flavour == "coroutine":
        fire: Fire = lambda run: call(run.values)
        if options is PLAIN:
            return _direct(callee.function, node, constants, first) or fire
    else:
        fire = _in_loop(call) if options.where == "loop" else _in_thread(call, number)
    return fire if options is PLAIN else _tried(fire, node)


def _place(argument: Argument, constants: list[Any], first: int) -> int:
    """Where the value of an argument stands, constants being put there."""
    if isinstance(argument, int):
        return argument
    assert isinstance(argument, Constant)
    constants.append(argument.value)
    return first + len(constants) - 1


def _direct(function: Any, node: TaskNode[Any, Any], constants: list[Any], first: int) -> Fire | None:
    """The shortest way for nodes whose few arguments are values and nodes, by position."""
    if node._keywords or len(node._args) > 2 or any(isinstance(arg, Built) for arg in node._args):
        return None
    places = [_place(arg, constants, first) for arg in node._args]
    if not places:
        return lambda _: function()
    if len(places) == 1:
        (one,) = places
        return lambda run: function(run.values[one])
    one, two = places
    return lambda run: function(run.values[one], run.values[two])


def _call(function: Any, node: TaskNode[Any, Any], constants: list[Any], first: int) -> Call:
    """The call with the values of a run."""
    get = _all(node._args, constants, first)
    if not node._keywords:
        return lambda values: function(*get(values))
    names = tuple(node._keywords)
    named = _all(tuple(node._keywords.values()), constants, first)
    return lambda values: function(*get(values), **dict(zip(names, named(values), strict=True)))


def _all(args: Sequence[Argument], constants: list[Any], first: int) -> Callable[[Values], Sequence[Any]]:
    if any(isinstance(arg, Built) for arg in args):
        parts = [arg.build if isinstance(arg, Built) else itemgetter(_place(arg, constants, first)) for arg in args]
        return lambda values: [part(values) for part in parts]
    places = [_place(arg, constants, first) for arg in args]
    if len(places) > 1:
        return itemgetter(*places)
    if not places:
        return lambda _: ()
    (place,) = places
    return lambda values: (values[place],)


def _in_loop(call: Call) -> Fire:
    async def fire(run: Once) -> Any:
        value = call(run.values)
        return await value if inspect.isawaitable(value) else value

    return fire


def _in_thread(call: Call, number: int) -> Fire:
    def held(values: Values) -> tuple[Any]:
        return (call(values),)  # trio takes no coroutine from a thread

    async def fire(run: Once) -> Any:
        try:
            (value,) = await anyio.to_thread.run_sync(held, run.values, abandon_on_cancel=True)
        except anyio.get_cancelled_exc_class():
            run.abandoned.add(number)
            raise
        # A plain function may hand out a coroutine: ``lambda url: fetch(url)``, or what another library made.
        return await value if inspect.isawaitable(value) else value

    return fire


def _tried(fire: Fire, node: TaskNode[Any, Any]) -> Fire:
    """With the node's limit, timeout and retries."""
    options, number = node._options, node._number
    retry, timeout = options.retry, options.timeout
    limit = _Limit(options.limit) if isinstance(options.limit, int) else options.limit
    attempt = fire if timeout is None else partial(_within, fire, timeout, number)

    async def tried(run: Once) -> Any:
        tries = 1
        while True:
            try:
                if limit is None:
                    return await attempt(run)
                async with limit:
                    return await attempt(run)
            except Exception as error:
                if tries > retry.attempts or not retry.matches(error):
                    raise
            run.retries[number] = tries
            await anyio.sleep(retry.delay(tries))
            tries += 1

    return tried


async def _within(fire: Fire, timeout: float, number: int, run: Once) -> Any:
    """One attempt, in so many seconds."""
    value: Any = None
    with anyio.move_on_after(timeout) as scope:
        value = await fire(run)
    if scope.cancelled_caught:
        left = number in run.abandoned
        run.abandoned.discard(number)
        also = "; its thread cannot be stopped and goes on by itself" if left else ""
        raise TimeoutError(f"it took longer than {timeout:g} s{also}")
    return value


class _Limit(AbstractAsyncContextManager[None]):
    """So many at once, in each event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._own: anyio.lowlevel.RunVar[anyio.Semaphore] = anyio.lowlevel.RunVar(f"limit {id(self)}")

    def _semaphore(self) -> anyio.Semaphore:
        try:
            return self._own.get()
        except LookupError:
            made = anyio.Semaphore(self._most)
            self._own.set(made)
            return made

    async def __aenter__(self) -> None:
        await self._semaphore().acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._semaphore().release()
