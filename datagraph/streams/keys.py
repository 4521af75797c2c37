"""Every key that datagraph keeps in a store. All of a run's share one hash tag, so a run stays on one slot.

======================  ==========================================================================================
``dg:runs``             sorted set: run ids by the time they were created; pruned when it is listed
``dg:{<run>}:run``      hash: the spec, status, what is paused, counting nodes not done, error, times, expiries
``...:s:<stream>``      stream: one entry a frame, id ``<values up to its end>-0``, fields c (count) and p (payload);
                        the end of the stream is an entry ``<values>-1`` of count 0
``...:t:<stream>``      hash: n (values), b (bytes), x (entries), first (position kept), readers, who waits
``...:n:<node>``        hash: epoch, owner, status, segments read, resume cursors, marks, counters, ranges in hand
``...:m:<node>``        hash: what may be large: state, values looked at
``...:out:<node>``      stream: what the node printed
``...:dead:<node>``     stream: dead letters
``...:log``             stream: lifecycle events
``...:edits``           stream: changes of the wiring, fields v (version), p (note), n (nonce), r (positions found)
``...:asks``            stream: what other processes ask of those that run the nodes
``...:answers``         hash: id of an ask -> its answer
``...:sessions``        hash: worker -> when its lease ends (milliseconds of the server's clock; 0: it only looks)
``...:reports``         hash: worker -> what it reports of its nodes, as JSON
``...:inbox:<worker>``  stream: notices to one session; expires by itself a minute after the session's last sign
``...:clock``           stream: its ids tell the time to users who may not call TIME
======================  ==========================================================================================
"""

from __future__ import annotations

from typing import Final

from ..exceptions import InvalidNameError

INDEX: Final = "dg:runs"
LONGEST: Final = 128


class Keys:
    """The keys of one run; InvalidNameError for an id that cannot be a hash tag."""

    __slots__ = ("_prefix", "answers", "asks", "clock", "edits", "log", "reports", "run", "sessions")

    def __init__(self, run: str) -> None:
        wrong = sorted({character for character in run if character in "{}" or not character.isprintable()})
        if not run or wrong or len(run) > LONGEST:
            why = f"it has {', '.join(map(repr, wrong))}" if wrong else f"it has {len(run)} characters"
            raise InvalidNameError(
                f"a run's id is 1 to {LONGEST} printable characters without braces; got {run[:40]!r}: {why}"
            )
        self._prefix = prefix = f"dg:{{{run}}}:"
        self.run = f"{prefix}run"
        self.log = f"{prefix}log"
        self.edits = f"{prefix}edits"
        self.asks = f"{prefix}asks"
        self.answers = f"{prefix}answers"
        self.clock = f"{prefix}clock"
        self.sessions = f"{prefix}sessions"
        self.reports = f"{prefix}reports"

    def stream(self, name: str) -> str:
        """The frames of a stream."""
        return f"{self._prefix}s:{name}"

    def record(self, name: str) -> str:
        """The record of a stream."""
        return f"{self._prefix}t:{name}"

    def node(self, name: str) -> str:
        """The record of a node."""
        return f"{self._prefix}n:{name}"

    def output(self, node: str) -> str:
        """What a node printed."""
        return f"{self._prefix}out:{node}"

    def letters(self, node: str) -> str:
        """A node's dead letters."""
        return f"{self._prefix}dead:{node}"

    def inbox(self, worker: str) -> str:
        """The notices to one worker's session."""
        return f"{self._prefix}inbox:{worker}"
