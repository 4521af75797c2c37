"""What a run counts, told to a metrics system: Prometheus or OpenTelemetry, whichever is handed over."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..events.snapshot import EdgeState, NodeState, Snapshot
from ..exceptions import DatagraphError

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

Labels = dict[str, str]
_FRESH = 0.5
"""Seconds for which one look answers: OpenTelemetry asks for each number by itself."""


class Metric(NamedTuple):
    """A number of a run, a node or an edge: `path` as OpenTelemetry writes it, with dots."""

    path: str
    kind: Literal["counter", "gauge"]
    unit: str
    text: str
    read: Callable[[Any], float | None]


METRICS: tuple[Metric, ...] = (
    Metric("run.elapsed", "gauge", "s", "since the run began", lambda run: run.elapsed),
    Metric("run.running", "gauge", "1", "1 while it runs, 0 when it has ended", lambda run: run.status == "running"),
    Metric("run.paused", "gauge", "1", "1 while all of it is paused", lambda run: run.paused),
    Metric("run.workers", "gauge", "{process}", "processes that work on it", lambda run: run.workers),
    Metric("node.busy", "gauge", "1", "share of its time in which it works", lambda node: node.busy),
    Metric("node.starved", "gauge", "1", "share of its time in which it waits for values", lambda node: node.starved),
    Metric("node.blocked", "gauge", "1", "share of its time in which it waits for room", lambda node: node.blocked),
    Metric("node.read", "counter", "{value}", "values that it has read", lambda node: node.read),
    Metric("node.written", "counter", "{value}", "values that it has written", lambda node: node.written),
    Metric("node.errors", "counter", "{error}", "attempts that failed", lambda node: node.errors),
    Metric("node.retries", "counter", "{attempt}", "attempts after the first", lambda node: node.retries),
    Metric("node.skipped", "counter", "{value}", "values that it has passed over", lambda node: node.skipped),
    Metric("node.dead_letters", "gauge", "{value}", "values set aside", lambda node: node.dead_letters),
    Metric("node.version", "gauge", "1", "version of its function", lambda node: node.version),
    Metric("edge.written", "counter", "{value}", "values written to it", lambda edge: edge.written),
    Metric("edge.read", "counter", "{value}", "values read from it", lambda edge: edge.read),
    Metric("edge.lag", "gauge", "{value}", "values that wait on it", lambda edge: edge.lag),
    Metric("edge.size", "gauge", "By", "bytes that wait on it", lambda edge: edge.size),
    Metric("edge.capacity", "gauge", "{value}", "values that may wait on it", lambda edge: edge.capacity),
    Metric("edge.fill", "gauge", "1", "lag over capacity", lambda edge: edge.fill),
)
"""Each is there once for a run, or once for each of its nodes or edges, as its path says."""


def export(see: Callable[[], Snapshot], to: CollectorRegistry | Meter) -> Callable[[], None]:
    """Have a Prometheus registry or an OpenTelemetry meter ask for a run's numbers; returns a function that ends it.

    Nothing is told of a run that cannot be seen at the moment. TypeError for what is neither.
    """
    runs = _told(to)
    looks = _Looks(see)
    runs.append(looks)

    def end() -> None:
        if looks in runs:
            runs.remove(looks)

    return end


def _told(to: Any) -> _Runs:
    """The runs that a registry or meter asks, as it does from now on."""
    asks: Callable[[_Runs, Any], None]
    if hasattr(to, "register") and hasattr(to, "unregister"):
        asks = _register
    elif hasattr(to, "create_observable_gauge"):
        asks = _observe
    else:
        raise TypeError(
            "metrics go to a prometheus_client.CollectorRegistry (such as prometheus_client.REGISTRY) or to an "
            f"OpenTelemetry Meter (opentelemetry.metrics.get_meter('datagraph')); got {type(to).__name__}"
        )
    runs = _runs.get(to)
    if runs is None:
        runs = _runs[to] = _Runs()
        asks(runs, to)
    return runs


class _Looks:
    """What is seen of one run, seldom."""

    def __init__(self, see: Callable[[], Snapshot]) -> None:
        self._see = see
        self._last: Snapshot | None = None
        self._at = float("-inf")

    def look(self) -> Snapshot | None:
        """How it is, None where that cannot be said."""
        now = time.monotonic()
        if now - self._at > _FRESH:
            try:
                self._last = self._see()
            except DatagraphError:  # a store that is away is no reason to tell nothing of all else
                self._last = None
            self._at = now
        return self._last


class _Runs(list[_Looks]):
    """The runs that are told to one registry or meter."""

    def numbers(self, metric: Metric) -> Iterator[tuple[Labels, float]]:
        """What a metric is now, each with its labels; nothing where it is not known."""
        for looks in tuple(self):
            found = looks.look()
            for labels, state in _states(metric, found) if found is not None else ():
                number = metric.read(state)
                if number is not None:
                    yield labels, float(number)


_runs: weakref.WeakKeyDictionary[Any, _Runs] = weakref.WeakKeyDictionary()


def _states(metric: Metric, found: Snapshot) -> Iterator[tuple[Labels, Snapshot | NodeState | EdgeState]]:
    run = {"run": found.run, "flow": found.name}
    match metric.path.partition(".")[0]:
        case "run":
            yield run, found
        case "node":
            yield from (({**run, "node": node.name}, node) for node in found.nodes.values())
        case _:
            for edge in found.edges.values():
                yield {**run, "stream": edge.stream, "source": edge.source, "target": edge.target}, edge


class _Collector:
    """What a Prometheus registry asks."""

    def __init__(self, runs: _Runs) -> None:
        self._runs = runs

    def describe(self) -> Iterable[Family]:
        """Nothing, so that registering does not look."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Each metric with what it is now."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for metric in METRICS:
            family = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            numbers = list(self._runs.numbers(metric))
            if numbers:
                made = family(_prometheus(metric), metric.text, labels=list(numbers[0][0]))
                for values, number in numbers:
                    made.add_metric(list(values.values()), number)
                yield made


def _register(runs: _Runs, registry: CollectorRegistry) -> None:
    registry.register(_Collector(runs))


def _prometheus(metric: Metric) -> str:
    """As Prometheus names it: base units at the end."""
    unit = {"s": "_seconds", "By": "_bytes"}.get(metric.unit, "")
    ratio = "_ratio" if metric.text.startswith(("share of", "lag over")) else ""
    return "datagraph_" + metric.path.replace(".", "_") + unit + ratio


def _observe(runs: _Runs, meter: Meter) -> None:
    from opentelemetry.metrics import Observation

    def observer(metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(number, dict(labels)) for labels, number in runs.numbers(metric)]

        return observe

    for metric in METRICS:
        make = meter.create_observable_counter if metric.kind == "counter" else meter.create_observable_gauge
        make(f"datagraph.{metric.path}", callbacks=[observer(metric)], unit=metric.unit, description=metric.text)
