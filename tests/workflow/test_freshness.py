"""What is fresh is not done again, and every decision has its reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from datagraph import CodecRefusedError, RunFailedError, UnknownIOError
from datagraph.workflow import DatumList, FileDatum, FunctionTask, InputForm, MemoryDatum, ScriptTask, WorkflowManager
from tests.workflow.made import made

WORK = """
FACTOR = 2

def helper(text, suffix="!"):
    return text.upper() * FACTOR + suffix

def unused(text):
    return text

def work(text):
    return helper(text)
"""


def upper(source: str = WORK, *, of: str = "a.txt", **options: Any) -> WorkflowManager:
    """Two tasks: copy a file by a script, then work on its text."""
    copy = ScriptTask("copy", "cat {source} > {out}", {"source": FileDatum(pointer=of)}, {"out": "copy.txt"})
    opened = made("def read(path):\n    import pathlib; return pathlib.Path(path).read_text()").read
    form = InputForm.FILEPATH
    read = FunctionTask("read", opened, {"path": copy["out"]}, ["text"], input_form=form, where="thread")
    work = FunctionTask("work", made(source).work, {"text": read["text"]}, {"out": "work.pkl"}, where="thread")
    copy.where = "thread"
    return WorkflowManager(work, **options)


@pytest.fixture
def a(here: Path) -> Path:
    """The file that is given."""
    (here / "a.txt").write_text("hello")
    return here / "a.txt"


def test_what_was_done_is_not_done_again(a: Path) -> None:
    """Once everything runs; then nothing, by new objects, as in a new process; the value is as it was."""
    assert upper().run().done == ["copy", "read", "work"]
    again = upper().run()
    assert (again.done, again.fresh) == ([], ["copy", "read", "work"])
    assert all("as it was done" in str(each) for each in again.explain())


def test_it_is_the_same_in_every_process(here: Path) -> None:
    """A script that is run twice does its work once, whatever the hash seed is."""
    script = here / "flow.py"
    script.write_text(
        "import datagraph.workflow as wf\n"
        "NAMES = {'x', 'y', 'z'}\n"
        "def clean(n): return n + len(NAMES)\n"
        "def work(n, by={'a': 1}): return clean(n) + by['a']\n"
        "task = wf.FunctionTask('work', work, {'n': 1}, {'out': 'out.pkl'})\n"
        "print(wf.WorkflowManager(task).run().done, task['out'].load())\n"
    )
    root = str(Path(__file__).parents[2])
    said = [
        subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said == ["['work'] 5\n", "[] 5\n"]


def test_touching_a_file_changes_nothing(a: Path) -> None:
    """Content counts, not times."""
    upper().run()
    os.utime(a, (1, 1))
    assert upper().dry_run() == []


def test_changed_input_runs_what_reads_it(a: Path) -> None:
    """And says which input it was."""
    upper().run()
    a.write_text("other")
    explained = upper().explain()
    assert explained["copy"].reasons == ("input `source` changed",)
    assert explained["read"].reasons == ("`copy` may give something else",)
    assert (explained["work"].verdict, explained["work"].reasons) == ("perhaps", ("`read` may give something else",))
    assert upper().run().done == ["copy", "read", "work"]


def test_what_gives_the_same_again_stops_there(a: Path) -> None:
    """A task that ran, and gave what it gave the last time, makes nothing stale behind it."""
    upper().run()
    run = upper().run(force=["read"])
    assert (run.done, run.fresh) == (["read"], ["copy", "work"])


@pytest.mark.parametrize(
    "old, new, reason",
    [
        ("return helper(text)", "return helper(text) + '?'", "its code changed"),
        ("FACTOR = 2", "FACTOR = 3", "its helper `helper` changed"),
        ('suffix="!"', 'suffix="."', "its helper `helper` changed"),
        ("text.upper()", "text.lower()", "its helper `helper` changed"),
        ("def work(text):", "def work(text, n=1):", "its default `n` changed"),
    ],
)
def test_changed_function_runs_again(a: Path, old: str, new: str, reason: str) -> None:
    """Its code, its defaults, the constants and helpers of its module, and theirs."""
    upper().run()
    manager = upper(WORK.replace(old, new))
    explained = manager.explain()
    assert explained["work"].verdict == "run"
    assert reason in explained["work"].reasons
    assert "work" in manager.run().done


@pytest.mark.parametrize(
    "old, new",
    [
        ("    return helper(text)", "    # a comment\n\n    return helper(text)"),
        ("def work(text):", 'def work(text: "str") -> "str":\n    """Work."""'),
        ("    return text\n", "    return text * 5\n"),
        ("FACTOR = 2\n", "FACTOR = 2\nOTHER = 5\n"),
    ],
)
def test_what_does_not_count_changes_nothing(a: Path, old: str, new: str) -> None:
    """Comments, docstrings, annotations, lines, and what the function does not use."""
    upper().run()
    assert upper(WORK.replace(old, new)).dry_run() == []


def test_table_of_functions_and_classes_counts(here: Path) -> None:
    """A constant that holds functions of its module, and classes: it is another when one of them is."""
    source = "import ast\ndef one(): return 1\nTABLE = {'one': one, 'kind': ast.For}\ndef work(): return TABLE['one']()"

    def explained(source: str) -> tuple[str, ...]:
        manager = WorkflowManager(FunctionTask("t", made(source).work, outputs={"o": "o.pkl"}, where="thread"))
        found = manager.explain()["t"].reasons
        manager.run()
        return found

    explained(source)
    assert "as it was done" in explained(source)[0]
    assert explained(source.replace("return 1", "return 2")) == ("its constant `TABLE` changed",)
    assert explained(source.replace("ast.For", "ast.If")) == ("its constant `TABLE` changed",)


def test_closure_counts(here: Path) -> None:
    """A function made by another one is another when it closes over another value."""

    def manager(n: int) -> WorkflowManager:
        return WorkflowManager(FunctionTask("t", lambda: n, outputs={"out": "o.pkl"}, where="thread"))

    manager(1).run()
    assert manager(1).dry_run() == []
    assert manager(2).explain()["t"].reasons == ("its closure `n` changed",)


def test_version_counts_instead_of_the_code(here: Path) -> None:
    """With `version=` only another version is another function."""

    def manager(source: str, version: int) -> WorkflowManager:
        work = FunctionTask("t", made(source).work, {"text": "x"}, {"o": "o.pkl"}, where="thread", version=version)
        return WorkflowManager(work)

    manager(WORK, 1).run()
    assert manager(WORK.replace("2", "3"), 1).dry_run() == []
    assert manager(WORK, 2).explain()["t"].reasons == ("its version changed",)


def test_output_that_is_gone_or_was_changed_runs_again(a: Path, here: Path) -> None:
    """And what somebody wrote over it is set aside, not lost."""
    upper().run()
    (here / "copy.txt").unlink()
    assert upper().explain()["copy"].reasons == ("output `out` is not there",)
    assert upper().run().done == ["copy"]
    (here / "copy.txt").write_text("by hand")
    manager = upper()
    assert manager.explain()["copy"].reasons == ("output `out` was changed since",)
    run = manager.run()
    assert (here / "copy.txt").read_text() == "hello"
    assert (here / "copy.txt.orig").read_text() == "by hand"
    assert [Path(path).name for _, path in run.set_aside] == ["copy.txt.orig"]


def test_existing_output_that_no_record_tells_of_is_not_believed(a: Path, here: Path) -> None:
    """That a file is there does not mean that a task has made it."""
    (here / "copy.txt").write_text("whatever")
    assert upper().explain()["copy"].reasons == ("it was never done",)


def test_script_counts(a: Path) -> None:
    """Another script is another task."""
    upper().run()
    manager = upper()
    copy = next(task for task in manager.tasks if isinstance(task, ScriptTask))
    copy.script = "cat {source} {source} > {out}"
    assert manager.explain()["copy"].reasons == ("its script changed",)


def test_forced_tasks_run(a: Path) -> None:
    """All, or those that are named; a name that is none is refused."""
    upper().run()
    assert upper().dry_run(force=True) == ["copy", "read", "work"]
    assert upper().explain(force=["copy"])["copy"].reasons == ("it was forced",)
    with pytest.raises(UnknownIOError, match=r"copi.*copy"):
        upper().run(force=["copi"])


def test_value_in_memory_is_made_again_only_where_somebody_needs_it(a: Path, here: Path) -> None:
    """In a new process `read`'s value is gone, but only a stale `work` has it read again."""
    upper().run()
    assert "read" in upper().run().fresh
    (here / "work.pkl").unlink()
    manager = upper()
    assert manager.explain()["read"].reasons == ("`text` was only in memory, which `work` may need",)
    assert manager.run().done == ["read", "work"]


def test_list_that_a_task_fills_comes_back(here: Path) -> None:
    """An output list of unknown length: fresh for who reads it, and made again when it is needed."""

    def manager(by: int) -> WorkflowManager:
        source = FunctionTask("many", lambda: [1, 2, 3], outputs={"all": DatumList(MemoryDatum)}, where="thread")
        total = FunctionTask("total", lambda xs: sum(xs) * by, {"xs": source["all"]}, {"o": "o.pkl"}, where="thread")
        return WorkflowManager(total)

    first = manager(1)
    assert first.run().done == ["many", "total"]
    assert first.end_task["o"].load() == 6  # type: ignore[attr-defined]
    assert manager(1).run().fresh == ["many", "total"]
    second = manager(2)
    assert second.run().done == ["many", "total"]
    assert second.end_task["o"].load() == 12  # type: ignore[attr-defined]


def test_workflow_without_files_is_fresh_as_long_as_its_tasks_live() -> None:
    """In memory only: the second run of the same tasks does nothing, until their input changes."""
    task = FunctionTask("t", lambda xs: sum(xs), {"xs": [1, 2]}, ["sum"], where="thread")
    assert WorkflowManager(task).run().done == ["t"]
    assert WorkflowManager(task).run().fresh == ["t"]
    task.inputs["xs"].populate([3])
    assert WorkflowManager(task).run().done == ["t"]
    assert task["sum"].pointer == 3


def test_records_lie_beside_the_outputs_and_move_with_them(
    a: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder may be moved with all that is in it; `state=` puts them somewhere else."""
    upper().run()
    assert (here / ".datagraph" / "workflow.sqlite").exists()
    other = here / "other"
    other.mkdir()
    for name in ("a.txt", "copy.txt", "work.pkl", ".datagraph"):
        shutil.move(here / name, other / name)
    monkeypatch.chdir(other)
    assert upper().dry_run() == []
    assert upper(state="elsewhere").dry_run() == ["copy", "read", "work"]
    upper(state="elsewhere").run()
    assert (other / "elsewhere" / ".datagraph" / "workflow.sqlite").exists()


def test_records_of_somebody_else_are_not_believed(a: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that came with records and pickles of another user's: nothing is fresh, no pickle is loaded."""
    upper().run()
    monkeypatch.setenv("XDG_STATE_HOME", str(here / "another user"))
    manager = upper()
    assert manager.explain()["work"].reasons == ("it was never done",)
    out = manager.end_task["out"]
    assert isinstance(out, FileDatum)
    with pytest.raises(CodecRefusedError, match="not written by a task of this workflow"):
        out.load()


def test_failure_of_the_last_time_is_told(here: Path) -> None:
    """What failed runs again, and the explanation says with what it failed."""
    task = FunctionTask(
        "t", made("def work():\n    raise ValueError('too hot')").work, outputs={"o": "o.pkl"}, where="thread"
    )
    with pytest.raises(RunFailedError):
        WorkflowManager(task).run()
    assert WorkflowManager(task).explain()["t"].reasons == ("it failed the last time: ValueError: too hot",)


def test_explanation_is_a_table(a: Path) -> None:
    """As text, as HTML with names escaped, as a DataFrame, by task."""
    explained = upper().explain()
    assert str(explained).splitlines()[0] == "copy  run      it was never done"
    assert "<td>copy</td>" in explained._repr_html_()
    assert list(explained.to_pandas()["verdict"]) == ["run"] * 3
    with pytest.raises(UnknownIOError, match="no task 'wrk'"):
        explained["wrk"]


def test_custom_records_survive_a_broken_base(a: Path, here: Path) -> None:
    """A base that is none is an error that says what to do."""
    (here / ".datagraph").mkdir()
    (here / ".datagraph" / "workflow.sqlite").write_text("this is no base at all, but it is long enough to look" * 20)
    with pytest.raises(ValueError, match="if it is broken, remove it"):
        upper().explain()
