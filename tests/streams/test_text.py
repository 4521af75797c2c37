"""Values as short text, whatever they are."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from datagraph.streams.text import short, type_name
from tests.streams import samples


class Shown:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text


class Recursive:
    def __repr__(self):
        return repr(self)


def cyclic():
    value = {}
    value["self"] = [value]
    return value


@pytest.mark.parametrize(
    "value, text",
    [
        (5, "5"),
        ("a'b", '"a\'b"'),
        (None, "None"),
        ((1,), "(1,)"),
        ((), "()"),
        (set(), "set()"),
        ({"a": [1, (2, 3)]}, "{'a': [1, (2, 3)]}"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, …]"),
        ([[[[[[1]]]]]], "[[[[[…]]]]]"),
        (cyclic(), "{'self': [{'self': [{…}]}]}"),
        (2**5000, "<int of 5001 bits>"),
        (samples.Plain(), "<tests.streams.samples.Plain whose repr raises RuntimeError>"),
        (Shown("a\nb\x1b[31m\x00"), "a\\nb\\x1b[31m\\x00"),
        (Shown("x\u202ey\u200b"), "x\\u202ey\\u200b"),
        (Shown("\ud800"), "\\ud800"),
        (np.zeros((1000, 3)), "<ndarray 1000 x 3>"),
        (pd.DataFrame({"a": [1, 2]}), "<DataFrame 2 x 1>"),
        (np.int64(3), "np.int64(3)"),
    ],
    ids=range(18),
)
def test_a_value_is_shown_on_one_line(value, text):
    """Escaped where it would not print, cut where it is deep or long."""
    assert short(value) == text


@pytest.mark.parametrize("limit", [0, 1, 5, 80])
@pytest.mark.parametrize("value", ["x" * 10**7, b"x" * 10**7, Shown("x" * 10**6), Shown("\n" * 10**6), {"k" * 1000: 1}])
def test_the_text_is_never_longer_than_asked(value, limit):
    """Also where escaping makes it longer."""
    assert len(short(value, limit)) <= max(limit, 1)


def test_a_huge_container_is_shown_in_no_time():
    """Only the items that are shown are looked at."""
    looked = []

    class Item:
        def __repr__(self):
            looked.append(1)
            return "item"

    short({i: Item() for i in range(10_000)})
    short([Item()] * 10_000)
    assert len(looked) <= 20


def test_a_repr_that_returns_no_text_or_recurses_is_told():
    """Whatever a user's __repr__ does, a message can be written."""
    assert short(Recursive()).endswith("whose repr raises RecursionError>")
    assert short(Shown(5)).endswith("whose repr raises TypeError>")


def test_a_subclass_of_str_as_text_is_no_trap():
    """What __repr__ returns may be a subclass with a mind of its own."""

    class Text(str):
        __slots__ = ()

        def isprintable(self):
            raise RuntimeError

        def __getitem__(self, key):
            return self

    assert short(Shown(Text("abc"))) == "abc"


def test_a_type_is_named_with_its_module_where_that_tells_something():
    """Builtins and the notebook's own classes go by their name."""
    assert type_name(5) == "int"
    assert type_name(samples.Point(1)) == "tests.streams.samples.Point"
    assert type_name(sys) == "module"
