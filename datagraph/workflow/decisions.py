"""Which tasks run, and why: known before anything runs, and decided once more when the inputs of each are there."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

from ..exceptions import UnknownIOError
from ..graph.check import suggest
from .records import Record

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["run", "perhaps", "fresh"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a task, and why.

    "run": it runs. "perhaps": it runs where a task before it gives something else than the last time. "fresh": there
    is nothing to do.
    """

    task: str
    verdict: Verdict
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.task}: {self.verdict}: {'; '.join(self.reasons)}"


class Explanation(Sequence[Decision]):
    """The decisions of a workflow, first to last; ``explanation["task"]`` is that of one."""

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self._decisions = tuple(decisions)

    @overload
    def __getitem__(self, key: int | str) -> Decision: ...

    @overload
    def __getitem__(self, key: slice) -> tuple[Decision, ...]: ...

    def __getitem__(self, key: int | str | slice) -> Decision | tuple[Decision, ...]:
        """A decision by its place, or by the name of its task; UnknownIOError where there is none."""
        if not isinstance(key, str):
            return self._decisions[key]
        for decision in self._decisions:
            if decision.task == key:
                return decision
        raise UnknownIOError(f"there is no task {key!r}{suggest(key, [each.task for each in self._decisions])}")

    def __len__(self) -> int:
        return len(self._decisions)

    def __iter__(self) -> Iterator[Decision]:
        return iter(self._decisions)

    def tasks(self, *verdicts: Verdict) -> list[str]:
        """The names of the tasks of which this was decided."""
        return [each.task for each in self if each.verdict in verdicts]

    def __str__(self) -> str:
        wide = max((len(each.task) for each in self), default=0)
        return "\n".join(f"{each.task:<{wide}}  {each.verdict:<7}  {'; '.join(each.reasons)}" for each in self)

    __repr__ = __str__

    def to_pandas(self) -> pd.DataFrame:
        """A row for each task."""
        import pandas as pd

        rows = [(each.task, each.verdict, "; ".join(each.reasons)) for each in self]
        return pd.DataFrame(rows, columns=["task", "verdict", "why"])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(each.task)}</td><td>{each.verdict}</td>"
            f"<td style='text-align:left'>{html.escape('; '.join(each.reasons))}</td></tr>"
            for each in self
        )
        return f"<table><tr><th>task</th><th>verdict</th><th>why</th></tr>{rows}</table>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}


def differences(
    record: Record | None, failure: str, inputs: Mapping[str, str | None], function: Mapping[str, str]
) -> Iterator[str]:
    """Why what a record says does not hold any more; an input of None is not known yet."""
    if record is None:
        yield f"it failed the last time: {failure}" if failure else "it was never done"
        return
    found = [f"input `{name}` is new" for name in inputs if name not in record.inputs]
    found += [f"input `{name}` is not taken any more" for name in record.inputs if name not in inputs]
    found += [
        f"input `{name}` changed"
        for name, now in inputs.items()
        if now is not None and name in record.inputs and record.inputs[name] != now
    ]
    names = {**record.function, **function}
    found += [f"{_part(name)} changed" for name in names if record.function.get(name) != function.get(name)]
    yield from found
    if found and failure:
        yield f"it failed the last time: {failure}"


def _part(name: str) -> str:
    kind, _, what = name.partition(" ")
    return f"its {kind} `{what}`" if what else f"its {kind}"
