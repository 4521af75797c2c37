"""Ends the embedded server when nobody has used it for a while. A process of its own: standard library only.

It is run by its path, not as a module, so that it loads nothing of datagraph: ``python -I -S watchdog.py DIRECTORY
SECONDS``. It looks seldom (a tenth of that time, at most every half minute), and its open connection tells it at once
when the server is gone. Whoever asks for the server's address touches the file ``asked``, under the lock that is also
held here while the server is ended: an address just handed out stays good.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

SOCKET, LOCK, ASKED, ALIVE = "server.sock", "lock", "asked", "watchdog"


def watch(home: Path, idle: float) -> None:
    """Watch whatever server is in that directory, until there is none; one that is idle for `idle` seconds is ended."""
    with (home / ALIVE).open("a") as alive:
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # another one watches already
            return
        while sock := _connect(home, alive):
            with sock, sock.makefile("rb") as answers:
                try:
                    _watch_one(home, idle, sock, answers)
                except (
                    OSError,
                    ValueError,
                    KeyError,
                ):  # it went away in the middle of an answer, or is too busy for one
                    time.sleep(1.0)
            if not home.is_dir():
                return


def _connect(home: Path, alive: IO[str]) -> socket.socket | None:
    # Under the lock, so that whoever starts a server next sees either that it is watched or that it is not.
    with _locked(home):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(str(home / SOCKET))
        except OSError:
            sock.close()
            alive.close()
            return None
        return sock


def _watch_one(home: Path, idle: float, sock: socket.socket, answers: IO[bytes]) -> None:
    quiet_since, seen = time.monotonic(), -1
    while not select.select([sock], [], [], min(30.0, idle / 10))[0]:
        others, ever = _clients(sock, answers)
        if others or ever != seen:
            quiet_since, seen = time.monotonic(), ever
        elif time.monotonic() - quiet_since >= idle and _end(home, idle, sock, answers):
            return


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    with (home / LOCK).open(
        "r+"
    ) as lock:  # made by whoever wants the server watched; never in a directory being removed
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _clients(sock: socket.socket, answers: IO[bytes]) -> tuple[int, int]:
    """How many others are connected now, and how many ever were."""
    sock.sendall(b"INFO clients\r\nINFO stats\r\n")
    facts: dict[bytes, bytes] = {}
    for _ in range(2):
        text = answers.read(int(answers.readline()[1:]) + 2)
        facts.update((line.split(b":", 1)[0], line.split(b":", 1)[1]) for line in text.splitlines() if b":" in line)
    return int(facts[b"connected_clients"]) - 1, int(facts[b"total_connections_received"])


def _end(home: Path, idle: float, sock: socket.socket, answers: IO[bytes]) -> bool:
    try:
        with _locked(home):
            if time.time() - (home / ASKED).stat().st_mtime < idle or _clients(sock, answers)[0]:
                return False
            sock.sendall(b"SHUTDOWN NOSAVE\r\n")
            return not sock.recv(1)  # its end, while new ones still wait for the lock
    except FileNotFoundError:  # somebody removes the directory, so nobody can find the server any more
        sock.sendall(b"SHUTDOWN NOSAVE\r\n")
        return True


def main() -> None:
    """Go to the background, in a session of its own, and watch."""
    home, idle = Path(sys.argv[1]), float(sys.argv[2])
    if os.fork():
        os._exit(0)
    os.setsid()
    try:
        watch(home, idle)
    except FileNotFoundError:  # the directory is gone, and the server with it
        return


if __name__ == "__main__":
    main()
