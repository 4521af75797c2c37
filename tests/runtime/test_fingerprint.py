"""Fingerprints: the same for the same, another for another, in every process."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import threading
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datagraph import CodecError
from datagraph.runtime.fingerprint import fingerprint, function_fingerprints


@dataclasses.dataclass
class Point:
    x: int
    y: list[int]


class Colour(Enum):
    RED = 1
    BLUE = 2


VALUES: list[Any] = [
    1, "1", 1.0, True, None, b"1", [1], (1,), {1}, frozenset({1}), {1: 1}, {"1": 1}, [[1], 2], [1, [2]],
    Point(1, [2]), Point(1, [3]), Colour.RED, Colour.BLUE, dt.date(2020, 1, 1), 1j,
    np.arange(3), np.arange(3.0), np.arange(4).reshape(2, 2), np.arange(4),
    pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 3]}), pd.DataFrame({"b": [1, 2]}),
    pd.DataFrame({"a": [1, 2]}, index=[5, 6]), pd.Series([1, 2]), pd.Series([1, 2], name="x"),
    pd.DataFrame({"a": ["x", "y"]}), np.array(["x", None], dtype=object),
]  # fmt: skip


def test_different_values_have_different_fingerprints() -> None:
    """Types, nesting, dtypes, shapes, columns, indexes and names count."""
    assert len({fingerprint(value) for value in VALUES}) == len(VALUES)


@pytest.mark.parametrize("number", range(len(VALUES)))
def test_copies_have_the_same_fingerprint(number: int) -> None:
    """What is equal in every part is the same, whichever object it is."""
    import copy

    assert fingerprint(copy.deepcopy(VALUES[number])) == fingerprint(VALUES[number])


def test_shared_parts_and_rings_do_not_count_and_end() -> None:
    """A list twice is as two equal lists; a list that holds itself has a fingerprint."""
    part = [1, 2]
    assert fingerprint([part, part]) == fingerprint([[1, 2], [1, 2]])
    ring: list[Any] = [1]
    ring.append(ring)
    other: list[Any] = [2]
    other.append(other)
    assert fingerprint(ring) != fingerprint(other)


def test_order_of_sets_does_not_count_and_that_of_mappings_does() -> None:
    """As a function would see it."""
    assert fingerprint({"a", "b", "c"}) == fingerprint({"c", "b", "a"})
    assert fingerprint({"a": 1, "b": 2}) != fingerprint({"b": 2, "a": 1})


@pytest.mark.parametrize("value", [threading.Lock(), (i for i in range(3)), lambda: (yield)])
def test_what_cannot_be_compared_says_so(value: Any) -> None:
    """A lock and a generator are refused; a function is not."""
    if callable(value):
        assert fingerprint(value)
        return
    with pytest.raises(CodecError, match="cannot be told from another one"):
        fingerprint(value)


def test_parts_of_a_function_have_names() -> None:
    """Code, defaults, keyword defaults, closure, helpers and constants: each by itself."""
    inner = 5

    def work(a: int, b: int = 2, *, c: int = 3) -> Any:
        return a + b + c + inner + len(VALUES), Point

    assert set(function_fingerprints(work)) == {
        "code", "default b", "default c", "closure inner", "constant VALUES", "helper Point",
    }  # fmt: skip


def test_partials_methods_and_callable_objects_count_by_what_they_hold() -> None:
    """The arguments of a partial, the object of a method, the attributes of a callable."""

    class Adds:
        def __init__(self, n: int) -> None:
            self.n = n

        def __call__(self, x: int) -> int:
            return x + self.n

    for one, other in (
        (functools.partial(pow, 2), functools.partial(pow, 3)),
        (Adds(1).__call__, Adds(2).__call__),
        (Adds(1), Adds(2)),
    ):
        assert function_fingerprints(one) == function_fingerprints(one)
        assert function_fingerprints(one) != function_fingerprints(other)


def test_recursive_functions_have_a_fingerprint() -> None:
    """Two that call each other."""
    names: dict[str, Any] = {"__name__": "rings"}
    exec("def even(n): return n == 0 or odd(n - 1)\ndef odd(n): return n != 0 and even(n - 1)", names)
    assert set(function_fingerprints(names["even"])) == {"code", "helper odd"}
