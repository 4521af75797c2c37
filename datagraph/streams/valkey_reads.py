"""What a Valkey session only looks at: frames, letters, logs, events, and the whole run at one moment."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from redis.exceptions import ResponseError

from ..exceptions import DatagraphError, StoreConfigError, StoreLostError, StreamTrimmedError, UnknownIOError
from .codec import Codec
from .keys import Keys
from .records import ChangeRecord, Frame, NodeRecord, Probe, Reading, RunRecord, RunSpec, StreamRecord
from .resp import Client
from .valkey_rewire import change_record
from .valkey_wire import (
    STATE,
    frame_of,
    lost_run,
    node_record,
    pairs,
    raise_meaning,
    run_record,
    stream_record,
    unpack,
    unpack_spec,
)

READ_BYTES: Final = 4 * 2**20
FIRST_COUNT: Final = 16  # frames asked for while nobody knows how large they are
MOST_COUNT: Final = 1000


class Reads:
    """The reading half of the session of `worker`: it knows the run's spec, and when there is another."""

    def __init__(self, client: Client, keys: Keys, codec: Codec, worker: str) -> None:
        self._client = client
        self._keys = keys
        self._codec = codec
        self._worker = worker
        self._usual: dict[str, tuple[float, float]] = {}
        self._may_ask_time = True
        self._spec: RunSpec
        self._wiring = -1
        self._nodes: list[str] = []  # those that a probe looks at: the spec's, and dropped ones that are not done
        self._streams: list[str] = []  # the spec's, those of its dropped nodes, and private ones

    async def find(self) -> bool:
        """Read the spec as it is now; whether the run is there."""
        ((spec, wiring),) = await self._client.pipeline([("HMGET", self._keys.run, "spec", "wiring")])
        if spec is None:
            return False
        self._spec, self._wiring = unpack_spec(spec), int(wiring or 0)
        self._nodes = [node.name for node in self._spec.nodes]
        self._streams = [stream.name for stream in self._spec.streams]
        return True

    async def record(self, state: Sequence[Any]) -> RunRecord:
        """The run from the values of the fields `STATE`, with the spec that belongs to them, or a newer one."""
        found = run_record(self._spec, state)
        if found.wiring != self._wiring:
            if not await self.find():
                raise lost_run(self._spec.id)
            found = run_record(self._spec, state)
        found.wiring = self._wiring
        return found

    async def pipeline(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """Several commands; their errors as ours."""
        try:
            return await self._client.pipeline(commands)
        except ResponseError as error:
            raise_meaning(error, self._spec.id)

    async def read(self, stream: str, cursor: int, limit: int) -> Reading:
        """See `Session.read`."""
        key = self._keys.stream(stream)
        # The length is asked for first: of what is written in between, more is found than it says, never less.
        head = ("HMGET", self._keys.record(stream), "n", "ended", "first")
        count = self._count(stream, limit)
        found, reply = await self.pipeline([head, ("XREAD", "COUNT", count, "STREAMS", key, f"{cursor}-0")])
        length, ended, first = await self._head(stream, found)
        frames: list[Frame] = []
        size = 0
        while True:
            entries: Sequence[Any] = reply[0][1] if reply else ()
            for entry in entries:
                frame = frame_of(entry, self._codec)
                if frame is None:
                    continue
                if size >= READ_BYTES or (frames and frames[-1].end >= cursor + limit):
                    break
                frames.append(frame)
                size += frame.size
            else:
                if len(entries) == count and size < READ_BYTES and (not frames or frames[-1].end < cursor + limit):
                    count = min(count * 2, MOST_COUNT)
                    (reply,) = await self.pipeline([("XREAD", "COUNT", count, "STREAMS", key, entries[-1][0])])
                    continue
            break
        if frames:
            if frames[0].end - frames[0].count > cursor:
                raise self._trimmed(stream, cursor, frames[0].end - frames[0].count)
            self._usual[stream] = ((frames[-1].end - frames[0].end + frames[0].count) / len(frames), size / len(frames))
            return Reading(frames, max(length, frames[-1].end), ended and frames[-1].end <= length)
        if length > cursor:
            await self._explain_gap(stream, cursor, first)
        return Reading(frames, length, ended)

    def _count(self, stream: str, limit: int) -> int:
        """How many frames hold about `limit` values or 4 MiB, if they are as they were at the last read."""
        usual = self._usual.get(stream)
        if usual is None:
            return FIRST_COUNT
        values, size = usual
        return max(1, min(int(limit / values) + 1, int(READ_BYTES / max(size, 1)) + 1, MOST_COUNT))

    async def _head(self, stream: str, found: Sequence[bytes | None]) -> tuple[int, bool, int]:
        length, ended, first = found
        if length is None or first is None:
            raise await self.absent(f"stream {stream}", stream in self._streams)
        return int(length), ended == b"1", int(first)

    async def absent(self, what: str, expected: bool) -> DatagraphError:
        """The error for a key that is not there."""
        (there,) = await self.pipeline([("EXISTS", self._keys.run)])
        if not there:
            return lost_run(self._spec.id)
        if expected:
            return StoreLostError(
                f"run {self._spec.id!r}: the record of {what} is not in the store any more; start the run again"
            )
        return UnknownIOError(f"run {self._spec.id!r} has no {what}; its graph says what it has")

    async def _explain_gap(self, stream: str, cursor: int, first: int) -> None:
        """There are values after `cursor`, and no frame of them: trimmed, perhaps since the length was asked for."""
        if first <= cursor:
            (found,) = await self.pipeline([("HMGET", self._keys.record(stream), "n", "ended", "first")])
            _, _, first = await self._head(stream, found)
        if first > cursor:
            raise self._trimmed(stream, cursor, first)
        raise StoreLostError(
            f"run {self._spec.id!r}: the values of stream {stream!r} after {cursor} are not in the store any more; "
            f"start the run again"
        )

    def _trimmed(self, stream: str, cursor: int, found: int) -> StreamTrimmedError:
        return StreamTrimmedError(
            f"stream {stream!r} does not keep the values at {cursor} any more: the first one kept is at {found}; read "
            f"from there, or start the run with a larger keep",
            stream=stream,
            expected=cursor,
            found=found,
        )

    async def tail(self, stream: str, count: int) -> Reading:
        """See `Session.tail`."""
        key, page, until = self._keys.stream(stream), self._count(stream, count), "+"
        head = ("HMGET", self._keys.record(stream), "n", "ended", "first")
        found, entries = await self.pipeline([head, ("XREVRANGE", key, until, "-", "COUNT", page)])
        length, ended, _ = await self._head(stream, found)
        frames: list[Frame] = []
        values = 0
        while True:
            for entry in entries:
                frame = frame_of(entry, self._codec)
                if frame is not None and values < count:
                    frames.append(frame)
                    values += frame.count
            if len(entries) < page or values >= count:
                break
            page = min(page * 2, MOST_COUNT)
            (entries,) = await self.pipeline([("XREVRANGE", key, b"(" + entries[-1][0], "-", "COUNT", page)])
        frames.reverse()
        newest = frames[-1].end if frames else length
        return Reading(frames, max(length, newest), ended and newest <= length)

    async def letters(self, node: str, limit: int, start: str = "-") -> list[tuple[str, bytes]]:
        """See `Session.letters`."""
        entries = await self._entries(node, ("XRANGE", self._keys.letters(node), start, "+", "COUNT", limit))
        return [(ident.decode(), fields[1]) for ident, fields in entries]

    async def logs(self, node: str, limit: int) -> list[tuple[float, str]]:
        """See `Session.logs`."""
        entries = await self._entries(node, ("XREVRANGE", self._keys.output(node), "+", "-", "COUNT", limit))
        return [(_time_of(ident), fields[1].decode(errors="replace")) for ident, fields in reversed(entries)]

    async def _entries(self, node: str, command: Sequence[Any]) -> list[Any]:
        there, entries = await self.pipeline([("EXISTS", self._keys.node(node)), command])
        if not there:
            raise await self.absent(f"node {node}", node in self._nodes)
        return entries  # type: ignore[no-any-return]

    async def events(self, after: str, limit: int) -> list[tuple[str, bytes]]:
        """See `Session.events`."""
        start = f"({after}" if after else "-"
        there, entries = await self.pipeline(
            [
                ("EXISTS", self._keys.run),
                ("XRANGE", self._keys.log, start, "+", "COUNT", limit),
            ]
        )
        if not there:
            raise lost_run(self._spec.id)
        return [(ident.decode(), fields[1]) for ident, fields in entries]

    async def changes(self, limit: int) -> list[ChangeRecord]:
        """See `Session.changes`."""
        entries = await self._of_run(("XREVRANGE", self._keys.edits, "+", "-", "COUNT", limit))
        return [change_record(_time_of(ident), fields) for ident, fields in reversed(entries)]

    async def asks(self, after: str) -> list[tuple[str, bytes]]:
        """See `Session.asks`."""
        entries = await self._of_run(("XRANGE", self._keys.asks, f"({after}" if after else "-", "+"))
        return [(ident.decode(), fields[1]) for ident, fields in entries]

    async def answered(self, ask: str) -> bytes | None:
        """See `Session.answered`."""
        answer: bytes | None = await self._of_run(("HGET", self._keys.answers, ask))
        return answer

    async def _of_run(self, command: Sequence[Any]) -> Any:
        there, found = await self.pipeline([("EXISTS", self._keys.run), command])
        if not there:
            raise lost_run(self._spec.id)
        return found

    async def probe(self) -> Probe:
        """See `Session.probe`."""
        while True:
            # Another task may find a new spec meanwhile.
            asked = [self._nodes, self._streams]
            (*state, names), (sessions, reports, now), hashes, wiring = await self._everything(*asked)
            if state[0] is None:
                raise lost_run(self._spec.id)
            run = run_record(self._spec, state)
            if {run.wiring, int(wiring or 0)} != {self._wiring}:
                await self.find()  # the run was rewired, perhaps just now
                continue
            shown = unpack(names)
            if shown == asked:
                break
            self._nodes, self._streams = shown  # dead letters that were sent again have brought a new one, too
        nodes = dict(zip(asked[0], map(pairs, hashes), strict=False))
        streams = dict(zip(asked[1], map(pairs, hashes[len(nodes) :]), strict=True))
        records = {}
        for name, fields in streams.items():
            if not fields:
                raise await self.absent(f"stream {name}", expected=True)
            records[name] = stream_record(name, fields)
        told = {worker.decode(): msgspec.json.decode(report) for worker, report in pairs(reports).items() if worker}
        specified = {spec.name for spec in self._spec.nodes}
        found = {}
        for name, fields in nodes.items():
            if not fields:
                raise await self.absent(f"node {name}", expected=True)
            if name in specified or fields[b"status"] != b"done":
                report = {worker: facts[name] for worker, facts in told.items() if name in facts}
                found[name] = self._node(name, fields, records, report)
        leases = {worker.decode(): int(end) / 1000 - now for worker, end in pairs(sessions).items()}
        return Probe(
            now=now,
            run=run,
            nodes=found,
            streams=records,
            workers={worker: left for worker, left in leases.items() if left > 0},
        )

    def _node(
        self, name: str, fields: Mapping[bytes, bytes], streams: Mapping[str, StreamRecord], report: Mapping[str, Any]
    ) -> NodeRecord:
        readers = {port: (stream, streams[stream].readers[name, port]) for port, stream in unpack(fields[b"in"])}
        return node_record(
            name,
            fields,
            {},
            {port: (reader.cursor, reader.size) for port, (_, reader) in readers.items()},
            {stream: streams[stream].length for stream in unpack(fields[b"outs"])},
            {port: reader.until for port, (_, reader) in readers.items()},
            worker=None if fields[b"kind"] == b"own" else self._worker,
            report=report,
        )

    async def _everything(
        self, nodes: Sequence[str], streams: Sequence[str]
    ) -> tuple[list[Any], list[Any], list[Any], bytes | None]:
        """The run; sessions, reports, time; a hash for each node and stream; the wiring at the end. One round trip."""
        keys = self._keys
        clock = ("TIME",) if self._may_ask_time else ("XADD", keys.clock, "NOMKSTREAM", "MAXLEN", 1, "*", "t", "")
        replies = await self._client.pipeline(
            [
                ("HMGET", keys.run, *STATE, "names"),
                ("HGETALL", keys.sessions),
                ("HGETALL", keys.reports),
                clock,
                *(("HGETALL", keys.node(name)) for name in nodes),
                *(("HGETALL", keys.record(name)) for name in streams),
                ("HGET", keys.run, "wiring"),
            ],
            raise_errors=False,
        )
        if isinstance(replies[3], StoreConfigError) and self._may_ask_time:
            self._may_ask_time = False
            return await self._everything(nodes, streams)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise_meaning(reply, self._spec.id)
            if isinstance(reply, Exception):
                raise reply
        replies[3] = _seconds(replies[3])
        return replies[0], replies[1:4], replies[4:-1], replies[-1]


def _seconds(reply: Any) -> float:
    """A time, or the id of an entry that was written at that time."""
    if isinstance(reply, list):
        return int(reply[0]) + int(reply[1]) / 1e6
    return _time_of(reply) if reply else time.time()


def _time_of(ident: bytes) -> float:
    return int(ident.partition(b"-")[0]) / 1000
