"""What was done before: in sqlite, beside the outputs."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ..exceptions import StoreConfigError
from ..runtime import files

FOLDER, FILE = ".datagraph", "workflow.sqlite"
_WAIT_SECONDS = 30.0
_TABLES = """
create table if not exists done (task text primary key, record text not null, sign text not null);
create table if not exists failed (task text primary key, error text not null);
create table if not exists written (path text, content text, sign text not null, primary key (path, content));
create table if not exists parts (folder text primary key, pid integer not null);
create table if not exists known (path text primary key, stamp text not null, content text not null);
"""


@dataclass(frozen=True, slots=True)
class Record:
    """How a task was done last: fingerprints of its inputs, of its outputs and of the parts of what it does.

    `at` is seconds since the epoch, `seconds` how long it took.
    """

    inputs: Mapping[str, str]
    function: Mapping[str, str]
    outputs: Mapping[str, str]
    at: float = field(default_factory=time.time)
    seconds: float = 0.0


class Records:
    """The records of the tasks whose outputs lie in one folder; None is a folder that only this process has.

    What is read is signed with a key of the user's: a record that came with somebody else's files counts as none, since
    what it says was written here would be unpickled. StoreConfigError where the file is not of ours, or is broken.
    """

    def __init__(self, folder: str | None) -> None:
        self.folder = os.path.realpath(folder) if folder is not None else None
        self.path = Path(folder, FOLDER, FILE) if folder is not None else None
        self._lock = threading.Lock()
        self._base: sqlite3.Connection | None = None

    def find(self, task: str) -> Record | None:
        """How it was done last."""
        for text, sign in self._ask("select record, sign from done where task = ?", task):
            if hmac.compare_digest(sign, self._sign(task, text)):
                return Record(**json.loads(text))
        return None

    def failure(self, task: str) -> str:
        """With what it failed since; "" where it did not."""
        return next((error for (error,) in self._ask("select error from failed where task = ?", task)), "")

    def own(self, path: str) -> list[str]:
        """What tasks have written to this path, as contents; the file holds one of them unless somebody changed it."""
        name = self._name(path)
        found = self._ask("select content, sign from written where path = ?", name)
        return [content for content, sign in found if hmac.compare_digest(sign, self._sign(name, content))]

    def begin(self, folders: Iterable[str]) -> None:
        """A task is going to write into these hidden folders."""
        rows = [(folder, os.getpid()) for folder in folders]
        if rows:
            self._tell("insert or replace into parts values (?, ?)", rows)

    def intend(self, contents: Mapping[str, str]) -> None:
        """What is going to be moved to these paths; said before it is, so that a crash in between loses nothing."""
        names = [(self._name(path), content) for path, content in contents.items()]
        rows = [(name, content, self._sign(name, content)) for name, content in names]
        if rows:
            self._tell("insert or replace into written values (?, ?, ?)", rows)

    def keep(self, task: str, record: Record, contents: Mapping[str, str], folders: Iterable[str]) -> None:
        """It is done, and these are the contents of its files."""
        text = json.dumps(
            {name: getattr(record, name) for name in ("inputs", "function", "outputs", "at", "seconds")}, default=dict
        )
        known = files.remembered(map(os.path.abspath, contents))
        rows = [(path, json.dumps([s.size, s.mtime_ns, s.ctime_ns, s.inode]), content) for path, s, content in known]
        with self._lock, self._opened() as base:
            base.execute("insert or replace into done values (?, ?, ?)", (task, text, self._sign(task, text)))
            base.execute("delete from failed where task = ?", (task,))
            base.executemany(
                "delete from written where path = ? and content != ?",
                [(self._name(path), content) for path, content in contents.items()],
            )
            base.executemany("delete from parts where folder = ?", [(folder,) for folder in folders])
            base.executemany("insert or replace into known values (?, ?, ?)", rows)

    def fail(self, task: str, error: str) -> None:
        """It failed with this."""
        self._tell("insert or replace into failed values (?, ?)", [(task, error)])

    def forget(self, folders: Iterable[str]) -> None:
        """These hidden folders are gone."""
        self._tell("delete from parts where folder = ?", [(folder,) for folder in folders])

    def sweep(self) -> None:
        """Remove what processes have left behind that were killed."""
        dead = [folder for folder, pid in self._ask("select folder, pid from parts") if not _alive(pid)]
        for folder in dead:
            files.discard_folder(folder)
        if dead:
            self.forget(dead)

    # -- the base --------------------------------------------------------------------------------------------------

    def _ask(self, question: str, *values: str) -> list[tuple[str, ...]]:
        with self._lock:
            if self._base is None and self.path is not None and not self.path.exists():
                return []
            with self._opened() as base, closing(base.execute(question, values)) as found:
                return found.fetchall()

    def _tell(self, order: str, rows: Iterable[tuple[object, ...]]) -> None:
        with self._lock, self._opened() as base:
            base.executemany(order, list(rows))

    def _opened(self) -> sqlite3.Connection:
        if self._base is not None:
            return self._base
        where = ":memory:"
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            where = str(self.path)
        base = sqlite3.connect(where, timeout=_WAIT_SECONDS, check_same_thread=False)
        try:
            base.execute("pragma synchronous = normal")
            base.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            base.close()
            raise StoreConfigError(
                f"{where} cannot be used: {error}; if it is broken, remove it: every task then runs once more"
            ) from None
        weakref.finalize(self, base.close)
        self._base = base
        self._remember(base)
        return base

    def _remember(self, base: sqlite3.Connection) -> None:
        rows = base.execute("select path, stamp, content from known").fetchall()
        files.remember((path, files.Stamp(*json.loads(stamp)), content) for path, stamp, content in rows)

    def _name(self, path: str) -> str:
        """A path as it stands beside the base, so that a folder may be moved with all in it."""
        full = os.path.realpath(path)
        return os.path.relpath(full, self.folder) if self.folder is not None else full

    def _sign(self, *texts: str) -> str:
        return hmac.new(_key(), "\0".join(texts).encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


_keys: dict[Path, bytes] = {}


def _key() -> bytes:
    """The user's key, made when it is needed first."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    path = Path(home, "datagraph", "workflow.key")
    if path not in _keys:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        if not path.exists():
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
            try:
                os.link(part, path)  # whole or not at all, and never over another process's
            except FileExistsError:
                pass
            finally:
                part.unlink()
        _keys[path] = path.read_bytes()
    return _keys[path]


def _alive(pid: object) -> bool:
    try:
        os.kill(int(str(pid)), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
