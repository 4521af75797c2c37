"""The server that is there when no URL is given: one for each user, private, found again by every process of theirs.

It lives in a directory that only its owner can open: ``$DATAGRAPH_HOME``, else ``datagraph`` in the user's runtime
directory, else ``datagraph-<uid>`` in the temporary one. It listens on a unix socket there and nowhere else, keeps its
data in memory only (at most ``$DATAGRAPH_MAXMEMORY``, half of the machine's), belongs to no terminal and no kernel, and
is ended ``$DATAGRAPH_IDLE`` seconds (600; "inf": never) after its last client has gone, by `watchdog.py`, whatever was
killed. Processes that start it at the same moment take turns by a file lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import anyio.to_thread

from ..exceptions import StoreConfigError, StoreUnavailableError
from . import watchdog
from .address import Address
from .server import SOCKET_PATH_BYTES, config_text, first_line, server_binary, wait_ready

IDLE_SECONDS: Final = 600.0
LOCK_SECONDS: Final = 30.0


async def embedded_url() -> str:
    """The URL of the user's own server, started if need be.

    MissingExtraError where there is none to start; StoreConfigError where its directory is open to others;
    StoreUnavailableError where it does not start or does not answer.
    """
    return await anyio.to_thread.run_sync(embedded_url_sync)


def embedded_url_sync() -> str:
    """As `embedded_url`, for those who are in no event loop."""
    _idle_seconds(os.environ)  # said at once where it is none
    home = embedded_home(os.environ)
    address = Address(path=str(home / watchdog.SOCKET))
    with _locked(home / watchdog.LOCK):
        says = first_line(address)
        if says is None:
            _start(home, address)
        elif not says:
            raise StoreUnavailableError(
                f"the embedded server at {address.label} does not answer: end it: `fuser -k {address.label}`"
            )
        (home / watchdog.ASKED).touch()
        if not _is_watched(home):
            end_when_idle(home)
    return address.to_url()


def end_when_idle(home: Path) -> None:
    """Have the server in this directory ended `$DATAGRAPH_IDLE` seconds after its last client has gone."""
    idle = _idle_seconds(os.environ)
    if idle == float("inf"):
        return
    for name in (watchdog.LOCK, watchdog.ASKED):
        (home / name).touch()
    command = [sys.executable, "-I", "-S", watchdog.__file__, str(home), repr(idle)]
    null = subprocess.DEVNULL  # it must not hold a pipe of ours open for the ten minutes of its life
    subprocess.run(command, check=True, stdin=null, stdout=null, stderr=null)


def embedded_home(environ: Mapping[str, str]) -> Path:
    """The embedded server's directory, made if need be; StoreConfigError where anybody else could open it."""
    user = os.getuid()
    runtime = Path(environ.get("XDG_RUNTIME_DIR") or f"/run/user/{user}")
    if given := environ.get("DATAGRAPH_HOME"):
        home = Path(given).absolute()
    elif runtime.is_dir() and os.access(runtime, os.W_OK):
        home = runtime / "datagraph"
    else:
        home = Path(tempfile.gettempdir()) / f"datagraph-{user}"
    if len(os.fsencode(home / watchdog.SOCKET)) > SOCKET_PATH_BYTES:
        short = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
        home = Path(tempfile.gettempdir()) / f"datagraph-{user}-{short}"
    try:
        home.mkdir(mode=0o700, parents=bool(given), exist_ok=True)
        found = home.lstat()
    except OSError as error:
        raise StoreConfigError(
            f"the embedded server's directory {home} cannot be made: {error.strerror}; set DATAGRAPH_HOME to another"
        ) from None
    if not stat.S_ISDIR(found.st_mode):
        raise StoreConfigError(
            f"{home} is no directory (or a link to one): remove it, or set DATAGRAPH_HOME to another"
        )
    if found.st_uid != user or found.st_mode & 0o077:
        raise StoreConfigError(
            f"the embedded server's directory {home} is not private (owner {found.st_uid}, mode"
            f" {stat.S_IMODE(found.st_mode):o}): `chmod 700` it, or set DATAGRAPH_HOME to another"
        )
    return home


def _start(home: Path, address: Address) -> None:
    (home / watchdog.SOCKET).unlink(missing_ok=True)  # a dead server's
    log = home / "server.log"
    log.unlink(missing_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(address.path),
        "unixsocketperm": "700",
        "dir": str(home),
        "save": "",
        "appendonly": "no",
        "maxmemory": os.environ.get("DATAGRAPH_MAXMEMORY") or str(_half_of_memory()),
        "maxmemory-policy": "noeviction",
        "logfile": str(log),
        "daemonize": "yes",  # a session of its own, and no child of ours: Ctrl-C in a kernel does not reach it
    }
    done = subprocess.run(
        [str(server_binary()), "-"], input=config_text(options).encode(), capture_output=True, check=False
    )
    if done.returncode:
        words = (done.stdout + done.stderr).decode(errors="replace").strip().replace("\n", " / ")
        raise StoreUnavailableError(f"the embedded server in {home} did not start: {words[-400:]}")
    wait_ready(address, None, log)


def _is_watched(home: Path) -> bool:
    with (home / watchdog.ALIVE).open("a") as alive:
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    end = time.monotonic() + LOCK_SECONDS
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise StoreUnavailableError(
                        f"another process has held {path} for {LOCK_SECONDS:.0f} s: is it stopped? End it and try again"
                    ) from None
                time.sleep(0.01)
            else:
                break
        yield


def _idle_seconds(environ: Mapping[str, str]) -> float:
    text = environ.get("DATAGRAPH_IDLE") or str(IDLE_SECONDS)
    try:
        idle = float(text)
    except ValueError:
        idle = 0.0
    if not idle > 0:
        raise StoreConfigError(f"DATAGRAPH_IDLE is a number of seconds above 0 (or inf), not {text!r}")
    return idle


def _half_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
