"""The two sides of a writer: who fills its buffers, and who in this process reads what it has stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..streams.records import Advance, Frame
from .outlet import Mark


class Source(Protocol):
    """Who fills the buffers: asked for the newest safe point, and to come to one soon."""

    arbitrary: bool  # what was written since the last safe point could not be repeated from there

    def mark(self, limit: int) -> Mark | None:
        """The newest safe point that was not handed over yet; handed over once. One that can choose stays below
        `limit` values of output.
        """

    def recall(self) -> None:
        """Come to a safe point soon."""

    def taken(self) -> list[tuple[str, str, int]]:
        """How far it has taken values, as (segment, stream, position); what is not finished was made from no more."""

    def start_of(self, segment: str) -> int:
        """Where a segment that it reads begins."""

    def settled(self, reads: Sequence[Advance]) -> None:
        """These reads of its ports are in the store."""


class Delivery(Protocol):
    """The process's own readers."""

    def delivered(self, frames: Sequence[tuple[str, Frame]], ended: Sequence[str]) -> None:
        """These frames are stored, and these streams have ended."""

    def advanced(self, node: str, reads: Sequence[Advance]) -> None:
        """This node's readers have moved."""

    def local_room(self, stream: str, length: int) -> tuple[int, int] | None:
        """Room for the writer of the stream, and the least capacity of its readers, in values.

        None where a reader is in another process.
        """

    async def relieve(self, node: str, stream: str) -> None:
        """The node has waited long for room in the stream: look for a deadlock."""
