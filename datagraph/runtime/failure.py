"""A failure on its way from a function to whoever waits: in this process with its cause, through the store as text."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

import msgspec

from ..exceptions import (
    DatagraphError,
    FencedError,
    NotResumableError,
    ProcessorError,
    RewoundError,
    StoreError,
    StreamTrimmedError,
    processor_error,
)
from ..streams.text import short

_ORDER: tuple[type[BaseException], ...] = (FencedError, RewoundError, StoreError)


@dataclass(slots=True)
class Failure:
    """What went wrong in `node`: the error, the value it had in hand as text, its position, how often it was tried."""

    node: str
    error: BaseException
    value: str = ""
    position: int | None = None
    attempts: int = 1

    def text(self) -> str:
        """The error in one line, with what our own errors were told on their way."""
        notes = getattr(self.error, "__notes__", ()) if isinstance(self.error, DatagraphError) else ()
        told = f" ({'; '.join(notes)})" if notes else ""
        return f"{type(self.error).__name__}: {self.error}".rstrip(": ") + told

    def message(self) -> str:
        """The sentence of the ProcessorError."""
        where = f" at {self.value}" if self.value else ""
        place = f" (position {self.position})" if self.position is not None else ""
        tries = f" after {self.attempts} attempts" if self.attempts > 1 else ""
        return f"{self.node!r} failed{where}{place}{tries}: {self.text()}"

    def traceback(self) -> str:
        """The traceback as text, from the function on."""
        return "".join(traceback.format_exception(self.error))[-8000:]

    def exception(self) -> ProcessorError:
        """The error for waiters in this process: also of the cause's type, and chained."""
        return processor_error(
            self.message(),
            self.error,
            node=self.node,
            value=self.value,
            position=self.position,
            attempts=self.attempts,
        )


class GivenUp(Exception):
    """A value failed for good, and the processor says that this fails the run."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message())
        self.failure = failure


def report(failure: Failure) -> bytes:
    """The failure as it is kept in the store."""
    return msgspec.json.encode(
        {
            "node": failure.node,
            "message": failure.message(),
            "type": type(failure.error).__name__,
            "value": failure.value,
            "position": failure.position,
            "attempts": failure.attempts,
            "traceback": failure.traceback(),
        }
    )


def from_report(data: bytes) -> ProcessorError:
    """The error for waiters in other processes, from the store's record."""
    try:
        record: dict[str, Any] = msgspec.json.decode(data)
    except msgspec.DecodeError:
        record = {"message": short(data), "node": "?"}
    error = processor_error(
        record.get("message", "the run failed"),
        None,
        node=record.get("node", "?"),
        value=record.get("value", ""),
        position=record.get("position"),
        attempts=record.get("attempts", 1),
    )
    if record.get("traceback"):
        error.add_note("the traceback in the process that ran it:\n" + record["traceback"])
    return error


def leaves(error: BaseException) -> list[BaseException]:
    """The errors of a group, flat."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def leading(group: BaseException) -> Exception | None:
    """The one error of a group that decides what happens next: the store's before the function's; None: only others."""
    found = leaves(group)
    for kind in _ORDER:
        for error in found:
            if isinstance(error, kind) and isinstance(error, Exception):
                return error
    ordinary = [error for error in found if isinstance(error, Exception)]
    if len(ordinary) != len(found):
        return None
    return next((e for e in ordinary if not isinstance(e, DatagraphError)), ordinary[0] if ordinary else None)


def not_resumable(node: str, cause: StreamTrimmedError) -> NotResumableError:
    """What a replay finds that comes too late."""
    error = NotResumableError(
        f"{node!r} keeps what it knows in its locals and would have to read {cause.stream!r} again from position "
        f"{cause.expected}, but only what comes after {cause.found} is kept: use state='context', or keep='all'"
    )
    error.__cause__ = cause
    return error
