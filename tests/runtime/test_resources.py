"""Resources: packed greedily, without starving anybody, and refused where it could never be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagraph import GraphError
from datagraph.runtime.resources import Resources


def test_whoever_fits_begins() -> None:
    """First come first served, and one that does not fit is passed by those that do."""
    have = Resources({"gpu": 2})
    assert have.choose([("a", {"gpu": 1}), ("b", {"gpu": 2}), ("c", {"gpu": 1})]) == ["a", "c"]
    have.give("a")
    assert have.choose([("b", {"gpu": 2})]) == []
    have.give("c")
    assert have.choose([("b", {"gpu": 2})]) == ["b"]


def test_a_large_demand_is_not_passed_for_ever() -> None:
    """After so many have passed it, what comes free is kept for it."""
    have = Resources({"gpu": 2}, patience=3)
    assert have.choose([("small", {"gpu": 1})]) == ["small"]
    last, passed = "small", 0
    while True:
        chosen = have.choose([("large", {"gpu": 2}), (f"next{passed}", {"gpu": 1})])
        have.give(last)
        if not chosen:
            break
        last, passed = chosen[0], passed + 1
    assert passed == 3
    assert have.choose([("large", {"gpu": 2}), ("late", {"gpu": 1})]) == ["large"]


def test_what_could_never_begin_is_refused() -> None:
    """With what was needed, and what there is."""
    with pytest.raises(GraphError, match="x needs 3 of 'gpu', and there is 2: it could never begin"):
        Resources({"gpu": 2}).check("x", {"gpu": 3})
    Resources({"gpu": 2}).check("x", {"disk": 3})


@pytest.mark.parametrize("amount", [-1, float("nan"), True, "2", None])
def test_amounts_are_numbers(amount: Any) -> None:
    """Of limits and of demands."""
    with pytest.raises(ValueError, match="at least 0"):
        Resources({"gpu": amount})
    with pytest.raises(ValueError, match="at least 0"):
        Resources().check("x", {"gpu": amount})


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=30))
def test_never_more_than_there_is_and_everybody_begins(demands: list[tuple[int, int]]) -> None:
    """Whatever is asked for, in whichever order it ends: limits hold, and in the end all have begun."""
    have = Resources({"a": 4, "b": 3}, patience=2)
    waiting = {i: {"a": a, "b": b} for i, (a, b) in enumerate(demands)}
    held: list[int] = []
    while waiting or held:
        chosen = have.choose(waiting.items())
        assert chosen or held
        held += chosen
        for i in chosen:
            del waiting[i]
        free = have.free()
        assert min(free.values()) >= 0
        if held:
            have.give(held.pop(0))
    assert have.free() == {"a": 4, "b": 3}


def test_parts_of_one_fit() -> None:
    """Ten tenths are one, however they round."""
    have = Resources({"cpu": 1})
    assert len(have.choose([(i, {"cpu": 0.1}) for i in range(11)])) == 10
