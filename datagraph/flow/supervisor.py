"""The supervisor: which store, which executor, and the runtime thread that runs of this process live in."""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import AsyncIterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
from anyio.abc import TaskGroup

from ..exceptions import (
    RunExistsError,
    RunNotFoundError,
    StoreConfigError,
)
from ..executors.base import Executor
from ..executors.local import LocalExecutor
from ..graph.model import Graph
from ..runtime.bridge import Backend, RuntimeThread, current_backend
from ..runtime.inject import Overrides
from ..runtime.values import OPEN
from ..streams.address import Address
from ..streams.codec import Codec
from ..streams.connect import store_at
from ..streams.records import RunRecord
from ..streams.store import Store
from .compile import run_id, specify
from .inputs import Inputs
from .local import LocalRun
from .options import IfRunning
from .pumps import Pump
from .recovery import recovered
from .run import Run

if TYPE_CHECKING:
    from .flow import Flow

_SETTINGS = {"give_up": 60.0, "lease": 10.0}


class _WithInstance(type):
    _current: ClassVar[Supervisor | None] = None

    @property
    def instance(cls) -> Supervisor:
        """The supervisor that is attached; where none is, one with the embedded server and the local executor."""
        current = _WithInstance._current
        return current if current is not None else Supervisor.attach()


class Supervisor(metaclass=_WithInstance):
    """Starts runs and finds them again. Made by `attach`, used as ``Supervisor.instance``."""

    def __init__(
        self,
        address: Address | str | None,
        executor: Executor,
        backend: Backend | None,
        codec: Codec | None,
        settings: Mapping[str, Any],
    ) -> None:
        self._address = address
        self._executor = executor
        self._backend = backend
        self._codec = codec
        self._settings = {**_SETTINGS, **settings}
        self._lock = threading.RLock()
        self._thread: RuntimeThread | None = None
        self._store: Store | None = None
        self._leave: anyio.Event | None = None
        self._tasks: TaskGroup
        self._runs: dict[str, LocalRun] = {}

    def __repr__(self) -> str:
        return f"Supervisor({self._address or 'embedded'}, {self._executor!r})"

    # -- attaching ------------------------------------------------------------------------------------------------

    @classmethod
    def attach(
        cls,
        redis_config: Mapping[str, Any] | str | None = None,
        executor: Executor | None = None,
        backend: Backend | None = None,
        codec: Codec | None = None,
        *,
        client: Any = None,
        **settings: Any,
    ) -> Supervisor:
        """Say which store and which executor runs of this process use; nothing is connected yet.

        Args:
            redis_config: ``{"url": "redis://localhost:6379/0"}`` or just the URL; ``memory://`` keeps everything in
                this process; None is the embedded server.
            executor: where processors run; by default a `LocalExecutor`.
            backend: "asyncio" or "trio" for the runtime's own loop; None for that of the first caller.
            codec: how values are stored; by default `MsgpackCodec()`.
            client: a redis client whose address and credentials are used instead of a URL.
            settings: ``give_up`` (seconds without the store after which runs fail, 60) and ``lease`` (seconds after
                which another process may take over what this one ran, 10).

        Attaching with equal settings returns the same supervisor. With others it replaces it: what that ran is left
        as it is in its store, and can be recovered. Raises StoreConfigError for settings that cannot be.
        """
        address = _address(redis_config, client)
        executor = executor if executor is not None else LocalExecutor()
        if backend not in {None, "asyncio", "trio"}:
            raise StoreConfigError(f"backend is 'asyncio', 'trio' or None; got {backend!r}")
        for name, value in settings.items():
            if name not in _SETTINGS:
                raise StoreConfigError(f"unknown setting {name!r}; there are: {', '.join(_SETTINGS)}")
            if not isinstance(value, int | float) or value <= 0:
                raise StoreConfigError(f"{name} is a number of seconds above 0; got {value!r}")
        new = cls(address, executor, backend, codec, settings)
        current = _WithInstance._current
        if current is not None:
            if current._same(new):
                return current
            current.detach()
        _WithInstance._current = new
        return new

    def _same(self, other: Supervisor) -> bool:
        return (
            self._address == other._address
            and self._executor == other._executor
            and other._backend in {None, self._backend}
            and (self._codec is other._codec or self._codec == other._codec)
            and self._settings == other._settings
        )

    def detach(self) -> None:
        """Let go of the store and end the runtime thread. What it ran stops here, and can be recovered."""
        with self._lock:
            if _WithInstance._current is self:
                _WithInstance._current = None
            thread, self._thread, self._store = self._thread, None, None
            if thread is None:
                return
            atexit.unregister(self.detach)
            with contextlib.suppress(Exception):
                thread.call(self._close_runs)
            thread.stop()

    async def _close_runs(self) -> None:
        for local in self._runs.values():
            local.close()
        self._runs.clear()
        if self._leave is not None:
            self._leave.set()

    # -- the runtime ----------------------------------------------------------------------------------------------

    @property
    def thread(self) -> RuntimeThread:
        """The runtime thread; started, and the store connected, when it is first needed."""
        with self._lock:
            if self._thread is None:
                thread = RuntimeThread(self._backend or current_backend())
                self._backend = thread.backend
                ready: Future[Store] = Future()
                thread.spawn(self._keep_store, ready)
                try:
                    self._store = ready.result()
                except BaseException:
                    thread.stop()
                    raise
                self._thread = thread
                atexit.register(self.detach)
            return self._thread

    @property
    def store(self) -> Store:
        """The store, connected. It belongs to the runtime thread's loop."""
        _ = self.thread
        assert self._store is not None
        return self._store

    async def _keep_store(self, ready: Future[Store]) -> None:
        self._leave = anyio.Event()
        try:
            store = await store_at(self._address, self._codec, give_up=self._settings["give_up"])
            async with store, anyio.create_task_group() as self._tasks:
                ready.set_result(store)
                await self._leave.wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            if not isinstance(error, Exception):
                raise

    async def _serve(self, local: LocalRun) -> LocalRun:
        """Have the run served in the background; return when it has begun, raise where it cannot."""
        await self._tasks.start(local.serve)
        self._runs[local.record.id] = local
        return local

    # -- starting -------------------------------------------------------------------------------------------------

    async def start_flow(
        self, flow: Flow, inputs: Inputs | None = None, *, all_outputs: bool = False, **options: Any
    ) -> Run:
        """`Flow.start`, awaited; iterating the run gives its leaf streams, or every stream with `all_outputs`."""
        plan = _Plan(self, flow, inputs, options)
        self.thread  # noqa: B018 - started by this caller, in its library
        run = await self.thread.acall(plan.launch)
        return plan.finish(run, all_outputs=all_outputs)

    def start(self, flow: Flow, inputs: Inputs | None = None, name: str | None = None, **options: Any) -> Run:
        """See `Flow.start`."""
        plan = _Plan(self, flow, inputs, {**options, "name": name})
        return plan.finish(self.thread.call(plan.launch))

    # -- finding --------------------------------------------------------------------------------------------------

    def runs(self) -> list[RunRecord]:
        """The runs that the store has, newest first."""
        return self.thread.call(self.store.runs)

    def attach_run(self, name: str) -> Run:
        """A run that another process (or this one) started, by id or name; RunNotFoundError."""
        return self._as_run(self.thread.call(self._look_at, name))

    async def _look_at(self, name: str) -> LocalRun:
        record = await self.store.find(name)
        mine = self._runs.get(record.id)
        if mine is not None and mine.error is None:
            return mine
        return await self._serve(LocalRun(self.thread, self.store, record, lease=0))

    def recover(
        self, name: str, flow: Flow, inputs: Inputs | None = None, *, force: bool = False, **options: Any
    ) -> Run:
        """See `datagraph.recover`."""
        flow.resolve()
        return self.thread.call(self._recover, name, flow, inputs, force, options)

    async def _recover(self, name: str, flow: Flow, inputs: Inputs | None, force: bool, options: dict[str, Any]) -> Run:
        local, pumps = await recovered(self, await self.store.find(name), flow, inputs, force=force, **options)
        run = self._as_run(await self._serve(local))
        for pump in pumps:
            pump.start(run)
        return run

    def forget(self, name: str) -> int:
        """See `datagraph.forget`."""
        return self.thread.call(self._forget, name)

    async def _forget(self, name: str) -> int:
        record = await self.store.find(name)
        mine = self._runs.pop(record.id, None)
        if mine is not None:
            mine.close()
        return await self.store.forget(record.id)

    def _as_run(self, local: LocalRun) -> Run:
        return Run(self.thread, local, Graph.from_dict(local.record.graph))

    @property
    def executor(self) -> Executor:
        """Where processors run that do not say otherwise."""
        return self._executor

    @property
    def lease(self) -> float:
        """Seconds after which another process may take over."""
        return float(self._settings["lease"])


class _Plan:
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
        self.settings = check_settings(flow, options.pop("settings", None))
        self.overrides: Overrides = options.pop("overrides", None) or {}
        if options:
            raise TypeError(f"start() has no argument {next(iter(options))!r}")
        if self.if_running not in {"new", "attach", "replace", "error"}:
            raise ValueError(f"if_running is 'new', 'attach', 'replace' or 'error'; got {self.if_running!r}")
        for what, value in (("pace", self.pace), ("stop_after", self.stop_after)):
            if value is not None and value <= 0:
                raise ValueError(f"{what} is a number above 0, or None; got {value!r}")
        self.pumps = [Pump(name, values) for name, values in self.inputs.items() if _foreign(values)]
        self.attached = False

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
        graph = self.flow.graph
        await store.create(
            specify(
                run,
                name,
                graph,
                self.flow.processors,
                keep=self.flow.keep,
                keep_results=self.flow.keep_results,
                paused=self.paused,
                meta={"stores": store.codec.name},
            )
        )
        local = LocalRun(supervisor.thread, store, await store.find(run), lease=supervisor.lease)
        local.work_on(
            self.flow.processors,
            self.inputs,
            executor=supervisor.executor,
            settings=self.settings,
            overrides=self.overrides,
            pace=self.pace,
        )
        await supervisor._serve(local)
        if self.stop_after is not None:
            seconds = self.stop_after
            supervisor._tasks.start_soon(local.stop_at, seconds)
        return local

    async def _going(self, name: str) -> RunRecord | None:
        try:
            record = await self.supervisor.store.find(name)
        except RunNotFoundError:
            return None
        return record if record.status == "running" else None

    def finish(self, local: LocalRun, *, all_outputs: bool = False) -> Run:
        run = Run(self.supervisor.thread, local, Graph.from_dict(local.record.graph), all_outputs=all_outputs)
        if not self.attached:
            for pump in self.pumps:
                pump.start(run)
        return run


def check_settings(flow: Flow, settings: Mapping[str, Mapping[str, Any]] | None) -> Mapping[str, Mapping[str, Any]]:
    """Settings by processor; SignatureError-like ValueError where one is of no processor of the flow."""
    known = {processor.name: processor for processor in flow.processors}
    for name, values in (settings or {}).items():
        if name not in known:
            raise ValueError(f"settings were given for {name!r}; the flow has: {', '.join(known)}")
        for setting in values:
            if setting not in known[name].binding.settings:
                have = ", ".join(known[name].binding.settings) or "none"
                raise ValueError(f"{name!r} has no setting {setting!r}; it has: {have}")
    return settings or {}


def _foreign(values: Any) -> bool:
    return values is not OPEN and isinstance(values, AsyncIterable)


def _address(config: Mapping[str, Any] | str | None, client: Any) -> Address | str | None:
    if client is not None:
        if config is not None:
            raise StoreConfigError("give redis_config= or client=, not both")
        return Address.from_client(client)
    if config is None:
        return None
    if isinstance(config, str):
        url = config
    else:
        unknown = [key for key in config if key != "url"]
        if unknown or "url" not in config:
            raise StoreConfigError(
                f"redis_config is {{'url': 'redis://host:port/db'}}; got the keys "
                f"{', '.join(map(repr, config)) or 'none'}. "
                f"Everything else belongs into the URL, or pass client= an existing redis client"
            )
        url = config["url"]
    if url.startswith("memory:"):
        return str(url)
    return Address.parse(url)
