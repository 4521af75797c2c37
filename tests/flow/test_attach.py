"""A run seen and steered from another process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import datagraph as dg
from datagraph import Supervisor
from tests.flow.processes import Script, script

pytestmark = pytest.mark.anyio

GOING = """
    attach(lease=2)
    @dg.processor
    def after(double: int) -> int:
        print("saw", double)
        time.sleep(0.001)
        if double == 2 * FAIL: raise KeyError("too far")
        return double + 1
    FAIL = int(sys.argv[3])
    run = Flow(double, after, capacity=50).start({"n": range(2500) if FAIL > 0 else OPEN})
    if FAIL <= 0: run["n"].send_many(list(range(10)))
    print(run.id, flush=True)
    try:
        run.join()
    except dg.DatagraphError as error:
        print(type(error).__name__, flush=True)
    print(run.status, len(run["after"]), flush=True)
"""


@pytest.fixture(params=["valkey", "redis"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a real server is, with a supervisor of this process on it."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    Supervisor.attach(found, lease=2)
    yield found
    Supervisor.detach()


@pytest.fixture
def owner(url: str, tmp_path: Path, anyio_backend: str, request: pytest.FixtureRequest) -> Iterator[Script]:
    """A process that runs a flow of ten values and an open end; or, where the test says so, one that fails at a value."""
    with script(tmp_path, GOING, url, anyio_backend, str(getattr(request, "param", -1))) as process:
        yield process


def test_counts_values_logs_and_end_are_seen(owner: Script) -> None:
    """Another process sees the same run: what passes, who works, and that it ends when its input is stopped."""
    run = dg.attach_run(owner.line())
    values = iter(run["after"])
    assert [next(values) for _ in range(10)] == [2 * n + 1 for n in range(10)]
    assert (run.status, run["n"].to_list(), len(run["double"])) == ("running", list(range(10)), 10)
    snapshot = run.snapshot()
    assert (snapshot.workers, snapshot.nodes["after"].read) == (1, 10)
    run.stop(timeout=10)
    assert list(values) == []
    assert run.status == "completed"
    assert run.logs("after")[0] == "saw 0"
    assert set(run.nodes()["status"]) == {"done"}
    assert owner.end() == (0, "completed 10\n", "")


@pytest.mark.parametrize("owner", [10**6], indirect=True, ids=["long"])
def test_it_can_be_paused_and_resumed(owner: Script) -> None:
    """Pausing from here stops the other process; resuming lets it go on."""
    run = dg.attach_run(owner.line())
    next(iter(run["after"]))
    run.pause()
    at, before = len(run["after"]), -1
    while before != at:  # as soon as it has heard of it
        time.sleep(0.2)
        before, at = at, len(run["after"])
    assert run.status == "paused"
    run.resume()
    reader = run["after"].stream(at)
    assert next(reader) == 2 * at + 1
    assert run.status == "running"
    run.pause("double")
    assert dg.attach_run(run.id).snapshot().nodes["double"].paused
    run.cancel()
    assert owner.end()[1].startswith("RunCancelledError\ncancelled")


def test_its_inputs_can_be_sought_and_tuned_and_that_be_undone(owner: Script) -> None:
    """Control goes through the store; what is said of it is what its own process would say."""
    run = dg.attach_run(owner.line())
    values = iter(run["after"])
    assert [next(values) for _ in range(10)] == [2 * n + 1 for n in range(10)]
    assert str(run.seek("after.double", 7)).startswith("`after.double` reads on from position 7 (")
    assert [next(values) for _ in range(3)] == [15, 17, 19]
    assert str(run.tune("after", capacity=60)).endswith("; run.undo() takes it back)")
    undone = str(run.undo())
    assert undone.startswith("`after`: capacity 60 -> 50 (")
    assert "run.undo()" not in undone
    with pytest.raises(dg.RunError, match="none at 99"):
        run.seek("after.double", 99)
    run.stop(timeout=10)
    assert owner.end() == (0, "completed 13\n", "")


@pytest.mark.parametrize("owner", [10**6], indirect=True, ids=["long"])
def test_it_can_be_stopped(owner: Script) -> None:
    """What was fed by then arrives; nothing of it is lost."""
    run = dg.attach_run(owner.line())
    next(iter(run["after"]))
    run.stop(timeout=20)
    fed = len(run["n"])
    assert run["after"].to_list() == [2 * n + 1 for n in range(fed)]
    assert owner.end()[1] == f"completed {fed}\n"


@pytest.mark.parametrize("owner", [20], indirect=True, ids=["fails"])
def test_its_error_is_raised_here_too(owner: Script) -> None:
    """Who waits in another process gets the node, the value, and the other's traceback as a note."""
    run = dg.attach_run(owner.line())
    with pytest.raises(dg.ProcessorError, match="too far") as caught:
        run.join()
    assert (caught.value.node, caught.value.value, caught.value.position) == ("after", "40", 20)
    assert 'raise KeyError("too far")' in caught.value.__notes__[0]
    with pytest.raises(dg.ProcessorError):
        list(run["after"])
    assert run["after"].to_list() == [2 * n + 1 for n in range(20)]
    assert owner.end() == (0, "ProcessorError\nfailed 20\n", "")


@pytest.mark.parametrize("owner", [10**6], indirect=True, ids=["long"])
def test_a_reader_here_holds_the_flow_back_there_until_it_dies(
    owner: Script, tmp_path_factory: pytest.TempPathFactory, url: str, anyio_backend: str
) -> None:
    """hold=True works across processes; a reader that was killed holds nothing for longer than its lease."""
    name = owner.line()
    run = dg.attach_run(name)
    code = """
    attach(lease=1)
    run = dg.attach_run(sys.argv[3])
    reader = run["double"].stream(0, hold=True)
    next(reader)
    print("holds", flush=True)
    time.sleep(60)
    """
    with script(tmp_path_factory.mktemp("reader"), code, url, anyio_backend, name) as reader:
        assert reader.line() == "holds"
        assert [node for node, _ in _readers(run) if node.startswith("~")]
        reader.kill()
    run.join()
    assert len(run["after"]) == 2500
    assert not [node for node, _ in _readers(run) if node.startswith("~")]
    assert owner.end()[1].startswith("completed")


def _readers(run: dg.Run) -> list[tuple[str, str]]:
    return list(run._thread.call(run._local.session.probe).streams["double"].readers)


def test_only_its_own_process_can_feed_an_open_input(owner: Script) -> None:
    """The other process has the sender; here it is said so."""
    run = dg.attach_run(owner.line())
    with pytest.raises(dg.ReadOnlyIOError, match="this process"):
        run["n"].send(1)
    run.stop(timeout=10)


def test_it_is_found_by_name_and_listed(owner: Script) -> None:
    """The newest of a name, in a new handle each time, on one session."""
    name = owner.line()
    one, two = dg.attach_run(name), dg.attach_run("double-after")
    assert (one.id, one.name) == (two.id, two.name) == (name, "double-after")
    assert one._local is two._local
    assert name in [record.id for record in dg.runs()]
    with pytest.raises(dg.RunNotFoundError, match="nothing-like-it"):
        dg.attach_run("nothing-like-it")
    one.cancel()


def test_dead_letters_are_sent_again_from_here(url: str, tmp_path: Path, anyio_backend: str) -> None:
    """The process that has the functions hears of it and goes on with the run that had ended."""
    code = """
    attach()
    seen = set()
    @dg.processor(on_error="dead_letter")
    def once(n: int) -> int:
        if n % 2 and n not in seen:
            seen.add(n)
            raise ValueError("odd")
        return n
    run = Flow(once).start({"n": range(6)}).join()
    print(run.id, flush=True)
    while len(run["once"]) < 6: time.sleep(.01)
    run.join()
    print(run.status, run["once"].to_list(), flush=True)
    """
    with script(tmp_path, code, url, anyio_backend) as process:
        run = dg.attach_run(process.line())
        letters = run.dead_letters("once")
        assert [letter.value for letter in letters] == [1, 3, 5]
        assert letters.resend() == 3
        assert process.end() == (0, "completed [0, 2, 4, 1, 3, 5]\n", "")
        assert run.join().status == "completed"
