"""Worker processes that are killed at a moment of the run's own, and the edges as the store has them afterwards."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

import anyio
import msgspec
import redis

from datagraph.streams.keys import Keys
from datagraph.streams.records import Probe
from datagraph.streams.store import Session
from datagraph.streams.valkey import ValkeyStore
from tests.faults.flows import SHAPES, Streams, work

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["tests.faults.flows", "datagraph.streams.valkey", "anyio._backends._asyncio", "anyio._backends._trio"]
)
PATIENCE = 60.0


class Workers:
    """Processes that work on one run, and a stranger's eye on how far its streams are."""

    def __init__(
        self, url: str, shape: str, name: str, count: int, *, direct: str | None = None, **options: Any
    ) -> None:
        self.url, self.shape, self.name, self.count = url, shape, name, count
        self.processes: list[BaseProcess] = []
        self._options = options
        self._raw = redis.Redis.from_url(direct or url)
        self._run: str | None = None

    def start(self, *, fresh: bool = False) -> BaseProcess:
        """A new process, which starts the run or takes it over."""
        process = _context.Process(
            target=work, args=(self.url, self.shape, self.name, self.count, fresh), kwargs=self._options, daemon=True
        )
        process.start()
        self.processes.append(process)
        return process

    @property
    def run(self) -> str:
        """The run's id; waits until it is there."""
        end = time.monotonic() + PATIENCE
        while self._run is None:
            for ident in self._raw.zrange("dg:runs", 0, -1):
                if ident.decode().startswith(self.name):
                    self._run = ident.decode()
            if time.monotonic() > end:
                raise TimeoutError(f"no run {self.name!r} in the store")
        return self._run

    def progress(self) -> int:
        """Values written so far, over the streams that are known beforehand."""
        keys = Keys(self.run)
        with self._raw.pipeline(transaction=False) as pipe:
            for stream in SHAPES[self.shape].model(1):
                pipe.hget(keys.record(stream), "n")
            return sum(int(n or 0) for n in pipe.execute())

    def wait_for(self, values: int, process: BaseProcess) -> bool:
        """Return when so much is written; False where the process has ended before."""
        end = time.monotonic() + PATIENCE
        while self.progress() < values:
            if not process.is_alive():
                return False
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name}: {self.progress()} of {values} values after {PATIENCE} s")
        return True

    def total(self) -> int:
        """Values that there will be in the streams that `progress` counts."""
        return sum(map(len, SHAPES[self.shape].model(self.count).values()))

    def finish(self, process: BaseProcess) -> None:
        """Wait until a process has ended, and ended well."""
        process.join(PATIENCE)
        assert process.exitcode == 0, f"{self.name}: the worker ended with {process.exitcode}"

    def close(self) -> None:
        """End what is left."""
        for process in self.processes:
            process.kill()
            process.join()
        self._raw.close()


@contextmanager
def workers(url: str, shape: str, name: str, count: int, **options: Any) -> Iterator[Workers]:
    """Workers that are gone afterwards."""
    team = Workers(url, shape, name, count, **options)
    try:
        yield team
    finally:
        team.close()


def moments(seed: int, total: int, count: int) -> list[int]:
    """Random numbers of written values, in order, at which something is to happen."""
    rng = random.Random(seed)
    return sorted(rng.randrange(1, int(0.9 * total)) for _ in range(count))


async def edges(session: Session, probe: Probe) -> Streams:
    """Every stream that is an edge, whole."""
    found: Streams = {}
    for name, record in probe.streams.items():
        if name.startswith("~"):
            continue
        assert record.ended, f"{name} has not ended"
        assert record.first == 0, f"{name} was trimmed"
        codec = session.codec.bind(f"{session.run}:{name}".encode())
        values: list[object] = []
        while len(values) < record.length:
            reading = await session.read(name, len(values), 100_000)
            for frame in reading.frames:
                values += codec.decode(frame.payload)
                assert len(values) == frame.end, f"{name}: ids do not count the values"
        found[name] = values
    return found


async def exact(url: str, run: str, shape: str, count: int) -> Streams:
    """The run is completed, and every edge is byte for byte what the model says."""
    async with ValkeyStore(url) as store, store.session(run, "judge", lease=0) as session:
        probe = await session.probe()
        assert probe.run.status == "completed"
        found = await edges(session, probe)
    chosen = SHAPES[shape]
    for name, expected in chosen.model(count).items():
        assert msgspec.msgpack.encode(found[name]) == msgspec.msgpack.encode(expected), difference(
            name, found[name], expected
        )
    if chosen.check is not None:
        chosen.check(found)
    return found


def difference(name: str, found: list[object], expected: list[object]) -> str:
    """Where two lists part."""
    at = next(
        (i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), min(len(found), len(expected))
    )
    return (
        f"{name}: {len(found)} values, expected {len(expected)}; from {at} on {found[at : at + 5]}, "
        f"expected {expected[at : at + 5]}"
    )


def judge(url: str, run: str, shape: str, count: int) -> Streams:
    """`exact`, from a test that has no loop."""
    return anyio.run(exact, url, run, shape, count)
