"""Changes of the wiring that no store makes, and that leave no trace."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from datagraph.exceptions import RunError, StreamTrimmedError, UnknownIOError
from datagraph.streams.records import CLAIMED, NOW, Cut, Join, NodeSpec, Rewire, RunSpec, StreamSpec, at_cut
from datagraph.streams.store import Session, Store
from tests.streams.kit import Hand, chain, insert, reading, session_of

pytestmark = pytest.mark.anyio

READS = ("p", "x"), ("p#1", "x")


def joining(spec: RunSpec, position: int, stream: str = "x") -> Rewire:
    """Node a reads on at that position."""
    segments = (("p", "x"), ("p#1", stream))
    return Rewire(0, reading(spec, "a", *segments), [Cut("a", "p", NOW)], [Join("a", "p#1", stream, position)])


def cutting(spec: RunSpec, position: int, node: str = "a", port: str = "p") -> Rewire:
    """Have a segment stop there."""
    return Rewire(0, spec, cuts=[Cut(node, port, position)])


def writing(spec: RunSpec, writer: str) -> RunSpec:
    """A spec in which stream z has another writer."""
    streams = tuple(replace(s, writer=writer) if s.name == "z" else s for s in spec.streams)
    nodes = tuple(replace(n, outputs={"a": ("y", "z"), "b": ()}.get(n.name, n.outputs)) for n in spec.nodes)
    return replace(spec, streams=streams, nodes=nodes)


WRONG: dict[str, tuple[str, Callable[[RunSpec], Rewire]]] = {
    "a cut before what was read": ("can stop at 2 to 4 of stream x, not at 1", lambda s: cutting(s, 1)),
    "a cut behind the end": ("can stop at 2 to 4 of stream x, not at 5", lambda s: cutting(s, 5)),
    "no such position": ("not at -3", lambda s: cutting(s, -3)),
    "what nobody claims": ("node a is not shared", lambda s: cutting(s, CLAIMED)),
    "a join behind the end": ("stream x has 4 values, none at 5", lambda s: joining(s, 5)),
    "a join before all": ("none at -4", lambda s: joining(s, -4)),
    "a cut that is not made": ("no cut 1", lambda s: joining(s, at_cut(1))),
    "a cut of another stream": ("stream y has no cut 0", lambda s: joining(s, at_cut(0), "y")),
    "a segment that is read": (
        "node a has read as port p already",
        lambda s: Rewire(0, s, joins=[Join("a", "p", "x", 0)]),
    ),
    "a join of no node of the spec": (
        "node b is not in the spec",
        lambda s: Rewire(0, replace(s, nodes=s.nodes[:2]), joins=[Join("b", "q#1", "x", 0)]),
    ),
    "a join of a node that is done": (
        "node d is done, so it reads no more",
        lambda s: Rewire(0, reading(s, "d", ("p", "x"), ("p#1", "x")), joins=[Join("d", "p#1", "x", 0)]),
    ),
    "an input without a join": ("no join says so", lambda s: Rewire(0, reading(s, "a", *READS))),
    "an input of another stream": ("no join says so", lambda s: Rewire(0, reading(s, "a", ("p", "y")))),
    "an input left out": (
        "port p of node a is neither in the spec nor struck",
        lambda s: Rewire(0, reading(s, "a"), [Cut("a", "p", NOW)]),
    ),
    "a segment struck too early": (
        "has more of stream x to read",
        lambda s: Rewire(0, reading(s, "a"), [Cut("a", "p", NOW)], struck=[("a", "p")]),
    ),
    "a node nobody named": ("node clean is new, and not among the added", lambda s: insert(s, added=())),
    "a node that is running": ("node a is running, so it cannot begin again", lambda s: Rewire(0, s, added=["a"])),
    "an added node without a spec": ("node typo is not in the spec", lambda s: Rewire(0, s, added=["typo"])),
    "a fresh node without a spec": ("node typo is not in the spec", lambda s: Rewire(0, s, fresh=["typo"])),
    "another writer": ("stream z is written by b, not by a", lambda s: Rewire(0, writing(s, "a"))),
    "an output of another": (
        "stream z is written by b, not by a",
        lambda s: Rewire(0, replace(writing(s, "b"), nodes=writing(s, "a").nodes)),
    ),
}
UNKNOWN: dict[str, Callable[[RunSpec], Rewire]] = {
    "a cut of no port": lambda s: cutting(s, NOW, port="typo"),
    "a cut of no node": lambda s: cutting(s, NOW, node="typo"),
    "nothing to strike": lambda s: Rewire(0, s, struck=[("a", "typo")]),
    "a join of no stream": lambda s: joining(s, 0, "typo"),
    "an input of no stream": lambda s: Rewire(0, reading(s, "a", ("p", "x"), ("p#1", "typo"))),
    "an output of no stream": lambda s: Rewire(
        0, replace(s, nodes=(*s.nodes, NodeSpec("n", outputs=("typo",)))), added=["n"]
    ),
}


async def begun(store: Store, session: Session, run: str) -> RunSpec:
    """A run in which a has read 2 of 4 values, and d, which reads as well, is done."""
    spec = chain(run)
    extra = replace(spec, nodes=(*spec.nodes, NodeSpec("d", inputs=(("p", "x"),))))
    await session.rewire(Rewire(0, extra, joins=[Join("d", "p", "x", 0)], added=["d"]))
    await (await Hand.on(session, "in:x")).write("x", [1, 2, 3, 4])
    await (await Hand.on(session, "a")).read("p", "x", 2)
    await (await Hand.on(session, "d")).commit(status="done")
    return extra


async def everything(session: Session) -> tuple[Any, ...]:
    """All of a run that a change could have touched."""
    probe = await session.probe()
    nodes = {name: asdict(node) for name, node in probe.nodes.items()}
    streams = {name: asdict(stream) for name, stream in probe.streams.items()}
    return asdict(probe.run), nodes, streams, await session.changes(), await session.events()


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_change_that_does_not_fit_is_refused_whole(any_store: Store, run_id: str, wrong: str) -> None:
    """It says what is wrong, and nothing of it is made, not even what came before that."""
    why, change = WRONG[wrong]
    async with session_of(any_store, chain(run_id)) as session:
        spec = await begun(any_store, session, run_id)
        before = await everything(session)
        with pytest.raises(RunError, match=f"{re.escape(why)}.*look at the run again and plan anew"):
            await session.rewire(replace(change(spec), version=1, events=[b"e"]))
        assert await everything(session) == before
        assert (await session.rewire(Rewire(1, spec))).version == 2


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_a_change_of_what_is_not_there_is_refused_whole(any_store: Store, run_id: str, unknown: str) -> None:
    """A name that the run does not have is an UnknownIOError."""
    async with session_of(any_store, chain(run_id)) as session:
        spec = await begun(any_store, session, run_id)
        before = await everything(session)
        with pytest.raises(UnknownIOError, match="typo"):
            await session.rewire(replace(UNKNOWN[unknown](spec), version=1))
        assert await everything(session) == before


async def test_what_is_not_kept_is_not_joined(any_store: Store, run_id: str) -> None:
    """The refusal says where the stream begins now; a node that begins again reads no gap either."""
    spec = chain(run_id, capacity=10**6, keep=0)
    async with session_of(any_store, spec) as session:
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        await a.commit(status="done")
        await feeder.write("x", *[[0] * 100] * 30)
        first = (await session.probe()).streams["x"].first
        assert first > 0
        with pytest.raises(StreamTrimmedError) as caught:
            await session.rewire(replace(joining(spec, first - 1), cuts=(), added=["a"]))
        assert (caught.value.stream, caught.value.expected, caught.value.found) == ("x", first - 1, first)
        with pytest.raises(StreamTrimmedError) as caught:
            await session.rewire(Rewire(0, spec, added=["a"]))
        assert (caught.value.expected, caught.value.found) == (0, first)
        again = reading(spec, "a", ("p#1", "x"))
        await session.rewire(Rewire(0, again, joins=[Join("a", "p#1", "x", first)], struck=[("a", "p")], added=["a"]))
        assert (await session.claim("a")).cursors["p#1"][0] == first


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_a_run_that_has_ended_is_not_rewired(any_store: Store, run_id: str, end: str) -> None:
    """There is nothing left to read."""
    spec = RunSpec(run_id, "one", {}, (NodeSpec("n", outputs=("x",)),), (StreamSpec("x", "n"),))
    async with session_of(any_store, spec) as session:
        if end == "completed":
            await (await Hand.on(session, "n")).commit(status="done")
        elif end == "failed":
            await session.fail(b"why")
        else:
            await session.control("cancel")
        with pytest.raises(RunError, match=f"it has {end}"):
            await session.rewire(Rewire(0, spec))
