"""What goes between the Valkey store and its scripts: arguments packed, answers read. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

import msgspec
from redis.exceptions import ResponseError

from ..exceptions import (
    CodecError,
    DatagraphError,
    FencedError,
    InternalError,
    LeaseHeldError,
    MovedError,
    ReadOnlyIOError,
    RewoundError,
    RunError,
    StoreError,
    StoreLostError,
    UnknownIOError,
)
from .codec import Codec
from .records import (
    Commit,
    Frame,
    Hold,
    NodeRecord,
    ReaderRecord,
    Room,
    RunRecord,
    RunSpec,
    Segment,
    StreamRecord,
    StreamSpec,
    inputs_of,
)
from .refusals import unasked
from .text import short

STATE: Final = (
    "status",
    "paused",
    "stopping",
    "paused_nodes",
    "error",
    "created",
    "ended",
    "rewound",
    "wiring",
    "asked",
)
_FIELDS: Final = ([b"c", b"p", b"o"], [b"c", b"p"])
HOLDS: Final[tuple[Hold, ...]] = ("free", "hold", "open")

pack: Final = msgspec.msgpack.Encoder().encode
unpack: Final = msgspec.msgpack.decode
_spec_decoder: Final = msgspec.json.Decoder(RunSpec)


def pack_spec(spec: RunSpec, nonce: str, ttl: int, ended_ttl: int) -> list[Any]:
    """The arguments of the create script."""
    structure = (pack_nodes(spec), pack_streams(spec.streams), int(spec.paused), ttl, ended_ttl, spec.name)
    return [msgspec.json.encode(spec), nonce, pack(structure)]


def pack_nodes(spec: RunSpec) -> list[Any]:
    """The nodes of a run as the scripts take them."""
    return [
        (
            node.name,
            inputs_of(spec, node),
            node.outputs,
            ("ordered" if node.ordered else "any") if node.shared else "own",
            int(node.counts),
        )
        for node in spec.nodes
    ]


def pack_streams(streams: Sequence[StreamSpec]) -> list[Any]:
    """Streams as the scripts take them."""
    return [
        (
            stream.name,
            stream.writer,
            int(stream.private),
            stream.keep,
            [
                (r.node, r.port, 0, 0, r.capacity, r.capacity_bytes, HOLDS.index(r.hold), HOLDS.index(r.hold))
                for r in stream.readers
            ],
        )
        for stream in streams
    ]


def unpack_spec(data: bytes) -> RunSpec:
    """The spec that a run was created with; StoreError where it is not one."""
    try:
        return _spec_decoder.decode(data)
    except msgspec.DecodeError as error:
        raise StoreError(
            f"what the store has of the run cannot be read ({error}): it is damaged, or a newer datagraph wrote it"
        ) from error


def pack_commit(commit: Commit, worker: str) -> list[Any]:
    """The arguments of the commit script: its structure, then everything that is only bytes, in order."""
    payloads: list[Any] = []
    writes = []
    for stream, base, frames, mark, end, origin in commit.writes:
        # A checksum has 64 bits, and the server's numbers 53: it travels as text.
        counts, sizes = [f[0] for f in frames], [f[2] for f in frames]
        writes.append((stream, base, end, f"{mark[0]} {mark[1]}", counts, sizes, bool(origin)))
        if origin:
            payloads.append(origin)
        payloads += [f[1] for f in frames]
    has_state = commit.safe and commit.state is not None
    structure = pack(
        (
            commit.node,
            commit.epoch,
            commit.seq,
            worker,
            commit.safe,
            commit.status or "",
            commit.claim or 0,
            commit.upto,
            writes,
            commit.reads,
            commit.counters,
            len(commit.letters),
            len(commit.events),
            list(commit.looked),
            has_state,
        )
    )
    args = [structure, *payloads, *commit.letters, *commit.events, *commit.looked.values()]
    if has_state:
        args.append(commit.state)
    if commit.status:
        args.append(commit.error)
    return args


def rooms_of(reply: Sequence[Any], streams: Sequence[str]) -> dict[str, Room]:
    """The rooms at the end of an answer, in the order in which the streams were asked for."""
    return {name: Room(*reply[2 + 3 * i : 5 + 3 * i]) for i, name in enumerate(streams)}


def refusal(run: str, node: str, worker: str, reply: Sequence[Any]) -> DatagraphError | ValueError:
    """The error for a script's answer that is not OK."""
    code, why = reply[0].decode(), reply[1].decode() if len(reply) > 1 else ""
    of_node = f"node {node!r} of run {run!r}" if node else f"run {run!r}"
    match code:
        case "GONE":
            return lost_run(run)
        case "UNKNOWN":
            return UnknownIOError(f"run {run!r} has no {why}; its graph says what it has")
        case "UNASKED":
            return unasked(run, why)
        case "READONLY":
            return ReadOnlyIOError(f"{why!s}, not by {node!r} (run {run!r})")
        case "FENCED":
            return FencedError(f"worker {worker!r} may not write for {of_node} any more: {why}; it must stop")
        case "HELD":
            return LeaseHeldError(
                f"{of_node} belongs to worker {why!r}, which is alive; stop it, wait until its lease has lapsed, or "
                f"claim with force=True"
            )
        case "REWOUND":
            return RewoundError(
                f"{of_node}: {why}; the store went back in time, or the node was changed: claim the node again and "
                f"go on from there"
            )
        case "MOVED":
            return MovedError(f"{of_node}: {why}; the run was rewired: claim the node again and go on from there")
        case "LOST":
            return StoreLostError(f"{of_node}: {why}; the store has lost a part of the run: start it again")
        case "VALUE":
            return ValueError(f"{of_node}: {why}")
        case "ENDED":
            return RunError(f"run {run!r} has {why}: nobody would read letters sent again; start it anew")
        case _:
            return InternalError(f"a script answered {code!r} ({why}) about {of_node}; please report it")


def lost_run(run: str) -> StoreLostError:
    """The error for a run that was there and is not any more."""
    return StoreLostError(
        f"run {run!r} is not in the store any more: did the store restart without persistence, or was the run "
        f"forgotten?"
    )


def raise_meaning(error: ResponseError, run: str) -> NoReturn:
    """Raise what a server's own error means here."""
    if "WRONGTYPE" in str(error):
        raise StoreLostError(
            f"a key of run {run!r} holds something else than datagraph wrote ({error}): does another program "
            f"use 'dg:' keys?"
        ) from error
    raise InternalError(f"the server refused a command about run {run!r}: {error}; please report it") from error


def run_record(spec: RunSpec, state: Sequence[bytes]) -> RunRecord:
    """A run from its spec and the values of the fields `STATE`."""
    status, paused, stopping, paused_nodes, error, created, ended, rewound, wiring, asked = state
    return RunRecord(
        id=spec.id,
        name=spec.name,
        status=status.decode(),  # type: ignore[arg-type]
        graph=spec.graph,
        nodes=spec.nodes,
        meta=spec.meta,
        paused=paused == b"1",
        stopping=stopping == b"1",
        paused_nodes=frozenset(unpack(paused_nodes) if paused_nodes else ()),
        error=error,
        created=int(created) / 1000,
        ended=int(ended) / 1000,
        rewound=int(rewound or 0) / 1000,
        wiring=int(wiring or 0),
        asked=int(asked or 0),
    )


def pairs(flat: Sequence[Any]) -> dict[Any, Any]:
    """A dict from keys and values in turn."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def node_record(
    name: str,
    fields: Mapping[bytes, bytes],
    memory: Mapping[bytes, bytes],
    reads: Mapping[str, tuple[int, int]],
    lengths: Mapping[str, int],
    stops: Mapping[str, int | None],
    *,
    worker: str | None = None,
    report: Mapping[str, Any] | None = None,
) -> NodeRecord:
    """A node from its two hashes and what its streams say of it; its `seq` is that of `worker`, or of the owner.

    `stops`: where its segments stop.
    """
    seq = b"seq:" + (fields[b"owner"] if worker is None else worker.encode())
    cursors = dict.fromkeys(reads, (0, 0))
    counters = {}
    for key, value in fields.items():
        if key[:2] == b"c:":
            cursors[key[2:].decode()] = _two(value)
        elif key[:1] == b"+":
            counters[key[1:].decode()] = int(value)
    marks = dict.fromkeys(lengths, (0, 0))
    if fields.get(b"marks"):
        marks |= {stream: _two(text) for stream, text in unpack(fields[b"marks"]).items()}
    return NodeRecord(
        name=name,
        epoch=int(fields[b"epoch"]),
        seq=int(fields.get(seq, 0)),
        owner=fields[b"owner"].decode(),
        status=fields[b"status"].decode(),  # type: ignore[arg-type]
        cursors=cursors,
        reads=reads,
        marks=marks,
        lengths=lengths,
        state=memory.get(b"state"),
        looked={key[2:].decode(): value for key, value in memory.items() if key[:2] == b"l:"},
        counters=counters,
        report=report or {},
        error=fields.get(b"error", b""),
        segments=tuple(Segment(port, stream, stops.get(port)) for port, stream in unpack(fields[b"in"])),
    )


def _two(text: bytes | str) -> tuple[int, int]:
    first, second = text.split()
    return int(first), int(second)


def stream_record(name: str, fields: Mapping[bytes, bytes]) -> StreamRecord:
    """A stream from its hash."""
    return StreamRecord(
        name=name,
        length=int(fields[b"n"]),
        size=int(fields[b"b"]),
        first=int(fields[b"first"]),
        ended=fields[b"ended"] == b"1",
        readers={
            (node, port): ReaderRecord(cursor, size, capacity, capacity_bytes, HOLDS[hold], stop_of(more), *more[1:])
            for node, port, cursor, size, capacity, capacity_bytes, hold, _, *more in unpack(fields[b"r"])
        },
        blocked=tuple(unpack(fields[b"blocked"])) if fields.get(b"blocked") else (),
    )


def stop_of(more: Sequence[int]) -> int | None:
    """Where a reader stops: -1 and nothing both mean nowhere."""
    return more[0] if more and more[0] >= 0 else None


def frame_of(entry: Any, codec: Codec) -> Frame | None:
    """The frame in a stream's entry; None for an end mark."""
    ident, fields = entry
    if ident[-2:] != b"-0":
        return None
    if fields[::2] not in _FIELDS:
        raise CodecError(
            f"the entry {ident.decode()} holds {short(fields)} and no frame: it was not written by datagraph; does "
            f"another program use 'dg:' keys?"
        )
    payload = fields[3]
    return Frame(int(ident[:-2]), int(fields[1]), payload, codec.size(payload), fields[5] if len(fields) > 4 else b"")
