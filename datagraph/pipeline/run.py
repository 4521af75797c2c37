"""A run of a pipeline, held by whoever started it: waited for, steered, looked at."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

from ..events.bus import Observer
from ..events.model import Event
from ..exceptions import DatagraphError
from ..observe.handle import Handle, Watched
from ..runtime.bridge import RuntimeThread, shielded, wait_for
from ..runtime.home import home
from .engine import Engine
from .looking import Looking
from .results import DeadLetter, PipelineResults


def watched(engine: Engine) -> Watched:
    """An engine as a view sees it; it hears of the end."""
    found = Watched(Looking(engine), engine.graph, id=engine.id, name=engine.name, home=home)
    engine.on_end = found.ended
    return found


class PipelineRun(Handle):
    """A run of a pipeline in the runtime thread. Every method may be called from a script, a cell or any event loop.

    ``run.join()`` or ``await run`` wait for its results; `results` has those so far.
    """

    def __init__(
        self, engine: Engine, subject: Watched, thread: RuntimeThread, future: Future[PipelineResults]
    ) -> None:
        super().__init__(subject, Looking(engine).see)
        self._engine = engine
        self._thread = thread
        self._future = future

    @property
    def status(self) -> str:
        """ "running", "paused", "completed", "failed" or "cancelled"."""
        engine = self._engine
        return "paused" if engine.status == "running" and engine.paused else engine.status

    @property
    def results(self) -> list[Any]:
        """The values so far; none where they go to a result handler."""
        return list(self._engine.results)

    @property
    def dead_letters(self) -> list[DeadLetter]:
        """What was given up so far."""
        return list(self._engine.results.dead_letters)

    @property
    def reasons(self) -> dict[str, int]:
        """How many values ended otherwise than by reaching the end of their way, by reason."""
        return dict(self._engine.results.reasons)

    def events(self, since: int = 0) -> list[Event]:
        """What happened, from the event number `since` on; the last 10,000."""
        return list(itertools.islice(tuple(self._engine.events), since, None))

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Have `observer` called with every event from now on, in the run's loop; returns what ends that."""
        return self._engine.bus.subscribe(observer)

    def __repr__(self) -> str:
        return f"PipelineRun({self.name!r}, {self.status})"

    # -- waiting --------------------------------------------------------------------------------------------------

    def join(self, *, progress: bool | None = None) -> PipelineResults:
        """Wait for the end from a script or a cell, showing how far it is; the results.

        `progress` None shows it where there is a terminal or a notebook. Raises ProcessorError where a task failed,
        what the source raised, or RunCancelledError.
        """
        if self._thread.here():
            raise DatagraphError("this would wait for the run from inside its own loop: await it instead")
        return self._waited(self._future, progress=progress)

    async def wait(self) -> PipelineResults:
        """Wait for the end; the results. Raises as `join` does."""
        return await wait_for(shielded(self._future))

    def __await__(self) -> Generator[Any, Any, PipelineResults]:
        return self.wait().__await__()

    # -- control --------------------------------------------------------------------------------------------------

    def pause(self, node: str | None = None) -> None:
        """Take nothing more up, in one task or in all; what is in hand is finished."""
        self._control("pause", node)

    def resume(self, node: str | None = None) -> None:
        """Go on after `pause`."""
        self._control("resume", node)

    def stop(self) -> PipelineRun:
        """Take nothing more from the source; what is in flight arrives. Returns at once."""
        self._control("stop", None)
        return self

    def cancel(self) -> None:
        """End the run at once; what is under way is abandoned."""
        self._control("cancel", None)

    def _control(self, action: str, node: str | None) -> None:
        Looking(self._engine).control(action, node or "")
