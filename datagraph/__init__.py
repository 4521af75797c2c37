"""Streaming dataflow for Python that you can see while it runs."""

from __future__ import annotations

from .exceptions import (
    CodecError,
    CodecRefusedError,
    CyclicFlowError,
    DatagraphError,
    DuplicateIOError,
    DuplicateProcessorError,
    EmptyStreamError,
    FencedError,
    FloatingIOError,
    GraphError,
    InternalError,
    InvalidNameError,
    LeaseHeldError,
    MismatchedIOError,
    MissingExtraError,
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
    SignatureError,
    StoreConfigError,
    StoreError,
    StoreFullError,
    StoreLostError,
    StoreUnavailableError,
    StreamTrimmedError,
    UnknownIOError,
    UnregisteredProcessorError,
    UnresolvedFlowError,
    WorkerLostError,
)
from .executors.local import LocalExecutor
from .flow.flow import Flow
from .flow.processor import Processor, processor
from .flow.run import Run
from .flow.shortcuts import attach_run, forget, load, recover, run, runs
from .flow.supervisor import Supervisor
from .runtime.context import Context
from .runtime.inject import Depends
from .runtime.io import IO
from .runtime.retry import Retry
from .runtime.values import OPEN, Batch, IOVal, Many
from .streams.codec import MsgpackCodec
from .streams.signed import SignedPickle

__version__ = "0.1.0"

__all__ = [
    "IO",
    "OPEN",
    "Batch",
    "CodecError",
    "CodecRefusedError",
    "Context",
    "CyclicFlowError",
    "DatagraphError",
    "Depends",
    "DuplicateIOError",
    "DuplicateProcessorError",
    "EmptyStreamError",
    "FencedError",
    "FloatingIOError",
    "Flow",
    "GraphError",
    "IOVal",
    "InternalError",
    "InvalidNameError",
    "LeaseHeldError",
    "LocalExecutor",
    "Many",
    "MismatchedIOError",
    "MissingExtraError",
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
    "SignatureError",
    "SignedPickle",
    "StoreConfigError",
    "StoreError",
    "StoreFullError",
    "StoreLostError",
    "StoreUnavailableError",
    "StreamTrimmedError",
    "Supervisor",
    "UnknownIOError",
    "UnregisteredProcessorError",
    "UnresolvedFlowError",
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
