"""What the codec tests share: classes whose instances travel, in a module that a reader can find by name."""

from __future__ import annotations

import enum
import os
import pathlib
import subprocess
import sys
from collections import namedtuple
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import ormsgpack

from datagraph.streams import tagged

CALLS: list[str] = []


@dataclass
class Point:
    x: Any
    y: Any = 0

    def __post_init__(self) -> None:
        CALLS.append("Point")


@dataclass(unsafe_hash=True, slots=True)
class Slotted:
    a: Any
    b: Any = None


@dataclass
class Mixed(Slotted):  # slots of the base, a dict of its own
    c: Any = field(default=None, compare=True)

    @cached_property
    def twice(self) -> Any:
        return self.c * 2


class Pair(NamedTuple):
    left: Any
    right: Any = None

    class Inner(NamedTuple):
        deep: Any


Old = namedtuple("Old", "p q")  # noqa: PYI024


class Colour(enum.Enum):
    RED = "r"
    GREEN = ("g", 1)


class Level(enum.IntEnum):
    LOW = 1


class Name(enum.StrEnum):
    A = "a"


class Mode(enum.Flag):
    R = 1
    W = 2


class Record(msgspec.Struct):
    a: int
    b: Any = None


class Hooked(msgspec.Struct):
    a: int

    def __post_init__(self) -> None:
        CALLS.append("Hooked")


def boom() -> str:
    CALLS.append("boom")
    return "boom"


class Plain:
    def __init__(self) -> None:
        self.x = 1

    def __repr__(self) -> str:
        raise RuntimeError("no text")


class Word(str):
    __slots__ = ()


def forged(code, content):
    """A frame of one value with that tag, as no writer of ours would make it."""
    return b"\x01" + ormsgpack.packb([ormsgpack.Ext(code, tagged.exact(content))])


def run(code, env=None, flags=()):
    """What a new Python prints when it runs the code."""
    root = pathlib.Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, *flags, "-c", code], env={**os.environ, "PYTHONPATH": str(root), **(env or {})},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()
