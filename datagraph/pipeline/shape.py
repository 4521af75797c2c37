"""A pipeline as a graph: where it begins and ends, which of its tasks lie on rings, and how it is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..graph.model import INPUT_PREFIX, OUTPUT_PREFIX, Edge, Graph, Node, Port
from ..graph.order import descendants
from ..runtime.annotations import core, flavour
from .task import DagTask, TaskTransition

SOURCE = f"{INPUT_PREFIX}source"
RESULTS = f"{OUTPUT_PREFIX}results"
PORT = "item"
UNMATCHED = ("result", "drop", "raise")

Tasks = Mapping[str, DagTask]


def rings(tasks: Tasks) -> dict[str, frozenset[str]]:
    """For each task on a ring all tasks that it can reach and that can reach it, itself included."""
    nodes = tuple(Node(id) for id in tasks)
    edges = (Edge("", task.id, "", way.target, "") for task in tasks.values() for way in task.transitions)
    graph = Graph(nodes, tuple(edges))
    after = {id: descendants(graph, id) for id in tasks}
    return {id: frozenset(o for o in after[id] if id in after[o]) for id in tasks if id in after[id]}


def sources(tasks: Tasks, ringed: Mapping[str, frozenset[str]]) -> list[str]:
    """The tasks that the source's payloads come to: those that no other leads to; of a ring that none from outside
    leads to, the one that was given first.
    """
    led: set[str] = set()
    for task in tasks.values():
        led |= {way.target for way in task.transitions if way.target not in ringed.get(task.id, ())}
    found: list[str] = []
    seen: set[str] = set()
    for id in tasks:
        ring = ringed.get(id, frozenset((id,)))
        if id not in seen and not ring & led:
            found.append(id)
        seen |= ring
    return found


def sinks(tasks: Tasks) -> list[str]:
    """The tasks that lead to no other."""
    return [id for id, task in tasks.items() if all(way.target == id for way in task.transitions)]


def ends(task: DagTask, unmatched: str) -> bool:
    """Whether values of a task may become results: where no way takes them, or none takes them again."""
    ways = task.transitions
    if any(way.predicate is None and way.max_loops is None for way in ways):
        return False
    return unmatched == "result" or all(way.predicate is None for way in ways) or any(w.max_loops for w in ways)


def way_names(task: DagTask, taken: set[str]) -> list[str]:
    """A name for each of a task's ways, that no other has: its own, or ``task→target``."""
    found = []
    for way in task.transitions:
        plain = way.name or f"{task.id}→{way.target}"
        name, number = plain, 2
        while name in taken:
            name, number = f"{plain} ({task.id})" if number == 2 else f"{plain} ({task.id} {number})", number + 1
        taken.add(name)
        found.append(name)
    return found


def graph_of(tasks: Tasks, begins: list[str], *, name: str, capacity: int, unmatched: str) -> Graph:
    """The graph of a pipeline: its source, its tasks, and the place where its results come out."""
    taken = {"source", "results"}
    names = {id: way_names(task, taken) for id, task in tasks.items()}
    into: dict[str, list[str]] = {id: [] for id in tasks}
    edges: list[Edge] = []

    def join(stream: str, source: str, task: DagTask) -> None:
        held = capacity if task.capacity is None else task.capacity
        edges.append(Edge(stream, source, PORT, task.id, PORT, held))
        into[task.id].append(source.removeprefix(INPUT_PREFIX))

    for id in begins:
        join("source" if len(begins) == 1 else f"source→{id}", SOURCE, tasks[id])
    for id, task in tasks.items():
        for way, stream in zip(task.transitions, names[id], strict=True):
            join(stream, id, tasks[way.target])
    out = [id for id, task in tasks.items() if ends(task, unmatched)]
    edges += [Edge("results" if len(out) == 1 else f"{id}→results", id, PORT, RESULTS, PORT) for id in out]
    given = Node(SOURCE, "input", outputs=(Port(PORT, stream="source"),))
    shown = [_node(task, list(dict.fromkeys(into[id]))) for id, task in tasks.items()]
    kept = [Node(RESULTS, "output", inputs=(Port(PORT, stream="results"),))] if out else []
    return Graph((given, *shown, *kept), tuple(edges), name)


def _node(task: DagTask, before: list[str]) -> Node:
    code = getattr(core(task.handler), "__code__", None)
    plain = flavour(task.handler) in {"function", "generator"}
    on_error: Any = task.on_error
    return Node(
        task.id,
        inputs=(Port(PORT, stream=", ".join(before)),),
        outputs=(Port(PORT, stream=task.id),),
        attrs={
            "concurrency": task.concurrency,
            "capacity": task.capacity,
            "retries": task.retry.attempts,
            "timeout": task.timeout,
            "on_error": on_error if isinstance(on_error, str) else getattr(on_error, "__name__", "") or "",
            "ordered": task.concurrency == 1,
            "shape": "value",
            "state": "none",
            "runs_in": "thread" if plain else "async",
            "source": f"{code.co_filename}:{code.co_firstlineno}" if code is not None else "",
            "doc": (getattr(task.handler, "__doc__", "") or "").strip().partition("\n")[0],
        },
    )


def key_of(task: DagTask, way: TaskTransition) -> tuple[str, str]:
    """What loops along this way are counted under."""
    return task.id, way.name or way.target
