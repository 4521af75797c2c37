"""The history of a run as a table and as a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

import datagraph as dg
from datagraph import Supervisor
from datagraph.drawing.charts import chart
from datagraph.events.journal import Journal, pack, unpack
from datagraph.events.snapshot import Snapshot
from datagraph.observe.frame import HISTORY_COLUMNS, history_frame
from datagraph.observe.recording import Recording
from tests.observe.kit import chain, node, snapshot


@pytest.fixture(autouse=True)
def supervisor(anyio_backend: str) -> Iterator[None]:
    """Runs in memory, on each event loop."""
    Supervisor.attach("memory://", backend=anyio_backend)
    yield
    Supervisor.detach()


@dg.processor(capacity=20)
async def slow(number: int) -> int:
    await anyio.sleep(0.005)
    return number


def test_history_is_what_was_recorded() -> None:
    """One row a moment and node or edge; each value is that of the recorded snapshot."""
    run = dg.Flow(slow).start({"number": range(200)}).join(progress=False)
    frame = run.history()
    assert tuple(frame.columns) == HISTORY_COLUMNS
    moments = [unpack(tick, run.graph) for tick in run.subject.watcher.journal]
    assert len(moments) >= 3
    assert len(frame) == len(moments) * (len(run.graph.nodes) + len(run.graph.edges))
    for moment, (_, rows) in zip(moments, frame.groupby("at", sort=True), strict=True):
        byname = rows.set_index("name")
        assert byname.loc["slow", "busy"] == moment.nodes["slow"].busy
        assert byname.loc["number->slow.number", "lag"] == moment.edges["number->slow.number"].lag
        assert set(rows["elapsed"]) == {moment.elapsed}
    assert (str(frame["at"].dt.tz), str(frame["lag"].dtype), str(frame["busy"].dtype)) == ("UTC", "Int64", "float64")
    fills = frame[frame["kind"] == "edge"].pivot_table(index="elapsed", columns="name", values="fill")
    assert fills["number->slow.number"].max() > 0.5


def test_history_of_nothing_is_an_empty_table() -> None:
    """With its columns, so that what is written for others works on it."""
    frame = history_frame(Journal(chain()))
    assert (len(frame), tuple(frame.columns)) == (0, HISTORY_COLUMNS)


def test_a_plot_is_a_picture_of_the_run(tmp_path: Path) -> None:
    """A row for each edge that somebody works on and each processor; SVG by itself in a notebook, or in a file."""
    run = dg.Flow(slow).start({"number": range(200)}).join(progress=False)
    picture = run.plot()
    bundle = picture._repr_mimebundle_()
    root = ET.fromstring(bundle["image/svg+xml"])
    said = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "number → slow" in said
    assert any(str(text).endswith("% busy") for text in said)
    assert "Picture(" in bundle["text/plain"]
    assert picture.save(tmp_path / "plot.svg").read_text(encoding="utf-8") == picture.svg


def moment(at: float, found: Snapshot) -> Snapshot:
    return replace(found, at=at, elapsed=at)


def test_a_plot_of_foreign_names_is_harmless() -> None:
    """Markup in a name is text; a long name does not cover the chart."""
    evil = "<script>alert(1)</script>" * 20
    graph = chain()
    journal = Journal(graph, name=evil)
    for at in range(3):
        journal.record(moment(float(at), snapshot(graph, {"a": (0.5, 0.25, 0.25)}, {"y": 50})))
    root = ET.fromstring(chart(graph, list(journal), name=evil))
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert Recording(journal).plot().svg.count("<script") == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_plot_of_few_moments_is_drawn(count: int) -> None:
    """Nothing, one moment, two."""
    graph = chain()
    ticks = [pack(moment(float(i), snapshot(graph, {})), graph) for i in range(count)]
    assert ET.fromstring(chart(graph, ticks)) is not None


def test_a_plot_of_a_large_flow_says_what_it_left_out() -> None:
    """Two hundred nodes are no two hundred rows."""
    from datagraph.graph.wiring import by_port

    graph = by_port([node(f"n{i}", f"s{i}", f"s{i + 1}") for i in range(200)], capacity=10)
    text = chart(graph, [pack(snapshot(graph, {}), graph)])
    assert "and 340 more" in text
