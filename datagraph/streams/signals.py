"""Who is woken by what: one event a thing, made anew each time it is set, so that no wake-up is lost or kept too long.

The rule for waiting: take the event, look whether there is something, and only if there is not, wait for the event.
"""

from __future__ import annotations

import anyio


class Signals:
    """Events by name, of one event loop. Names: ``values:<stream>``, ``room:<stream>``, ``turn:<node>``, ``run``."""

    def __init__(self) -> None:
        self._events: dict[str, anyio.Event] = {}
        self.missed = 0

    def event(self, name: str) -> anyio.Event:
        """The event that the next `set` of that name sets."""
        event = self._events.get(name)
        if event is None:
            event = self._events[name] = anyio.Event()
        return event

    def set(self, name: str) -> None:
        """Wake whoever waits for that name."""
        event = self._events.pop(name, None)
        if event is not None:
            event.set()

    def set_all(self) -> None:
        """Wake everybody: after a reconnect, when notices may have been missed; `missed` counts how often."""
        self.missed += 1
        events, self._events = self._events, {}
        for event in events.values():
            event.set()
