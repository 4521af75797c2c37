"""Both event loops and every kind of store, for every test."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from datagraph.flow.supervisor import Supervisor
from datagraph.streams.memory import MemoryStore
from datagraph.streams.server import Server
from datagraph.streams.store import Store
from datagraph.streams.valkey import ValkeyStore

REDIS = "/usr/bin/redis-server"


def need(condition: object, reason: str) -> None:
    """Skip the test where something is missing; where CI=true the root conftest makes that a failure."""
    if not condition:
        pytest.skip(reason)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop that a test runs on."""
    return request.param


@pytest.fixture
def run_id() -> str:
    """A run's id that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Valkey, for the whole session."""
    with Server(tmp_path_factory.mktemp("valkey"), aof=False) as server:
        yield server.url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis 7, for the whole session."""
    need(Path(REDIS).exists(), f"{REDIS} is not installed")
    with Server(tmp_path_factory.mktemp("redis"), aof=False, binary=REDIS) as server:
        yield server.url


def make_store(url: str, **options: Any) -> Store:
    """A store of that URL, not entered yet; called inside the loop that it will live in."""
    if url == "memory://":
        return MemoryStore(url, **options)
    return ValkeyStore(url, **options)


def _url(request: pytest.FixtureRequest) -> str:
    return "memory://" if request.param == "memory" else request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(params=["memory", "valkey", "redis"])
def any_url(request: pytest.FixtureRequest) -> str:
    """Where each kind of store is."""
    return _url(request)


@pytest.fixture(params=["memory", "valkey"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Where the memory store and the real Valkey are."""
    return _url(request)


@pytest.fixture
async def any_store(any_url: str, anyio_backend: str) -> AsyncIterator[Store]:
    """Each kind of store, entered: memory, Valkey, Redis 7."""
    async with make_store(any_url) as store:
        yield store


@pytest.fixture
async def store(store_url: str, anyio_backend: str) -> AsyncIterator[Store]:
    """The memory store and a real Valkey, entered."""
    async with make_store(store_url) as store:
        yield store


@pytest.fixture
def supervisor(store_url: str, anyio_backend: str) -> Iterator[Supervisor]:
    """A supervisor on each kind of store, its runtime on each event loop; detached afterwards."""
    supervisor = Supervisor.attach(store_url, backend=anyio_backend)
    yield supervisor
    supervisor.detach()


@pytest.fixture
def in_memory(anyio_backend: str) -> Iterator[Supervisor]:
    """A supervisor on the memory store, its runtime on each event loop; detached afterwards."""
    supervisor = Supervisor.attach("memory://", backend=anyio_backend)
    yield supervisor
    supervisor.detach()
