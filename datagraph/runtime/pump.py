"""An iterable that may block, read in a thread while a loop takes its values: at once as they come, never far ahead."""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any, Self

import anyio

from .home import Post

AHEAD = 16


class Pump:
    """The values of an iterable, for one task of a loop; at most `ahead` of them are read before they are asked for.

    `fill` is for a thread. What the iterable raises is raised where the values are taken, after those before it.
    """

    def __init__(self, values: Iterable[Any], post: Post, ahead: int = AHEAD) -> None:
        self._values = values
        self._post = post
        self._buffer: deque[Any] = deque()
        self._room = threading.Semaphore(ahead)
        self._event: anyio.Event | None = None
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None

    def start(self) -> Self:
        """Read in a thread of its own, which nobody waits for: no one can stop it while the iterable blocks."""
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self.fill,), name="datagraph-source", daemon=True).start()
        return self

    def fill(self) -> None:
        """Read until the end, or until nobody takes the values any more; then the iterator is closed."""
        iterator = None
        try:
            iterator = iter(self._values)
            while True:
                self._room.acquire()
                if self._closed:
                    break
                try:
                    value = next(iterator)
                except StopIteration:
                    break
                self._buffer.append(value)
                self._tell()
        except BaseException as error:
            self._error = error
        finally:
            try:
                close = getattr(iterator, "close", None)
                if self._closed and callable(close):
                    close()
            except BaseException as error:
                self._error = self._error or error
            self._ended = True
            self._tell()

    def _tell(self) -> None:
        event, self._event = self._event, None
        if event is not None:
            self._post(event.set)

    def close(self) -> None:
        """Nobody takes any more values: the thread ends after the one that it is at."""
        self._closed = True
        self._room.release()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        buffer = self._buffer
        while not buffer:
            event = self._event = anyio.Event()
            if buffer:
                break
            if self._ended:
                if buffer:
                    break
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            await event.wait()
        self._room.release()
        return buffer.popleft()
