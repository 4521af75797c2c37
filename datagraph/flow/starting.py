"""One start of one flow, from what its user asked for to a run that is served."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..exceptions import RunExistsError
from ..runtime.cell import teller
from ..runtime.inject import Overrides
from ..runtime.values import OPEN
from ..streams.records import RunRecord
from .compile import run_id, sources_of, specify
from .inputs import Inputs
from .local import LocalRun
from .options import IfRunning
from .pumps import Pump
from .run import Run
from .subject import RunSubject

if TYPE_CHECKING:
    from .flow import Flow
    from .processor import Processor
    from .supervisor import Supervisor


class Plan:
    """One start of one flow: everything that can be refused is refused before anything is written down."""

    def __init__(self, supervisor: Supervisor, flow: Flow, inputs: Inputs | None, options: dict[str, Any]) -> None:
        self.supervisor = supervisor
        self.flow = flow.resolve()
        self.inputs = flow.check_inputs(inputs)
        self.name: str | None = options.pop("name", None)
        self.if_running: IfRunning = options.pop("if_running", "new")
        self.paused: bool = options.pop("paused", False)
        self.pace: float | None = options.pop("pace", None)
        self.stop_after: float | None = options.pop("stop_after", None)
        self.hot: bool = options.pop("hot", False)
        self.settings = check_settings(flow.processors, options.pop("settings", None))
        self.overrides: Overrides = options.pop("overrides", None) or {}
        if options:
            raise TypeError(f"start() has no argument {next(iter(options))!r}")
        if self.if_running not in {"new", "attach", "replace", "error"}:
            raise ValueError(f"if_running is 'new', 'attach', 'replace' or 'error'; got {self.if_running!r}")
        for what, value in (("pace", self.pace), ("stop_after", self.stop_after)):
            if value is not None and value <= 0:
                raise ValueError(f"{what} is a number above 0, or None; got {value!r}")
        self.pumps = [Pump(name, values) for name, values in self.inputs.items() if foreign(values)]
        self.attached = False
        self.tell = teller()

    async def launch(self) -> LocalRun:
        supervisor, store = self.supervisor, self.supervisor.store
        name = self.name or self.flow.name
        if self.if_running != "new":
            going = await self._going(name)
            if going is not None and self.if_running == "attach":
                self.attached = True
                return await supervisor._look_at(going.id)
            if going is not None and self.if_running == "error":
                raise RunExistsError(f"a run called {name!r} is going ({going.id}): stop it, or say if_running='new'")
            if going is not None:
                old = await supervisor._look_at(going.id)
                await old.control("cancel")
        run = run_id(name)
        graph, crew = self.flow.graph, {processor.name: processor for processor in self.flow.processors}
        await store.create(
            specify(
                run,
                name,
                graph,
                crew,
                keep=self.flow.keep,
                keep_results=self.flow.keep_results,
                paused=self.paused,
                meta={
                    "stores": store.codec.name,
                    "sources": sources_of(crew),
                    "capacity": self.flow.capacity,
                    "keep": self.flow.keep,
                    "keep_results": self.flow.keep_results,
                },
            )
        )
        local = LocalRun(supervisor.thread, store, await store.find(run), lease=supervisor.lease)
        local.work_on(
            {processor.name: processor for processor in self.flow.processors},
            self.inputs,
            executor=supervisor.executor,
            settings=self.settings,
            overrides=self.overrides,
            pace=self.pace,
            hot=self.hot,
        )
        local.tell = self.tell
        await supervisor._serve(local)
        if self.stop_after is not None:
            seconds = self.stop_after
            supervisor._tasks.start_soon(local.stop_at, seconds)
        return local

    async def _going(self, name: str) -> RunRecord | None:
        runs = await self.supervisor.store.runs()
        return next((run for run in runs if run.name == name and run.status == "running"), None)

    def finish(self, local: LocalRun, *, all_outputs: bool = False) -> Run:
        run = Run(self.supervisor.thread, local, all_outputs=all_outputs)
        if not self.attached:
            for pump in self.pumps:
                pump.start(run)
        local.subject = RunSubject(local)  # followers hold it weakly
        self.flow._following.began(local.subject)
        return run


def check_settings(
    processors: Sequence[Processor], settings: Mapping[str, Mapping[str, Any]] | None
) -> Mapping[str, Mapping[str, Any]]:
    """Settings by processor; SignatureError-like ValueError where one is of no processor of the flow."""
    known = {processor.name: processor for processor in processors}
    for name, values in (settings or {}).items():
        if name not in known:
            raise ValueError(f"settings were given for {name!r}; the flow has: {', '.join(known)}")
        for setting in values:
            if setting not in known[name].binding.settings:
                have = ", ".join(known[name].binding.settings) or "none"
                raise ValueError(f"{name!r} has no setting {setting!r}; it has: {have}")
    return settings or {}


def foreign(values: Any) -> bool:
    return values is not OPEN and isinstance(values, AsyncIterable)
