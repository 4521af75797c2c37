"""The pipeline door: items stream through tasks in this process, by bounded queues, along predicates and loops."""

from __future__ import annotations

from ..runtime.retry import Retry
from .batches import run_function_pipeline_in_subprocess, run_pipeline_in_subprocess
from .builder import PipelineBuilder
from .context import PipelineContext
from .functions import function_pipeline, run_function_pipeline
from .logs import get_task_logger, log_with_context, setup_logging
from .pipeline import DagPipeline
from .results import DeadLetter, PipelineResults
from .run import PipelineRun
from .task import DagTask, TaskTransition

__all__ = [
    "DagPipeline",
    "DagTask",
    "DeadLetter",
    "PipelineBuilder",
    "PipelineContext",
    "PipelineResults",
    "PipelineRun",
    "Retry",
    "TaskTransition",
    "function_pipeline",
    "get_task_logger",
    "log_with_context",
    "run_function_pipeline",
    "run_function_pipeline_in_subprocess",
    "run_pipeline_in_subprocess",
    "setup_logging",
]
