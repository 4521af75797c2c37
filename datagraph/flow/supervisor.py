"""The supervisor: which store, which executor, and the runtime thread that runs of this process live in."""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, ClassVar

import anyio
from anyio.abc import TaskGroup

from ..exceptions import DatagraphError, StoreConfigError, StoreLostError
from ..executors.base import Executor
from ..executors.local import LocalExecutor
from ..runtime.bridge import Backend, RuntimeThread, current_backend
from ..streams.address import Address
from ..streams.codec import Codec
from ..streams.connect import store_at
from ..streams.records import RunRecord
from ..streams.store import Store
from .inputs import Inputs, normalise
from .local import LocalRun
from .pumps import Pump
from .recovery import given_in, recovered
from .run import Run
from .starting import Plan, check_settings, foreign

if TYPE_CHECKING:
    from .flow import Flow
    from .processor import Processor

_LISTENING = 16
"""Ended runs that are still listened to, so that they go on where another process sends their dead letters again."""
_SETTINGS = {"give_up": 60.0, "lease": 10.0}
_EXIT_SECONDS = 3.0


class _WithInstance(type):
    _current: ClassVar[Supervisor | None] = None

    @property
    def instance(cls) -> Supervisor:
        """The supervisor that is attached; where none is, one with the embedded server and the local executor."""
        current = _WithInstance._current
        return current if current is not None else Supervisor.attach()

    @property
    def detach(cls) -> Callable[[], None]:
        """``Supervisor.detach()`` detaches the one that is attached, if one is."""
        current = _WithInstance._current
        return current.detach if current is not None else lambda: None


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
        self._kept: Future[None]
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
        _check_kind("executor", executor, "run", "an executor such as LocalExecutor()")
        if codec is not None:
            _check_kind("codec", codec, "decode", "a codec such as MsgpackCodec()")
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

    def detach(self, *, within: float | None = None) -> None:
        """Let go of the store and end the runtime thread. What it ran stops here, and can be recovered.

        Waits until every function that runs in a thread has returned from its value, or for `within` seconds.
        """
        with self._lock:
            thread = self._thread
            if thread is not None and thread.here():
                raise DatagraphError("a supervisor cannot be detached by what it runs: call detach() from outside")
            self._thread = self._store = None
            if _WithInstance._current is self:
                _WithInstance._current = None
        if thread is None:
            return
        atexit.unregister(self._at_exit)
        with contextlib.suppress(Exception):
            thread.spawn(self._close_runs).result(within)
            self._kept.result(within)  # the leases are given back, and the connection is closed
        thread.stop(within)

    def _at_exit(self) -> None:
        self.detach(within=_EXIT_SECONDS)

    async def _close_runs(self) -> None:
        for local in self._runs.values():
            local.close()
        self._runs.clear()
        self._tasks.cancel_scope.cancel()  # also what only looks at a run, and what waits to stop one

    # -- the runtime ----------------------------------------------------------------------------------------------

    @property
    def thread(self) -> RuntimeThread:
        """The runtime thread; started, and the store connected, when it is first needed."""
        if self._thread is not None:  # asked from within it, nobody may wait for the lock
            return self._thread
        with self._lock:
            if self._thread is None:
                thread = RuntimeThread(self._backend or current_backend())
                self._backend = thread.backend
                ready: Future[Store] = Future()
                self._kept = thread.spawn(self._keep_store, ready)
                try:
                    self._store = ready.result()
                except BaseException:
                    thread.stop()
                    raise
                self._thread = thread
                atexit.register(self._at_exit)
            return self._thread

    @property
    def store(self) -> Store:
        """The store, connected. It belongs to the runtime thread's loop."""
        _ = self.thread
        assert self._store is not None
        return self._store

    async def _keep_store(self, ready: Future[Store]) -> None:
        try:
            store = await store_at(self._address, self._codec, give_up=self._settings["give_up"])
            async with store, anyio.create_task_group() as self._tasks:
                ready.set_result(store)
                await anyio.sleep_forever()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            if not isinstance(error, Exception):
                raise

    async def _serve(self, local: LocalRun) -> LocalRun:
        """Have the run served in the background; return when it has begun, raise where it cannot."""
        await self._tasks.start(local.serve)
        local.host = self._serve
        self._runs.pop(local.record.id, None)
        self._runs[local.record.id] = local
        ended = [run for run in self._runs.values() if run.record.status != "running"]
        for old in ended[:-_LISTENING]:  # each listens on a connection of its own
            old.close()
            del self._runs[old.record.id]
        return local

    # -- starting -------------------------------------------------------------------------------------------------

    async def start_flow(
        self, flow: Flow, inputs: Inputs | None = None, *, all_outputs: bool = False, **options: Any
    ) -> Run:
        """`Flow.start`, awaited; iterating the run gives its leaf streams, or every stream with `all_outputs`."""
        plan = Plan(self, flow, inputs, options)
        self.thread  # noqa: B018 - started by this caller, in its library
        run = await self.thread.acall(plan.launch)
        return plan.finish(run, all_outputs=all_outputs)

    def start(self, flow: Flow, inputs: Inputs | None = None, name: str | None = None, **options: Any) -> Run:
        """See `Flow.start`."""
        plan = Plan(self, flow, inputs, {**options, "name": name})
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
        return await self._serve(LocalRun(self.thread, self.store, record, lease=self.lease))

    def recover(
        self,
        name: str,
        flow: Flow | Sequence[Processor],
        inputs: Inputs | None = None,
        *,
        force: bool = False,
        **options: Any,
    ) -> Run:
        """See `datagraph.recover`."""
        check_settings(given_in(flow), options.get("settings"))
        given = normalise(inputs)
        pumps = [Pump(name, values) for name, values in given.items() if foreign(values)]

        async def work() -> LocalRun:
            record = await self.store.find(name)
            return await self._serve(await recovered(self, record, flow, given, pumps, force=force, **options))

        local = self.thread.call(work)
        run = self._as_run(local)
        for pump in pumps:
            if pump.name in local.inboxes:  # else all of that input is stored
                pump.start(run)
        return run

    def forget(self, name: str) -> int:
        """See `datagraph.forget`."""
        return self.thread.call(self._forget, name)

    async def _forget(self, name: str) -> int:
        record = await self.store.find(name)
        mine = self._runs.pop(record.id, None)
        if mine is not None:
            mine.leave(StoreLostError(f"the run {record.id!r} was forgotten: the store has nothing of it any more"))
        return await self.store.forget(record.id)

    def _as_run(self, local: LocalRun) -> Run:
        return Run(self.thread, local)

    @property
    def executor(self) -> Executor:
        """Where processors run that do not say otherwise."""
        return self._executor

    @property
    def lease(self) -> float:
        """Seconds after which another process may take over."""
        return float(self._settings["lease"])


def _check_kind(what: str, given: Any, method: str, wanted: str) -> None:
    if isinstance(given, type) or not callable(getattr(given, method, None)):
        raise StoreConfigError(f"{what} is {wanted}; got {given!r}")


def _address(config: Mapping[str, Any] | str | None, client: Any) -> Address | str | None:
    if client is not None:
        if config is not None:
            raise StoreConfigError("give redis_config= or client=, not both")
        return Address.from_client(client)
    if config is None:
        return None
    if isinstance(config, str):
        url = config
    elif not isinstance(config, Mapping):
        raise StoreConfigError(f"redis_config is a URL, or {{'url': 'redis://host:port/db'}}; got {config!r}")
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
