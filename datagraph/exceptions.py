"""Every error that datagraph raises.

All of them are a `DatagraphError`, so one ``except`` is enough for a whole program::

    DatagraphError
    ├── GraphError                     the graph cannot run as it is described (also a ValueError)
    │   ├── InvalidNameError           a node, port, stream or run name that cannot be used
    │   ├── CyclicFlowError            nodes that wait for each other in a ring
    │   ├── DuplicateProcessorError    two processors with one name
    │   ├── DuplicateIOError           one stream written by two processors
    │   ├── UnresolvedFlowError        the flow has problems; all of them are listed
    │   ├── FloatingIOError            inputs that nobody writes and nobody gave
    │   ├── UnknownIOError             a stream, port or node that the graph does not have
    │   ├── SignatureError             a function that does not fit its processor (also a TypeError)
    │   └── MismatchedIOError          a value or annotation that does not fit its stream
    ├── ConditionError                 the text of a breakpoint's condition cannot be used (also a ValueError)
    ├── UnregisteredProcessorError     a processor that no function is bound to
    ├── ReadOnlyIOError                a write to a stream that belongs to another writer
    ├── RunError                       something about a run
    │   ├── ProcessorError             a processor failed: node, value, position, attempts
    │   ├── RunFailedError             nodes of a dag, or tasks of a workflow, failed (also an ExceptionGroup)
    │   ├── TaskError                  a task of a workflow cannot be done as it stands (also a RuntimeError)
    │   ├── ScriptError                a script of a workflow ended with an error: what it said is in it
    │   ├── ForeignFileError           a file that no task of the workflow wrote would be deleted
    │   ├── WorkerLostError            a worker process died (of a signal, or out of memory)
    │   ├── RunCancelledError          the run was cancelled while somebody waited for it
    │   ├── RunNotFoundError           no run of that id or name in the store
    │   ├── RunExistsError             a run of that name is going already
    │   ├── EmptyStreamError           a stream ended without the value that was asked for (also a LookupError)
    │   ├── StreamTrimmedError         the values asked for are not kept any more
    │   ├── NotResumableError          a node cannot be taken up again after a crash
    │   ├── NonDeterministicError      a replayed node wrote something else than before
    │   ├── LeaseHeldError             another worker that is alive has the node
    │   ├── FencedError                another worker took the node over; this one must stop
    │   ├── WiringChangedError         somebody else rewired the run meanwhile; the change is planned anew
    │   └── RewoundError               the store went back to an earlier state; the node is claimed again
    │       └── MovedError             the run was rewired: what was read is not this node's any more
    ├── StoreError                     something about the store
    │   ├── StoreUnavailableError      it cannot be reached (also a ConnectionError)
    │   ├── StoreLostError             it was reached, but what a run had written is gone
    │   ├── StoreFullError             it is out of memory
    │   └── StoreConfigError           its address or settings cannot be used (also a ValueError)
    ├── CodecError                     a value cannot be encoded or decoded (also a TypeError)
    │   ├── CodecRefusedError          a frame of a codec that was not asked for, or badly signed
    │   └── PayloadTooLargeError       one value larger than a frame may be
    ├── NotAttachedError               a supervisor was asked for where none can be had
    ├── MissingExtraError              an optional package is not installed (also an ImportError)
    └── InternalError                  a bug of ours; please report it

A message says what is wrong, what was given and what to do about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self


class DatagraphError(Exception):
    """The root of every error that datagraph raises."""


class GraphError(DatagraphError, ValueError):
    """The graph cannot run as it is described."""


class InvalidNameError(GraphError):
    """A node, port, stream or run name that cannot be used."""


class CyclicFlowError(GraphError):
    """Nodes that wait for each other in a ring; `cycle` names them in order, the first one twice."""

    def __init__(self, message: str, cycle: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.cycle = cycle


class DuplicateProcessorError(GraphError):
    """Two processors with one name."""


class DuplicateIOError(GraphError):
    """One stream that two processors write."""


class UnresolvedFlowError(GraphError):
    """A flow with problems; `problems` holds the error of each."""

    def __init__(self, message: str, problems: tuple[DatagraphError, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class FloatingIOError(GraphError):
    """Inputs that no processor writes and nobody gave; `names` lists them."""

    def __init__(self, message: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.names = names


class UnknownIOError(GraphError):
    """A stream, port or node that the graph does not have."""


class SignatureError(GraphError, TypeError):
    """A function whose signature does not fit its processor."""


class MismatchedIOError(GraphError):
    """A value or an annotation that does not fit its stream."""


class ConditionError(DatagraphError, ValueError):
    """The text of a breakpoint's condition says what it may not, or cannot be read."""


class UnregisteredProcessorError(DatagraphError):
    """A processor that no function is bound to in this process."""


class ReadOnlyIOError(DatagraphError):
    """A write to a stream that belongs to another writer."""


class RunError(DatagraphError):
    """Something about a run."""


class ProcessorError(RunError):
    """A processor failed.

    `node` is its name, `value` a short text of what it had in hand, `position` where that stood in its stream (None
    for a source), `attempts` how often it was tried. Where the cause is at hand it is chained, and the error is also
    of the cause's type, so that ``except ValueError`` works.
    """

    def __init__(
        self, message: str, *, node: str = "", value: str = "", position: int | None = None, attempts: int = 1
    ) -> None:
        Exception.__init__(self, message)
        self.node = node
        self.value = value
        self.position = position
        self.attempts = attempts

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class RunFailedError(RunError, ExceptionGroup[Exception]):
    """Nodes of a dag, or tasks of a workflow, failed: an ExceptionGroup, so that ``except*`` finds each error.

    `exceptions` has the errors, `nodes` the names of who raised them, in the same order; `partial` is what the others
    have given, as the door that raised it has it.
    """

    nodes: tuple[str, ...]
    partial: Any

    def __new__(
        cls, message: str, exceptions: Sequence[Exception], nodes: Sequence[str] = (), partial: Any = None
    ) -> Self:
        """An ExceptionGroup with names and what there is."""
        error = super().__new__(cls, message, exceptions)
        error.nodes = tuple(nodes)
        error.partial = partial
        return error

    def __init__(
        self, message: str, exceptions: Sequence[Exception], nodes: Sequence[str] = (), partial: Any = None
    ) -> None:
        super().__init__(message, exceptions)

    def derive(self, exceptions: Sequence[Exception]) -> RunFailedError:  # type: ignore[override]
        """The same of a part of the errors, as ``except*`` and `split` ask for it."""
        who = {id(error): node for error, node in zip(self.exceptions, self.nodes, strict=False)}
        nodes = [who[id(error)] for error in exceptions if id(error) in who]
        return RunFailedError(self.message, exceptions, nodes, self.partial)


class TaskError(RunError, RuntimeError):
    """A task of a workflow cannot be done as it stands, or has not given what it was to give."""


class ScriptError(RunError):
    """A script of a workflow ended with an error: `returncode`, and `stderr`, the end of what it said there."""

    def __init__(self, message: str, returncode: int = 1, stderr: str = "") -> None:
        super().__init__(message, returncode, stderr)
        self.returncode = returncode
        self.stderr = stderr

    def __str__(self) -> str:
        return str(self.args[0])


class ForeignFileError(RunError):
    """A file that no task of the workflow wrote would be deleted."""


class WorkerLostError(RunError):
    """A worker process died; `batch` is the number of the batch that it had in hand, None where it had none, `partial`
    what there is of the others.
    """

    partial: Any = None

    def __init__(self, message: str, *, batch: int | None = None) -> None:
        super().__init__(message)
        self.batch = batch


class RunCancelledError(RunError):
    """The run was cancelled while somebody waited for it; `partial` is what a dag or a workflow has until then."""

    partial: Any = None


class RunNotFoundError(RunError, LookupError):
    """No run of that id or name is in the store."""


class RunExistsError(RunError):
    """A run of that id or name is going already."""


class EmptyStreamError(RunError, LookupError):
    """A stream ended without the value that was asked for."""


class StreamTrimmedError(RunError):
    """The values asked for are not kept any more; `expected` is the position asked for, `found` the first one kept."""

    def __init__(self, message: str, *, stream: str = "", expected: int = 0, found: int = 0) -> None:
        super().__init__(message)
        self.stream = stream
        self.expected = expected
        self.found = found


class NotResumableError(RunError):
    """A node cannot be taken up again after a crash: what it would have to read again is gone."""


class NonDeterministicError(RunError):
    """A replayed node wrote something else than before its crash."""


class LeaseHeldError(RunError):
    """Another worker that is alive has the node."""


class FencedError(RunError):
    """Another worker took the node over; what this one still wanted to write was refused."""


class RewoundError(RunError):
    """The store went back to an earlier state of this run (a restart that lost a tail); the node is claimed again."""


class MovedError(RewoundError):
    """The run was rewired: a node has read beyond where its port stops now; it is claimed again."""


class WiringChangedError(RunError):
    """The run was rewired meanwhile; `expected` is the version that a change was made for, `found` the one that is."""

    def __init__(self, message: str, *, expected: int = 0, found: int = 0) -> None:
        super().__init__(message)
        self.expected = expected
        self.found = found


class StoreError(DatagraphError):
    """Something about the store."""


class StoreUnavailableError(StoreError, ConnectionError):
    """The store cannot be reached."""


class StoreLostError(StoreError):
    """The store was reached, but what a run had written to it is gone."""


class StoreFullError(StoreError):
    """The store is out of memory."""


class StoreConfigError(StoreError, ValueError):
    """The store's address or settings cannot be used."""


class CodecError(DatagraphError, TypeError):
    """A value cannot be encoded, or stored bytes cannot be decoded; `index` is its place in its frame, if known."""

    index: int | None = None


class CodecRefusedError(CodecError):
    """Stored bytes of a codec that was not asked for, or whose signature does not hold."""


class PayloadTooLargeError(CodecError):
    """One value is larger than a frame may be."""


class NotAttachedError(DatagraphError):
    """A supervisor was asked for where none can be had."""


class MissingExtraError(DatagraphError, ImportError):
    """An optional package is not installed; the message says which extra brings it."""


class InternalError(DatagraphError):
    """A bug of ours, not of the caller's."""


def processor_error(
    message: str,
    cause: BaseException | None,
    *,
    node: str,
    value: str = "",
    position: int | None = None,
    attempts: int = 1,
) -> ProcessorError:
    """A `ProcessorError` that is also of the cause's type where Python can build such a class, chained to the cause."""
    kind: type[ProcessorError] = ProcessorError
    if isinstance(cause, Exception) and not isinstance(cause, ProcessorError):
        try:
            kind = type("ProcessorError", (ProcessorError, type(cause)), {"__module__": __name__})
            probe: Any = kind.__new__(kind, message)
            ProcessorError.__init__(probe, message)
        except TypeError:
            kind = ProcessorError
    error = kind(message, node=node, value=value, position=position, attempts=attempts)
    error.__cause__ = cause
    return error
