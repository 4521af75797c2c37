"""What holds nodes: pauses and steps, rates, breakpoints."""

from __future__ import annotations

from time import monotonic

import anyio

from ..streams.records import RunRecord
from ..streams.store import Session
from .breakpoints import Stop, put_on
from .node import Node

_HURRY_SECONDS = 0.2


class Gates:
    """The part of an engine that nodes ask before they go on."""

    nodes: list[Node]
    session: Session

    def __init__(self) -> None:
        self.record: RunRecord | None = None
        self._gate = anyio.Event()
        self._stirred = anyio.Event()
        self._next_attempt: dict[str, float] = {}
        self._steps: dict[str, int] = {}
        self._stops: dict[tuple[str, str], Stop] = {}
        self._hurried = 0.0

    def is_paused(self, node: str) -> bool:
        return self.is_held(node) and not self._steps.get(node)

    def is_held(self, node: str) -> bool:
        record = self.record
        return record is not None and (record.paused or node in record.paused_nodes)

    def stop_at(self, node: str, port: str) -> Stop | None:
        return self._stops.get((node, port))

    @property
    def stops(self) -> dict[tuple[str, str], Stop]:
        """The breakpoints, by node and port; a node that begins again finds its own here."""
        return self._stops

    def set_stop(self, node: str, port: str, stop: Stop | None) -> None:
        """Hold what a breakpoint chooses of the values that the node has not taken from a port; None: not any more."""
        before = self._stops.pop((node, port), None)
        if stop is not None:
            self._stops[node, port] = stop
            stop.on_hold = self._hurry
        for each in self.nodes:
            if each.name == node and port in each.ports:
                put_on(each.ports[port], stop)
                each.press()
        if before is not None:
            before.leave()

    def keep_stops(self, before: Gates | None) -> None:
        """Have the breakpoints that there were in this process before, when the run is opened again."""
        for (node, port), stop in () if before is None else before.stops.items():
            self.set_stop(node, port, stop)

    def _hurry(self) -> None:
        """Tell others soon, not only with the next beat: somebody waits for it."""
        now = monotonic()
        if now - self._hurried > _HURRY_SECONDS:
            self._hurried = now
            self.session.signals.set("run")

    def step(self, node: str, count: int) -> None:
        """Let a paused node do so many values more."""
        self._steps[node] = self._steps.get(node, 0) + count
        self.stir()

    def steps(self, node: str) -> int | None:
        return self._steps.get(node, 0) if self.is_held(node) else None

    def stepped(self, node: str, count: int) -> None:
        left = self._steps.pop(node, 0) - count
        if left > 0:
            self._steps[node] = left

    def stir(self) -> None:
        for event in (self._gate, self._stirred):
            event.set()
        self._gate, self._stirred = anyio.Event(), anyio.Event()

    async def gate(self, node: Node) -> None:
        while self.is_paused(node.name) and not node.halting:
            with node.clock.paused():
                await self._gate.wait()

    async def paced(self, node: Node) -> None:
        rate = node.work.rate
        if rate is None:
            return
        now = monotonic()
        step = 1.0 / rate
        at = max(self._next_attempt.get(node.name, now), now - step)
        self._next_attempt[node.name] = at + step
        if at > now:
            await anyio.sleep(at - now)
