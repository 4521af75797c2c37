"""Where a value came from and what came of it, read from what the store keeps beside every frame (`streams.origins`).

What a node's frames say they were made from only ever goes forward, so whatever became of a value is found by halving:
a few commands for each stream, however long it is. Nothing is taken from anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from ..exceptions import DatagraphError, StreamTrimmedError
from ..runtime.port import opened
from ..runtime.segments import port_of
from ..streams.origins import Provenance, Span, read_origin
from ..streams.records import Frame, Probe, ReaderRecord
from .local import LocalRun
from .past import EMPTY, Note, graph_of, note_of

Status = Literal["done", "dead letter", "in hand", "waiting", "not read"]

MOST_VALUES = 10
_MOST_LETTERS = 1000
_MOST_AGAIN = 100
_MOST_FORGOTTEN = 100
_OUT_OF_ORDER = 2000
_MOST_STEPS = 1000
_KEPT = -1  # a dead letter that was not sent again


@dataclass(frozen=True, slots=True)
class Part:
    """The values `start` to `stop` of `stream`, the first of which are `values`: None where they are not kept any more,
    none where they cannot be read here.

    Where it says what a value was made from, or what came of it, `exact` means these and no others; else that lies
    within: its function was given so many at a time, or put out several.
    """

    stream: str
    start: int
    stop: int
    exact: bool = False
    values: tuple[Any, ...] | None = None

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a value at one of its readers: `node` put out `made`, one part a stream.

    `status` is "done" (with nothing in `made` where it was filtered out, skipped, or the node has no outputs), "dead
    letter", "in hand", "waiting" (unread, or in the hand of a node in another process), or "not read": the node had
    ended, was somewhere else in the stream, or only looked.
    """

    node: str
    status: Status
    made: tuple[Part, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class _Reader:
    """One segment of a node that covers a position; `record` is None of one that the store has forgotten."""

    node: str
    segment: str
    stream: str
    record: ReaderRecord | None = None

    def of(self, frame: Frame, position: int) -> Span | None:
        """The span of a frame that has a position of it."""
        for span in _spans(frame):
            if (span.port, span.stream) == (self.segment, self.stream) and span.start <= position < span.stop:
                return span
        return None


class Lineage:
    """Follows values through one run; lives in the runtime thread."""

    def __init__(self, local: LocalRun) -> None:
        self._local = local
        self._session = local.session

    # -- where it came from ---------------------------------------------------------------------------------------

    async def origin(self, stream: str, position: int) -> list[Part]:
        """What the value at `position` was made from, one part a stream that was read for it; [] of an input."""
        frame = await self._frame(stream, position)
        return [await self._filled(part) for part in await self._origins(stream, frame, position)]

    async def _origins(self, stream: str, frame: Frame, position: int) -> list[Part]:
        if not frame.origin and not self._reads(stream):
            return []
        found = _origin(frame)
        index = position - (frame.end - frame.count)
        parts: list[Part] = []
        for _, source, start, stop in found.before(index):
            parts += await self._again(Part(source, start, stop, found.exact))
        return parts

    async def _again(self, part: Part) -> list[Part]:
        """Of what was a dead letter and was sent again, the value that had failed."""
        if not part.stream.startswith("~"):
            return [part]
        found = []
        for position in range(part.start, min(part.stop, part.start + _MOST_AGAIN)):
            frame = await self._frame(part.stream, position)
            found += await self._origins(part.stream, frame, position)
        return found or [part]

    def _reads(self, stream: str) -> bool:
        """Whether who writes a stream reads others."""
        return any(stream in node.outputs and node.inputs for node in self._local.record.nodes)

    async def lineage(self, stream: str, position: int) -> list[Part]:
        """All that the value came from, stream by stream back to the inputs, of each the smallest part that has it."""
        found: dict[str, Part] = {}
        work = await self.origin(stream, position)
        for _ in range(_MOST_STEPS):
            if not work:
                break
            part = work.pop(0)
            before = found.get(part.stream)
            if before is not None:
                if before.start <= part.start and part.stop <= before.stop:
                    continue
                part = Part(part.stream, min(part.start, before.start), max(part.stop, before.stop))
            found[part.stream] = part
            work += await self._before(part)
        return [await self._filled(part) for part in found.values()]

    async def _before(self, part: Part) -> list[Part]:
        """What the values of a part came from, as far as they are kept."""
        try:
            first = await self._frame(part.stream, part.start)
            ends = [await self._origins(part.stream, first, part.start)]
            if len(part) > 1:
                last = await self._frame(part.stream, part.stop - 1)
                ends.append(await self._origins(part.stream, last, part.stop - 1))
        except StreamTrimmedError:
            return []
        exact = part.exact and len(part) == 1
        hull: dict[str, Part] = {}
        for one in (one for end in ends for one in end):
            old = hull.get(one.stream, one)
            hull[one.stream] = Part(one.stream, min(old.start, one.start), max(old.stop, one.stop), exact and one.exact)
        return list(hull.values())

    # -- what came of it ------------------------------------------------------------------------------------------

    async def fate(self, stream: str, position: int) -> list[Outcome]:
        """What came of the value at `position`, one outcome a node that reads the stream."""
        await self._check(stream, position)
        probe = await self._session.probe()
        found: dict[str, list[Outcome]] = {}
        records = probe.streams[stream].readers if stream in probe.streams else {}
        for (node, segment), record in records.items():
            if node.startswith("~"):  # somebody who follows from outside
                continue
            outcomes = found.setdefault(node, [])
            if _covers(record, position):
                reader = _Reader(node, segment, stream, record)
                outcomes.append(await self._outcome(probe, reader, record, position))
        for node, segment in await self._forgotten(probe, stream) - set(records):
            parts = await self._parts(probe, _Reader(node, segment, stream), position)
            if parts:
                found.setdefault(node, []).append(Outcome(node, "done", parts))
        return [one for node, outcomes in found.items() for one in outcomes or [Outcome(node, "not read")]]

    async def _forgotten(self, probe: Probe, stream: str) -> set[tuple[str, str]]:
        """Segments that have read the stream before the run was changed; the store forgets those that are finished."""
        found: dict[tuple[str, str], None] = {}
        for note in await self._notes() if probe.run.wiring else ():
            joined = [(node, segment) for node, segment, name in note.joins if name == stream]
            edges = [edge for edge in graph_of(note.before).edges if edge.stream == stream]
            found |= dict.fromkeys([*joined, *((edge.target, edge.target_port) for edge in edges)])
        return set(list(found)[:_MOST_FORGOTTEN])

    async def _notes(self) -> list[Note]:
        """The changes of the run's graph that are kept, newest first."""
        notes = [note_of(record) for record in reversed(await self._session.changes())]
        return [note for note in notes if note.before != EMPTY]

    async def _parts(self, probe: Probe, reader: _Reader, position: int) -> tuple[Part, ...]:
        outputs = await self._outputs(probe, reader.node)
        made = [await self._made(probe, reader, output, position) for output in outputs]
        return tuple([await self._filled(part) for part in made if part is not None])

    async def _outcome(self, probe: Probe, reader: _Reader, record: ReaderRecord, position: int) -> Outcome:
        parts = await self._parts(probe, reader, position)
        status: Status = "done"
        if position >= record.cursor:
            status = self._unfinished(reader, position, bool(parts))
            if record.hold == "free":
                status = "done" if parts else "not read"  # `first` looks, and reads nothing
        elif (sent := await self._given_up(probe, reader, position)) == _KEPT:
            return Outcome(reader.node, "dead letter")
        elif sent is not None:
            private = f"~{reader.node}"
            record = probe.streams[private].readers[reader.node, private]
            return await self._outcome(probe, _Reader(reader.node, private, private, record), record, sent)
        return Outcome(reader.node, status, parts)

    def _unfinished(self, reader: _Reader, position: int, has_made: bool) -> Status:
        """Whether a node that runs here has taken it; of one that runs elsewhere nobody can say."""
        engine = self._local.engine
        for node in engine.nodes if engine is not None else ():
            if node.name == reader.node:
                ends = [at for segment, _, at in node.taken() if segment == reader.segment]
                if any(position < at for at in ends):
                    return "in hand"
        return "in hand" if has_made else "waiting"

    async def _given_up(self, probe: Probe, reader: _Reader, position: int) -> int | None:
        """None unless it is a dead letter of the node; where it was sent again, its position there."""
        node, private = probe.nodes.get(reader.node), f"~{reader.node}"
        if node is not None and not node.counters.get("dead_letters"):
            return None
        port, stream = self._port(reader.node, reader.segment), reader.stream
        for _, data in await self._session.letters(reader.node, limit=_MOST_LETTERS):
            letter: Any = msgspec.msgpack.decode(data) if isinstance(data, bytes) else data
            if (letter["port"], letter.get("stream", stream), letter["position"]) == (port, stream, position):
                return _KEPT
        if private not in probe.streams:
            return None
        sent = await self._session.read(private, probe.streams[private].first, _MOST_LETTERS)
        failed = (port, stream, position)
        ends = [frame.end for frame in sent.frames if any(span[:3] == failed for span in _spans(frame))]
        return max(ends) - 1 if ends else None

    async def _outputs(self, probe: Probe, node: str) -> list[str]:
        if node in probe.nodes:
            return list(probe.nodes[node].lengths)
        for note in await self._notes():  # it was dropped
            before = graph_of(note.before)
            if any(each.name == node for each in before):
                return [port.stream for port in before.node(node).outputs]
        return []

    async def _made(self, probe: Probe, reader: _Reader, output: str, position: int) -> Part | None:
        """The part of a stream that was made from a position of a segment; None where nothing was."""
        port = self._port(reader.node, reader.segment)
        target = (_ordinal(reader.segment, port), position)

        def spans(frame: Frame) -> list[Span]:
            found = [span for span in _origin(frame).spans if self._port(reader.node, span.port) == port]
            # Frames that one safe point was cut into all name the segment that follows, of which nothing was read yet.
            return [span for span in found if span.start < span.stop] or found

        kept = probe.streams.get(output)
        first, length = (kept.first, kept.length) if kept else (0, (await self._session.tail(output, 1)).length)
        start = await self._first(output, first, length, lambda frame: _end(spans(frame), port) > target)
        stop = await self._first(output, start, length, lambda frame: _start(spans(frame), port) > target)
        spec = next((node for node in self._local.record.nodes if node.name == reader.node), None)
        if spec is not None and spec.shared and not spec.ordered:
            return await self._about(output, max(first, start - _OUT_OF_ORDER), start + _OUT_OF_ORDER, reader, position)
        if start < stop:
            return await self._narrowed(output, start, stop, reader, position)
        if start == first > 0 and reader.record is not None:
            return Part(output, 0, first)
        return None

    async def _narrowed(self, output: str, start: int, stop: int, reader: _Reader, position: int) -> Part | None:
        """Of the frames that were made from a position and others the very value, where that is known."""
        frames = [await self._frame(output, start), await self._frame(output, stop - 1)]
        found, span = _origin(frames[0]), reader.of(frames[0], position)
        if span is None:
            return None
        if found.exact:
            first, last = found.after(span, position)
            return Part(output, start + first, start + last, exact=True) if first < last else None
        only = [(span.port, span.stream, position, position + 1)]
        return Part(output, start, stop, exact=all([s for s in _spans(f) if s.start < s.stop] == only for f in frames))

    async def _about(self, output: str, start: int, stop: int, reader: _Reader, position: int) -> Part | None:
        """The same of several workers that keep no order: theirs lies not far from where it would be."""
        while start < stop:
            reading = await self._session.read(output, start, stop - start)
            for frame in reading.frames:
                if reader.of(frame, position) is not None:
                    return await self._narrowed(output, frame.end - frame.count, frame.end, reader, position)
            if not reading.frames:
                return None
            start = reading.frames[-1].end
        return None

    async def _first(self, stream: str, start: int, stop: int, is_beyond: Callable[[Frame], bool]) -> int:
        """Where the first frame between two positions begins of which that is so; `stop` where it is of none."""
        while start < stop:
            try:
                frame = await self._frame(stream, (start + stop) // 2)
            except StreamTrimmedError as error:
                start = error.found
                continue
            if is_beyond(frame):
                stop = max(start, frame.end - frame.count)
            else:
                start = frame.end
        return start

    # -- reading --------------------------------------------------------------------------------------------------

    async def _check(self, stream: str, position: int) -> None:
        length = (await self._session.tail(stream, 1)).length
        if not 0 <= position < length:
            there = f"it has {length:,} values so far, at 0 to {length - 1:,}" if length else "it has none so far"
            raise ValueError(f"there is no value at position {position} of the stream {stream!r}: {there}")

    async def _frame(self, stream: str, position: int) -> Frame:
        """The frame that holds a position; ValueError, StreamTrimmedError."""
        reading = await self._session.read(stream, position, 1) if position >= 0 else None
        if reading is None or not reading.frames:
            await self._check(stream, position)
            raise DatagraphError(f"the value at position {position} of {stream!r} is not there any more")
        return reading.frames[0]

    async def _filled(self, part: Part) -> Part:
        """With its first values, where they are kept."""
        codec = self._session.codec.bind(f"{self._session.run}:{part.stream}".encode())
        wanted = min(len(part), MOST_VALUES)
        try:
            values: list[Any] = []
            reading = await self._session.read(part.stream, part.start, wanted)
            for frame in reading.frames:
                values += opened(codec, part.stream, frame)[max(0, part.start - (frame.end - frame.count)) :]
        except StreamTrimmedError:
            return part
        except DatagraphError:  # it cannot be read here
            values = []
        return Part(part.stream, part.start, part.stop, part.exact, tuple(values[:wanted]))

    def _port(self, node: str, segment: str) -> str:
        known: Mapping[str, Any] = {each.name: each for each in self._local.graph}
        ports = [port.name for port in known[node].inputs] if node in known else []
        return port_of(segment, ports) if segment in ports or "#" in segment else segment


def _covers(record: ReaderRecord, position: int) -> bool:
    return record.began <= position and (record.until is None or position < record.until)


def _origin(frame: Frame) -> Provenance:
    found = read_origin(frame.origin)
    if found is None:
        raise DatagraphError(
            f"nobody noted where the values up to position {frame.end} came from: an older datagraph wrote them"
        )
    return found


def _spans(frame: Frame) -> tuple[Span, ...]:
    found = read_origin(frame.origin)
    return found.spans if found is not None else ()


def _ordinal(segment: str, port: str) -> int:
    number = segment.rpartition("#")[2]
    return int(number) if segment != port and number.isdecimal() else 0


def _end(spans: list[Span], port: str) -> tuple[int, int]:
    return max(((_ordinal(span.port, port), span.stop) for span in spans), default=(-1, 0))


def _start(spans: list[Span], port: str) -> tuple[int, int]:
    return min(((_ordinal(span.port, port), span.start) for span in spans), default=(-1, 0))
