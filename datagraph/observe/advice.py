"""What would help the node that holds a run up, what that would gain, and where nothing would: why not.

A prediction is bounded by what was measured: by the share of time that a node is busy at all (after Amdahl, 1967), by
the next busiest node, by the event loop and, where functions compute, by the interpreter's lock (GIL).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..drawing.style import number, percent
from ..events.snapshot import EdgeState, NodeState
from ..graph.model import Graph, Node
from ..graph.text import clean

LEAST_GAIN = 1.1
COMPUTES_FROM = 0.50  # of a node's busy time on a processor: what is left is the way to its thread and a busy machine
WAITS_TO = 0.25  # of a node's busy time on a processor: less is what values cost on their way
HOLDS_FROM = 0.60  # of a node's busy time in which it has the event loop
MORE_ROOM = 4


@dataclass(frozen=True, slots=True)
class Advice:
    """Set `kind` of `node` from `before` to `after` and expect `gain` times the throughput of now.

    With kind "none" there is nothing to set, and `reason` is why: "computes" (the interpreter's lock eats the gain),
    "blocks" (somebody holds the event loop), "next" (another node is as busy), "alone" (its function allows one call at
    a time), "short" (too little to be gained) or "" (nobody is to be helped). With kind "concurrency", `capacity` is
    what its inputs need besides, None where theirs will do. `text` is the clause of the sentence.
    """

    kind: Literal["concurrency", "capacity", "rate", "none"] = "none"
    node: str = ""
    before: float | None = None
    after: float | None = None
    gain: float = 1.0
    capacity: int | None = None
    reason: Literal["", "computes", "blocks", "next", "alone", "short"] = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What an advice is made from: a node, its fullest input, and the other nodes that are at work.

    `together`: whether all of them share one process, and so one interpreter's lock and one event loop.
    """

    graph: Graph
    node: Node
    state: NodeState
    edge: EdgeState | None
    beside: Mapping[str, NodeState]
    together: bool
    over: bool

    @property
    def here(self) -> list[NodeState]:
        """Who certainly shares the node's process."""
        return [self.state, *(self.beside.values() if self.together else ())]

    def cpu(self) -> float:
        """Processors that those keep busy; what nobody knows counts nothing."""
        return sum((state.cpu or 0.0) * state.workers for state in self.here)

    def next_busiest(self) -> tuple[str, float]:
        """The node beside it with the least to spare, and its busy share."""
        shares = ((name, state.busy) for name, state in self.beside.items())
        return max(shares, key=lambda item: item[1], default=("", 0.0))

    def others_bound(self) -> float:
        """How many times the throughput all the others could take."""
        return 1 / max(self.next_busiest()[1], 0.01)

    def shared_bound(self) -> float:
        """How many times the work the event loop and the interpreter's lock could take."""
        if is_apart(self.node):
            return 1 / max(self.state.loop, 0.01)
        return 1 / max(self.cpu(), sum(state.loop * state.workers for state in self.here), 0.01)


def advise(case: Setting) -> Advice:
    """What would help this node."""
    node, state = case.node, case.state
    limit = node.attrs.get("rate")
    if isinstance(limit, int | float) and limit > 0 and state.rate >= 0.8 * limit:
        return _rate(case, float(limit))
    if state.busy < 0.5:
        return Advice(node=node.name, reason="short")
    room = more_room(case)
    return _reason(case) or _concurrency(case, room)


def more_room(case: Setting) -> Advice:
    """More capacity for an edge whose two ends wait for each other in turn: at best neither ever waits."""
    edge = case.edge
    if edge is None or not edge.capacity:
        return Advice(node=case.node.name, reason="short")
    gain = min(1 / max(case.state.busy, 0.01), case.others_bound(), case.shared_bound())
    if gain < LEAST_GAIN:
        return Advice(node=case.node.name, reason="short")
    after = max(edge.capacity * MORE_ROOM, 2 * case.state.concurrency)
    text = f"with capacity {number(after)} instead of {number(edge.capacity)} {_expect(case, gain, most=True)}"
    return Advice("capacity", case.node.name, edge.capacity, after, gain, text=text)


def _rate(case: Setting, limit: float) -> Advice:
    held = f"it {'was' if case.over else 'is'} held to {limit:g} value{'' if limit == 1 else 's'} a second by rate="
    gain = min(2.0, case.others_bound(), case.shared_bound())
    if gain < LEAST_GAIN:
        return Advice(node=case.node.name, reason="next", text=held)
    text = f"{held}, with {2 * limit:g} {_expect(case, gain, most=True)}"
    return Advice("rate", case.node.name, limit, 2 * limit, gain, text=text)


def _reason(case: Setting) -> Advice | None:
    """Why nothing that can be set would help; None where something may."""
    node = case.node
    found = _held_loop(case) or _computes(case)
    if found is not None:
        return found
    alone = why_alone(node)
    if alone:
        return Advice(node=node.name, reason="alone", text=f"it {alone}")
    name, busy = case.next_busiest()
    if busy * LEAST_GAIN > 1:
        other, verb = named(case.graph, name), "was" if case.over else "is"
        text = f"{other} {verb} {percent(busy)} busy, so helping {named(case.graph, node.name)} alone gains little"
        return Advice(node=node.name, reason="next", text=text)
    return None


def _held_loop(case: Setting) -> Advice | None:
    """Async functions take turns in one event loop: somebody leaves too little of it."""
    most = max(case.here, key=lambda state: state.loop)
    if most.loop < HOLDS_FROM * case.state.busy or is_apart(case.node):
        return None
    who = "it" if most is case.state else named(case.graph, most.name)
    held = f"{who} {'held' if case.over else 'holds'} the event loop {percent(most.loop)} of the time"
    if most.cpu is not None and most.cpu < WAITS_TO * most.loop and case.cpu() < COMPUTES_FROM:
        text = f"{held} while it waits: let it await, or make it a plain function, which runs in a thread"
        return Advice(node=case.node.name, reason="blocks", text=text)
    text = f"{held}, where one function goes on at a time: cheaper work a value would help, concurrency would not"
    return Advice(node=case.node.name, reason="computes", text=text)


def _computes(case: Setting) -> Advice | None:
    state = case.state
    if state.cpu is None or is_apart(case.node) or state.cpu < COMPUTES_FROM * state.busy:
        return None
    verb = "computed" if case.over else "computes"
    if state.cpu > 1.2:
        text = f"it {verb} on {state.cpu:.1f} processors at once: more helps only as far as there are idle ones"
    else:
        text = (
            f"it {verb} {percent(state.cpu)} of the time, and the interpreter lets one thread compute at a time (GIL): "
            "cheaper work a value would help, concurrency only if that work is done outside the interpreter's lock"
        )
    return Advice(node=case.node.name, reason="computes", text=text)


def _concurrency(case: Setting, room: Advice) -> Advice:
    node, state = case.node, case.state
    before = max(1, state.concurrency)
    after = 2 * before
    own = 1 / (1 - state.busy / 2)
    gain = min(own, case.others_bound(), case.shared_bound())
    if gain < LEAST_GAIN or (room.kind == "capacity" and room.gain > gain):
        return room if room.kind == "capacity" else Advice(node=node.name, reason="next")
    capacity = case.edge.capacity if case.edge is not None else None
    needed = 2 * after if capacity and capacity < after else None
    known = state.cpu is not None or is_apart(node)
    mixed = state.cpu is not None and not is_apart(node) and state.cpu >= WAITS_TO * state.busy
    condition = (
        "" if known else f"if it {'waited rather than computed' if case.over else 'waits rather than computes'}, "
    )
    with_ = f"with concurrency {after}" + (f" and capacity {needed}" if needed else "")
    text = f"{condition}{with_} {_expect(case, gain, most=mixed)}"
    name, busy = case.next_busiest()
    if gain < 0.9 * own and 1 / max(busy, 0.01) <= gain:
        text += f", for {named(case.graph, name)} {'was' if case.over else 'is'} {percent(busy)} busy"
    elif mixed:
        text += f", for it {'computed' if case.over else 'computes'} {percent(state.cpu or 0.0)} of the time"
    return Advice("concurrency", node.name, before, after, gain, needed, text=text)


def _expect(case: Setting, gain: float, *, most: bool = False) -> str:
    upto = "up to " if most else ""
    expect = "it would have had" if case.over else "expect"
    return f"{expect} {upto}about {gain:.1f} times the throughput"


def why_alone(node: Node) -> str:
    """Why only one call of a node's function goes on at a time, and what else would help; '' where several can."""
    shape, state = node.attrs.get("shape"), node.attrs.get("state")
    if shape == "stream":
        return "reads its input itself (IO), value after value: a function called once a value may have concurrency"
    if shape == "batch":
        return "takes one batch after the other: larger batches share what a call costs"
    if len(node.inputs) > 1:
        return "takes its inputs in pairs, one after the other: a processor of one input behind it may have concurrency"
    if state != "none":
        return "keeps state, so its values come one after the other: a processor without state may have concurrency"
    return ""


def is_apart(node: Node) -> bool:
    """Whether it runs in processes of its own, where the interpreter's lock does not make it wait for its siblings."""
    return "process" in str(node.attrs.get("executor") or "").lower()


def named(graph: Graph, name: str) -> str:
    """A node or a stream as sentences have it."""
    node = next((node for node in graph if node.name == name), None)
    return f"`{clean(node.label if node is not None else name)}`"
