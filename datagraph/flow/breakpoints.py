"""Breakpoints on the edges of a run, for any process: where the nodes run they are at hand, else the store has them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from ..events.snapshot import BreakpointState
from ..exceptions import DatagraphError, RunError
from ..graph.model import Graph
from ..runtime.breakpoints import Held, Stop
from ..runtime.conditions import Condition
from ..runtime.io import wait_any
from ..streams.text import short
from .reading import between
from .steering import port_of

if TYPE_CHECKING:
    from .local import LocalRun

_GLANCE = 0.2  # seconds between two looks at a run whose nodes are run elsewhere
_PLAIN = (str, int, float, bool, type(None))


Place = tuple[str, str]
"""A node and one of its ports."""


class Seen(NamedTuple):
    """A value that is held, as this process has it; `exact` unless all that it has is a text of it."""

    value: Any
    position: int
    exact: bool = True
    held: Held | None = None


class Hit:
    """A value at which a run stands still: `value`, and `position` in its stream. Decide with `go`, `drop`, `replace`.

    What was decided holds in the process of the nodes: after a crash before the value was finished it is read again as
    it was. `exact` is False where this process cannot read the value: then `value` is a short text of it.
    """

    def __init__(self, local: LocalRun, place: Place, seen: Seen) -> None:
        self._local = local
        self._place = place
        self._held = seen.held
        self.value = seen.value
        self.position = seen.position
        self.exact = seen.exact

    def __repr__(self) -> str:
        shown = repr(self.value) if self.exact else f"<{self.value}>"
        return f"Hit(value={shown}, position={self.position})"

    def go(self) -> None:
        """Let the value go on as it is; where another process runs the nodes, RunError if it is not held any more."""
        self._decide("go")

    def drop(self) -> None:
        """Pass the value over: the node never gets it."""
        self._decide("drop")

    def replace(self, value: Any) -> None:
        """Give the node this value in its place; to another process it goes as JSON, ValueError where it is none."""
        self._decide("replace", value)

    def _decide(self, verdict: str, value: Any = None) -> None:
        held, local = self._held, self._local
        if held is None:
            if not is_json(value):
                raise ValueError(
                    f"{short(value)} cannot be given to the process that runs {local.record.id!r}: JSON has texts, "
                    f"numbers, true, false, null, lists and objects; replace it there, or by one of these"
                )
            edge = edge_at(local.graph, self._place)
            facts = {"edge": edge, "verdict": verdict, "position": self.position, "value": value}
            local.thread.call(lambda: local.steering.do("decide", **facts))
            return

        def put() -> None:
            if verdict == "replace":
                held.value = value
            held.decide("drop" if verdict == "drop" else "go")

        local.thread.soon(put)


class Breakpoint:
    """Holds the reader of an edge at each value that a condition chooses; made by `Run.breakpoint`.

    The node waits at the value, what comes after it waits on the edge, and backpressure holds the rest.
    """

    def __init__(self, local: LocalRun, edge: str, stop: Stop | None) -> None:
        self._local = local
        self._stop = stop
        self._place = port_of(local.graph, edge)

    @property
    def edge(self) -> str:
        """The edge that its reader reads now: a change of the wiring may have given it another one."""
        return edge_at(self._local.graph, self._place)

    def __repr__(self) -> str:
        found = self._now()
        return f"Breakpoint({self.edge!r}, {found.condition!r}, hits={found.hits})"

    @property
    def condition(self) -> str:
        """What it looks for, as text; of a function its name."""
        return self._now().condition

    @property
    def hits(self) -> int:
        """How many values it has held so far."""
        return self._now().hits

    @property
    def error(self) -> Exception | None:
        """What its condition raised, if it did: then it holds nothing more."""
        if self._stop is not None:
            return self._stop.error
        text = self._now().error
        return RunError(f"the condition of the breakpoint on {self.edge!r} raised {text}") if text else None

    @property
    def hit(self) -> Hit | None:
        """What is held now."""
        if self._stop is None:
            return self._local.thread.call(self._hit)
        held = self._stop.held
        return None if held is None else Hit(self._local, self._place, seen(held))

    def wait(self, timeout: float | None = None) -> Hit:
        """Wait until a value is held.

        Raises TimeoutError after `timeout` seconds, the condition's error if it raised, RunError where the run ends.
        """
        return self._local.thread.call(self._wait, timeout)

    async def await_hit(self, timeout: float | None = None) -> Hit:
        """`wait`, awaited."""
        return await self._local.thread.acall(self._wait, timeout)

    def remove(self) -> None:
        """Hold nothing more; what is held goes on."""
        if self._stop is None:
            self._local.thread.call(self._remove)
        else:
            self._local.thread.spawn(self._remove)

    # -- in the runtime thread ------------------------------------------------------------------------------------

    async def _remove(self) -> None:
        local = self._local
        if local.record.status != "running":
            return
        if self._stop is None:
            await local.steering.do("breakpoint", edge=self.edge, where=None)
        elif local.is_working:
            engine = local.working_engine()
            for place in [place for place, stop in engine.stops.items() if stop is self._stop]:
                engine.set_stop(*place, None)
            await local.session.beat(engine.report())

    async def _hit(self) -> Hit | None:
        found = await held_at(self._local, self.edge, self._stop)
        return None if found is None else Hit(self._local, self._place, found)

    def _now(self) -> BreakpointState:
        if self._stop is not None:
            return BreakpointState(self._stop.text, self._stop.hits)
        return self._local.thread.call(_told, self._local, self.edge) or BreakpointState("none any more")

    async def _wait(self, seconds: float | None) -> Hit:
        local, stop = self._local, self._stop
        with anyio.fail_after(seconds):
            while True:
                events = [local.changed] if stop is None else [local.changed, stop.changed]
                if stop is not None and stop.error is not None:
                    raise stop.error
                hit = await self._hit()
                if hit is not None:
                    return hit
                if local.record.status != "running":
                    raise RunError(f"the run {local.record.id!r} is {local.record.status}: it holds no value any more")
                if stop is None:
                    found = await _told(local, self.edge)
                    if found is not None and found.error:
                        raise RunError(f"the condition of the breakpoint on {self.edge!r} raised {found.error}")
                with anyio.move_on_after(math.inf if stop is not None else _GLANCE):
                    await wait_any(events)


async def breakpoint_at(local: LocalRun, edge: str, where: str | Callable[[Any], Any]) -> Breakpoint:
    """Set one: a text wherever the nodes run, a function here."""
    port_of(local.graph, edge)
    if not callable(where):
        condition = Condition(where)  # an error is raised before anybody is asked
        if not local.is_working:
            await local.steering.do("breakpoint", edge=edge, where=condition.text)
            return Breakpoint(local, edge, None)
        stop = Stop(condition)
    elif local.record.status == "running" and not local.is_working:
        raise RunError(
            f"the nodes of {local.record.id!r} are run by another process, which has no such function: give the "
            f"condition as text, such as 'value > 100'"
        )
    else:
        stop = Stop(where)
    await local.steering.stop_at(edge, stop)
    return Breakpoint(local, edge, stop)


async def breakpoints_of(local: LocalRun) -> dict[str, Breakpoint]:
    """All that there are, by edge."""
    if local.is_working:
        stops = local.working_engine().stops
        at = {each.name: stops.get((each.target, each.target_port)) for each in local.graph.edges}
        return {edge: Breakpoint(local, edge, stop) for edge, stop in at.items() if stop is not None}
    edges = (await local.see()).edges.values()
    return {each.name: Breakpoint(local, each.name, None) for each in edges if each.breakpoint is not None}


async def held_at(local: LocalRun, edge: str, stop: Stop | None = None) -> Seen | None:
    """What is held at an edge now, with the value itself where this process can read it; `stop` if it is at hand."""
    if stop is None and local.is_working:
        stop = local.working_engine().stops.get(port_of(local.graph, edge))
        if stop is None:
            return None
    if stop is not None:
        held = stop.held
        return None if held is None else seen(held)
    found = await _told(local, edge)
    if found is None or found.position is None:
        return None
    try:
        values = await between(local, found.stream, found.position, found.position + 1)
    except DatagraphError:  # its type is not known here, say
        values = []
    return Seen(values[0], found.position) if values else Seen(found.value, found.position, exact=False)


def seen(held: Held) -> Seen:
    """What is held here."""
    return Seen(held.value, held.position, held=held)


def edge_at(graph: Graph, place: Place) -> str:
    """The name of the edge that a port reads, as the graph is now."""
    found = next((edge.name for edge in graph.into(place[0]) if edge.target_port == place[1]), None)
    return found if found is not None else f"nothing->{place[0]}.{place[1]}"


async def _told(local: LocalRun, edge: str) -> BreakpointState | None:
    state = (await local.see()).edges.get(edge)
    return None if state is None else state.breakpoint


def is_json(value: Any, depth: int = 100) -> bool:
    """Whether JSON carries a value so that it comes back the same, types and all.

    >>> is_json({"a": [1, 2.5, None]}), is_json((1, 2)), is_json({1: "a"}), is_json(float("nan"))
    (True, False, False, False)
    """
    kind = type(value)
    if kind is list:
        return depth > 0 and all(is_json(each, depth - 1) for each in value)
    if kind is dict:
        return depth > 0 and all(type(k) is str and is_json(each, depth - 1) for k, each in value.items())
    return kind in _PLAIN and not (kind is float and not math.isfinite(value))


def _plainly(char: str) -> str:
    """A character of a JSON text, escaped where nobody could see it."""
    return char if char.isprintable() else json.dumps(char)[1:-1]


def as_json(value: Any, longest: int) -> str | None:
    """A value as JSON of at most so many characters; None where that cannot be, or would be another value."""
    if not is_json(value):
        return None
    text = "".join(_plainly(char) for char in json.dumps(value, ensure_ascii=False))
    return text if len(text) <= longest else None
