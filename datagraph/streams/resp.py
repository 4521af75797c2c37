"""The thin client: commands to a Valkey or Redis server over one shared connection that is made again when it is cut.

Everything sent must be safe to repeat (the store's protocol sees to that): a command whose answer was lost goes out
again. So no MULTI, and no bare XADD with an id of the server's.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import pairwise
from math import inf
from types import TracebackType
from typing import Any, Final, Self

import anyio
from anyio.abc import TaskGroup
from redis.exceptions import ResponseError

from ..exceptions import StoreConfigError, StoreError, StoreFullError, StoreUnavailableError
from .address import Address
from .line import Line, Settings, pause_after
from .link import PASSING, Argument, CutError, Link, code_of, pack

_ENTRY: Final = frozenset({"NOAUTH", "WRONGPASS", "NOPERM"})
_FULL: Final = frozenset({"OOM", "MISCONF"})


class Script:
    """A server-side script; `sha` is its name on every server."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


class Client:
    """A server, entered with ``async with``. Any number of tasks of one event loop may call at once.

    `give_up`, `connect_timeout`, `reply_timeout` are seconds: without a connection until StoreUnavailableError; for
    one attempt to connect, and for the first connection in all; without an answer until the connection counts as cut.
    `on_reconnect` is called after each connection that replaces a cut one.
    """

    def __init__(
        self,
        address: Address,
        *,
        give_up: float = 60.0,
        on_reconnect: Callable[[], None] | None = None,
        connect_timeout: float = 5.0,
        reply_timeout: float = 10.0,
    ) -> None:
        times = {"give_up": give_up, "connect_timeout": connect_timeout, "reply_timeout": reply_timeout}
        for name, value in times.items():
            if not value > 0:
                raise StoreConfigError(f"{name} is a number of seconds above 0, not {value!r}")
        closed = f"the connection to the store {address.label} was closed"
        self._settings = Settings(address, give_up, connect_timeout, reply_timeout, closed)
        self._on_reconnect = on_reconnect
        self._line = Line(self._settings, on_reconnect)
        self._idle: list[Line] = []
        self._apart: set[Line] = set()
        self._tasks: TaskGroup

    @property
    def address(self) -> Address:
        """Where the server is now; a cluster's MOVED changes it."""
        return self._settings.address

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._line.connected

    @property
    def down_since(self) -> float | None:
        """When the connection was lost, by ``time.monotonic()``, or None while there is one."""
        return self._line.down_since

    async def __aenter__(self) -> Self:
        """Connect; StoreUnavailableError (at once where nobody listens), StoreConfigError."""
        link = await self._first_link()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._line.run, link)
        self._tasks.start_soon(self._watch)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Close every connection; who still waits gets StoreUnavailableError."""
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            if group.exceptions == (error,):  # the body's own error, which the task group wrapped
                return False
            raise

    async def call(self, *args: Argument) -> Any:
        """One command's reply.

        redis.exceptions.ResponseError where the server refuses it; StoreUnavailableError, StoreConfigError (no
        right to it), StoreFullError.
        """
        packed, patience = (pack(args),), self._settings.reply_timeout
        (reply,) = await self._line.ask(packed, patience)
        if isinstance(reply, ResponseError):
            return await self._settle(reply, args, partial(self._line.ask, packed, patience))
        return reply

    async def pipeline(self, commands: Sequence[Sequence[Argument]], *, raise_errors: bool = True) -> list[Any]:
        """The replies of several commands, sent in one write; another task's commands do not come between them unless
        the connection is cut. The first error is raised, or with `raise_errors` False errors stand in their places.
        """
        if not commands:
            return []
        packed, patience = tuple(map(pack, commands)), self._settings.reply_timeout
        replies = await self._line.ask(packed, patience)
        for place, reply in enumerate(replies):
            if isinstance(reply, ResponseError):
                repeat = partial(self._line.ask, (packed[place],), patience)
                try:
                    replies[place] = await self._settle(reply, commands[place], repeat)
                except (ResponseError, StoreError) as error:
                    if raise_errors:
                        raise
                    replies[place] = error
        return replies

    async def script(self, script: Script, keys: Sequence[str | bytes], args: Sequence[Argument] = ()) -> Any:
        """A script's answer; the server is taught the script where it does not know it."""
        command = ("EVALSHA", script.sha, len(keys), *keys, *args)
        try:
            return await self.call(*command)
        except ResponseError as error:
            if code_of(error) != "NOSCRIPT":
                raise
        _, reply = await self.pipeline([("SCRIPT", "LOAD", script.source), command])
        return reply

    async def block(self, *args: Argument) -> Any:
        """A command that waits on the server, such as XREAD with BLOCK, on a connection that no other call shares.

        Its patience is the milliseconds after BLOCK (0: for ever) on top of `reply_timeout`. Cancelled, the
        connection is given up.
        """
        ask = partial(self._ask_apart, (pack(args),), self._settings.reply_timeout + _block_time(args))
        (reply,) = await ask()
        if isinstance(reply, ResponseError):
            return await self._settle(reply, args, ask)
        return reply

    async def _ask_apart(self, packed: tuple[bytes, ...], patience: float) -> list[Any]:
        if self._idle:
            line = self._idle.pop()
        else:
            line = Line(self._settings, self._on_reconnect)
            self._apart.add(line)
            self._tasks.start_soon(line.run)
        try:
            replies = await line.ask(packed, patience)
        except BaseException:
            self._apart.discard(line)
            line.close()  # its answer may still come, at any time
            raise
        self._idle.append(line)
        return replies

    async def _first_link(self) -> Link:
        label, end = self.address.label, time.monotonic() + self._settings.connect_timeout
        attempt = 0
        while True:
            try:
                return await self._settings.open(max(end - time.monotonic(), 0.01))
            except CutError as error:
                pause = pause_after(attempt := attempt + 1)
                if error.refused:
                    raise StoreUnavailableError(
                        f"nobody listens at {label}: is a server running there? `datagraph server` starts one"
                    ) from None
                if time.monotonic() + pause > end:
                    raise StoreUnavailableError(
                        f"the store could not be reached in {self._settings.connect_timeout:.3g} s: {error}"
                    ) from None
                await anyio.sleep(pause)

    async def _watch(self) -> None:
        """Notice what no reset tells of: a server or network that has stopped answering."""
        while True:
            await anyio.sleep(self._settings.reply_timeout / 4)
            now = time.monotonic()
            for line in (self._line, *self._apart):
                line.check(now)

    async def _settle(
        self, error: ResponseError, args: Sequence[Argument], ask: Callable[[], Awaitable[list[Any]]]
    ) -> Any:
        """What to do about a server's error: wait and repeat, follow and repeat, or raise what it means."""
        start = time.monotonic()
        attempt = 0
        while True:
            code = code_of(error)
            if code == "MOVED":
                self._follow(error)
            elif code not in PASSING:
                raise self._meaning(error, code, str(args[0])) from None
            if attempt:
                if time.monotonic() - start > self._settings.give_up:
                    raise StoreUnavailableError(
                        f"the store {self.address.label} answers '{error}' since {time.monotonic() - start:.1f} s"
                    ) from None
                await anyio.sleep(pause_after(attempt))
            attempt += 1
            (reply,) = await ask()
            if not isinstance(reply, ResponseError):
                return reply
            error = reply

    def _follow(self, error: ResponseError) -> None:
        host, _, port = str(error).split(" ")[-1].rpartition(":")
        there = self.address.moved(host, int(port))
        if there != self.address:
            self._settings.address = there
            for line in (self._line, *self._apart):
                line.cut()

    def _meaning(self, error: ResponseError, code: str, command: str) -> Exception:
        if code in _ENTRY or "ACL failure" in str(error):
            return StoreConfigError(f"the store {self.address.label} does not allow {command} to this user: {error}")
        if code in _FULL:
            return StoreFullError(
                f"the store {self.address.label} is full: {error}; raise its maxmemory or `forget` old runs"
            )
        return error


def _block_time(args: Sequence[Argument]) -> float:
    for name, value in pairwise(args):
        if name in ("BLOCK", b"BLOCK", "block", b"block"):
            return float(value) / 1000 or inf
    return 0.0
