"""Several values in flight: nothing is lost or doubled, and the order is kept unless it is given up."""

from __future__ import annotations

import random
import threading
import time
from typing import Annotated, Any

import anyio
import pytest

import datagraph as dg
from datagraph import IO, Batch, Context, Processor, Run

pytestmark = pytest.mark.usefixtures("supervisor")


def worker(kind: str, seed: int = 0, **options: Any) -> Processor:
    """A processor whose service time is random."""
    rng = random.Random(seed)

    def plain(n: int) -> int:
        time.sleep(rng.choice((0, 0, 0, 0.0005, 0.002)))
        return n

    async def coroutine(n: int) -> int:
        await anyio.sleep(rng.choice((0, 0, 0, 0.0005, 0.002)))
        return n

    made = Processor("p", inputs=["n"], outputs=["out"], **options)
    made(plain if kind == "plain" else coroutine)
    return made


def shake(run: Run) -> None:
    """Pause and resume it a few times."""
    for _ in range(3):
        time.sleep(0.01)
        run.pause()
        run.resume()


@pytest.mark.parametrize("kind", ["plain", "async"])
@pytest.mark.parametrize("options", [{"concurrency": 4}, {"workers": 3}], ids=["lanes", "workers"])
@pytest.mark.parametrize("capacity", [1, 7, 1000])
def test_order_is_kept(kind: str, options: dict[str, int], capacity: int) -> None:
    """Whatever the service times, the capacity, pauses, and a reader that blocks now and then."""

    def reader(out: int) -> int:
        if out % 50 == 0:
            time.sleep(0.002)
        return out

    last = Processor("last", inputs=["out"], outputs=["end"], capacity=min(capacity, 20))
    last(reader)
    count = 80 if capacity == 1 else 400
    run = dg.Flow(worker(kind, seed=capacity, capacity=capacity, **options), last).start({"n": range(count)})
    shake(run)
    run.join()
    assert run["out"].to_list() == list(range(count))
    assert run["end"].to_list() == list(range(count))


@pytest.mark.parametrize("options", [{"concurrency": 4}, {"workers": 3}], ids=["lanes", "workers"])
def test_without_order_every_value_arrives_once(options: dict[str, int]) -> None:
    """`ordered=False`: the same values, in any order."""
    found = dg.Flow(worker("plain", ordered=False, **options)).run({"n": range(400)})
    assert sorted(found["out"]) == list(range(400))


def test_without_order_a_slow_value_holds_back_no_other() -> None:
    """The others overtake it."""
    go = threading.Event()

    def p(n: int) -> int:
        if n == 0:
            go.wait(20)
        return n

    made = Processor("p", inputs=["n"], outputs=["out"], concurrency=3, ordered=False)
    made(p)
    run = dg.Flow(made).start({"n": range(20)})
    values = iter(run["out"])
    assert sorted(next(values) for _ in range(19)) == list(range(1, 20))
    go.set()
    assert list(values) == [0]


@pytest.mark.parametrize("kind", ["plain", "async"])
def test_concurrency_is_how_many_values_are_in_flight(kind: str) -> None:
    """Not more, and that many."""
    lock, now, most = threading.Lock(), [0], [0]

    def enter() -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])

    def leave() -> None:
        with lock:
            now[0] -= 1

    def plain(n: int) -> int:
        enter()
        time.sleep(0.005)
        leave()
        return n

    async def coroutine(n: int) -> int:
        enter()
        await anyio.sleep(0.005)
        leave()
        return n

    made = Processor("p", inputs=["n"], outputs=["out"], concurrency=4)
    made(plain if kind == "plain" else coroutine)
    dg.Flow(made).run({"n": range(60)})
    assert most[0] == 4


def test_a_slow_value_does_not_let_the_others_run_far_ahead() -> None:
    """Order costs a window, and the window is bounded."""
    go, calls = threading.Event(), [0]

    async def p(n: int) -> int:
        calls[0] += 1
        if n == 0:
            while not go.is_set():
                await anyio.sleep(0.005)
        return n

    made = Processor("p", inputs=["n"], outputs=["out"], concurrency=4, capacity=100)
    made(p)
    run = dg.Flow(made).start({"n": range(3000)})
    time.sleep(0.2)
    assert calls[0] <= 101
    go.set()
    assert run.results()["out"] == list(range(3000))


def stream_function(n: IO[int]) -> int:
    return 0


def zipped(n: int, m: int) -> int:
    return 0


def batched(n: Annotated[list[int], Batch(2)]) -> int:
    return 0


def with_state(n: int, ctx: Context) -> int:
    return 0


@pytest.mark.parametrize("what", ["concurrency", "workers"])
@pytest.mark.parametrize(
    "function, inputs, state, reason",
    [
        (stream_function, ["n"], "locals", "reads the stream n itself"),
        (zipped, ["n", "m"], "locals", "zips 2 inputs"),
        (batched, ["n"], "locals", "takes batches"),
        (with_state, ["n"], "context", "keeps state in its context"),
    ],
)
def test_what_cannot_be_shared_is_refused_with_the_reason(
    what: str, function: Any, inputs: list[str], state: Any, reason: str
) -> None:
    """Before a run is started."""
    options: dict[str, Any] = {what: 2, "state": state}
    with pytest.raises(dg.SignatureError, match=reason):
        Processor("p", inputs=inputs, outputs=["out"], **options)(function)


@pytest.mark.parametrize("seed", [1, 2])
def test_many_results_for_a_value_stay_together(seed: int) -> None:
    """A value generator with several values in flight."""
    rng = random.Random(seed)

    def p(n: int) -> Any:
        for k in range(n % 3):
            time.sleep(rng.choice((0, 0, 0.001)))
            yield [n, k]

    made = Processor("p", inputs=["n"], outputs=["out"], concurrency=4)
    made(p)
    assert dg.Flow(made).run({"n": range(200)})["out"] == [[n, k] for n in range(200) for k in range(n % 3)]
