"""A run whose process is gone is taken up by another one: nothing is lost and nothing repeated."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

import datagraph as dg
from datagraph import IO, OPEN, Context, Flow, Supervisor
from tests.flow.processes import script

pytestmark = pytest.mark.anyio

LEASE = 0.6
COUNT = 4000


@dg.processor
def double(n: int) -> int:
    return 2 * n


@dg.processor(state="context", inputs=["double"], outputs=["total"])
async def total(double: IO[int], ctx: Context) -> AsyncIterator[int]:
    ctx.state.setdefault("sum", 0)
    async for value in double:
        ctx.state["sum"] += value
        yield ctx.state["sum"]


@dg.processor(inputs=["double"], outputs=["seen"])
async def seen(double: IO[int]) -> AsyncIterator[int]:
    count = 0
    async for _ in double:
        count += 1
        yield count


def flow() -> Flow:
    """Something of each kind: per value, checkpointed, replayed."""
    return Flow(double, total, seen, name="threefold", keep="all", capacity=500)


DYING = """
    attach(lease=0.6)
    from tests.flow.test_recover import flow
    run = flow().start({"n": FEED})
    print(run.id, flush=True)
    reader = run["seen"].stream(hold=True)
    for _ in range(300): next(reader)
    DIE
"""


@pytest.fixture
def url(valkey_url: str, anyio_backend: str) -> Iterator[str]:
    """A real Valkey, with a supervisor of this process on it, on each event loop."""
    Supervisor.attach(valkey_url, backend=anyio_backend, lease=LEASE)
    yield valkey_url
    Supervisor.detach()


def left_by(tmp_path: Path, url: str, backend: str, *, feed: str = f"range({COUNT})", die: str = "os._exit(9)") -> str:
    """The id of a run that a process began and left when it died."""
    code = DYING.replace("FEED", feed).replace("DIE", die)
    with script(tmp_path, code, url, backend) as process:
        name = process.line()
        if die == "kill":
            process.kill(signal.SIGKILL)
        process.end()
    return name


def recover_when_lapsed(name: str, again: Flow, inputs: object, **options: object) -> dg.Run:
    """Wait for the dead worker's lease, as its error says to."""
    while True:
        try:
            return dg.recover(name, again, inputs, **options)  # type: ignore[arg-type]
        except dg.LeaseHeldError:
            continue


def check(run: dg.Run, count: int = COUNT) -> None:
    """Every edge holds exactly what an undisturbed run would have put there."""
    run.join()
    doubles = [2 * n for n in range(count)]
    sums = [n * (n + 1) for n in range(count)]
    assert run["n"].to_list() == list(range(count))
    assert run["double"].to_list() == doubles
    assert run["total"].to_list() == sums
    assert run["seen"].to_list() == list(range(1, count + 1))


@pytest.mark.parametrize("die", ["os._exit(9)", "time.sleep(60)", "sys.exit(0)"], ids=["exit", "SIGKILL", "leaves"])
def test_a_run_goes_on_after_its_process_died(url: str, tmp_path: Path, anyio_backend: str, die: str) -> None:
    """Stateless, checkpointed and replayed nodes and the feeder all end as if nothing had happened."""
    if die.startswith("time"):
        with script(tmp_path, DYING.replace("FEED", f"range({COUNT})").replace("DIE", die), url, anyio_backend) as it:
            name = it.line()
            reader = iter(dg.attach_run(name)["seen"])
            for _ in range(100):
                next(reader)
            it.kill()
            it.end()
    else:
        name = left_by(tmp_path, url, anyio_backend, die=die)
    check(recover_when_lapsed(name, flow(), {"n": range(COUNT)}))


def test_an_open_input_is_open_again(url: str, tmp_path: Path, anyio_backend: str) -> None:
    """What was sent before counts; the rest is sent from here."""
    die = 'run["n"].send_many(list(range(300, 500))); os._exit(9)'
    feed = "OPEN}); run['n'].send_many(list(range(300))); ({'n': 1"
    name = left_by(tmp_path, url, anyio_backend, feed=feed, die=die)
    run = recover_when_lapsed(name, flow(), {"n": OPEN})
    stored = len(run["n"])
    assert stored == 500
    run["n"].send_many(list(range(stored, 600)))
    run["n"].complete()
    check(run, 600)


async def test_an_async_iterable_given_again_skips_what_is_stored(url: str, tmp_path: Path, anyio_backend: str) -> None:
    """It is read in this loop, from the first value that the store does not have."""
    name = await anyio.to_thread.run_sync(left_by, tmp_path, url, anyio_backend)

    async def numbers() -> AsyncIterator[int]:
        for n in range(COUNT):
            yield n

    while True:
        try:
            run = dg.recover(name, flow(), {"n": numbers()})
            break
        except dg.LeaseHeldError:
            await anyio.sleep(0.02)
    await run
    check(run)


def test_force_takes_over_from_who_is_alive(url: str, tmp_path: Path, anyio_backend: str) -> None:
    """Without it the error says that somebody is; with it the other one is fenced and this one ends the run."""
    code = DYING.replace("FEED", f"range({COUNT})").replace(
        "DIE", "run.pause(); print('paused', flush=True); time.sleep(60)"
    )
    with script(tmp_path, code.replace("for _ in range(300)", "for _ in range(50)"), url, anyio_backend) as process:
        name = process.line()
        assert process.line() == "paused"
        with pytest.raises(dg.LeaseHeldError, match="force=True"):
            dg.recover(name, flow(), {"n": range(COUNT)})
        run = dg.recover(name, flow(), {"n": range(COUNT)}, force=True)
        run.resume()
        check(run)


def test_who_only_looks_is_no_reason_to_wait(url: str, tmp_path: Path, anyio_backend: str) -> None:
    """A process that attached to the run, and even one that holds it back, does not own it."""
    name = left_by(tmp_path, url, anyio_backend)
    looker = dg.attach_run(name)
    assert next(looker["double"].stream(hold=True)) == 0
    check(recover_when_lapsed(name, flow(), {"n": range(COUNT)}))


def test_what_cannot_be_recovered_says_why(url: str, tmp_path: Path, anyio_backend: str) -> None:
    """Another flow, an input that is missing, a run that is over, one that is not there."""
    name = left_by(tmp_path, url, anyio_backend, die="sys.exit(0)")
    with pytest.raises(dg.GraphError, match="total"):
        dg.recover(name, Flow(double), {"n": range(COUNT)})
    with pytest.raises(dg.NotResumableError, match="'n'"):
        dg.recover(name, flow())
    with pytest.raises(ValueError, match="no setting 'by'"):
        dg.recover(name, flow(), {"n": range(COUNT)}, settings={"double": {"by": 1}})
    check(recover_when_lapsed(name, flow(), {"n": range(COUNT)}))
    with pytest.raises(dg.RunError, match="completed"):
        dg.recover(name, flow())
    with pytest.raises(dg.RunNotFoundError, match="never"):
        dg.recover("never", flow())


def test_a_replay_that_comes_out_differently_is_an_error(url: str, tmp_path: Path, anyio_backend: str) -> None:
    """Never a wrong result: the checksum tells."""
    name = left_by(tmp_path, url, anyio_backend)

    @dg.processor(name="seen", inputs=["double"], outputs=["seen"])
    async def other(double: IO[int]) -> AsyncIterator[int]:
        async for value in double:
            yield value + 1

    run = recover_when_lapsed(
        name, Flow(double, total, other, name="threefold", keep="all", capacity=500), {"n": range(COUNT)}
    )
    with pytest.raises(dg.NonDeterministicError, match="'seen'"):
        run.join()
