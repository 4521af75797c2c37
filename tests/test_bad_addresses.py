"""Addresses that are wrong, or lead to something that is no store: one line, soon, with the place and no password.

Number 46 of RELIABILITY.md 3e.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import datagraph as dg
from datagraph import Supervisor
from datagraph.streams.server import Server

SECRET = "s3cr3t-do-not-show"

UNREADABLE = [
    ("http://localhost:8000", ("'http://'", "redis://localhost:6379/0")),
    ("localhost:6379", ("no scheme", "redis://")),
    (f"redis://:{SECRET}@localhost:port/0", ("port", "'localhost'", "not a number")),
    (f"redis://:{SECRET}@localhost:99999/0", ("port", "65535")),
    (f"redis://:{SECRET}@localhost:6379/zero", ("database", "localhost:6379", "'zero'")),
    (f"redis://:{SECRET}#1@localhost:6379/0", ("'@' after its host", "percent-encoded")),
    ("unix://", ("names no socket", "unix:///path")),
    ("", ("no scheme",)),
]


@pytest.mark.parametrize("url, words", UNREADABLE)
def test_address_that_cannot_be_one_is_refused_at_once(url: str, words: tuple[str, ...]) -> None:
    """A URL that cannot be read is refused when it is given, before anything connects."""
    with pytest.raises(dg.StoreConfigError) as caught:
        Supervisor.attach(url)
    check(caught.value, words)


def test_configuration_with_other_keys_says_what_it_takes() -> None:
    """The old way of giving host and port apart is answered with the new one; a client and a URL are one too many."""
    with pytest.raises(dg.StoreConfigError, match=r"'host', 'port'.*Everything else belongs into the URL"):
        Supervisor.attach({"host": "localhost", "port": 6379})
    with pytest.raises(dg.StoreConfigError, match="not both"):
        Supervisor.attach("redis://localhost", client=redis.Redis())


def check(error: BaseException, words: tuple[str, ...]) -> None:
    text = str(error)
    assert [word for word in words if word not in text] == []
    assert "\n" not in text
    assert SECRET not in text
    assert SECRET[:6] not in text


def refused(url: str, kind: type[Exception], words: tuple[str, ...], backend: str) -> None:
    supervisor = Supervisor.attach(url, backend=backend, give_up=0.5)  # type: ignore[arg-type]
    assert SECRET not in repr(supervisor)
    with pytest.raises(kind) as caught:
        dg.runs()
    check(caught.value, words)
    supervisor.detach()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def tcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a Valkey with a password."""
    port = free_port()
    with (
        Server(tmp_path_factory.mktemp("tcp"), aof=False) as server,
        redis.Redis.from_url(server.url) as client,
    ):
        client.config_set("bind", "127.0.0.1")
        client.config_set("port", str(port))
        client.config_set("requirepass", SECRET)
        yield f"127.0.0.1:{port}"


@pytest.fixture
def web() -> Iterator[str]:
    """host:port of something that answers like a web server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(1000)
                    peer.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_nobody_listens(anyio_backend: str) -> None:
    """A refused connection is said with the place, and with how to start a server."""
    place = f"127.0.0.1:{free_port()}"
    refused(f"redis://:{SECRET}@{place}/0", dg.StoreUnavailableError, (place,), anyio_backend)


def test_no_such_socket(tmp_path: Path, anyio_backend: str) -> None:
    """A unix socket that is not there is named."""
    path = tmp_path / "none.sock"
    refused(f"unix://{path}", dg.StoreUnavailableError, (str(path),), anyio_backend)


def test_wrong_password(tcp: str, anyio_backend: str) -> None:
    """A wrong password is a wrong configuration: it is not tried again and again."""
    refused(f"redis://:{SECRET}x@{tcp}/0", dg.StoreConfigError, (tcp, "password"), anyio_backend)


def test_no_password(tcp: str, anyio_backend: str) -> None:
    """A server that wants a password says how to give it."""
    refused(f"redis://{tcp}/0", dg.StoreConfigError, (tcp, "redis://user:password@"), anyio_backend)


def test_database_that_is_not_there(tcp: str, anyio_backend: str) -> None:
    """The number of a database beyond those of the server is named."""
    refused(f"redis://:{SECRET}@{tcp}/99", dg.StoreConfigError, (tcp, "99"), anyio_backend)


def test_tls_to_a_plain_port(tcp: str, anyio_backend: str) -> None:
    """TLS to a server that does not speak it asks whether it does."""
    refused(f"rediss://:{SECRET}@{tcp}/0", dg.StoreUnavailableError, (tcp, "does it speak TLS?"), anyio_backend)


def test_web_server(web: str, anyio_backend: str) -> None:
    """What is no Valkey at all is said to answer something else."""
    refused(f"redis://{web}/0", dg.StoreConfigError, (web, "no Valkey or Redis"), anyio_backend)


def test_right_password_enters(tcp: str, anyio_backend: str) -> None:
    """The same server, rightly addressed, has no runs; the password is not shown."""
    supervisor = Supervisor.attach(f"redis://:{SECRET}@{tcp}/0", backend=anyio_backend)  # type: ignore[arg-type]
    assert dg.runs() == []
    assert SECRET not in repr(supervisor)
    supervisor.detach()
