"""Named amounts that tasks share: what fits begins at once, what could never fit is refused at once."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from ..exceptions import GraphError

W = TypeVar("W", bound=Hashable)
Demand = Mapping[str, float]

PATIENCE = 8
"""How often one that waits is passed by before nobody passes it any more."""

_DUST = 1e-9
"""Three times 0.1 is a little more than 0.3."""


class Resources:
    """Limits by name, and what is left of them. A name without a limit is there without end.

    >>> have = Resources({"gpu": 2})
    >>> have.choose([("a", {"gpu": 1}), ("b", {"gpu": 2}), ("c", {"gpu": 1})])
    ['a', 'c']
    >>> have.give("a")
    >>> have.choose([("b", {"gpu": 2})])
    []

    Raises ValueError where a limit is no number of at least 0.
    """

    def __init__(self, limits: Demand | None = None, *, patience: int = PATIENCE) -> None:
        self.limits = {name: _number("the limit of", name, amount) for name, amount in (limits or {}).items()}
        self._held: dict[Hashable, Demand] = {}
        self._passed: dict[Hashable, int] = {}
        self._patience = patience

    def check(self, who: str, demand: Demand) -> None:
        """GraphError where the demand can never be met, ValueError where it is no number of at least 0."""
        for name, amount in demand.items():
            _number(f"what {who} needs of", name, amount)
            limit = self.limits.get(name, math.inf)
            if amount > limit:
                raise GraphError(
                    f"{who} needs {amount:g} of {name!r}, and there is {limit:g}: it could never begin; "
                    f"raise resources={{{name!r}: ...}} or lower what it needs"
                )

    def choose(self, waiting: Iterable[tuple[W, Demand]]) -> list[W]:
        """Which of these begin now, first come first served, and whoever fits may pass who does not.

        Their share is taken. One that was passed by `patience` times is passed no more: what comes free is then kept
        for it, so that a large demand does not wait for ever while small ones keep coming.
        """
        chosen: list[W] = []
        left_behind: list[W] = []
        free = self.free()
        for who, demand in waiting:
            if all(free.get(name, math.inf) >= amount - _DUST for name, amount in demand.items()):
                self._held[who] = demand
                free = self.free()
                self._passed.pop(who, None)
                chosen.append(who)
                for other in left_behind:
                    self._passed[other] = self._passed.get(other, 0) + 1
            elif self._passed.get(who, 0) >= self._patience:
                break
            else:
                left_behind.append(who)
        return chosen

    def give(self, who: Hashable) -> None:
        """Take back what was given to it; nothing where it holds nothing."""
        self._held.pop(who, None)

    def free(self) -> dict[str, float]:
        """What is left, by name."""
        held = self._held.values()
        return {name: limit - math.fsum(each.get(name, 0) for each in held) for name, limit in self.limits.items()}


def _number(what: str, name: str, amount: float) -> float:
    if isinstance(amount, bool) or not isinstance(amount, int | float) or not amount >= 0:
        raise ValueError(f"{what} {name!r} is a number, at least 0; got {amount!r}")
    return amount
