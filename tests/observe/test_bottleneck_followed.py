"""What is predicted, against what happens when the advice is followed.

The times are those of waits, and what is compared are two throughputs on the same machine, a moment apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

import datagraph as dg
from datagraph.observe.advice import Advice
from tests.observe.slow import CAPACITY, ENDLESS, bursts, three

SOON = 20.0
FEWER, MORE = 0.65, 1.5  # of the predicted gain: what a machine with other things to do makes of it


@pytest.fixture(autouse=True)
def supervisor() -> Iterator[None]:
    """Runs in memory."""
    dg.Supervisor.attach("memory://", backend="asyncio")
    yield
    dg.Supervisor.instance.detach()


def measured(flow: dg.Flow, inputs: dict[str, Any], kind: str = "", values: int = 80) -> tuple[float, Advice]:
    """Values a second at the end of a flow that has got going, and the first advice of that kind (or any)."""
    run = flow.start(inputs)
    until = time.monotonic() + SOON
    advice = run.bottleneck(over=0.6).advice
    while kind and advice.kind != kind and time.monotonic() < until:
        advice = run.bottleneck(over=0.6).advice
    (leaf,) = run
    arrived = [time.monotonic() for _ in islice(run[leaf].stream(len(run[leaf])), values)]
    run.cancel()
    return (values - 1) / (arrived[-1] - arrived[0]), advice


def options(advice: Advice) -> dict[str, Any]:
    """The advice as keywords of its processor."""
    capacity = {} if advice.capacity is None else {"capacity": advice.capacity}
    return {str(advice.kind): advice.after, **capacity}


def check(make: Callable[..., dg.Flow], kind: str, inputs: dict[str, Any] | None = None, values: int = 80) -> Advice:
    """Run it, follow the advice, run it again: the throughput grows about as was said, in one of three rounds."""
    inputs = {"x": ENDLESS} if inputs is None else inputs
    rounds = []
    for _ in range(3):
        before, advice = measured(make(), inputs, kind, values)
        assert advice.kind == kind, advice
        after, _ = measured(make(**options(advice)), inputs, values=values)
        rounds.append((after / before, advice.gain))
        if FEWER * advice.gain <= after / before <= MORE * advice.gain:
            break
    else:
        pytest.fail(f"measured and predicted: {rounds}")
    return advice


def test_slow_middle_gains_what_was_predicted() -> None:
    """Twice as many waits at a time, nearly twice the throughput."""
    assert check(lambda **b: three(1, 12, 1, **b), "concurrency").gain > 1.7


def test_second_step_is_predicted_as_well_as_the_first() -> None:
    """From two in flight to four, and the shares of two in flight are those that count."""
    advice = check(lambda concurrency=2, **b: three(0.1, 16, 0.1, concurrency=concurrency, **b), "concurrency")
    assert (advice.before, advice.after) == (2, 4)


def test_next_slowest_stage_limits_the_gain() -> None:
    """Where the one behind it is three quarters as slow, a third more is all that comes, as predicted."""
    advice = check(lambda **b: three(1, 16, 11, **b), "concurrency")
    assert 1.1 < advice.gain < 1.7
    assert "for `c` is " in advice.text


def test_thread_that_waits_gains_what_was_predicted() -> None:
    """A plain function that sleeps gains like an async one."""

    def make(**of_asks: Any) -> dg.Flow:
        @dg.processor(capacity=CAPACITY, **of_asks)
        def asks(x: int) -> int:
            time.sleep(0.012)
            return x

        return dg.Flow(asks)

    assert check(make, "concurrency").gain > 1.7


def test_capacity_of_one_is_raised_together_with_the_concurrency() -> None:
    """Concurrency alone would do nothing at a capacity of 1; both together do what was predicted."""

    def make(capacity: int = 1, **b: Any) -> dg.Flow:
        return three(0.1, 12, 0.1, capacity=capacity, **b)

    advice = check(make, "concurrency")
    assert advice.capacity == 4
    alone, _ = measured(make(concurrency=2), {"x": ENDLESS})
    before, _ = measured(make(), {"x": ENDLESS})
    assert alone / before < 1.5


def test_more_room_for_bursts_gains_at_most_what_was_predicted() -> None:
    """The whole burst fits then, and neither end waits for the other."""

    def make(capacity: int = 5) -> dg.Flow:
        return bursts(20, 150, 5, capacity=capacity)

    assert check(make, "capacity", {"start": [1]}, values=200).gain > 1.2  # of ten bursts, the last may be cut


def test_raised_rate_gains_what_was_predicted() -> None:
    """Where only `rate=` held it."""

    def make(rate: float = 60, **b: Any) -> dg.Flow:
        return three(0.1, 0.1, 0.1, rate=rate, **b)

    assert check(make, "rate").gain > 1.7


def test_threads_that_compute_stay_on_one_processor_whatever_the_concurrency() -> None:
    """Which is why none is advised: the interpreter's lock lets no second one be used."""

    @dg.processor(capacity=CAPACITY, concurrency=4)
    def adds(x: int) -> int:
        return sum(range(300_000)) + x

    began, cpu = time.monotonic(), time.process_time()
    measured(dg.Flow(adds), {"x": ENDLESS}, values=60)
    assert (time.process_time() - cpu) / (time.monotonic() - began) < 1.4


def test_concurrency_of_a_function_that_keeps_the_event_loop_gains_nothing() -> None:
    """Which is why none is advised: four at a time wait one after the other."""
    pause = 0.01

    @dg.processor(capacity=CAPACITY, concurrency=4)
    async def blocks(x: int) -> int:
        time.sleep(pause)  # noqa: ASYNC251 - the mistake that is to be found
        return x

    rate, _ = measured(dg.Flow(blocks), {"x": ENDLESS})
    assert rate < 1.5 / pause


def test_advice_leads_from_one_bottleneck_to_the_next_and_stops() -> None:
    """Followed until there is none, it ends where another stage is as busy."""
    concurrency = 1
    for _ in range(4):
        run = three(0.1, 16, 6, concurrency=concurrency).start({"x": ENDLESS})
        found = run.bottleneck(over=0.8)
        run.cancel()
        if found.node != "b" or found.advice.kind != "concurrency":
            break
        concurrency = int(found.advice.after or 0)
    assert concurrency in (2, 4)
    assert found.node == "c" or found.advice.reason == "next" or "no bottleneck" in str(found), found
