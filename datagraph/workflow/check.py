"""What is wrong with a workflow before any of it runs."""

from __future__ import annotations

from collections.abc import Sequence

from ..exceptions import CyclicFlowError, DuplicateIOError, DuplicateProcessorError, FloatingIOError, GraphError
from .filedatum import FileDatum
from .task import AbstractTask


def ordered(found: Sequence[AbstractTask]) -> list[AbstractTask]:
    """The tasks first to last; CyclicFlowError names a ring."""
    left = {task: len(task.dependencies) for task in reversed(found)}
    after: dict[AbstractTask, list[AbstractTask]] = {task: [] for task in found}
    for task in found:
        for before in task.dependencies:
            after[before].append(task)
    order = [task for task, count in left.items() if not count]
    for task in order:
        for following in sorted(after[task], key=lambda each: each.identifier):
            left[following] -= 1
            if not left[following]:
                order.append(following)
    if len(order) < len(found):
        ring = _ring({task for task in found if left[task]})
        raise CyclicFlowError(f"the workflow contains a cycle: {' -> '.join(map(repr, ring))}", ring)
    return order


def check(tasks: Sequence[AbstractTask]) -> None:
    """Raise where two tasks have one name or write one file, or one reads a file of another without saying so."""
    names: dict[str, AbstractTask] = {}
    writers: dict[str, AbstractTask] = {}
    for task in tasks:
        if names.setdefault(task.identifier, task) is not task:
            raise DuplicateProcessorError(f"two tasks are called {task.identifier!r}: give one another name")
        for label, leaf in task.leaves():
            path = leaf._path()
            other = writers.setdefault(path, task) if path is not None else task
            if other is not task:
                raise DuplicateIOError(
                    f"{path} is written by {other.identifier!r} and by {task.identifier!r} ({label}): "
                    f"give one another path"
                )
    for task in tasks:
        for name, datum in task.inputs.items():
            for leaf in datum.leaves():
                writer = writers.get(leaf._path() or "")
                if writer is not None and writer not in leaf.parents:
                    out = next(label for label, each in writer.leaves() if each._path() == leaf._path())
                    raise GraphError(
                        f"the input {name!r} of {task.identifier!r} is the file that {writer.identifier!r} writes: "
                        f"give it as that task's output, {writer.identifier}[{out!r}]"
                    )


def check_given(tasks: Sequence[AbstractTask]) -> None:
    """FloatingIOError where files are not there that no task before their readers could make."""
    missing = [
        f"{leaf.pointer} (input {name!r} of {task.identifier!r})"
        for task in tasks
        for name, datum in task.inputs.items()
        for leaf in datum.leaves()
        if isinstance(leaf, FileDatum) and not leaf.parents and not task.dependencies and not leaf.verify_available()
    ]
    if missing:
        raise FloatingIOError(f"these files are not there: {', '.join(missing)}", tuple(missing))


def _ring(left: set[AbstractTask]) -> tuple[str, ...]:
    task = min(left, key=lambda each: each.identifier)
    path: list[AbstractTask] = []
    while task not in path:
        path.append(task)
        task = min(task.dependencies & left, key=lambda each: each.identifier)
    ring = [*path[path.index(task) :], task]
    return tuple(each.identifier for each in reversed(ring))
