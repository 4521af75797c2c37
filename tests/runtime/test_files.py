"""Files by content, and files that come to their place whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datagraph.runtime.files import Staging, content, content_of_bytes, discard_folder


def test_content_counts_and_not_time(tmp_path: Path) -> None:
    """The same bytes are the same, also in another file; a change in the same tick of the clock is seen."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"abc")
    two.write_bytes(b"abc")
    assert content(str(one)) == content(str(two)) == content_of_bytes(b"abc")
    at = one.stat()
    one.write_bytes(b"abd")
    os.utime(one, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert content(str(one)) == content_of_bytes(b"abd")


def test_folder_counts_with_all_in_it(tmp_path: Path) -> None:
    """Names and contents of everything below."""
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "e" / "f").write_text("1")
    before = content(str(tmp_path / "d"))
    assert content(str(tmp_path / "d")) == before
    (tmp_path / "d" / "e" / "f").write_text("2")
    changed = content(str(tmp_path / "d"))
    (tmp_path / "d" / "e" / "f").rename(tmp_path / "d" / "e" / "g")
    assert len({before, changed, content(str(tmp_path / "d"))}) == 3


def test_what_was_staged_comes_whole_or_not_at_all(tmp_path: Path) -> None:
    """Until `commit` nothing is there; `discard` leaves nothing behind."""
    stage = Staging()
    place = Path(stage.place(str(tmp_path / "deep" / "a.txt")))
    place.write_text("new")
    assert place.name == "a.txt"
    assert not (tmp_path / "deep" / "a.txt").exists()
    assert stage.commit() == []
    assert (tmp_path / "deep" / "a.txt").read_text() == "new"
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["a.txt"]
    stage = Staging()
    Path(stage.place(str(tmp_path / "b.txt"))).write_text("half")
    stage.discard()
    assert [each.name for each in tmp_path.iterdir()] == ["deep"]


@pytest.mark.parametrize("folder", [False, True])
def test_what_is_somebody_elses_is_set_aside(tmp_path: Path, folder: bool) -> None:
    """What stood there is replaced only where its content is known as own; else it gets another name, a free one."""
    target = tmp_path / "out"

    def write(path: Path, text: str) -> None:
        if folder:
            path.mkdir()
            path = path / "f"
        path.write_text(text)

    def read(path: Path) -> str:
        return (path / "f" if folder else path).read_text()

    write(target, "mine")
    write(tmp_path / "out.orig", "older")
    stage = Staging()
    write(Path(stage.place(str(target))), "new")
    assert stage.commit() == [(str(target), str(tmp_path / "out.orig2"))]
    assert [read(tmp_path / name) for name in ("out", "out.orig", "out.orig2")] == ["new", "older", "mine"]
    own = content(str(target))
    stage = Staging()
    write(Path(stage.place(str(target))), "newer")
    assert stage.commit([own]) == []
    assert (read(target), len(list(tmp_path.iterdir()))) == ("newer", 3)


def test_only_hidden_folders_of_ours_are_removed(tmp_path: Path) -> None:
    """Whatever a record says."""
    (tmp_path / "precious").mkdir()
    discard_folder(str(tmp_path / "precious"))
    assert (tmp_path / "precious").is_dir()
