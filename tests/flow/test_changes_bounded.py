"""A run that is changed for ever does not grow: neither what the store keeps of it, nor what the engine remembers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import redis

import datagraph as dg
from datagraph import Flow, Supervisor
from datagraph.flow.run import Run
from datagraph.streams.keys import Keys
from tests.flow.changes import Endless, passing
from tests.flow.test_changing import further

NODES: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "a": ("x", "sa", "coroutine", {}),
    "b": ("sa", "sb", "asyncgen", {}),
    "c": ("sb", "sc", "function", {"workers": 2}),
    "d": ("sc", "sd", "stateless", {}),
}
ROUND: list[Callable[[Run], Any]] = [
    lambda run: run.apply([dg.Insert(passing(f"p{stream}", "i", f"o{stream}"), edge) for stream, edge in EDGES]),
    lambda run: run.apply(dg.Connect(passing("q", "sa", "r"))),
    lambda run: run.apply(dg.Move("sa->q.sa", source="sb")),
    lambda run: run.seek("q.sa", max(0, len(run["sb"]) - 5)),
    lambda run: run.apply([_swap(run, name) for name in "abcd"]),
    lambda run: run.tune("a", retries=3 - run.graph.node("a").attrs["retries"]),
    lambda run: run.undo(),
    lambda run: run.apply(dg.Disconnect("q")),
    *(lambda run, stream=stream: run.apply(dg.Drop(f"p{stream}")) for stream in ("sa", "sb", "sc")),
]
EDGES = (("sa", "sa->b.sa"), ("sb", "sb->c.sb"), ("sc", "sc->d.sc"))


def _swap(run: Run, name: str) -> dg.Swap:
    reads, writes, kind, options = NODES[name]
    return dg.Swap(name, passing(name, reads, writes, kind, **options), fresh=True)


def turned(run: Run, rounds: int) -> None:
    """Change it there and back, so often."""
    for _ in range(rounds):
        for change in ROUND:
            while True:
                try:
                    change(run)
                    break
                except dg.RunError as error:  # what was dropped is not done yet
                    if "try again" not in str(error):
                        raise
            further(run, "sd", 5)


def kept(raw: redis.Redis, run: Run) -> Counter[str]:
    """Bytes of each record of the run, but for its values and its bounded lists."""
    prefix = Keys(run.id).run.removesuffix("run")
    found: Counter[str] = Counter()
    for key in raw.scan_iter(match=prefix.replace("[", r"\[") + "*", count=10_000):
        if raw.type(key) == b"hash":
            fields = raw.hgetall(key).items()
            found[key.decode().removeprefix(prefix)] += sum(len(name) + len(value) for name, value in fields)
    return found


def remembered(run: Run) -> Counter[str]:
    """Entries of the engine's tables."""
    engine = run._local.working_engine()
    return Counter(
        nodes=len(engine.nodes),
        segments=sum(len(node.segments()) for node in engine.nodes),
        sessions=len(engine._sessions),
        holds=len(engine._holds),
        cursors=len(engine._cursors),
        readers=sum(map(len, engine._readers.values())),
        ports=sum(map(len, engine._ports.values())),
    )


def test_hundreds_of_changes_leave_records_as_large_as_a_few(valkey_url: str) -> None:
    """Inserts, drops, branches, moves, seeks, swaps, tunes and undos before nodes of every kind, there and back again."""
    Supervisor.attach(valkey_url)
    raw, numbers = redis.Redis.from_url(valkey_url), Endless()
    line = [passing(name, reads, writes, kind, **options) for name, (reads, writes, kind, options) in NODES.items()]
    run = Flow(*line, keep=1000, keep_results=1000, capacity=200).start({"x": numbers.values()})
    turned(run, 3)
    few, few_here = kept(raw, run), remembered(run)
    turned(run, 17)
    many, many_here = kept(raw, run), remembered(run)
    numbers.stop()
    run.stop(timeout=30)
    raw.close()
    assert len(run.changes) == 220
    # Numbers have more digits; a node may have been met between two segments.
    grown = {key: (few[key], size) for key, size in many.items() if size > 1.2 * few[key] + 150}
    assert not grown
    assert all(size <= few_here[what] + 8 for what, size in many_here.items()), (few_here, many_here)
    Supervisor.detach()
