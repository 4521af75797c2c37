"""What a run in this process shows of itself, of whichever door: to a view, and to whoever holds it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio

from ..events.journal import Journal
from ..events.snapshot import Snapshot
from ..graph.model import Graph
from ..graph.text import to_text
from . import upstairs
from .bar import Bar, can_show, share_done
from .bottleneck import Bottleneck, bottleneck
from .frame import edges_frame, nodes_frame
from .metrics import export
from .progress import progress_line
from .recording import Recording
from .watch import EdgeLook, NodeLook, Watcher

if TYPE_CHECKING:
    from pathlib import Path

    import graphviz
    import pandas as pd
    from opentelemetry.metrics import Meter
    from prometheus_client import CollectorRegistry

    from ..drawing.charts import Picture

R = TypeVar("R")
_PAUSE = 0.25


class Home(Protocol):
    """The thread whose loop looks at runs; see `runtime.bridge.RuntimeThread`."""

    def spawn(self, function: Callable[..., Awaitable[R]], *args: Any) -> Future[R]:
        """Start a coroutine function in the loop, from any thread."""

    def soon(self, function: Callable[[], Any]) -> None:
        """Run a plain function in the loop soon, from any thread."""


class Works(Protocol):
    """What is looked at. All of it may be asked from any thread."""

    @property
    def over(self) -> bool:
        """Whether it has ended for good."""

    def see(self) -> Snapshot:
        """How it is at this moment."""

    def edge_look(self, edge: str, most: int) -> EdgeLook:
        """The last values of an edge; UnknownIOError."""

    def node_look(self, node: str, most: int) -> NodeLook:
        """What there is to know of a node; UnknownIOError."""

    def control(self, action: str, node: str) -> str:
        """Pause, resume, stop or cancel; the status after that. DatagraphError where it cannot be done."""


class Watched:
    """A run in this process as a view sees it: `observe.watch.Subject`, looked at from another thread's loop."""

    def __init__(self, works: Works, graph: Graph, *, id: str, name: str, home: Callable[[], Home]) -> None:
        self.id = id
        self.name = name
        self.graph = graph
        self._works = works
        self._home = home
        self._watcher: Watcher | None = None
        self._changed: anyio.Event | None = None

    def spawn(self, function: Callable[..., Awaitable[R]], *args: Any) -> Future[R]:
        """Start a coroutine function in the loop that looks."""
        return self._home().spawn(function, *args)

    @property
    def watcher(self) -> Watcher:
        """The run's one poller, at work from now on; for the loop that looks."""
        if self._watcher is None:
            self._changed = anyio.Event()
            self._watcher = Watcher(
                Journal(self.graph, run=self.id, name=self.name),
                see=self._see,
                over=lambda: self._works.over,
                wake=self._wake,
                soon=self._home().soon,
            )
            self.spawn(self._serve, self._watcher)
        return self._watcher

    def watch(self) -> None:
        """Look at it from now on, so that it has its history; from any thread."""
        self.spawn(self._begin)

    def ended(self) -> None:
        """It is over: whoever looks hears of it; from any thread."""
        if self._watcher is not None or self._changed is not None:
            self._home().soon(self._tell)

    async def look(self) -> Journal:
        """What was seen so far, this moment included; in the loop that looks."""
        watcher = self.watcher
        if watcher.snapshot is None or watcher.snapshot.status == "running":
            await watcher.look()
        return watcher.journal

    async def _begin(self) -> None:
        self.watcher.journal  # noqa: B018 - made and started by being asked for

    async def _serve(self, watcher: Watcher) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watcher.serve)
            while not self._works.over:
                await self._wake().wait()
            await watcher.finish()

    async def _see(self) -> Snapshot:
        return self._works.see()

    def _wake(self) -> anyio.Event:
        assert self._changed is not None
        return self._changed

    def _tell(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        if changed is not None:
            changed.set()

    # -- lenses ---------------------------------------------------------------------------------------------------

    async def edge_lens(self, edge: str, most: int) -> EdgeLook:
        """The last values of an edge, at most so many; UnknownIOError."""
        return self._works.edge_look(edge, most)

    async def node_lens(self, node: str, most: int) -> NodeLook:
        """A node, with at most so many of everything that there are many of; UnknownIOError."""
        return self._works.node_look(node, most)

    async def act(self, action: str, node: str) -> str:
        """Pause, resume, stop or cancel, all of it or one node; the status after that."""
        return self._works.control(action, node)


class Handle:
    """What every run of this process can show: a snapshot, tables, pictures, a live view, its history."""

    def __init__(self, subject: Watched, see: Callable[[], Snapshot]) -> None:
        self._subject = subject
        self._look = see

    @property
    def id(self) -> str:
        """The run's id."""
        return self._subject.id

    @property
    def name(self) -> str:
        """What the run is called."""
        return self._subject.name

    @property
    def graph(self) -> Graph:
        """What is connected to what."""
        return self._subject.graph

    @property
    def subject(self) -> Watched:
        """The run as a view sees it."""
        return self._subject

    def snapshot(self) -> Snapshot:
        """The run at this moment."""
        return self._look()

    def nodes(self) -> pd.DataFrame:
        """One row a node: state, shares, rates, errors."""
        return nodes_frame(self.snapshot())

    def edges(self) -> pd.DataFrame:
        """One row an edge: written, read, lag, capacity, fill, rates."""
        return edges_frame(self.snapshot())

    def export_metrics(self, to: CollectorRegistry | Meter) -> Callable[[], None]:
        """Have a Prometheus registry or an OpenTelemetry meter ask for the run's numbers; returns what ends that.

        `datagraph.observe.metrics.METRICS` lists them.
        """
        return export(self.snapshot, to)

    def bottleneck(self, *, over: float = 1.0) -> Bottleneck:
        """Which node holds the run up, in one sentence, with the evidence; over the last `over` seconds at least."""
        first = self.snapshot()
        until = time.monotonic() + over
        while self.snapshot().status == "running" and time.monotonic() < until:
            time.sleep(min(0.1, over))  # a caller's thread, never one of a run
        last = self.snapshot()
        return bottleneck(self.graph, last if last.elapsed else first)

    def view(self) -> Any:
        """The run, live in a notebook: what flows, what waits and why, as long as the notebook is open.

        Raises MissingExtraError where anywidget is not installed.
        """
        return upstairs.view(self)

    def draw(self) -> graphviz.Digraph:
        """The graph as a `graphviz.Digraph`."""
        from ..drawing.dot import digraph

        return digraph(self.graph)

    def history(self) -> pd.DataFrame:
        """What was seen so far, a row for each moment and each node and edge; see `Recording.history`."""
        return self.recording().history()

    def plot(self) -> Picture:
        """The history as a picture."""
        return self.recording().plot()

    def save(self, path: str | Path) -> Path:
        """Write what was seen so far into a file, ``.html`` or ``.json``; `datagraph.load` reads both."""
        return self.recording().save(path)

    def recording(self) -> Recording:
        """What was seen so far."""
        return Recording(self._subject.spawn(self._subject.look).result())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from ..drawing.svg import svg

        shown = svg(self.graph, self.snapshot())
        return {"text/plain": f"{self!r}\n{to_text(self.graph)}", "image/svg+xml": shown}

    def _waited(self, future: Future[R], *, progress: bool | None) -> R:
        """Wait for a future of another thread, showing how far the run is; None: where somebody can see it."""
        if progress or (progress is None and can_show()):
            self._show_progress(future)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _progress(self) -> tuple[float | None, str]:
        """How much is done, from 0 to 1 or None where nobody knows, and that in a line."""
        snapshot = self.snapshot()
        return share_done(snapshot), progress_line(snapshot)

    def _show_progress(self, future: Future[Any]) -> None:
        bar, quiet = Bar(), time.monotonic() + _PAUSE
        try:
            while not future.done():
                try:
                    future.exception(timeout=_PAUSE)
                except TimeoutError:
                    if time.monotonic() > quiet:  # what is over at once shows nothing
                        bar.show(*self._progress())
            if bar.used:
                bar.show(*self._progress())
        finally:
            bar.close()
