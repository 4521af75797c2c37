"""What was changed in a run, and which version of a function wrote which value: read by anybody, at any time."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import datagraph as dg
from datagraph import IO, OPEN, Flow, GraphError, Processor, Supervisor
from datagraph.flow.past import PastChanges
from datagraph.flow.results import RunStream
from datagraph.flow.run import Run
from tests.flow.changes import Endless, passing
from tests.flow.processes import script
from tests.flow.test_changing import flowing, further, line, negating


def test_every_change_says_when_where_and_what(supervisor: Supervisor) -> None:
    """Lines, positions as the change itself was answered, who undid it; a seek is one, too, and is not undone."""
    with flowing(*line()) as run:
        assert (len(run.changes), repr(run.changes)) == (0, "nothing was changed")
        inserted = run.apply(dg.Insert(negating("minus", "y", "ym"), "sa->b.sa"))
        run.tune("a", retries=1)
        further(run, "ym")
        run.seek("b.sa", 3)
        run.undo()
        changes = run.changes
    first, tuned, sought, undone = changes
    assert (first.cuts, first.joins) == (inserted.cuts, inserted.joins)
    assert first.lines == ("new: `minus` (sa -> ym)", "`b` reads `ym` instead of `sa`")
    assert sought.lines == ("`b.sa` reads on from position 3",)
    assert [place.position for place in sought.joins] == [3]
    assert (tuned.undone_by, undone.undoes, sought.undone_by, first.undone_by) == (4, 2, None, None)
    assert [change.version for change in changes] == [1, 2, 3, 4]
    assert sorted(change.at for change in changes) == [change.at for change in changes]
    assert str(undone) == "4. `a`: retries 1 -> 0 (undoes 2)"
    assert len(run.changes) == 4  # it has ended meanwhile


def test_a_long_history_is_shown_bounded(in_memory: Supervisor) -> None:
    """The last twenty and how many there were before; names are text, never markup."""
    assert PastChanges([])._repr_html_() == "<p>nothing was changed</p>"
    with flowing(*line()) as run:
        for retries in (1, 2) * 15:
            run.tune("a", retries=retries)
        changes = run.changes
    assert repr(changes).splitlines()[0] == "... 10 earlier ones"
    assert len(repr(changes).splitlines()) == 21
    shown = changes._repr_html_()
    assert shown.count("<tr>") == 21
    assert "retries 1 -&gt; 2" in shown
    assert "and 10 earlier ones" in shown
    assert len(changes[-3:]) == 3


CHANGING = """
    attach()
    run = Flow(double).start({"n": OPEN}, name="changing")
    run["n"].send_many(list(range(10)))
    next(iter(run["double"].stream(9)))

    @dg.processor(name="double")
    def twice(n: int) -> int:
        return n + n

    run.apply(dg.Swap("double", twice))
    run.tune("double", retries=2)
    print(run.id, flush=True)
    run.join()
"""


def test_another_process_reads_what_was_changed(valkey_url: str, anyio_backend: str, tmp_path: Path) -> None:
    """Who only looks at a run has its changes and versions, and can have one taken back by who runs the nodes."""
    Supervisor.attach(valkey_url, backend=anyio_backend)  # type: ignore[arg-type]
    with script(tmp_path, CHANGING, valkey_url, anyio_backend) as owner:
        run = dg.attach_run(owner.line())
        assert [change.swapped for change in run.changes] == [
            (("double", 2, run["double"].versions[1].code_version),),
            (),
        ]
        assert [(version.number, version.first) for version in run["double"].versions] == [(1, 0), (2, 10)]
        for _ in range(2):
            run.undo()
        assert [change.state for change in run.changes] == ["undone by 4", "undone by 3", "undoes 2", "undoes 1"]
        first, _, third = run["double"].versions
        assert (third.number, third.first, third.code_version) == (3, 10, first.code_version)
        run.stop(timeout=20)
        assert owner.end()[0] == 0
    assert len(run.changes) == 4
    Supervisor.detach()


def test_undo_after_another_change_of_the_same_node_takes_both_back(supervisor: Supervisor) -> None:
    """Redone and undone again: what was taken back is no more on the way."""
    with flowing(*line()) as run:
        run.tune("a", retries=1)
        run.tune("b", retries=2)
        run.undo()
        run.tune("b", retries=3)
        run.undo()
        run.undo()
        assert [run.graph.node(name).attrs["retries"] for name in "ab"] == [0, 0]
        assert [change.undoes for change in run.changes] == [None, None, 2, None, 4, 1]
        with pytest.raises(dg.RunError, match="none that was not taken back"):
            run.undo()


# -- versions ---------------------------------------------------------------------------------------------------------


def telling(name: str, kind: str, number: int) -> Processor:
    """A processor that says for every value that it is of that version."""

    async def called(x: int) -> tuple[int, int]:
        return number, x

    def in_thread(x: int) -> tuple[int, int]:
        return number, x

    async def picky(x: int) -> tuple[int, int]:
        if x % 50 == 7 and number % 2:
            raise ValueError(x)
        return number, x

    async def reading(x: IO[int]) -> Any:
        async for value in x:
            yield number, value

    async def folding(x: IO[int], ctx: dg.Context) -> Any:
        async for value in x:
            ctx.state["count"] = ctx.state.get("count", 0) + 1
            yield number, value

    kinds: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "called": (called, {}),
        "in_thread": (in_thread, {}),
        "wide": (called, {"concurrency": 3}),
        "unordered": (called, {"concurrency": 3, "ordered": False}),
        "team": (called, {"workers": 2}),
        "picky": (picky, {"on_error": "dead_letter"}),
        "reading": (reading, {"state": "none"}),
        "folding": (folding, {"state": "context"}),
    }
    function, options = kinds[kind]
    return Processor(name, inputs=["x"], outputs=[f"by_{name}"], **options)(function)


KINDS = ("called", "in_thread", "wide", "unordered", "team", "picky", "reading", "folding")


@pytest.mark.parametrize("kinds", [KINDS[:4], KINDS[4:]], ids="-".join)
def test_each_value_is_of_the_version_that_is_said(supervisor: Supervisor, kinds: tuple[str, ...]) -> None:
    """Ten swaps under load of functions that put out their own version, however they are called: all say the same."""
    rng, numbers = random.Random(5), Endless()
    run = Flow(*(telling(kind, kind, 1) for kind in kinds), keep="all", keep_results="all").start(
        {"x": numbers.values()}
    )
    for number in range(2, 12):
        further(run, f"by_{rng.choice(kinds)}", rng.randrange(1, 60))
        run.apply([dg.Swap(kind, telling(kind, kind, number)) for kind in kinds])
    if "picky" in kinds:
        run.dead_letters("picky").resend()
    further(run, f"by_{kinds[0]}")
    numbers.stop()
    run.stop(timeout=60)
    for kind in kinds:
        stream = run[f"by_{kind}"]
        values, versions = stream.to_list(), stream.versions
        assert [version.number for version in versions] == list(range(1, 12))
        assert len({version.code_version for version in versions}) == 11
        ends = [version.first for version in versions[1:]] + [len(values)]
        said = itertools.chain.from_iterable(
            [version.number] * (end - version.first) for version, end in zip(versions, ends, strict=True)
        )
        assert [number for number, _ in values] == list(said), kind
        at = rng.randrange(len(values))
        assert stream.version_at(at).number == values[at][0]  # type: ignore[union-attr]


def test_what_writes_on_after_another_counts_on(supervisor: Supervisor) -> None:
    """A node that was dropped and comes back with another function is of another version, with its own it is the same."""
    with flowing(*line()) as run:
        first, other = passing("p", "i", "o"), negating("p", "i", "o")
        for processor in (first, first, other):
            run.apply(dg.Insert(processor, "sa->b.sa"))
            further(run, "sb")
            run.apply(dg.Drop("p"))
            run._thread.call(_over, run, "p")
        codes = [(version.number, version.code_version) for version in _versions(run, "o")]
    assert codes == [(1, first.code_version), (2, other.code_version)]


async def _over(run: Run, name: str) -> None:
    for node in run._local.working_engine().nodes:
        if node.name == name:
            await node.over.wait()


def _versions(run: Run, stream: str) -> Any:
    """Of a stream that no node of the run writes any more."""
    return RunStream(run._thread, run._local, stream).versions


def test_a_position_has_no_version_before_the_first(in_memory: Supervisor) -> None:
    """What is not written yet is the newest's, what is given from outside nobody's."""
    run = Flow(passing("a", "x", "sa")).start({"x": OPEN})
    assert run["sa"].version_at(10) == run["sa"].versions[-1]
    assert run["x"].version_at(0) is None
    with pytest.raises(ValueError, match="counts values from the start"):
        run["sa"].version_at(-1)
    run.cancel()


def test_undo_of_a_swap_that_keeps_state_in_locals_begins_anew(supervisor: Supervisor) -> None:
    """As it is with the swap itself."""
    with flowing(passing("a", "x", "sa", "asyncgen")) as run:
        run.apply(dg.Swap("a", passing("a", "x", "sa", "generator"), fresh=True))
        assert run.undo().change.fresh == ("a",)
        with pytest.raises(GraphError, match="say fresh=True"):
            run.apply(dg.Swap("a", passing("a", "x", "sa", "generator")))


@dg.processor
def double(n: int) -> int:
    return 2 * n


MENDED = """
    attach(lease=2)
    @dg.processor
    def halves(double: int) -> int:
        return double // 2
    run = Flow(double, halves).start({"n": OPEN}, name="mended")
    run["n"].send_many(list(range(10)))
    next(iter(run["halves"].stream(9)))
    run.tune("double", retries=2)
    print(run.id, flush=True)
    run.join()
"""


@pytest.mark.parametrize("force", [True, False], ids=["forced", "lapsed"])
def test_a_function_that_is_mended_for_a_recovery_is_a_version(valkey_url: str, tmp_path: Path, force: bool) -> None:
    """Its values are told from those before the kill; an undo takes back what was changed, and leaves it mended."""
    Supervisor.attach(valkey_url, lease=2)

    @dg.processor
    def halves(double: int) -> float:
        return double / 2 + 100

    with script(tmp_path, MENDED, valkey_url, "asyncio") as owner:
        name = owner.line()
        owner.kill()
        owner.end()
    run = _recovered(name, [double, halves], force=force)
    run["n"].send_many([10, 11])
    next(iter(run["halves"].stream(11)))
    assert run.snapshot().edits == 1
    assert run.undo().change.lines() == ("`double`: retries 2 -> 0",)
    assert [change.state for change in run.changes] == ["undone by 3", "", "undoes 1"]
    assert run.changes[1].lines == ("`halves`: another function (version 1 -> 2), mended for a recovery",)
    run.stop(timeout=20)
    assert run["halves"].to_list() == [*range(10), 110, 111]
    first, second = run["halves"].versions
    assert (first.number, second.number, second.first, second.code_version) == (1, 2, 10, halves.code_version)
    assert [version.number for version in run["double"].versions] == [1]
    Supervisor.detach()


def _recovered(name: str, processors: list[Processor], *, force: bool) -> Run:
    """The run, once its dead process's lease has lapsed."""
    end = time.monotonic() + 20
    while True:
        try:
            return dg.recover(name, processors, {"n": OPEN}, force=force)
        except dg.LeaseHeldError:
            if time.monotonic() > end:
                raise
