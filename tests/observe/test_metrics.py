"""A run's numbers in a real Prometheus registry, scraped over HTTP, and in OpenTelemetry's own reader."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import prometheus_client
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families as parsed

import datagraph as dg
from datagraph import dag
from datagraph.observe.metrics import METRICS

HOSTILE = 'a "quoted" \\n <script>'


@dg.processor(outputs=["doubled"])
async def double(n: int) -> int:
    if n == 3:
        raise ValueError("three")
    return 2 * n


@dg.processor(outputs=())
async def sink(doubled: int) -> None:
    pass


def flow(name: str = "numbers") -> dg.Flow:
    """Of five values one is skipped."""
    return dg.Flow(dg.processor(outputs=["doubled"], on_error="skip")(double.function), sink, name=name, capacity=50)


@pytest.fixture(autouse=True)
def supervisor(valkey_url: str) -> Iterator[None]:
    """Runs in the embedded Valkey."""
    dg.Supervisor.attach(valkey_url)
    yield
    dg.Supervisor.instance.detach()


def scraped(registry: prometheus_client.CollectorRegistry) -> dict[str, dict[str, float]]:
    """What a scrape over HTTP gives: by metric, by the label values joined, the number."""
    server, thread = prometheus_client.start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/metrics") as page:
            text = page.read().decode()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    found: dict[str, dict[str, float]] = {}
    for family in parsed(text):
        for sample in family.samples:
            labels = " ".join(value for name, value in sample.labels.items() if name not in {"run", "flow"})
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def test_prometheus_scrapes_every_node_and_edge() -> None:
    """Counters end in _total, shares in _ratio, and the numbers are those of the tables."""
    run = flow().start({"n": [1, 2, 3, 4, 5]}).join()
    registry = prometheus_client.CollectorRegistry()
    end = run.export_metrics(registry)
    found = scraped(registry)
    assert found["datagraph_edge_written_total"]["in:n n double"] == 5
    assert found["datagraph_edge_written_total"]["double doubled sink"] == 4
    assert found["datagraph_edge_lag"]["double doubled sink"] == 0
    assert found["datagraph_edge_capacity"]["double doubled sink"] == 50
    assert found["datagraph_node_skipped_total"]["double"] == 1
    assert found["datagraph_node_errors_total"]["double"] == run.snapshot().nodes["double"].errors
    assert found["datagraph_run_running"][""] == 0
    assert {"datagraph_node_busy_ratio", "datagraph_edge_size_bytes", "datagraph_run_elapsed_seconds"} <= set(found)
    end()
    end()
    assert scraped(registry) == {}, "it was ended"


def test_two_runs_in_one_registry_are_one_metric_with_two_runs() -> None:
    """Each metric is described once, whatever a run is called."""
    registry = prometheus_client.CollectorRegistry()
    for name in ("one", HOSTILE):
        flow(name).start({"n": [1, 2]}).join().export_metrics(registry)
    text = prometheus_client.generate_latest(registry).decode()
    assert text.count("# TYPE datagraph_edge_lag gauge") == 1
    flows = {sample.labels["flow"] for family in parsed(text) for sample in family.samples}
    assert flows == {"one", HOSTILE}


def test_opentelemetry_reads_the_same() -> None:
    """Every metric is an instrument, with units and attributes."""
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader]).get_meter("datagraph")
    run = flow().start({"n": [1, 2, 3, 4, 5]}).join()
    end = run.export_metrics(meter)
    found = read(reader)
    assert set(found) == {f"datagraph.{metric.path}" for metric in METRICS}
    skipped = {point.attributes["node"]: point.value for point in found["datagraph.node.skipped"].data.data_points}
    assert skipped["double"] == 1
    (lag,) = (p for p in found["datagraph.edge.written"].data.data_points if p.attributes["target"] == "sink")
    assert (lag.value, lag.attributes["run"]) == (4, run.id)
    assert found["datagraph.edge.size"].unit == "By"
    end()
    assert read(reader) == {}


def read(reader: InMemoryMetricReader) -> dict[str, Any]:
    """The metrics that have points, by name."""
    data = reader.get_metrics_data()
    metrics = [m for r in (data.resource_metrics if data else ()) for s in r.scope_metrics for m in s.metrics]
    return {metric.name: metric for metric in metrics if list(metric.data.data_points)}


def test_run_that_is_gone_leaves_the_others_to_be_told() -> None:
    """A scrape does not fail because of one run."""
    registry = prometheus_client.CollectorRegistry()
    gone, there = (flow().start({"n": [1]}).join() for _ in range(2))
    gone.export_metrics(registry)
    there.export_metrics(registry)
    dg.forget(gone.id)
    assert scraped(registry)["datagraph_run_running"] == {"": 0}


def test_dag_is_told_as_well() -> None:
    """Every door has the same numbers."""
    with dag.build_dag(int) as tm:
        tm.add_node(lambda n: n + 1, tm.parameter_node)
    registry = prometheus_client.CollectorRegistry()
    run = tm.start(1)
    run.join()
    run.export_metrics(registry)
    assert scraped(registry)["datagraph_run_running"] == {"": 0}


def test_what_is_neither_is_refused() -> None:
    """With what there is instead."""
    run = flow().start({"n": [1]}).join()
    with pytest.raises(TypeError, match=r"CollectorRegistry.*Meter.*got object"):
        run.export_metrics(object())  # type: ignore[arg-type]
