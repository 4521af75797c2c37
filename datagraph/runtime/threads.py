"""Into a worker thread, and from there back into the loop."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from .bridge import current_backend

R = TypeVar("R")


async def in_thread(limiter: anyio.CapacityLimiter, function: Callable[..., R], *args: Any) -> R:
    """Call a function in a worker thread and wait for it; one that is cancelled while it waits `in_loop` ends there."""
    try:
        return await anyio.to_thread.run_sync(function, *args, limiter=limiter)
    except (concurrent.futures.CancelledError, anyio.get_cancelled_exc_class()):
        # What the thread was told is no failure of its function, and no cancellation that a scope here would know as
        # its own: the scope says it again.
        await anyio.lowlevel.checkpoint()
        raise


def in_loop(function: Callable[..., Awaitable[R]], *args: Any) -> R:
    """Run a coroutine function in the loop that this worker thread was started from, and wait for it.

    It is cancelled with the task that waits for the thread, also where that was cancelled before this call: anyio
    (4.16, on asyncio) delivers a cancellation only to what runs in the loop at that moment, and what comes later from
    the thread would wait for ever.
    """
    return anyio.from_thread.run(_unless_cancelled, function, args)


async def _unless_cancelled(function: Callable[..., Awaitable[R]], args: tuple[Any, ...]) -> R:
    if anyio.current_effective_deadline() == -inf:
        await anyio.lowlevel.checkpoint()
        if current_backend() == "asyncio":
            import asyncio

            raise asyncio.CancelledError
    return await function(*args)
