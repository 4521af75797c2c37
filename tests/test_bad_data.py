"""What somebody else writes, trims or deletes in the store while a run goes on: noticed, named, and never passed over.

The numbers are those of RELIABILITY.md 3e. 40 (a bomb of compressed data) cannot be: no codec of ours compresses.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

import datagraph as dg
from datagraph import OPEN, Flow, SignedPickle, Supervisor, processor
from datagraph.flow.run import Run
from datagraph.streams.codec import MSGPACK, PICKLE
from datagraph.streams.keys import Keys
from datagraph.streams.server import Server

KEY = b"k" * 32


@processor
def same(seed: Any) -> Any:
    return seed


@dataclass
class Held:
    """A run whose node is paused in front of two values, and a client of the server that it lives on."""

    run: Run
    client: redis.Redis

    @property
    def keys(self) -> Keys:
        return Keys(self.run.id)

    @property
    def stream(self) -> str:
        return self.keys.stream("seed")

    def forge(self, payload: bytes) -> None:
        self.add({"c": "1", "p": payload})

    def add(self, fields: dict[str, Any]) -> None:
        """An entry behind the end, which the writer has left: it would notice at its next commit."""
        self.run["seed"].complete()
        while self.client.hget(self.keys.record("seed"), "ended") != b"1":
            time.sleep(0.002)
        self.client.xadd(self.stream, fields, id="3-0")

    def let_go(self) -> BaseException:
        """The error that ends the run, once its node is let go and asked for more."""

        def go_on() -> None:
            self.run.resume("same")
            self.run["seed"].complete()
            self.run.join()

        with pytest.raises(dg.DatagraphError) as caught:
            go_on()
        return caught.value


def held(client: redis.Redis) -> Held:
    run = Flow(same).start({"seed": OPEN})
    run.pause("same")
    run["seed"].send_many([b"one", b"two"])
    return Held(run, client)


@pytest.fixture
def client(valkey_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


@pytest.fixture
def attached(valkey_url: str, anyio_backend: str) -> Iterator[Supervisor]:
    supervisor = Supervisor.attach(valkey_url, backend=anyio_backend)
    yield supervisor
    supervisor.detach()


@pytest.fixture
def signing(valkey_url: str, anyio_backend: str) -> Iterator[Supervisor]:
    supervisor = Supervisor.attach(valkey_url, backend=anyio_backend, codec=SignedPickle(KEY))
    yield supervisor
    supervisor.detach()


FORGED: list[tuple[str, bytes, type[Exception], tuple[str, ...]]] = [
    ("34 garbage", b"\xff\xfe\xfd", dg.CodecRefusedError, ("codec 255", "damaged")),
    ("34 nothing", b"", dg.CodecError, ("empty", "damaged")),
    ("35 truncated", MSGPACK + b"\x91\xda\x00\x10abc", dg.CodecError, ("damaged",)),
    ("35 no list", MSGPACK + b"\x01", dg.CodecError, ("damaged",)),
    ("36 unknown codec", b"\x09\x91\x01", dg.CodecRefusedError, ("codec 9", "newer datagraph")),
    ("37 pickle, unasked", PICKLE + b"x" * 64, dg.CodecRefusedError, ("SignedPickle", "only loaded by asking")),
    ("fake length", MSGPACK + b"\xdd\xff\xff\xff\xff", dg.CodecError, ("damaged",)),
]


@pytest.mark.parametrize("what, payload, kind, words", FORGED, ids=[case[0] for case in FORGED])
def test_forged_frame_fails_its_reader_by_name(
    what: str,
    payload: bytes,
    kind: type[Exception],
    words: tuple[str, ...],
    attached: Supervisor,
    client: redis.Redis,
) -> None:
    """34-37: a frame that is damaged or not ours fails the node that reads it; the values before it came through."""
    at = held(client)
    at.forge(payload)
    error = at.let_go()
    assert isinstance(error, kind)
    assert [word for word in ("'same'", "'seed'", "position 2", *words) if word not in str(error)] == []
    assert at.run["same"].to_list() == [b"one", b"two"]


def test_entry_without_a_frame_is_named(attached: Supervisor, client: redis.Redis) -> None:
    """34: an entry that has not even the fields of a frame is told by its id."""
    at = held(client)
    at.add({"hello": "world"})
    error = at.let_go()
    assert isinstance(error, dg.CodecError)
    assert "3-0" in str(error)
    assert "not written by datagraph" in str(error)


def test_forged_frame_is_refused_to_outside_readers_too(attached: Supervisor, client: redis.Redis) -> None:
    """36: whoever looks at the stream from outside is told the same, with the stream's name."""
    at = held(client)
    at.forge(b"\x09\x91\x01")
    with pytest.raises(dg.CodecRefusedError, match="codec 9") as caught:
        at.run["seed"].peek(1)
    assert "'seed'" in "".join(caught.value.__notes__)
    at.run.cancel()


def test_signature_that_does_not_hold_is_refused(signing: Supervisor, client: redis.Redis) -> None:
    """38: with SignedPickle nothing is loaded that was not signed with the key."""
    at = held(client)
    at.forge(PICKLE + b"\x00" * 32 + b"cos\nsystem\n(S'false'\ntR.")
    error = at.let_go()
    assert isinstance(error, dg.CodecRefusedError)
    assert "signature does not hold" in str(error)


def test_frame_of_another_run_is_refused(signing: Supervisor, client: redis.Redis) -> None:
    """39: what was signed for one run is not accepted in another, nor in another stream of the same run."""
    other, at = held(client), held(client)
    (_, fields), *_ = client.xrange(other.stream)
    at.forge(fields[b"p"])
    error = at.let_go()
    assert isinstance(error, dg.CodecRefusedError)
    assert "another run or stream" in str(error)
    other.run.cancel()


def of_another_type(at: Held) -> None:
    at.client.delete(at.stream)
    at.client.set(at.stream, "a string")


def record_of_another_type(at: Held) -> None:
    at.client.delete(at.keys.node("same"))
    at.client.lpush(at.keys.node("same"), "a list")


LOST: list[tuple[str, Callable[[Held], Any], type[Exception], tuple[str, ...]]] = [
    (
        "41 stream of another type",
        of_another_type,
        dg.StoreLostError,
        ("something else than datagraph wrote", "WRONGTYPE"),
    ),
    (
        "41 record of another type",
        record_of_another_type,
        dg.StoreLostError,
        ("something else than datagraph wrote", "WRONGTYPE"),
    ),
    ("42 trimmed", lambda at: at.client.xtrim(at.stream, maxlen=0, approximate=False), dg.StoreLostError, ("seed",)),
    ("43 stream deleted", lambda at: at.client.delete(at.stream), dg.StoreLostError, ("seed",)),
    ("43 record deleted", lambda at: at.client.delete(at.keys.record("seed")), dg.StoreLostError, ("seed",)),
    ("43 node deleted", lambda at: at.client.delete(at.keys.node("same")), dg.StoreLostError, ("same",)),
    ("43 run deleted", lambda at: at.client.delete(at.keys.run), dg.StoreLostError, ("not in the store any more",)),
    ("43 forgotten", lambda at: dg.forget(at.run.id), dg.DatagraphError, ()),
]


@pytest.mark.parametrize("what, harm, kind, words", LOST, ids=[case[0] for case in LOST])
def test_what_was_deleted_behind_the_run_ends_it(
    what: str,
    harm: Callable[[Held], Any],
    kind: type[Exception],
    words: tuple[str, ...],
    attached: Supervisor,
    client: redis.Redis,
) -> None:
    """41-43: keys of another type, trimmed or deleted end the run with what is gone; no value is passed over."""
    at = held(client)
    harm(at)
    error = at.let_go()
    assert isinstance(error, kind)
    assert [word for word in (at.run.id, *words) if word not in str(error)] == []


def test_run_of_a_newer_datagraph_says_so(
    attached: Supervisor, client: redis.Redis, valkey_url: str, anyio_backend: str
) -> None:
    """44: a graph of a version that this release does not know is not guessed at; the others are still listed."""
    at, other = held(client), held(client)
    spec = json.loads(client.hget(at.keys.run, "spec") or b"{}")
    spec["graph"]["version"] = 2
    client.hset(at.keys.run, "spec", json.dumps(spec))
    attached.detach()
    elsewhere = Supervisor.attach(valkey_url, backend=anyio_backend)
    with pytest.raises(dg.GraphError, match=r"version 2.*version 1 is understood: upgrade"):
        dg.attach_run(at.run.id)
    client.hset(at.keys.run, "spec", b"{")
    with pytest.raises(dg.StoreError, match=r"cannot be read.*newer datagraph"):
        dg.attach_run(at.run.id)
    assert other.run.id in [run.id for run in dg.runs()]
    client.delete(at.keys.run)
    dg.forget(other.run.id)
    elsewhere.detach()


def test_server_that_may_evict_runs_is_warned_about(tmp_path: Path, anyio_backend: str) -> None:
    """45: a memory policy that deletes keys is said when the store is first used."""
    with Server(tmp_path, aof=False) as server, redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        supervisor = Supervisor.attach(server.url, backend=anyio_backend)
        with pytest.warns(RuntimeWarning, match=r"may evict runs.*allkeys-lru.*set maxmemory-policy to noeviction"):
            assert dg.runs() == []
        supervisor.detach()
