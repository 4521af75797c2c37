"""One stream of a run, from outside: what exists is there at once, what is still to come is waited for."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, overload

import anyio

from ..exceptions import EmptyStreamError, ReadOnlyIOError
from ..runtime.bridge import RuntimeThread
from ..runtime.port import opened
from ..streams.records import Frame, Reading
from .lineage import Lineage, Outcome, Part
from .local import LocalRun
from .reading import Cursor
from .versions import Version, version_at, written_by

if TYPE_CHECKING:
    import pandas as pd

_MISSING: Any = object()


class RunStream:
    """A stream of a run. ``for v in run["bar"]`` and ``async for v in run["bar"]`` give its values from the first that
    is kept to the end, waiting where there is nothing yet; `to_list` and `to_pandas` give what there is.

    Reading here never takes anything from the run's own readers. A run that failed raises ProcessorError to its
    readers, after the values that were written before.
    """

    def __init__(self, thread: RuntimeThread, local: LocalRun, name: str) -> None:
        self._thread = thread
        self._local = local
        self.name = name

    def __repr__(self) -> str:
        return f"RunStream({self.name!r} of {self._local.record.name!r})"

    # -- what exists ----------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._thread.call(self._length)

    def __bool__(self) -> bool:
        return True

    def peek(self, n: int = 10) -> list[Any]:
        """The last `n` values."""
        if n < 1:
            raise ValueError(f"peek shows at least one value; got n={n}")
        return self._thread.call(self._tail, n)

    def to_list(self) -> list[Any]:
        """The values that there are and that are kept; a warning says how many are not kept any more."""
        values, first = self._thread.call(self.read_all)
        if first:
            warnings.warn(
                f"the first {first} values of {self.name!r} are not kept any more (keep=, keep_results=)", stacklevel=2
            )
        return values

    def to_pandas(self) -> pd.DataFrame:
        """The same as a DataFrame: a mapping or dataclass a value gives its columns, else one column "value".

        Its index is the position of each value in the stream.
        """
        import pandas as pd

        values, first = self._thread.call(self.read_all)
        if first:
            warnings.warn(
                f"the first {first} values of {self.name!r} are not kept any more (keep=, keep_results=)", stacklevel=2
            )
        index = pd.RangeIndex(first, first + len(values), name="position")
        if values and all(isinstance(value, dict) for value in values):
            return pd.DataFrame(values, index=index)
        return pd.DataFrame({"value": pd.Series(values, index=index, dtype=None if values else object)})

    @property
    def versions(self) -> tuple[Version, ...]:
        """The versions of its processor that wrote the stream, oldest first; () for what is given from outside.

        Of a run that was changed more than 1,000 times only those that the last 1,000 changes brought.
        """
        return self._thread.call(self._versions)

    def version_at(self, position: int) -> Version | None:
        """The version that wrote the value at a position; None where that is not known (any more).

        A position that is not written yet has the version that writes now.
        """
        if position < 0:
            raise ValueError(f"a position counts values from the start of the stream; got {position}")
        return version_at(self.versions, position)

    # -- where it came from ---------------------------------------------------------------------------------------

    def origin(self, position: int) -> list[Part]:
        """What the value at `position` was made from: a part of each stream that was read for it; [] of an input.

        Raises ValueError where there is no such value, StreamTrimmedError where it is not kept any more.
        """
        return self._thread.call(Lineage(self._local).origin, self.name, position)

    def lineage(self, position: int) -> list[Part]:
        """`origin`, and what that came from, and so on back to the inputs: of each stream the part that has it all."""
        return self._thread.call(Lineage(self._local).lineage, self.name, position)

    def fate(self, position: int) -> list[Outcome]:
        """What came of the value at `position`: one outcome for each node that reads the stream.

        Raises ValueError where there is no such value.
        """
        return self._thread.call(Lineage(self._local).fate, self.name, position)

    # -- what is waited for ---------------------------------------------------------------------------------------

    @overload
    def stream(self) -> Values: ...
    @overload
    def stream(self, cursor: int, *, hold: bool = False) -> Values: ...
    @overload
    def stream(self, cursor: int | None = None, *, hold: bool = False) -> Values: ...
    def stream(self, cursor: int | None = None, *, hold: bool = False) -> Values:
        """The values from position `cursor` on (None: from the first that is kept), to be read by `for` or `async for`.

        With `hold` the flow waits for this reader as it does for its own. Raises StreamTrimmedError, when read, where
        the values at `cursor` are not kept any more.
        """
        if cursor is not None and cursor < 0:
            raise ValueError(f"a cursor counts values from the start of the stream; got {cursor}")
        return Values(self._thread, Cursor(self._local, self.name, cursor, hold=hold))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.stream())

    def __aiter__(self) -> AsyncIterator[Any]:
        return aiter(self.stream())

    async def first(self, default: Any = _MISSING) -> Any:
        """The first value; waits for it. Without `default` an ended empty stream is an EmptyStreamError."""
        async for value in self.stream(0):
            return value
        return self._none(default)

    async def latest(self, default: Any = _MISSING) -> Any:
        """The newest value as it is now; waits for one."""
        found = await self._thread.acall(self._tail, 1)
        return found[0] if found else await self.first(default)

    def _none(self, default: Any) -> Any:
        if default is _MISSING:
            raise EmptyStreamError(f"the stream {self.name!r} ended without a value: give a default")
        return default

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self._collect().__await__()

    async def _collect(self) -> list[Any]:
        return [value async for value in self.stream()]

    # -- open inputs ----------------------------------------------------------------------------------------------

    def send(self, value: Any) -> None:
        """Write a value to an input that was started `OPEN`; returns when it is stored.

        Raises ReadOnlyIOError for any other stream, and what ended the run where it has ended.
        """
        self.post([value]).result()

    def send_many(self, values: list[Any]) -> None:
        """Write several values in one go; returns when all of them are stored."""
        self.post(values).result()

    async def asend(self, value: Any) -> None:
        """`send`, awaited."""
        from ..runtime.bridge import wait_for

        await wait_for(self.post([value]))

    def complete(self) -> None:
        """End an input that was started `OPEN`."""
        self._inbox().close()

    def _inbox(self) -> Any:
        inbox = self._local.inboxes.get(self.name)
        if inbox is None:
            raise ReadOnlyIOError(
                f"{self.name!r} cannot be written from here: only an input that this process started with OPEN can"
            )
        return inbox

    def post(self, values: list[Any]) -> Future[None]:
        """`send_many` that does not wait: the future is done when all of them are stored."""
        future: Future[None] = Future()

        def done(error: BaseException | None) -> None:
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(None)

        self._inbox().put(values, done)
        return future

    # -- in the runtime thread ------------------------------------------------------------------------------------

    def _decode(self, frame: Frame) -> list[Any]:
        session = self._local.session
        return opened(session.codec.bind(f"{session.run}:{self.name}".encode()), self.name, frame)

    async def _length(self) -> int:
        return (await self._local.session.tail(self.name, 1)).length

    async def _tail(self, n: int) -> list[Any]:
        reading: Reading = await self._local.session.tail(self.name, n)
        return [value for frame in reading.frames for value in self._decode(frame)][-n:]

    async def _versions(self) -> tuple[Version, ...]:
        return await written_by(self._local, self.name)

    async def read_all(self) -> tuple[list[Any], int]:
        length = await self._length()
        cursor = Cursor(self._local, self.name, None)
        values: list[Any] = []
        start = -1
        while cursor.position < length:
            more = await cursor.read(wait=False)
            if start < 0:
                start = cursor.position - len(more)
            if not more:
                break
            values += more
            await anyio.lowlevel.checkpoint()
        return values, max(0, start)


class Values:
    """Iterates a stream from outside, by `for` or `async for`, a frame at a time."""

    def __init__(self, thread: RuntimeThread, cursor: Cursor) -> None:
        self._thread = thread
        self._cursor = cursor
        self._it: Iterator[Any] = iter(())

    def __del__(self) -> None:
        if self._cursor.holds:  # left before its end: the flow must not wait for it for ever
            with contextlib.suppress(Exception):
                self._thread.spawn(self._cursor.let_go)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        for value in self._it:
            return value
        values = self._thread.call(self._cursor.read)
        if not values:
            raise StopIteration
        self._it = iter(values)
        return next(self._it)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        for value in self._it:
            return value
        values = await self._thread.acall(self._cursor.read)
        if not values:
            raise StopAsyncIteration
        self._it = iter(values)
        return next(self._it)
