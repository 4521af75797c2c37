"""The runtime threads that the doors share: one for each event loop library, for whatever scripts and cells start."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from .bridge import Backend, RuntimeThread, current_backend

Post = Callable[[Callable[[], Any]], None]
"""Runs a plain function in an event loop soon, from any thread; a loop that has ended runs nothing."""

_lock = threading.Lock()
_homes: dict[tuple[int, Backend], RuntimeThread] = {}


def home(backend: Backend = "asyncio") -> RuntimeThread:
    """This process's runtime thread of that library, from its first use to the end of the process."""
    key = os.getpid(), backend  # a forked child has none of its parent's threads
    with _lock:
        thread = _homes.get(key)
        if thread is None:
            thread = _homes[key] = RuntimeThread(backend)
        return thread


def poster() -> Post:
    """What runs functions in the event loop that calls this."""
    if current_backend() == "trio":
        import trio

        token = trio.lowlevel.current_trio_token()

        def post_trio(function: Callable[[], Any]) -> None:
            try:
                token.run_sync_soon(function)
            except trio.RunFinishedError:
                return

        return post_trio
    import asyncio

    loop = asyncio.get_running_loop()

    def post_asyncio(function: Callable[[], Any]) -> None:
        try:
            loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed
            return

    return post_asyncio
