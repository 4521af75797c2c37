"""The run in this process, as a node sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import anyio

from ..streams.records import NodeRecord
from ..streams.store import Session
from .breakpoints import Stop
from .failure import Failure
from .port import Hub
from .sides import Delivery

if TYPE_CHECKING:
    from .node import Node


class Engine(Hub, Delivery, Protocol):
    """The run in this process, as a node sees it."""

    session: Session
    stopping: bool
    force: bool
    threads: anyio.CapacityLimiter

    def held(self, node: str, port: str, hold: str, capacity: int | None) -> None:
        """A reader of this process holds its stream back in another way now."""

    def capacity(self, node: str, port: str) -> int:
        """How many values may wait at that port now."""

    async def paced(self, node: Node) -> None:
        """Return when the node's rate allows another attempt."""

    def is_paused(self, node: str) -> bool:
        """Whether the run or this node is paused."""

    def stop_at(self, node: str, port: str) -> Stop | None:
        """The breakpoint at a port."""

    def steps(self, node: str) -> int | None:
        """How many values a node that is paused may still do; None for one that is not."""

    def stepped(self, node: str, count: int) -> None:
        """It does so many of them now."""

    def opened(self, node: Node, record: NodeRecord) -> None:
        """The node was claimed here."""

    def closed(self, node: Node) -> None:
        """The node is not run here any more."""

    async def gate(self, node: Node) -> None:
        """Return when neither the run nor the node is paused."""

    def stir(self) -> None:
        """Have who waits at the gate look again."""

    async def rewound(self) -> None:
        """The store refused what a node knows: all of them here go back to what it has."""

    async def failed(self, node: Node, failure: Failure) -> None:
        """A node gives up, and the run fails with it."""

    async def pause(self, node: str, failure: Failure) -> None:
        """Pause a node whose value failed."""

    def logger(self, node: str) -> Any:
        """The logger that writes to the node's log."""
