"""What comes of a run: its values, and what did not become one."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..streams.text import short
from .context import PipelineContext


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A value that a node gave up after `attempts`, with the error and the item's context as it was then.

    `where` says what failed: the "handler", a "predicate" or the "result_handler"; or that a value was "unmatched".
    """

    node: str
    value: Any
    context: PipelineContext
    error: Exception
    attempts: int = 1
    where: str = "handler"

    @property
    def traceback(self) -> str:
        """The error's traceback as text."""
        return "".join(traceback.format_exception(self.error))

    def __repr__(self) -> str:
        said = f"{type(self.error).__name__}: {self.error}"
        return f"DeadLetter({self.node!r}, {short(self.value, 60)}, {short(said, 80)})"


class PipelineResults(list[Any]):
    """The values of a run, in the order in which they came out; a list, and more.

    `dead_letters` has what was given up where `on_error` is "skip". `reasons` counts what ended otherwise than by
    reaching the end of its way: values that no edge matched, and loops that were not taken again.
    """

    def __init__(self, values: Iterable[Any] = (), *, run_id: str = "") -> None:
        super().__init__(values)
        self.run_id = run_id
        self.dead_letters: list[DeadLetter] = []
        self.reasons: Counter[str] = Counter()
