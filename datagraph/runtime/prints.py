"""What a processor prints or logs goes to its node's log, not into whichever notebook cell runs at that moment."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

_SPEAKER: ContextVar[NodeLog | None] = ContextVar("datagraph_speaker", default=None)
_KEPT = 10_000


class NodeLog:
    """The lines that one node has said and that are not in the store yet; the oldest go where too many gather."""

    def __init__(self, node: str) -> None:
        self.node = node
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._part = ""
        self._lock = threading.Lock()

    def add(self, line: str) -> None:
        """One line."""
        self._lines.append(line)

    def write(self, text: str) -> None:
        """Text as it is printed: kept back until its line ends."""
        with self._lock:
            *lines, self._part = (self._part + text).split("\n")
            self._lines.extend(lines)

    def take(self) -> list[str]:
        """The lines so far, once."""
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        return lines

    def logger(self, run: str) -> logging.Logger:
        """A logger whose records become lines here; it propagates as loggers do."""
        logger = logging.Logger(f"datagraph.{self.node}")  # noqa: LOG001 - one a run, not one for ever
        logger.parent = logging.getLogger("datagraph")
        handler = _ToLog(self)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger.addHandler(handler)
        return logger


class _ToLog(logging.Handler):
    def __init__(self, log: NodeLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.add(self.format(record))


class _Switch(io.TextIOBase):
    """Stands in for sys.stdout: text from inside a node goes to its log, everything else where it went before."""

    def __init__(self, real: TextIO) -> None:
        self.real = real

    def write(self, text: str) -> int:
        log = _SPEAKER.get()
        if log is None:
            return self.real.write(text)
        log.write(text)
        return len(text)

    def flush(self) -> None:
        if _SPEAKER.get() is None:
            self.real.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)


@contextmanager
def speaking_for(log: NodeLog) -> Iterator[None]:
    """What this task and its threads print goes to the log."""
    if not isinstance(sys.stdout, _Switch):
        sys.stdout = _Switch(sys.stdout)
    token = _SPEAKER.set(log)
    try:
        yield
    finally:
        _SPEAKER.reset(token)
