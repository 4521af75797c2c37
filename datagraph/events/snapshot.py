"""What a run looks like at one moment: the one model that tables, pictures and the view are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Waiting = Literal["", "writer", "reader", "both", "closed"]


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node at one moment.

    `busy`, `starved` and `blocked` are shares of its time over the window, working, waiting for input and waiting for
    room; they sum to 1, or are all 0 where nothing is known yet. `read` and `written` count values since the start of
    the run; `rate` is values read (for a source: written) a second. `waits_for` names the port or stream it waits for
    right now, or "breakpoint:<edge>". `cpu` is processor time over the same time, above 1 where calls compute side by
    side, None where nobody knows; `loop` is the share in which it held its worker's event loop.
    """

    name: str
    status: str = "waiting"
    busy: float = 0.0
    starved: float = 0.0
    blocked: float = 0.0
    read: int = 0
    written: int = 0
    rate: float = 0.0
    workers: int = 1
    concurrency: int = 1
    errors: int = 0
    retries: int = 0
    skipped: int = 0
    dead_letters: int = 0
    version: int = 1
    paused: bool = False
    resumable: bool = True
    waits_for: str = ""
    error: str = ""
    cpu: float | None = None
    loop: float = 0.0

    @property
    def at_breakpoint(self) -> bool:
        """Whether a breakpoint holds a value that it waits for."""
        return self.waits_for.startswith("breakpoint:")


@dataclass(frozen=True, slots=True)
class BreakpointState:
    """A breakpoint at one moment: its condition as text, how many values it has held, and what it holds now.

    `position` is that of the value in `stream`, None where nothing is held, and `value` a short text of it. `error`
    says what its condition raised, if it did: then it holds nothing more.
    """

    condition: str
    hits: int = 0
    position: int | None = None
    stream: str = ""
    value: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class EdgeState:
    """An edge at one moment; its name is `graph.Edge.name`.

    `written`, `read` and `lag` (written minus read) are values, `size` the bytes that wait. `capacity` is None where
    nothing holds the writer back; `fill` is lag over capacity, in values or in bytes, whichever is fuller.
    `rate_in` and `rate_out` are values a second over the window; `seconds_to_full` and `seconds_to_drained` follow
    from them, None where neither will come. `waiting` says who waits on this edge: its writer for room, its reader for
    values, both, nobody (""), or that it is "closed" (ended and read to the end). `breakpoint` is the one at its
    reader.
    """

    name: str
    stream: str
    source: str
    target: str
    written: int = 0
    read: int = 0
    lag: int = 0
    size: int = 0
    capacity: int | None = None
    fill: float = 0.0
    rate_in: float = 0.0
    rate_out: float = 0.0
    seconds_to_full: float | None = None
    seconds_to_drained: float | None = None
    waiting: Waiting = ""
    ended: bool = False
    breakpoint: BreakpointState | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at the time `at` (seconds since the epoch, the server's clock); `edits` counts the changes to take back."""

    run: str
    name: str
    at: float
    status: str = "running"
    paused: bool = False
    stopping: bool = False
    elapsed: float = 0.0
    nodes: Mapping[str, NodeState] = field(default_factory=dict)
    edges: Mapping[str, EdgeState] = field(default_factory=dict)
    workers: int = 0
    error: str = ""
    sentence: str = ""
    bottleneck: str = ""
    edits: int = 0
