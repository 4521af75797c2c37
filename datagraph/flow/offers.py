"""Hot reload: a processor that was defined anew is offered to the runs that have a node of its name."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import anyio

from ..exceptions import DatagraphError, RunError
from ..graph.edit import Swap
from .changing import Applied
from .known import hear

if TYPE_CHECKING:
    from .local import LocalRun
    from .processor import Processor


class Offers:
    """The functions that the nodes of one run could have instead of their own. Lives in the runtime thread, but for
    what it hears and for `found`.
    """

    def __init__(self, local: LocalRun) -> None:
        self._local = local
        self._found: dict[str, Processor] = {}
        self._hot = False
        self._swapping = anyio.Lock()

    def begin(self, *, hot: bool) -> None:
        """The run is worked on here: hear of what is defined from now on."""
        self._hot = hot
        hear(self._heard)

    @property
    def found(self) -> Mapping[str, Processor]:
        """What is offered, by node."""
        running = self._local.changes.processors
        return {
            name: processor
            for name, processor in dict(self._found).items()
            if name in running and running[name].code_version != processor.code_version
        }

    @property
    def hot(self) -> bool:
        """Whether what is offered is swapped in at once."""
        return self._hot

    def _heard(self, processor: Processor) -> None:
        """From any thread: a function was bound. The processor may be bound again before the runtime comes to it."""
        local = self._local
        if processor.name not in local.changes.processors or local.record.status != "running":
            return
        self._found[processor.name] = copy.copy(processor)  # at once: whoever has defined it may ask for it next
        if self._hot:
            with contextlib.suppress(DatagraphError, RuntimeError):  # detached meanwhile
                local.thread.spawn(self._make, processor.name)

    async def heat(self, hot: bool) -> None:
        """Swap in what is offered, and what will be, at once; or leave it to `accept` again."""
        self._hot = hot
        for name in self.found if hot else ():
            await self._make(name)

    async def _make(self, name: str) -> None:
        """Swap it in; where that may not be it stays an offer, and the node's log says why."""
        if name not in self.found:
            return
        try:
            await self.accept(name)
        except DatagraphError as error:
            engine = self._local.engine
            if engine is not None:
                engine.logger(name).warning("its new function was not swapped in: %s", error)

    async def accept(self, node: str | None, *, fresh: bool = False) -> Applied:
        """Swap in what is offered for a node, or all of it in one change."""
        async with self._swapping:
            found = self.found
            chosen = dict(found) if node is None else {name: p for name, p in found.items() if name == node}
            if not chosen:
                what = "no node" if node is None else repr(node)
                offered = f"; there are new ones of: {', '.join(found)}" if found else ""
                raise RunError(f"{what} has a new function in this process{offered}: define its processor again")
            applied = await self._local.changes.apply([Swap(name, p, fresh) for name, p in chosen.items()])
            for name, processor in chosen.items():
                if self._found.get(name) is processor:
                    del self._found[name]
            return applied
