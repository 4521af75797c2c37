"""A pipeline as a flow: each task a processor, each way a stream of its own, and what is on its way in a store."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..exceptions import GraphError
from ..graph.model import Edge
from . import nextdoor
from .shape import RESULTS, key_of
from .stages import CONTEXT, Leg, Stage, merge_function, stage_function
from .task import DagTask

if TYPE_CHECKING:
    from ..flow.flow import Flow
    from ..flow.processor import Processor
    from .pipeline import DagPipeline

INPUT, OUTPUT = "source", "results"
LONGEST = 100
"""Characters of a name that is put together, of the 128 that one may have."""


def as_flow(pipeline: DagPipeline) -> Flow:
    """See `DagPipeline.as_flow`."""
    processors = _Bridge(pipeline).processors()
    name = re.sub(r"[^\w.-]", "_", pipeline.name) or None
    return nextdoor.flow()(*processors, name=name, capacity=pipeline.capacity)


class _Names:
    """Names that nothing else has."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def new(self, wanted: str) -> str:
        plain = found = wanted[:LONGEST]
        number = 2
        while found in self._taken:
            found, number = f"{plain}_{number}", number + 1
        self._taken.add(found)
        return found

    def parameter(self, wanted: str) -> str:
        """One that a parameter of a function can have."""
        word = re.sub(r"\W+", "_", wanted)
        if not f"_{word}".isidentifier():
            word = re.sub(r"\W+", "_", wanted, flags=re.ASCII)
        return self.new(f"_{word}" if keyword.iskeyword(word) or not word.isidentifier() else word)


class _Bridge:
    """The processors of one pipeline."""

    def __init__(self, pipeline: DagPipeline) -> None:
        self._pipeline = pipeline
        self._nodes = _Names(pipeline.tasks)
        self._streams = _Names((INPUT, OUTPUT, CONTEXT))
        groups = [pipeline.ringed.get(id, frozenset((id,))) for id in pipeline.tasks]
        self._groups = [tuple(id for id in pipeline.tasks if id in group) for group in dict.fromkeys(groups)]
        self._group = {id: group for group in self._groups for id in group}
        self._into: dict[tuple[str, ...], list[str]] = {group: [] for group in self._groups}

    def processors(self) -> list[Processor]:
        """One for each task or ring; and one wherever several streams come together."""
        edges = self._pipeline.graph.edges
        ending = [group for group in self._groups if any(e.target == RESULTS and e.source in group for e in edges)]
        results = dict.fromkeys(ending, OUTPUT)
        if len(ending) > 1:
            results = {group: self._streams.parameter(f"{'_'.join(group)}_{OUTPUT}") for group in ending}
        legs = {task.id: self._legs(task) for task in self._pipeline.tasks.values()}
        made: list[Processor] = []
        for group in self._groups:
            begins = next((id for id in group if id in self._pipeline.sources), "")
            tasks = {id: self._pipeline.tasks[id] for id in group}
            ways = {id: legs[id] for id in group}
            stage = Stage(tasks, ways, begins, results.get(group, ""), self._pipeline.unmatched)
            if group[0] in self._pipeline.ringed:
                skips = frozenset(id for id, task in tasks.items() if self._on_error(task) == "dead_letter")
                failed = self._streams.parameter(f"{'_'.join(group)}_dead_letters") if skips else ""
                stage = replace(stage, ring=True, skips=skips, failed=failed)
            stream = INPUT if begins else self._joined(made, group)
            made.append(self._processor(stage, stream))
        if len(ending) > 1:
            made.append(self._merge(self._nodes.new(OUTPUT), tuple(results.values()), OUTPUT))
        return made

    def _legs(self, task: DagTask) -> tuple[Leg, ...]:
        own = [edge for edge in self._pipeline.graph.edges if edge.source == task.id and edge.target != RESULTS]
        return tuple(self._leg(task, edge, number) for number, edge in enumerate(own))

    def _leg(self, task: DagTask, edge: Edge, number: int) -> Leg:
        way, stream = task.transitions[number], ""
        group = self._group[way.target]
        if group != self._group[task.id]:
            stream = self._streams.parameter(edge.stream)
            self._into[group].append(stream)
        return Leg(way.target, edge.stream, key_of(task, way), way.predicate, way.max_loops, stream)

    def _joined(self, made: list[Processor], group: tuple[str, ...]) -> str:
        streams = tuple(self._into[group])
        if len(streams) == 1:
            return streams[0]
        joined = self._streams.parameter(f"to_{'_'.join(group)}")
        made.append(self._merge(self._nodes.new(f"to {'+'.join(group)}"), streams, joined))
        return joined

    def _merge(self, name: str, streams: tuple[str, ...], output: str) -> Processor:
        made = nextdoor.processor()(name, inputs=streams, outputs=(output,), state="none")
        made.bind(merge_function(streams))
        return made

    def _processor(self, stage: Stage, stream: str) -> Processor:
        tasks = list(stage.tasks.values())
        alone = None if stage.ring else tasks[0]
        outputs = [leg.stream for legs in stage.legs.values() for leg in legs if leg.stream]
        concurrency = min(task.concurrency for task in tasks)
        capacities = [task.capacity for task in tasks if task.capacity is not None]
        made = nextdoor.processor()(
            tasks[0].id if len(tasks) == 1 else self._nodes.new("+".join(stage.tasks)),
            inputs=(stream,),
            outputs=tuple(filter(None, (*outputs, stage.results, stage.failed))),
            concurrency=concurrency,
            ordered=concurrency == 1,
            capacity=min(capacities) if capacities else None,
            retries=alone.retry if alone else 0,
            timeout=alone.timeout if alone else None,
            on_error=self._on_error(alone) if alone else "fail",
        )
        made.bind(stage_function(stage, stream))
        return made

    def _on_error(self, task: DagTask) -> Any:
        found = self._pipeline.on_error if task.on_error is None else task.on_error
        if callable(found):
            raise GraphError(
                f"{task.id!r} cannot be a processor of a flow: its on_error is a function, and what a flow puts aside "
                'is in its store before anybody could be asked: say "raise" or "skip"'
            )
        return {"raise": "fail", "skip": "dead_letter"}[found]
