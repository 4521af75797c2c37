"""The store: where a run lives. Guarantees are stated here, once; `memory.py` and `valkey.py` keep them.

A `Store` is one server. A `Session` is one process's access to one run on it. Both belong to one event loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

from .codec import Codec
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
from .signals import Signals


class Store(Protocol):
    """One server that keeps runs. It says where, and never shows a password."""

    url: str
    codec: Codec

    async def __aenter__(self) -> Self:
        """Connect and check the server; StoreUnavailableError, StoreConfigError."""

    async def __aexit__(self, *exc: object) -> None:
        """Let go of the server, in the task that entered; runs stay."""

    async def create(self, spec: RunSpec) -> None:
        """Write a run down, whole or not at all; RunExistsError if its id is taken."""

    async def runs(self) -> list[RunRecord]:
        """The runs that the store still has, newest first."""

    async def find(self, name: str) -> RunRecord:
        """The run of that id, else the newest of that name; RunNotFoundError."""

    async def forget(self, run: str) -> int:
        """Delete everything of a run at once; the number of keys. A live worker's next commit is a StoreLostError."""

    def session(self, run: str, worker: str, *, lease: float = 10.0) -> Session:
        """Access to a run for the worker of that id; enter it to open it. `lease`: seconds a beat keeps it alive; 0 for
        one who only looks.
        """


class Session(Protocol):
    """One process's access to one run.

    Every call is safe to repeat and safe to cancel: what was sent and not answered is sent again with the same numbers
    and takes effect once. A connection that is cut is made again with backoff; after `give_up` seconds
    StoreUnavailableError. A run that is not in the store any more is a StoreLostError.
    """

    run: str
    worker: str
    signals: Signals
    codec: Codec

    async def __aenter__(self) -> Self:
        """Start listening for notices (in a task group of its own) and take the worker's lease; RunNotFoundError."""

    async def __aexit__(self, *exc: object) -> None:
        """Stop listening and drop the worker's lease, in the task that entered."""

    async def claim(self, node: str, *, force: bool = False) -> NodeRecord:
        """Become the owner of a node: its epoch goes up, so earlier owners are fenced.

        For a shared node the epoch stays and `seq` is this worker's own. LeaseHeldError while another owner's lease is
        alive, unless `force`. A node that is done stays done.
        """

    async def commit(self, commit: Commit) -> Committed:
        """Apply all of it or nothing.

        FencedError: the epoch or the claimed range is not this worker's any more, or the run was cancelled. A repeat
        of the last `seq` changes nothing and answers as the first did. StoreLostError: the streams and the record do
        not fit each other (the store lost a part); a `seq` that is ahead of the record after a restart of the store
        is a `RewoundError`: claim the node again. One that read beyond where its segment stops since a rewire, or a
        segment that is not the node's any more, is a `MovedError`: claim it again, too.
        Never applied: writes beyond a stream's room, except one frame of
        one value into a stream whose readers have read everything.
        """

    async def read(self, stream: str, cursor: int, limit: int) -> Reading:
        """The frames after `cursor`, the first of which may begin before it, until `limit` values or 4 MiB are found.

        With each comes, as with those of `tail`, the `origin` that its write gave.
        StreamTrimmedError where the values at `cursor` are not kept any more. Never waits.
        """

    async def tail(self, stream: str, count: int) -> Reading:
        """The frames that hold the last `count` values kept."""

    async def rooms(self, node: str, streams: Sequence[str], *, wait: bool = False) -> Committed:
        """The room in these streams; with `wait` the session is registered where there is none, in the same step."""

    async def take(self, node: str, limit: int) -> Taken:
        """Claim up to `limit` values of a shared node's input: a dead worker's range first, then the next values.

        Segments come one after the other, and none is claimed beyond where it stops.
        """

    async def hold(self, node: str, port: str, hold: Hold, *, capacity: int | None = None) -> None:
        """Change how a reader holds its stream back, or its capacity in values; wakes a writer that has room now.

        A segment that was cut holds no writer back any more, whatever is asked.
        """

    async def watch(self, stream: str) -> None:
        """Have this session's signal of the stream set whenever another worker writes or ends it."""

    async def follow(self, stream: str, cursor: int | None) -> None:
        """Hold the stream back as a reader of its own that has read up to `cursor`; None lets go.

        Such a reader has a capacity of 1,000 values and 64 MiB, and counts for room and trimming as long as this
        session's lease is alive; ValueError for a session without one. A dead one is dropped by whoever finds it.
        """

    async def grow(self, node: str, port: str, old: int, new: int) -> bool:
        """Set a capacity to `new` values, and its bytes in proportion, if it still is `old`; wakes the writer."""

    async def beat(self, report: Mapping[str, Mapping[str, Any]]) -> RunRecord:
        """Renew the lease and replace what this worker reports of its nodes (JSON-able); the run as it is now."""

    async def control(self, action: str, node: str = "") -> RunRecord:
        """ "pause", "resume" (the run, or one node), "stop" or "cancel"; every session is told at once."""

    async def rewind(self) -> RunRecord:
        """Say that the store lost what this worker knows: every node's epoch goes up, so all of them are claimed again.

        Who commits what the store cannot follow need not say so: the same is done then.
        """

    async def dismiss(self, workers: Sequence[str]) -> None:
        """End the leases of other workers for good: the ranges they claimed are free, what they commit is fenced."""

    async def fail(self, error: bytes) -> RunRecord:
        """End the run as failed from outside a node's commit."""

    async def reopen(self, node: str, ids: Sequence[str] | None = None) -> int:
        """Move dead letters (all, or those ids) to the node's private stream and open what had ended; how many."""

    async def rewire(self, change: Rewire) -> Rewired:
        """Change the wiring in one step, all of it or nothing: cuts, then struck segments, then joins, then nodes.

        A segment that is cut is read until there: kept for its reader, holding no writer back, and let go for good
        once it is read. Nodes that the new spec does not name stay until they are done. Nodes that are made fresh, or
        become shared or unshared, have a new epoch. WiringChangedError: somebody else was first. StreamTrimmedError:
        what would be read is not kept any more. RunError: the run, or a node, is not as the change needs it.
        """

    async def changes(self, limit: int = 1000) -> list[ChangeRecord]:
        """The last changes of the wiring, of which 1,000 are kept, oldest first."""

    async def ask(self, data: bytes) -> str:
        """Ask something of the processes that run the nodes; its id. The last 1,000 asks are kept."""

    async def asks(self, after: str = "") -> list[tuple[str, bytes]]:
        """What was asked after an id, as (id, data), oldest first."""

    async def answer(self, ask: str, data: bytes) -> None:
        """Answer an ask; the first answer stands. UnknownIOError where the ask is not kept (any more)."""

    async def answered(self, ask: str) -> bytes | None:
        """The answer to an ask, None where there is none (yet)."""

    async def letters(self, node: str, *, limit: int = 1000) -> list[tuple[str, bytes]]:
        """Dead letters as (id, bytes), oldest first."""

    async def log(self, node: str, lines: Sequence[str]) -> None:
        """Append to a node's log, of which the last 10,000 lines are kept."""

    async def logs(self, node: str, *, limit: int = 1000) -> list[tuple[float, str]]:
        """A node's last lines, with the server's time in seconds."""

    async def tell(self, events: Sequence[bytes]) -> None:
        """Append lifecycle events that no commit carries to the run's log."""

    async def events(self, after: str = "", *, limit: int = 1000) -> list[tuple[str, bytes]]:
        """Lifecycle events as (id, bytes) after an id, oldest first.

        The store itself tells, once each and by its own clock, that a run started, paused, went on and ended, and
        that a node started, ended and failed (the kinds of `events.model`); who commits adds what only it knows.
        """

    async def probe(self) -> Probe:
        """The whole run at one moment, in one round trip; a constant number of commands a node and stream."""
