"""Breakpoints: a value is held, shown, let go, dropped or replaced, by whoever sees the run."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import datagraph as dg
from datagraph import IO, Flow, Supervisor
from datagraph.flow.breakpoints import as_json, is_json
from tests.flow.processes import Script, script

pytestmark = pytest.mark.anyio
EDGE = "double->kept.double"


@dg.processor
async def double(n: int) -> int:
    return 2 * n


@dg.processor(name="kept", outputs=("kept",), capacity=20)
async def kept(double: int) -> int:
    return double


@dg.processor(outputs=("passed",))
async def passed(double: int) -> int:
    return double


def going(*processors: Any, given: Any = None) -> dg.Run:
    return Flow(*processors or (double, kept), name="doubles").start({"n": given or range(500)}, paused=True)


def soon(fact: Callable[[], Any]) -> Any:
    """Wait until something is so: the store hears of it within half a second."""
    until = time.monotonic() + 10
    while not (found := fact()):
        assert time.monotonic() < until, "it never was"
        time.sleep(0.02)
    return found


@pytest.mark.usefixtures("supervisor")
def test_a_condition_as_text_holds_what_it_chooses() -> None:
    """By value and by position; what is dropped is missing, what is replaced is another, all else goes through."""
    run = going()
    stop = run.breakpoint(EDGE, "value % 200 == 0 and position >= 100")
    assert (stop.condition, stop.hits, stop.hit) == ("value % 200 == 0 and position >= 100", 0, None)
    run.resume()
    hit = stop.wait(timeout=10)
    assert (hit.value, hit.position, hit.exact) == (200, 100, True)
    hit.go()
    stop.wait(timeout=10).drop()
    stop.wait(timeout=10).replace(-1)
    hit = stop.wait(timeout=10)
    assert (hit.position, stop.hits) == (400, 4)
    stop.remove()
    run.join()
    assert run["kept"].to_list() == [2 * n if n != 300 else -1 for n in range(500) if n != 200]


@pytest.mark.usefixtures("supervisor")
def test_wrong_conditions_and_edges_are_refused_at_once() -> None:
    """Nothing is set then."""
    run = going()
    with pytest.raises(dg.ConditionError, match="'price' is not known"):
        run.breakpoint(EDGE, "price > 3")
    with pytest.raises(ValueError, match="a condition is a text"):
        run.breakpoint(EDGE, None)  # type: ignore[arg-type]
    with pytest.raises(dg.UnknownIOError, match=r"did you mean 'double->kept\.double'"):
        run.breakpoint("doubel->kept.double", "value")
    assert run.breakpoints == {}
    run.cancel()
    with pytest.raises(dg.RunError, match="is cancelled"):
        run.breakpoint(EDGE, "value")


@pytest.mark.usefixtures("supervisor")
def test_what_is_held_is_seen_and_is_no_bottleneck() -> None:
    """The snapshot has condition, hits, position and value; the sentence says where the run stands, and accuses nobody."""
    run = going(given=range(100_000))
    stop = run.breakpoint(EDGE, "value == 600")
    run.resume()
    stop.wait(timeout=10)

    def seen() -> Any:
        snapshot = run.snapshot()
        found = snapshot.edges[EDGE].breakpoint
        return snapshot if found is not None and found.position is not None else None

    snapshot = soon(seen)
    found = snapshot.edges[EDGE].breakpoint
    assert (found.condition, found.hits, found.position, found.value) == ("value == 600", 1, 300, "600")
    assert (found.stream, found.error) == ("double", "")
    assert snapshot.nodes["kept"].waits_for == f"breakpoint:{EDGE}"
    assert snapshot.nodes["kept"].at_breakpoint
    assert snapshot.bottleneck == ""
    assert "at a breakpoint" in run._repr_mimebundle_()["image/svg+xml"]
    assert "`kept` stands at a breakpoint on `double`: value 300 is held" in snapshot.sentence
    assert run.bottleneck(over=0.1).node is None
    assert run.edges().set_index("edge").loc[EDGE, "breakpoint"] == "value == 600"
    assert list(run.breakpoints) == [EDGE]
    run.breakpoints[EDGE].remove()
    soon(lambda: run.snapshot().edges[EDGE].breakpoint is None)
    run.cancel()


@pytest.mark.usefixtures("supervisor")
def test_a_condition_that_raises_holds_nothing_more_and_says_so() -> None:
    """The value that it could not judge goes through, and so does the rest."""
    run = going(given=[1, 2, 3])
    stop = run.breakpoint(EDGE, 'value["price"] > 1')
    run.resume()
    run.join()
    assert run["kept"].to_list() == [2, 4, 6]
    assert (type(stop.error), stop.hits) == (TypeError, 0)
    with pytest.raises(TypeError, match="not subscriptable"):
        stop.wait(timeout=10)


@pytest.mark.usefixtures("supervisor")
def test_waiting_ends_with_the_run() -> None:
    """Where nothing was held until the end, nothing will be."""
    run = going(given=[1, 2, 3])
    stop = run.breakpoint(EDGE, "value == 5")
    run.resume()
    with pytest.raises(dg.RunError, match="is completed: it holds no value"):
        stop.wait(timeout=20)


@pytest.mark.usefixtures("supervisor")
@pytest.mark.parametrize("options", [{"workers": 2}, {"concurrency": 4}], ids=["workers", "concurrency"])
def test_every_value_that_is_held_can_be_decided(options: dict[str, int]) -> None:
    """Two workers of a node may hold one value each at once: each of them is shown, one after the other."""
    several = dg.processor(name="kept", outputs=("kept",), **options)(kept.function)
    run = going(double, several, given=range(300))
    stop = run.breakpoint(EDGE, "value % 40 == 0")
    run.resume()
    found = set()
    for _ in range(15):
        hit = stop.wait(timeout=10)
        found.add(hit.value)
        hit.drop()
        soon(lambda hit=hit: stop.hit is None or stop.hit.position != hit.position or run.status == "completed")
    run.join()
    assert found == set(range(0, 600, 40))
    assert run["kept"].to_list() == [2 * n for n in range(300) if n % 20]


@pytest.mark.usefixtures("supervisor")
@pytest.mark.parametrize("by", ["another", "none"])
def test_what_is_held_goes_on_when_its_breakpoint_is_taken_away(by: str) -> None:
    """Another breakpoint on the edge looks at the held value itself; without one it simply goes on."""

    @dg.processor(name="kept", capacity=20)
    async def streaming(double: IO[int]) -> AsyncIterator[int]:
        async for each in double:
            yield each

    run = going(double, streaming)
    first = run.breakpoint(EDGE, lambda value: value == 20)
    assert first.condition == "a function"
    run.resume()
    first.wait(timeout=10)
    if by == "another":
        second = run.breakpoint(EDGE, "value == 20 or value == 40")
        for position in (10, 20):
            hit = second.wait(timeout=10)
            assert hit.position == position
            hit.go()
    else:
        first.remove()
    run.join()
    assert run["kept"].to_list() == [2 * n for n in range(500)]


@pytest.mark.usefixtures("supervisor")
def test_a_breakpoint_outlives_a_pause_and_another_function() -> None:
    """The same value is held again and counts once; the node that takes over has the breakpoint too."""
    run = going()
    stop = run.breakpoint(EDGE, "value == 20 or value == 600")
    run.resume()
    stop.wait(timeout=10)
    run.pause()
    run.resume()
    assert stop.wait(timeout=10).position == 10
    later = dg.processor(name="kept", outputs=("kept",), capacity=20)(later_kept)
    stop.wait(timeout=10).go()
    run.apply(dg.Swap("kept", later))
    hit = stop.wait(timeout=10)
    assert (hit.position, stop.hits) == (300, 2)
    hit.go()
    run.join()
    assert run["kept"].to_list() == [2 * n for n in range(500)]


async def later_kept(double: int) -> int:
    return double + 0


def test_only_what_json_brings_back_the_same_is_sent_as_json() -> None:
    """Tuples, keys that are no texts and numbers that are not finite would come back as something else."""
    assert all(map(is_json, [None, True, 1, 2.5, "x", [1, {"a": [None]}], 10**40]))
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    assert not any(map(is_json, [(1,), {1: 2}, {1}, b"x", float("inf"), object(), [(1,)], deep]))
    assert as_json({"a": "ü"}, 10) == '{"a": "ü"}'
    assert as_json("x" * 10, 10) is None


# From another process

OWNER = """
    from dataclasses import dataclass

    attach(lease=5)

    @dataclass
    class Offer:
        price: int

    @dg.processor(outputs=("passed",))
    async def passed(double: int) -> int:
        return double

    @dg.processor
    def offer(n: int) -> Offer:
        return Offer(n)

    @dg.processor(outputs=("kept",))
    def kept(double: int) -> int:
        time.sleep(0.0005)
        return double

    @dg.processor(outputs=("prices",))
    def priced(offer: Offer) -> int:
        return offer.price

    run = Flow(double, kept, offer, priced, capacity=50).start({"n": range(2000)}, paused=True)
    print(run.id, flush=True)
    run.join()
    missing = sorted(set(range(0, 4000, 2)) - set(run["kept"].to_list()))
    print(run.status, missing, [n for n in run["kept"] if n < 0], len(run["prices"]), flush=True)
"""


@pytest.fixture
def owner(valkey_url: str, tmp_path: Path, anyio_backend: str) -> Iterator[Script]:
    """A process that runs a flow over a real Valkey, paused at first; a supervisor of this process sees it."""
    Supervisor.attach(valkey_url, lease=5)
    with script(tmp_path, OWNER, valkey_url, anyio_backend) as process:
        yield process
    Supervisor.detach()


def test_another_process_sets_sees_decides_and_removes(owner: Script) -> None:
    """All through the store: the condition is checked here, tried there; values come and go as they are."""
    run = dg.attach_run(owner.line())
    with pytest.raises(dg.ConditionError, match=r"'value\.lower' cannot be called"):
        run.breakpoint(EDGE, "value.lower() == 'a'")
    with pytest.raises(dg.RunError, match="has no such function: give the condition as text"):
        run.breakpoint(EDGE, bool)
    stop = run.breakpoint(EDGE, "value in (200, 400, 600, 800)")
    with pytest.raises(TimeoutError):
        stop.wait(timeout=0.1)
    run.resume()
    hit = stop.wait(timeout=10)
    assert repr(hit) == "Hit(value=200, position=100)"
    assert repr(run.breakpoints) == f"{{{EDGE!r}: Breakpoint({EDGE!r}, 'value in (200, 400, 600, 800)', hits=1)}}"
    assert "stands at a breakpoint" in run.snapshot().sentence
    hit.drop()
    with pytest.raises(dg.RunError, match=r"value 100 is not held at .* any more"):
        hit.go()
    hit = stop.wait(timeout=10)
    assert hit.position == 200
    with pytest.raises(ValueError, match="JSON has texts, numbers"):
        hit.replace((1, 2))
    hit.replace(-7)
    hit = stop.wait(timeout=10)
    assert hit.position == 300
    run.apply(dg.Insert(passed, EDGE))
    assert stop.edge == "passed->kept.double"
    assert stop.wait(timeout=10).value == 600
    stop.remove()
    assert (stop.hit, stop.hits, run.breakpoints) == (None, 0, {})
    run.join(progress=False)
    assert owner.end() == (0, "completed [200, 400] [-7] 2000\n", "")


def test_a_value_that_cannot_be_read_here_is_shown_as_text(owner: Script) -> None:
    """Its class is known over there only; the condition is tried there, so it may ask for its fields."""
    run = dg.attach_run(owner.line())
    stop = run.breakpoint("offer->priced.offer", "value.price == 77")
    run.resume()
    hit = stop.wait(timeout=10)
    assert (hit.position, hit.exact) == (77, False)
    assert repr(hit) == "Hit(value=<Offer(price=77)>, position=77)"
    hit.go()
    broken = run.breakpoint("offer->priced.offer", "value.cost == 1")
    with pytest.raises(dg.RunError, match="AttributeError: 'Offer' object has no attribute 'cost'"):
        broken.wait(timeout=10)
    assert "AttributeError" in str(broken.error)
    run.join(progress=False)
    assert owner.end() == (0, "completed [] [] 2000\n", "")


HELD = """
    attach(lease=2)
    @dg.processor(outputs=("kept",))
    async def kept(double: int) -> int:
        return double
    run = Flow(double, kept, name="held").start({"n": range(500)}, paused=True)
    stop = run.breakpoint("double->kept.double", "value == 600")
    run.resume()
    print(stop.wait(timeout=10).position, run.id, flush=True)
    run.join()
"""


def test_a_recovered_run_has_no_breakpoints(valkey_url: str, tmp_path: Path, anyio_backend: str) -> None:
    """What was held when its process was killed is read again, and goes through: nothing is lost or repeated."""
    Supervisor.attach(valkey_url, backend=anyio_backend, lease=2)
    with script(tmp_path, HELD, valkey_url, anyio_backend) as process:
        position, name = process.line().split()
        assert position == "300"
        soon(lambda: dg.attach_run(name).breakpoints)
        process.kill()
        process.end()
        run = dg.recover(name, Flow(double, kept, name="held"), {"n": range(500)}, force=True)
        assert run.breakpoints == {}
        run.join(progress=False)
        assert run["kept"].to_list() == [2 * n for n in range(500)]
    Supervisor.detach()
