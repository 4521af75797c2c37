"""Conditions as text: what they say of values, and that nothing else can be said with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from datagraph.exceptions import ConditionError
from datagraph.runtime.conditions import LONGEST, Condition


@dataclass
class Offer:
    """A value with fields."""

    name: str
    price: float


ROW = {"price": 120, "name": "xylophone", "tags": ["old", "loud"]}


@pytest.mark.parametrize(
    "text, value, chosen",
    [
        ('value["price"] > 100 and "x" in value["name"]', ROW, True),
        ('value["price"] > 100 and "q" in value["name"]', ROW, False),
        ("100 < value['price'] <= 120", ROW, True),
        ("'old' in value['tags'] and len(value['tags']) == 2", ROW, True),
        ("value['tags'][-1][:2] == 'lo'", ROW, True),
        ("type_name(value) == 'dict'", ROW, True),
        ("value.price / 2 >= 10.5 or not value.name", Offer("", 3.0), True),
        ("value.name in ('a', 'b')", Offer("b", 3.0), True),
        ("value % 7 == 3 and value // 7 - 1 == 0", 10, True),
        ("abs(value) + 1 == max(4, min(value, 3))", -3, True),
        ("round(value, 1) == 0.3", 0.1 + 0.2, True),
        ("str(value) == '12' and int('12') == value and float('1e1') < value", 12, True),
        ("value is None", None, True),
        ("value == b'\\x00'", b"\x00", True),
        ("  value  ", "", False),
        ("(value\n > 1)", 2, True),
    ],
)
def test_a_condition_says_of_a_value_what_python_would(text: str, value: Any, chosen: bool) -> None:
    """Comparisons, membership, fields, items and a little arithmetic."""
    assert bool(Condition(text).test(value)) is chosen


def test_a_condition_may_ask_where_a_value_stands() -> None:
    """Positions are only looked up for conditions that ask for them."""
    assert not Condition("value > 1").needs_position
    condition = Condition("position % 100 == 7 and value")
    assert condition.needs_position
    assert [condition.test(True, at) for at in (7, 8, 107)] == [True, False, True]


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "the condition is empty"),
        ("   ", "the condition is empty"),
        (7, "a condition is a text, such as 'value > 100'; got a int"),
        ("value >", "'value >'.*: invalid syntax; a condition may have value, position"),
        ("value = 3", "the condition 'value = 3'"),
        ("price > 3", "'price > 3', character 1: 'price' is not known"),
        ("value > 3 and len", "character 15: 'len' needs brackets"),
        ("value == `3`", "character 10"),
        ("value * 2", r"'\*' cannot be used"),
        ("2 ** value", r"'\*\*' cannot be used"),
        ("value << 99", "'<<' cannot be used"),
        ("value.lower() == 'a'", "'value.lower' cannot be called"),
        ("[x for x in value]", r"'\[x for x in value\]' cannot be used"),
        ("any(x for x in value)", "'any' cannot be called"),
        ("(lambda: 1)()", "cannot be called"),
        ("lambda: 1", "cannot be used"),
        ("1 if value else 2", "cannot be used"),
        ("(x := value)", "cannot be used"),
        ("f'{value}'", "cannot be used"),
        ("{1: 2}", "cannot be used"),
        ("str(*value)", "cannot be used"),
        ("int(value, base=2)", "takes one argument"),
        ("len(value, value)", "takes one argument"),
        ("max()", "takes other arguments"),
        ("value; value", "invalid syntax"),
        ("import os", "invalid syntax"),
        ("1j", "cannot be used"),
        ("...", "cannot be used"),
    ],
)
def test_what_cannot_be_said_is_refused_at_once_with_what_can(text: Any, reason: str) -> None:
    """The error has the condition, the place, the part that is wrong, and what may be written."""
    with pytest.raises(ConditionError, match=reason):
        Condition(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "value.__class__",
        "value.__class__.__mro__[1].__subclasses__()",
        "value._secret",
        "value.ｆ_back.f_globals",  # Python takes it for an f
        "value.gi_frame.f_back",
        "getattr(value, '_' + '_class_' + '_')",
        "eval('1')",
        "open('/etc/passwd')",
        "exec",
        "value if __builtins__ else 1",
        "'{0.__class__}'.format(value)",
        "_remainder(value, 2)",
        "(" * 400 + "1" + ")" * 99,
        "-" * 490 + "1",
        "value" + ".a" * 240,
        "value == '" + "x" * LONGEST + "'",
        "\x00",
        "\ud800",
    ],
)
def test_a_hostile_condition_reaches_nothing(text: str) -> None:
    """No names but two, no hidden attributes under any spelling, no calls, bounded in length and depth."""
    try:
        condition = Condition(text)
    except ConditionError:
        return
    with pytest.raises((AttributeError, TypeError)):  # deep, and harmless
        condition.test("x")


@pytest.mark.parametrize(
    "text, value",
    [
        ("'%999999999d' % value", 1),
        ("value % 3", "%999999999d"),
        ("round(value, -999999999)", 10),
        ("value % 'x'", b"%999999999d"),
    ],
)
def test_nothing_large_is_made_of_something_small(text: str, value: Any) -> None:
    """What would take a gigabyte or a minute is an error instead."""
    with pytest.raises((TypeError, ValueError), match="in a condition"):
        Condition(text).test(value)
