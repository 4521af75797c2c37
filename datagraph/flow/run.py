"""The run: a handle on work that goes on in the runtime thread, and on what the store has of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

import anyio

from ..events.journal import Journal
from ..events.snapshot import Snapshot
from ..exceptions import DatagraphError, UnknownIOError
from ..graph.check import suggest
from ..graph.model import Graph
from ..graph.text import to_text
from ..observe import upstairs
from ..observe.bottleneck import Bottleneck, bottleneck
from ..observe.frame import edges_frame, nodes_frame
from ..observe.metrics import export
from ..observe.probe import Observer
from ..observe.recording import Recording
from ..runtime.bridge import RuntimeThread
from ..runtime.failure import from_report
from .letters import DeadLetters
from .local import LocalRun
from .results import RunStream
from .steered import Steered
from .subject import RunSubject

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from opentelemetry.metrics import Meter
    from prometheus_client import CollectorRegistry

    from ..drawing.charts import Picture

Status = Literal["running", "paused", "completed", "failed", "cancelled"]


class Run(Steered):
    """A run of a flow, whoever started it. ``run["bar"]`` is any of its streams; iterating gives the leaves' names.

    Every method may be called from a script, a cell or any event loop. Those that wait have an async form: ``await
    run.wait()`` beside ``run.join()``.
    """

    def __init__(self, thread: RuntimeThread, local: LocalRun, *, all_outputs: bool = False) -> None:
        super().__init__(thread, local)
        self._all = all_outputs
        self._streams: dict[str, RunStream] = {}
        self._observer = Observer(local.graph)
        self._observed = local.graph

    # -- streams --------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> RunStream:
        stream = self._streams.get(name)
        if stream is None:
            known = [node_port.stream for node in self._graph for node_port in node.outputs]
            if name not in known:
                raise UnknownIOError(
                    f"the run {self.name!r} has no stream {name!r}{suggest(name, known)}; it has: {', '.join(known)}"
                )
            stream = self._streams[name] = RunStream(self._thread, self._local, name)
        return stream

    def keys(self) -> tuple[str, ...]:
        """The names that iterating gives: of streams that nobody reads, or of all that processors write."""
        if self._all:
            return tuple(port.stream for node in self._graph.processors() for port in node.outputs)
        return tuple(node.label for node in self._graph if node.kind == "output")

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __contains__(self, name: object) -> bool:
        return any(port.stream == name for node in self._graph for port in node.outputs)

    def __bool__(self) -> bool:
        return True

    # -- what it is -----------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The run's id, unique in its store."""
        return self._local.record.id

    @property
    def name(self) -> str:
        """What the run is called; several may be called the same."""
        return self._local.record.name

    @property
    def _graph(self) -> Graph:
        return self._local.graph

    @property
    def status(self) -> Status:
        """ "running", "paused", "completed", "failed" or "cancelled"."""
        record = self._local.record
        return "paused" if record.status == "running" and record.paused else record.status

    def __repr__(self) -> str:
        return f"Run({self.name!r}, {self.status})"

    # -- waiting --------------------------------------------------------------------------------------------------

    async def wait(self) -> Run:
        """Wait for the end. Raises ProcessorError where it failed, RunCancelledError where it was cancelled."""
        await self._thread.acall(self._local.ended)
        return self

    def __await__(self) -> Generator[Any, Any, Run]:
        return self.wait().__await__()

    def join(self, *, progress: bool | None = None) -> Run:
        """Wait for the end from a script or a cell, showing how far it is; raises as `wait` does.

        `progress` None shows it where there is a terminal to show it in.
        """
        future = self._thread.spawn(self._local.ended)
        if progress or (progress is None and sys.stderr.isatty()):
            self._show_progress(future)
        try:
            future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise
        return self

    def _show_progress(self, future: Any) -> None:
        from ..observe.progress import progress_line

        shown = 0
        while not future.done():
            line = progress_line(self.snapshot())
            sys.stderr.write(f"\r{line:<{shown}}")
            sys.stderr.flush()
            shown = len(line)
            try:
                future.exception(timeout=0.5)
            except TimeoutError:
                continue
        sys.stderr.write(f"\r{' ' * shown}\r")

    def results(self) -> dict[str, list[Any]]:
        """Wait for the end; the values of every stream that iterating gives, by name."""
        self.join()
        return {name: self[name].to_list() for name in self}

    # -- control --------------------------------------------------------------------------------------------------

    def pause(self, node: str | None = None) -> None:
        """Stop calling functions, of one node or of all, within one value's time; nothing is lost."""
        self._control("pause", self._node(node))

    def resume(self, node: str | None = None) -> None:
        """Go on after `pause`."""
        self._control("resume", self._node(node))

    def stop(self, *, timeout: float | None = None) -> Run:
        """Close what feeds the run, let everything that is under way arrive, and keep the results.

        Returns when the run has ended; TimeoutError after `timeout` seconds, and then it still drains.
        """
        self._control("stop")
        self._thread.call(self._ended_within, timeout)
        return self

    def cancel(self) -> None:
        """End the run at once. What is under way is abandoned; what is in the store stays."""
        self._control("cancel")

    async def astop(self) -> Run:
        """`stop`, awaited."""
        await self._thread.acall(self._local.control, "stop")
        return await self.wait()

    async def acontrol(self, action: Literal["pause", "resume", "cancel"], node: str | None = None) -> None:
        """`pause`, `resume` or `cancel`, awaited."""
        await self._thread.acall(self._local.control, action, self._node(node))

    async def _ended_within(self, timeout: float | None) -> None:
        with anyio.fail_after(timeout):
            await self._local.ended()

    def _control(self, action: str, node: str = "") -> None:
        self._thread.call(self._local.control, action, node)

    async def afail(self, name: str, error: BaseException) -> None:
        """End the run as failed because of what feeds its input `name`."""
        await self._thread.acall(self._local.fail_input, name, error)

    def lost(self, name: str) -> None:
        """What feeds the input `name` is gone with its event loop: the run fails, soon."""
        error = DatagraphError("the event loop that read this async iterable has ended")
        self._thread.spawn(self._local.fail_input, name, error)

    # -- looking --------------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The run at this moment: every node and edge, in one round trip."""
        if self._observed is not self._local.graph:
            self._observed = self._local.graph
            self._observer = Observer(self._observed)
        return self._observer.see(self._thread.call(self._local.session.probe))

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
        return export(Run(self._thread, self._local).snapshot, to)  # which looks by itself, in whichever thread

    def bottleneck(self, *, over: float = 1.0) -> Bottleneck:
        """Which node holds the run up, in one sentence, with the evidence; averaged over the last `over` seconds at
        least (it waits for them where nobody has looked before).
        """
        snapshot = self.snapshot()
        waited = time.monotonic() + over
        while self._observer.window() < over and self.status == "running" and time.monotonic() < waited + over:
            time.sleep(min(0.1, over))  # a caller's thread, never the runtime's
            snapshot = self.snapshot()
        return bottleneck(self._graph, snapshot)

    @property
    def subject(self) -> RunSubject:
        """The run as a view sees it."""
        return RunSubject(self._local)

    def view(self) -> Any:
        """The run, live in a notebook: what flows, what waits and why, as long as the notebook is open.

        Raises MissingExtraError where anywidget is not installed.
        """
        return upstairs.view(self)

    def history(self) -> pd.DataFrame:
        """What was seen of the run so far, a row for each moment and each node and edge; see `Recording.history`.

        A process that works on the run has looked at it twice a second since its start, any other one since it first
        asked.
        """
        return self._recording().history()

    def plot(self) -> Picture:
        """The history as a picture: the fill of each edge and each node's time, over the time of the run."""
        return self._recording().plot()

    def save(self, path: str | Path) -> Path:
        """Write what was seen so far into a file that needs no store: ``.html`` is a page to be opened anywhere, even
        offline, ``.json`` the data; `datagraph.load` reads both.

        Returns the path; ValueError for any other ending.
        """
        return self._recording().save(path)

    def _recording(self) -> Recording:
        return Recording(self._thread.call(self._look))

    async def _look(self) -> Journal:
        watcher = self._local.watch()
        if watcher.snapshot is None or watcher.snapshot.status == "running":
            await watcher.look()
        return watcher.journal

    def logs(self, node: str, limit: int = 1000) -> list[str]:
        """The last lines that a node's processor printed or logged."""
        lines = self._thread.call(lambda: self._local.session.logs(self._node(node), limit=limit))
        return [line for _, line in lines]

    @property
    def errors(self) -> list[Exception]:
        """What went wrong: the error that ended the run, if one did, then the nodes' own."""
        found: list[Exception] = []
        outcome = self._local.outcome()
        if isinstance(outcome, Exception):
            found.append(outcome)
        probe = self._thread.call(self._local.session.probe)
        own = [record.error for record in probe.nodes.values() if record.error and record.error != probe.run.error]
        return found + [from_report(error) for error in own]

    def dead_letters(self, node: str) -> DeadLetters:
        """The values that a node gave up, with their errors; ``.resend()`` gives them back to it."""
        return DeadLetters(self._thread, self._local, self._node(node))

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from ..drawing.svg import svg

        snapshot = self.snapshot()
        return {"text/plain": f"{self!r}\n{to_text(self._graph)}", "image/svg+xml": svg(self._graph, snapshot)}
