"""From a callable of any flavour, and from what it gives, to the values that it puts out.

None is nothing where it was returned. Text, bytes, mappings, tables, arrays and records are one value each. Whatever
else can be iterated, and every generator, is as many values as it gives.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from functools import lru_cache
from typing import Any

import anyio
import anyio.to_thread

from .annotations import flavour
from .home import poster
from .pump import Pump
from .threads import in_thread

Put = Callable[[Any], Awaitable[None]]

_TABLES = ("__array__", "__array_interface__", "__dataframe__", "__arrow_c_stream__", "__arrow_c_array__", "shape")
_RECORDS = ("_fields", "__pydantic_fields__")


def is_one(value: Any) -> bool:
    """Whether this is one value, although it may be iterable.

    >>> [is_one(value) for value in ("text", b"", {"a": 1}, 3, [1, 2], (1, 2), range(3))]
    [True, True, True, True, False, False, False]
    """
    kind: Any = type(value)
    return _kind_is_one(kind)


@lru_cache(maxsize=1024)
def _kind_is_one(kind: type) -> bool:
    if issubclass(kind, str | bytes | bytearray | memoryview | Mapping | type):
        return True
    if not issubclass(kind, Iterable | AsyncIterable):
        return True
    if issubclass(kind, Iterator):
        return False
    return any(hasattr(kind, name) for name in (*_TABLES, *_RECORDS))


class Caller:
    """Calls one function, whichever flavour it has: plain ones in worker threads, at most `threads` at a time.

    With `abandon`, a call that is cancelled is not waited for: a thread cannot be stopped, and goes on by itself.
    """

    def __init__(self, function: Callable[..., Any], threads: int, *, abandon: bool = False) -> None:
        self.function = function
        self.flavour = flavour(function)
        self._threads = threads
        self._limiter: anyio.CapacityLimiter | None = None  # of the loop that calls
        self._abandon = abandon

    @property
    def threaded(self) -> bool:
        """Whether it is called in a worker thread."""
        return self.flavour in {"function", "generator"}

    async def call(self, put: Put, *args: Any) -> None:
        """Call it, and put each of its values out."""
        match self.flavour:
            case "coroutine":
                result = await self.function(*args)
                if result is None:
                    return
                if is_one(result):
                    await put(result)
                else:
                    await self._spread(result, put)
            case "asyncgen":
                async with aclosing(self.function(*args)) as values:
                    async for value in values:
                        await put(value)
            case "generator":
                await self._pump(self.function(*args), put)
            case _:
                result = await self._thread(self.function, *args)
                if inspect.isawaitable(result):
                    result = await result
                if result is None:
                    return
                if is_one(result):
                    await put(result)
                else:
                    await self._spread(result, put, lazy=True)

    async def values(self, *args: Any) -> AsyncGenerator[Any, None]:
        """Call it; its values, for whoever asks for them one by one. A plain generator has a thread of its own."""
        found: Any
        if self.flavour in {"asyncgen", "generator"}:
            found = self.function(*args)
        else:
            found = await (self.function(*args) if self.flavour == "coroutine" else self._thread(self.function, *args))
            if inspect.isawaitable(found):
                found = await found
            if found is None:
                return
            if is_one(found):
                yield found
                return
        if isinstance(found, AsyncIterable):
            iterator = found.__aiter__()
            try:
                async for value in iterator:
                    yield value
            finally:
                await _close(iterator)
        elif self.threaded and isinstance(found, Iterator):
            pump = Pump(found, poster()).start()
            try:
                async for value in pump:
                    yield value
            finally:
                pump.close()
        else:
            for value in found:
                yield value

    async def _spread(self, result: Any, put: Put, *, lazy: bool = False) -> None:
        """Put out what was returned, one by one; `lazy`: an iterator is work of a plain function, for a thread."""
        if isinstance(result, AsyncIterable):
            iterator = result.__aiter__()
            try:
                async for value in iterator:
                    await put(value)
            finally:
                await _close(iterator)
        elif lazy and isinstance(result, Iterator):
            await self._pump(result, put)
        else:
            for value in result:
                await put(value)

    async def _thread(self, function: Callable[..., Any], *args: Any) -> Any:
        def boxed() -> tuple[Any]:  # trio refuses a thread that returns an awaitable
            return (function(*args),)

        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._threads)
        if self._abandon:
            box = await anyio.to_thread.run_sync(boxed, limiter=self._limiter, abandon_on_cancel=True)
        else:
            box = await in_thread(self._limiter, boxed)
        return box[0]

    async def _pump(self, values: Iterable[Any], put: Put) -> None:
        pump = Pump(values, poster())
        error: Exception | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._thread, pump.fill)
            try:
                async for value in pump:
                    await put(value)
            except Exception as found:  # raised outside of the group, as it is
                error = found
            finally:
                pump.close()
        if error is not None:
            raise error


async def _close(iterator: Any) -> None:
    close = getattr(iterator, "aclose", None)
    if close is not None:
        await close()
