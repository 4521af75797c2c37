"""Runs of workflows: in worker processes, within resources, through failures, timeouts, kills and interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from datagraph import (
    CodecError,
    CyclicFlowError,
    DuplicateIOError,
    DuplicateProcessorError,
    FloatingIOError,
    GraphError,
    Retry,
    RunCancelledError,
    RunExistsError,
    RunFailedError,
    TaskError,
    WorkerLostError,
)
from datagraph.workflow import (
    AbstractManager,
    AbstractTask,
    DatumList,
    Done,
    FileDatum,
    FunctionTask,
    MemoryDatum,
    ScriptTask,
    TaskState,
    WorkflowManager,
    WorkflowRun,
    perform,
)

ROOT = str(Path(__file__).parents[2])


def task(name: str, function: Any, inputs: dict[str, Any] | None = None, **options: Any) -> FunctionTask:
    """A task of one value, in a thread."""
    return FunctionTask(name, function, inputs, ["out"], **{"where": "thread", **options})


def boom() -> int:
    raise ValueError("too hot")


def one() -> int:
    return 1


def plus(x: int) -> int:
    return x + 1


def add(x: int, y: int) -> int:
    return x + y


def test_a_workflow_runs_to_its_end(anyio_backend: Any) -> None:
    """Tasks, each as soon as its inputs are there, on either event loop, from a plain script."""
    first = task("first", one)
    left, right = task("left", plus, {"x": first}), task("right", plus, {"x": first})
    last = task("last", add, {"x": left, "y": right})
    manager = WorkflowManager(last)
    run = manager.run(backend=anyio_backend)
    assert (last["out"].pointer, run.status, sorted(run.done)) == (4, "completed", ["first", "last", "left", "right"])
    assert manager.complete == {first, left, right, last}
    assert manager.adj_list[first] == [t for t in manager.tasks if t in (left, right)]


async def test_a_run_is_awaited(anyio_backend: Any) -> None:
    """From async code, of either library: `await manager.start()`."""
    last = task("last", plus, {"x": 4})
    run = await WorkflowManager(last).start()
    assert (isinstance(run, WorkflowRun), last["out"].pointer) == (True, 5)


def test_function_of_a_script_runs_in_a_worker_process(here: Path) -> None:
    """What is defined in a plain script, without a guard for ``__main__``, runs in another process, which prints to its log."""
    script = here / "flow.py"
    script.write_text(
        "import os\n"
        "import datagraph.workflow as wf\n"
        "LIMIT = 3\n"
        "def inner(n): return n * LIMIT\n"
        "def work(n):\n    print('working')\n    return {'pid': os.getpid(), 'value': inner(n)}\n"
        "task = wf.FunctionTask('work', work, {'n': 5}, ['pid', 'value'])\n"
        "run = wf.WorkflowManager(task).run()\n"
        "print(task['value'].pointer, task['pid'].pointer != os.getpid(), run.logs)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("15 True {'work': 'working'}\n", "")


def test_tasks_run_side_by_side_in_processes(here: Path) -> None:
    """Two scripts that wait for each other can only end when both run at once."""
    meet = "echo > {out}.mine; while [ ! -e %s ]; do sleep 0.01; done; echo done > {out}"
    left = ScriptTask("left", f"touch {here}/l; " + meet % f"{here}/r", outputs={"out": "left.txt"}, timeout=30)
    right = ScriptTask("right", f"touch {here}/r; " + meet % f"{here}/l", outputs={"out": "right.txt"}, timeout=30)
    run = WorkflowManager([left, right], executor_kwargs={"max_workers": 2}).run()
    assert sorted(run.done) == ["left", "right"]


def test_independent_branches_go_on_and_one_error_names_the_tasks(anyio_backend: Any) -> None:
    """Two failures do not stop the third branch; what waits for them is told as not run; then again only those run."""
    bad, worse, good = task("bad", boom), task("worse", boom), task("good", one)
    after = task("after", add, {"x": bad, "y": good})
    other = task("other", plus, {"x": good})
    manager = WorkflowManager([after, other, worse], name="report")
    with pytest.raises(
        RunFailedError, match=r"2 tasks of 'report' failed: .*'bad'.*not run because of that: 'after'"
    ) as caught:
        manager.run(backend=anyio_backend)
    error = caught.value
    assert sorted(error.nodes) == ["bad", "worse"]
    assert all(isinstance(each, ValueError) for each in error.exceptions)
    assert any("in the task 'bad' of 'report'" in note for each in error.exceptions for note in each.__notes__)
    assert sorted(error.partial.done) == ["good", "other"]
    assert (manager.failed, other["out"].pointer) == ({bad, worse}, 2)
    assert manager.waiting == {after}
    bad.function = worse.function = one
    again = manager.run(backend=anyio_backend)
    assert (sorted(again.done), sorted(again.fresh)) == (["after", "bad", "worse"], ["good", "other"])


def test_without_keep_going_nothing_more_is_begun() -> None:
    """`keep_going=False` lets what is at work end, and begins nothing else."""
    first = task("a", boom)
    second = task("b", one, resources={"turn": 1})
    first.resources["turn"] = 1
    with pytest.raises(RunFailedError):
        WorkflowManager([second, first], {"turn": 1}, keep_going=False, name="w").run()
    states = {first.state, second.state}
    assert states in ({TaskState.FAILED, TaskState.WAITING}, {TaskState.FAILED, TaskState.COMPLETE})


def test_error_of_a_worker_process_comes_with_its_traceback() -> None:
    """The type is the same, and the note has the lines of the process where it was raised."""
    bad = FunctionTask("bad", boom, outputs=["out"])
    with pytest.raises(RunFailedError) as caught:
        WorkflowManager(bad).run()
    (error,) = caught.value.exceptions
    assert isinstance(error, ValueError)
    assert any('raise ValueError("too hot")' in note for note in error.__notes__)


def test_worker_that_dies_is_an_error_and_takes_nothing_with_it() -> None:
    """A killed process fails its own task, and says how; the others go on."""
    dead = FunctionTask("dead", lambda: os.kill(os.getpid(), signal.SIGKILL), outputs=["out"])
    alive = FunctionTask("alive", one, outputs=["out"])
    with pytest.raises(RunFailedError) as caught:
        WorkflowManager([dead, alive], executor_kwargs={"max_workers": 2}, name="w").run()
    (error,) = caught.value.exceptions
    assert isinstance(error, WorkerLostError)
    assert "the process that did 'dead' died" in str(error)
    assert alive["out"].pointer == 1


@pytest.mark.parametrize("where", ["process", "thread"])
def test_timeout_kills_the_script(here: Path, where: Any) -> None:
    """A script that takes too long is killed with all that it started, and its output does not appear."""
    script = "echo $$ > pid; sleep 60; echo late > {out}"
    slow = ScriptTask("slow", script, outputs={"out": "o"}, timeout=2, where=where)
    with pytest.raises(RunFailedError) as caught:
        WorkflowManager(slow).run()
    (error,) = caught.value.exceptions
    assert (type(error), "it took longer than 2 s" in str(error)) == (TimeoutError, True)
    assert _gone(int((here / "pid").read_text()))
    assert sorted(each.name for each in here.iterdir()) == [".datagraph", "pid"]


def test_timeout_of_a_function_in_a_thread_is_honest() -> None:
    """The task fails in time, and the error says that its thread goes on."""
    gate = threading.Event()
    slow = task("slow", lambda: gate.wait(20), timeout=0.05, version=1)
    with pytest.raises(RunFailedError) as caught:
        WorkflowManager(slow).run()
    gate.set()
    assert "cannot be stopped" in str(caught.value.exceptions[0])


def _gone(pid: int) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_failed_attempt_is_made_again(here: Path) -> None:
    """`retries=` tries again, only for the errors that are meant, and what an attempt wrote is dropped."""
    script = "echo x >> tries; echo part >> {out}; [ $(wc -l < tries) -ge 3 ]"
    flaky = ScriptTask("flaky", script, outputs={"out": "o"}, retries=Retry(3, backoff=0.0), where="thread")
    run = WorkflowManager(flaky).run()
    assert ((here / "o").read_text(), run.snapshot().nodes["flaky"].retries) == ("part\n", 2)
    calls: list[int] = []

    def fails() -> None:
        calls.append(1)
        raise KeyError("x")

    with pytest.raises(RunFailedError):
        WorkflowManager(task("t", fails, retries=Retry(3, on=(OSError,)))).run()
    assert len(calls) == 1


class Most:
    """How many were at work at once."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()

    def __call__(self) -> int:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        return 1

    def __reduce__(self) -> Any:
        return (Most, ())


def test_resources_bound_what_runs_at_once(anyio_backend: Any) -> None:
    """Never more than there is, and as much as fits."""
    most = Most()
    tasks = [task(f"t{i}", most, resources={"gpu": 1}) for i in range(8)]
    WorkflowManager(tasks, {"gpu": 3}, name="w").run(backend=anyio_backend)
    assert most.most == 3


def test_what_could_never_fit_is_refused_at_once() -> None:
    """A task that needs more than there is cannot be part of the workflow; of what is not limited there is no end."""
    with pytest.raises(GraphError, match="'big' needs 3 of 'gpu', and there is 2"):
        WorkflowManager(task("big", one, resources={"gpu": 3}), {"gpu": 2})
    assert WorkflowManager(task("big", one, resources={"disk": 1e9}), {"gpu": 2}).run().done == ["big"]


def test_cancelling_ends_it_and_leaves_nothing_half_written(here: Path, anyio_backend: Any) -> None:
    """`run.cancel()` kills what is at work; the task is WAITING again, and nothing stands at its place."""
    slow = ScriptTask("slow", "echo half > {out}; echo $$ > pid; sleep 60", outputs={"out": "o"})
    manager = WorkflowManager(slow)
    run = manager.start(backend=anyio_backend)
    until = time.monotonic() + 20
    while not (here / "pid").exists() and time.monotonic() < until:
        time.sleep(0.01)
    with pytest.raises(RunExistsError):
        manager.start()
    run.cancel()
    with pytest.raises(RunCancelledError) as caught:
        run.join()
    assert caught.value.partial is run
    assert (slow.state, run.status) == (TaskState.WAITING, "cancelled")
    assert sorted(each.name for each in here.iterdir()) == [".datagraph", "pid"]


SLOW = """
import datagraph.workflow as wf
first = wf.ScriptTask("first", "echo 1 >> runs; echo one > {out}", outputs={"out": "first.txt"})
second = wf.ScriptTask("second", "[ -e go ] || (echo x > waits; sleep 60); cat {x} > {out}", {"x": first["out"]}, {"out": "second.txt"})
try:
    print(wf.WorkflowManager(second).run().done)
except KeyboardInterrupt:
    print("interrupted", first.state.name, second.state.name)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_is_taken_up_after_a_kill(here: Path, how: signal.Signals) -> None:
    """Killed or interrupted in the middle: what was done stays done, what was half written is gone, the rest runs."""
    script = here / "flow.py"
    script.write_text(SLOW)
    environ = {**os.environ, "PYTHONPATH": ROOT}
    process = subprocess.Popen([sys.executable, str(script)], env=environ, stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while not (here / "waits").exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(how)
    said = process.communicate(timeout=30)[0]
    assert not (here / "second.txt").exists()
    if how is signal.SIGINT:
        assert said == "interrupted COMPLETE WAITING\n"
    (here / "go").touch()
    done = subprocess.run([sys.executable, str(script)], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "['second']\n"
    assert ((here / "runs").read_text(), (here / "second.txt").read_text()) == ("1\n", "one\n")
    assert [each.name for each in here.iterdir() if each.name.endswith((".part", ".orig"))] == []


def test_module_that_changed_since_it_was_imported_is_not_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker would import another function than the one that was decided about: that is an error, not a wrong record."""
    monkeypatch.syspath_prepend(str(here))
    (here / "mine_to_change.py").write_text("def work():\n    return 1\n")
    import mine_to_change  # type: ignore[import-not-found]

    done = FunctionTask("t", mine_to_change.work, outputs=["out"])
    WorkflowManager(done).run()
    assert done["out"].pointer == 1
    (here / "mine_to_change.py").write_text("def work():\n    return 'two'\n")
    with pytest.raises(RunFailedError) as caught:
        WorkflowManager(FunctionTask("t", mine_to_change.work, outputs=["out"])).run()
    (error,) = caught.value.exceptions
    assert (type(error), "reload the module" in str(error)) == (TaskError, True)


def test_what_could_not_run_is_refused_when_it_is_built(here: Path) -> None:
    """A ring is named, and so are two tasks of one name, two writers of one file, and a file read without saying whose."""
    a, b = task("a", one), task("b", one)
    a.dependencies.add(b)
    b.dependencies.add(a)
    with pytest.raises(CyclicFlowError, match=r"contains a cycle: '[ab]' -> '[ab]' -> '[ab]'"):
        WorkflowManager(a)
    with pytest.raises(DuplicateProcessorError, match="two tasks are called 'a'"):
        WorkflowManager([task("a", one), task("a", one)])
    writes = [ScriptTask(name, "true > {out}", outputs={"out": "o"}) for name in "ab"]
    with pytest.raises(DuplicateIOError, match="written by 'a' and by 'b'"):
        WorkflowManager(writes)
    reads = ScriptTask("reads", "cat {i} > {out}", {"i": FileDatum(pointer="o")}, {"out": "p"})
    with pytest.raises(GraphError, match=r"give it as that task's output, a\['out'\]"):
        WorkflowManager([writes[0], reads])


def test_given_files_that_are_missing_are_told_before_anything_runs(here: Path) -> None:
    """All of them at once."""
    reads = ScriptTask("t", "cat {x} {y} > {out}", {n: FileDatum(pointer=n) for n in "xy"}, {"out": "o"})
    with pytest.raises(FloatingIOError, match=r"x \(input 'x' of 't'\), y"):
        WorkflowManager(reads).run()


def test_list_of_tasks_outputs_is_an_input(anyio_backend: Any) -> None:
    """A DatumList, or a plain list of datums, has the tasks behind all of them."""
    parts = [task(f"part{i}", plus, {"x": i}) for i in range(3)]
    total = task("total", lambda xs: sum(xs), {"xs": [part["out"] for part in parts]})
    assert total.dependencies == set(parts)
    WorkflowManager(total).run(backend=anyio_backend)
    assert total["out"].pointer == 6
    assert isinstance(total.inputs["xs"], DatumList)


class OneByOne(AbstractManager):
    """A manager of the user's: one at a time, by name, in this process."""

    def __init__(self, end: AbstractTask) -> None:
        super().__init__(end)
        self.order: list[str] = []
        self.busy = False

    def _choose_tasks(self, ready: Sequence[AbstractTask]) -> Iterable[AbstractTask]:
        chosen = [] if self.busy else sorted(ready, key=lambda each: each.identifier)[:1]
        self.busy = self.busy or bool(chosen)
        return chosen

    async def _launch_task(self, task: AbstractTask) -> Done:
        self.order.append(task.identifier)
        return await anyio.to_thread.run_sync(perform, task)

    def _wrapup_task(self, task: AbstractTask) -> None:
        self.busy = False


def test_custom_manager_chooses_and_launches(anyio_backend: Any) -> None:
    """Subclassing the abstract manager: which task begins, and how it is done."""
    parts = [task(name, plus, {"x": 1}, where="process") for name in "cab"]
    manager = OneByOne(task("z", lambda **xs: sum(xs.values()), {each.identifier: each for each in parts}))
    run = manager.run(backend=anyio_backend)
    assert (sorted(manager.order[:3]), manager.order[3], run.status) == (["a", "b", "c"], "z", "completed")


def test_states_follow_what_is_there(here: Path) -> None:
    """`initialize_workflow_state` makes fresh tasks COMPLETE; `sync=False` believes the states that are."""
    first = ScriptTask("first", "echo 1 > {out}", outputs={"out": "1"}, where="thread")
    second = ScriptTask("second", "cat {x} > {out}", {"x": first["out"]}, {"out": "2"}, where="thread")
    manager = WorkflowManager(second)
    assert (manager.ready, manager.waiting) == ({first}, {second})
    manager.run()
    (here / "2").unlink()
    manager.initialize_workflow_state()
    assert (first.state, second.state) == (TaskState.COMPLETE, TaskState.WAITING)
    second.update_state(TaskState.COMPLETE)
    assert manager.run(sync=False).fresh == ["first", "second"]
    assert manager.run().done == ["second"]


def test_value_that_cannot_travel_says_so() -> None:
    """What a process cannot send back is an error that names the output and the way out."""
    bad = FunctionTask("t", lambda: threading.Lock(), outputs=["lock"])
    with pytest.raises(RunFailedError) as caught:
        WorkflowManager(bad).run()
    assert "where='thread'" in str(caught.value.exceptions[0])


def test_function_that_cannot_be_compared_names_its_task() -> None:
    """One that closes over a lock: the error says which task, and that `version=` is the way out."""
    lock = threading.Lock()
    with pytest.raises(CodecError, match=r"the task 't': .*give the task a version="):
        WorkflowManager(task("t", lambda: lock.locked())).explain()


def test_given_value_is_what_a_task_takes() -> None:
    """Plain values, tasks with one output, and datums are inputs alike."""
    first = task("first", one)
    last = task("last", add, {"x": first, "y": MemoryDatum(pointer=3)})
    WorkflowManager(last).run()
    assert last["out"].pointer == 4
