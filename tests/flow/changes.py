"""Flows that are changed while they run, and a model of what every stream of them must hold in the end."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datagraph import IO, Processor
from datagraph.graph.model import Graph
from datagraph.runtime.orders import Place

KINDS = ("coroutine", "function", "asyncgen", "generator", "stateless")


class Endless:
    """Whole numbers from 0 on, until it is told to stop."""

    def __init__(self) -> None:
        self._goes_on = True

    def values(self) -> Iterator[int]:
        """The numbers, as a flow is given them."""
        return itertools.takewhile(lambda _: self._goes_on, itertools.count())

    def stop(self) -> None:
        """Give out no more."""
        self._goes_on = False


async def _coroutine(value: int) -> int:
    return value


def _function(value: int) -> int:
    return value


async def _asyncgen(value: IO[int]) -> Any:
    async for one in value:
        yield one


def _generator(value: IO[int]) -> Any:
    yield from value


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "coroutine": _coroutine,
    "function": _function,
    "asyncgen": _asyncgen,
    "generator": _generator,
    "stateless": _asyncgen,
}


def passing(name: str, reads: str, writes: str, kind: str = "coroutine", **options: Any) -> Processor:
    """A processor that puts out what it reads, as a function of that kind."""
    state = "none" if kind == "stateless" else "locals"
    return made(name, reads, writes, _FUNCTIONS[kind], state=state, **options)


def made(name: str, reads: str, writes: str, function: Callable[..., Any], **options: Any) -> Processor:
    """A processor of a function of one input."""
    return Processor(name, inputs=[reads], outputs=[writes], **options)(_renamed(function, reads))


def _renamed(function: Callable[..., Any], parameter: str) -> Callable[..., Any]:
    """The function with its one parameter called like the input that it reads."""
    code = function.__code__
    renamed = type(function)(
        code.replace(co_varnames=(parameter, *code.co_varnames[1:])),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    first = code.co_varnames[0]
    renamed.__annotations__ = {parameter if k == first else k: each for k, each in function.__annotations__.items()}
    return renamed


@dataclass(slots=True)
class Part:
    """What one segment of a node reads."""

    stream: str
    start: int
    until: int | None = None


class Model:
    """What each node has read, part by part, by the answers of the store: what it passes on is the whole of that."""

    def __init__(self, graph: Graph) -> None:
        self.parts: dict[str, dict[str, Part]] = {}
        self.output: dict[str, str] = {}
        self.writer: dict[str, str] = {}
        for node in graph.processors():
            self.parts[node.name] = {port.name: Part(port.stream, 0) for port in node.inputs}
        self._learn(graph)

    def _learn(self, graph: Graph) -> None:
        for node in graph.processors():
            self.output[node.name] = node.outputs[0].stream
            self.writer[node.outputs[0].stream] = node.name

    def note(self, before: Graph, after: Graph, cuts: Iterable[Place], joins: Iterable[Place]) -> None:
        """A change was carried out."""
        for node, segment, _, position in cuts:
            self.parts[node][segment].until = position
        for name in {node.name for node in after.processors()} - {node.name for node in before.processors()}:
            if name in self.parts:  # it comes back: whoever had read its stream to the end reads no more of it
                self._end(self.output[name])
        for node, segment, stream, position in joins:
            self.parts.setdefault(node, {})[segment] = Part(stream, position)
        self._learn(after)

    def _end(self, stream: str) -> None:
        length = self.length(stream)
        for parts in self.parts.values():
            for part in parts.values():
                if part.stream == stream and part.until is None:
                    part.until = length

    def length(self, stream: str) -> int:
        """How many values a stream holds whose writer is done."""
        parts = self.parts[self.writer[stream]].values()
        return sum((self.length(p.stream) if p.until is None else p.until) - p.start for p in parts)

    def check(self, held: Mapping[str, list[Any]]) -> None:
        """Compare the streams that are held with the model."""
        for node, parts in self.parts.items():
            if self.output[node] not in held or any(part.stream not in held for part in parts.values()):
                continue
            model = [v for part in parts.values() for v in held[part.stream][part.start : part.until]]
            found = held[self.output[node]]
            assert len(found) == len(model), f"{node}: {len(found)} values, {len(model)} by the model: {parts}"
            wrong = [at for at, pair in enumerate(zip(found, model, strict=True)) if pair[0] != pair[1]]
            assert not wrong, f"{node}: other values from {wrong[0]} on: {parts}"
