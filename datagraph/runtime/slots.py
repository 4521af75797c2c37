"""A run of consecutive values that one lane works through, and their results in order."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from .port import Port


class Slot:
    """Consecutive values from `start` on, of one port (or of several, zipped), and the results so far."""

    __slots__ = ("collected", "it", "letters", "ports", "rest", "results", "start", "stop", "values", "whole")

    def __init__(self, ports: tuple[Port, ...], start: int, values: list[Any], *, whole: bool = False) -> None:
        self.ports = ports
        self.start = start
        self.stop = start + (len(values[0]) if whole else len(values))
        self.whole = whole
        self.values = values
        self.it: Iterator[Any] = iter(values)
        self.rest: list[Any] = []
        self.results: list[Any] = []
        self.collected = 0
        self.letters: dict[int, Any] = {}

    def recall(self) -> None:
        """Take away what was not begun, so that the lane comes by; it stays the slot's."""
        left = self.left()
        if left:
            self.rest = self.values[len(self.values) - left :] + self.rest
            del self.values[len(self.values) - left :]

    def left(self) -> int:
        """How many values its iterator has still to give out."""
        return operator.length_hint(self.it)

    def go_on(self) -> bool:
        """Take up what was recalled."""
        if not self.rest:
            return False
        self.values, self.rest = self.rest, []
        self.it = iter(self.values)
        return True

    @property
    def done(self) -> bool:
        """Whether every value has its result."""
        return len(self.results) >= (1 if self.whole else self.stop - self.start)

    def position(self) -> int:
        """The first position that is not collected."""
        return (self.stop if self.collected else self.start) if self.whole else self.start + self.collected
