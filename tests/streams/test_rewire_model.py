"""Hypothesis hands streams from node to node while they are written and read; lists say who reads which value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule, run_state_machine_as_test

from datagraph.exceptions import MovedError, RunError, WiringChangedError
from datagraph.streams.records import (
    CLAIMED,
    NOW,
    Advance,
    Commit,
    Cut,
    Join,
    NodeRecord,
    NodeSpec,
    Range,
    ReaderSpec,
    Rewire,
    RunSpec,
    StreamSpec,
    Write,
    at_cut,
)
from datagraph.streams.store import Store
from tests.conftest import make_store
from tests.streams.model import WORKERS, Machine, cut

EXAMPLES = {"memory": 150, "valkey": 15}
STREAMS, CAPACITY = ("x", "y"), 8
NODES = ("a", "b", "s")  # s is shared by two workers, and reads x only


@dataclass
class Segment:
    """What a node reads of a stream, as it must be."""

    node: str
    name: str
    stream: str
    began: int
    cursor: int
    claimed: int
    until: int | None = None

    @property
    def hold(self) -> str:
        if self.until is None:
            return "hold"
        return "free" if self.cursor == self.until else "open"


@dataclass
class Hand:
    """A worker that owns a node and goes by what it was told when it claimed it."""

    epoch: int
    seq: int
    segments: list[tuple[str, str, int | None]]
    cursors: dict[str, int]


@dataclass
class Claimed:
    """Values of s that a worker has in hand."""

    worker: int
    range: Range
    segment: Segment = field(repr=False)


class Wirings(Machine):
    """At any time each stream has one reader; whose it was before reads up to where it was handed over."""

    def __init__(self, store: Store, portal: BlockingPortal) -> None:
        nodes = (
            NodeSpec("in:x", outputs=("x",)),
            NodeSpec("in:y", outputs=("y",)),
            NodeSpec("a", inputs=(("x", "x"),)),
            NodeSpec("b", inputs=(("y", "y"),)),
            NodeSpec("s", shared=True),
        )
        streams = tuple(
            StreamSpec(name, f"in:{name}", (ReaderSpec(node, name, CAPACITY),))
            for name, node in (("x", "a"), ("y", "b"))
        )
        super().__init__(store, portal, nodes, streams)
        self.spec, self.version = RunSpec(self.run, "model", {}, nodes, streams), 0
        self.values: dict[str, list[int]] = {"x": [], "y": []}
        self.read_by: dict[str, dict[int, str]] = {"x": {}, "y": {}}
        self.segments = [Segment("a", "x", "x", 0, 0, 0), Segment("b", "y", "y", 0, 0, 0)]
        self.made = 0
        self.feeders = {name: self.claim(f"in:{name}") for name in STREAMS}
        self.hands = {node: self.claim(node) for node in ("a", "b")}
        self.seqs = [0, 0]
        self.held: list[Claimed] = []

    def of(self, node: str) -> list[Segment]:
        return [segment for segment in self.segments if segment.node == node]

    def open_on(self, stream: str) -> Segment:
        return next(segment for segment in self.segments if segment.stream == stream and segment.until is None)

    def claim(self, node: str) -> Hand:
        record: NodeRecord = self.call(self.session(0).claim, node)
        assert record.segments == tuple((s.name, s.stream, s.until) for s in self.of(node))
        cursors = {name: cursor for name, (cursor, _) in record.cursors.items()}
        assert cursors == {s.name: s.cursor for s in self.of(node)}
        return Hand(record.epoch, record.seq, [tuple(s) for s in record.segments], cursors)  # type: ignore[misc]

    def saw(self, segment: Segment, start: int, stop: int) -> None:
        for position in range(start, stop):
            assert position not in self.read_by[segment.stream]
            self.read_by[segment.stream][position] = segment.node

    @rule(stream=st.sampled_from(STREAMS), values=st.lists(st.integers(0, 255), min_size=1, max_size=5))
    def a_stream_is_written(self, stream: str, values: list[int]) -> None:
        hand, written = self.feeders[stream], self.values[stream]
        reader = self.open_on(stream)
        write = Write(stream, len(written), cut(values, [2, 1]))
        done = self.call(self.session(0).commit, Commit(f"in:{stream}", hand.epoch, hand.seq + 1, [write]))
        room = reader.cursor + CAPACITY - len(written)
        assert done.ok == (len(values) <= room or (len(values) == 1 and reader.cursor == len(written)))
        if done.ok:
            hand.seq += 1
            written += values

    @rule(node=st.sampled_from("ab"), pick=st.integers(0, 9), count=st.integers(0, 6))
    def a_node_reads(self, node: str, pick: int, count: int) -> None:
        hand = self.hands[node]
        left = [s for s in hand.segments if s[2] is None or hand.cursors[s[0]] < s[2]]
        if not left:
            self.hands[node] = self.claim(node)
            return
        name, stream, until = left[pick % len(left)]
        start = hand.cursors[name]
        stop = min(start + count, len(self.values[stream]) if until is None else until)
        commit = Commit(node, hand.epoch, hand.seq + 1, reads=[Advance(name, stream, stop, 0)], safe=True)
        segment = next((s for s in self.of(node) if s.name == name), None)
        if segment is None or (segment.until is not None and stop > segment.until):
            with pytest.raises(MovedError):
                self.call(self.session(0).commit, commit)
            self.hands[node] = self.claim(node)
            return
        assert self.call(self.session(0).commit, commit).ok
        self.saw(segment, start, stop)
        hand.seq, hand.cursors[name], segment.cursor = hand.seq + 1, stop, stop

    @rule(worker=WORKERS, limit=st.integers(1, 4))
    def a_worker_takes_values(self, worker: int, limit: int) -> None:
        found, finished = self.call(self.session(worker).take, "s", limit)
        assert finished == (not self.held and all(s.until == s.claimed for s in self.of("s")))
        for segment in self.of("s"):
            end = len(self.values["x"]) if segment.until is None else segment.until
            if segment.claimed < end:
                stop = min(segment.claimed + limit, end)
                assert found[1:] == (segment.name, "x", segment.claimed, stop)
                segment.claimed = stop
                self.held.append(Claimed(worker, found, segment))
                return
        assert found is None

    @precondition(lambda self: self.held)
    @rule(pick=st.integers(0, 9))
    def a_worker_finishes_values(self, pick: int) -> None:
        claimed = self.held[pick % len(self.held)]
        _, _, _, start, stop = claimed.range
        seq = self.seqs[claimed.worker] + 1
        commit = Commit("s", 0, seq, claim=claimed.range.id, upto=stop)
        done = self.call(self.session(claimed.worker).commit, commit)
        assert done.ok == done.turn == (claimed is self.held[0])
        if done.ok:
            self.seqs[claimed.worker] = seq
            self.held.remove(claimed)
            self.saw(claimed.segment, start, stop)
            claimed.segment.cursor = stop

    @rule(
        stream=st.sampled_from(STREAMS),
        node=st.sampled_from(NODES),
        where=st.sampled_from([NOW, CLAIMED, 0, 1, 5]),
        strikes=st.booleans(),
        stale=st.sampled_from([False, False, False, True]),
    )
    def a_stream_is_handed_over(self, stream: str, node: str, where: int, strikes: bool, stale: bool) -> None:
        if node == "s" and stream == "y":
            return
        old, length = self.open_on(stream), len(self.values[stream])
        least = old.claimed if old.node == "s" else old.cursor
        if where == CLAIMED and old.node != "s":
            where = NOW
        asked = where if where < 0 else least + where
        position = {NOW: length, CLAIMED: least}.get(where, asked)
        self.made += 1
        new = Segment(node, f"{stream}#{self.made}", stream, position, position, position)
        # What is free before this change may be struck by it.
        struck = [s for s in self.segments if s.hold == "free"] if strikes else []
        after = [*(s for s in self.segments if s not in struck), new]
        nodes = tuple(
            replace(spec, inputs=tuple((s.name, s.stream) for s in after if s.node == spec.name))
            for spec in self.spec.nodes
        )
        change = Rewire(
            self.version - stale,
            replace(self.spec, nodes=nodes),
            [Cut(old.node, old.name, asked)],
            [Join(node, new.name, stream, at_cut(0), CAPACITY)],
            struck=[(s.node, s.name) for s in struck],
        )
        if stale or position > length:
            with pytest.raises(WiringChangedError if stale else RunError):
                self.call(self.session(1).rewire, change)
            return
        assert self.call(self.session(1).rewire, change) == (self.version + 1, (position,), (position,))
        self.version += 1
        old.until, self.segments = position, after

    @invariant()
    def every_value_is_read_by_one_segment(self) -> None:
        probe = self.call(self.session(0).probe)
        assert probe.run.wiring == self.version
        for stream in STREAMS:
            found = {
                key: (reader.cursor, reader.hold, reader.until) for key, reader in probe.streams[stream].readers.items()
            }
            mine = [s for s in self.segments if s.stream == stream]
            assert found == {(s.node, s.name): (s.cursor, s.hold, s.until) for s in mine}
            assert self.stored(stream) == self.values[stream]
            assert len(self.read_by[stream]) <= len(self.values[stream])

    @rule()
    def everything_is_read(self) -> None:
        """Afterwards each value was read, by whoever had its stream when it was written."""
        while self.held:
            self.a_worker_finishes_values(0)
        for node in ("a", "b"):
            self.hands[node] = self.claim(node)
            for index in range(len(self.of(node))):
                hand = self.hands[node]
                if any(s[2] is None or hand.cursors[s[0]] < s[2] for s in hand.segments):
                    self.a_node_reads(node, index, 10**6)
            self.hands[node] = self.claim(node)
        for segment in self.of("s"):
            while segment.claimed < (len(self.values["x"]) if segment.until is None else segment.until):
                self.a_worker_takes_values(0, 4)
                self.a_worker_finishes_values(0)

    def teardown(self) -> None:
        for _ in range(1 + len(self.segments)):
            self.everything_is_read()
        for stream in STREAMS:
            assert sorted(self.read_by[stream]) == list(range(len(self.values[stream])))
        super().teardown()


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    """A loop in a thread of its own, for machines that know of none."""
    with start_blocking_portal() as portal:
        yield portal


def test_every_value_meets_one_wiring(store_url: str, portal: BlockingPortal) -> None:
    """However streams are handed from node to node, shared or not, each value is read once, by one of them."""
    examples = EXAMPLES["memory" if store_url == "memory://" else "valkey"]
    options: Any = settings(
        max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )
    with portal.wrap_async_context_manager(portal.call(make_store, store_url)) as store:
        run_state_machine_as_test(lambda: Wirings(store, portal), settings=options)
