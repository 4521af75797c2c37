"""Child processes that are given pieces of work, one at a time each, over pipes of their own.

A child is a new interpreter that knows nothing of its parent's ``__main__``: what is sent is pickled by cloudpickle, so
functions of a notebook cell travel, and scripts need no ``if __name__ == "__main__"``. It ends with its parent.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

from ..exceptions import WorkerLostError

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from datagraph.runtime.children import serve; serve(int(sys.argv[2]), int(sys.argv[3]))"
)


class ChildError(Exception):
    """What a piece of work raised in a child: `error` as far as it travels, and its `traceback` as text."""

    def __init__(self, number: int, error: Exception, traceback: str, facts: Mapping[str, Any]) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.number = number
        self.error = error
        self.traceback = traceback
        self.facts = facts


class Child:
    """One child process."""

    def __init__(self, function: bytes) -> None:
        for_child, to_child = os.pipe()
        from_child, for_parent = os.pipe()
        paths = json.dumps([path for path in sys.path if isinstance(path, str)])
        self.process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, paths, str(for_child), str(for_parent)], pass_fds=(for_child, for_parent)
        )
        os.close(for_child)
        os.close(for_parent)
        self.inward = Connection(to_child, readable=False)
        self.outward = Connection(from_child, writable=False)
        self.number: int | None = None
        self._function: bytes | None = function

    def send(self, number: int, work: bytes) -> None:
        """Give it a piece of work; WorkerLostError where it is dead."""
        self.number = number
        try:
            if self._function is not None:
                self.inward.send_bytes(self._function)
                self._function = None
            self.inward.send_bytes(work)
        except OSError:
            raise self.lost() from None

    def receive(self) -> tuple[int, Any]:
        """What became of its piece of work; ChildError, or WorkerLostError where it has died."""
        assert self.number is not None
        try:
            ok, *answer = pickle.loads(self.outward.recv_bytes())  # noqa: S301 - from a process that this one started
        except (EOFError, OSError):
            raise self.lost() from None
        number, self.number = self.number, None
        if ok:
            return number, answer[0]
        raise ChildError(number, *answer)

    def lost(self) -> WorkerLostError:
        """The error of its death."""
        code = self.process.wait()
        how = f"it ended with exit code {code}"
        if code < 0:
            how = f"it was killed by {signal.Signals(-code).name}"
            if -code == signal.SIGKILL:
                how += " (by a person, or by the system for want of memory)"
        return WorkerLostError(
            f"the process that worked on batch {self.number} died: {how}; what it last said is on standard error",
            batch=self.number,
        )

    def close(self, *, kill: bool) -> None:
        """Let it end, or make it."""
        if kill:
            self.process.kill()
        self.inward.close()
        self.outward.close()
        self.process.wait()


class Children:
    """Up to `most` child processes that run one function, started as there is work for them."""

    def __init__(self, function: Callable[[Any], Any], most: int) -> None:
        import cloudpickle

        self._function: bytes = cloudpickle.dumps(function)
        self._most = most
        self._children: list[Child] = []
        self._kill = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for child in self._children:
            child.close(kill=self._kill)

    def run(self, works: Iterable[Any]) -> Iterator[tuple[int, Any]]:
        """Give out the pieces of work, and yield their numbers and results as they come.

        Raises ChildError for what one of them raised, WorkerLostError where a child died; then all are ended.
        """
        import cloudpickle

        left = enumerate(works)
        free: list[Child] = []
        busy: dict[Connection, Child] = {}
        more = True
        while more or busy:
            while more and (free or len(self._children) < self._most):
                following = next(left, None)
                if following is None:
                    more = False
                    break
                number, work = following
                child = free.pop() if free else self._begin()
                child.send(number, cloudpickle.dumps(work))
                busy[child.outward] = child
            for ready in wait(list(busy)) if busy else ():
                child = busy.pop(ready)  # type: ignore[call-overload]
                yield child.receive()
                free.append(child)
        self._kill = False

    def _begin(self) -> Child:
        child = Child(self._function)
        self._children.append(child)
        return child


def portable(error: BaseException) -> Exception:
    """The error as it can travel: itself where it survives being pickled, else its type and text."""
    import cloudpickle

    try:
        copy = pickle.loads(cloudpickle.dumps(error))  # noqa: S301 - our own bytes
        if isinstance(copy, Exception):
            return copy
    except Exception:  # noqa: S110 - then it does not travel
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")


def serve(inward: int, outward: int) -> None:
    """In the child: take work until the parent has none, or is gone."""
    import cloudpickle

    reader, writer = Connection(inward, writable=False), Connection(outward, readable=False)
    try:
        first = reader.recv_bytes()
        function: Callable[[Any], Any] | None = None
        while True:
            work = reader.recv_bytes()
            try:
                function = function or pickle.loads(first)  # noqa: S301 - from the parent, by a pipe of its own
                answer = cloudpickle.dumps((True, function(pickle.loads(work))))  # noqa: S301
            except Exception as error:
                facts = {k: getattr(error, k) for k in ("node", "value", "position", "attempts") if hasattr(error, k)}
                cause = error.__cause__ if facts and error.__cause__ is not None else error
                answer = cloudpickle.dumps((False, portable(cause), "".join(traceback.format_exception(error)), facts))
            writer.send_bytes(answer)
    except (EOFError, OSError, KeyboardInterrupt):
        return
