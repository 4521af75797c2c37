"""What happens to a run: few events, of its life only. What flows is counted and sampled, never told one by one."""

from __future__ import annotations

from typing import Any

import msgspec

from ..exceptions import CodecError


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=True):
    """Something that happened to `run` at `at` (seconds since the epoch, the server's clock)."""

    run: str
    at: float


class RunStarted(Event, frozen=True):
    """A run began; `name` is what its user called it."""

    name: str = ""


class RunPaused(Event, frozen=True):
    """The run, or only `node`, takes no more values."""

    node: str = ""


class RunResumed(Event, frozen=True):
    """The run, or only `node`, goes on."""

    node: str = ""


class RunRecovered(Event, frozen=True):
    """A run was taken up again after a crash; `nodes` were not finished."""

    nodes: tuple[str, ...] = ()


class RunEnded(Event, frozen=True):
    """A run ended; `status` is "completed", "failed" or "cancelled", `error` says why."""

    status: str = "completed"
    error: str = ""


class NodeStarted(Event, frozen=True):
    """A worker took `node`; each taking has a higher `epoch`."""

    node: str
    worker: str = ""
    epoch: int = 1


class NodeEnded(Event, frozen=True):
    """`node` has read all of its inputs and written all of its outputs; both counts are values."""

    node: str
    read: int = 0
    written: int = 0


class NodeFailed(Event, frozen=True):
    """`node` gave up on the value at `position` of its input (None for a source) after `attempts`."""

    node: str
    error: str = ""
    position: int | None = None
    attempts: int = 1


class ValueDeadLettered(Event, frozen=True):
    """`node` put the value at `position` of `stream` aside after `attempts`."""

    node: str
    stream: str = ""
    position: int | None = None
    error: str = ""
    attempts: int = 1


class ValueDropped(Event, frozen=True):
    """`node` let `count` values go, for this reason: told at the first of them, and once at the end of the run."""

    node: str
    reason: str = ""
    count: int = 1


class DeadlockRelieved(Event, frozen=True):
    """`nodes` waited for each other, so the capacity of the edge from `stream` to `node` grew (values)."""

    node: str
    stream: str = ""
    capacity_before: int = 0
    capacity_after: int = 0
    nodes: tuple[str, ...] = ()


class Unknown(Event, frozen=True):
    """An event that a newer datagraph wrote: `kind` is its name, `data` all that it says."""

    kind: str = ""
    data: dict[str, Any] = {}


class _Peek(msgspec.Struct):
    type: str


_PEEK = msgspec.json.Decoder(_Peek)
_DECODERS: dict[str, msgspec.json.Decoder[Event]] = {
    kind.__name__: msgspec.json.Decoder(kind)
    for kind in (
        RunStarted,
        RunPaused,
        RunResumed,
        RunRecovered,
        RunEnded,
        NodeStarted,
        NodeEnded,
        NodeFailed,
        ValueDeadLettered,
        ValueDropped,
        DeadlockRelieved,
    )
}
_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode(event: Event) -> bytes:
    """The event as JSON; an `Unknown` one as it came."""
    return _ENCODER.encode(event.data if isinstance(event, Unknown) else event)


def decode(data: bytes) -> Event:
    """The inverse of `encode`; a kind of event that is not known here comes back as `Unknown`.

    Raises `CodecError` where the bytes are no event at all.
    """
    try:
        kind = _PEEK.decode(data).type
        decoder = _DECODERS.get(kind)
        if decoder is not None:
            return decoder.decode(data)
        fields: dict[str, Any] = msgspec.json.decode(data)
        return Unknown(run=str(fields.get("run", "")), at=float(fields.get("at", 0.0)), kind=kind, data=fields)
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise CodecError(f"these {len(data)} bytes are no event: {error}; something else wrote them") from None
