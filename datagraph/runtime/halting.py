"""Leaving a function at a safe point, so that another one, or the same with other options, takes its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .node import Node


class Halted(BaseException):
    """Raised in a function that reads streams, where it asks for the next value: it is left there."""


class HaltedInThread(Exception):
    """The same in a plain function, which runs in a thread."""


def writers_first(nodes: Sequence[Node]) -> Iterator[list[Node]]:
    """The nodes, in groups of which none writes what is read in one before."""
    left = list(nodes)
    while left:
        written = {stream for node in left for stream in node.work.outputs}
        level = [node for node in left if not any(segment.stream in written for segment in node.segments())] or left
        yield level
        left = [node for node in left if node not in level]
