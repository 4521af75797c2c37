"""What is under way in memory, counted: the one rule for the end of a run whose values loop, branch and multiply.

Nothing is sent to say that something has ended: a run has when its source has, and nothing that came of it is left.
"""

from __future__ import annotations

import anyio


class InFlight:
    """Counts what has been put in and is not finished yet. Its loop alone changes it; `count` may be read anywhere."""

    __slots__ = ("_over", "count", "open")

    def __init__(self) -> None:
        self.count = 0
        self.open = True
        self._over: anyio.Event | None = None  # of the loop that waits, which may not be the one that made this

    def begin(self) -> None:
        """One more is under way; what it becomes is begun before it is finished."""
        self.count += 1

    def finish(self) -> None:
        """One is done, and all that it has become was begun."""
        self.count -= 1
        if self.count <= 0 and not self.open:
            self._tell()

    def close(self) -> None:
        """Nothing more comes from outside."""
        self.open = False
        if self.count <= 0:
            self._tell()

    def _tell(self) -> None:
        if self._over is not None:
            self._over.set()

    async def wait(self) -> None:
        """Wait until nothing is under way and nothing more comes; one task at a time."""
        self._over = anyio.Event()
        if self.count <= 0 and not self.open:
            self._over.set()
        await self._over.wait()
