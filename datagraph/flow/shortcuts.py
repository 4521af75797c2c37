"""What is asked of runs without holding one: list, attach, recover, forget; and `run` for a main function."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio
import sniffio

from ..observe.recording import Recording
from ..runtime.bridge import Backend
from ..streams.records import RunRecord
from .flow import Flow
from .inputs import Inputs
from .processor import Processor
from .run import Run
from .supervisor import Supervisor

R = TypeVar("R")


def runs() -> list[RunRecord]:
    """The runs that the store has, newest first."""
    return Supervisor.instance.runs()


def attach_run(name: str) -> Run:
    """A run that another process, or this one, started: by id, or the newest of that name.

    It can be read, watched, paused, resumed, stopped and cancelled. Raises RunNotFoundError.
    """
    return Supervisor.instance.attach_run(name)


def recover(
    name: str,
    flow: Flow | Sequence[Processor],
    inputs: Inputs | None = None,
    *,
    force: bool = False,
    **options: Any,
) -> Run:
    """Go on with a run whose process is gone: nothing is lost and nothing repeated on any edge.

    Args:
        name: the run's id or name.
        flow: the same processors; functions may have been mended, as later versions. Of a run that was changed, all
            that may be in it, as a flow or a list: its wiring is what the store has, each node takes the processor of
            the code that it had, else of its name, and the rest is left aside.
        inputs: those inputs again that were not finished; what is stored of them is skipped.
        force: take over even where the other process's lease (10 s) has not lapsed; it is fenced.
        options: ``settings=``, ``overrides=``, ``pace=``, as for `Flow.start`.

    Raises RunNotFoundError, GraphError where the flow is another one, LeaseHeldError where its worker is alive,
    NotResumableError where something needed is gone.
    """
    return Supervisor.instance.recover(name, flow, inputs, force=force, **options)


def forget(name: str) -> int:
    """Delete everything that the store has of a run; the number of its keys. Raises RunNotFoundError."""
    return Supervisor.instance.forget(name)


def load(path: str | Path) -> Recording:
    """What ``run.save(path)`` wrote, from a ``.json`` or an ``.html`` file: it has a `view`, a `history` and a `plot`.

    Raises OSError where it cannot be read, CodecError where it holds no recording.
    """
    return Recording.load(path)


def run(main: Callable[..., Awaitable[R]], *args: Any, backend: Backend = "asyncio") -> R:
    """Run an async main function from anywhere: a script, or a notebook cell, whose loop is busy already.

    Where no event loop runs in this thread this is ``anyio.run``; where one does, the function runs in a thread of its
    own, and this waits for it.
    """
    try:
        sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        return anyio.run(main, *args, backend=backend)
    outcome: list[tuple[R | None, BaseException | None]] = []

    def target() -> None:
        try:
            outcome.append((anyio.run(main, *args, backend=backend), None))
        except BaseException as error:  # handed over to the caller's thread
            outcome.append((None, error))

    thread = threading.Thread(target=target, name="datagraph-main")
    thread.start()
    thread.join()
    value, error = outcome[0]
    if error is not None:
        raise error
    return value  # type: ignore[return-value]
