"""Tasks over files and objects: what is fresh is not done again, the rest in worker processes, with reasons."""

from __future__ import annotations

from .abstract import AbstractManager
from .communicator import AbstractCommunicator, ProcessCommunicator, ThreadCommunicator
from .converters import ConverterRegistry, InputForm, converter_registry
from .datum import AbstractDatum, MemoryDatum
from .datumlist import DatumList
from .decisions import Decision, Explanation
from .filedatum import FileDatum
from .functiontask import FunctionTask, PklTask
from .manager import WorkflowManager
from .run import WorkflowRun
from .scripttask import ScriptTask
from .states import DatumState, TaskState
from .task import AbstractTask
from .worker import Done, perform

__all__ = [
    "AbstractCommunicator",
    "AbstractDatum",
    "AbstractManager",
    "AbstractTask",
    "ConverterRegistry",
    "DatumList",
    "DatumState",
    "Decision",
    "Done",
    "Explanation",
    "FileDatum",
    "FunctionTask",
    "InputForm",
    "MemoryDatum",
    "PklTask",
    "ProcessCommunicator",
    "ScriptTask",
    "TaskState",
    "ThreadCommunicator",
    "WorkflowManager",
    "WorkflowRun",
    "converter_registry",
    "perform",
]
