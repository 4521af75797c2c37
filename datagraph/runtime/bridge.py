"""The runtime thread: an event loop of its own, so that a blocked cell or a busy script freezes no flow."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, InvalidStateError
from typing import Any, Literal, TypeVar

import anyio
import sniffio
from anyio.abc import TaskGroup

from ..exceptions import DatagraphError, NotAttachedError

R = TypeVar("R")
Backend = Literal["asyncio", "trio"]


def current_backend() -> Backend:
    """The library of the event loop that calls, "asyncio" where none does."""
    try:
        name = sniffio.current_async_library()
    except sniffio.AsyncLibraryNotFoundError:
        return "asyncio"
    return "trio" if name == "trio" else "asyncio"


class RuntimeThread:
    """One thread with one event loop, of asyncio or trio, until `stop`."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._tasks: TaskGroup
        self._post: Callable[[Callable[[], Any]], Any]
        self._started: Future[None] = Future()
        self._stopped = False
        self._thread = threading.Thread(target=self._target, name="datagraph-runtime", daemon=True)
        self._thread.start()
        self._started.result()

    def _target(self) -> None:
        try:
            anyio.run(self._main, backend=self.backend)
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _main(self) -> None:
        if self.backend == "asyncio":
            import asyncio

            loop = asyncio.get_running_loop()
            sniffio.current_async_library_cvar.set("asyncio")  # callbacks are in no task, where anyio looks for it
            context = contextvars.copy_context()
            self._post = lambda function: loop.call_soon_threadsafe(function, context=context.copy())
        else:
            import trio

            self._post = trio.lowlevel.current_trio_token().run_sync_soon
        async with anyio.create_task_group() as self._tasks:
            self._started.set_result(None)
            await anyio.sleep_forever()

    def stop(self, within: float | None = None) -> None:
        """Cancel what runs in the loop and end the thread; wait for that, or for `within` seconds."""
        self._stopped = True
        self._post(self._tasks.cancel_scope.cancel)
        self._thread.join(within)

    def here(self) -> bool:
        """Whether the caller is the runtime thread itself."""
        return threading.get_ident() == self._thread.ident

    def spawn(self, function: Callable[..., Awaitable[R]], *args: Any) -> Future[R]:
        """Start a coroutine function in the loop, from any thread; cancelling the future cancels it."""
        future: Future[R] = Future()
        if self._stopped:
            raise NotAttachedError(
                "the supervisor that had this run was detached: attach one again, and find the run with "
                "datagraph.attach_run(id)"
            )
        self._post(lambda: self._tasks.start_soon(self._into, future, function, args))
        return future

    async def _into(self, future: Future[Any], function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        with anyio.CancelScope() as scope:
            future.add_done_callback(lambda done: done.cancelled() and self._post(scope.cancel))
            try:
                result = await function(*args)
            except Exception as error:
                _settle(future, error=error)
            except BaseException as error:
                _settle(future, error=DatagraphError("the runtime was stopped while this was waited for"))
                raise error from None
            else:
                _settle(future, result)

    def call(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        """Run a coroutine function in the loop and wait for it, from any other thread."""
        if self.here():
            raise DatagraphError(
                "this would wait for the runtime from inside itself: in an async processor use the async form, "
                "or make it a plain function, which runs in a worker thread"
            )
        return self.spawn(function, *args).result()

    async def acall(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        """The same, awaited from another event loop."""
        if self.here():
            return await function(*args)
        return await wait_for(self.spawn(function, *args))

    def soon(self, function: Callable[[], Any]) -> None:
        """Run a plain function in the loop soon, from any thread, without waiting."""
        if self.here():
            function()
        else:
            self._post(function)


def _settle(future: Future[Any], result: Any = None, error: BaseException | None = None) -> None:
    """Give a future its outcome, unless whoever waited has given it up."""
    try:
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
    except InvalidStateError:
        return


def shielded(future: Future[R]) -> Future[R]:
    """A future that ends as another one does, which goes on where whoever waits for this one gives it up."""
    found: Future[R] = Future()

    def settle(done: Future[R]) -> None:
        if found.set_running_or_notify_cancel():
            error = done.exception()
            _settle(found, None if error is not None else done.result(), error)

    future.add_done_callback(settle)
    return found


async def wait_for(future: Future[R]) -> R:
    """Wait for a future of another thread, in whichever event loop this is; cancelling the wait cancels the future."""
    if current_backend() == "asyncio":
        import asyncio

        return await asyncio.wrap_future(future)
    import trio

    token = trio.lowlevel.current_trio_token()
    done = anyio.Event()

    def wake(_: Future[R]) -> None:
        try:
            token.run_sync_soon(done.set)
        except trio.RunFinishedError:
            return

    future.add_done_callback(wake)
    try:
        await done.wait()
    except BaseException:
        future.cancel()
        raise
    return future.result()
