"""The lens of an edge says which version of its processor wrote each value, once there were several."""

from __future__ import annotations

import pytest

import datagraph as dg
from datagraph import OPEN, Flow
from tests.notebook.conftest import Wire


def define(factor: int) -> dg.Processor:
    """A processor of another code each time."""

    @dg.processor
    def scaled(n: int) -> int:
        return n * factor

    return scaled


@dg.processor
def kept(scaled: int) -> int:
    return scaled


@pytest.mark.usefixtures("in_memory")
def test_values_have_their_versions_once_there_are_several(wire: Wire) -> None:
    """None while there is one; after a swap and its undo each of the last values has the version that wrote it."""
    run = Flow(define(1), kept).start({"n": OPEN})
    browser = wire.browser(run.view())
    run["n"].send_many([1, 2, 3])
    next(iter(run["scaled"].stream(2)))
    assert browser.ask(kind="lens", edge="scaled->kept.scaled")["data"]["versions"] == []
    run.apply(dg.Swap("scaled", define(10)))
    run["n"].send_many([4, 5])
    next(iter(run["scaled"].stream(4)))
    data = browser.ask(kind="lens", edge="scaled->kept.scaled")["data"]
    assert (data["versions"], data["rows"][-1]) == ([1, 1, 1, 2, 2], ["50"])
    run.undo()
    run["n"].send(6)
    next(iter(run["scaled"].stream(5)))
    assert browser.ask(kind="lens", edge="scaled->kept.scaled")["data"]["versions"] == [1, 1, 1, 2, 2, 3]
    assert browser.ask(kind="lens", edge="n->scaled.n")["data"]["versions"] == []
    run.cancel()
