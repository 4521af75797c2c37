"""What a stop lets go of, and a pause that holds from the moment it returns."""

from __future__ import annotations

import threading
import time

from datagraph import IO, OPEN, Flow, Supervisor, processor


def test_stop_lets_go_of_inputs_that_are_not_stored(supervisor: Supervisor) -> None:
    """A stop drains what is in the streams, not what the feeder has gathered beyond the edge's capacity."""
    go = threading.Event()

    @processor(capacity=10)
    def slow(number: int) -> int:
        go.wait(20)
        return number

    run = Flow(slow).start({"number": range(5_000)})
    assert next(iter(run["number"])) == 0
    stopping = threading.Thread(target=run.stop)
    stopping.start()
    while not run._local.record.stopping:
        time.sleep(0.001)
    go.set()
    stopping.join()
    got = run["slow"].to_list()
    assert got == list(range(len(run["number"])))
    assert 10 <= len(got) < 100


def test_paused_stream_reader_gets_nothing_that_comes_later(supervisor: Supervisor) -> None:
    """A function that waited for values when it was paused gets none of what comes before it is resumed."""
    seen: list[int] = []

    @processor
    async def look(number: IO[int]):
        async for value in number:
            seen.append(value)
            yield value

    run = Flow(look).start({"number": OPEN})
    run["number"].send(1)
    assert next(iter(run["look"])) == 1
    run.pause("look")
    run["number"].send_many([2, 3])
    assert run["number"].peek(2) == [2, 3]
    assert seen == [1]
    run.resume("look")
    run.stop()
    assert run["look"].to_list() == [1, 2, 3]


def test_paused_function_gets_nothing_that_comes_later(supervisor: Supervisor) -> None:
    """The same for a function that is called value by value."""
    seen: list[int] = []

    @processor
    def look(number: int) -> int:
        seen.append(number)
        return number

    run = Flow(look).start({"number": OPEN})
    run["number"].send(1)
    assert next(iter(run["look"])) == 1
    run.pause("look")
    run["number"].send_many([2, 3])
    assert run["number"].peek(2) == [2, 3]
    assert seen == [1]
    run.resume("look")
    run.stop()
    assert run["look"].to_list() == [1, 2, 3]
