"""One-shot async work as a graph: every node starts the moment its inputs exist."""

from __future__ import annotations

from .manager import TaskManager, build_dag
from .node import TaskNode
from .result import ExecutionResult
from .run import DagRun

__all__ = ["DagRun", "ExecutionResult", "TaskManager", "TaskNode", "build_dag"]
