"""The events that only the runtime knows of; all others the store tells by itself."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec

from ..events.model import DeadlockRelieved, ValueDeadLettered, encode


def dead_lettered(run: str, node: str, letters: Iterable[Any]) -> list[bytes]:
    """An event for each dead letter, which is a dict or packed as the node made it."""
    events = []
    for letter in letters:
        facts: dict[str, Any] = letter if isinstance(letter, dict) else msgspec.msgpack.decode(letter)
        event = ValueDeadLettered(
            run=run,
            at=time.time(),
            node=node,
            stream=facts["port"],
            position=facts["position"],
            error=facts["error"],
            attempts=facts["attempts"],
        )
        events.append(encode(event))
    return events


def relieved(run: str, node: str, stream: str, before: int, after: int, nodes: Iterable[str]) -> list[bytes]:
    """The event of a deadlock that a greater capacity of the edge from `stream` to `node` has ended."""
    event = DeadlockRelieved(
        run=run,
        at=time.time(),
        node=node,
        stream=stream,
        capacity_before=before,
        capacity_after=after,
        nodes=tuple(sorted(nodes)),
    )
    return [encode(event)]
