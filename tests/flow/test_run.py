"""The run from outside: streams, waiting, control, looking, errors."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import datagraph as dg
from datagraph import OPEN, Flow, IOVal, Supervisor
from datagraph.flow.run import Run
from datagraph.streams.memory import MemorySession
from datagraph.streams.records import RunRecord
from datagraph.streams.valkey_session import ValkeySession

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("supervisor")]


@dg.processor
def double(n: int) -> int:
    return 2 * n


@dg.processor
async def text(double: int) -> str:
    return str(double)


@dg.processor
def bad(n: int) -> int:
    if n == 3:
        raise ValueError("no threes")
    return n


@dg.processor(capacity=10)
async def add(n: int) -> int:
    return n + 1


@dg.processor
async def after(add: int) -> int:
    return add + 1


CHAIN = Flow(double, text)


@pytest.fixture
def going() -> Iterator[Run]:
    """A run whose input is open, and that has passed 1 and 2 on."""
    run = Flow(double).start({"n": OPEN})
    run["n"].send_many([1, 2])
    while len(run["double"]) < 2:
        time.sleep(0.001)
    yield run
    run.cancel()


def held(run: Run, stream: str) -> list[int]:
    """What a stream holds when it has not grown for a while."""
    before, now = -1, len(run[stream])
    while before != now:
        time.sleep(0.15)
        before, now = now, len(run[stream])
    return run[stream].to_list()


# -- streams -------------------------------------------------------------------------------------------------------


def test_what_exists_is_there_at_once(going: Run) -> None:
    """peek, to_list, to_pandas and len show what there is of a run that goes on."""
    stream = going["double"]
    assert (stream.peek(), stream.peek(1), stream.to_list(), len(stream)) == ([2, 4], [4], [2, 4], 2)
    frame = stream.to_pandas()
    assert frame["value"].tolist() == [2, 4]
    assert (frame.index.name, list(frame.index)) == ("position", [0, 1])
    with pytest.raises(ValueError, match="n=0"):
        stream.peek(0)


def test_an_empty_stream_is_empty(going: Run) -> None:
    """Nothing yet is no error for what does not wait."""
    run = Flow(double).start({"n": OPEN})
    assert (run["double"].peek(), run["double"].to_list(), len(run["double"])) == ([], [], 0)
    assert run["double"].to_pandas().empty
    run.cancel()


def test_mappings_become_columns() -> None:
    """A stream of dicts is a table."""

    @dg.processor
    def row(n: int) -> dict[str, int]:
        return {"n": n, "square": n * n}

    run = Flow(row).start({"n": [1, 2, 3]}).join()
    frame = run["row"].to_pandas()
    assert list(frame.columns) == ["n", "square"]
    assert frame["square"].tolist() == [1, 4, 9]


def test_iterating_waits_for_the_end() -> None:
    """A plain `for` gives every value in order, then stops."""
    run = CHAIN.start({"n": range(5)})
    assert list(run["text"]) == ["0", "2", "4", "6", "8"]
    assert list(run["text"]) == ["0", "2", "4", "6", "8"]
    assert list(run["n"].stream(3)) == [3, 4]


async def test_async_iterating_waits_for_the_end() -> None:
    """The same from an event loop; awaiting a stream collects it."""
    run = await Supervisor.instance.start_flow(CHAIN, {"n": range(5)})
    assert [value async for value in run["text"].stream()] == ["0", "2", "4", "6", "8"]
    assert [value async for value in run["text"]] == await run["text"]
    assert await run["double"].first() == 0
    assert await run["double"].latest() == 8
    await run


async def test_first_and_latest_wait_for_a_value() -> None:
    """They return when there is one; of a stream that ended without any they raise, or give the default."""
    run = await Supervisor.instance.start_flow(Flow(double), {"n": OPEN})
    found: list[int] = []

    async def look(what: str) -> None:
        found.append(await getattr(run["double"], what)())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look, "first")
            tasks.start_soon(look, "latest")
            await run["n"].asend(21)
    assert found == [42, 42]
    run["n"].complete()
    empty = await Supervisor.instance.start_flow(Flow(double), {"n": []})
    assert await empty["double"].first(None) is None
    with pytest.raises(dg.EmptyStreamError, match="'double'"):
        await empty["double"].latest()


def test_identity_truth_and_names() -> None:
    """A run and its streams are themselves, always true, and found by name; iterating gives the leaves."""
    run = CHAIN.start({"n": [1]})
    assert run
    assert run["text"]
    assert run["text"] is run["text"]
    assert run != CHAIN.start({"n": [1]})
    assert (list(run), "double" in run, "nothing" in run) == (["text"], True, False)
    with pytest.raises(dg.UnknownIOError, match="did you mean 'double'"):
        run["duoble"]
    assert (run.name, run.id.startswith("double-text-"), run.graph == CHAIN.graph) == ("double-text", True, True)
    assert repr(run.join()) == "Run('double-text', completed)"


async def test_all_outputs_gives_every_stream_that_a_processor_writes() -> None:
    """`start_flow(all_outputs=True)` iterates inner streams too."""
    run = await Supervisor.instance.start_flow(CHAIN, {"n": [1]}, all_outputs=True)
    assert list(run) == ["double", "text"]
    assert {name: await run[name] for name in run} == {"double": [2], "text": ["2"]}


def test_trimmed_values_are_counted() -> None:
    """to_pandas and to_list warn with the number that is not kept; a cursor among them is an error."""
    run = Flow(double, keep_results=1000).start({"n": range(20_000)}).join()
    with pytest.warns(UserWarning, match=r"the first (\d+) values of 'double'") as caught:
        frame = run["double"].to_pandas()
    first = int(str(caught[0].message).split()[2])
    assert 0 < first <= 19_000
    assert list(frame["value"]) == [2 * n for n in range(first, 20_000)]
    assert frame.index[0] == first
    assert next(iter(run["double"])) == 2 * first
    with pytest.raises(dg.StreamTrimmedError, match="keep"):
        next(run["double"].stream(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run["n"].stream()


# -- holding back --------------------------------------------------------------------------------------------------


def test_a_reader_from_outside_holds_nobody_back() -> None:
    """One that has stopped reading does not stop the run."""
    run = Flow(add).start({"n": range(3000)})
    assert next(run["add"].stream()) == 1
    run.join()


def test_a_holding_reader_holds_the_flow_back_until_it_reads_on() -> None:
    """With hold=True no more is written than its capacity beyond what it has read; then all of it comes."""
    run = Flow(add).start({"n": range(5000)}, paused=True)
    reader = run["add"].stream(0, hold=True)
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(next(reader)))
    thread.start()
    while not any(node.startswith("~") for node, _ in _readers(run, "add")):
        time.sleep(0.005)
    run.resume()
    thread.join()
    assert len(held(run, "add")) <= 2000
    assert run.status == "running"
    assert got + list(reader) == list(range(1, 5001))
    run.join()
    assert not _readers(run, "add")


def test_a_holding_reader_that_is_dropped_lets_go() -> None:
    """Leaving the loop ends the hold: nobody has to close anything."""
    run = Flow(add).start({"n": range(5000)}, paused=True)
    run.resume()
    for value in run["add"].stream(hold=True):
        assert value == 1
        break
    run.join()
    assert len(run["add"]) == 5000


def test_two_holding_readers_hold_as_the_slower_one() -> None:
    """One that has read everything does not free what the other has still to read."""
    run = Flow(add).start({"n": OPEN})
    slow, fast = run["add"].stream(hold=True), run["add"].stream(hold=True)
    run["n"].send_many(list(range(900)))
    assert next(slow) == 1
    assert [next(fast) for _ in range(900)] == list(range(1, 901))
    sender = threading.Thread(target=run["n"].send_many, args=(list(range(900, 3500)),))
    sender.start()
    got = [next(fast)]
    assert len(held(run, "add")) <= 2000
    del slow
    got += [next(fast) for _ in range(2599)]
    sender.join()
    run["n"].complete()
    assert got + list(fast) == list(range(901, 3501))
    run.join()


def test_followers_are_no_edges() -> None:
    """A reader from outside is in no table and no picture."""
    run = Flow(double).start({"n": OPEN})
    before = list(run.edges().index), list(run.snapshot().edges)
    reader = run["double"].stream(hold=True)
    run["n"].send(1)
    assert next(reader) == 2
    assert _readers(run, "double")
    assert (list(run.edges().index), list(run.snapshot().edges)) == before
    assert run.snapshot().workers == 1
    run.stop()


def _readers(run: Run, stream: str) -> list[tuple[str, str]]:
    probe = run._thread.call(run._local.session.probe)
    return [reader for reader in probe.streams[stream].readers if reader[0] not in probe.nodes]


# -- inputs --------------------------------------------------------------------------------------------------------


def test_a_thousand_values_through_an_open_input_from_four_threads() -> None:
    """Every send has been stored when it returns, none is lost, and each thread's are in order."""
    run = CHAIN.start({"n": OPEN})

    def send(first: int) -> None:
        for n in range(first, first + 250):
            run["n"].send(n)

    threads = [threading.Thread(target=send, args=(250 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run["n"].complete()
    values = [int(value) // 2 for value in run["text"]]
    assert sorted(values) == list(range(1000))
    for first in range(0, 1000, 250):
        mine = [n for n in values if first <= n < first + 250]
        assert mine == sorted(mine)
    with pytest.raises(dg.DatagraphError, match=r"complete|ended"):
        run["n"].send(1)


def test_only_open_inputs_can_be_sent_to(going: Run) -> None:
    """A stream of a processor, or an input that has its values, is read only."""
    for stream in (going["double"], CHAIN.start({"n": [1]})["n"]):
        with pytest.raises(dg.ReadOnlyIOError, match="OPEN"):
            stream.send(1)


async def test_an_async_iterable_is_read_in_the_callers_loop(anyio_backend: str) -> None:
    """It may use what belongs to that loop; an error in it fails the run for whoever waits."""
    inside = threading.get_ident()

    async def numbers(fail: bool) -> AsyncIterator[int]:
        for n in range(20):
            assert threading.get_ident() == inside
            await anyio.lowlevel.checkpoint()
            yield n
        if fail:
            raise KeyError("source")

    run = await Supervisor.instance.start_flow(CHAIN, {"n": numbers(fail=False)})
    assert await run["double"] == [2 * n for n in range(20)]
    run = await Supervisor.instance.start_flow(CHAIN, {"n": numbers(fail=True)})
    with pytest.raises(KeyError, match="source"):
        await run


def test_an_async_iterable_needs_a_loop() -> None:
    """A script has none to read it in, and is told."""

    async def numbers() -> AsyncIterator[int]:
        yield 1

    with pytest.raises(dg.DatagraphError, match="coroutine"):
        CHAIN.start({"n": numbers()})


def test_an_async_iterable_whose_loop_has_ended_fails_the_run(anyio_backend: str) -> None:
    """The rest of it will never come, so nobody waits for it."""

    async def endless() -> AsyncIterator[int]:
        yield 1
        await anyio.sleep_forever()

    async def main() -> Run:
        run = await Supervisor.instance.start_flow(CHAIN, {"n": endless()})
        await run["double"].first()
        return run

    run = anyio.run(main, backend=anyio_backend)
    with pytest.raises(dg.ProcessorError, match="event loop"):
        run.join()


# -- waiting -------------------------------------------------------------------------------------------------------


async def test_waiting_by_any_name() -> None:
    """`await run`, `run.wait()` and join() all return at the end; results() collects the leaves."""
    run = await Supervisor.instance.start_flow(CHAIN, {"n": [1, 2]})
    assert await run is run
    assert await run.wait() is run
    assert run.join() is run
    assert run.results() == {"text": ["2", "4"]}
    assert CHAIN.run({"n": [3]}) == {"text": ["6"]}


def test_join_shows_progress_where_it_is_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    """The line goes to stderr and is wiped at the end."""
    Flow(add).start({"n": range(10)}).join(progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith("\r")


def test_a_failure_reaches_everybody_who_waits() -> None:
    """It names node, value and position, is also of the cause's type, and comes after the values before it."""
    run = Flow(bad, double).start({"n": range(6)})
    with pytest.raises(ValueError, match="no threes") as caught:
        run.join()
    error = caught.value
    assert isinstance(error, dg.ProcessorError)
    assert (error.node, error.value, error.position, error.attempts) == ("bad", "3", 3, 1)
    assert isinstance(error.__cause__, ValueError)
    for wait in (run.join, run.results, lambda: list(run["bad"])):
        with pytest.raises(dg.ProcessorError):
            wait()
    reader = run["bad"].stream()
    assert [next(reader) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no threes"):
        next(reader)
    assert run["bad"].to_list() == [0, 1, 2]
    assert run.status == "failed"
    assert [str(each) for each in run.errors] == [str(error)]
    assert run.snapshot().nodes["bad"].status == "failed"
    assert "no threes" in run.nodes().set_index("node").loc["bad", "error"]


def test_a_sender_is_told_that_the_run_has_failed() -> None:
    """Whoever feeds an open input of a failed run gets the error that ended it."""
    run = Flow(bad).start({"n": OPEN})
    run["n"].send(3)
    with pytest.raises(ValueError, match="no threes"):
        run.join()
    with pytest.raises(ValueError, match="no threes"):
        run["n"].send(4)


# -- control -------------------------------------------------------------------------------------------------------


def test_pause_takes_effect_within_one_value() -> None:
    """After pause() returns, at most the value in hand is finished; resume() goes on where it was."""
    calls: list[int] = []

    @dg.processor
    def slow(n: int) -> int:
        calls.append(n)
        time.sleep(0.01)
        return n

    run = Flow(slow).start({"n": range(40)})
    while len(calls) < 5:
        time.sleep(0.001)
    run.pause()
    at = len(calls)
    assert run.status == "paused"
    time.sleep(0.1)
    assert len(calls) <= at + 1
    assert run.snapshot().paused
    run.resume()
    assert run.results()["slow"] == list(range(40)) == calls


def test_pause_holds_when_an_older_answer_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the store said of the run before it was paused does not let the node go on when it is heard afterwards."""
    asked: list[object] = []
    answered, let_go = threading.Event(), threading.Event()
    calls: list[int] = []

    @dg.processor
    async def same(n: int) -> int:
        calls.append(n)
        return n

    def late(kind: type[MemorySession | ValkeySession]) -> None:
        beat = kind.beat

        async def kept(self: Any, report: Any) -> RunRecord:
            record = await beat(self, report)
            asked.append(self)
            if len(asked) == 2:  # the first is the run's own, the second says to its engine how it begins
                answered.set()
                await anyio.to_thread.run_sync(let_go.wait, 30)
            return record

        monkeypatch.setattr(kind, "beat", kept)

    late(MemorySession)
    late(ValkeySession)
    run = Flow(same).start({"n": OPEN})
    assert answered.wait(30)
    run.pause("same")
    let_go.set()
    run["n"].send_many([1, 2])
    run.step("same")
    assert next(iter(run["same"])) == 1
    assert calls == [1]
    run.resume("same")
    run["n"].complete()
    assert run.results() == {"same": [1, 2]}


def test_one_node_is_paused_alone() -> None:
    """The others go on until the edge to it is full."""
    run = Flow(double, text).start({"n": range(100)}, paused=True)
    run.pause("text")
    run.resume()
    assert held(run, "double") == [2 * n for n in range(100)]
    assert len(run["text"]) == 0
    assert run.status == "running"
    assert run.snapshot().nodes["text"].paused
    run.resume("text")
    assert len(run.results()["text"]) == 100
    with pytest.raises(dg.UnknownIOError, match="did you mean 'text'"):
        run.pause("txet")


def test_paused_starts_with_nothing_moving() -> None:
    """`paused=True` calls no function and feeds nothing until resume()."""
    run = CHAIN.start({"n": [1, 2]}, paused=True)
    assert run.status == "paused"
    assert held(run, "double") == []
    run.resume()
    assert run.results() == {"text": ["2", "4"]}


def test_pace_feeds_so_many_a_second() -> None:
    """Fifty a second: twenty take about four tenths."""
    began = time.monotonic()
    assert CHAIN.run({"n": range(20)}, pace=50) == {"text": [str(2 * n) for n in range(20)]}
    assert 0.3 < time.monotonic() - began < 3


def test_stop_drains_and_keeps_the_results() -> None:
    """What was fed arrives, what was not is left, and the run is completed."""
    run = Flow(add, after).start({"n": iter(range(10**9))})
    while len(run["after"]) < 100:
        time.sleep(0.001)
    assert run.stop(timeout=20) is run
    fed = len(run["n"])
    assert run["after"].to_list() == [n + 2 for n in range(fed)]
    assert run.status == "completed"


def test_stop_right_after_the_start_ends_it() -> None:
    """A run that has hardly begun drains like any other."""
    for _ in range(5):
        run = CHAIN.start({"n": OPEN})
        run.stop(timeout=5)
        assert (run.status, run["text"].to_list()) == ("completed", [])


def test_stop_after_stops_by_itself() -> None:
    """The run ends as if stopped after so many seconds."""
    run = Flow(double).start({"n": OPEN}, stop_after=0.1)
    run["n"].send(1)
    assert run.results() == {"double": [2]}


async def test_astop_waits_in_the_loop() -> None:
    """The awaited form, from a coroutine."""
    run = await Supervisor.instance.start_flow(Flow(double), {"n": OPEN})
    await run["n"].asend(1)
    await run.astop()
    assert run["double"].to_list() == [2]


def test_cancel_ends_it_and_keeps_the_record(going: Run) -> None:
    """Whoever waits is told; what was written stays; nothing more is written."""
    going.cancel()
    assert going.status == "cancelled"
    with pytest.raises(dg.RunCancelledError, match="cancelled"):
        going.join()
    assert going["double"].to_list() == [2, 4]
    with pytest.raises(dg.RunCancelledError):
        going["n"].send(3)
    assert going.snapshot().status == "cancelled"


def test_cancel_closes_generators() -> None:
    """A generator's `finally` runs, in whichever kind of function."""
    closed: list[str] = []
    begun = threading.Barrier(3)

    @dg.processor(inputs=["n"], outputs=["one"])
    async def one(n: dg.IO[int]) -> AsyncIterator[int]:
        try:
            async for value in n:
                await anyio.to_thread.run_sync(begun.wait)
                yield value
                await anyio.sleep_forever()
        finally:
            closed.append("async generator")

    @dg.processor(inputs=["n"], outputs=["two"])
    async def two(n: dg.IO[int]) -> int:
        try:
            await anyio.to_thread.run_sync(begun.wait)
            await anyio.sleep_forever()
        finally:
            closed.append("coroutine")
        return 1

    run = Flow(one, two).start({"n": [1]})
    begun.wait(5)
    run.cancel()
    deadline = time.monotonic() + 5
    while len(closed) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert sorted(closed) == ["async generator", "coroutine"]


# -- looking -------------------------------------------------------------------------------------------------------


def test_tables_show_counts_and_states() -> None:
    """One row a node and one an edge, with what was read and written."""
    run = CHAIN.start({"n": range(7)}).join()
    nodes, edges = run.nodes().set_index("node"), run.edges()
    assert nodes.loc["double", ["status", "read", "written"]].tolist() == ["done", 7, 7]
    assert {(row.source, row.target, row.written, row.read) for row in edges.itertuples()} == {
        ("in:n", "double", 7, 7),
        ("double", "text", 7, 7),
        ("text", "out:text", 7, 7),
    }
    assert run.snapshot().status == "completed"
    assert "<svg" in run._repr_mimebundle_()["image/svg+xml"]


def test_the_bottleneck_is_named_in_a_sentence() -> None:
    """The slow node behind a full edge is it; of a run that does nothing, nobody is."""

    @dg.processor(capacity=10)
    def slow(double: int) -> int:
        time.sleep(0.005)
        return double

    run = Flow(double, slow).start({"n": range(100_000)})
    while len(run["slow"]) < 60:
        time.sleep(0.01)
    found = run.bottleneck(over=0.3)
    run.cancel()
    assert found.node == "slow"
    assert "`slow` is the bottleneck" in str(found)
    idle = Flow(double).start({"n": OPEN})
    assert idle.bottleneck(over=0.1).node is None
    idle.cancel()


def test_what_a_processor_prints_is_in_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Prints of threads and coroutines go to the node, not to whoever started it."""

    @dg.processor
    def loud(n: int) -> int:
        print("thread", n)
        return n

    @dg.processor
    async def louder(loud: int) -> int:
        print("loop", loud)
        return loud

    run = Flow(loud, louder).start({"n": [1, 2]}).join()
    assert (run.logs("loud"), run.logs("louder")) == (["thread 1", "thread 2"], ["loop 1", "loop 2"])
    assert run.logs("loud", limit=1) == ["thread 2"]
    assert capsys.readouterr().out == ""


def test_a_processor_may_use_its_own_run() -> None:
    """A plain function runs in a thread, where all of the API may be called; the async form is for coroutines."""
    seen: list[object] = []
    runs: list[Run] = []

    @dg.processor
    def nosy(n: int) -> int:
        (run,) = runs
        seen.append((run.status, run["n"].peek(1), len(run["nosy"]), Flow(double).run({"n": [n]})))
        return n

    @dg.processor
    async def wrong(nosy: int) -> int:
        with pytest.raises(dg.DatagraphError, match="async form"):
            runs[0]["n"].peek()
        inner = await Supervisor.instance.start_flow(Flow(double), [IOVal(name="n", value=nosy)])
        return (await inner["double"])[0]

    run = Flow(nosy, wrong).start({"n": [4]}, paused=True)
    runs.append(run)
    run.resume()
    assert run.results() == {"wrong": [8]}
    assert seen == [("running", [4], 0, {"double": [8]})]
