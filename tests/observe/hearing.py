"""Somebody who looks: keeps every message, and lets a test wait for one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from datagraph.observe.watch import Message

PATIENCE = 15.0


class Hearing:
    """A callback for `Watcher.subscribe`, or a view's browser."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._news = threading.Condition()

    def __call__(self, message: Message) -> None:
        with self._news:
            self.messages.append(message)
            self._news.notify_all()

    def of(self, kind: str) -> list[Message]:
        """What came of that kind."""
        return [message for message in list(self.messages) if message.get("kind") == kind]

    def ticks(self) -> list[dict[str, Any]]:
        """The ticks that came, decoded."""
        return [json.loads(message["tick"]) for message in self.of("tick")]

    def wait(self, found: Callable[[], Any], what: str = "") -> Any:
        """Wait until `found` finds something in what came; it."""
        with self._news:
            if not self._news.wait_for(found, PATIENCE):
                kinds = [message.get("kind") for message in self.messages][-20:]
                raise AssertionError(f"{what or 'it'} did not come in {PATIENCE:.0f} s; the last: {kinds}")
        return found()

    def wait_for_quiet(self, seconds: float) -> None:
        """Wait until nothing comes for so long."""
        with self._news:
            deadline = time.monotonic() + PATIENCE
            while self._news.wait(seconds):
                assert time.monotonic() < deadline, "it is never quiet"

    def wait_for(self, kind: str, count: int = 1) -> Message:
        """Wait for the n-th message of a kind."""
        return self.wait(lambda: self.of(kind)[count - 1 : count], f"{kind} {count}")[0]
