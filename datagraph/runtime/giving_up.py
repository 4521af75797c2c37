"""What becomes of a value that failed for good, and of its node: paused, the value left out, or the run failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..exceptions import CodecError, DatagraphError, StreamTrimmedError
from ..streams.codec import Codec
from ..streams.records import Commit
from ..streams.text import short
from .failure import Failure, not_resumable, report
from .port import Port

if TYPE_CHECKING:
    from .node import Node

Hands = Sequence[tuple[Port, int, int]]
"""What was in hand: (port, start, stop)."""


async def give_up(node: Node, failure: Failure, hands: Hands, value: Any) -> bool:
    """Do what the node's `on_error` says; True where it goes on from its resume point."""
    policy = node.work.on_error
    if isinstance(failure.error, StreamTrimmedError) and _is_replay(node, failure.error):
        failure.error = not_resumable(node.name, failure.error)
        policy = "fail"
    if policy == "pause":
        await node.engine.pause(node.name, failure)
        await node.engine.gate(node)
        return True
    passes = policy in {"skip", "dead_letter"} and node.work.resumes
    if passes and hands and not isinstance(failure.error, DatagraphError):
        _pass_over(node, failure, hands, value)
        return True
    await _fail(node, failure)
    return False


def _is_replay(node: Node, error: StreamTrimmedError) -> bool:
    """Whether what is gone had been read before this start: a replay needs it, nobody asked for it."""
    parts = [segment for segment in node.segments() if segment.stream == error.stream]
    read = max((node.record.reads.get(segment.name, (0, 0))[0] for segment in parts), default=0)
    return not node.work.resumes and error.expected < read


def _pass_over(node: Node, failure: Failure, hands: Hands, value: Any) -> None:
    for port, start, stop in hands:
        node.bad.setdefault(port.name, {}).update(dict.fromkeys(range(start, stop), b""))
    port, start, _ = hands[0]
    if node.work.on_error == "dead_letter":
        node.bad[port.name][start] = letter(node, failure, port, start, value)
    node.count("errors")
    node.count("skipped" if node.work.on_error == "skip" else "dead_letters")


async def _fail(node: Node, failure: Failure) -> None:
    node.status = "failed"
    record = await node.session.claim(node.name)
    await node.engine.failed(node, failure)  # first, for a beat may see the run failed before the commit returns
    error = report(failure)
    await node.session.commit(
        Commit(node.name, record.epoch, record.seq + 1, status="failed", error=error, counters={"errors": 1})
    )


def letter(node: Node, failure: Failure, port: Port, position: int, value: Any) -> Any:
    """A dead letter: the value as a frame of its own, and what happened to it; msgpack, or where the store keeps
    objects, a dict.
    """
    payload = _framed(node.session.codec.bind(f"{node.session.run}:~{node.name}".encode()), value)
    segment, at = port.where(position)
    record = {
        "payload": payload,
        "port": port.name,
        "stream": segment.stream,
        "position": at,
        "error": failure.text(),
        "traceback": failure.traceback(),
        "attempts": failure.attempts,
        "version": node.work.version,
    }
    return record if not isinstance(payload, bytes) else msgspec.msgpack.encode(record)


def _framed(codec: Codec, value: Any) -> Any:
    try:
        return codec.encode([value])
    except CodecError:
        return codec.encode([short(value)])
