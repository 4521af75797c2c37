"""The one poller of a run: what it keeps, whom it tells, and what it does while the store is away."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import datagraph as dg
from datagraph import Supervisor
from datagraph.events.journal import Journal
from datagraph.events.snapshot import Snapshot
from datagraph.graph.model import Graph
from datagraph.observe.watch import STILL_HZ, Message, Subscription, Watcher
from datagraph.streams.server import Server
from tests.flow.processes import script
from tests.observe.hearing import PATIENCE, Hearing


@dg.processor
def double(n: int) -> int:
    return 2 * n


@dg.processor(on_error="dead_letter")
def picky(n: int) -> int:
    if n in refused:
        raise ValueError(n)
    return n


refused: set[int] = set()


@pytest.fixture
def going(in_memory: Supervisor) -> Iterator[dg.Run]:
    """A run that goes on until it is told otherwise."""
    run = dg.Flow(double).start({"n": dg.OPEN})
    yield run
    run.cancel()


def subscribe(run: dg.Run, hearing: Hearing, hz: float = 10.0) -> Subscription:
    async def inside() -> Subscription:
        return run.subject.watcher.subscribe(hearing, hz)

    return run.subject.spawn(inside).result(PATIENCE)


def test_a_run_has_its_history_without_anybody_looking(in_memory: Supervisor) -> None:
    """It is watched from its start to its end; the last moment says how it ended."""
    run = dg.Flow(double).start({"n": dg.OPEN})
    watcher = run.subject.watcher
    deadline = time.monotonic() + PATIENCE
    while watcher.polls < 3 and time.monotonic() < deadline:
        run["n"].send(1)
    run.stop()
    frame = run.history()
    assert watcher.polls >= 3
    assert frame["elapsed"].iloc[0] < 0.5
    last = frame[(frame["at"] == frame["at"].max()) & (frame["name"] == "double")].iloc[0]
    assert (last["status"], last["read"]) == ("done", len(run["n"]))


def test_a_short_run_is_looked_at_once(in_memory: Supervisor) -> None:
    """What is over before anybody could look costs one look, at its end."""
    run = dg.Flow(double).start({"n": [1, 2, 3]}).join(progress=False)
    frame = run.history()
    assert run.subject.watcher.polls == 1
    assert list(frame[frame["kind"] == "edge"]["written"]) == [3, 3]


def test_looking_makes_it_look_more_often(going: dg.Run) -> None:
    """Ten times a second while somebody looks, twice when nobody does any more."""
    hearing = Hearing()
    subscription = subscribe(going, hearing)
    hearing.wait_for("tick", 12)
    times = [tick["at"] for tick in hearing.ticks()[1:]]
    assert 0.05 < (times[-1] - times[0]) / (len(times) - 1) < 0.3
    subscription.end()
    slow = Hearing()
    subscribe(going, slow, 0.0)
    slow.wait_for("tick", 4)
    times = [tick["at"] for tick in slow.ticks()[1:]]
    assert times[-1] - times[0] > 0.7


def test_many_who_look_share_one_poller(going: dg.Run) -> None:
    """Five subscribers see the same moments, and the run is asked as often as for one of them."""
    hearings = [Hearing() for _ in range(5)]
    for hearing in hearings:
        subscribe(going, hearing)
    before, began = going.subject.watcher.polls, time.monotonic()
    for hearing in hearings:
        hearing.wait_for("tick", 8)
    polls = going.subject.watcher.polls - before
    assert polls <= 3 + 10 * (time.monotonic() - began)
    seen = [{tick["at"] for tick in hearing.ticks()} for hearing in hearings]
    assert len(set.intersection(*seen)) >= 6


def test_a_run_in_which_nothing_moves_is_looked_at_half_as_often(going: dg.Run) -> None:
    """After a second without a value; one that comes is seen all the same."""
    hearing, watcher = Hearing(), going.subject.watcher
    subscribe(going, hearing)
    hearing.wait_for("tick", 16)
    before, began = watcher.polls, time.monotonic()
    hearing.wait_for("tick", 26)
    assert watcher.polls - before <= 2 + STILL_HZ * (time.monotonic() - began)
    going["n"].send(4)
    while hearing.ticks()[-1]["e"][0][0] == 0:
        hearing.wait_for("tick", len(hearing.of("tick")) + 1)


def test_a_slow_looker_is_told_less_often(going: dg.Run) -> None:
    """Who asks for two ticks a second does not get ten because another one does."""
    quick, slow = Hearing(), Hearing()
    subscribe(going, quick)
    subscribe(going, slow, 2.0)
    quick.wait_for("tick", 16)
    assert 2 <= len(slow.of("tick")) <= 6


def test_the_end_is_told_after_the_last_tick(going: dg.Run) -> None:
    """First what the run came to, then that there is nothing more."""
    hearing = Hearing()
    subscribe(going, hearing)
    going["n"].send_many([1, 2, 3])
    going.stop()
    hearing.wait_for("ended")
    assert [message["kind"] for message in hearing.messages][-2:] == ["tick", "ended"]
    last = hearing.ticks()[-1]
    assert (last["status"], last["e"][0][0]) == ("completed", 3)


def test_a_run_that_goes_on_is_watched_again(in_memory: Supervisor) -> None:
    """Dead letters that are sent again reopen an ended run; who looks sees that, and its second end."""
    refused.add(2)
    run = dg.Flow(picky).start({"n": [1, 2, 3]})
    hearing = Hearing()
    subscribe(run, hearing)
    run.join(progress=False)
    hearing.wait_for("ended")
    refused.clear()
    assert run.dead_letters("picky").resend() == 1
    hearing.wait_for("ended", 2)
    assert hearing.ticks()[-1]["e"][1][0] == 3
    run.cancel()


def test_a_broken_looker_is_told_nothing_more(going: dg.Run, caplog: pytest.LogCaptureFixture) -> None:
    """What it raises is logged once; the others, and the run, are served as before."""

    class Broken(Hearing):
        def __call__(self, message: Message) -> None:
            super().__call__(message)
            raise RuntimeError("no paper")

    broken, sound = Broken(), Hearing()
    subscribe(going, broken)
    subscribe(going, sound)
    sound.wait_for("tick", 13)
    going["n"].send(1)
    assert len(broken.messages) == 10
    assert sum("failed to take" in record.message for record in caplog.records) == 1


def test_a_process_that_only_attaches_watches_when_asked(valkey_url: str, tmp_path: Path) -> None:
    """The history of another process's run begins with the first question, and knows its end."""
    Supervisor.attach(valkey_url, lease=2)
    code = """
        attach(lease=2)
        run = Flow(double).start({"n": OPEN})
        run["n"].send_many(list(range(10)))
        print(run.id, flush=True)
        run.join()
    """
    try:
        with script(tmp_path, code, valkey_url, "asyncio") as owner:
            run = dg.attach_run(owner.line())
            assert run._local._watcher.polls == 0
            hearing = Hearing()
            subscribe(run, hearing)
            hearing.wait_for("tick", 3)
            run.stop(timeout=PATIENCE)
            hearing.wait_for("ended")
            assert owner.end()[0] == 0
        assert run.history()["written"].max() == 10
    finally:
        Supervisor.detach()


def test_a_store_that_is_killed_is_told_as_stale_and_comes_back(tmp_path: Path, anyio_backend: str) -> None:
    """While it is away, once a second: since when, and why; then ticks again, and the run ends as it should."""
    with Server(tmp_path, aof=True) as server:
        Supervisor.attach({"url": server.url}, backend=anyio_backend)
        try:
            run = dg.Flow(double).start({"n": dg.OPEN})
            run["n"].send(1)
            hearing = Hearing()
            subscribe(run, hearing)
            hearing.wait_for("tick", 2)
            server.kill()
            stale = hearing.wait_for("stale", 2)
            assert stale["seconds"] > 1
            assert stale["reason"]
            before = len(hearing.of("tick"))
            server.start()
            hearing.wait_for("tick", before + 3)
            run["n"].send(2)
            run.stop()
            hearing.wait_for("ended")
            assert hearing.ticks()[-1]["e"][0][0] == 2
        finally:
            Supervisor.instance.detach()


def test_a_store_that_hangs_is_told_as_stale(tmp_path: Path) -> None:
    """A server that answers nothing is no error, and is seen all the same."""
    with Server(tmp_path, aof=False) as server:
        Supervisor.attach({"url": server.url})
        try:
            run = dg.Flow(double).start({"n": dg.OPEN})
            hearing = Hearing()
            subscribe(run, hearing)
            hearing.wait_for("tick", 2)
            server.pause()
            assert hearing.wait_for("stale")["reason"] == "the store does not answer"
            server.unpause()
            hearing.wait_for("tick", len(hearing.of("tick")) + 1)
            run.cancel()
        finally:
            server.unpause()
            Supervisor.instance.detach()


@pytest.fixture
async def answers(anyio_backend: str) -> AsyncIterator[tuple[Watcher, anyio.Semaphore]]:
    """A watcher of something that answers only when it is let: once for each release of the semaphore."""
    let = anyio.Semaphore(0)
    asked = 0

    async def see() -> Snapshot:
        nonlocal asked
        asked += 1
        await let.acquire()
        return Snapshot("r", "r", float(asked))

    never = anyio.Event()
    watcher = Watcher(Journal(Graph()), see=see, over=lambda: False, wake=lambda: never, soon=lambda f: f())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watcher.serve)
        yield watcher, let
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_slow_answer_is_waited_for_and_nothing_is_made_up(
    answers: tuple[Watcher, anyio.Semaphore],
) -> None:
    """While one look is on its way no other is asked for, and afterwards what was missed is not caught up with."""
    watcher, let = answers
    hearing = Hearing()
    watcher.subscribe(hearing)
    with anyio.fail_after(PATIENCE):
        while not hearing.of("stale"):
            await anyio.wait_all_tasks_blocked()
            await anyio.sleep(0.01)
    assert watcher.polls == 0
    let.release()
    with anyio.fail_after(PATIENCE):
        while watcher.polls < 1:
            await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()
    assert [tick["at"] for tick in hearing.ticks()] == [1.0]
