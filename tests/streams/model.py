"""What a Hypothesis machine for the commit protocol needs: streams as plain lists, and a run to compare them with."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from anyio.from_thread import BlockingPortal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from datagraph.streams.records import NodeSpec, RunSpec, StreamSpec
from datagraph.streams.store import Session, Store
from tests.streams.kit import values_of

RUN_IDS = (f"model-{os.getpid()}-{n}" for n in itertools.count())
WORKERS = st.sampled_from([0, 1])


def sized(values: list[int]) -> int:
    """The bytes that these values count for."""
    return sum(value % 4 + 1 for value in values)


def cut(values: list[int], cuts: list[int]) -> list[tuple[int, bytes, int]]:
    """Frames of these values, as long as `cuts` says; what is left over makes the last one."""
    bounds = [0, *(end for end in itertools.accumulate(cuts) if end < len(values)), len(values)]
    parts = [values[start:stop] for start, stop in itertools.pairwise(bounds) if start < stop]
    return [(len(part), bytes(part), sized(part)) for part in parts]


@dataclass
class Reader:
    """A consumer as it must be."""

    capacity: int
    capacity_bytes: int
    hold: str = "hold"
    cursor: int = 0


@dataclass
class Stream:
    """A stream as it must be: its values and where its frames end."""

    readers: dict[str, Reader]
    values: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=lambda: [0])

    def size_at(self, cursor: int) -> int:
        return sized(self.values[: max(end for end in self.ends if end <= cursor)])

    def takes(self, frames: list[tuple[int, bytes, int]]) -> bool:
        holding = [reader for reader in self.readers.values() if reader.hold == "hold"]
        count, size = sum(f[0] for f in frames), sum(f[2] for f in frames)
        for reader in holding:
            free = reader.cursor + reader.capacity - len(self.values)
            free_bytes = self.size_at(reader.cursor) + reader.capacity_bytes - sized(self.values)
            if count and (count > free or size > free_bytes):
                return count == 1 and all(r.cursor == len(self.values) for r in holding)
        return True

    def append(self, frames: list[tuple[int, bytes, int]]) -> None:
        for _, payload, _ in frames:
            self.values += payload
            self.ends.append(len(self.values))


class Machine(RuleBasedStateMachine):
    """What both machines need: a new run on a store that is reached from this thread."""

    def __init__(
        self, store: Store, portal: BlockingPortal, nodes: tuple[NodeSpec, ...], streams: tuple[StreamSpec, ...]
    ) -> None:
        super().__init__()
        self.store, self.portal = store, portal
        self.run = next(RUN_IDS)
        self.call(store.create, RunSpec(self.run, "model", {}, nodes, streams))
        self.sessions = [self.open(0), self.open(1)]

    def call(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        async def run() -> Any:
            return await function(*args, **options)

        return self.portal.call(run)

    def open(self, worker: int) -> Any:
        session = self.portal.call(lambda: self.store.session(self.run, f"w{worker}", lease=60))
        manager = self.portal.wrap_async_context_manager(session)
        return manager, manager.__enter__()

    def session(self, worker: int) -> Session:
        return self.sessions[worker][1]

    @rule(worker=WORKERS)
    def a_worker_comes_back(self, worker: int) -> None:
        self.sessions[worker][0].__exit__(None, None, None)
        self.sessions[worker] = self.open(worker)

    def stored(self, stream: str) -> list[int]:
        return values_of(self.call(self.session(0).read, stream, 0, 10**6))

    def teardown(self) -> None:
        for manager, _ in self.sessions:
            manager.__exit__(None, None, None)
        self.call(self.store.forget, self.run)
