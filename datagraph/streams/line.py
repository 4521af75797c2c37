"""A connection that stays: many tasks share it, and what was not answered before a cut is sent again after it."""

from __future__ import annotations

import random
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import anyio

from ..exceptions import StoreConfigError, StoreError, StoreUnavailableError
from .address import Address
from .link import NOTHING, CutError, Link, hint, tls_context

FIRST_PAUSE: Final = 0.02  # seconds before the second attempt; doubles up to LAST_PAUSE
LAST_PAUSE: Final = 1.0
MOST_CUTS: Final = 20  # cuts that one request may cause or meet first in line, before it is the one that is wrong


class Request:
    """Some commands on their way, the replies that came, and the event that says all of them are here."""

    __slots__ = ("abandoned", "commands", "count", "cuts", "error", "event", "patience", "replies", "sent_at")

    def __init__(self, commands: tuple[bytes, ...], patience: float) -> None:
        self.commands = commands
        self.count = len(commands)
        self.replies: list[Any] = []
        self.event = anyio.Event()
        self.error: StoreError | None = None
        self.patience = patience
        self.abandoned = False
        self.cuts = 0
        self.sent_at = 0.0


class Settings:
    """What all lines of one client share; `address` follows MOVED. Times in seconds."""

    def __init__(
        self, address: Address, give_up: float, connect_timeout: float, reply_timeout: float, closed: str
    ) -> None:
        self.address = self.home = address
        self.context: ssl.SSLContext | None = tls_context(address)
        self.give_up = give_up
        self.connect_timeout = connect_timeout
        self.reply_timeout = reply_timeout
        self.closed = closed

    async def open(self, timeout: float) -> Link:
        """One attempt; CutError, StoreConfigError."""
        address = self.address
        try:
            with anyio.move_on_after(timeout):
                return await Link.open(address, self.context)
            raise CutError(f"{address.label} did not answer within {timeout:.3g} s{hint(address)}")
        except CutError:
            self.address = self.home  # where MOVED led is gone; the one that we were given knows more
            raise


def pause_after(attempt: int) -> float:
    """Seconds to wait after that many failures: doubling, with full jitter in its upper half."""
    return min(FIRST_PAUSE * 2.0 ** min(attempt, 10), LAST_PAUSE) * random.uniform(0.5, 1.0)


class Line:
    """One connection, made anew whenever it is cut. Commands must be safe to repeat, and replies come in order.

    Nothing is locked: an idle line sends in the caller's own step; what other tasks add before the next step of the
    loop gathers and goes out in one write.
    """

    def __init__(self, settings: Settings, on_reconnect: Callable[[], None] | None = None) -> None:
        self._settings = settings
        self._on_reconnect = on_reconnect
        self._link: Link | None = None
        self._unsent: deque[Request] = deque()
        self._sent: deque[Request] = deque()
        self._left = memoryview(b"")
        self._wake: anyio.Event | None = None
        self._scope = anyio.CancelScope()
        self._life = anyio.CancelScope()
        self._heard_at = 0.0
        self._failures = 0
        self._reason = "the connection was cut"
        self._closed = False
        self.down_since: float | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None

    async def ask(self, commands: tuple[bytes, ...], patience: float) -> list[Any]:
        """Send, wait, return one reply for each command; `patience`: seconds without an answer that count as a cut.

        StoreUnavailableError, StoreConfigError. Cancelled, its replies are dropped when they come.
        """
        if self._closed:
            raise StoreUnavailableError(self._settings.closed)
        request = Request(commands, patience)
        if self._link is not None and not self._sent and not self._unsent and not self._left:
            self._sent.append(request)
            data = commands[0] if len(commands) == 1 else b"".join(commands)
            self._send_now(self._link, data, request)
        else:
            self._unsent.append(request)
            self._wake_sender()
        try:
            await request.event.wait()
        except BaseException:
            request.abandoned = True
            raise
        if request.error is not None:
            raise request.error
        return request.replies

    def close(self) -> None:
        """End `run`."""
        self._life.cancel()

    def cut(self) -> None:
        """Drop the connection; it is made again and everything unanswered goes out again."""
        self._scope.cancel()

    def check(self, now: float) -> None:
        """Cut where the oldest request has had no answer for longer than its patience, by the monotonic clock."""
        if self._sent and self._link is not None:
            oldest = self._sent[0]
            if now - max(oldest.sent_at, self._heard_at) > oldest.patience:
                self.cut()

    async def run(self, link: Link | None = None) -> None:
        """Keep the line up until closed or cancelled; `link` is a first connection that is open already."""
        again = False
        try:
            with self._life:
                while True:
                    if link is None:
                        link = await self._reconnect()
                        if again and self._on_reconnect is not None:
                            self._on_reconnect()
                    self.down_since = None
                    await self._serve(link)
                    link, again = None, True
        finally:
            self._closed = True
            self._fail(StoreUnavailableError(self._settings.closed))

    async def _serve(self, link: Link) -> None:
        self._link = link
        try:
            with anyio.CancelScope() as self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._send, link)
                    await self._receive(link)
        finally:
            self._link = None
            link.close()
        self.down_since = time.monotonic()
        self._take_back()

    async def _reconnect(self) -> Link:
        settings = self._settings
        if self.down_since is None:
            self.down_since = time.monotonic()
        end = self.down_since + settings.give_up
        while True:
            left = end - time.monotonic()
            if self._failures:
                pause = pause_after(self._failures)
                await anyio.sleep(min(pause, left) if left > 0 else pause)
                left = end - time.monotonic()
                self._give_up(left, self.down_since)
            self._failures += 1
            try:
                return await settings.open(
                    min(settings.connect_timeout, left) if left > 0 else settings.connect_timeout
                )
            except StoreConfigError as error:
                self._fail(error)
            except CutError as error:
                self._reason = str(error)
                self._give_up(end - time.monotonic(), self.down_since)

    def _give_up(self, left: float, since: float) -> None:
        if left <= 0 and (self._sent or self._unsent):
            text = f"the store {self._settings.address.label} could not be reached for {time.monotonic() - since:.1f} s"
            self._fail(StoreUnavailableError(f"{text} ({self._reason}); a run goes on with `recover` when it is back"))

    def _send_now(self, link: Link, data: bytes, last: Request) -> None:
        last.sent_at = time.monotonic()
        try:
            done = link.send(data)
        except CutError:
            self.cut()
            return
        if done < len(data):
            self._left = memoryview(data)[done:]
            self._wake_sender()

    def _wake_sender(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None

    async def _send(self, link: Link) -> None:
        try:
            while True:
                while self._left:
                    done = link.send(self._left)
                    self._left = self._left[done:]
                    if self._left:
                        await link.writable()
                if self._unsent:
                    batch, self._unsent = self._unsent, deque()
                    now = time.monotonic()
                    for request in batch:
                        request.sent_at = now
                    self._sent.extend(batch)
                    parts = [part for request in batch for part in request.commands[len(request.replies) :]]
                    self._left = memoryview(b"".join(parts))
                else:
                    wake = self._wake = anyio.Event()
                    await wake.wait()
        except CutError:
            self.cut()

    async def _receive(self, link: Link) -> None:
        gets, sent = link.gets, self._sent

        def heard() -> None:
            self._heard_at = time.monotonic()
            while (reply := gets()) is not NOTHING:
                if not sent:
                    raise CutError("an answer that nobody asked for")
                request = sent[0]
                request.replies.append(reply)
                if len(request.replies) == request.count:
                    sent.popleft()
                    request.event.set()
                    self._failures = 0

        try:
            await link.listen(heard)
        except CutError:
            self.cut()

    def _take_back(self) -> None:
        """After a cut: what was sent and not answered goes to the front again, in order, less what nobody waits for."""
        again = [request for request in self._sent if not request.abandoned]
        self._sent.clear()
        self._left, self._wake = memoryview(b""), None
        if again and again[0].patience <= self._settings.reply_timeout:  # a blocking command may well see many cuts
            again[0].cuts += 1
            if again[0].cuts >= MOST_CUTS:
                request = again.pop(0)
                text = f"the store {self._settings.address.label} cut the connection {MOST_CUTS} times instead of"
                size = sum(map(len, request.commands))
                request.error = StoreUnavailableError(f"{text} answering a command of {size:,} bytes")
                request.event.set()
        self._unsent = deque([*again, *(request for request in self._unsent if not request.abandoned)])

    def _fail(self, error: StoreError) -> None:
        for request in (*self._sent, *self._unsent):
            request.error = type(error)(*error.args)
            request.event.set()
        self._sent.clear()
        self._unsent.clear()
