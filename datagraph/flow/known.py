"""The processors that have a function in this process, by name, and whoever wants to hear of new ones."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .processor import Processor

Hearer = Callable[["Processor"], None]

_lock = threading.Lock()
_processors: weakref.WeakValueDictionary[str, Processor] = weakref.WeakValueDictionary()
_hearers: list[weakref.WeakMethod[Hearer]] = []


def known() -> Mapping[str, Processor]:
    """Every processor of this process that has a function, by name; of several of one name the latest.

    Those that nobody holds any more are gone.
    """
    with _lock:
        return dict(_processors)


def defined(processor: Processor) -> None:
    """A processor was given a function: it is known from now on, and whoever hears of such is told."""
    global _hearers  # replaced, never changed: so it can be walked without the lock
    with _lock:
        _processors[processor.name] = processor
        _hearers = [hearer for hearer in _hearers if hearer() is not None]
        hearers = _hearers
    for weak in hearers:
        hearer = weak()
        if hearer is not None:
            hearer(processor)


def hear(hearer: Hearer) -> None:
    """Have a bound method called, in whichever thread binds, with each processor that is given a function."""
    global _hearers
    with _lock:
        _hearers = [*_hearers, weakref.WeakMethod(hearer)]
