"""Logging that says which run, which item and which node a line is about."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from .context import PipelineContext

LOGGER = "datagraph.pipeline"
FIELDS = ("run_id", "data_id", "task_id", "node", "path")
_FORMAT = "%(asctime)s %(levelname)s %(name)s [%(task_id)s %(path)s] %(message)s"
_RESERVED = {*logging.makeLogRecord({}).__dict__, "message", "asctime"}


class _Ours(logging.StreamHandler[Any]):
    """The handler that `setup_logging` has made."""


def setup_logging(level: int | str = logging.INFO) -> None:
    """Write the pipelines' log lines of that level and above to standard error, each with its item and path.

    May be called again, for another level. Other loggers are left as they are; a root logger that is set up, too, says
    the lines as well.
    """
    logger = logging.getLogger(LOGGER)
    logger.setLevel(level.upper() if isinstance(level, str) else level)
    for handler in list(logger.handlers):
        if isinstance(handler, _Ours):
            logger.removeHandler(handler)
    handler = _Ours()
    handler.setFormatter(logging.Formatter(_FORMAT, defaults=dict.fromkeys(FIELDS, "-")))
    logger.addHandler(handler)


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger whose records carry an item's run_id, data_id, task_id, node and path, besides what a call adds."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Join what the call adds to what the item says."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def get_task_logger(context: PipelineContext, *, name: str = LOGGER) -> TaskLogger:
    """A logger for one item at one node; its records carry run_id, data_id, task_id, node and path."""
    return TaskLogger(logging.getLogger(name), context.log_details())


def log_with_context(
    logger: logging.Logger | logging.LoggerAdapter[Any],
    msg: str,
    ctx: PipelineContext,
    *,
    level: int | str = logging.INFO,
    exc_info: Any = None,
    **fields: Any,
) -> None:
    """Log a line about an item; `fields` become attributes of the record, too.

    Raises ValueError for a field that every record has already, such as `name`.
    """
    taken = sorted(_RESERVED & fields.keys())
    if taken:
        raise ValueError(f"a log record has {', '.join(taken)} already: call the field something else")
    number = logging.getLevelNamesMapping()[level.upper()] if isinstance(level, str) else level
    logger.log(number, msg, extra={**ctx.log_details(), **fields}, exc_info=exc_info, stacklevel=2)
