"""The real servers, and a stranger's hand on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import redis

from datagraph.streams.valkey import ValkeyStore


@pytest.fixture(params=["valkey", "redis"])
def server_url(request: pytest.FixtureRequest) -> str:
    """Where each kind of server is."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def raw(server_url: str) -> Iterator[redis.Redis]:
    """A stranger's hand on the server."""
    with redis.Redis.from_url(server_url) as client:
        yield client


@pytest.fixture
async def valkey_store(server_url: str, anyio_backend: str) -> AsyncIterator[ValkeyStore]:
    """A store on that server, entered."""
    async with ValkeyStore(server_url) as entered:
        yield entered


@pytest.fixture
def keys_of(raw: redis.Redis, run_id: str) -> Callable[[], list[bytes]]:
    """Asks which keys of the test's run are there."""
    tag = f"{{{run_id}}}".encode()
    return lambda: [key for key in raw.scan_iter(count=1000) if tag in key]
