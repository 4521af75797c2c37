"""The store in memory: tests, in-process pipelines, flows without a server. It is gone with its process."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

from anyio.lowlevel import checkpoint

from ..exceptions import FencedError, LeaseHeldError, RunExistsError, RunNotFoundError, StoreLostError
from .codec import Codec
from .memory_rewire import rewire_run
from .memory_rules import apply_commit, reopen_node, take_range
from .memory_state import KEPT, Run
from .records import (
    ChangeRecord,
    Commit,
    Committed,
    Hold,
    NodeRecord,
    Probe,
    Reading,
    Rewire,
    Rewired,
    RunRecord,
    RunSpec,
    Taken,
)
from .refusals import unasked
from .signals import Signals


class PassCodec:
    """Hands lists over as they are: what a reader gets is the very object that the writer gave, not a copy."""

    name = "pass"

    def encode(self, values: list[Any]) -> Any:
        """The list itself."""
        return values

    def decode(self, payload: Any) -> list[Any]:
        """A new list of the same objects."""
        return list(payload)

    def size(self, payload: Any) -> int:
        """Nothing is counted in bytes here."""
        return 0

    def checksum(self, payload: Any, previous: int = 0) -> int:
        """Objects have no checksum: a replayed node is not compared."""
        return 0

    def encode_value(self, value: Any) -> Any:
        """A copy, because a state goes on changing; the object itself where it cannot be copied."""
        try:
            return copy.deepcopy(value)
        except Exception:
            return value

    def decode_value(self, data: Any) -> Any:
        """A copy again, so that what is kept stays as it was."""
        return self.encode_value(data)

    def bind(self, context: bytes) -> Self:
        """Itself: nothing is written that could be read in the wrong place."""
        return self


class MemoryStore:
    """Keeps runs in this process, for the sessions of one event loop. It copies no payload and survives no crash."""

    def __init__(self, url: str = "memory://", codec: Codec | None = None) -> None:
        self.url = url
        self.codec: Codec = codec if codec is not None else PassCodec()
        self._runs: dict[str, Run] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing to let go of."""

    async def create(self, spec: RunSpec) -> None:
        """See `Store.create`."""
        if spec.id in self._runs:
            raise RunExistsError(f"run {spec.id!r} is in the store already; attach to it or take another id")
        self._runs[spec.id] = Run(spec)

    async def runs(self) -> list[RunRecord]:
        """See `Store.runs`."""
        return [run.record() for run in reversed(self._runs.values())]

    async def find(self, name: str) -> RunRecord:
        """See `Store.find`."""
        if name in self._runs:
            return self._runs[name].record()
        for run in reversed(self._runs.values()):
            if run.spec.name == name:
                return run.record()
        raise RunNotFoundError(f"no run has the id or name {name!r}; the store has {', '.join(self._runs) or 'none'}")

    async def forget(self, run: str) -> int:
        """See `Store.forget`."""
        gone = self._runs.pop(run, None)
        if gone is None:
            return 0
        gone.forgotten = True
        for signals in gone.sessions:
            signals.set_all()
        return 1 + len(gone.nodes) + len(gone.streams)

    def session(self, run: str, worker: str, *, lease: float = 10.0) -> MemorySession:
        """See `Store.session`."""
        return MemorySession(self._runs, run, worker, lease, self.codec)


class MemorySession:
    """One worker's access to one run of a `MemoryStore`.

    Every call lets other tasks run first and then does its work in one step, so nothing is ever half done.
    """

    def __init__(self, runs: Mapping[str, Run], run: str, worker: str, lease: float, codec: Codec) -> None:
        self.run = run
        self.worker = worker
        self.codec = codec
        self.signals = Signals()
        self._runs = runs
        self._lease = lease
        self._entered: Run | None = None
        self._found: Run | None = None  # after it was left, too: what is stored can still be read

    async def __aenter__(self) -> Self:
        if self.run not in self._runs:
            raise RunNotFoundError(f"no run has the id {self.run!r}; the store has {', '.join(self._runs) or 'none'}")
        self._entered = self._found = self._runs[self.run]
        self._found.sessions[self.signals] = self.worker
        self._renew(self._found)
        return self

    async def __aexit__(self, *exc: object) -> None:
        run, self._entered = self._entered, None
        if run is None:
            return
        del run.sessions[self.signals]
        if self._lease:
            run.leases.pop(self.worker, None)
        for stream in run.streams.values():
            stream.follow(self.worker, None)
            stream.watchers.discard(self.signals)
            stream.blocked.pop(self.signals, None)
        for name, node in run.nodes.items():
            if any(claimed.worker == self.worker for claimed in node.ranges):
                run.tell(f"turn:{name}")

    def _renew(self, run: Run) -> None:
        if self._lease and self.worker not in run.dismissed:
            run.leases[self.worker] = time.monotonic() + self._lease

    async def _reach(self) -> Run:
        await checkpoint()
        if self._found is None and self.run not in self._runs:
            raise StoreLostError(f"run {self.run!r} is not in the store any more: it was forgotten")
        if self._found is None:
            raise RuntimeError(f"the session of run {self.run!r} is not open; enter it with `async with` first")
        if self._found.forgotten:
            raise StoreLostError(f"run {self.run!r} is not in the store any more: it was forgotten")
        return self._found

    async def claim(self, node: str, *, force: bool = False) -> NodeRecord:
        """See `Session.claim`."""
        run = await self._reach()
        found = run.node(node)
        before = found.owner
        if found.spec.shared:
            if self.worker in run.dismissed:
                raise FencedError(f"worker {self.worker!r} was dismissed from run {self.run!r}; it must stop")
            # Who claims anew has nothing in hand: what was left from before is free for everybody.
            for claimed in found.ranges:
                if claimed.worker == self.worker:
                    claimed.worker = ""
                    run.tell(f"turn:{node}")
        else:
            if found.owner != self.worker and run.alive(found.owner) and not force:
                raise LeaseHeldError(
                    f"node {node!r} of run {self.run!r} belongs to worker {found.owner!r}, which is alive; stop it, "
                    f"wait until its lease has lapsed, or claim with force=True"
                )
            found.epoch += 1
            found.owner = self.worker
            found.last.clear()
        if found.status == "waiting" or (found.status == "running" and before not in (self.worker, found.owner)):
            # The same worker takes its node again after an error: that is no news.
            found.status = "running"
            run.say("NodeStarted", node=node, worker=self.worker, epoch=found.epoch)
        return run.node_record(node, self.worker)

    async def commit(self, commit: Commit) -> Committed:
        """See `Session.commit`."""
        return apply_commit(await self._reach(), self.worker, self.signals, commit)

    async def read(self, stream: str, cursor: int, limit: int) -> Reading:
        """See `Session.read`."""
        return (await self._reach()).stream(stream).read(cursor, limit)

    async def tail(self, stream: str, count: int) -> Reading:
        """See `Session.tail`."""
        return (await self._reach()).stream(stream).tail(count)

    async def rooms(self, node: str, streams: Sequence[str], *, wait: bool = False) -> Committed:
        """See `Session.rooms`."""
        run = await self._reach()
        for name in streams:
            if wait and not run.stream(name).has_room():
                run.stream(name).blocked[self.signals] = self.worker
        return Committed(True, {name: run.stream(name).room() for name in streams}, True, run.status)

    async def take(self, node: str, limit: int) -> Taken:
        """See `Session.take`."""
        return take_range(await self._reach(), self.worker, node, limit)

    async def hold(self, node: str, port: str, hold: Hold, *, capacity: int | None = None) -> None:
        """See `Session.hold`."""
        stream, reader = (await self._reach()).input(node, port)
        reader.hold = reader.usual = hold
        reader.bound()
        if capacity is not None:
            reader.capacity = capacity
        stream.settle()

    async def watch(self, stream: str) -> None:
        """See `Session.watch`."""
        (await self._reach()).stream(stream).watchers.add(self.signals)

    async def follow(self, stream: str, cursor: int | None) -> None:
        """See `Session.follow`."""
        run = await self._reach()
        if not self._lease:
            raise ValueError(f"this session of run {self.run!r} only looks (lease=0), so it can hold nothing back")
        run.stream(stream).follow(self.worker, cursor)

    async def grow(self, node: str, port: str, old: int, new: int) -> bool:
        """See `Session.grow`."""
        stream, reader = (await self._reach()).input(node, port)
        if reader.capacity != old:
            return False
        reader.capacity, reader.capacity_bytes = new, reader.capacity_bytes * new // old
        stream.settle()
        return True

    async def beat(self, report: Mapping[str, Mapping[str, Any]]) -> RunRecord:
        """See `Session.beat`."""
        run = await self._reach()
        self._renew(run)
        for node in run.nodes.values():
            node.reports.pop(self.worker, None)
        for name, facts in report.items():
            run.node(name).reports[self.worker] = dict(facts)
        return run.record()

    async def control(self, action: str, node: str = "") -> RunRecord:
        """See `Session.control`."""
        run = await self._reach()
        if action in ("pause", "resume"):
            run.pause(action == "pause", node)
        elif action == "stop":
            run.stopping = True
        elif action == "cancel":
            if run.status == "running":
                for each in run.nodes.values():
                    each.epoch += 1
            run.close("cancelled")
        else:
            raise ValueError(f'the actions are "pause", "resume", "stop" and "cancel"; got {action!r}')
        run.tell("run")
        return run.record()

    async def rewind(self) -> RunRecord:
        """See `Session.rewind`."""
        run = await self._reach()
        run.rewind()
        return run.record()

    async def dismiss(self, workers: Sequence[str]) -> None:
        """See `Session.dismiss`."""
        run = await self._reach()
        for worker in workers:
            run.leases.pop(worker, None)
            run.dismissed.add(worker)
        for name in run.nodes:
            run.tell(f"turn:{name}")

    async def fail(self, error: bytes) -> RunRecord:
        """See `Session.fail`."""
        run = await self._reach()
        run.close("failed", error)
        return run.record()

    async def reopen(self, node: str, ids: Sequence[str] | None = None) -> int:
        """See `Session.reopen`."""
        return reopen_node(await self._reach(), node, ids, self.codec.size)

    async def rewire(self, change: Rewire) -> Rewired:
        """See `Session.rewire`."""
        return rewire_run(await self._reach(), change)

    async def changes(self, limit: int = 1000) -> list[ChangeRecord]:
        """See `Session.changes`."""
        return list((await self._reach()).changes)[-limit:]

    async def ask(self, data: bytes) -> str:
        """See `Session.ask`."""
        run = await self._reach()
        run.asked += 1
        ident = f"{run.asked}-0"
        run.asks[ident] = data
        if len(run.asks) > KEPT:
            oldest = next(iter(run.asks))
            del run.asks[oldest]
            run.answers.pop(oldest, None)
        run.tell("run")
        return ident

    async def asks(self, after: str = "") -> list[tuple[str, bytes]]:
        """See `Session.asks`."""
        start = int(after.partition("-")[0] or 0)
        return [(each, data) for each, data in (await self._reach()).asks.items() if int(each[:-2]) > start]

    async def answer(self, ask: str, data: bytes) -> None:
        """See `Session.answer`."""
        run = await self._reach()
        if ask not in run.asks:
            raise unasked(self.run, ask)
        run.answers.setdefault(ask, data)
        run.tell("run")

    async def answered(self, ask: str) -> bytes | None:
        """See `Session.answered`."""
        return (await self._reach()).answers.get(ask)

    async def letters(self, node: str, *, limit: int = 1000) -> list[tuple[str, bytes]]:
        """See `Session.letters`."""
        return list((await self._reach()).node(node).letters.items())[:limit]

    async def log(self, node: str, lines: Sequence[str]) -> None:
        """See `Session.log`."""
        now = time.time()
        (await self._reach()).node(node).log.extend((now, line) for line in lines)

    async def logs(self, node: str, *, limit: int = 1000) -> list[tuple[float, str]]:
        """See `Session.logs`."""
        return list((await self._reach()).node(node).log)[-limit:]

    async def tell(self, events: Sequence[bytes]) -> None:
        """See `Session.tell`."""
        (await self._reach()).note(events)

    async def events(self, after: str = "", *, limit: int = 1000) -> list[tuple[str, bytes]]:
        """See `Session.events`."""
        start = int(after.partition("-")[0] or 0)
        return (await self._reach()).events[start : start + limit]

    async def probe(self) -> Probe:
        """See `Session.probe`."""
        return (await self._reach()).probe(self.worker)
