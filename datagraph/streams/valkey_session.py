"""One process's access to one run in Valkey.

Why a repeat after a lost answer is harmless: commits are numbered; a claim, a return of dead letters, a growth, a
batch of log lines, a change of the wiring and an ask carry a nonce that the script stores; a request for a range
carries a number that goes up only when an answer has come; everything else says what shall be, not what shall change.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Final, Self

import anyio
import msgspec
from anyio.abc import TaskGroup
from redis.exceptions import ResponseError

from ..exceptions import RunNotFoundError, StoreError, UnknownIOError
from .codec import Codec
from .keys import Keys
from .origins import origin_of_letter
from .records import (
    ChangeRecord,
    Commit,
    Committed,
    Hold,
    NodeRecord,
    Probe,
    Range,
    Reading,
    Rewire,
    Rewired,
    RunRecord,
    Taken,
)
from .resp import Client
from .scripts import script
from .signals import Signals
from .valkey_inbox import Inbox
from .valkey_reads import Reads
from .valkey_rewire import REFUSALS, pack_rewire, rewire_refusal, rewired
from .valkey_wire import HOLDS, node_record, pack_commit, pairs, raise_meaning, refusal, rooms_of, stop_of

_GOODBYE: Final = 1.0  # seconds to tell the server that a session ends; its lease lapses anyway
_AS_IT_WAS: Final = -1
_LETTERS: Final = 1000  # sent again at once


class ValkeySession:
    """One worker's access to one run of a `ValkeyStore`, whose open `sessions` are told of a reconnect."""

    def __init__(
        self, client: Client, sessions: set[ValkeySession], run: str, worker: str, lease: float, codec: Codec
    ) -> None:
        self.run = run
        self.worker = worker
        self.codec = codec
        self.signals = Signals()
        self._client = client
        self._sessions = sessions
        self._keys = Keys(run)
        self._lease = int(lease * 1000)
        self._nonce = uuid.uuid4().hex
        self._nonces = count(1)
        self._requests: dict[str, int] = {}
        self._taking: dict[str, anyio.Lock] = {}
        self._asking = anyio.Lock()
        self._watched: set[str] = set()
        self._inbox = Inbox(self._keys.inbox(worker), self.signals, self._renew)
        self._reads = Reads(client, self._keys, codec, worker)
        self._tasks: TaskGroup

    async def __aenter__(self) -> Self:
        if not await self._reads.find():
            raise RunNotFoundError(f"no run has the id {self.run!r} in the store; `runs()` lists those it has")
        await self._call("beat", self.worker, self._lease, "", 1)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._inbox.listen, self._client)
        self._sessions.add(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._sessions.discard(self)
        self._tasks.cancel_scope.cancel()
        try:
            # The listener ends for no error, so there is nothing to gather, and the body's error goes on by itself.
            await self._tasks.__aexit__(None, None, None)
        finally:
            with anyio.move_on_after(_GOODBYE, shield=True):
                try:
                    await self._call("close", self.worker)
                except StoreError:
                    pass  # a run that is gone, or a store: there is nothing to take leave of

    async def _call(self, name: str, *args: Any, node: str = "") -> list[Any]:
        """A script's answer, if it is OK; its refusal as an error."""
        try:
            reply: list[Any] = await self._client.script(script(name), [self._keys.run], args)
        except ResponseError as error:
            raise_meaning(error, self.run)
        if reply[0] != b"OK" and reply[0] not in REFUSALS:
            raise refusal(self.run, node, self.worker, reply)
        return reply

    def _new_nonce(self) -> str:
        return f"{self._nonce}:{next(self._nonces)}"

    async def claim(self, node: str, *, force: bool = False) -> NodeRecord:
        """See `Session.claim`."""
        reply = await self._call("claim", self.worker, node, self._new_nonce(), int(force), node=node)
        _, fields, memory, flat, lengths = reply
        reads = {port.decode(): flat[4 * i + 1 : 4 * i + 4] for i, port in enumerate(flat[::4])}
        return node_record(
            node,
            pairs(fields),
            pairs(memory),
            {port: (cursor, size) for port, (cursor, size, _) in reads.items()},
            {name.decode(): length for name, length in pairs(lengths).items()},
            {port: stop_of(read[2:]) for port, read in reads.items()},
            worker=self.worker,
        )

    async def commit(self, commit: Commit) -> Committed:
        """See `Session.commit`."""
        try:
            reply = await self._client.script(script("commit"), [self._keys.run], pack_commit(commit, self.worker))
        except ResponseError as error:
            raise_meaning(error, self.run)
        code = reply[0]
        if code not in (b"OK", b"FULL", b"TURN"):
            raise refusal(self.run, commit.node, self.worker, reply)
        ok = code == b"OK"
        if ok:
            # Those who wait in this process need no notice: the script left them out.
            wake = self.signals.set
            for write in commit.writes:
                wake(f"values:{write.stream}")
            for advance in commit.reads:
                wake(f"room:{advance.stream}")
        rooms = rooms_of(reply, [write.stream for write in commit.writes])
        return Committed(ok, rooms, code != b"TURN", reply[1].decode())

    async def read(self, stream: str, cursor: int, limit: int) -> Reading:
        """See `Session.read`."""
        return await self._reads.read(stream, cursor, limit)

    async def tail(self, stream: str, count: int) -> Reading:
        """See `Session.tail`."""
        return await self._reads.tail(stream, count)

    async def rooms(self, node: str, streams: Sequence[str], *, wait: bool = False) -> Committed:
        """See `Session.rooms`."""
        reply = await self._call("rooms", self.worker, int(wait), *streams, node=node)
        return Committed(True, rooms_of(reply, streams), True, reply[1].decode())

    async def take(self, node: str, limit: int) -> Taken:
        """See `Session.take`."""
        async with self._taking.setdefault(node, anyio.Lock()):
            request = self._requests.get(node, 1)
            reply = await self._call("take", self.worker, node, limit, request, node=node)
            self._requests[node] = request + 1
        if len(reply) == 2:
            return Taken(None, reply[1] == 1)
        _, _, ident, port, stream, start, stop = reply
        return Taken(Range(ident, port.decode(), stream.decode(), start, stop), False)

    async def hold(self, node: str, port: str, hold: Hold, *, capacity: int | None = None) -> None:
        """See `Session.hold`."""
        values = "" if capacity is None else capacity
        await self._call("reader", node, port, HOLDS.index(hold), values, "", self._new_nonce(), node=node)

    async def watch(self, stream: str) -> None:
        """See `Session.watch`."""
        await self._call("watch", self.worker, stream)
        self._watched.add(stream)

    async def follow(self, stream: str, cursor: int | None) -> None:
        """See `Session.follow`."""
        if not self._lease:
            raise ValueError(f"this session of run {self.run!r} only looks (lease=0), so it can hold nothing back")
        await self._call("follow", self.worker, stream, "" if cursor is None else cursor)

    async def grow(self, node: str, port: str, old: int, new: int) -> bool:
        """See `Session.grow`."""
        reply = await self._call("reader", node, port, "", new, old, self._new_nonce(), node=node)
        return bool(reply[1])

    async def beat(self, report: Mapping[str, Mapping[str, Any]]) -> RunRecord:
        """See `Session.beat`."""
        return await self._beat(self._lease, msgspec.json.encode(report))

    async def _renew(self) -> None:
        for stream in tuple(self._watched):
            try:
                await self._call("watch", self.worker, stream)
            except UnknownIOError:  # a store that went back has never heard of it: a commit or a beat tells of that
                self._watched.discard(stream)
        await self._beat(_AS_IT_WAS, b"")

    def reconnected(self) -> None:
        """The store may have lost notices, watches and more on the way."""
        self._inbox.restart()

    async def _beat(self, lease: int, report: bytes) -> RunRecord:
        _, fresh, *state = await self._call("beat", self.worker, lease, report, 0)
        if fresh:
            # This process slept so long that the server has forgotten its session.
            for stream in tuple(self._watched):
                await self._call("watch", self.worker, stream)
            self._inbox.restart()
        return await self._reads.record(state)

    async def control(self, action: str, node: str = "") -> RunRecord:
        """See `Session.control`."""
        if action not in ("pause", "resume", "stop", "cancel"):
            raise ValueError(f'the actions are "pause", "resume", "stop" and "cancel"; got {action!r}')
        _, *state = await self._call("control", action, node, b"", node=node)
        return await self._reads.record(state)

    async def rewind(self) -> RunRecord:
        """See `Session.rewind`."""
        _, *state = await self._call("control", "rewind", "", b"")
        return await self._reads.record(state)

    async def dismiss(self, workers: Sequence[str]) -> None:
        """See `Session.dismiss`."""
        for worker in workers:
            await self._call("close", worker, 1)

    async def fail(self, error: bytes) -> RunRecord:
        """See `Session.fail`."""
        _, *state = await self._call("control", "fail", "", error)
        return await self._reads.record(state)

    async def rewire(self, change: Rewire) -> Rewired:
        """See `Session.rewire`."""
        reply = await self._call("rewire", *pack_rewire(change, self._new_nonce()))
        if reply[0] in REFUSALS:
            raise rewire_refusal(self.run, change.version, reply)
        return rewired(reply)

    async def changes(self, limit: int = 1000) -> list[ChangeRecord]:
        """See `Session.changes`."""
        return await self._reads.changes(limit)

    async def ask(self, data: bytes) -> str:
        """See `Session.ask`."""
        async with self._asking:
            reply = await self._call("ask", self.worker, self._new_nonce(), data)
        return str(reply[1].decode())

    async def asks(self, after: str = "") -> list[tuple[str, bytes]]:
        """See `Session.asks`."""
        return await self._reads.asks(after)

    async def answer(self, ask: str, data: bytes) -> None:
        """See `Session.answer`."""
        await self._call("answer", ask, data)

    async def answered(self, ask: str) -> bytes | None:
        """See `Session.answered`."""
        return await self._reads.answered(ask)

    async def reopen(self, node: str, ids: Sequence[str] | None = None) -> int:
        """See `Session.reopen`."""
        moved, after, wanted = 0, "-", None if ids is None else frozenset(ids)
        while True:
            page = await self._reads.letters(node, _LETTERS, after)
            letters = [
                (ident, msgspec.msgpack.decode(data)) for ident, data in page if wanted is None or ident in wanted
            ]
            chosen = [item for ident, one in letters for item in (ident, one["payload"], origin_of_letter(one))]
            if chosen:
                reply = await self._call("reopen", self._new_nonce(), node, *chosen, node=node)
                moved += reply[1]
            if len(page) < _LETTERS:
                return moved
            after = f"({page[-1][0]}"

    async def letters(self, node: str, *, limit: int = 1000) -> list[tuple[str, bytes]]:
        """See `Session.letters`."""
        return await self._reads.letters(node, limit)

    async def log(self, node: str, lines: Sequence[str]) -> None:
        """See `Session.log`."""
        if lines:
            await self._call("log", self.worker, self._new_nonce(), node, *lines, node=node)

    async def logs(self, node: str, *, limit: int = 1000) -> list[tuple[float, str]]:
        """See `Session.logs`."""
        return await self._reads.logs(node, limit)

    async def tell(self, events: Sequence[bytes]) -> None:
        """See `Session.tell`."""
        await self._call("tell", self._new_nonce(), *events)

    async def events(self, after: str = "", *, limit: int = 1000) -> list[tuple[str, bytes]]:
        """See `Session.events`."""
        return await self._reads.events(after, limit)

    async def probe(self) -> Probe:
        """See `Session.probe`."""
        return await self._reads.probe()
