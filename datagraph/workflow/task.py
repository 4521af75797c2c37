"""What is done: a task takes datums and gives datums."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from ..exceptions import GraphError, TaskError
from ..graph.check import check_name, suggest
from ..runtime.files import Staging
from ..runtime.resources import Resources
from ..runtime.retry import Retry
from .converters import InputForm, converter_registry
from .datum import AbstractDatum, MemoryDatum
from .datumlist import DatumList
from .filedatum import FileDatum
from .states import TaskState, moved

Where = Literal["process", "thread"]


class AbstractTask(ABC):
    """Work that reads inputs and writes outputs; ``task["name"]`` is an output, to be an input of the next task.

    A custom task says with `_run_logic` what it does and with `_quickhash` what that depends on besides its inputs; it
    may say more with `_initialize_outputs`, `_collect_inputs`, `_interrupt_cleanup` and `_fail_cleanup`.

    Args:
        identifier: its name, unique in its workflow.
        inputs: by name: datums, lists of datums, tasks that have one output, or plain values.
        outputs: by name; what stands for an output says each kind of task.
        dependencies: tasks that have to be done before, besides those that write its inputs.
        resources: what it needs while it runs, as in ``{"gpu": 1}``.
        input_form: whether `_run_logic` is given objects or paths.
        retries: how often a failed attempt is made again, a number or a `Retry`.
        timeout: seconds for each attempt; then its process is killed, and it counts as failed.
        where: "process" for a worker process, "thread" for a thread of this one.
        version: counts instead of what `_quickhash` finds, where given: another version is another task.
    """

    input_form: ClassVar[InputForm] = InputForm.OBJECT

    def __init__(
        self,
        identifier: str,
        inputs: Mapping[str, Any] | None = None,
        outputs: Any = None,
        dependencies: Iterable[AbstractTask] | None = None,
        resources: Mapping[str, float] | None = None,
        *,
        input_form: InputForm | None = None,
        retries: int | Retry = 0,
        timeout: float | None = None,
        where: Where = "process",
        version: Any = None,
    ) -> None:
        self.identifier = check_name("run", identifier)
        if where not in {"process", "thread"}:
            raise GraphError(f"where= is 'process' or 'thread'; got {where!r}")
        if timeout is not None and not timeout > 0:
            raise GraphError(f"timeout is a number of seconds, above 0; got {timeout!r}")
        if input_form is not None:
            self.input_form = input_form  # type: ignore[misc]
        self.inputs: dict[str, AbstractDatum] = {k: _datum(identifier, k, v) for k, v in (inputs or {}).items()}
        self.outputs: dict[str, AbstractDatum] = self._initialize_outputs(outputs)
        for datum in self.outputs.values():
            for each in (datum, *datum.leaves()):
                self._claim(each)
        self.dependencies: set[AbstractTask] = set(dependencies or ())
        self.dependencies.update(
            p for datum in self.inputs.values() for each in (datum, *datum.leaves()) for p in each.parents
        )
        self.resources = dict(resources or {})
        Resources().check(f"the task {identifier!r}", self.resources)
        self.retry = retries if isinstance(retries, Retry) else Retry(retries)
        self.timeout = timeout
        self.where: Where = where
        self.version = version
        self.state = TaskState.WAITING

    # -- what a custom task says -----------------------------------------------------------------------------------

    @abstractmethod
    def _run_logic(self, inputs: Mapping[str, Any]) -> None:
        """Do it: from the inputs as `_collect_inputs` gives them, fill `outputs`. It runs where `where` says."""

    @abstractmethod
    def _quickhash(self) -> Any:
        """What it depends on besides its inputs: any value, or a mapping of named parts, each told when it changes."""

    def _initialize_outputs(self, outputs: Any) -> dict[str, AbstractDatum]:
        """The datums that the `outputs` of the constructor stand for."""
        return {name: _output(name, given) for name, given in _named(outputs)}

    def _collect_inputs(self) -> dict[str, Any]:
        """The inputs as `_run_logic` takes them."""
        return {name: converter_registry.convert(datum, self.input_form) for name, datum in self.inputs.items()}

    def _end(self) -> bool:
        """End `_run_logic`, which is at work in another thread; whether that is possible."""
        return False

    def _interrupt_cleanup(self) -> None:  # noqa: B027 - most leave nothing behind
        """Called when it was interrupted."""

    def _fail_cleanup(self) -> None:  # noqa: B027
        """Called when it failed."""

    # -- what everybody does with it -------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> AbstractDatum:
        try:
            return self.outputs[name]
        except KeyError:
            known = ", ".join(map(repr, self.outputs)) or "none"
            close = suggest(name, self.outputs)
            raise KeyError(f"the task {self.identifier!r} has no output {name!r}{close}; it has: {known}") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.identifier!r}, {self.state.name})"

    @property
    def quickhash(self) -> dict[str, Any]:
        """What it depends on besides its inputs, by parts."""
        if self.version is not None:
            return {"version": self.version}
        found = self._quickhash()
        return dict(found) if isinstance(found, Mapping) else {"function": found}

    def update_state(self, state: TaskState) -> None:
        """Be in this state; ValueError where no way leads there."""
        self.state = moved(f"the task {self.identifier!r}", self.state, state)

    def is_ready(self) -> bool:
        """Whether all that it waits for is there."""
        done = all(task.state is TaskState.COMPLETE for task in self.dependencies)
        return done and all(datum.verify_available() for datum in self.inputs.values())

    def sync(self, recursive: bool = True) -> None:
        """Have the state follow what is there: COMPLETE where all outputs are, and all tasks before it are COMPLETE.

        Whether they are fresh knows the manager, by its `explain()`.
        """
        for task in reversed(list(walk([self]))) if recursive else (self,):
            if task.state is not TaskState.RUNNING:
                there = [datum.verify_available() for datum in task.outputs.values()]
                before = all(each.state is TaskState.COMPLETE for each in task.dependencies)
                task._become(TaskState.COMPLETE if there and all(there) and before else TaskState.WAITING)

    def run(self) -> None:
        """Do it here and now, in this thread, whether it is fresh or not.

        TaskError (a RuntimeError) where its inputs are not there, or where it has not given what it should.
        """
        if not self.is_ready():
            waits = sorted(task.identifier for task in self.dependencies if task.state is not TaskState.COMPLETE)
            gone = [name for name, datum in self.inputs.items() if not datum.verify_available()]
            why = f"waits for {', '.join(map(repr, waits))}" if waits else f"has no {', '.join(map(repr, gone))}"
            raise TaskError(f"the task {self.identifier!r} is not ready: it {why}")
        self._become(TaskState.WAITING)
        self.update_state(TaskState.RUNNING)
        stage = Staging()
        try:
            done = self._staged(stage)._perform()
            stage.commit(self._written())
            self._adopt(done)
        except Exception:
            self.fail()
            raise
        except BaseException:
            self.interrupt()
            raise
        finally:
            stage.discard()
        self.update_state(TaskState.COMPLETE)

    def interrupt(self) -> None:
        """Its work was ended from outside: it is WAITING again."""
        if self.state is TaskState.RUNNING:
            self.update_state(TaskState.WAITING)
            self._interrupt_cleanup()

    def fail(self) -> None:
        """Its work ended with an error: it is FAILED."""
        if self.state is TaskState.RUNNING:
            self.update_state(TaskState.FAILED)
            self._fail_cleanup()

    # -- for managers ----------------------------------------------------------------------------------------------

    def _staged(self, stage: Staging) -> Self:
        """The same task for whoever does it: alone, and writing beside the places of its outputs."""
        other = copy.copy(self)
        other.dependencies = set()
        other.inputs = {name: datum._detached() for name, datum in self.inputs.items()}
        other.outputs = {name: datum._staged(stage.place) for name, datum in self.outputs.items()}
        return other

    def _perform(self) -> dict[str, AbstractDatum]:
        """Do it, with staged outputs, which are given; TaskError where one is not there."""
        self._run_logic(self._collect_inputs())
        missing = [name for name, datum in self.outputs.items() if not datum.verify_available()]
        if missing:
            raise TaskError(f"it has not written {', '.join(map(repr, missing))}, which it has among its outputs")
        return self.outputs

    def _adopt(self, done: Mapping[str, AbstractDatum]) -> None:
        """Take over the outputs of the staged one, which are in their place now."""
        for name, datum in self.outputs.items():
            datum._adopt(done[name])
        for _, leaf in self.leaves():
            if isinstance(leaf, FileDatum):
                leaf.written = leaf.quickhash or ""

    def leaves(self) -> Iterator[tuple[str, AbstractDatum]]:
        """Its outputs with their names, of a list each one by itself."""
        for name, datum in self.outputs.items():
            if isinstance(datum, DatumList):
                yield from ((f"{name}[{i}]", leaf) for i, leaf in enumerate(datum.leaves()))
            else:
                yield name, datum

    def _written(self) -> list[str]:
        return [leaf.written for _, leaf in self.leaves() if isinstance(leaf, FileDatum) and leaf.written]

    def _become(self, state: TaskState) -> None:
        """Be in this state, by whichever way leads there."""
        if state is not self.state and TaskState.WAITING not in {state, self.state}:
            self.update_state(TaskState.WAITING)
        self.update_state(state)

    def _claim(self, datum: AbstractDatum) -> None:
        others = [task for task in datum.parents if task is not self]
        if others:
            raise GraphError(
                f"{datum!r} is an output of {others[0].identifier!r} already, so {self.identifier!r} cannot write it"
            )
        datum.parents = [self]


def walk(ends: Iterable[AbstractTask]) -> Iterator[AbstractTask]:
    """The tasks and all before them, each once, those that wait before those that they wait for."""
    order: list[AbstractTask] = []
    seen: set[AbstractTask] = set()
    stack: list[tuple[AbstractTask, bool]] = [(task, False) for task in reversed(list(ends))]
    while stack:
        task, entered = stack.pop()
        if entered:
            order.append(task)
        elif task not in seen:
            seen.add(task)
            stack.append((task, True))
            before = sorted(task.dependencies, key=lambda each: each.identifier, reverse=True)
            stack += [(each, False) for each in before]
    return reversed(order)


def _named(outputs: Any) -> list[tuple[str, Any]]:
    if outputs is None:
        return []
    if isinstance(outputs, str):
        raise ValueError(f"outputs are given by name, as in outputs={{{outputs!r}: None}}; got the text {outputs!r}")
    if isinstance(outputs, Mapping):
        return list(outputs.items())
    return [(name, None) for name in outputs]


def _output(name: str, given: Any) -> AbstractDatum:
    if given is None:
        datum: AbstractDatum = MemoryDatum()
    elif isinstance(given, AbstractDatum):
        datum = given
    else:
        raise ValueError(f"the output {name!r} is None or a datum; got {given!r}")
    return datum


def _datum(task: str, name: str, value: Any) -> AbstractDatum:
    if isinstance(value, AbstractDatum):
        return value
    if isinstance(value, AbstractTask):
        if len(value.outputs) != 1:
            known = ", ".join(f"{value.identifier}[{each!r}]" for each in value.outputs) or "none"
            raise GraphError(f"the input {name!r} of {task!r} is one output of {value.identifier!r}; it has: {known}")
        return next(iter(value.outputs.values()))
    if isinstance(value, list | tuple) and value and all(isinstance(each, AbstractDatum) for each in value):
        kinds = {type(each) for each in value}
        return DatumList(kinds.pop() if len(kinds) == 1 else AbstractDatum, value)
    return MemoryDatum(pointer=value)
