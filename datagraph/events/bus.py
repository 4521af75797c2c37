"""Who is told about events. An observer can be slow or broken; the run never notices its errors."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from .model import Event

Observer = Callable[[Event], None]

MOST_FAILURES = 10
_log = logging.getLogger("datagraph.events")


class Bus:
    """Hands each event to every observer, in the order in which they came; from any thread."""

    def __init__(self) -> None:
        self._failures: dict[int, int] = {}
        self._observers: tuple[tuple[int, Observer], ...] = ()
        self._lock = threading.Lock()
        self._next = 0

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call `observer` with every event from now on; returns a function that ends that.

        What the observer raises is logged once; after 10 failures in a row it is told nothing more.
        """
        with self._lock:
            key, self._next = self._next, self._next + 1
            self._observers += ((key, observer),)
        return lambda: self._remove(key)

    @property
    def observed(self) -> bool:
        """Whether anybody is told."""
        return bool(self._observers)

    def emit(self, event: Event) -> None:
        """Tell every observer; never raises what one of them raises."""
        for key, observer in self._observers:
            try:
                observer(event)
            except Exception:
                self._failed(key, observer)
            else:
                if self._failures.get(key):
                    self._failures[key] = 0

    def _failed(self, key: int, observer: Observer) -> None:
        first = key not in self._failures
        count = self._failures[key] = self._failures.get(key, 0) + 1
        if first:
            _log.exception("the observer %r failed; its later failures are not logged", observer)
        if count >= MOST_FAILURES:
            self._remove(key)
            _log.error("the observer %r failed %d times in a row; it is told nothing more", observer, count)

    def _remove(self, key: int) -> None:
        with self._lock:
            self._observers = tuple(entry for entry in self._observers if entry[0] != key)
            self._failures.pop(key, None)
