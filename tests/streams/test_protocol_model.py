"""Hypothesis drives the commit protocol: zombies, takeovers, repeats, refusals, replays; lists say what must come of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from datagraph.exceptions import FencedError, RewoundError
from datagraph.streams.records import (
    Advance,
    Commit,
    Committed,
    NodeSpec,
    Range,
    ReaderSpec,
    StreamSpec,
    Write,
)
from datagraph.streams.store import Store
from tests.conftest import make_store
from tests.streams.kit import values_of
from tests.streams.model import WORKERS, Machine, Reader, Stream, cut, sized

EXAMPLES = {"memory": 100, "valkey": 12}
PORTS = {"a": ("p", "x"), "c": ("p", "x"), "b": ("p", "y")}
HANDS = st.sampled_from([-1, -1, -1, -1, -2, 0])
CUTS = st.lists(st.integers(1, 3), min_size=1, max_size=3)


def work(value: int) -> list[int]:
    """What node a makes of a value: nothing, one or two others."""
    return [value, 255 - value][: value % 3]


@dataclass
class Hand:
    """A worker that believes it owns a node; `skip` outputs are known to be written already."""

    worker: int
    node: str
    epoch: int
    seq: int = 0
    position: int = 0
    skip: int = 0
    made: int = 0
    pending: list[int] = field(default_factory=list)
    last: Commit | None = None


class Owners(Machine):
    """Nodes with one owner: a feeder writes x; a reads x and writes y, and replays after a takeover; b and c only read."""

    def __init__(self, store: Store, portal: BlockingPortal) -> None:
        self.streams = {
            "x": Stream({"a": Reader(7, 20), "c": Reader(11, 16)}),
            "y": Stream({"b": Reader(4, 12)}),
        }
        readers = {
            name: tuple(ReaderSpec(node, "p", r.capacity, r.capacity_bytes) for node, r in stream.readers.items())
            for name, stream in self.streams.items()
        }
        nodes = (
            NodeSpec("in:x", outputs=("x",), counts=False),
            NodeSpec("a", inputs=(("p", "x"),), outputs=("y",)),
            NodeSpec("b", inputs=(("p", "y"),)),
            NodeSpec("c", inputs=(("p", "x"),)),
        )
        super().__init__(
            store, portal, nodes, (StreamSpec("x", "in:x", readers["x"]), StreamSpec("y", "a", readers["y"]))
        )
        self.resume = dict.fromkeys(PORTS, 0)
        self.mark = 0
        self.hands: dict[str, list[Hand]] = {}
        for node in ("in:x", *PORTS):
            self.takes_over(node, 0)

    def takes_over(self, node: str, worker: int) -> None:
        record = self.call(self.session(worker).claim, node, force=True)
        hand = Hand(worker, node, record.epoch)
        assert record.seq == 0
        if node in PORTS:
            port, stream = PORTS[node]
            reader = self.streams[stream].readers[node]
            assert record.reads[port] == (reader.cursor, self.streams[stream].size_at(reader.cursor))
            assert record.cursors[port] == (self.resume[node], self.streams[stream].size_at(self.resume[node]))
            hand.position = self.resume[node]
        if node == "a":
            assert record.marks.get("y", (0, 0)) == (self.mark, self.mark * 7)
            hand.skip = hand.made = self.mark
        for stream, length in record.lengths.items():
            assert length == len(self.streams[stream].values)
        hands = self.hands.setdefault(node, [])
        assert not hands or hand.epoch > hands[-1].epoch
        hands.append(hand)

    def send(self, hand: Hand, commit: Commit) -> Committed | None:
        """Commit; None where the hand was rightly refused as a zombie."""
        current = hand is self.hands[hand.node][-1]
        try:
            done: Committed = self.call(self.session(hand.worker).commit, commit)
        except FencedError:
            assert not current
            return None
        except RewoundError:  # the same worker has claimed the node since
            assert not current
            assert hand.worker == self.hands[hand.node][-1].worker
            return None
        assert current
        return done

    def commit(self, hand: Hand, **changes: Any) -> bool:
        """A new commit, whose effect the model shares if there must be one."""
        commit = Commit(hand.node, hand.epoch, hand.seq + 1, **changes)
        done = self.send(hand, commit)
        if done is None:
            return False
        assert done.ok == all(self.streams[write.stream].takes(list(write.frames)) for write in commit.writes)
        if not done.ok:
            return False
        hand.seq, hand.last = hand.seq + 1, commit
        for write in commit.writes:
            self.streams[write.stream].append(list(write.frames))
            assert done.rooms[write.stream].length == len(self.streams[write.stream].values)
        for read in commit.reads:
            reader = self.streams[read.stream].readers[hand.node]
            reader.cursor = max(reader.cursor, read.cursor)
            if commit.safe:
                self.resume[hand.node] = read.cursor
        return True

    @rule(node=st.sampled_from(["in:x", *PORTS]), worker=WORKERS)
    def a_worker_takes_over(self, node: str, worker: int) -> None:
        self.takes_over(node, worker)

    @rule(which=HANDS, values=st.lists(st.integers(0, 255), min_size=1, max_size=6), cuts=CUTS)
    def the_feeder_writes(self, which: int, values: list[int], cuts: list[int]) -> None:
        hand = self.hands["in:x"][max(which, -len(self.hands["in:x"]))]
        self.commit(hand, writes=[Write("x", len(self.streams["x"].values), cut(values, cuts))])

    @rule(
        node=st.sampled_from(["a", "a", "b", "c"]),
        which=HANDS,
        count=st.integers(1, 8),
        safe=st.booleans(),
        part=st.integers(0, 9),
        cuts=CUTS,
    )
    def a_node_works(self, node: str, which: int, count: int, safe: bool, part: int, cuts: list[int]) -> None:
        hand = self.hands[node][max(which, -len(self.hands[node]))]
        port, name = PORTS[node]
        stream = self.streams[name]
        reading = self.call(self.session(hand.worker).read, name, hand.position, count)
        start = reading.frames[0].end - reading.frames[0].count if reading.frames else hand.position
        found = values_of(reading)[hand.position - start :][:count]
        assert found == stream.values[hand.position : hand.position + count]
        hand.position += len(found)
        if node == "a":
            made = [output for value in found for output in work(value)]
            hand.skip, made = max(hand.skip - len(made), 0), made[hand.skip :]
            hand.pending += made
        out = hand.pending[:part]
        safe = safe and hand.skip == 0 and len(out) == len(hand.pending)
        mark = hand.made + len(out)
        writes = [Write("y", len(self.streams["y"].values), cut(out, cuts), (mark, mark * 7))] if out else []
        reads = [Advance(port, name, hand.position, stream.size_at(hand.position))]
        if self.commit(hand, writes=writes, reads=reads, safe=safe):
            del hand.pending[:part]
            hand.made = 0 if safe else mark
            if node == "a" and (safe or out):
                self.mark = hand.made

    @rule(node=st.sampled_from(["in:x", *PORTS]), which=HANDS)
    def a_commit_is_sent_again(self, node: str, which: int) -> None:
        hand = self.hands[node][max(which, -len(self.hands[node]))]
        if hand.last is not None:
            done = self.send(hand, hand.last)
            assert done is None or done.ok

    @rule(node=st.sampled_from(["in:x", *PORTS]), ahead=st.sampled_from([2, 5]))
    def a_commit_is_ahead_of_the_store(self, node: str, ahead: int) -> None:
        hand = self.hands[node][-1]
        with pytest.raises(RewoundError):
            self.call(self.session(hand.worker).commit, Commit(node, hand.epoch, hand.seq + ahead, counters={"n": 1}))
        for other, hands in self.hands.items():
            with pytest.raises(RewoundError):  # what the store has lost may be what they go by
                self.call(self.session(hands[-1].worker).commit, Commit(other, hands[-1].epoch, hands[-1].seq + 1))
            self.takes_over(other, hands[-1].worker)

    @rule(
        node=st.sampled_from(sorted(PORTS)),
        hold=st.sampled_from(["hold", "hold", "open", "free"]),
        capacity=st.integers(1, 12),
    )
    def a_reader_changes_its_hold(self, node: str, hold: Any, capacity: int) -> None:
        port, name = PORTS[node]
        self.call(self.session(0).hold, node, port, hold, capacity=capacity)
        reader = self.streams[name].readers[node]
        reader.hold, reader.capacity = hold, capacity

    @invariant()
    def every_count_is_exact(self) -> None:
        probe = self.call(self.session(1).probe)
        for name, stream in self.streams.items():
            found = probe.streams[name]
            assert (found.length, found.size) == (len(stream.values), sized(stream.values))
            for node, reader in stream.readers.items():
                assert found.readers[node, "p"][:2] == (reader.cursor, stream.size_at(reader.cursor))
                assert found.readers[node, "p"].cursor <= found.length

    @invariant()
    def nothing_is_lost_doubled_or_out_of_order(self) -> None:
        x, y = self.streams["x"].values, self.streams["y"].values
        assert self.stored("x") == x
        assert self.stored("y") == y
        assert [output for value in x for output in work(value)][: len(y)] == y


class Sharers(Machine):
    """A node that two workers share, in order: every value becomes its complement."""

    def __init__(self, store: Store, portal: BlockingPortal) -> None:
        nodes = (
            NodeSpec("in:x", outputs=("x",), counts=False),
            NodeSpec("a", inputs=(("p", "x"),), outputs=("y",), shared=True),
        )
        streams = (StreamSpec("x", "in:x", (ReaderSpec("a", "p", 30),)), StreamSpec("y", "a"))
        super().__init__(store, portal, nodes, streams)
        self.feeder = self.call(self.session(0).claim, "in:x")
        self.fed = 0
        self.x: list[int] = []
        self.y: list[int] = []
        self.claimed = 0
        self.seqs = [0, 0]
        self.held: list[tuple[int, Range]] = []
        self.given_up: list[tuple[int, Range]] = []
        self.free: list[tuple[int, int]] = []

    def first(self) -> int:
        """Where the first range that is not done begins."""
        return min([r.start for _, r in self.held] + [start for start, _ in self.free], default=self.claimed)

    def gives_up(self, worker: int) -> None:
        mine = [(owner, r) for owner, r in self.held if owner == worker]
        self.given_up += mine
        self.free += [(r.start, r.stop) for _, r in mine]
        self.held = [(owner, r) for owner, r in self.held if owner != worker]

    @rule(values=st.lists(st.integers(0, 255), min_size=1, max_size=6))
    def the_feeder_writes(self, values: list[int]) -> None:
        commit = Commit("in:x", self.feeder.epoch, self.fed + 1, [Write("x", len(self.x), cut(values, [2]))])
        done = self.call(self.session(0).commit, commit)
        assert done.ok == (
            len(self.x) + len(values) <= self.first() + 30 or (len(values) == 1 and self.first() == len(self.x))
        )
        if done.ok:
            self.fed += 1
            self.x += values

    @rule(worker=WORKERS, limit=st.integers(1, 4))
    def a_worker_takes_values(self, worker: int, limit: int) -> None:
        found, finished = self.call(self.session(worker).take, "a", limit)
        assert not finished
        if self.free:
            bounds = next((s, e) for s, e in self.free if s == found.start)
            assert found.stop == min(bounds[1], bounds[0] + limit)
            self.free.remove(bounds)
            if found.stop < bounds[1]:
                self.free.append((found.stop, bounds[1]))
        elif self.claimed < len(self.x):
            assert (found.start, found.stop) == (self.claimed, min(self.claimed + limit, len(self.x)))
            self.claimed = found.stop
        else:
            assert found is None
            return
        self.held.append((worker, found))

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0, 9), done=st.integers(0, 4))
    def a_worker_finishes_values(self, pick: int, done: int) -> None:
        worker, found = self.held[pick % len(self.held)]
        upto = min(found.start + done, found.stop)
        values = [255 - value for value in self.x[found.start : upto]]
        seq = self.seqs[worker] + 1
        commit = Commit("a", 0, seq, [Write("y", 0, cut(values, [1]))], claim=found.id, upto=upto)
        answer = self.call(self.session(worker).commit, commit)
        assert answer.turn == answer.ok == (found.start == self.first())
        if answer.ok:
            assert self.call(self.session(worker).commit, commit).ok
            self.seqs[worker] = seq
            self.y += values
            self.held.remove((worker, found))
            if upto < found.stop:
                self.held.append((worker, found._replace(start=upto)))

    @rule(worker=WORKERS)
    def a_worker_comes_back(self, worker: int) -> None:
        super().a_worker_comes_back(worker)
        self.a_worker_begins_anew(worker)

    @rule(worker=WORKERS)
    def a_worker_begins_anew(self, worker: int) -> None:
        record = self.call(self.session(worker).claim, "a")
        assert (record.epoch, record.seq) == (0, self.seqs[worker])
        self.gives_up(worker)

    @precondition(lambda self: self.given_up)
    @rule(pick=st.integers(0, 9))
    def a_zombie_commits_what_is_not_its_own(self, pick: int) -> None:
        worker, found = self.given_up[pick % len(self.given_up)]
        commit = Commit(
            "a", 0, self.seqs[worker] + 1, [Write("y", 0, cut([1, 2], [1]))], claim=found.id, upto=found.stop
        )
        with pytest.raises(FencedError):
            self.call(self.session(worker).commit, commit)

    @invariant()
    def the_output_is_that_of_one_worker(self) -> None:
        reader = self.call(self.session(1).probe).streams["x"].readers["a", "p"]
        assert reader.cursor == self.first() == len(self.y)
        assert self.stored("y") == self.y == [255 - value for value in self.x[: len(self.y)]]


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    """A loop in a thread of its own, for machines that know of none."""
    with start_blocking_portal() as portal:
        yield portal


@pytest.mark.parametrize("machine", [Owners, Sharers])
def test_streams_are_what_a_list_says(machine: Any, store_url: str, portal: BlockingPortal) -> None:
    """Whatever is repeated, refused, taken over or committed by a zombie: nothing is lost, doubled or out of order."""
    examples = EXAMPLES["memory" if store_url == "memory://" else "valkey"]
    options = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    with portal.wrap_async_context_manager(portal.call(make_store, store_url)) as store:
        run_state_machine_as_test(lambda: machine(store, portal), settings=options)
