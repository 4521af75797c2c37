"""A task at work in one run: its queue, its ways out, and what is counted of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import anyio

from ..graph.model import Graph
from ..runtime.outputs import Caller
from ..runtime.queues import MemoryEdge, MemoryQueue
from .results import DeadLetter
from .shape import RESULTS, SOURCE, key_of
from .task import DagTask, OnError, TaskTransition, takes_context

KEPT = 100
"""Errors of a node that a view can still show."""


class Way:
    """A transition in one run."""

    __slots__ = ("edge", "key", "max_loops", "name", "predicate", "target")

    def __init__(self, task: DagTask, transition: TaskTransition, edge: MemoryEdge) -> None:
        self.edge = edge
        self.key = key_of(task, transition)
        self.max_loops = transition.max_loops
        self.name = edge.name
        self.predicate = transition.predicate
        self.target = transition.target


class Exit:
    """Where the results of one task come out: counted, and looked at as an edge is."""

    __slots__ = ("name", "seen", "written")

    def __init__(self, name: str) -> None:
        self.name = name
        self.written = 0
        self.seen: deque[Any] | None = None


class WorkingNode:
    """One task in one run. Its loop alone changes it."""

    def __init__(self, task: DagTask, on_error: OnError) -> None:
        self.task = task
        self.name = task.id
        self.queue = MemoryQueue(task.id, task.concurrency)
        self.caller = Caller(task.handler, task.concurrency, abandon=task.timeout is not None)
        self.with_context = takes_context(task.id, task.handler)
        self.retry = task.retry
        self.on_error: OnError = on_error if task.on_error is None else task.on_error
        self.ways: list[Way] = []
        self.plain = all(way.predicate is None and way.max_loops is None for way in task.transitions)
        self.exit: Exit | None = None
        self.started = False
        self.paused = False
        self.failed = ""
        self.read = 0
        self.errors = 0
        self.retries = 0
        self.skipped = 0
        self.dead_letters = 0
        self.troubles: deque[Mapping[str, Any]] = deque(maxlen=KEPT)
        self.letters: deque[DeadLetter] = deque(maxlen=KEPT)
        self.resumed: anyio.Event | None = None

    @property
    def written(self) -> int:
        """Values that left it, on all of its ways together."""
        kept = self.exit.written if self.exit is not None else 0
        return kept + sum(way.edge.written for way in self.ways)

    def trouble(self, letter: DeadLetter) -> None:
        """Note an error for whoever looks."""
        self.errors += 1
        said = f"{type(letter.error).__name__}: {letter.error}"
        self.troubles.append({"error": said, "traceback": letter.traceback, "at": time.time()})


def connect(graph: Graph, nodes: Mapping[str, WorkingNode]) -> tuple[list[MemoryEdge], dict[str, MemoryEdge | Exit]]:
    """Join nodes as the graph says; the edges from the source, and all of them by stream."""
    begins: list[MemoryEdge] = []
    edges: dict[str, MemoryEdge | Exit] = {}
    for edge in graph.edges:
        if edge.target == RESULTS:
            edges[edge.stream] = nodes[edge.source].exit = Exit(edge.stream)
            continue
        made = edges[edge.stream] = MemoryEdge(edge.stream, nodes[edge.target].queue, edge.capacity or 1)
        if edge.source == SOURCE:
            begins.append(made)
        else:
            node = nodes[edge.source]
            node.ways.append(Way(node.task, node.task.transitions[len(node.ways)], made))
    for node in nodes.values():
        node.exit = node.exit or Exit("")
    return begins, edges
