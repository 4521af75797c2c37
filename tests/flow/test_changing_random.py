"""Random changes of a run under full load: nothing is lost, nothing doubled, the order is kept."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

import datagraph as dg
from datagraph import Flow, Supervisor
from datagraph.flow.changing import Applied
from datagraph.flow.run import Run
from datagraph.runtime import rewire
from tests.flow.changes import KINDS, Endless, Model, passing


class Monkey:
    """Changes a run at random, so that its main line passes on every number whatever it does."""

    def __init__(self, seed: int, *, forgetful: bool = False, kinds: Sequence[str] = KINDS) -> None:
        self.forgetful = forgetful
        self.kinds = kinds
        self.rng = random.Random(seed)
        self.spare = {f"p{n}": self._some(f"p{n}", f"i{n}", f"o{n}") for n in range(4)}
        self.branches = {f"q{n}": self._some(f"q{n}", "sa", f"r{n}") for n in range(2)}
        line = [self._some(*names) for names in (("a", "x", "sa"), ("b", "sa", "sb"), ("c", "sb", "sc"))]
        self.numbers = Endless()
        self.run: Run = Flow(*line, keep="all", keep_results="all").start({"x": self.numbers.values()})
        self.model = Model(self.run.graph)
        self.done: dict[str, int] = {}

    def _some(self, name: str, reads: str, writes: str, **options: Any) -> dg.Processor:
        return passing(name, reads, writes, self.rng.choice(self.kinds), **options)

    def step(self) -> None:
        """One change, if the one that was chosen can be made."""
        what = self.rng.choice(("insert", "drop", "tune", "swap", "undo", "branch", "move", "seek"))
        try:
            applied: Applied | None = getattr(self, f"_{what}")()
        except dg.RunError as error:  # a node that cannot be left at this moment: then nothing was changed
            if "try again" not in str(error):
                raise
            return
        if applied is not None:
            self.model.note(applied.change.before, applied.change.after, applied.cuts, applied.joins)
            self.done[what] = self.done.get(what, 0) + 1

    def _names(self) -> list[str]:
        return [node.name for node in self.run.graph.processors()]

    def _at_rest(self, name: str) -> bool:
        """Whether what was dropped is done with what it had in hand."""
        nodes = self.run._local.working_engine().nodes
        return all(node.over.is_set() for node in nodes if node.name == name)

    def _insert(self) -> Applied | None:
        names = self._names()
        free = [p for name, p in self.spare.items() if name not in names and self._at_rest(name)]
        edges = [e for e in self.run.graph.edges if e.target in names and e.target not in self.branches]
        return self.run.apply(dg.Insert(self.rng.choice(free), self.rng.choice(edges).name)) if free else None

    def _drop(self) -> Applied | None:
        used = [name for name in self._names() if name in self.spare]
        return self.run.apply(dg.Drop(self.rng.choice(used))) if used else None

    def _tune(self) -> Applied | None:
        node = self.rng.choice(self.run.graph.processors())
        what = self.rng.choice(("capacity", "capacity", "retries", "concurrency", "workers"))
        if what in ("concurrency", "workers") and node.attrs["shape"] == "stream":
            return None
        choice = {"capacity": (200, 1000, 4000), "retries": (0, 1, 2)}.get(what, (1, 2, 3))
        value = self.rng.choice([each for each in choice if each != node.attrs[what]])
        return self.run.tune(node.name, **{what: value})

    def _swap(self) -> Applied | None:
        node = self.rng.choice(self.run.graph.processors())
        if node.attrs["workers"] > 1 or node.attrs["concurrency"] > 1:
            return None
        reads, writes = node.inputs[0].name, node.outputs[0].stream
        return self.run.apply(dg.Swap(node.name, self._some(f"{node.name}_too", reads, writes), fresh=True))

    def _undo(self) -> Applied | None:
        changes = self.run._local.changes
        if not changes.undoable or not all(map(self._at_rest, {*self.spare, *self.branches} - {*self._names()})):
            return None
        if self.forgetful:
            changes._had.clear()
        return self.run.undo()

    def _branch(self) -> Applied | None:
        name, branch = self.rng.choice(list(self.branches.items()))
        if name in self._names():
            return self.run.apply(dg.Disconnect(name))
        return self.run.apply(dg.Connect(branch)) if self._at_rest(name) else None

    def _edge(self) -> Any:
        edges = [edge for edge in self.run.graph.edges if edge.target in self.branches]
        return self.rng.choice(edges) if edges else None

    def _move(self) -> Applied | None:
        edge = self._edge()
        if edge is None:
            return None
        others = [p.stream for node in self.run.graph.processors() for p in node.outputs if node.name != edge.target]
        streams = [s for s in (*others, "x") if s != edge.stream and s[0] != "r"]
        return self.run.apply(dg.Move(edge.name, source=self.rng.choice(streams)))

    def _seek(self) -> Applied | None:
        edge = self._edge()
        if edge is None:
            return None
        length = len(self.run[edge.stream])
        return self.run.seek(f"{edge.target}.{edge.target_port}", length - self.rng.randrange(min(1000, length + 1)))

    def judge(self) -> int:
        """End the run and compare all of it with what it must be; how many values its streams held."""
        self.numbers.stop()
        self.run.stop(timeout=60)
        given, arrived = self.run["x"].to_list(), self.run["sc"].to_list()
        assert given == list(range(len(given)))
        assert arrived == given
        held = {name: self.run[name].to_list() for name in ("x", *self.model.writer) if name in self.run}
        self.model.check(held)
        return sum(map(len, held.values()))


def shaken(seed: int, edits: int, *, forgetful: bool = False) -> None:
    """Make that many random changes of a run, and judge it; `forgetful` takes functions to go back to from the store."""
    print(f"seed {seed}")
    monkey = Monkey(seed, forgetful=forgetful)
    while sum(monkey.done.values()) < edits:
        monkey.step()
    held = monkey.judge()
    print(f"{monkey.done}, {held} values in all streams")
    assert held > 10 * edits


def test_random_changes_leave_every_stream_as_the_model_has_it(supervisor: Supervisor) -> None:
    """250 changes at random in each loop and each store, a thousand in one run of this test: every edge is exact."""
    shaken(random.randrange(10**6), 250)


def test_changes_that_wait_for_no_safe_point_lose_and_double_nothing(
    valkey_url: str, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a node has in hand when it is left at once is done again by who follows, and what it has stored is not."""
    monkeypatch.setattr(rewire, "_PATIENCE", 0.0)
    monkeypatch.setattr(rewire, "_GLANCE", 0.001)
    supervisor = Supervisor.attach(valkey_url, backend=anyio_backend)
    shaken(random.randrange(10**6), 120, forgetful=True)
    supervisor.detach()
