"""Types as text, and which of them can meet."""

# ruff: noqa: UP045, UP006 - every way of writing a type
from __future__ import annotations

import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Sequence
from typing import Annotated, Any, Literal, Optional, TypedDict, TypeVar

import pandas as pd
import pytest

from datagraph.flow.types import read_type, written_type
from datagraph.runtime.annotations import EMPTY, Unevaluated
from datagraph.runtime.io import IO
from datagraph.runtime.types import compatible, type_text
from datagraph.runtime.values import IOVal

T = TypeVar("T")


class Order(TypedDict):
    number: int


class Base: ...


class Child(Base): ...


@pytest.mark.parametrize(
    "annotation, text",
    [
        (int, "int"),
        (dict[str, int], "dict[str, int]"),
        (Optional[int], "int | None"),
        (int | str, "int | str"),
        (typing.List[int], "list[int]"),
        (Any, "Any"),
        (EMPTY, ""),
        (None, "None"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (Callable[[int], str], "Callable[[int], str]"),
        (pd.DataFrame, "DataFrame"),
        (Annotated[int, "meters"], "int"),
        (list["Elsewhere"], "list[Elsewhere]"),  # type: ignore[name-defined]  # noqa: F821
        (Unevaluated("Model", "NameError"), "Model"),
        (Order, "Order"),
        (T, "T"),
    ],
)
def test_types_read_as_they_are_written(annotation: Any, text: str) -> None:
    """The text is what a user would write, without module names."""
    assert type_text(annotation) == text


def test_a_local_class_is_called_by_its_own_name() -> None:
    """The function that it is defined in is no part of its name."""

    class Local: ...

    assert type_text(list[Local]) == "list[Local]"


@pytest.mark.parametrize(
    "annotation, value",
    [(IO[int], int), (IO, EMPTY), (IO[int] | None, int), (Optional[IO[list[str]]], list[str])],
)
def test_a_stream_annotation_tells_the_type_of_its_values(annotation: Any, value: Any) -> None:
    """`IO[T]` is a stream of T."""
    assert read_type(annotation) == value


@pytest.mark.parametrize(
    "returned, many, value",
    [
        (AsyncIterator[IOVal[int]], True, int),
        (AsyncGenerator[IOVal[int], None], True, int),
        (Generator[str, None, None], True, str),
        (Iterator[IOVal[int] | IOVal[str]], True, int | str),
        (int, False, int),
        (IOVal[int] | None, False, int),
        (Optional[dict[str, int]], False, dict[str, int]),
        (None, False, EMPTY),
        (EMPTY, False, EMPTY),
        (IOVal, False, EMPTY),
        (AsyncIterator[IOVal], True, EMPTY),
        (AsyncIterator, True, EMPTY),
        (list[int], False, list[int]),
    ],
)
def test_a_return_annotation_tells_the_type_of_what_is_put_out(returned: Any, many: bool, value: Any) -> None:
    """An IOVal stands for its value, None for nothing, and an iterator for many."""
    assert written_type(returned, many=many) == value


@pytest.mark.parametrize(
    "written, read, expected",
    [
        (int, int, True),
        (bool, int, True),
        (int, float, True),
        (Child, Base, True),
        (int, Any, True),
        (int, object, True),
        (int, int | str, True),
        (bool | int, int, True),
        (list[int], list[int], True),
        (str, int, False),
        (int, list[int], False),
        (None, int, False),
        (str | bytes, int, False),
        (dict, list[int], False),
        (int | None, int, None),
        (Base, Child, None),
        (Base, int, None),
        (Any, int, None),
        (EMPTY, int, None),
        (int, EMPTY, None),
        (T, int, None),
        (list[int], list[str], None),
        (list, Sequence[int], None),
        (dict, Order, None),
        (Order, dict, None),
        (float, int, None),
        (Literal["a"], int, None),
        (Unevaluated("A", ""), Unevaluated("A", ""), None),
        (int, IO[int], None),
    ],
)
def test_only_what_can_never_fit_is_called_a_mismatch(written: Any, read: Any, expected: bool | None) -> None:
    """Annotations never cast, so False is said only where it is certain."""
    assert compatible(written, read) is expected
