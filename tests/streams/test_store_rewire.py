"""What every store guarantees of a run that is rewired while it goes on."""

from __future__ import annotations

from dataclasses import replace

import anyio
import msgspec
import pytest

from datagraph.exceptions import MovedError, RewoundError, WiringChangedError
from datagraph.streams.records import NOW, Cut, Join, NodeSpec, Rewire, Segment
from datagraph.streams.store import Session, Store
from tests.streams.kit import CLEAN, Hand, chain, contents, fan_out, insert, reading, session_of, told, values_of

pytestmark = pytest.mark.anyio


async def finish(session: Session, *nodes: str) -> str:
    """End these nodes and what they write; the run's status afterwards."""
    status = ""
    for node in nodes:
        hand = await Hand.on(session, node, force=True)
        done = await hand.commit(writes=[hand.to(s, end=True) for s in hand.lengths], status="done")
        status = done.status
    return status


async def test_a_node_is_put_into_an_edge_at_one_position(any_store: Store, run_id: str) -> None:
    """What was written before the cut is read the old way, what comes after it the new way, by one reader each."""
    spec = chain(run_id)
    async with session_of(any_store, spec) as session:
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        await feeder.write("x", [1, 2, 3])
        await a.read("p", "x", 1, writes=[a.to("y", [1])])
        assert await session.rewire(insert(spec)) == (1, (3,), (3, 0))
        await feeder.write("x", [4, 5])
        await a.read("p", "x", 3, writes=[a.to("y", [2, 3])])
        with pytest.raises(MovedError, match=r"node 'a'.*'?p'?.*stops? at 3.*claim the node again"):
            await a.read("p", "x", 4, writes=[a.to("y", [4])])
        record = await session.claim("a")
        again = ("again", "~a", None)
        assert record.segments == (again, Segment("p", "x", 3), Segment("p#1", "w", None))
        assert (record.cursors["p"][0], record.cursors["p#1"]) == (3, (0, 0))
        clean, a = await Hand.on(session, "clean"), Hand.of(session, record)
        assert clean.cursors == {"c": 3}
        assert values_of(await session.read("x", 3, 10)) == [4, 5]
        await clean.read("c", "x", 5, writes=[clean.to("w", [14, 15])])
        await a.read("p#1", "w", 2, size=2, writes=[a.to("y", [14, 15])])
        assert await contents(session, "y") == [1, 2, 3, 14, 15]
        probe = await session.probe()
        assert probe.nodes["a"].segments == record.segments
        assert probe.streams["x"].readers["a", "p"][4:] == ("free", 3, 0)
        assert probe.streams["w"].readers["a", "p#1"][:5] == (2, 2, 5, 64 * 2**20, "hold")
        assert (probe.run.wiring, probe.run.graph, probe.run.nodes[-1]) == (1, {"version": 2}, CLEAN)
        assert await finish(session, "in:x", "clean", "a") == "running"
        assert await finish(session, "b") == "completed"


async def test_a_segment_that_was_cut_holds_no_writer_back_and_keeps_what_it_has_to_read(
    any_store: Store, run_id: str
) -> None:
    """The writer goes on at once; values are trimmed only once the reader has read up to its cut."""
    spec = chain(run_id, capacity=2, keep=0)
    async with session_of(any_store, spec) as session:
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        await feeder.write("x", [1, 2])
        woken = session.signals.event("room:x")
        assert not (await feeder.write("x", [3])).ok
        change = Rewire(0, reading(spec, "a", ("p", "x")), cuts=[Cut("a", "p", NOW)])
        async with any_store.session(run_id, "w2") as other:
            await other.rewire(change)
        with anyio.fail_after(5):
            await woken.wait()
        assert (await feeder.write("x", *[[0] * 100] * 30)).ok
        assert (await session.probe()).streams["x"].readers["a", "p"][4:] == ("open", 2, 0)
        await session.hold("a", "p", "hold")
        assert (await feeder.write("x", [0] * 100)).ok
        assert (await session.probe()).streams["x"].first == 0
        await a.read("p", "x", 2)
        x = (await session.probe()).streams["x"]
        assert x.readers["a", "p"].hold == "free"
        assert x.first >= 2000
        await session.hold("a", "p", "hold")
        assert (await session.probe()).streams["x"].readers["a", "p"].hold == "free"


@pytest.mark.parametrize("version", [0, 2])
async def test_of_two_changes_made_for_one_wiring_the_first_is_made(
    any_store: Store, run_id: str, version: int
) -> None:
    """The other is told which version there is, and changes nothing."""
    spec = chain(run_id)
    async with session_of(any_store, spec) as session:
        await session.rewire(insert(spec))
        with pytest.raises(WiringChangedError, match="look at the run again and plan anew") as caught:
            await session.rewire(Rewire(version, spec, cuts=[Cut("b", "q", 0)]))
        assert (caught.value.expected, caught.value.found) == (version, 1)
        probe = await session.probe()
        assert (probe.run.wiring, probe.streams["y"].readers["b", "q"].until) == (1, None)


async def test_changes_are_kept_with_time_and_note(any_store: Store, run_id: str) -> None:
    """Oldest first, of the last ones; events of a change are in the run's log."""
    spec = chain(run_id)
    async with session_of(any_store, spec) as session, any_store.session(run_id, "w2") as other:
        run = other.signals.event("run")
        for version in range(3):
            await session.rewire(Rewire(version, spec, note=b"\xff%d" % version, events=[b"e%d" % version]))
        with anyio.fail_after(5):
            await run.wait()
        probe = await other.probe()
        changes = await other.changes()
        assert [(version, note) for version, *_, note in changes] == [(1, b"\xff0"), (2, b"\xff1"), (3, b"\xff2")]
        assert all(probe.run.created - 1 <= at <= probe.now + 1 for _, at, *_ in changes)
        assert [version for version, *_ in await other.changes(2)] == [2, 3]
        assert [event for event in await told(other) if event[:1] == b"e"] == [b"e0", b"e1", b"e2"]


async def test_a_join_begins_where_it_says(any_store: Store, run_id: str) -> None:
    """At a position inside a frame, or now; with the bytes that are taken to be before it, and the limits it gives."""
    spec = fan_out(run_id, "open")
    nodes = (*spec.nodes, NodeSpec("n", inputs=(("i", "x"), ("j", "x"))))
    async with session_of(any_store, spec) as session:
        await (await Hand.on(session, "in:x")).write("x", list(range(4)), list(range(4)))
        joins = [Join("n", "i", "x", 2, 7, 70, "open"), Join("n", "j", "x", NOW)]
        assert (await session.rewire(Rewire(0, replace(spec, nodes=nodes), joins=joins, added=["n"]))).joins == (2, 8)
        readers = (await session.probe()).streams["x"].readers
        assert readers["n", "i"][0] == 2
        assert 0 <= readers["n", "i"].size <= 4
        assert readers["n", "i"][2:] == (7, 70, "open", None, 2)
        assert tuple(readers["n", "j"]) == (8, 8, 1000, 64 * 2**20, "hold", None, 8)
        record = await session.claim("n")
        assert [record.cursors[port][0] for port in ("i", "j")] == [2, 8] == [record.reads[p][0] for p in ("i", "j")]


async def test_a_segment_is_cut_again_only_nearer(any_store: Store, run_id: str) -> None:
    """A second cut now leaves it where it stops."""
    spec = fan_out(run_id, "hold")
    async with session_of(any_store, spec) as session:
        feeder = await Hand.on(session, "in:x")
        await feeder.write("x", list(range(6)))
        assert (await session.rewire(Rewire(0, spec, cuts=[Cut("r0", "p", 5)]))).cuts == (5,)
        assert (await session.rewire(Rewire(1, spec, cuts=[Cut("r0", "p", NOW)]))).cuts == (5,)
        assert (await session.rewire(Rewire(2, spec, cuts=[Cut("r0", "p", 2)]))).cuts == (2,)
        with pytest.raises(MovedError):
            await (await Hand.on(session, "r0")).read("p", "x", 3)


async def test_a_segment_that_is_read_up_to_its_cut_is_free_at_once_and_can_be_struck(
    any_store: Store, run_id: str
) -> None:
    """All of it goes: the reader, its cursor; who still goes by it is told to claim again."""
    spec = chain(run_id)
    async with session_of(any_store, spec) as session:
        await (await Hand.on(session, "in:x")).write("x", [1, 2])
        a = await Hand.on(session, "a")
        await a.read("p", "x", 2, size=2)
        change = Rewire(
            0, reading(spec, "a", ("p", "x")), [Cut("a", "p", NOW)], [Join("a", "p", "x", NOW)], struck=[("a", "p")]
        )
        await session.rewire(change)
        probe = await session.probe()
        assert tuple(probe.streams["x"].readers["a", "p"]) == (2, 2, 1000, 64 * 2**20, "hold", None, 2)
        moved = reading(spec, "a", ("p#1", "y"))
        await session.rewire(Rewire(1, moved, [Cut("a", "p", NOW)], [Join("a", "p#1", "y", NOW)], struck=[("a", "p")]))
        record = await session.claim("a")
        assert [each.port for each in record.segments] == ["again", "p#1"]
        assert set(record.cursors) == set(record.reads) == {"again", "p#1"}
        assert ("a", "p") not in (await session.probe()).streams["x"].readers
        with pytest.raises(MovedError, match="claim the node again"):
            await Hand.of(session, record).read("p", "x", 2)


async def test_a_dropped_node_stays_until_it_is_done(any_store: Store, run_id: str) -> None:
    """A probe shows it with its streams while it has something to read; the run ends as if it had never been."""
    spec = chain(run_id)
    left = replace(spec, nodes=spec.nodes[:2], streams=(*spec.streams[:2], spec.streams[3]))
    async with session_of(any_store, spec) as session, any_store.session(run_id, "w2") as other:
        a, b = await Hand.on(session, "a"), await Hand.on(session, "b")
        await a.write("y", [1, 2])
        await session.rewire(Rewire(0, left, cuts=[Cut("b", "q", NOW)]))
        assert (await a.write("y", [3])).ok
        for each in (session, other):
            probe = await each.probe()
            assert set(probe.nodes) == {"in:x", "a", "b"}
            assert {"y", "z"} < set(probe.streams)
            assert probe.nodes["b"].segments == (("q", "y", 2),)
            assert [node.name for node in probe.run.nodes] == ["in:x", "a"]
        assert await finish(session, "a") == "running"
        await b.read("q", "y", 2, writes=[b.to("z", [1, 2])], letters=[b"\x81\xa7payload\xc4\x01\7"])
        assert (await b.commit(writes=[b.to("z", end=True)], status="done")).status == "completed"
        for each in (session, other):
            assert set((await each.probe()).nodes) == {"in:x", "a"}
        assert await contents(session, "z") == [1, 2]
        assert await session.reopen("b") == 1
        for each in (session, other):
            probe = await each.probe()
            assert (probe.nodes["b"].status, probe.streams["~b"].length) == ("waiting", 1)


async def test_a_node_that_is_done_begins_again_where_it_is_added(any_store: Store, run_id: str) -> None:
    """Its outputs are open again, so are those who had read them to the end, and the run waits for all of them."""
    spec = chain(run_id)
    async with session_of(any_store, spec) as session:
        feeder, a = await Hand.on(session, "in:x"), await Hand.on(session, "a")
        await feeder.write("x", [1])
        await a.read("p", "x", 1, writes=[a.to("y", [1])])
        drop = Rewire(0, replace(spec, nodes=(spec.nodes[0], spec.nodes[2])), cuts=[Cut("a", "p", NOW)])
        await session.rewire(drop)
        # b goes on for the moment, as if it read something else as well
        assert await finish(session, "a") == "running"
        await feeder.write("x", [2, 3])
        again = reading(spec, "a", ("p", "x"), ("p#1", "x"))
        change = Rewire(1, again, joins=[Join("a", "p#1", "x", 2)], added=["a"], fresh=["a"])
        assert (await session.rewire(change)).version == 2
        a = await Hand.on(session, "a")
        assert (a.cursors["p"], a.cursors["p#1"]) == (1, 2)
        assert (await session.probe()).nodes["a"].status == "running"
        await a.read("p#1", "x", 3, writes=[a.to("y", [3])])
        assert await contents(session, "y") == [1, 3]
        assert not (await session.read("y", 2, 1)).ended
        assert await finish(session, "b") == "running"
        assert await finish(session, "a") == "completed"


async def test_those_behind_a_node_that_begins_again_do_so_too(any_store: Store, run_id: str) -> None:
    """But not those whose segment was cut: they have nothing more to read."""
    spec = chain(run_id)
    behind = NodeSpec("c", inputs=(("r", "y"),))
    other = NodeSpec("d", inputs=(("r", "x"),))
    spec = replace(
        spec, nodes=(*spec.nodes, behind, other), streams=tuple(replace(s, readers=(*s.readers,)) for s in spec.streams)
    )
    joins = [Join("c", "r", "y", 0), Join("d", "r", "x", 0)]
    base = replace(spec, nodes=spec.nodes[:3])
    async with session_of(any_store, base) as session:
        await session.rewire(Rewire(0, spec, joins=joins, added=["c", "d"]))
        await session.rewire(Rewire(1, spec, cuts=[Cut("c", "r", NOW)]))
        assert await finish(session, "a", "b", "c") == "running"
        await session.rewire(Rewire(2, spec, added=["a"]))
        probe = await session.probe()
        assert {name: node.status for name, node in probe.nodes.items()} == {
            "in:x": "waiting",
            "a": "waiting",
            "b": "waiting",
            "c": "done",
            "d": "waiting",
        }
        assert (probe.streams["y"].ended, probe.streams["y"].readers["b", "q"].hold) == (False, "hold")
        assert probe.streams["y"].readers["c", "r"].hold == "free"
        assert await finish(session, "a", "b") == "running"
        assert await finish(session, "d") == "completed"


async def test_letters_sent_again_open_no_node_whose_segment_was_cut(any_store: Store, run_id: str) -> None:
    """It was dropped and is done: it would never be done again."""
    spec = chain(run_id)
    left = replace(spec, nodes=spec.nodes[:2])
    async with session_of(any_store, spec) as session:
        a = await Hand.on(session, "a")
        await a.commit(letters=[b"\x81\xa7payload\xc4\x01\7"])
        await session.rewire(Rewire(0, left, cuts=[Cut("b", "q", NOW)]))
        assert await finish(session, "b") == "running"
        assert await finish(session, "a") == "completed"
        assert await session.reopen("a") == 1
        assert set((await session.probe()).nodes) == {"in:x", "a"}
        assert await finish(session, "a") == "completed"


async def test_a_fresh_node_forgets_what_it_kept_and_goes_on_where_it_had_read(any_store: Store, run_id: str) -> None:
    """State, looked values and marks are gone, its resume point is what it has read, and its owner claims it again."""
    spec = chain(run_id)
    async with session_of(any_store, spec) as session:
        await (await Hand.on(session, "in:x")).write("x", [1, 2, 3])
        a = await Hand.on(session, "a")
        await a.read("p", "x", 1, size=1, state=b"s", looked={"p": b"l"}, counters={"n": 1})
        await a.read("p", "x", 2, size=2, safe=False, writes=[a.to("y", [7], mark=(1, 77))])
        await session.rewire(Rewire(0, reading(spec, "a", ("p", "x")), fresh=["a"]))
        with pytest.raises(RewoundError, match="claim the node again"):
            await a.read("p", "x", 3, writes=[a.to("y", [8])])
        record = await session.claim("a")
        assert (record.state, record.looked, dict(record.counters)) == (None, {}, {"n": 1})
        assert record.marks.get("y", (0, 0)) == (0, 0)
        assert record.cursors["p"] == record.reads["p"] == (2, 2)
        a = Hand.of(session, record)
        await a.read("p", "x", 3, state=b"t", writes=[a.to("y", [8])])
        assert (await session.claim("a")).state == b"t"


async def test_sessions_that_were_open_before_see_the_wiring_of_now(any_store: Store, run_id: str) -> None:
    """By their next beat, control or probe; the list of runs shows it as well."""
    spec = chain(run_id)
    change = insert(spec)
    async with session_of(any_store, spec) as session, any_store.session(run_id, "w2", lease=0) as looker:
        await looker.probe()
        await session.rewire(change)
        calls = [session.beat({}), looker.beat({}), any_store.find(run_id), session.control("pause", "clean")]
        records = [await call for call in calls]
        records += [(await session.probe()).run, (await looker.probe()).run, (await any_store.runs())[0]]
        for record in records:
            assert (record.wiring, record.graph, record.nodes) == (1, {"version": 2}, change.spec.nodes)
        assert (await session.logs("clean"), await session.letters("clean")) == ([], [])
        await looker.log("clean", ["line"])
        assert (await looker.probe()).run.paused_nodes == {"clean"}


async def test_watchers_of_a_stream_that_is_rewired_look_again(any_store: Store, run_id: str) -> None:
    """Whoever waits for values of it is told, in every session, and all are told that the run has changed."""
    spec = chain(run_id)
    async with session_of(any_store, spec) as session, any_store.session(run_id, "w2") as other:
        await other.watch("x")
        values, run = other.signals.event("values:x"), other.signals.event("run")
        await session.rewire(insert(spec))
        with anyio.fail_after(5):
            await values.wait()
            await run.wait()


async def test_a_nodes_end_counts_what_it_read_of_each_segment(any_store: Store, run_id: str) -> None:
    """Not what was in a stream before it joined."""
    spec = fan_out(run_id, "hold")
    async with session_of(any_store, spec) as session:
        feeder, r0 = await Hand.on(session, "in:x"), await Hand.on(session, "r0")
        await feeder.write("x", list(range(6)))
        await r0.read("p", "x", 2)
        change = Rewire(
            0, reading(spec, "r0", ("p", "x"), ("p#1", "x")), [Cut("r0", "p", 2)], [Join("r0", "p#1", "x", 5)]
        )
        await session.rewire(change)
        await r0.read("p#1", "x", 6)
        await r0.commit(status="done")
        ended = [event for _, event in await session.events() if b"NodeEnded" in event]
        assert [msgspec.json.decode(event)["read"] for event in ended] == [3]


async def test_a_run_of_one_stream_read_twice_by_one_node(any_store: Store, run_id: str) -> None:
    """Two segments of the same stream have cursors of their own: what lies between them is skipped."""
    spec = fan_out(run_id, "hold")
    async with session_of(any_store, spec) as session:
        await (await Hand.on(session, "in:x")).write("x", list(range(6)))
        segments = (("p", "x"), ("p#1", "x"))
        await session.rewire(
            Rewire(0, reading(spec, "r0", *segments), [Cut("r0", "p", 1)], [Join("r0", "p#1", "x", 4)])
        )
        r0 = await Hand.on(session, "r0")
        assert (await session.rooms("in:x", ["x"])).rooms["x"].values == 4 + 1000 - 6
        await r0.read("p", "x", 1)
        await r0.read("p#1", "x", 6)
        record = await session.claim("r0")
        assert (record.reads["p"][0], record.reads["p#1"][0]) == (1, 6)
        assert record.segments == (("p", "x", 1), ("p#1", "x", None))


async def test_finished_segments_of_a_dropped_node_can_be_struck(any_store: Store, run_id: str) -> None:
    """Its streams forget it, and its letters can still be sent again."""
    spec = chain(run_id)
    left = replace(spec, nodes=spec.nodes[:2])
    async with session_of(any_store, spec) as session:
        b = await Hand.on(session, "b")
        await b.commit(letters=[b"\x81\xa7payload\xc4\x01\7"])
        await session.rewire(Rewire(0, left, cuts=[Cut("b", "q", NOW)]))
        assert await finish(session, "b") == "running"
        await session.rewire(Rewire(1, left, struck=[("b", "q")]))
        assert dict((await session.probe()).streams["y"].readers) == {}
        assert await session.reopen("b") == 1
        assert (await session.claim("b")).segments == (("~b", "~b", None),)
        assert await finish(session, "b") == "running"
        assert await finish(session, "a") == "completed"
