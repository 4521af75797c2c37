"""The store in Valkey (7.2 or newer) or Redis (7.0 or newer).

A user of its own needs no more than this (and may not call INFO, KEYS or CLIENT; then the server's version and memory
policy go unchecked, and the time is read from stream ids)::

    ACL SETUSER datagraph on >secret resetkeys ~dg:* resetchannels -@all
        +ping +eval +evalsha +script|load
        +xadd +xread +xrange +xrevrange +xlen +xtrim +xdel +xgroup|create +xgroup|destroy
        +hget +hmget +hset +hdel +hgetall +hkeys +hlen +hexists +hincrby
        +zadd +zrem +zrevrange +exists +expire +del +unlink
"""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Self

from redis.exceptions import ResponseError

from ..exceptions import InvalidNameError, RunExistsError, RunNotFoundError, StoreConfigError, StoreError
from .address import Address
from .codec import Codec, MsgpackCodec
from .keys import INDEX, Keys
from .records import RunRecord, RunSpec
from .resp import Client
from .scripts import script
from .valkey_session import ValkeySession
from .valkey_wire import STATE, pack_spec, raise_meaning, run_record, unpack_spec

TTL: Final = 7 * 24 * 3600
ENDED_TTL: Final = 3 * 3600
OLDEST: Final = (7, 0)


class ValkeyStore:
    """Keeps runs in a Valkey or Redis server.

    `address` is a URL such as ``redis://localhost:6379/0`` or an `Address`. `give_up`: seconds without a connection
    until calls raise StoreUnavailableError. `ttl` and `ended_ttl`: seconds that the runs created here are kept while
    nobody works on them, and after their end.
    """

    def __init__(
        self,
        address: str | Address,
        *,
        codec: Codec | None = None,
        give_up: float = 60.0,
        ttl: int = TTL,
        ended_ttl: int = ENDED_TTL,
    ) -> None:
        if ttl < 1 or ended_ttl < 1:
            raise StoreConfigError(f"ttl and ended_ttl are at least one second; got {ttl!r} and {ended_ttl!r}")
        parsed = Address.parse(address) if isinstance(address, str) else address
        self.url = str(parsed)
        self.codec: Codec = MsgpackCodec() if codec is None else codec
        patience = min(5.0, give_up)
        self._client = Client(parsed, give_up=give_up, connect_timeout=patience, on_reconnect=self._reconnected)
        self._ttl, self._ended_ttl = ttl, ended_ttl
        self._sessions: set[ValkeySession] = set()

    def _reconnected(self) -> None:
        for session in self._sessions:
            session.reconnected()

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        try:
            self._check(await self._info())
        except BaseException as error:
            await self._client.__aexit__(type(error), error, error.__traceback__)
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        leave: Callable[..., Awaitable[object]] = self._client.__aexit__
        await leave(*exc)

    async def _info(self) -> dict[str, str]:
        try:
            text = await self._client.call("INFO")
        except (StoreConfigError, ResponseError):
            return {}  # this user may not ask
        return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)

    def _check(self, info: dict[str, str]) -> None:
        version = info.get("redis_version", "")
        if version and tuple(map(int, version.split(".")[:2])) < OLDEST:
            raise StoreConfigError(
                f"the server at {self.url} speaks Redis {version}; Valkey >= 7.2 or Redis >= 7.0 is needed"
            )
        policy = info.get("maxmemory_policy", "noeviction")
        if policy != "noeviction":
            warnings.warn(
                f"the server at {self.url} may evict runs when its memory is full (maxmemory-policy {policy}): a run "
                f"that loses a key fails; set maxmemory-policy to noeviction",
                RuntimeWarning,
                stacklevel=3,
            )

    async def create(self, spec: RunSpec) -> None:
        """See `Store.create`."""
        keys = Keys(spec.id)
        args = pack_spec(spec, uuid.uuid4().hex, self._ttl, self._ended_ttl)
        try:
            created = await self._client.script(script("create"), [keys.run], args)
        except ResponseError as error:
            raise_meaning(error, spec.id)
        if not created:
            raise RunExistsError(f"run {spec.id!r} is in the store already; attach to it or take another id")
        # The index is on a slot of its own, so it cannot be part of the script. A run that is missing there because
        # its creator died just now can still be found by its id, and expires like any other.
        await self._client.call("ZADD", INDEX, created, spec.id)

    async def runs(self) -> list[RunRecord]:
        """See `Store.runs`."""
        ids = [ident.decode() for ident in await self._client.call("ZREVRANGE", INDEX, 0, -1)]
        replies = await self._specs(ids)
        gone = [ident for ident, (spec, *_) in zip(ids, replies, strict=True) if spec is None]
        if gone:
            await self._client.call("ZREM", INDEX, *gone)
        found = []
        for spec, *state in replies:
            if spec is not None:
                with suppress(StoreError):  # one run that cannot be read hides no others; `find` says what it is
                    found.append(run_record(unpack_spec(spec), state))
        return found

    async def find(self, name: str) -> RunRecord:
        """See `Store.find`."""
        try:
            ((spec, *state),) = await self._specs([name])
        except InvalidNameError:
            spec, state = None, []
        if spec is not None:
            return run_record(unpack_spec(spec), state)
        runs = await self.runs()
        for run in runs:
            if run.name == name:
                return run
        known = ", ".join(run.id for run in runs[:10]) or "none"
        raise RunNotFoundError(f"no run has the id or name {name!r}; the store has {known}")

    async def _specs(self, ids: list[str]) -> list[Any]:
        """What each run was created with (None: it is not there), and its state."""
        return await self._client.pipeline([("HMGET", Keys(ident).run, "spec", *STATE) for ident in ids])

    async def forget(self, run: str) -> int:
        """See `Store.forget`."""
        count = await self._client.script(script("forget"), [Keys(run).run])
        await self._client.call("ZREM", INDEX, run)
        return int(count)

    def session(self, run: str, worker: str, *, lease: float = 10.0) -> ValkeySession:
        """See `Store.session`."""
        return ValkeySession(self._client, self._sessions, run, worker, lease, self.codec)
