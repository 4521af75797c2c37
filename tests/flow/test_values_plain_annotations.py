"""The same without ``from __future__ import annotations``: annotations are objects then, not texts."""

from collections.abc import AsyncIterator
from typing import Annotated

import pytest

import datagraph as dg
from datagraph import IO, Batch, Context, Depends

pytestmark = pytest.mark.usefixtures("in_memory")


def two() -> int:
    return 2


def test_streams_contexts_and_dependencies_are_recognised() -> None:
    """All in one function."""
    p = dg.Processor("p", inputs=["n"], outputs=["out"])

    @p
    async def _p(n: IO[int], ctx: Context, factor: Annotated[int, Depends(two)]) -> AsyncIterator[str]:
        async for value in n:
            yield f"{ctx.node}{value * factor}"

    assert dg.Flow(p).run({"n": [1, 2]}) == {"out": ["p2", "p4"]}


def test_batches_are_recognised() -> None:
    """In an Annotated."""

    @dg.processor
    def total(n: Annotated[list[int], Batch(2)]) -> int:
        return sum(n)

    assert dg.Flow(total).run({"n": [1, 2, 3]}) == {"total": [3, 3]}


def test_a_bare_io_is_a_stream() -> None:
    """Without the type of its values."""

    @dg.processor
    async def same(n: IO) -> AsyncIterator[int]:
        async for value in n:
            yield value

    assert dg.Flow(same).run({"n": [1, 2]}) == {"same": [1, 2]}
