"""What a node is to do: the engine's own picture of a processor, whichever door it came through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from .context import Context
from .retry import Retry

Shape = Literal["stream", "value", "batch"]
Flavour = Literal["asyncgen", "coroutine", "generator", "function", "values"]
OnError = Literal["fail", "dead_letter", "skip", "pause"]
StateMode = Literal["locals", "context", "none"]


class Prepare(Protocol):
    """Makes the callable of one node of one run: dependencies solved, settings filled in."""

    async def __call__(self, stack: AsyncExitStack, context: Context, /) -> Callable[..., Any]: ...


@dataclass(frozen=True, slots=True)
class Work:
    """One node's orders. `inputs` are (port, stream) in the order in which the callable takes them.

    `flavour` "values": the callable returns an iterable that never blocks, to be put out as it is. `shape` says what
    the callable takes: streams, one value of each input, or a list of values. `private` is the stream that brings dead
    letters back. `replays`: a restart without a resume point begins again from the first value,
    and what was written before is dropped; False where the function itself goes on after what is stored. `sheds`: when
    the run is stopped, what it has put out and is not stored yet is let go. `timeout` is seconds an attempt, `rate`
    attempts a second over all workers.
    """

    name: str
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[str, ...]
    shape: Shape
    flavour: Flavour
    prepare: Prepare
    concurrency: int = 1
    workers: int = 1
    ordered: bool = True
    wait: bool = False
    retry: Retry = field(default_factory=lambda: Retry(0))
    timeout: float | None = None
    rate: float | None = None
    on_error: OnError = "fail"
    state: StateMode = "locals"
    batch_size: int = 1
    batch_within: float | None = None
    batch_frame: bool = False
    uses_context: bool = False
    replays: bool = True
    sheds: bool = False
    private: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""

    @property
    def threaded(self) -> bool:
        """Whether the function runs in a worker thread."""
        return self.flavour in {"generator", "function"}

    @property
    def resumes(self) -> bool:
        """Whether safe points move the resume point; else a crash replays from the start."""
        return self.shape != "stream" or self.state != "locals"
