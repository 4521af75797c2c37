"""Whether a cell runs now: while one does, what the browser says may not be heard, though it is there."""

from __future__ import annotations

import math
import sys
import threading
import time
from typing import Any

_lock = threading.Lock()
_shell: Any = None
_running = False
_ended = -math.inf


def watch_cells() -> None:
    """Note from now on when cells begin and end; nothing where there is no IPython kernel."""
    global _shell, _running
    if "ipykernel" not in sys.modules:
        return
    from IPython import get_ipython

    with _lock:
        shell: Any = get_ipython()
        if shell is None or shell is _shell or not hasattr(shell, "kernel"):
            return
        _shell = shell
        _running = _in_a_cell(shell)
        shell.events.register("pre_run_cell", _begins)
        shell.events.register("post_run_cell", _ends)


def last_deaf(now: float) -> float:
    """When the kernel may last have been deaf to the browser (monotonic seconds): `now` while a cell runs."""
    return now if _running else _ended


def _in_a_cell(shell: Any) -> bool:
    """Whether what called this is a cell, which began before anybody noted it."""
    header = shell.kernel.get_parent("shell").get("header") or {}
    return bool(header.get("msg_type") == "execute_request")


def _begins(*_: object) -> None:
    global _running
    _running = True


def _ends(*_: object) -> None:
    global _running, _ended
    _running, _ended = False, time.monotonic()
