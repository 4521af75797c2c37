"""Files by content, and files that come to their place whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 20
_SETTLED = 2_000_000_000
"""Nanoseconds: a file that changed later than this before it was read may change once more within the same tick of its
file system's clock, so that size and time would not tell."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells that a file has not been touched since."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str) -> Stamp:
        """The stamp of a file; OSError where there is none."""
        found = os.stat(path)
        return cls(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


_known: dict[str, tuple[Stamp, str]] = {}


def content(path: str) -> str:
    """32 hex digits of what a file holds, or a folder with all in it; OSError where there is none.

    It is read once, and again when size, times or inode have changed.
    """
    path = os.path.abspath(path)
    if os.path.isdir(path):
        return _folder(path)
    stamp = Stamp.of(path)
    known = _known.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    now = time.time_ns()
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    found = digest.hexdigest()
    if Stamp.of(path) == stamp and max(stamp.mtime_ns, stamp.ctime_ns) < now - _SETTLED:
        _known[path] = stamp, found
    return found


def content_of_bytes(data: bytes) -> str:
    """What `content` says of a file that holds these bytes."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _folder(path: str) -> str:
    digest = hashlib.blake2b(b"folder", digest_size=16)
    for folder, folders, files in os.walk(path):
        folders.sort()
        for name in sorted(files):
            full = os.path.join(folder, name)
            said = content(full) if os.path.exists(full) else f"link {os.readlink(full)}"
            digest.update(f"{os.path.relpath(full, path)}\0{said}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def remember(entries: Iterable[tuple[str, Stamp, str]]) -> None:
    """What was known of files in another process."""
    _known.update((path, (stamp, found)) for path, stamp, found in entries)


def remembered(paths: Iterable[str]) -> list[tuple[str, Stamp, str]]:
    """What is known of these files, for another process."""
    return [(path, *_known[path]) for path in paths if path in _known]


class Staging:
    """Places beside those that files are to have in the end, on the same file system.

    ``stage.place(path)`` gives such a place, with the same name in a hidden folder of its own; `commit` moves what was
    written there to its end, `discard` leaves nothing behind.
    """

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}

    def place(self, path: str) -> str:
        """Where to write what is to be at `path`; folders are made as they are needed."""
        path = os.path.abspath(path)
        if path not in self.parts:
            folder = os.path.join(os.path.dirname(path), f".datagraph-{secrets.token_hex(6)}.part")
            os.makedirs(folder)
            self.parts[path] = os.path.join(folder, os.path.basename(path))
        return self.parts[path]

    def folders(self) -> list[str]:
        """The hidden folders."""
        return [os.path.dirname(part) for part in self.parts.values()]

    def commit(self, own: Iterable[str] = ()) -> list[tuple[str, str]]:
        """Move everything into place; what stood there is replaced where its content is one of `own`.

        Anything else that stood there is somebody's: it is set aside under another name, unless it holds the same.
        Returns (path, where its former content is now) for each of those.
        """
        known, moved = set(own), []
        for path, part in self.parts.items():
            if not os.path.lexists(part):
                continue
            _flush(part)
            if os.path.lexists(path):
                before = content(path) if os.path.exists(path) else ""
                if before not in known and before != content(part):
                    aside = _free_name(path)
                    os.rename(path, aside)
                    moved.append((path, aside))
                elif os.path.isdir(path):
                    os.rename(path, part + ".before")
            os.replace(part, path)
        self.discard()
        return moved

    def discard(self) -> None:
        """Remove what was not moved."""
        for folder in self.folders():
            discard_folder(folder)
        self.parts = {}


def discard_folder(folder: str) -> None:
    """Remove a hidden folder of `Staging`, and nothing that is none."""
    if os.path.basename(folder).startswith(".datagraph-") and folder.endswith(".part"):
        shutil.rmtree(folder, ignore_errors=True)


def _flush(path: str) -> None:
    """Have it on the disk before its name points to it."""
    if os.path.isfile(path):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            os.fsync(file.fileno())


def _free_name(path: str) -> str:
    for count in range(1, 1_000_000):
        name = f"{path}.orig{count if count > 1 else ''}"
        if not os.path.lexists(name):
            return name
    raise FileExistsError(f"{Path(path).name} cannot be set aside: a million names are taken")
