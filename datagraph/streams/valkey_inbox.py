"""How a session hears of what others do: it listens to its inbox on the server and sets signals."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
from redis.exceptions import ResponseError

from ..exceptions import StoreError
from .resp import Client
from .signals import Signals

BLOCK_MS: Final = 10_000
RENEW_AFTER: Final = 15.0  # seconds; the server drops an inbox after 60
PAUSE_AFTER_ERROR: Final = 1.0


class Inbox:
    """One session's notices. `renew` keeps the inbox and what is watched on the server; it calls `restart` if it had to
    make the inbox anew.
    """

    def __init__(self, key: str, signals: Signals, renew: Callable[[], Awaitable[None]]) -> None:
        self._key = key
        self._signals = signals
        self._renew = renew
        self._heard = 0
        self._restarted = False
        self._waiting = anyio.CancelScope()

    def restart(self) -> None:
        """Listen from the start: the inbox is a new one, or an old one if the store went back; whoever waits may have
        missed something.
        """
        self._heard, self._restarted = 0, True
        self._waiting.cancel()
        self._signals.set_all()

    async def listen(self, client: Client) -> None:
        """Set signals until cancelled. It ends for no error: the calls of who is waiting tell of those."""
        renewed = time.monotonic()
        while True:
            try:
                while self._restarted:
                    self._restarted = False
                    await self._renew()
                    self._signals.set_all()
                with anyio.CancelScope() as self._waiting:
                    last = f"0-{self._heard}"
                    reply = await client.block("XREAD", "BLOCK", BLOCK_MS, "STREAMS", self._key, last)
                    if reply:
                        self._take(reply[0][1])
                if time.monotonic() - renewed > RENEW_AFTER:
                    await self._renew()
                    renewed = time.monotonic()
            except (StoreError, ResponseError):
                self._signals.set_all()
                await anyio.sleep(PAUSE_AFTER_ERROR)

    def _take(self, entries: list[Any]) -> None:
        first = int(entries[0][0].partition(b"-")[2])
        if first != self._heard + 1:  # so many came that the oldest were dropped
            self._signals.set_all()
        for name in {entry[1][1] for entry in entries}:
            self._signals.set(name.decode())
        self._heard = int(entries[-1][0].partition(b"-")[2])
