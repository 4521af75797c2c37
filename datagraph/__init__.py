"""Streaming dataflow for Python that you can see while it runs."""

from __future__ import annotations

import importlib as _importlib
import typing as _typing

from .exceptions import (
    CodecError,
    CodecRefusedError,
    ConditionError,
    CyclicFlowError,
    DatagraphError,
    DuplicateIOError,
    DuplicateProcessorError,
    EmptyStreamError,
    FencedError,
    FloatingIOError,
    ForeignFileError,
    GraphError,
    InternalError,
    InvalidNameError,
    LeaseHeldError,
    MismatchedIOError,
    MissingExtraError,
    MovedError,
    NonDeterministicError,
    NotAttachedError,
    NotResumableError,
    PayloadTooLargeError,
    ProcessorError,
    ReadOnlyIOError,
    RewoundError,
    RunCancelledError,
    RunError,
    RunExistsError,
    RunFailedError,
    RunNotFoundError,
    ScriptError,
    SignatureError,
    StoreConfigError,
    StoreError,
    StoreFullError,
    StoreLostError,
    StoreUnavailableError,
    StreamTrimmedError,
    TaskError,
    UnknownIOError,
    UnregisteredProcessorError,
    UnresolvedFlowError,
    WiringChangedError,
    WorkerLostError,
)
from .executors.local import LocalExecutor
from .flow.flow import Flow
from .flow.processor import Processor, processor
from .graph.edit import Connect, Disconnect, Drop, Insert, Move, Swap, Tune
from .runtime.context import Context
from .runtime.inject import Depends
from .runtime.io import IO
from .runtime.retry import Retry
from .runtime.values import OPEN, Batch, IOVal, Many
from .streams.codec import MsgpackCodec
from .streams.signed import SignedPickle

if _typing.TYPE_CHECKING:
    from .flow.run import Run
    from .flow.shortcuts import attach_run, forget, load, recover, run, runs
    from .flow.supervisor import Supervisor

__version__ = "0.1.0"

__all__ = [
    "IO",
    "OPEN",
    "Batch",
    "CodecError",
    "CodecRefusedError",
    "ConditionError",
    "Connect",
    "Context",
    "CyclicFlowError",
    "DatagraphError",
    "Depends",
    "Disconnect",
    "Drop",
    "DuplicateIOError",
    "DuplicateProcessorError",
    "EmptyStreamError",
    "FencedError",
    "FloatingIOError",
    "Flow",
    "ForeignFileError",
    "GraphError",
    "IOVal",
    "Insert",
    "InternalError",
    "InvalidNameError",
    "LeaseHeldError",
    "LocalExecutor",
    "Many",
    "MismatchedIOError",
    "MissingExtraError",
    "Move",
    "MovedError",
    "MsgpackCodec",
    "NonDeterministicError",
    "NotAttachedError",
    "NotResumableError",
    "PayloadTooLargeError",
    "Processor",
    "ProcessorError",
    "ReadOnlyIOError",
    "Retry",
    "RewoundError",
    "Run",
    "RunCancelledError",
    "RunError",
    "RunExistsError",
    "RunFailedError",
    "RunNotFoundError",
    "ScriptError",
    "SignatureError",
    "SignedPickle",
    "StoreConfigError",
    "StoreError",
    "StoreFullError",
    "StoreLostError",
    "StoreUnavailableError",
    "StreamTrimmedError",
    "Supervisor",
    "Swap",
    "TaskError",
    "Tune",
    "UnknownIOError",
    "UnregisteredProcessorError",
    "UnresolvedFlowError",
    "WiringChangedError",
    "WorkerLostError",
    "__version__",
    "attach_run",
    "forget",
    "load",
    "processor",
    "recover",
    "run",
    "runs",
]

# What is there for runs is half of the package, and is loaded by whoever first asks for it (PEP 562).
_LATER = {
    "Run": "flow.run",
    "Supervisor": "flow.supervisor",
    **dict.fromkeys(("attach_run", "forget", "load", "recover", "run", "runs"), "flow.shortcuts"),
}


def __getattr__(name: str) -> _typing.Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(_importlib.import_module(f".{_LATER[name]}", __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
