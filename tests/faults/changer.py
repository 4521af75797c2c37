"""What a process does that changes its run again and again, until it is killed, and what its run must hold then."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import redis

import datagraph as dg
from datagraph import Flow, Processor, Supervisor
from datagraph.exceptions import RunError
from datagraph.flow.run import Run
from datagraph.graph.model import Graph
from datagraph.runtime.orders import Place
from datagraph.streams.keys import Keys
from datagraph.streams.store import Session
from datagraph.streams.valkey import ValkeyStore
from tests.faults.harness import edges
from tests.flow.changes import KINDS, Model, passing

PACE = 8_000.0
MANY = 10_000_000


def line() -> list[Processor]:
    """x -> a -> sa -> b -> sb -> c -> sc: values, a generator without state, values in a thread."""
    return [
        passing("a", "x", "sa"),
        passing("b", "sa", "sb", "stateless"),
        passing("c", "sb", "sc", "function"),
    ]


def spare() -> list[Processor]:
    """What is inserted and dropped, and a branch that comes and goes: one of each kind."""
    return [passing(f"p{n}", f"i{n}", f"o{n}", kind) for n, kind in enumerate(KINDS)] + [passing("q", "sa", "r")]


def change(url: str, run: str, seed: int, fresh: bool, edits: int, backend: str) -> None:
    """Start the run, or take it over, and change it; after so many changes, end it."""
    Supervisor.attach({"url": url}, backend=backend)  # type: ignore[arg-type]
    inputs = {"x": iter(range(MANY))}
    if fresh:
        flow = Flow(*line(), name=run, capacity=400, keep="all", keep_results="all")
        going = flow.start(inputs, name=run, pace=PACE)
    else:
        going = dg.recover(run, [*line(), *spare()], inputs, force=True, pace=PACE)
    rng = random.Random(seed)
    while edits > 0:
        try:
            if rng.random() < 0.2:
                going.undo()  # of whichever process
            else:
                going.apply(an_edit(going, rng))
            edits -= 1
        except (RunError, dg.GraphError):
            continue  # what was dropped is not done yet, or was not recovered with this process
    going.stop(timeout=60)
    Supervisor.instance.detach()


def an_edit(run: Run, rng: random.Random) -> Any:
    """Any edit that keeps the main line passing on every number."""
    names = [node.name for node in run.graph.processors()]
    used = [name for name in names if name[0] == "p"]
    free = [p for p in spare() if p.name not in names and p.name != "q"]
    choice = rng.randrange(5)
    if choice == 0 and used:
        return dg.Drop(rng.choice(used))
    if choice == 1:
        return dg.Disconnect("q") if "q" in names else dg.Connect(spare()[-1])
    if choice == 2:
        return dg.Tune(rng.choice(["a", "c"]), concurrency=rng.choice([1, 2, 3]), capacity=rng.choice([50, 400]))
    if choice == 3:
        return dg.Swap("b", passing("b", "sa", "sb", "stateless"), fresh=True)
    edges = [edge for edge in run.graph.edges if edge.target in names and edge.target != "q"]
    return dg.Insert(rng.choice(free), rng.choice(edges).name) if free else dg.Drop(rng.choice(used))


def wiring(raw: redis.Redis, run: str) -> int:
    """How often the run was changed."""
    return int(raw.hget(Keys(run).run, "wiring") or 0)


def modelled(raw: redis.Redis, run: str, graph: Graph) -> Model:
    """What the run must hold by the changes that its store has of it; `graph` is what it is now."""
    entries = [fields for _, fields in raw.xrange(Keys(run).edits)]
    notes = [json.loads(fields[b"p"]) for fields in entries]
    model = Model(Graph.from_dict(notes[0]["before"]) if notes else graph)
    now = None
    for fields, note in zip(entries, notes, strict=True):
        cuts, joins = msgspec.msgpack.decode(fields[b"r"])
        assert now is None or note["before"] == now, "a change was made of something that the run was not"
        now = note["after"]
        model.note(
            Graph.from_dict(note["before"]),
            Graph.from_dict(now),
            [Place(*part, at) for part, at in zip(note["cuts"], cuts or [], strict=True)],
            [Place(*part, at) for part, at in zip(note["joins"], joins or [], strict=True)],
        )
    assert now is None or Graph.from_dict(now).to_dict() == graph.to_dict()
    return model


async def judged(url: str, run: str) -> int:
    """The run is completed, its main line has passed on everything, every stream is as the model has it."""
    raw = redis.Redis.from_url(url)
    async with ValkeyStore(url) as store, store.session(run, "judge", lease=0) as session:
        probe = await session.probe()
        assert probe.run.status == "completed"
        model = modelled(raw, run, Graph.from_dict(probe.run.graph))
        held = await edges(session, probe)
        held |= await _gone(session, set(model.writer) - set(held))
    raw.close()
    assert held["x"] == list(range(len(held["x"])))
    assert held["sc"] == held["x"]
    model.check(held)
    return len(held["x"])


async def _gone(session: Session, names: set[str]) -> dict[str, list[Any]]:
    """Streams whose writers were dropped, which a probe does not show."""
    found = {}
    for name in names:
        codec = session.codec.bind(f"{session.run}:{name}".encode())
        length = (await session.tail(name, 1)).length
        values: list[Any] = []
        while len(values) < length:
            for frame in (await session.read(name, len(values), 100_000)).frames:
                values += codec.decode(frame.payload)
        found[name] = values
    return found
