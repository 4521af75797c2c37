"""What a run hands down to a processor's function: never a global, always an argument."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any


class Context:
    """The run, seen from inside one node.

    `run` and `node` are names; `logger` writes to the node's log; `state` is a dict that is saved with every commit
    where the processor says ``state="context"``; `settings` are this node's settings as they are now; `lengths` says
    how many values each of its outputs held when it started.
    """

    def __init__(
        self,
        run: str,
        node: str,
        *,
        state: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        logger: logging.Logger | logging.LoggerAdapter[logging.Logger] | None = None,
        lengths: dict[str, int] | None = None,
        key: Callable[[], str] | None = None,
        commit: Callable[[], Any] | None = None,
    ) -> None:
        self.run = run
        self.node = node
        self.state: dict[str, Any] = {} if state is None else state
        self.settings: dict[str, Any] = {} if settings is None else settings
        self.logger = logger or logging.getLogger(f"datagraph.{node}")
        self.lengths: dict[str, int] = {} if lengths is None else lengths
        self._key = key
        self._commit = commit

    @property
    def key(self) -> str:
        """An idempotency key for outside effects: the same again where this very value is tried or replayed again."""
        return self._key() if self._key is not None else f"{self.run}:{self.node}"

    async def commit(self) -> None:
        """Make this a safe point: everything read so far is finished, everything written is stored when it returns."""
        if self._commit is not None:
            await self._commit()
