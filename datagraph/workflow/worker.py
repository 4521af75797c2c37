"""What is done in a worker: one task, and what it printed."""

from __future__ import annotations

import os
import pickle
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

from ..exceptions import TaskError
from ..runtime.children import portable
from ..runtime.fingerprint import combined, fingerprint
from ..runtime.prints import NodeLog, speaking_for
from .converters import converter_registry
from .datum import AbstractDatum
from .scripttask import kill_all
from .task import AbstractTask


@dataclass(slots=True)
class Done:
    """What became of a task: its outputs, or the error with its traceback as text."""

    outputs: Mapping[str, AbstractDatum]
    error: Exception | None = None
    traceback: str = ""
    log: str = ""
    seconds: float = 0.0


def parts(task: AbstractTask) -> dict[str, str]:
    """What the task does, each part with its fingerprint."""
    return {name: fingerprint(value) for name, value in task.quickhash.items()}


def packed(task: AbstractTask, expected: Mapping[str, str] | None) -> bytes:
    """A task on its way to another process; `expected` is what it should be there, where it is imported there."""
    import cloudpickle

    entries = converter_registry.entries(*task.inputs.values())
    data: bytes = cloudpickle.dumps((task, combined(expected) if expected is not None else "", entries))
    return data


def ready() -> None:
    """In a worker process: it has begun, and all of this is imported."""
    _end_with_parent()


def perform_packed(data: bytes) -> bytes:
    """In a worker process: do it, and send back what became of it."""
    import cloudpickle

    task, expected, entries = pickle.loads(data)  # noqa: S301 - from the process that started this one
    converter_registry.update(entries)
    done = perform(task, expected)
    try:
        answer: bytes = cloudpickle.dumps(done)
    except Exception as error:
        names = ", ".join(map(repr, done.outputs))
        wrong = TaskError(f"what it gave for {names} cannot be pickled: {error}; use where='thread', or a FileDatum")
        answer = cloudpickle.dumps(Done({}, wrong, "", done.log, done.seconds))
    return answer


_PARENT_SECONDS = 0.5
_watched = threading.Event()


def _end_with_parent() -> None:
    """Have this process end soon after the one that started it, also where that was killed."""
    if not _watched.is_set():
        _watched.set()
        threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_PARENT_SECONDS)
    kill_all()
    os._exit(1)


def perform(task: AbstractTask, expected: str = "") -> Done:
    """Do it here; `expected` is the fingerprint of what the sender means by it, where that is known."""
    began = time.perf_counter()
    log = NodeLog(task.identifier)
    outputs: Mapping[str, AbstractDatum] = {}
    error, told = None, ""
    try:
        if expected and combined(parts(task)) != expected:
            raise TaskError(
                "its function is another one in the worker process: the file of its module was changed since it was "
                "imported here; reload the module, or start anew"
            )
        with speaking_for(log):
            outputs = task._perform()
    except Exception as caught:
        error = caught if task.where == "thread" else portable(caught)
        told = "".join(traceback.format_exception(caught))
    log.write("\n")
    return Done(outputs, error, told, "\n".join(log.take()).strip(), time.perf_counter() - began)
