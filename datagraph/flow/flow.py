"""A flow: processors joined by the names of their streams."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from ..exceptions import (
    DatagraphError,
    FloatingIOError,
    MismatchedIOError,
    UnknownIOError,
    UnregisteredProcessorError,
)
from ..graph.check import check_name, problems, raise_all, suggest
from ..graph.model import INPUT_PREFIX, Graph
from ..graph.text import to_text
from ..graph.wiring import CAPACITY, KEEP, KEEP_RESULTS, by_port, hints
from ..observe.following import Runnable
from ..runtime.inject import Overrides
from ..runtime.types import compatible, type_text
from .inputs import Inputs, normalise
from .options import IfRunning
from .processor import Processor

if TYPE_CHECKING:
    from .run import Run


class Topology:
    """The shape of a flow; as text it is a picture."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def __str__(self) -> str:
        return to_text(self.graph)

    __repr__ = __str__


class Flow(Runnable):
    """Processors, joined where one reads a stream that another writes.

    Args:
        processors: in any order.
        name: what its runs are called; by default after its processors.
        capacity: values that may wait on an edge whose reader says nothing else.
        keep: values behind the slowest reader that every stream keeps, for looking and replaying; "all" keeps all.
        keep_results: values that a stream nobody reads keeps; "all" keeps all.

    >>> from datagraph import processor
    >>> @processor
    ... def double(number: int) -> int:
    ...     return 2 * number
    >>> Flow(double)
    Flow(double)
    """

    def __init__(
        self,
        *processors: Processor,
        name: str | None = None,
        capacity: int = CAPACITY,
        keep: int | Literal["all"] = KEEP,
        keep_results: int | Literal["all"] = KEEP_RESULTS,
    ) -> None:
        super().__init__()
        for item in processors:
            if not isinstance(item, Processor):
                raise TypeError(_not_a_processor(item))
        self.processors = processors
        self.name = check_name("run", name) if name is not None else "-".join(p.name for p in processors)[:60] or "flow"
        self.name = (
            self.name if name is not None else "".join(c if c.isalnum() or c in "-_." else "_" for c in self.name)
        )
        if capacity < 1:
            raise ValueError(f"capacity is a number of values, at least 1; got {capacity}")
        self.capacity = capacity
        self.keep = _kept("keep", keep)
        self.keep_results = _kept("keep_results", keep_results)
        self._resolved = False

    @classmethod
    def from_processors(cls, *processors: Processor, **options: Any) -> Self:
        """The same as ``Flow(*processors)``."""
        return cls(*processors, **options)

    def __repr__(self) -> str:
        return f"Flow({', '.join(processor.name for processor in self.processors)})"

    # -- what it is -----------------------------------------------------------------------------------------------

    @property
    def graph(self) -> Graph:
        """The flow as data, whether it can run or not."""
        return by_port([processor.node() for processor in self.processors], capacity=self.capacity, name=self.name)

    @property
    def topology(self) -> Topology:
        """The flow's shape; ``str`` of it is a picture."""
        return Topology(self.graph)

    @property
    def problems(self) -> tuple[DatagraphError, ...]:
        """Everything that keeps the flow from running."""
        found: list[DatagraphError] = list(problems(self.graph))
        found += [_unbound(processor) for processor in self.processors if not processor.bound]
        if not found:
            found += self._mismatches()
        return tuple(found)

    @property
    def resolved(self) -> bool:
        """Whether `resolve` has found it fit to run."""
        return self._resolved

    def resolve(self) -> Self:
        """Check everything, and say every problem at once.

        Raises the error of the problem where there is one, UnresolvedFlowError where there are several.
        """
        raise_all(self.problems)
        self._resolved = True
        return self

    def _mismatches(self) -> list[DatagraphError]:
        types = {
            stream: (processor, annotation)
            for processor in self.processors
            for stream, annotation in processor.binding.output_types.items()
        }
        found: list[DatagraphError] = []
        for processor in self.processors:
            for port, wanted in processor.binding.port_types.items():
                writer, written = types.get(port, (None, None))
                if writer is not None and compatible(written, wanted) is False:
                    found.append(
                        MismatchedIOError(
                            f"{writer.name!r} writes {type_text(written)} to {port!r}, and {processor.name!r} reads "
                            f"{type_text(wanted)} from it: change one of the annotations"
                        )
                    )
        return found

    # -- pictures -------------------------------------------------------------------------------------------------

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from ..drawing.svg import svg

        graph, found = self.graph, self.problems
        also = hints(graph)
        text = to_text(graph) + "".join(f"\n! {line}" for line in (*found, *also))
        return {"text/plain": text, "image/svg+xml": svg(graph, problems=found, hints=also)}

    # -- running --------------------------------------------------------------------------------------------------

    def start(
        self,
        inputs: Inputs | None = None,
        name: str | None = None,
        *,
        if_running: IfRunning = "new",
        paused: bool = False,
        pace: float | None = None,
        stop_after: float | None = None,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        overrides: Overrides | None = None,
        hot: bool = False,
    ) -> Run:
        """Start a run and return at once, from a script, a cell, or any event loop.

        Args:
            inputs: by stream name. A list, tuple, range, iterator or async iterable is many values; a string, bytes,
                mapping, DataFrame, array, scalar or `IOVal` is one; `OPEN` waits for ``run["name"].send(value)``. A
                list of `IOVal` names each value's stream.
            name: what the run is called; by default as the flow.
            if_running: what to do where a run of that name is going: start a "new" one beside it, "attach" to it,
                "replace" it (it is cancelled), or an "error".
            paused: start with nothing moving; ``run.resume()`` lets it go.
            pace: values a second at which each input is fed; None for as fast as they are taken.
            stop_after: seconds after which the run is stopped as by ``run.stop()``.
            settings: by processor name, then parameter: other values than the defaults of its settings.
            overrides: dependencies to use in place of others, ``{original: replacement}``.
            hot: swap in the new function of a node as soon as its processor is defined again; see `Run.offers`.

        Raises GraphError for a flow that cannot run, FloatingIOError for inputs that nobody gave, StoreError.
        """
        from .supervisor import Supervisor  # what runs a flow is loaded when one is run

        return Supervisor.instance.start(
            self,
            inputs,
            name,
            if_running=if_running,
            paused=paused,
            pace=pace,
            stop_after=stop_after,
            settings=settings,
            overrides=overrides,
            hot=hot,
        )

    def run(self, inputs: Inputs | None = None, name: str | None = None, **options: Any) -> dict[str, list[Any]]:
        """Start a run, wait for its end, and return the values of every stream that nobody reads, by name.

        Takes what `start` takes. Raises ProcessorError where the run failed.
        """
        return self.start(inputs, name, **options).results()

    def check_inputs(self, inputs: Inputs | None) -> dict[str, Any]:
        """The inputs by stream name, each there and each wanted; FloatingIOError, UnknownIOError."""
        given = normalise(inputs)
        graph = self.graph
        wanted = [node.label for node in graph if node.kind == "input"]
        missing = tuple(name for name in wanted if name not in given)
        for name in given:
            if name not in wanted:
                written = any(edge.stream == name for edge in graph.edges)
                why = "a processor of the flow writes it" if written else "the flow does not read it"
                raise UnknownIOError(
                    f"an input was given for {name!r}, but {why}{suggest(name, missing)}; "
                    f"its inputs are: {', '.join(wanted) or 'none'}"
                )
        if missing:
            readers = {name: [e.target for e in graph.out_of(INPUT_PREFIX + name)] for name in missing}
            said = ", ".join(f"{name!r} (read by {', '.join(readers[name])})" for name in missing)
            raise FloatingIOError(
                f"nobody gave or writes {said}: pass inputs={{{missing[0]!r}: ...}}, or OPEN to send values later",
                missing,
            )
        return given


def _kept(what: str, value: int | Literal["all"]) -> int:
    if value == "all":
        return -1
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{what} is a number of values, or 'all'; got {value!r}")
    return value


def _not_a_processor(item: Any) -> str:
    if isinstance(item, list | tuple):
        return "a flow takes processors one by one: Flow(*processors), not Flow([...])"
    if callable(item):
        name = getattr(item, "__name__", item)
        return f"a flow is made of processors; {name!r} is a function: decorate it with @processor"
    return f"a flow is made of processors; got {type(item).__name__}"


def _unbound(processor: Processor) -> UnregisteredProcessorError:
    return UnregisteredProcessorError(
        f"the processor {processor.name!r} has no function: decorate one with it (@{processor.name})"
    )
