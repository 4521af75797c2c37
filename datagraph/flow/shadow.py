"""A candidate beside a node of a run: on the same input, compared value by value, put in its place by one change."""

from __future__ import annotations

import html
import json
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ..exceptions import GraphError, RunError, StreamTrimmedError
from ..graph.edit import Connect, Disconnect, Edit, Swap, Tune
from ..graph.model import Graph, Node
from ..observe.probe import Observer
from ..runtime.bridge import RuntimeThread
from ..runtime.context import Context
from ..streams.records import Probe
from .beside import beside
from .changing import Applied
from .local import LocalRun
from .reading import between

if TYPE_CHECKING:
    import pandas as pd

    from .processor import Processor

SUFFIX = "_shadow"
_COLUMNS = ["position", "real", "candidate", "same"]
_LETTERS = 100_000


class _Side(NamedTuple):
    """One of the two at one moment: values read and written in all, seconds at work, errors, values passed over."""

    read: int = 0
    written: int = 0
    first: int = 0  # kept of what it wrote
    busy: float = 0.0
    errors: int = 0
    skipped: int = 0
    letters: Sequence[tuple[int, str]] = ()  # by position in what it reads
    resent: bool = False
    rewired: bool = False


@dataclass(frozen=True, slots=True)
class _Look:
    """Both at one moment; `rows` are (position, what the one made of it, what the other made of it)."""

    real: _Side
    copy: _Side
    rows: Sequence[tuple[int, Any, Any]]
    why_not: str


class Shadow:
    """A candidate that runs beside a node, made by ``run.shadow(node, candidate)``.

    It reads what the node reads, from where that one is now, and writes streams of its own, named like the node's with
    "_shadow" behind them (and a number, from the second one on). What fails in it fails nothing else. It costs what it
    computes, and only when 100,000 values wait for it does it hold the flow back.
    """

    def __init__(self, thread: RuntimeThread, local: LocalRun, node: str, candidate: Processor) -> None:
        self._thread = thread
        self._local = local
        self._candidate = candidate
        self._told: list[str] = []
        self._start = self._version = 0
        self._before = _Side()
        self._last: _Look | None = None
        self.node = node
        self.name = node + SUFFIX
        thread.call(self._begin)

    def __repr__(self) -> str:
        return f"Shadow({self.name!r} beside {self.node!r})"

    # -- asked by its user ----------------------------------------------------------------------------------------

    def compare(self, last: int = 10_000) -> pd.DataFrame:
        """What both made of the same values, by position in the node's input: position, real, candidate, same.

        Of the `last` values that both are done with, as far as they are kept; where one failed its error stands in
        place of a value. Empty where the values of the two do not belong to each other one by one: `summary` says why.
        """
        import pandas as pd

        look = self._seen(last)
        rows = [(position, real, copy, same(real, copy)) for position, real, copy in look.rows]
        frame = pd.DataFrame(
            {name: pd.Series([row[i] for row in rows], dtype=object) for i, name in enumerate(_COLUMNS)}
        )
        return frame.astype({"position": int, "same": bool})

    def summary(self) -> str:
        """The comparison in a few sentences: how many are the same, what a value costs, what went wrong."""
        look = self._seen(10_000)
        real, copy = _since(look.real, self._before), look.copy
        if look.why_not:
            said = [
                f"`{self.name}` and `{self.node}` cannot be compared value by value: {look.why_not}",
                f"`{self.name}` made {copy.written:,} of {copy.read - self._start:,} values",
                f"`{self.node}` {real.written:,} of {real.read:,}",
            ]
        elif not look.rows:
            said = [f"no value has come by since `{self.name}` began"]
        else:
            equal = sum(same(one, other) for _, one, other in look.rows)
            said = [f"`{self.name}` makes the same as `{self.node}` of {equal:,} of {len(look.rows):,} values"]
        costs = _cost(copy.busy, copy.read - self._start), _cost(real.busy, real.read)
        if all(costs):
            said.append(f"it works {costs[0]} on a value, `{self.node}` {costs[1]}")
        said.append(f"`{self.name}` had {copy.errors + len(self._told):,} errors, `{self.node}` {real.errors:,}")
        if self._told:
            said.append(f"it has ended: {self._told[-1]}")
        return "; ".join(said)

    @property
    def errors(self) -> list[str]:
        """What went wrong in the candidate, oldest first; ``run.dead_letters(shadow.name)`` has the values, too."""
        return [*(text for _, text in self._seen(1).copy.letters), *self._told]

    def promote(self, *, fresh: bool = False) -> Applied:
        """Put the candidate in the node's place, and take its copy away: one change, taken back by ``run.undo()``.

        It goes on with the node's state, unless `fresh`. Raises what `Run.apply` raises.
        """
        return self._thread.call(self._end, [Swap(self.node, self._candidate, fresh), Disconnect(self.name)])

    def stop(self) -> Applied:
        """Take the copy away; what was compared so far can still be asked for."""
        return self._thread.call(self._end, [Disconnect(self.name)])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        frame, summary = self.compare(), self.summary()
        found = {"text/plain": f"{self!r}: {summary}"}
        table = frame[~frame["same"]].head().to_html(index=False) if len(frame) else ""
        return {**found, "text/html": f"<p>{html.escape(summary)}</p>{table}"}

    # -- in the runtime thread ------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        local, session = self._local, self._local.session
        local.working_engine()
        node = local.graph.node(self.node)
        before = await self._probe()
        suffix = await self._suffix()
        self.name = self.node + suffix
        encode = session.codec.bind(f"{session.run}:{self.name}".encode()).encode
        copy = beside(self._candidate, node, suffix, encode=encode, tell=self._told.append)
        edits: list[Edit] = [Connect(copy, **{port.name: port.stream for port in node.inputs})]
        given = {**local.settings.get(self.node, {}), **node.attrs.get("given", {})}
        own = {name: value for name, value in given.items() if name in copy.binding.settings}
        if own:
            edits.append(Tune.of(self.name, own))
        await self._solve(copy)
        edges = Observer(local.graph).see(before).edges
        begins = {(self.name, edge.target_port): edges[edge.name].read for edge in local.graph.into(self.node)}
        applied = await local.changes.apply(edits, begins=begins)
        self._version = applied.version
        self._start = min(applied.began.values(), default=0)
        self._before = await self._side(before, local.graph, node)

    async def _solve(self, copy: Processor) -> None:
        """Have what the copy depends on made, and kept for the run: where that fails it fails here, and not the run."""
        if copy.binding.dependencies:
            context = Context(self._local.session.run, self.name)
            await self._local.make(copy.node(), copy).prepare(AsyncExitStack(), context)

    async def _suffix(self) -> str:
        """What nothing in this run was called with yet: a node that was there has left values and errors behind."""
        notes = [json.loads(note) for *_, note in await self._local.session.changes()]
        were = {node["name"] for note in notes for node in note["after"]["nodes"]}
        suffix, number = SUFFIX, 1
        while self.node + suffix in were | {each.name for each in self._local.graph}:
            if any(each.name == self.node + suffix for each in self._local.graph):
                raise GraphError(f"{self.node!r} has a shadow already: stop() or promote() it first")
            number += 1
            suffix = f"{SUFFIX}_{number}"
        return suffix

    async def _end(self, edits: list[Edit]) -> Applied:
        last = await self._look(10_000)
        applied = await self._local.changes.apply(edits)
        self._last = last
        return applied

    def _there(self) -> bool:
        return any(each.name == self.name for each in self._local.graph)

    def _seen(self, last: int) -> _Look:
        if self._last is not None and not self._there():
            return self._last
        return self._thread.call(self._look, last)

    async def _look(self, last: int) -> _Look:
        for fewer in (last, last // 2, last // 4):
            try:
                return await self._try_look(fewer)
            except StreamTrimmedError:  # between the two questions: less is kept by now than the first one said
                continue
        return await self._try_look(0)

    async def _try_look(self, last: int) -> _Look:
        graph = self._local.graph
        if not self._there():
            raise RunError(f"{self.name!r} is no node of the run any more: somebody has taken it away")
        nodes = graph.node(self.node), graph.node(self.name)
        probe = await self._probe()
        real, copy = [await self._side(probe, graph, node) for node in nodes]
        why_not = self._why_not(real, copy, *nodes)
        rows = [] if why_not else await self._rows(real, copy, *nodes, last)
        return _Look(real, copy, rows, why_not)

    async def _probe(self) -> Probe:
        """The run at this moment, with what its nodes have spent until now and not until their last beat."""
        local = self._local
        if local.engine is not None and local.record.status == "running":
            await local.session.beat(local.engine.report())
        return await local.session.probe()

    async def _side(self, probe: Probe, graph: Graph, node: Node) -> _Side:
        state, record = Observer(graph).see(probe).nodes[node.name], probe.nodes[node.name]
        written = probe.streams.get(node.outputs[0].stream) if node.outputs else None
        returned = probe.streams.get(f"~{node.name}")
        return _Side(
            read=state.read,
            written=state.written,
            first=0 if written is None else written.first,
            busy=sum(float(facts.get("busy") or 0.0) for facts in record.report.values()),
            errors=state.errors,
            skipped=state.skipped,
            letters=sorted(map(_letter, await self._local.session.letters(node.name, limit=_LETTERS))),
            resent=returned is not None and returned.length > 0,
            rewired=[name for name, *_ in record.segments if not name.startswith("~")] != self._segments(node),
        )

    def _segments(self, node: Node) -> list[str]:
        """What the store calls the inputs of the node as long as it reads nothing else."""
        version = f"#{self._version}" if node.name == self.name else ""
        return [port.name + version for port in node.inputs]

    def _why_not(self, real: _Side, copy: _Side, node: Node, beside: Node) -> str:
        """Why their values do not belong to each other one by one; "" where they do."""
        for each in (node, beside):
            attrs = each.attrs
            ins, outs = len(each.inputs), len(each.outputs)
            if ins != 1 or outs != 1:
                return f"`{each.name}` has {ins} inputs and {outs} outputs, and not one of each"
            if attrs.get("shape") != "value" or attrs.get("flavour") not in {"function", "coroutine"}:
                return f"`{each.name}` is not called once for each value, with one result"
            if not attrs.get("ordered") and max(attrs.get("concurrency") or 1, attrs.get("workers") or 1) > 1:
                return f"`{each.name}` does not keep the order of its values"
        for name, side, start, passed in (
            (self.node, real, 0, self._before.skipped),
            (self.name, copy, self._start, 0),
        ):
            if side.rewired:
                return f"`{name}` was rewired"
            if side.skipped > passed:
                return f"`{name}` has skipped values"
            if side.resent:
                return f"`{name}` was sent dead letters again"
            if side.read - start - side.written > passed + sum(position >= start for position, _ in side.letters):
                return f"`{name}` does not put out one value for each that it reads"
        return ""

    async def _rows(
        self, real: _Side, copy: _Side, node: Node, beside: Node, last: int
    ) -> Sequence[tuple[int, Any, Any]]:
        """The last values that both are done with and whose outcomes are kept."""
        sides = _Outcomes(real, self._before.skipped), _Outcomes(copy, self._start)
        stop = min(side.end for side in sides)
        start = max(self._start, stop - last, *(side.begin for side in sides))
        found = []
        for side, one in zip(sides, (node, beside), strict=True):
            values = await between(self._local, one.outputs[0].stream, side.place(start), side.place(max(start, stop)))
            found.append(side.outcomes(start, stop, values))
        return list(zip(range(start, stop), *found, strict=True))


class _Outcomes:
    """Where in its output a side has what it made of a position of its input: one place on for each, less failures."""

    def __init__(self, side: _Side, base: int) -> None:
        self._base = base
        self._errors = dict(side.letters)
        self._positions = [position for position, _ in side.letters]
        self.end = base + side.written
        for position in self._positions:
            if position <= self.end:
                self.end += 1
        self.begin = base
        while (missing := side.first - self.place(self.begin)) > 0:
            self.begin += missing

    def place(self, position: int) -> int:
        """How many values had been put out before this position."""
        return position - self._base - bisect_left(self._positions, position)

    def outcomes(self, start: int, stop: int, values: list[Any]) -> list[Any]:
        """The value or the error of each position."""
        left = iter(values)
        return [self._errors[at] if at in self._errors else next(left) for at in range(start, stop)]


def _letter(raw: tuple[str, Any]) -> tuple[int, str]:
    data = raw[1]
    record = data if isinstance(data, dict) else msgspec.msgpack.decode(data)
    return record["position"], record["error"]


def _since(now: _Side, before: _Side) -> _Side:
    busy = now.busy - before.busy
    return now._replace(
        read=now.read - before.read,
        written=now.written - before.written,
        busy=busy if busy >= 0 else now.busy,  # it was begun anew meanwhile
        errors=now.errors - before.errors,
    )


def _cost(busy: float, values: int) -> str:
    if values <= 0 or busy <= 0:
        return ""
    spent = busy / values
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if spent >= size:
            return f"{spent / size:.3g} {unit}"
    return f"{spent / 1e-6:.3g} µs"


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, arrays and tables in them too; one that is not equal to itself, as NaN, equals its
    like.
    """
    if type(one) is not type(other):
        return isinstance(one, int | float) and isinstance(other, int | float) and one == other
    if hasattr(one, "equals"):  # pandas, Arrow
        return bool(one.equals(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "shape") and (one.shape != other.shape or one.dtype != other.dtype):
        return False
    found = (one == other) | ((one != one) & (other != other))  # noqa: PLR0124 - NaN
    return bool(found.all() if hasattr(found, "all") else found)
