"""Tasks by themselves: what they take, what they give, what they refuse."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from datagraph import GraphError, ScriptError, SignatureError, TaskError, UnknownIOError
from datagraph.workflow import (
    AbstractDatum,
    AbstractTask,
    ConverterRegistry,
    DatumList,
    FileDatum,
    FunctionTask,
    InputForm,
    MemoryDatum,
    PklTask,
    ScriptTask,
    TaskState,
    converter_registry,
)


def add(left: int, right: int) -> int:
    return left + right


def split(text: str) -> dict[str, Any]:
    return {"words": text.split(), "length": len(text)}


async def later(text: str) -> str:
    return text.upper()


def test_function_task_gives_its_outputs_by_name(here: Path) -> None:
    """A function of one output gives it as it is, one of several a dict, an async one the same."""
    one = FunctionTask("one", add, {"left": 1, "right": MemoryDatum(pointer=2)}, ["sum"])
    one.run()
    assert (one["sum"].pointer, one.state) == (3, TaskState.COMPLETE)
    two = FunctionTask("two", split, {"text": "a b"}, {"words": None, "length": "length.pkl"})
    two.run()
    assert two["words"].pointer == ["a", "b"]
    length = two["length"]
    assert isinstance(length, FileDatum)
    assert length.load() == 3
    three = FunctionTask("three", later, {"text": "x"}, ["up"])
    three.run()
    assert three["up"].pointer == "X"


def test_what_a_function_gives_has_to_fit_its_outputs() -> None:
    """Missing and unknown names, and a value where there is no output, are errors: nothing is lost."""
    for outputs in (["words"], ["words", "length", "more"], None):
        task = FunctionTask("t", split, {"text": "a"}, outputs)
        if outputs == ["words"]:
            task.run()  # one output: the dict is its value
            assert task["words"].pointer == {"words": ["a"], "length": 1}
            continue
        with pytest.raises(TaskError, match="returns a dict of its outputs"):
            task.run()
        assert task.state is TaskState.FAILED


def test_function_that_cannot_be_called_so_is_refused_when_built() -> None:
    """Not callable, a missing input, an unknown one."""
    with pytest.raises(ValueError, match="can be called"):
        FunctionTask("t", 5)  # type: ignore[arg-type]
    with pytest.raises(SignatureError, match="missing a required argument: 'right'"):
        FunctionTask("t", add, {"left": 1})
    with pytest.raises(SignatureError, match="unexpected keyword argument 'x'"):
        FunctionTask("t", add, {"left": 1, "right": 2, "x": 3})


def test_output_is_asked_for_by_name() -> None:
    """A misspelt output says which there are."""
    task = FunctionTask("t", add, {"left": 1, "right": 2}, ["total"])
    with pytest.raises(KeyError, match="total"):
        task["totl"]


def test_pkl_task_takes_pkl_paths(here: Path) -> None:
    """Its outputs are pickled; another path is refused."""
    task = PklTask("t", add, {"left": 1, "right": 2}, {"sum": "sum.pkl"})
    task.run()
    assert task["sum"].load() == 3  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"ends with .pkl"):
        PklTask("t", add, {"left": 1, "right": 2}, {"sum": "sum.txt"})
    with pytest.raises(ValueError, match=r"ends with .pkl"):
        PklTask("t", add, {"left": 1, "right": 2}, ["sum"])


def test_task_is_not_run_before_its_inputs_are_there(here: Path) -> None:
    """TaskError, which is a RuntimeError, says what is missing."""
    first = FunctionTask("first", add, {"left": 1, "right": 2}, ["sum"])
    second = FunctionTask("second", add, {"left": first["sum"], "right": 1}, ["sum"])
    assert second.dependencies == {first}
    with pytest.raises(RuntimeError, match="'second' is not ready: it waits for 'first'"):
        second.run()
    first.run()
    assert second.is_ready()
    second.run()
    assert second["sum"].pointer == 4
    third = ScriptTask("third", "cat {f} > {o}", {"f": FileDatum(pointer="gone")}, {"o": "o"})
    with pytest.raises(RuntimeError, match="has no 'f'"):
        third.run()


def test_task_states_have_ways_and_no_others() -> None:
    """WAITING to RUNNING or COMPLETE, and back to WAITING from everywhere; nothing from FAILED to COMPLETE."""
    task = FunctionTask("t", add, {"left": 1, "right": 2}, ["sum"])
    with pytest.raises(ValueError, match="Invalid TaskState transition"):
        task.update_state(TaskState.FAILED)
    task.update_state(TaskState.RUNNING)
    task.fail()
    with pytest.raises(ValueError, match="Invalid TaskState transition"):
        task.update_state(TaskState.COMPLETE)
    task.update_state(TaskState.WAITING)
    task.update_state(TaskState.COMPLETE)


def test_sync_follows_what_is_there(here: Path) -> None:
    """COMPLETE where the outputs are there and everything before is COMPLETE."""
    first = ScriptTask("first", "echo 1 > {o}", outputs={"o": "1"})
    second = ScriptTask("second", "cat {i} > {o}", {"i": first["o"]}, {"o": "2"})
    (here / "2").write_text("")
    second.sync()
    assert (first.state, second.state) == (TaskState.WAITING, TaskState.WAITING)
    (here / "1").write_text("")
    second.sync(recursive=False)
    assert second.state is TaskState.WAITING
    second.sync()
    assert (first.state, second.state) == (TaskState.COMPLETE, TaskState.COMPLETE)


EVIL = 'a\'b $(touch owned) `touch owned`; touch owned "x" &.txt'


def test_script_quotes_what_it_puts_in(here: Path) -> None:
    """Blanks, quotes, dollars and semicolons in a path or value are part of it, and nothing of them is run."""
    (here / EVIL).write_text("content\n")
    task = ScriptTask(
        "t",
        "cat {source} > {out}; printf '%s|' {value} {many} >> {out}; echo {{braces}} >> {out}",
        {"source": FileDatum(pointer=EVIL), "value": "two words; $HOME", "many": ["a b", "c"]},
        {"out": f"{EVIL} out"},
    )
    task.run()
    assert (here / f"{EVIL} out").read_text() == "content\ntwo words; $HOME|a b|c|{braces}\n"
    assert not (here / "owned").exists()


def test_script_takes_a_list_of_files_as_words(here: Path) -> None:
    """A DatumList of files is put in as so many quoted paths."""
    for name in ("a b", "c"):
        (here / name).write_text(name)
    task = ScriptTask("t", "cat {all} > {out}", {"all": DatumList(FileDatum, pointer=["a b", "c"])}, {"out": "o"})
    task.run()
    assert (here / "o").read_text() == "a bc"


def test_script_that_fails_shows_what_it_said(here: Path) -> None:
    """Exit code and the end of standard error are in the error, and no output is left behind."""
    task = ScriptTask("t", "echo half > {out}; echo 'no such thing' >&2; exit 3", outputs={"out": "o"})
    with pytest.raises(ScriptError, match=r"(?s)exit code 3.*no such thing") as caught:
        task.run()
    assert (caught.value.returncode, caught.value.stderr) == (3, "no such thing")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "script, error, says",
    [
        ("cat {inptu} > {out}", UnknownIOError, "no input and no output.*input"),
        ("cat {input.__class__} > {out}", ValueError, "only names"),
        ("cat {input!r} > {out}", ValueError, "only names"),
        ("cat {} > {out}", ValueError, "only names"),
        ("cat {input > {out}", ValueError, "braces"),
        ("cat '{input}' > {out}", ValueError, "leave the quotes out"),
        ('echo "a {input}" > {out}', ValueError, "leave the quotes out"),
        ("  ", ValueError, "is text"),
    ],
)
def test_script_with_placeholders_that_cannot_be_is_refused(script: str, error: type[Exception], says: str) -> None:
    """Names that it does not know, attributes, and placeholders within quotes, when it is built."""
    with pytest.raises(error, match=says):
        ScriptTask("t", script, {"input": "x"}, {"out": "o"})


def test_script_with_an_output_that_is_no_path_is_refused() -> None:
    """An object in memory cannot be written by a script."""
    with pytest.raises(ValueError, match="is a path"):
        ScriptTask("t", "true", outputs={"out": None})


def test_output_that_was_not_written_is_an_error(here: Path) -> None:
    """A script that ends well without its output has failed."""
    task = ScriptTask("t", "true", outputs={"out": "o"})
    with pytest.raises(RuntimeError, match="has not written 'out'"):
        task.run()
    assert task.state is TaskState.FAILED


def test_file_of_the_user_at_an_output_is_set_aside(here: Path) -> None:
    """What stood at the place of an output, and no task had written, is kept under another name."""
    (here / "o").write_text("precious")
    ScriptTask("t", "echo new > {out}", outputs={"out": "o"}).run()
    assert ((here / "o").read_text(), (here / "o.orig").read_text()) == ("new\n", "precious")


def test_output_belongs_to_one_task() -> None:
    """A datum that another task writes already is refused."""
    datum = MemoryDatum()
    FunctionTask("a", dict, outputs={"x": datum})
    with pytest.raises(GraphError, match="output of 'a' already"):
        FunctionTask("b", dict, outputs={"x": datum})


class Text(FileDatum):
    """A text file."""

    runs_code = False

    def _dump_logic(self, value: Any, file: Any) -> None:
        file.write(value.encode())

    def _load_logic(self, file: Any) -> str:
        return str(file.read().decode())


def test_file_of_another_format_dumps_and_loads_by_itself(here: Path) -> None:
    """A subclass says how; where loading is harmless, files of the user can be read at once."""
    (here / "in.txt").write_text("hello")
    task = FunctionTask("t", later, {"text": Text(pointer="in.txt")}, {"out": Text(pointer="out.txt")})
    task.run()
    assert (here / "out.txt").read_text() == "HELLO"


class Count(AbstractTask):
    """A task of the user's: how many lines a file has."""

    input_form = InputForm.FILEPATH

    def _run_logic(self, inputs: Mapping[str, Any]) -> None:
        self.outputs["lines"].populate(len(Path(inputs["path"]).read_text().splitlines()))

    def _quickhash(self) -> int:
        return 1

    def _initialize_outputs(self, outputs: Any) -> dict[str, AbstractDatum]:
        return {"lines": MemoryDatum()}


def test_custom_task_says_what_it_does(here: Path) -> None:
    """Subclassing the abstract task: paths as inputs, outputs of its own."""
    (here / "a").write_text("1\n2\n")
    task = Count("count", {"path": FileDatum(pointer="a")})
    task.run()
    assert task["lines"].pointer == 2


def test_converters_go_by_type_and_form() -> None:
    """By the nearest base that has one; a form that nothing knows is a TypeError."""
    registry = ConverterRegistry()
    registry.register(FileDatum, InputForm.OBJECT, lambda datum: f"object of {datum.pointer}")
    assert registry.convert(Text(pointer="a"), InputForm.OBJECT) == "object of a"
    assert not registry.has_converter(MemoryDatum, InputForm.OBJECT)
    with pytest.raises(TypeError, match="No converter registered for MemoryDatum as OBJECT"):
        registry.convert(MemoryDatum(pointer=1), InputForm.OBJECT)
    both = DatumList(MemoryDatum, pointer=[1, 2])
    assert converter_registry.convert(both, InputForm.OBJECT) == [1, 2]


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"where": "moon"}, "'process' or 'thread'"),
        ({"timeout": 0}, "seconds"),
        ({"resources": {"gpu": -1}}, "at least 0"),
    ],
)
def test_options_out_of_range_are_refused(wrong: dict[str, Any], says: str) -> None:
    """When the task is built."""
    with pytest.raises(ValueError, match=says):
        FunctionTask("t", dict, **wrong)
