"""What travels with an item, and what a log line says of it."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from datagraph.pipeline import (
    PipelineBuilder,
    PipelineContext,
    get_task_logger,
    log_with_context,
    run_function_pipeline,
    setup_logging,
)

pytestmark = pytest.mark.anyio


def test_a_context_has_an_id_of_its_own_and_begins_empty() -> None:
    """Its fields and their defaults."""
    one, other = PipelineContext(), PipelineContext()
    assert one.run_id != other.run_id
    assert (one.data_id, one.node_path, one.current_node, one.meta) == (None, [], None, {})
    assert one.created_at > 0


def test_copies_share_nothing_that_can_change() -> None:
    """`for_node` and `with_data_id` leave the one that they were asked of as it was, meta included."""
    first = PipelineContext("r", meta={"tags": ["a"]})
    second = first.for_node("parse")
    third = second.with_data_id("7")
    third.meta["tags"].append("b")
    assert (first.node_path, second.node_path, third.node_path) == ([], ["parse"], ["parse"])
    assert (first.data_id, third.data_id, third.current_node) == (None, "7", "parse")
    assert first.meta == second.meta == {"tags": ["a"]}
    assert third.created_at == first.created_at


def test_what_cannot_be_copied_is_shared() -> None:
    """A lock in `meta` is no error, and what can be copied beside it is."""
    lock = threading.Lock()
    first = PipelineContext(meta={"lock": lock, "tags": []})
    second = first.for_node("a")
    assert second.meta["lock"] is lock
    assert second.meta["tags"] is not first.meta["tags"]


@pytest.mark.parametrize("data_id", [None, "7"])
def test_log_details_say_who_it_is(data_id: str | None) -> None:
    """run_id, data_id, task_id, node and path."""
    context = PipelineContext("r", data_id, ["a", "b"])
    task_id = "r" if data_id is None else "r:7"
    wanted = {"run_id": "r", "data_id": data_id, "task_id": task_id, "node": "b", "path": "a->b"}
    assert context.log_details() == wanted


async def test_branches_note_what_they_like() -> None:
    """What one branch writes into `meta` the other does not see; what was noted before both do."""

    async def first(ctx: PipelineContext, value: int) -> int:
        ctx.meta["first"] = value
        return value

    async def branch(ctx: PipelineContext, value: int) -> dict[str, Any]:
        ctx.meta[ctx.current_node or ""] = True
        return {"meta": dict(ctx.meta), "path": list(ctx.node_path)}

    built = PipelineBuilder().task("a", first).task("b", branch).task("c", branch).edge("a", "b").edge("a", "c").build()
    found = sorted(await built.run_stream([5]), key=lambda each: each["path"])
    assert found == [
        {"meta": {"first": 5, "b": True}, "path": ["a", "b"]},
        {"meta": {"first": 5, "c": True}, "path": ["a", "c"]},
    ]


# -- logging ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What `setup_logging` writes; everything is as before afterwards."""
    logger = logging.getLogger("datagraph.pipeline")
    before, level = list(logger.handlers), logger.level
    setup_logging(logging.INFO)
    (handler,) = [each for each in logger.handlers if each not in before]
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    yield stream
    logger.setLevel(level)
    logger.handlers[:] = before


async def test_lines_of_a_task_say_run_item_and_path(lines: io.StringIO, caplog: pytest.LogCaptureFixture) -> None:
    """By a logger of the item's, and by any logger with the context; in the text and as fields of the record."""

    async def handler(ctx: PipelineContext, value: int) -> int:
        get_task_logger(ctx).info("took %d", value)
        log_with_context(logging.getLogger("datagraph.pipeline.mine"), "gave it back", ctx, size=value)
        return value

    with caplog.at_level(logging.INFO, logger="datagraph.pipeline"):
        await run_function_pipeline([3], handler, run_id="r")
    told = lines.getvalue().splitlines()
    assert ["[r:0 worker-0] took 3" in told[0], "[r:0 worker-0] gave it back" in told[1]] == [True, True]
    first, second = caplog.records
    assert (first.run_id, first.data_id, first.task_id) == ("r", "0", "r:0")  # type: ignore[attr-defined]
    assert (first.node, first.path) == ("worker-0", "worker-0")  # type: ignore[attr-defined]
    assert (second.size, second.funcName) == (3, "handler")  # type: ignore[attr-defined]


def test_setting_up_twice_says_every_line_once(lines: io.StringIO) -> None:
    """The second call is for another level."""
    logger = logging.getLogger("datagraph.pipeline")
    count = len(logger.handlers)
    setup_logging("debug")
    assert len(logger.handlers) == count
    assert logger.level == logging.DEBUG


def test_a_line_of_somebody_else_is_written_as_well(lines: io.StringIO) -> None:
    """Records without an item have dashes."""
    logging.getLogger("datagraph.pipeline").warning("hello")
    assert "[- -] hello" in lines.getvalue()


def test_level_and_error_can_be_said() -> None:
    """As text or number; `exc_info` as in logging."""
    logger = logging.getLogger("datagraph.tests.levels")
    records: list[logging.LogRecord] = []
    logger.addFilter(lambda record: records.append(record) or False)
    log_with_context(logger, "a", PipelineContext("r"), level="warning", exc_info=ValueError("no"))
    assert (records[0].levelname, records[0].exc_info[0]) == ("WARNING", ValueError)  # type: ignore[index]


def test_a_field_that_every_record_has_is_refused() -> None:
    """With its name, before logging refuses it with a KeyError."""
    with pytest.raises(ValueError, match="a log record has name already"):
        log_with_context(logging.getLogger("x"), "a", PipelineContext(), name="mine")
