"""An executor runs a node somewhere. The run is in the store, so that is all there is to it."""

from __future__ import annotations

from typing import Protocol


class Job(Protocol):
    """A node that is ready to be run in this process."""

    name: str

    async def run(self) -> None:
        """Run the node to its end."""


class Executor(Protocol):
    """Where nodes run."""

    name: str

    async def run(self, job: Job) -> None:
        """Run the node to its end, wherever this executor runs things."""
