"""Changing what is connected to what while values flow: one atomic cut in the store, then the same in this process.

Every port that loses its stream is cut, and every port that gains one begins somewhere. Where one reader takes over
from another it begins exactly where that one was cut, which is at what it has taken and not yet finished or stored: so
nothing is drained and nobody waits. A port that moves to another stream without a successor first reads what had been
written to the old one. Both are positions that the script in the store checks and keeps, so a crash before it leaves
the old wiring and a crash after it the new one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from ..exceptions import RunError, UnknownIOError
from ..streams.records import CLAIMED, NOW, Cut, Join, NodeSpec, Probe, Rewire, Rewired, RunSpec, StreamSpec, at_cut
from .halting import writers_first
from .node import Node
from .orders import Carried, Orders, Place
from .port import Port
from .segments import Segment, port_of
from .work import Work

if TYPE_CHECKING:
    from ..streams.records import RunRecord
    from ..streams.store import Session

_PATIENCE = 0.5
"""Seconds that a node may take to come to a safe point, before what it has in hand is left to be done again."""
_GLANCE = 0.05
_PATIENCE_WITH_THE_DROPPED = 3.0
_LONGEST = {False: 60.0, True: 2.0}
"""Seconds until a change that still waits for a node is given up; where something is paused, which may be why."""


Part = tuple[str, str, str]


class Stage(Protocol):
    """The engine, as a change needs it."""

    session: Session
    nodes: list[Node]
    record: RunRecord | None

    async def come_back(self, nodes: Sequence[Node]) -> None:
        """Have nodes that were to be left, and are only now, run again as they did."""

    def soon(self, function: Callable[..., Coroutine[Any, Any, None]], *args: Any) -> None:
        """Have that done beside everything else."""

    async def enter(self, work: Work) -> None:
        """Have a node run from now on."""

    def leave(self, node: Node) -> None:
        """The node object is done with; another may run in its place."""

    def joined(self, join: Join, position: int) -> None:
        """A port reads a stream from that position on."""

    def forget(self, struck: Sequence[tuple[str, str]]) -> None:
        """Segments (node, segment) that are no more."""

    def released(self, node: str, segment: str, stream: str) -> None:
        """A segment was cut: it holds its writer back no more."""


class Change:
    """One change under way. `apply` is all of it."""

    def __init__(self, stage: Stage, orders: Orders) -> None:
        self._stage = stage
        self._orders = orders
        self._cuts: list[Cut] = []
        self._joins: list[Join] = []
        self._frozen: list[tuple[Port, int]] = []  # and the number of its cut
        self._cut_of: dict[tuple[str, str], int] = {}  # by (node, port)
        self._halted: list[Node] = []
        self._positions: dict[tuple[str, str], int] = {}
        self._lengths: dict[str, int] = {}
        self._probe: Probe | None = None
        self._struck: list[tuple[str, str]] = []
        self._forgotten: list[tuple[Port, set[str]]] = []
        self._ended: list[tuple[int, Segment]] = []  # with the number of its cut

    async def apply(self) -> Carried:
        """Carry it out, or leave everything as it was and raise why."""
        orders, stage = self._orders, self._stage
        try:
            for node in stage.nodes:
                await node.ready.wait()
            for name in orders.added:
                await self._gone(name)
            await self._halt()
            self._cut()
            self._join()
            await self._strike()
            spec = self._spec()
            cuts, joins = self._parts()
            change = Rewire(
                orders.version,
                spec,
                self._cuts,
                self._joins,
                added=tuple(orders.added),
                struck=self._struck,
                fresh=(*orders.fresh, *orders.added),
                note=json.dumps({**orders.note, "lengths": self._lengths, "cuts": cuts, "joins": joins}).encode(),
                events=orders.events,
            )
            with anyio.CancelScope(shield=True):  # once it is sent, only the store knows whether it was done
                done = await stage.session.rewire(change)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._take_back()
            raise
        with anyio.CancelScope(shield=True):
            await self._follow(done)
        return Carried(
            done.version,
            tuple(Place(*part, at) for part, at in zip(cuts, done.cuts, strict=True)),
            tuple(Place(*part, at) for part, at in zip(joins, done.joins, strict=True)),
            self._lengths,
        )

    def _parts(self) -> tuple[list[Part], list[Part]]:
        """What is cut and what is joined, as (node, segment, stream)."""
        streams = {(node.name, each.name): each.stream for node in self._stage.nodes for each in node.segments()}
        cuts = [(cut.node, cut.port, streams[cut.node, cut.port]) for cut in self._cuts]
        return cuts, [(join.node, join.port, join.stream) for join in self._joins]

    # -- before the cut -------------------------------------------------------------------------------------------

    def _nodes(self, name: str) -> list[Node]:
        return [node for node in self._stage.nodes if node.name == name]

    async def _gone(self, name: str) -> None:
        """A node that was dropped and comes back has to be done with what it had in hand."""
        for node in self._nodes(name):
            with anyio.move_on_after(_PATIENCE_WITH_THE_DROPPED):
                await node.over.wait()
                continue
            raise RunError(f"{name!r} was dropped and still works on what it had in hand: try again when it is done")

    async def _halt(self) -> None:
        nodes = [node for name in self._orders.replaced for node in self._nodes(name)]
        for node in nodes:
            _check_goes_on(node)
        for level in writers_first(nodes):  # a writer may wait for room that only its reader can make
            for node in level:
                self._halted.append(node)
                node.halt()
            with anyio.move_on_after(_PATIENCE):
                for node in level:
                    await node.over.wait()
            for node in level:
                await self._left(node)
        for node in nodes:
            if node.status != "halted":
                raise RunError(f"{node.name!r} has ended meanwhile ({node.status}): it cannot be changed any more")
        begun = {**self._orders.added, **self._orders.replaced}
        if begun:
            probe = self._probe = await self._stage.session.probe()
            for stream in [stream for work in begun.values() for stream in work.outputs]:
                found = probe.streams.get(stream)
                self._lengths[stream] = found.length if found is not None else await self._length(stream)
            for node in nodes:
                if any(count for count, _ in probe.nodes[node.name].marks.values()):
                    raise RunError(f"{node.name!r} was left between two safe points: nothing was changed; try again")
                for segment, (position, _) in probe.nodes[node.name].reads.items():
                    self._positions[node.name, segment] = position

    async def _length(self, stream: str) -> int:
        """How long a stream is that a probe does not show: nobody writes it any more, or it is new."""
        try:
            return (await self._stage.session.tail(stream, 1)).length
        except UnknownIOError:
            return 0

    async def _left(self, node: Node) -> None:
        record = self._stage.record
        paused = record is not None and (record.paused or bool(record.paused_nodes))
        with anyio.move_on_after(_LONGEST[paused]):
            while not node.over.is_set() and not node.redo():
                with anyio.move_on_after(_GLANCE):
                    await node.over.wait()
            await node.over.wait()
            return
        waits = node.clock.waits_for.partition(":")
        what = f"waits for room in {waits[2]!r}" if waits[0] == "room" else "is in the middle of a value"
        cure = "resume the run, and try again" if paused else "try again"
        raise RunError(f"{node.name!r} {what}, so it cannot be left now: nothing was changed; {cure}")

    def _cut(self) -> None:
        orders, followed = self._orders, set(self._orders.handovers.values())
        for name in orders.dropped:
            for node in self._nodes(name)[:1]:
                for port in node.ports.values():
                    if not port.name.startswith("~"):
                        self._cut_one(node, port, handed=True)
        leaving = {stream for name in orders.dropped for node in self._nodes(name) for stream in node.work.outputs}
        for move in orders.moved:
            if move.old in leaving:
                continue  # its writer ends, and so does what it reads there
            for node in self._nodes(move.node)[:1]:
                _check_goes_on(node)
                self._cut_one(node, node.ports[move.port], handed=(move.node, move.port) in followed)
        for name, port_name, _ in orders.seeks:
            for node in self._nodes(name)[:1]:
                _check_goes_on(node)
                self._cut_one(node, node.ports[port_name], handed=False, now=False)
        self._cut_what_ended()

    def _cut_what_ended(self) -> None:
        """Streams whose writers come back go on: whoever has read one of them to its end reads no more of it."""
        opened = {stream for work in self._orders.added.values() for stream in work.outputs}
        for node in self._stage.nodes:
            if node.name in self._orders.added or node.status in {"done", "failed"}:
                continue
            for port in node.ports.values():
                for segment in port.segments[:-1]:
                    if segment.stream in opened and not segment.is_cut:
                        self._ended.append((len(self._cuts), segment))
                        self._cuts.append(Cut(node.name, segment.name, NOW))

    def _cut_one(self, node: Node, port: Port, *, handed: bool, now: bool = True) -> None:
        """Cut what a port reads last: at what it has taken where somebody takes over, else at what is written."""
        last = port.segments[-1]
        if node.work.workers > 1:
            position = CLAIMED if handed or not now else NOW
        elif node in self._halted:
            position = self._positions.get((node.name, last.name), last.start) if handed or not now else NOW
        else:
            taken = port.freeze(fetched=not handed and now)
            position = taken if handed or not now else NOW
            self._frozen.append((port, len(self._cuts)))
        self._cut_of[node.name, port.name] = len(self._cuts)
        self._cuts.append(Cut(node.name, last.name, position))

    def _join(self) -> None:
        orders = self._orders
        reads = [(move.node, move.port, move.new) for move in orders.moved]
        reads += [
            (spec.name, port, stream)
            for spec in orders.spec.nodes
            if spec.name in orders.added
            for port, stream in spec.inputs
            if not port.startswith("~")
        ]
        for name, port, stream in reads:
            before = orders.handovers.get((name, port))
            cut = self._cut_of.get(before) if before is not None else None
            start = orders.begins.get((name, port), NOW)
            self._add(name, port, stream, start if cut is None else at_cut(cut))
        for name, port, position in orders.seeks:
            for node in self._nodes(name)[:1]:
                self._add(name, port, node.ports[port].segments[-1].stream, position)

    async def _strike(self) -> None:
        """Forget the segments that are wholly read; else they would be more and more."""
        for node in {node.name: node for node in self._halted}.values():  # it begins from what the store has
            behind = [segment.name for port in node.ports.values() for segment in port.segments[:-1]]
            self._struck += [(node.name, name) for name in self._free(node, behind)]
        for join in self._joins:
            for node in self._nodes(join.node)[:1]:
                if node.work.workers > 1 and node not in self._halted and join.node not in self._orders.added:
                    await self._strike_shared(node.port_of(join.port).name, self._nodes(join.node))
        for join in self._joins:
            if join.node in self._orders.added:
                continue
            for node in self._nodes(join.node)[:1]:
                if not node.work.resumes or node.work.workers > 1 or node in self._halted:
                    continue  # it may begin again from the first of them
                for port in node.ports.values():
                    if port.name == port_of(join.port, list(node.ports)):
                        finished = port.finished()
                        self._forgotten.append((port, {segment.name for segment in finished}))
                        for segment in finished:
                            if not segment.is_cut and all(segment is not ended for _, ended in self._ended):
                                self._cuts.append(Cut(node.name, segment.name, NOW))
                            self._struck.append((node.name, segment.name))

    def _free(self, node: Node, segments: Sequence[str]) -> list[str]:
        """Of these segments those that the store has let go of."""
        assert self._probe is not None
        found = []
        for segment in [each for each in node.segments() if each.name in segments]:
            stream = self._probe.streams.get(segment.stream)
            reader = stream.readers.get((node.name, segment.name)) if stream is not None else None
            if reader is not None and reader.hold == "free" and reader.until is not None:
                found.append(segment.name)
        return found

    async def _strike_shared(self, port: str, workers: Sequence[Node]) -> None:
        """Those first ones that every worker is beyond, and that no worker can be given again."""
        behind = [[segment.name for segment in node.ports[port].finished()] for node in workers]
        common = [names[0] for names in zip(*behind, strict=False) if len(set(names)) == 1]
        if not common:
            return
        self._probe = self._probe or await self._stage.session.probe()
        if self._free(workers[0], common) == common:
            self._struck += [(workers[0].name, name) for name in common]
            self._forgotten += [(node.ports[port], set(common)) for node in workers]

    def _add(self, node: str, port: str, stream: str, position: int) -> None:
        capacity = self._orders.capacities.get((node, port), (4000, 64 * 2**20))
        opened = any(each.ports[port].hold == "open" for each in self._nodes(node) if port in each.ports)
        name = self._segment(port)
        if capacity is None or opened:
            self._joins.append(Join(node, name, stream, position, hold="open"))
        else:
            self._joins.append(Join(node, name, stream, position, *capacity))

    def _segment(self, port: str) -> str:
        return f"{port}#{self._orders.version + 1}"

    def _spec(self) -> RunSpec:
        """The run afterwards, with every segment in its place; who reads a stream is told by the cuts and joins."""
        here = {node.name: node for node in self._stage.nodes}
        nodes = []
        for spec in self._orders.spec.nodes:
            joined = [(join.port, join.stream) for join in self._joins if join.node == spec.name]
            if spec.name in self._orders.added:
                before = [segment for node in self._nodes(spec.name)[:1] for segment in node.segments()]
                self._struck += [(spec.name, segment.name) for segment in before if not segment.name.startswith("~")]
                known = [pair for pair in spec.inputs if pair[0].startswith("~")]
            else:
                known = self._known(here.get(spec.name), spec)
            nodes.append(replace(spec, inputs=(*known, *joined)))
        streams = [s if s.private else StreamSpec(s.name, s.writer, (), s.keep) for s in self._orders.spec.streams]
        return replace(self._orders.spec, nodes=tuple(nodes), streams=tuple(streams))

    def _known(self, node: Node | None, spec: NodeSpec) -> list[tuple[str, str]]:
        if node is None:
            return list(spec.inputs)
        gone = {segment for name, segment in self._struck if name == node.name}
        known = [(segment.name, segment.stream) for segment in node.segments() if segment.name not in gone]
        return known or list(spec.inputs)

    # -- after it -------------------------------------------------------------------------------------------------

    async def _take_back(self) -> None:
        for port, _ in self._frozen:
            port.thaw()
        for node in self._stage.nodes:
            node.nudge()
        if self._halted:
            self._stage.soon(self._stage.come_back, self._halted)

    async def _follow(self, done: Rewired) -> None:
        """The store has it: what runs here goes on by it."""
        stage, orders = self._stage, self._orders
        for cut, position in zip(self._cuts, done.cuts, strict=True):
            for node in self._nodes(cut.node):
                for segment in [each for each in node.segments() if each.name == cut.port]:
                    node.port_of(cut.port).cut(cut.port, position)
                    stage.released(cut.node, cut.port, segment.stream)
        for number, segment in self._ended:
            segment.until, segment.is_cut = done.cuts[number], True
            stage.released(self._cuts[number].node, segment.name, segment.stream)
        for port, names in self._forgotten:
            port.forget(names)
        stage.forget(self._struck)
        for join, position in zip(self._joins, done.joins, strict=True):
            stage.joined(join, position)
            for node in self._nodes(join.node):
                if node not in self._halted:
                    node.port_of(join.port).append(join.port, join.stream, position)
        for node in self._halted:
            stage.leave(node)
        for name in orders.added:
            for node in self._nodes(name):  # it was dropped, and comes back
                stage.leave(node)
        for work in (*orders.replaced.values(), *orders.added.values()):
            await stage.enter(work)
        for name in orders.dropped:
            for node in self._nodes(name):
                if not node.work.inputs:
                    node.close()
        opened = {stream for work in orders.added.values() for stream in work.outputs}
        for node in stage.nodes:
            for port in node.ports.values():
                port.ended = port.ended and port.stream not in opened
        for node in stage.nodes:
            node.nudge()


def _check_goes_on(node: Node) -> None:
    if node.status in {"done", "failed"}:
        raise RunError(f"{node.name!r} has ended: it cannot be changed any more")
