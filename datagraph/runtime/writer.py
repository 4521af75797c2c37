"""What a node puts out, on its way to the store: natural batching, room, safe points and replay.

One commit is under way at a time. While it is, outputs gather; when it returns, what has gathered is the next commit.
So a lone value leaves at once and a flood leaves in large frames, with no timer. A commit that carries a `Mark` moves
the node's readers and its resume point; one without (nothing was finished since, or there is no room for all of it)
moves only the count of what was written since the resume point and its checksum, so that a replay knows what to drop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

import anyio
from anyio.lowlevel import checkpoint

from ..exceptions import NonDeterministicError
from ..streams.records import Commit, Committed, Frame, NodeRecord, Write
from ..streams.store import Session
from .clock import Clock
from .io import wait_any
from .lifecycle import dead_lettered
from .outlet import FRAME_BYTES, GATHER, Mark, Outlet, Sheaf, added, merge
from .sides import Delivery, Source
from .trail import Trail

_HURRY = 0.0005
_LOOK_FOR_DEADLOCK = 0.25


class Writer:
    """Commits what one node puts out. `run` is its task; the node's driver calls the rest."""

    def __init__(
        self,
        session: Session,
        record: NodeRecord,
        outlets: Sequence[Outlet],
        *,
        delivery: Delivery,
        clock: Clock,
        resumes: bool,
        has_inputs: bool,
        shared: bool = False,
    ) -> None:
        self.session = session
        self.node = record.name
        self.epoch, self.seq = record.epoch, record.seq
        self.outlets = list(outlets)
        self.idle = True
        self.waiting_for_room = self.finished = False
        self.looked: dict[str, bytes] = {}
        self.counters: dict[str, int] = {}
        self.source: Source
        self._delivery = delivery
        self._clock = clock
        self._resumes, self._has_inputs, self._shared = resumes, has_inputs, shared
        self._trail = Trail(record.cursors, self.outlets, has_inputs=has_inputs)
        self.is_parting = False  # a part of what comes before the next safe point may be stored, or not
        self.driven_at = 0.0
        self._mark: Mark | None = None
        self._upto: tuple[int | None, int] = (None, 0)
        self._wake, self._drained, self._empty = anyio.Event(), anyio.Event(), anyio.Event()
        self.finishing, self._closes = False, True
        self._final: Callable[[int], Mark | None] | None = None
        self._known = self._was_refused = False

    # -- called by the driver -------------------------------------------------------------------------------------

    async def pressed(self, outlet: Outlet) -> None:
        """The driver found the outlet's buffer at its limit: have it sent, and wait where there is too much.

        The writer's task runs as soon as the driver waits for anything, so a fast driver need not stop here: its limit
        grows until about a millisecond passes between two calls. A slow one is also asked for a safe point.
        """
        now = monotonic()
        slow = now - self.driven_at > _HURRY
        self.driven_at = now
        outlet.step = max(1, outlet.step // 4) if slow else min(GATHER, 2 * outlet.step)
        gathered = len(outlet.buffer)
        if self.idle:
            self.wake()
            if slow:
                self.source.recall()
        if gathered < outlet.full and not (slow and not self._has_inputs) and not self.waiting_for_room:
            outlet.limit = min(outlet.full, gathered + outlet.step)
            return
        await checkpoint()
        while len(outlet.buffer) >= outlet.full or (self.waiting_for_room and outlet.buffer):
            drained = self._drained
            await drained.wait()
        self.driven_at = monotonic()
        gathered = len(outlet.buffer)
        # An idle writer is told of the very next value: the driver may wait after that, and then nobody wakes it.
        outlet.limit = 0 if self.idle else max(gathered + 1, min(outlet.full, gathered + outlet.step))

    async def breathe(self) -> None:
        """Between two chunks: let the writer work, and wait while it has no room."""
        if self.idle:
            self.wake()
        await checkpoint()
        while self.waiting_for_room and any(outlet.buffer for outlet in self.outlets):
            await self._drained.wait()

    def wake(self) -> None:
        """There may be something to commit."""
        self.idle = False
        self._wake.set()

    async def flush(self) -> None:
        """Return when everything that is here now is stored."""
        empty = self._empty
        self.wake()
        await empty.wait()

    async def finish(self, final: Callable[[int], Mark | None], *, close: bool = True) -> None:
        """Write what is left and, to `close`, end the streams and the node. `final` gives the last safe point."""
        self.finishing = True
        self._closes = close
        self._final = final
        self.wake()
        while not self.finished:
            await self._drained.wait()

    # -- the task -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Commit until the node is closed."""
        while not self.finished:
            if not await self._flush():
                if self._wake.is_set():
                    self._wake = anyio.Event()
                    continue
                self.idle = True
                for outlet in self.outlets:
                    outlet.limit = 0
                if self.dirty() and not self._is_whole():  # put there by a thread that saw the limit before
                    continue
                await self._wake.wait()
                self._wake = anyio.Event()
            self.idle = False

    def dirty(self) -> bool:
        """Whether something has gathered."""
        return any(outlet.buffer for outlet in self.outlets) or bool(self.looked)

    def pending(self) -> bool:
        """Whether anything, outputs or a safe point, is not stored yet."""
        return self.dirty() or self._mark is not None

    def _pop_drained(self) -> None:
        drained, self._drained = self._drained, anyio.Event()
        drained.set()

    def _is_whole(self) -> bool:
        return self._shared or (self.source.arbitrary and self._resumes)

    async def _flush(self) -> bool:
        """One commit; False where there was nothing to commit."""
        if self.outlets and (self.dirty() or not self._known):
            await self._learn(self.outlets)
        limit = self._limit()
        # What could not be repeated is stored safe point by safe point, whole; so is what needs a turn among workers.
        whole = self._is_whole()
        if whole and not self._shared:
            for outlet in self.outlets:
                outlet.keep_whole()
        held = whole and self._mark is not None
        # Asked once: what a function puts out while this waits for room is not in `mark`.
        finishing = self.finishing and not held
        newest = None if held else self._final(limit) if finishing and self._final else self.source.mark(limit)
        if newest is not None:
            self._mark = newest if self._mark is None else merge(self._mark, newest)
        suppressed = self._suppress()
        mark = self._mark
        replaying = any(outlet.skip for outlet in self.outlets)
        # A safe point that what was stored before a crash goes beyond comes too early.
        early = mark is not None and any(t < o.gone for t, o in zip(mark.totals, self.outlets, strict=True))
        if mark is None or (self._resumes and (replaying or early)):
            if not self.dirty():
                if replaying and self.finishing:
                    raise NonDeterministicError(f"{self.node!r} was replayed and wrote fewer values than before")
                self._pop_drained()
                if suppressed:  # there may be more than `limit` let through, and nobody else would ask for it
                    return True
                empty, self._empty = self._empty, anyio.Event()
                empty.set()
                return False
            if mark is None:
                self.source.recall()
                if whole and all(len(o.buffer) < o.full for o in self.outlets):
                    return False
            cut = [len(outlet.buffer) for outlet in self.outlets]
            mark = None
        else:
            cut = [max(0, total - outlet.gone) for total, outlet in zip(mark.totals, self.outlets, strict=True)]
        sizes = await self._find_room(cut, whole=whole and mark is not None)
        last = (
            finishing
            and mark is not None
            and not mark.more
            and sizes == [len(outlet.buffer) for outlet in self.outlets]
        )
        writes, frames = self._encode(sizes, mark, last=last and self._closes, whole=whole and mark is not None)
        complete = mark is not None and [w[0] for w in frames] == cut
        last = last and complete
        if not last:
            writes = [write._replace(end=False) for write in writes]
        await self._commit(mark if complete else None, writes, frames, last, whole=whole)
        return True

    def _limit(self) -> int:
        """How many values may go out in one commit now; at least one, which then waits for its room."""
        most = GATHER
        for outlet in self.outlets:
            most = min(most, outlet.room, int(FRAME_BYTES / outlet.average) if outlet.average else most)
        return max(1, most)

    def _suppress(self) -> int:
        """Drop what a replaying node wrote before, and compare it; how many values."""
        before = sum(outlet.gone for outlet in self.outlets)
        for outlet in self.outlets:
            count = min(outlet.skip, len(outlet.buffer))
            if not count:
                continue
            payload = outlet.encode(count, self.node)
            outlet.checksum = outlet.codec.checksum(payload, outlet.checksum)
            outlet.skip -= count
            outlet.drop(count)
            if not outlet.skip and outlet.checksum != outlet.expected:
                raise NonDeterministicError(
                    f"{self.node!r} was replayed and wrote other values to {outlet.stream!r} than before: "
                    f"its first {outlet.count} values differ. Use state='context' or 'none', or make it deterministic"
                )
        return sum(outlet.gone for outlet in self.outlets) - before

    async def _find_room(self, cut: Sequence[int], *, whole: bool = False) -> list[int]:
        """How many values of each buffer may be written now; at least one of something, unless nothing is to be."""
        wait, began = _LOOK_FOR_DEADLOCK, 0.0
        while True:
            wanting = [(i, outlet) for i, outlet in enumerate(self.outlets) if cut[i]]
            if not wanting:
                return [0] * len(self.outlets)
            events = [self.session.signals.event(f"room:{outlet.stream}") for _, outlet in wanting]
            await self._learn([outlet for _, outlet in wanting])
            patient = whole or wait == _LOOK_FOR_DEADLOCK
            enough = [(cut[i] if whole else min(cut[i], o.enough)) if patient else 1 for i, o in wanting]
            elsewhere = self._shared or any(not outlet.local for _, outlet in wanting)
            if whole and elsewhere and any(outlet.room > 0 for _, outlet in wanting):
                return list(cut)  # the store knows better what there is, and wakes whom it refuses
            found = [outlet.room >= least for least, (_, outlet) in zip(enough, wanting, strict=True)]
            if began and (all(found) or (any(found) and not whole)):
                for _, outlet in wanting:
                    outlet.learn_patience(monotonic() - began)
            if all(found):
                return list(cut) if whole else self._part(cut)
            if any(found) and not whole:
                return self._part(cut)
            short = found.index(False)
            stream = wanting[short][1].stream
            self._clock.needs = (enough[short], int(enough[short] * wanting[short][1].average))
            self.waiting_for_room = True
            self.source.recall()
            for outlet in self.outlets:
                outlet.limit = 0
            began = began or monotonic()
            try:
                with self._clock.blocked(stream):
                    with anyio.move_on_after(wait):
                        await (events[0].wait() if len(events) == 1 else wait_any(events))
                        continue
                    await self._delivery.relieve(self.node, stream)
            finally:
                self.waiting_for_room = False
                self._pop_drained()
            wait = min(5.0, 2 * wait)

    def _part(self, cut: Sequence[int]) -> list[int]:
        return [min(want, max(0, o.room), GATHER) for want, o in zip(cut, self.outlets, strict=True)]

    async def _learn(self, outlets: Sequence[Outlet]) -> None:
        """Bring what is known of the room up to date; ask the store only where it could matter."""
        ask = []
        for outlet in outlets:
            trusted = self._known and not self._was_refused
            local = self._delivery.local_room(outlet.stream, outlet.base) if trusted else None
            outlet.enough = 1
            outlet.local = local is not None
            if local is not None:
                outlet.room, capacity = local
                outlet.enough = outlet.least(capacity)
                outlet.bound(capacity)
            elif outlet.room <= 0 or not self._known:
                ask.append(outlet)
        if not ask:
            return
        answer = await self.session.rooms(self.node, [outlet.stream for outlet in ask], wait=True)
        self._known = True
        for outlet in ask:
            room_now = answer.rooms[outlet.stream]
            outlet.see(room_now)
            outlet.bound(room_now.values)
            outlet.base = max(outlet.base, room_now.length)

    def _encode(
        self, sizes: Sequence[int], mark: Mark | None, *, last: bool, whole: bool
    ) -> tuple[list[Write], list[Sheaf]]:
        """The writes of one commit, which is or is a part of what `mark` finished, and what each is made of."""
        wanted = zip(self.outlets, sizes, strict=True)
        frames = [o.sheaf(want, whole=whole, shared=self._shared, node=self.node) for o, want in wanted]
        origins = self._trail.origins(mark, self.source, [frame[0] for frame in frames])
        parts = zip(self.outlets, frames, origins, strict=True)
        writes = [outlet.write(frame, origin, end=last) for outlet, frame, origin in parts if frame[0] or last]
        return writes, frames

    async def _commit(
        self, mark: Mark | None, writes: Sequence[Write], frames: Sequence[Sheaf], last: bool, *, whole: bool
    ) -> None:
        commit = Commit(self.node, self.epoch, self.seq + 1, writes)
        if mark is not None:
            commit.reads, commit.state, commit.letters = mark.reads, mark.state, mark.letters
            commit.safe = self._resumes or (last and not self._closes)  # who follows begins here
            commit.claim, commit.upto = mark.claim, mark.upto
            commit.counters = mark.counters
            if mark.letters:
                commit.events = dead_lettered(self.session.run, self.node, mark.letters)
        elif self._mark is not None and self._mark.claim is not None:  # a part, which has to keep the order as well
            commit.claim = self._mark.claim
            commit.upto = self._upto[1] if self._upto[0] == commit.claim else self._mark.since
        counters, self.counters = self.counters, {}
        if counters:
            commit.counters = added(commit.counters, counters)
        commit.looked, self.looked = self.looked, {}
        commit.status = "done" if last and self._closes else None
        turn = self.session.signals.event(f"turn:{self.node}")
        rooms = [self.session.signals.event(f"room:{write.stream}") for write in writes]
        self.is_parting = bool(writes) and not commit.safe
        answer = await self.session.commit(commit)
        self.is_parting = False
        for outlet in self.outlets:
            if outlet.stream in answer.rooms:
                outlet.see(answer.rooms[outlet.stream])
        if not answer.ok:
            self.looked = {**commit.looked, **self.looked}
            self.counters = added(self.counters, counters)
            if not answer.turn:
                with self._clock.behind():
                    await turn.wait()
            else:
                await self._refused(rooms, writes, answer, whole=whole)
            return
        self.seq += 1
        self._was_refused = False
        self._settle(mark, writes, frames, commit, answer)
        self.finished = last
        self._pop_drained()

    async def _refused(
        self, rooms: list[anyio.Event], writes: Sequence[Write], answer: Committed, *, whole: bool
    ) -> None:
        """There was no room after all (bytes, other workers, a follower from outside): we are registered, so wait,
        unless there is room for some of the values.
        """
        self._known, self._was_refused = False, True
        part = any(0 < answer.rooms[write.stream].values < sum(f[0] for f in write.frames) for write in writes)
        if part and not whole:
            return
        self.waiting_for_room = True
        try:
            written = next((w for w in writes if not answer.rooms[w.stream].takes(*w.needs)), writes[0])
            self._clock.needs = written.needs
            with self._clock.blocked(written.stream):
                with anyio.move_on_after(1.0) as scope:
                    await wait_any(rooms)
                if scope.cancelled_caught:
                    await self._delivery.relieve(self.node, written.stream)
        finally:
            self.waiting_for_room = False
            self._pop_drained()

    def _settle(
        self, mark: Mark | None, writes: Sequence[Write], frames: Sequence[Sheaf], commit: Commit, answer: Committed
    ) -> None:
        delivered: list[tuple[str, Frame]] = []
        for outlet, (count, payload, size, checksum) in zip(self.outlets, frames, strict=True):
            if count:
                outlet.drop(count)
                # Other workers write to the same stream: only the store knows where this frame ends.
                outlet.base = answer.rooms[outlet.stream].length if self._shared else outlet.base + count
                delivered.append((outlet.stream, Frame(outlet.base, count, payload, size)))
            outlet.checksum = checksum
            if mark is not None and commit.safe:
                outlet.count = outlet.checksum = 0
        if mark is not None:
            self._mark, self._upto = None, (mark.claim, mark.upto)
            self._trail.settled(mark)
        self._delivery.delivered(delivered, [write.stream for write in writes if write.end])
        if commit.reads:
            self.source.settled(commit.reads)
            self._delivery.advanced(self.node, commit.reads)
