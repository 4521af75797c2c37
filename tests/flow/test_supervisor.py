"""The supervisor: attaching, detaching, starting from anywhere, and leaving without a trace."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import redis

import datagraph as dg
from datagraph import OPEN, Flow, LocalExecutor, Supervisor
from tests.flow.processes import script

pytestmark = pytest.mark.anyio


@dg.processor
def double(n: int) -> int:
    return 2 * n


@dg.processor
async def where(n: int) -> str:
    import sniffio

    return sniffio.current_async_library()


@pytest.fixture(autouse=True)
def _detached() -> Iterator[None]:
    yield
    Supervisor.detach()


# -- attaching -----------------------------------------------------------------------------------------------------


def test_equal_settings_are_the_same_supervisor(valkey_url: str) -> None:
    """Attaching again, as a cell that is run twice does, changes nothing and keeps its runs."""
    first = Supervisor.attach({"url": valkey_url}, LocalExecutor(), lease=3)
    run = Flow(double).start({"n": OPEN})
    assert Supervisor.attach({"url": valkey_url}, executor=LocalExecutor(), lease=3) is first
    assert Supervisor.attach(valkey_url, lease=3.0) is first is Supervisor.instance
    run["n"].send(1)
    assert run.stop()["double"].to_list() == [2]


def test_other_settings_replace_it_and_the_run_can_be_recovered(valkey_url: str) -> None:
    """What the first one ran stops where it is; the second one takes it up."""
    first = Supervisor.attach(valkey_url, lease=3)
    run = Flow(double).start({"n": OPEN})
    run["n"].send(1)
    second = Supervisor.attach(valkey_url, lease=4)
    assert second is not first
    assert Supervisor.instance is second
    again = dg.recover(run.id, Flow(double), {"n": [1, 2, 3]})
    assert again.results() == {"double": [2, 4, 6]}


def test_the_first_caller_decides_the_backend_where_nobody_said(anyio_backend: str) -> None:
    """backend=None takes that of whoever starts the first run, and stays with it."""

    async def main() -> list[str]:
        run = await Supervisor.instance.start_flow(Flow(where), {"n": [1]})
        found: list[str] = await run["where"]
        return found

    Supervisor.attach("memory://")
    assert anyio.run(main, backend=anyio_backend) == [anyio_backend]
    assert Flow(where).run({"n": [1]}) == {"where": [anyio_backend]}
    assert Supervisor.attach("memory://") is Supervisor.instance
    assert Supervisor.attach("memory://", backend=anyio_backend) is Supervisor.instance


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
async def test_the_callers_loop_and_the_runtimes_are_independent(store_url: str, backend: Any) -> None:
    """Asyncio may call a runtime on trio, and the other way round."""
    Supervisor.attach(store_url, backend=backend)
    run = await Supervisor.instance.start_flow(Flow(where), {"n": [1]})
    assert await run["where"] == [backend]
    await run


def test_a_client_gives_its_address(valkey_url: str) -> None:
    """`client=` takes the settings of a redis client that is there already."""
    with redis.Redis.from_url(valkey_url) as client:
        Supervisor.attach(client=client)
        assert Flow(double).run({"n": [1]}) == {"double": [2]}
        with pytest.raises(dg.StoreConfigError, match="not both"):
            Supervisor.attach(valkey_url, client=client)


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"backend": "curio"}, "'curio'"),
        ({"lease": 0}, "lease"),
        ({"give_up": "long"}, "give_up"),
        ({"leese": 3}, "lease"),
        ({"redis_config": {}}, "url"),
        ({"redis_config": {"host": "localhost"}}, "'host'"),
        ({"redis_config": {"url": "http://localhost"}}, "http"),
        ({"redis_config": "redis://localhost:port"}, "port"),
        ({"executor": "local"}, "executor"),
        ({"codec": "json"}, "codec"),
        ({"redis_config": 6379}, "url"),
    ],
    ids=str,
)
def test_bad_settings_are_refused_at_once(settings: dict[str, Any], says: str) -> None:
    """Each error names what was given; what was attached before stays."""
    before = Supervisor.attach("memory://")
    with pytest.raises(dg.StoreConfigError, match=says):
        Supervisor.attach(**settings)
    assert Supervisor.instance is before


def test_a_server_that_is_not_there_is_said_without_the_password() -> None:
    """The error says where nobody answered; a later attach works."""
    Supervisor.attach("redis://me:secret@localhost:1/0", give_up=0.2)
    with pytest.raises(dg.StoreUnavailableError, match="localhost:1") as caught:
        Flow(double).start({"n": [1]})
    assert "secret" not in str(caught.value)
    Supervisor.attach("memory://")
    assert Flow(double).run({"n": [1]}) == {"double": [2]}


# -- starting ------------------------------------------------------------------------------------------------------


def test_one_flow_runs_many_times_at_once(supervisor: Supervisor) -> None:
    """From one thread or several; every run has its own values."""
    flow = Flow(double)
    runs = [flow.start({"n": range(n, n + 20)}) for n in range(6)]
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(flow.run({"n": [1]}))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [{"double": [2]}] * 4
    assert [run.results()["double"] for run in runs] == [[2 * i for i in range(n, n + 20)] for n in range(6)]
    assert len({run.id for run in runs}) == 6


def test_if_running_says_what_to_do_with_a_run_of_that_name(supervisor: Supervisor, run_id: str) -> None:
    """Attach to it, refuse, replace it, or begin another beside it."""
    first = Flow(double).start({"n": OPEN}, run_id)
    same = Flow(double).start({"n": OPEN}, run_id, if_running="attach")
    assert same.id == first.id
    same["n"].send(4)
    with pytest.raises(dg.RunExistsError, match=first.id):
        Flow(double).start({"n": [1]}, run_id, if_running="error")
    beside = Flow(double).start({"n": OPEN}, run_id)
    assert (beside.id != first.id, first.status) == (True, "running")
    beside.stop()
    # The newest of that name has ended; the older one is still going.
    third = Flow(double).start({"n": [1]}, run_id, if_running="replace")
    assert third.results() == {"double": [2]}
    assert first.status == "cancelled"
    assert Flow(double).run({"n": [3]}, run_id, if_running="error") == {"double": [6]}


def test_a_start_that_cannot_be_leaves_nothing_behind(supervisor: Supervisor) -> None:
    """Everything is checked before anything is written down."""
    before = [run.id for run in dg.runs()]
    flow = Flow(double, name="refused")
    for bad, kind, says in (
        ({"inputs": None}, dg.FloatingIOError, "'n'"),
        ({"inputs": {"n": [1], "m": [1]}}, dg.UnknownIOError, "'m'"),
        ({"inputs": {"n": [1]}, "pace": 0}, ValueError, "pace"),
        ({"inputs": {"n": [1]}, "stop_after": -1}, ValueError, "stop_after"),
        ({"inputs": {"n": [1]}, "if_running": "maybe"}, ValueError, "maybe"),
        ({"inputs": {"n": [1]}, "settings": {"double": {"by": 3}}}, ValueError, "by"),
        ({"inputs": {"n": [1]}, "settings": {"triple": {}}}, ValueError, "triple"),
        ({"inputs": {"n": [1]}, "name": "a/b"}, dg.InvalidNameError, "a/b"),
    ):
        with pytest.raises(kind, match=says):
            flow.start(**bad)
    assert [run.id for run in dg.runs()] == before


def test_runs_are_listed_and_forgotten(supervisor: Supervisor, run_id: str) -> None:
    """`runs()` has the newest first; `forget` leaves nothing of it."""
    one, two = (Flow(double).start({"n": [1]}, run_id).join() for _ in range(2))
    assert [run.id for run in dg.runs() if run.name == run_id] == [two.id, one.id]
    assert dg.forget(one.id) > 0
    assert [run.id for run in dg.runs() if run.name == run_id] == [two.id]
    with pytest.raises(dg.RunNotFoundError, match=one.id):
        dg.attach_run(one.id)
    with pytest.raises(dg.StoreLostError, match=one.id):
        one["double"].to_list()


def test_forgetting_a_run_that_goes_on_ends_it_here(supervisor: Supervisor) -> None:
    """Who waits for it is told that it is gone, and does not wait for ever."""
    run = Flow(double).start({"n": OPEN})
    dg.forget(run.id)
    with pytest.raises(dg.StoreLostError, match=run.id):
        run.join()


def test_memory_hands_over_the_very_objects() -> None:
    """In memory:// nothing is copied."""
    Supervisor.attach("memory://")
    thing = object()

    @dg.processor
    def same(n: object) -> object:
        return n

    assert Flow(same).run({"n": [thing]})["same"][0] is thing


# -- leaving -------------------------------------------------------------------------------------------------------


def test_detaching_ends_the_thread_and_the_lease(valkey_url: str) -> None:
    """By the class or the instance; a second time is nothing; what waits is told."""
    before = set(threading.enumerate())  # the other doors' runtime threads live as long as the process
    supervisor = Supervisor.attach(valkey_url)
    run = Flow(double).start({"n": OPEN})
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            run.join()
        except dg.DatagraphError as error:
            errors.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    Supervisor.detach()
    waiter.join(5)
    assert "stopped" in str(errors[0])
    supervisor.detach()
    Supervisor.detach()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "datagraph-runtime"]
    with redis.Redis.from_url(valkey_url) as client:
        assert client.hkeys(f"dg:{{{run.id}}}:sessions") == [b""]
        assert not list(client.scan_iter(f"dg:{{{run.id}}}:inbox*"))


async def test_what_a_run_started_cannot_detach_it(in_memory: Supervisor) -> None:
    """A coroutine of the runtime would wait for itself."""
    said: list[str] = []

    @dg.processor
    async def leave(n: int) -> int:
        try:
            Supervisor.detach()
        except dg.DatagraphError as error:
            said.append(str(error))
        return n

    assert await (await Supervisor.instance.start_flow(Flow(leave), {"n": [1]}))["leave"] == [1]
    assert "outside" in said[0]


def test_a_cancelled_run_leaves_nothing_behind(valkey_url: str, anyio_backend: Any) -> None:
    """No task, no lease, no inbox, no key without an expiry."""
    Supervisor.attach(valkey_url, backend=anyio_backend)

    @dg.processor
    async def stuck(n: dg.IO[int]) -> int:
        await anyio.sleep_forever()
        return 1

    runs = [Flow(stuck).start({"n": OPEN}) for _ in range(3)]
    for run in runs:
        run["n"].send(1)
        run.cancel()
    local = runs[0]._local
    assert local.record.status == "cancelled"
    Supervisor.detach()
    with redis.Redis.from_url(valkey_url) as client:
        for run in runs:
            keys = list(client.scan_iter(f"dg:{{{run.id}}}:*"))
            assert keys
            assert all(client.ttl(key) > 0 for key in keys)
            assert client.hkeys(f"dg:{{{run.id}}}:sessions") == [b""]
            assert not [key for key in keys if b"inbox" in key]
    gc.collect()


EXIT = """
    attach()
    run = Flow(slow, double).start({"n": range(100_000)})
    other = Flow(double).start({"n": OPEN})
    next(iter(run["slow"]))
    print("live", flush=True)
"""


@pytest.mark.parametrize("how", ["ends", "raises", "exits"])
def test_a_script_ends_with_a_live_run(how: str, tmp_path: Path, store_url: str, anyio_backend: str) -> None:
    """It does not hang, and says nothing of its own."""
    code = EXIT + {"ends": "", "raises": "    raise KeyError('mine')", "exits": "    sys.exit(3)"}[how]
    with script(tmp_path, code, store_url, anyio_backend) as process:
        returned, out, err = process.end()
    assert out == "live\n"
    assert returned == {"ends": 0, "raises": 1, "exits": 3}[how]
    assert (err == "") if how != "raises" else err.endswith("KeyError: 'mine'\n")
    assert err.count("Traceback") == (how == "raises")


def test_ctrl_c_in_join_leaves_the_run_and_the_script(tmp_path: Path, store_url: str, anyio_backend: str) -> None:
    """KeyboardInterrupt comes out of join(); the run goes on until the script ends."""
    code = """
    attach()
    run = Flow(slow).start({"n": range(100_000)})
    next(iter(run["slow"]))
    try:
        print("live", flush=True)
        run.join()
    except KeyboardInterrupt:
        at = len(run["slow"])
        while len(run["slow"]) < at + 20: time.sleep(.01)
        print("interrupted", run.status, flush=True)
    """
    with script(tmp_path, code, store_url, anyio_backend) as process:
        assert process.line() == "live"
        process.kill(signal.SIGINT)
        assert process.end() == (0, "interrupted running\n", "")


def test_a_plain_script_uses_the_embedded_server(tmp_path: Path, anyio_backend: str) -> None:
    """Nothing attached, no server, no await; the next script finds its run."""
    home = {"DATAGRAPH_HOME": str(tmp_path / "home"), "DATAGRAPH_IDLE": "5"}
    code = """
    if __name__ == "__main__":
        run = Flow(double).start({"n": range(3)}, "mine")
        print(run.results()["double"])
    """
    with script(tmp_path, code, "embedded", anyio_backend, env=home) as process:
        assert process.end() == (0, "[0, 2, 4]\n", "")
    code = """
    run = dg.attach_run("mine")
    print(run.status, run["double"].to_list())
    """
    with script(tmp_path, code, "embedded", anyio_backend, env=home) as process:
        assert process.end() == (0, "completed [0, 2, 4]\n", "")
