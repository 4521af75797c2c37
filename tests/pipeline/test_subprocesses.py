"""Batches over child processes: functions travel, results come back in order, and a death is told."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from datagraph.exceptions import ProcessorError, WorkerLostError
from datagraph.pipeline import (
    PipelineBuilder,
    PipelineContext,
    run_function_pipeline_in_subprocess,
    run_pipeline_in_subprocess,
)

ROOT = Path(__file__).parents[2]
FACTOR = 3


class Thing:
    def __init__(self, size: int) -> None:
        self.size = size


def test_every_batch_is_a_run_in_another_process() -> None:
    """Rows batch after batch: run_id, data_id, node, value; functions and classes of no module travel."""

    def handler(ctx: PipelineContext, payload: int) -> list[Any]:
        return [{"pid": os.getpid(), "value": payload * FACTOR, "thing": Thing(payload)}]

    rows = run_function_pipeline_in_subprocess(handler, [[1, 2], [], [3], (n for n in (4, 5))], processes=2)
    assert [row["value"]["value"] for row in rows] == [3, 6, 9, 12, 15]
    assert [row["data_id"] for row in rows] == ["0", "1", "0", "0", "1"]
    assert {row["node"] for row in rows} == {"worker-0"}
    assert len({row["run_id"] for row in rows}) == 3
    assert [row["value"]["thing"].size for row in rows] == [1, 2, 3, 4, 5]
    pids = {row["value"]["pid"] for row in rows}
    assert 1 <= len(pids) <= 2
    assert os.getpid() not in pids


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_whole_pipeline_is_made_in_the_child(backend: Any) -> None:
    """By its factory, for each batch anew; async handlers, predicates and loops as everywhere."""

    def factory() -> PipelineBuilder:
        import sniffio

        async def grow(ctx: PipelineContext, value: int) -> int:
            return value + 1

        async def library(ctx: PipelineContext, value: int) -> tuple[Any, ...]:
            return {"value": value, "on": sniffio.current_async_library()}  # type: ignore[return-value]

        return (
            PipelineBuilder()
            .task("grow", grow)
            .task("library", library)
            .edge("grow", "grow", predicate=lambda ctx, value: value < 3)
            .edge("grow", "library", predicate=lambda ctx, value: value >= 3)
        )

    rows = run_pipeline_in_subprocess(factory, [[0], [7]], backend=backend)
    assert [(row["node"], row["value"]) for row in rows] == [
        ("library", {"value": 3, "on": backend}),
        ("library", {"value": 8, "on": backend}),
    ]


def test_a_child_that_dies_is_an_error_that_says_which_batch() -> None:
    """And how it died; what other batches gave is kept on the error's way out, all children are ended."""

    def handler(payload: int) -> int:
        if payload == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return payload

    with pytest.raises(WorkerLostError, match=r"batch 1 died: it was killed by SIGKILL") as caught:
        run_function_pipeline_in_subprocess(handler, [[1, 2], [3], [4]])
    assert caught.value.batch == 1
    assert [row["value"] for row in caught.value.partial] == [1, 2]  # type: ignore[attr-defined]
    assert not _ours()


def test_a_child_that_leaves_is_one_as_well() -> None:
    """`os._exit` in a handler says its code."""
    with pytest.raises(WorkerLostError, match="exit code 7"):
        run_function_pipeline_in_subprocess(lambda payload: os._exit(7), [[1]])


def _ours() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any("datagraph.runtime.children" in part for part in child.cmdline()):
                found.append(child)
    return found


def test_an_error_names_batch_node_and_value() -> None:
    """It is of its cause's type here too, and has the traceback of there; what there was of results is on it."""

    def picky(ctx: PipelineContext, payload: int) -> int:
        if payload == 4:
            raise KeyError("four")
        return payload

    with pytest.raises(KeyError) as caught:
        run_function_pipeline_in_subprocess(picky, [[1, 2], [3, 4]])
    error: Any = caught.value
    assert isinstance(error, ProcessorError)
    assert str(error) == "batch 1: 'picky' failed at 4: KeyError: 'four'"
    assert (error.node, error.position) == ("picky", 1)
    assert [row["value"] for row in error.partial] == [1, 2]
    assert 'raise KeyError("four")' in "".join(error.__notes__)
    assert not _ours()


def test_errors_that_cannot_travel_are_told_by_type_and_text() -> None:
    """An exception that cannot be unpickled is no reason to lose what it said."""

    class Odd(Exception):
        def __init__(self, one: int, two: int) -> None:
            super().__init__("odd")

    def handler(payload: int) -> int:
        raise Odd(1, 2)

    with pytest.raises(ProcessorError, match="Odd: odd"):
        run_function_pipeline_in_subprocess(handler, [[1]])


def test_skipped_values_are_dead_letters_here() -> None:
    """They come back with their batch."""

    def picky(payload: int) -> int:
        if payload % 2:
            raise ValueError(f"no {payload}")
        return payload

    rows = run_function_pipeline_in_subprocess(picky, [[1, 2], [3, 4]], on_error="skip", retries=0)
    assert [row["value"] for row in rows] == [2, 4]
    assert [(letter.value, str(letter.error)) for letter in rows.dead_letters] == [(1, "no 1"), (3, "no 3")]


def test_batches_are_read_as_they_are_needed() -> None:
    """An endless supply of batches is not read far ahead of the children."""
    given = 0

    def batches() -> Any:
        nonlocal given
        while True:
            given += 1
            yield [given]

    def handler(payload: int) -> int:
        if payload == 5:
            raise ValueError("five")
        return payload

    with pytest.raises(ValueError, match="five"):
        run_function_pipeline_in_subprocess(handler, batches(), processes=2)
    assert given <= 7


def test_a_function_of_a_scripts_main_needs_no_guard(tmp_path: Path) -> None:
    """A script without ``if __name__ == "__main__"`` starts itself no second time; so does a notebook's cell."""
    script = tmp_path / "script.py"
    script.write_text(
        "from __future__ import annotations\n"
        "from datagraph.pipeline import run_function_pipeline_in_subprocess\n"
        "print('once')\n"
        "FACTOR = 10\n"
        "def times(n: int) -> int:\n"
        "    return n * FACTOR\n"
        "async def handler(ctx, n):\n"
        "    return times(n)\n"
        "rows = run_function_pipeline_in_subprocess(handler, [[1], [2, 3]], processes=2)\n"
        "print([row['value'] for row in rows])\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "once\n[10, 20, 30]\n", done.stderr


def test_what_cannot_be_is_refused_before_a_process_starts() -> None:
    """Bad factories, numbers and batches."""
    with pytest.raises(ValueError, match="processes is a number of child processes, at least 1; got 0"):
        run_function_pipeline_in_subprocess(lambda payload: payload, [[1]], processes=0)
    with pytest.raises(TypeError, match="pipeline_factory is a function that makes a pipeline"):
        run_pipeline_in_subprocess(PipelineBuilder(), [[1]])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="batch 0 is an iterable of payloads; got int"):
        run_function_pipeline_in_subprocess(lambda payload: payload, [1])  # type: ignore[list-item]
    with pytest.raises(ProcessorError, match="pipeline_factory makes a DagPipeline; it returned int"):
        run_pipeline_in_subprocess(lambda: 3, [[1]])  # type: ignore[arg-type,return-value]
