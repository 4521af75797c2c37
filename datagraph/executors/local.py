"""Nodes run in the supervisor's runtime thread; plain functions in its worker threads."""

from __future__ import annotations

from .base import Job


class LocalExecutor:
    """Runs every processor in this process, away from the caller's event loop.

    >>> LocalExecutor()
    LocalExecutor()
    """

    name = "local"

    async def run(self, job: Job) -> None:
        """Run the node here."""
        await job.run()

    def __repr__(self) -> str:
        return "LocalExecutor()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LocalExecutor)

    def __hash__(self) -> int:
        return hash(LocalExecutor)
