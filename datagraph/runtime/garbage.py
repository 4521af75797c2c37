"""The collector while values stream: thousands of them are alive at any moment, and none of them is garbage."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 50_000
"""New containers between two collections; CPython's 700 is passed several times in every frame of records."""

_lock = threading.Lock()
_users = 0
_before = gc.get_threshold()


@contextmanager
def seldom() -> Iterator[None]:
    """While a run is worked on, collect young objects every 50,000 of them; what the user has set is put back after.

    With CPython's own 700, values that wait in buffers grow old and have the whole heap searched again and again: that
    was a third of the time of a flow of 160-byte records. Reference counting frees them all the same.
    """
    global _users, _before
    with _lock:
        _users += 1
        if _users == 1:
            _before = gc.get_threshold()
            if 0 < _before[0] < _YOUNG:
                gc.set_threshold(_YOUNG, *_before[1:])
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                gc.set_threshold(*_before)
