"""What a memory store does to a run in one step: commits, claims of ranges, dead letters that go back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from ..exceptions import (
    FencedError,
    MovedError,
    ReadOnlyIOError,
    RewoundError,
    RunError,
    StoreLostError,
    UnknownIOError,
)
from .memory_state import Claimed, Node, Run, report_of
from .memory_streams import Reader, Stream
from .origins import origin_of_letter
from .records import Advance, Commit, Committed, Range, Taken, Write
from .signals import Signals


def apply_commit(run: Run, worker: str, signals: Signals, commit: Commit) -> Committed:
    """Apply all of a commit or nothing: everything that can refuse it comes before everything that changes."""
    node = run.node(commit.node)
    _fence(run, node, commit, worker)
    who = worker if node.spec.shared else ""
    seq, answer = node.last.get(who, (0, None))
    if commit.seq == seq and answer is not None:
        return answer
    if commit.seq != seq + 1:
        if commit.seq > seq:
            run.rewind()
        raise RewoundError(
            f"node {commit.node!r} of run {run.spec.id!r}: commit {commit.seq} does not follow {seq}, the last one "
            f"that the store has; claim the node again and go on from its record"
        )
    claimed = _own_range(run, node, commit, worker)
    _check(run, node, commit)
    full = [write.stream for write in commit.writes if not run.streams[write.stream].fits(write.frames)]
    for name in full:
        run.streams[name].blocked[signals] = worker
    turn = claimed is None or not node.spec.ordered or _is_first(run, node, claimed)
    if full or not turn:
        return _answer(run, commit, ok=False, turn=turn)
    _write(run, node, signals, commit)
    if claimed is not None:
        _advance_shared(run, node, claimed, commit.upto)
    else:
        _advance(run, node, commit)
    _note(run, node, commit)
    answer = _answer(run, commit, ok=True, turn=True)
    node.last[who] = (commit.seq, answer)
    return answer


def _answer(run: Run, commit: Commit, *, ok: bool, turn: bool) -> Committed:
    return Committed(ok, {w.stream: run.streams[w.stream].room() for w in commit.writes}, turn, run.status)


def _fence(run: Run, node: Node, commit: Commit, worker: str) -> None:
    if run.status == "cancelled":
        raise FencedError(
            f"run {run.spec.id!r} was cancelled: node {commit.node!r} is at epoch {node.epoch}, worker {worker!r} "
            f"came with epoch {commit.epoch}; nothing of it was written"
        )
    if commit.epoch != node.epoch and (node.spec.shared or node.owner in (worker, "")):
        raise RewoundError(
            f"node {commit.node!r} of run {run.spec.id!r} is at epoch {node.epoch}, worker {worker!r} came with epoch "
            f"{commit.epoch}; claim the node again and go on from its record"
        )
    if commit.epoch != node.epoch or (node.spec.shared and worker in run.dismissed):
        raise FencedError(
            f"node {commit.node!r} of run {run.spec.id!r} is at epoch {node.epoch} and belongs to "
            f"{node.owner or 'nobody'!r}; worker {worker!r} came with epoch {commit.epoch} and must stop"
        )


def _own_range(run: Run, node: Node, commit: Commit, worker: str) -> Claimed | None:
    if commit.claim is None:
        return None
    claimed = next((claimed for claimed in node.ranges if claimed.id == commit.claim), None)
    if claimed is None or claimed.worker != worker:
        owner = f"belongs to {claimed.worker!r}" if claimed else "is committed already, or was taken over"
        raise FencedError(
            f"node {commit.node!r} of run {run.spec.id!r}, epoch {node.epoch}: range {commit.claim} {owner}; worker "
            f"{worker!r}, of epoch {commit.epoch}, must drop it and claim another"
        )
    if not claimed.start <= commit.upto <= claimed.stop:
        raise ValueError(f"range {claimed.id} is {claimed.start} to {claimed.stop}; it is not done up to {commit.upto}")
    return claimed


def _check(run: Run, node: Node, commit: Commit) -> None:
    for write in commit.writes:
        _check_write(run, node, write)
    for read in commit.reads:
        stream, reader = _read_by(run, commit.node, read)
        if reader.until is not None and reader.until < read.cursor <= stream.length:
            raise MovedError(
                f"node {commit.node!r} of run {run.spec.id!r} has read {read.cursor} values of stream {read.stream!r}, "
                f"where its port {read.port!r} stops at {reader.until}; the run was rewired: claim the node again"
            )
        if read.cursor > stream.length:
            run.rewind()
            raise RewoundError(
                f"node {commit.node!r} of run {run.spec.id!r} has read {read.cursor} values of stream {read.stream!r}, "
                f"which holds {stream.length}; claim the node again and go on from its record"
            )


def _read_by(run: Run, node: str, read: Advance) -> tuple[Stream, Reader]:
    for port, stream, reader in run.inputs.get(node, ()):
        if (port, stream.name) == (read.port, read.stream):
            return stream, reader
    run.stream(read.stream)
    if run.wiring:
        raise MovedError(
            f"port {node}.{read.port} of run {run.spec.id!r} does not read {read.stream!r} any more; the run was "
            f"rewired: claim the node again"
        )
    stream, _ = run.input(node, read.port)
    raise UnknownIOError(f"port {node}.{read.port} reads {stream.name!r}, not {read.stream!r}")


def _check_write(run: Run, node: Node, write: Write) -> None:
    stream = run.stream(write.stream)
    if write.stream not in node.spec.outputs:
        raise ReadOnlyIOError(f"stream {write.stream!r} is written by {stream.writer!r}, not by {node.spec.name!r}")
    if write.frames and stream.ended:
        raise _lost(run, f"it has ended at {stream.length}, and its writer goes on at {write.base}", write)
    # Workers of a shared node cannot know what the others have written meanwhile; the range they commit guards them.
    if write.base != stream.length and not node.spec.shared:
        raise _lost(run, f"it holds {stream.length} values, and its writer goes on at {write.base}", write)


def _lost(run: Run, what: str, where: Write) -> StoreLostError:
    return StoreLostError(
        f"stream {where.stream!r} of run {run.spec.id!r} does not fit the run's record: {what}; the store has lost a "
        f"part of the run, start it again"
    )


def _write(run: Run, node: Node, signals: Signals, commit: Commit) -> None:
    for write in commit.writes:
        stream = run.streams[write.stream]
        for count, payload, size in write.frames:
            stream.append(count, payload, size, write.origin)
        stream.ended = stream.ended or write.end
        stream.blocked.pop(signals, None)
        node.marks[write.stream] = write.mark
        stream.trim()
        stream.tell()
    if commit.safe:
        node.marks.clear()


def _advance(run: Run, node: Node, commit: Commit) -> None:
    for read in commit.reads:
        stream, reader = run.input(commit.node, read.port)
        reader.move(read.cursor, read.size)
        if commit.safe:
            node.cursors[read.port] = (read.cursor, read.size)
        stream.settle()
    if commit.safe and commit.state is not None:
        node.state = commit.state


def _is_first(run: Run, node: Node, claimed: Claimed) -> bool:
    """Whether nothing in hand comes before it: segments in their order; what was sent again has no order with them."""
    place, private = {}, set()
    for index, (port, stream, _) in enumerate(run.inputs[node.spec.name]):
        place[port] = index
        private |= {port} if stream.private else set()
    rivals = [other for other in node.ranges if other.port == claimed.port or not {other.port, claimed.port} & private]
    return min(rivals, key=lambda other: (place[other.port], other.start)) is claimed


def _first(node: Node, port: str) -> Claimed | None:
    return min(
        (claimed for claimed in node.ranges if claimed.port == port), key=lambda claimed: claimed.start, default=None
    )


def _advance_shared(run: Run, node: Node, claimed: Claimed, upto: int) -> None:
    """Finish a range up to `upto`; everything before the first range still in hand counts as read."""
    claimed.start = upto
    if upto == claimed.stop:
        node.ranges.remove(claimed)
        run.tell(f"turn:{node.spec.name}")
    stream, reader = run.input(node.spec.name, claimed.port)
    first = _first(node, claimed.port)
    cursor = first.start if first else node.claimed[claimed.port]
    reader.move(cursor, stream.size_at(cursor))
    node.cursors[claimed.port] = (reader.cursor, reader.size)
    stream.settle()


def _note(run: Run, node: Node, commit: Commit) -> None:
    for letter in commit.letters:
        node.letters_made += 1
        node.letters[f"{node.letters_made}-0"] = letter
    node.looked.update(commit.looked)
    for name, number in commit.counters.items():
        node.counters[name] = node.counters.get(name, 0) + number
    run.note(commit.events)
    if commit.status == "done":
        _done(run, node)
    elif commit.status == "failed":
        node.status, node.error = "failed", commit.error
        why = report_of(commit.error)
        facts = {"error": why.get("message", ""), "position": why.get("position"), "attempts": why.get("attempts", 1)}
        run.say("NodeFailed", node=node.spec.name, **facts)
        run.close("failed", commit.error)
    elif commit.status is not None:
        node.status = commit.status


def _done(run: Run, node: Node) -> None:
    if node.status == "done":
        return
    node.status, read = "done", 0
    for _, stream, reader in run.inputs[node.spec.name]:
        reader.hold = "free"
        stream.settle()
        read += 0 if stream.private else reader.cursor - reader.began
    written = sum(run.stream(name).length for name in node.spec.outputs)
    run.say("NodeEnded", node=node.spec.name, read=read, written=written)
    run.left -= node.spec.counts
    if node.spec.counts and run.left == 0:
        run.close("completed")


def take_range(run: Run, worker: str, name: str, limit: int) -> Taken:
    """Claim a dead worker's range, else what was sent again, else the next values."""
    node = run.node(name)
    if run.status in ("failed", "cancelled") or worker in run.dismissed:
        return Taken(None, True)
    for index, claimed in enumerate(node.ranges):
        if claimed.worker != worker and not run.alive(claimed.worker):
            if claimed.stop - claimed.start > limit:
                rest = replace(claimed, id=_next_id(node), start=claimed.start + limit, worker="")
                node.ranges.insert(index + 1, rest)
                claimed.stop = rest.start
            # A new number, so that whoever had it before is fenced.
            claimed.id, claimed.worker = _next_id(node), worker
            return Taken(_range(claimed), False)
    finished = not node.ranges
    for port, stream, reader in run.inputs[name]:
        start = node.claimed.setdefault(port, 0)
        until = stream.length if reader.until is None else reader.until
        if start < until:
            stop = node.claimed[port] = min(start + limit, until)
            claimed = Claimed(_next_id(node), port, stream.name, start, stop, worker)
            node.ranges.append(claimed)
            return Taken(_range(claimed), False)
        if not (stream.ended or stream.private or start == reader.until):
            return Taken(None, False)
    return Taken(None, finished)


def _next_id(node: Node) -> int:
    node.ranges_made += 1
    return node.ranges_made


def _range(claimed: Claimed) -> Range:
    return Range(claimed.id, claimed.port, claimed.stream, claimed.start, claimed.stop)


def reopen_node(run: Run, name: str, ids: Sequence[str] | None, size: Callable[[Any], int]) -> int:
    """Move dead letters to the node's private stream; open the node again if it is done, and all that hangs on it."""
    node = run.node(name)
    chosen = [key for key in node.letters if ids is None or key in ids]
    if not chosen:
        return 0
    if run.status in ("failed", "cancelled"):
        raise RunError(f"run {run.spec.id!r} has {run.status}: nobody would read letters sent again; start it anew")
    private = run.private(name)
    for key in chosen:
        letter = node.letters.pop(key)
        found = msgspec.msgpack.decode(letter) if isinstance(letter, bytes) else letter
        private.append(1, found["payload"], size(found["payload"]), origin_of_letter(found))
    _open(run, name)
    if run.status == "completed":
        run.status, run.ended = "running", 0.0
        run.say("RunResumed")
    private.tell()
    run.tell("run")
    return len(chosen)


def _open(run: Run, name: str) -> None:
    node = run.node(name)
    if node.status != "done":
        return
    node.status = "waiting"
    run.left += node.spec.counts
    for _, stream, reader in run.inputs[name]:
        if stream.private:
            reader.hold = reader.usual
    for output in node.spec.outputs:
        stream = run.streams[output]
        stream.ended = False
        for (reading, _), reader in stream.readers.items():
            if not reader.has_stopped:
                _open(run, reading)
            reader.hold = reader.usual
