"""Datums: what they point at, whether it is there, and who may delete it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from datagraph import CodecRefusedError, ForeignFileError
from datagraph.workflow import AbstractDatum, DatumList, DatumState, FileDatum, FunctionTask, MemoryDatum


def test_datum_goes_from_empty_to_populated_to_available(here: Path) -> None:
    """Without a pointer it is EMPTY, with one POPULATED, and AVAILABLE once what it names is there."""
    datum = FileDatum()
    assert datum.state is DatumState.EMPTY
    datum.populate("a.txt")
    assert (datum.state, datum.quickhash, datum.pointer) == (DatumState.POPULATED, None, "a.txt")
    (here / "a.txt").write_text("a")
    assert datum.verify_available(update=False)
    assert datum.state is DatumState.POPULATED
    datum.sync()
    assert datum.state is DatumState.AVAILABLE
    (here / "a.txt").unlink()
    datum.sync()
    assert datum.state is DatumState.POPULATED


@pytest.mark.parametrize("old, new", [("EMPTY", "AVAILABLE")])
def test_states_have_ways_and_no_others(old: str, new: str) -> None:
    """A step that leads nowhere is refused and says which there are."""
    datum = MemoryDatum()
    assert datum.state is DatumState[old]
    with pytest.raises(ValueError, match=r"Invalid DatumState transition.*can become POPULATED"):
        datum.state = DatumState[new]


def test_none_is_an_object_in_memory() -> None:
    """`MemoryDatum(pointer=None)` has None; without a pointer it has nothing; cleared it has nothing any more."""
    assert MemoryDatum(pointer=None).state is DatumState.AVAILABLE
    datum = MemoryDatum(pointer=[1])
    datum.clear()
    assert (datum.state, datum.pointer, datum.verify_available()) == (DatumState.POPULATED, None, False)


@pytest.mark.parametrize("pointer", [5, "", "  ", b"a", "a\0b"])
def test_path_that_is_none_is_refused(pointer: Any) -> None:
    """A pointer that is no path says so, and leaves the datum EMPTY."""
    datum = FileDatum()
    with pytest.raises(ValueError, match="FileDatum takes a path"):
        datum.populate(pointer)
    assert datum.state is DatumState.EMPTY


def test_quickhash_of_a_file_is_its_content_and_not_its_time(here: Path) -> None:
    """Touching a file changes nothing, writing another content of the same length does."""
    path = here / "a.txt"
    path.write_text("one")
    datum = FileDatum(pointer="a.txt")
    before = datum.quickhash
    os.utime(path, (1, 1))
    assert datum.quickhash == before
    path.write_text("two")
    os.utime(path, (1, 1))
    assert datum.quickhash != before


def test_quickhash_is_the_same_in_every_process() -> None:
    """Of text, sets and mappings, whatever the process makes of ``hash``."""
    code = (
        "from datagraph.workflow import MemoryDatum as M;"
        "print(M(pointer={'a': {'x', 'y', 'z'}, 'b': [1.5, None, ('t',)]}).quickhash)"
    )
    root = str(Path(__file__).parents[2])
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_quickhash_tells_what_looks_alike_apart() -> None:
    """1 and "1" and True, a list and a tuple: `str` would not."""
    values: list[Any] = [1, "1", 1.0, True, [1], (1,), {1}, b"1", None, "None"]
    assert len({MemoryDatum(pointer=value).quickhash for value in values}) == len(values)


def test_file_of_the_user_is_never_deleted(here: Path) -> None:
    """`clear` refuses a file that no task wrote, and one that was changed since; `force` means it."""
    (here / "mine.txt").write_text("mine")
    datum = FileDatum(pointer="mine.txt")
    with pytest.raises(ForeignFileError, match="no task of this workflow wrote it"):
        datum.clear()
    assert (here / "mine.txt").read_text() == "mine"
    task = FunctionTask("write", dict, outputs={"out": "own.pkl"})
    task.run()
    (here / "own.pkl").write_text("changed")
    with pytest.raises(ForeignFileError, match="changed since"):
        task["out"].clear()
    task["out"].clear(force=True)
    assert not (here / "own.pkl").exists()


def test_file_that_a_task_wrote_can_be_cleared(here: Path) -> None:
    """What is the workflow's own is deleted, and the datum is POPULATED again."""
    task = FunctionTask("write", dict, outputs={"out": "own.pkl"})
    task.run()
    task["out"].clear()
    assert (list(here.glob("*.pkl")), task["out"].state) == ([], DatumState.POPULATED)


def test_pickle_of_somebody_else_is_not_loaded(here: Path) -> None:
    """Unpickling runs code: only what a task wrote, or what the user trusts, is loaded."""
    (here / "evil.pkl").write_bytes(pickle.dumps(5))
    with pytest.raises(CodecRefusedError, match="trusted=True"):
        FileDatum(pointer="evil.pkl").load()
    assert FileDatum(pointer="evil.pkl", trusted=True).load() == 5


def test_list_of_datums_is_one_datum(here: Path) -> None:
    """Its pointer is the list of theirs, it is available when all are, and of one type."""
    files = DatumList(FileDatum, pointer=["a", "b"])
    assert (len(files), files.pointer, files.state) == (2, ["a", "b"], DatumState.POPULATED)
    (here / "a").write_text("a")
    (here / "b").write_text("b")
    assert files.verify_available()
    assert [each.state for each in files] == [DatumState.AVAILABLE] * 2
    with pytest.raises(ValueError, match="list of FileDatum objects"):
        DatumList(FileDatum, [MemoryDatum(pointer=1)])
    with pytest.raises(ValueError, match="2 datums, and 1 pointers"):
        files.populate(["c"])


class Cell(AbstractDatum):
    """A datum of the user's: a key of a dict."""

    table: ClassVar[dict[str, int]] = {}

    def _validate_format_logic(self) -> bool:
        return isinstance(self.pointer, str)

    def _verify_available_logic(self) -> bool:
        return self.pointer in self.table

    def _clear_logic(self) -> None:
        del self.table[self.pointer]

    def _quickhash(self) -> int:
        return self.table[self.pointer]


def test_custom_datum_says_four_things() -> None:
    """Subclassing the abstract datum gives the states, the fingerprint and clearing."""
    datum = Cell(pointer="x")
    assert datum.state is DatumState.POPULATED
    Cell.table["x"] = 1
    datum.sync()
    one = datum.quickhash
    Cell.table["x"] = 2
    assert (datum.state, datum.quickhash == one) == (DatumState.AVAILABLE, False)
    datum.clear()
    assert (datum.state, Cell.table) == (DatumState.POPULATED, {})
    with pytest.raises(ValueError, match="Cell takes"):
        datum.populate(3)
