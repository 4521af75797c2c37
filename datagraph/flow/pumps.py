"""Async iterables of the caller's are read in the caller's own loop, and sent from there."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import TYPE_CHECKING, Any

from ..exceptions import DatagraphError
from ..runtime.bridge import current_backend, wait_for

if TYPE_CHECKING:
    from .run import Run

_AHEAD = 256  # values that are sent before one is waited for
_running: set[Any] = set()


class Pump:
    """Sends an async iterable to an open input, from a task of the caller's loop."""

    def __init__(self, name: str, values: AsyncIterable[Any], skip: int = 0) -> None:
        self.name = name
        self.values = values
        self.skip = skip
        self.library = _library()
        if self.library is None:
            raise DatagraphError(
                f"the input {name!r} is an async iterable, which is read in the caller's event loop, and there is none "
                f"here: start the flow from a coroutine, or pass an ordinary iterable"
            )

    def start(self, run: Run) -> None:
        """Begin, in the background."""
        if self.library == "asyncio":
            import asyncio

            task = asyncio.get_running_loop().create_task(self._pump(run))
            _running.add(task)
            task.add_done_callback(_running.discard)
        else:
            import trio

            trio.lowlevel.spawn_system_task(self._pump, run)

    async def _pump(self, run: Run) -> None:
        stream = run[self.name]
        taken = 0
        try:
            async for value in self.values:
                taken += 1
                if taken <= self.skip:
                    continue
                sent = stream.post([value])
                # They are stored in order, so the last one speaks for those before it.
                if taken % _AHEAD == 0 or sent.done():
                    await wait_for(sent)
        except DatagraphError:
            return
        except Exception as error:
            await run.afail(self.name, error)
            return
        except BaseException:
            run.lost(self.name)
            raise
        stream.complete()  # what is on its way comes first


def _library() -> str | None:
    import sniffio

    try:
        sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        return None
    return current_backend()
