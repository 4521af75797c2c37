"""Which node holds a run up, in one sentence, and never a guess.

Flink calls a node that waits for room back-pressured. The culprit is the busiest node downstream of such nodes that is
not itself held up; where nobody waits for room there is none, however busy somebody may be. What would help it is told
by `advice.py`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..drawing.style import RED_FROM, number, percent, seconds
from ..events.snapshot import EdgeState, NodeState, Snapshot
from ..graph.edit import Tune, code
from ..graph.model import Graph
from .advice import Advice, Setting, advise, more_room, named

BLOCKED_FROM = 0.10  # of a node's time: less is the ordinary play between a writer and its reader
WORKS_FROM = 0.50
EACH_WAITS_FROM = 1 / 3  # of a node's time spent waiting for a writer that waits for it
COMPUTING_FROM = 0.90  # of one processor: what the interpreter's lock leaves for its threads together
_GONE = {"done", "failed", "cancelled", "stopped"}
_ENDS = {"failed": "failed", "cancelled": "was cancelled"}


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The node that holds a run up, or None; `str` of it is the sentence.

    `evidence` has what the sentence was made from: "busy", "starved", "blocked", "cpu" and "loop" shares as in
    `NodeState`, "edge", "lag", "capacity" and "fill" of its fullest input, "waiting" (share of time by writer held up),
    "gain" where one is predicted. `advice` is what would help, as data.
    """

    node: str | None
    sentence: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    advice: Advice = field(default_factory=Advice)

    def __str__(self) -> str:
        return self.sentence

    @property
    def fix(self) -> Tune | None:
        """The edit that does what is advised, for ``run.apply``; None where nothing is."""
        advice = self.advice
        if advice.kind == "none" or advice.after is None:
            return None
        changes: dict[str, Any] = {advice.kind: advice.after if advice.kind == "rate" else int(advice.after)}
        if advice.capacity is not None:
            changes["capacity"] = advice.capacity
        return Tune(advice.node, **changes)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        shown = re.sub("`([^`]*)`", r"<code>\1</code>", html.escape(self.sentence))
        fix = self.fix
        if fix is None:
            return {"text/plain": self.sentence, "text/html": f"<p>{shown}</p>"}
        cure = f"run.apply({code(fix)})"
        plain, rich = f"{self.sentence}\n{cure}", f"<p>{shown}</p><pre>{html.escape(cure)}</pre>"
        return {"text/plain": plain, "text/html": rich}


def bottleneck(graph: Graph, snapshot: Snapshot) -> Bottleneck:
    """The culprit of a snapshot, in the past tense where its run has ended."""
    return _Case(graph, snapshot).solve()


class _Case:
    def __init__(self, graph: Graph, snapshot: Snapshot) -> None:
        self.graph = graph
        self.snapshot = snapshot
        self.over = snapshot.status != "running"
        self.nodes = {name: state for name, state in snapshot.nodes.items() if graph.node(name).kind != "output"}
        self.work = {name: state for name, state in self.nodes.items() if graph.node(name).kind == "processor"}

    def solve(self) -> Bottleneck:
        at_breakpoint = self._at_breakpoint()
        if at_breakpoint is not None:
            return at_breakpoint
        if not self.snapshot.elapsed or not any(map(_known, self.nodes.values())):
            over = f"the run {_ENDS.get(self.snapshot.status, 'ended')} before anything was measured"
            return Bottleneck(None, over if self.over else "the run has just begun: nothing is known yet")
        stands = self._stands_still()
        if stands is not None:
            return stands
        held = [name for name, state in self.nodes.items() if self._is_held(state)]
        if not held:
            return self._nothing_full()
        reached = self._downstream(held)
        free = [name for name in reached if not _is_blocked(self.nodes[name])]
        if not free:
            return self._held_from_outside(held)
        culprit = max(free, key=lambda name: self.nodes[name].busy)  # the first of equals
        state = self.nodes[culprit]
        short = self._short_of_room(culprit, held)
        if short is not None:
            return short
        if state.starved > max(state.busy, state.blocked):
            return self._starved(culprit)
        return self._accuse(culprit, held)

    # Who is held up

    def _is_held(self, state: NodeState) -> bool:
        if state.status in _GONE and not self.over:
            return self._is_full_behind(state.name)
        return state.blocked >= BLOCKED_FROM or (not self.over and self._is_full_behind(state.name))

    def _is_full_behind(self, name: str) -> bool:
        return any(self._is_full(edge) for edge in self._out(name))

    def _is_full(self, edge: EdgeState) -> bool:
        return edge.waiting != "closed" and (edge.fill > RED_FROM or edge.waiting in ("writer", "both"))

    def _out(self, name: str) -> list[EdgeState]:
        return [self.snapshot.edges[edge.name] for edge in self.graph.out_of(name) if edge.name in self.snapshot.edges]

    def _into(self, name: str) -> list[EdgeState]:
        return [self.snapshot.edges[edge.name] for edge in self.graph.into(name) if edge.name in self.snapshot.edges]

    def _downstream(self, held: list[str]) -> list[str]:
        """The readers that hold these writers up, and, where they are held up themselves, those that hold them."""
        reached: dict[str, None] = {}
        waits = list(held)
        for name in waits:
            edges = self._out(name)
            guilty = [edge for edge in edges if self._is_full(edge)] if not self.over else []
            for edge in guilty or edges:
                reader = self.work.get(edge.target)
                if reader is None or edge.target in reached or (reader.status in _GONE and not self.over):
                    continue
                reached[edge.target] = None
                if self._is_held(reader) and edge.target not in waits:
                    waits.append(edge.target)
        return list(reached)

    # What is said

    def _stands_still(self) -> Bottleneck | None:
        """What needs a person, and no more workers."""
        if self.over:
            return None
        if self.snapshot.paused:
            return Bottleneck(None, "the run is paused")
        for name, state in self.nodes.items():
            if "lost" in state.status:
                what = "source" if self.graph.node(name).kind == "input" else "worker"
                return Bottleneck(
                    name, f"the {what} of {self._name(name)} is gone: recover the run", {"status": state.status}
                )
        for name, state in self.work.items():
            if state.paused and state.status not in _GONE and any(edge.lag for edge in self._into(name)):
                lag = max(edge.lag for edge in self._into(name))
                wait = "1 value waits" if lag == 1 else f"{number(lag)} values wait"
                return Bottleneck(name, f"{self._name(name)} is paused: {wait} for it", {"paused": True})
        return None

    def _at_breakpoint(self) -> Bottleneck | None:
        """Who stands at a breakpoint holds everything up because somebody wants to look: it is no bottleneck."""
        if self.over or self.snapshot.paused:
            return None
        for edge in self.snapshot.edges.values():
            found = edge.breakpoint
            if found is None or found.position is None:
                continue
            said = f"{self._name(edge.target)} stands at a breakpoint on {self._name(edge.stream)}"
            held = f"value {number(found.position)} is held until it is let go, dropped or replaced"
            return Bottleneck(None, f"{said}: {held}", {"edge": edge.name, "position": found.position})
        return None

    def _nothing_full(self) -> Bottleneck:
        name, state = max(self.work.items(), key=lambda item: item[1].busy, default=("", NodeState("")))
        nothing = f"nothing {self._was} full"
        evidence = _shares(state)
        source = self._slow_source()
        if source:
            waits = f"everything downstream {'waited' if self.over else 'waits'}"
            return Bottleneck(
                None, f"{nothing}: the source {self._name(source)} {self._was} the slowest, {waits}", evidence
            )
        if not name or state.busy <= 0:
            return Bottleneck(None, f"{nothing}: no bottleneck", evidence)
        computing = self._setting(name).cpu()
        if COMPUTING_FROM <= computing < 1.2 and self._is_one_process():
            return Bottleneck(
                None,
                f"{nothing}: all nodes together compute {percent(min(computing, 1.0))} of the time, "
                "which is all that the interpreter lets its threads do (GIL)",
                evidence | {"computing": computing},
            )
        said = f"{nothing}: no bottleneck; the busiest {self._was} {self._name(name)} ({percent(state.busy)})"
        grows = max(self._into(name), key=lambda edge: edge.fill, default=None)
        if grows is not None and grows.seconds_to_full and grows.lag and not self.over:
            said += f", whose input holds {_held(grows)} and is full in {seconds(grows.seconds_to_full)}"
        return Bottleneck(None, said, evidence)

    def _slow_source(self) -> str:
        """A source that is not held up and whose readers starve; '' where there is none."""
        for name, state in self.nodes.items():
            if self.graph.into(name) or (state.status in _GONE and not self.over):
                continue
            readers = [self.work[edge.target] for edge in self._out(name) if edge.target in self.work]
            if readers and all(reader.starved >= WORKS_FROM for reader in readers):
                return name
        return ""

    def _held_from_outside(self, held: list[str]) -> Bottleneck:
        name = max(held, key=lambda each: self.nodes[each].blocked)
        verb, share = "waited" if self.over else "waits", percent(self.nodes[name].blocked)
        said = f"{self._name(name)} {verb} for room {share} of the time, but no processor holds it up"
        return Bottleneck(None, f"{said}: somebody reads from outside with hold=True, or its reader has ended")

    def _short_of_room(self, name: str, held: list[str]) -> Bottleneck | None:
        """A writer and its only reader that both wait for each other: neither is slow, what is short is room."""
        state, inputs = self.nodes[name], self._into(name)
        if len(inputs) != 1 or inputs[0].source not in held or state.starved < EACH_WAITS_FROM:
            return None
        edge, writer = inputs[0], self.nodes[inputs[0].source]
        room = more_room(self._setting(name))
        if writer.blocked < BLOCKED_FROM or room.kind != "capacity":
            return None
        first, then = self._name(writer.name), self._name(name)
        there, wait = ("there was", "waited") if self.over else ("there is", "waits")
        said = (
            f"{there} too little room between {first} and {then}: {first} {wait} for room {percent(writer.blocked)} "
            f"of the time and {then} for values {percent(state.starved)}"
        )
        evidence = {**_shares(state), **_edge_facts(edge), "waiting": {writer.name: writer.blocked}, "gain": room.gain}
        return Bottleneck(None, f"{said}; {room.text}", evidence, room)

    def _setting(self, name: str) -> Setting:
        """What an advice for this node is made from; whoever is done does not take part any more."""
        nodes = self.work if self.over else self.nodes
        beside = {
            each: state for each, state in nodes.items() if each != name and (self.over or state.status not in _GONE)
        }
        fullest = max(self._into(name), key=lambda edge: edge.fill, default=None)
        node, state = self.graph.node(name), self.nodes[name]
        return Setting(self.graph, node, state, fullest, beside, self._is_one_process(), self.over)

    def _is_one_process(self) -> bool:
        return self.snapshot.workers <= 1 and not self.over

    def _starved(self, name: str) -> Bottleneck:
        """A node that holds its writers up because another of its inputs is empty: who is slow on that side."""
        seen = {name}
        culprit = name
        missing = edge = self._emptiest(name)
        while edge is not None and edge.source in self.nodes and edge.source not in seen:
            culprit = edge.source
            seen.add(culprit)
            if self.nodes[culprit].starved <= max(self.nodes[culprit].busy, self.nodes[culprit].blocked):
                break
            edge = self._emptiest(culprit)
        full = [each for each in self._into(name) if self._is_full(each)]
        if missing is None or culprit == name or not (full or self.over):
            return self._nothing_full()
        verb = "waited" if self.over else "waits"
        said = (
            f"{self._name(culprit)} {self._was} the bottleneck: {self._name(name)} {verb} "
            f"{percent(self.nodes[name].starved)} of the time for its input {self._name(missing.stream)}"
        )
        if full:
            said += f" while {self._name(full[0].stream)} holds {_held(full[0])}"
        state = self.nodes[culprit]
        if culprit in self.work:
            said += f"; {self._name(culprit)} {self._was} {percent(state.busy)} busy"
        return Bottleneck(culprit, said, {**_shares(state), "starved_reader": name, "edge": missing.name})

    def _emptiest(self, name: str) -> EdgeState | None:
        state = self.nodes[name]
        inputs = [edge for edge in self._into(name) if edge.waiting != "closed" or self.over]
        named = [edge for edge in inputs if edge.waiting in ("reader", "both") or edge.stream == state.waits_for]
        return min(named or inputs, key=lambda edge: (edge.fill, edge.lag), default=None)

    def _accuse(self, name: str, held: list[str]) -> Bottleneck:
        state = self.nodes[name]
        facts = [f"{percent(state.busy)} busy"]
        fullest = max(self._into(name), key=lambda edge: edge.fill, default=None)
        evidence: dict[str, Any] = _shares(state)
        if fullest is not None and not self.over and fullest.capacity is not None and fullest.lag:
            facts.append(f"its input holds {_held(fullest)}")
            evidence |= _edge_facts(fullest)
        waiting = {each: self.nodes[each].blocked for each in held if each != name and self.nodes[each].blocked > 0}
        evidence["waiting"] = waiting
        if waiting:
            near = [edge.source for edge in self._into(name) if edge.source in waiting]
            most = max(near or waiting, key=lambda each: waiting[each])
            verb = "waited" if self.over else "waits"
            facts.append(f"{self._name(most)} {verb} {percent(waiting[most])} of the time")
        said = f"{self._name(name)} {self._was} the bottleneck: {', '.join(facts)}"
        advice = advise(self._setting(name))
        if advice.kind != "none":
            evidence["gain"] = advice.gain
        return Bottleneck(name, f"{said}; {advice.text}" if advice.text else said, evidence, advice)

    @property
    def _was(self) -> str:
        return "was" if self.over else "is"

    def _name(self, name: str) -> str:
        return named(self.graph, name)


def _known(state: NodeState) -> bool:
    return state.busy + state.starved + state.blocked > 0 or "lost" in state.status


def _is_blocked(state: NodeState) -> bool:
    """Whether it waits for room more than for anything else: who holds it up is further down."""
    return state.blocked > max(state.busy, state.starved)


def _shares(state: NodeState) -> dict[str, Any]:
    shares = {"busy": state.busy, "starved": state.starved, "blocked": state.blocked}
    return {**shares, "cpu": state.cpu, "loop": state.loop}


def _edge_facts(edge: EdgeState) -> dict[str, Any]:
    return {"edge": edge.name, "lag": edge.lag, "capacity": edge.capacity, "fill": edge.fill}


def _held(edge: EdgeState) -> str:
    """How full an edge is, in the measure that fills it."""
    capacity = edge.capacity or 0
    if capacity and edge.fill > edge.lag / capacity + 0.01:
        return f"{percent(edge.fill)} of the bytes it may"
    return f"{number(edge.lag)} of {number(capacity)}"
