"""Decides what has to run, from what was recorded and from what is there now."""

from __future__ import annotations

import json
import logging
import os
import weakref
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ..exceptions import CodecError, TaskError
from ..runtime.files import Staging, content
from ..runtime.fingerprint import fingerprint
from .datum import AbstractDatum, MemoryDatum
from .datumlist import DatumList
from .decisions import Decision, Explanation, Verdict, differences
from .filedatum import FileDatum
from .records import Record, Records
from .task import AbstractTask
from .worker import Done, parts

_log = logging.getLogger("datagraph.workflow")
_kept: weakref.WeakKeyDictionary[AbstractTask, Records] = weakref.WeakKeyDictionary()
"""The records of workflows without files, for as long as their last task lives."""


class Judge:
    """Judges tasks that are given first to last.

    Args:
        ends: the last tasks, whose values are wanted for themselves.
        state: the folder of all records; None for beside the outputs of each task.
        force: names of tasks that run whatever is recorded.
    """

    def __init__(
        self, tasks: Sequence[AbstractTask], ends: Sequence[AbstractTask], state: str | None, force: Collection[str]
    ) -> None:
        self.tasks = tasks
        self.set_aside: list[tuple[str, str]] = []
        self._ends = frozenset(ends)
        self._force = frozenset(force)
        self._owner = {id(datum): (task, label) for task in tasks for label, datum in _all(task)}
        self._folders: dict[str, Records] = {}
        self._records = self._places(state)
        self._prints: dict[int, str] = {}
        self._functions: dict[AbstractTask, dict[str, str]] = {}
        self._inputs: dict[AbstractTask, dict[str, str]] = {}
        self._wanted: frozenset[AbstractTask] = frozenset()
        self._settled: set[AbstractTask] = set()

    def records(self) -> Iterable[Records]:
        """Every place where something is recorded."""
        return dict.fromkeys(self._records.values())

    # -- before anything runs --------------------------------------------------------------------------------------

    def explain(self) -> Explanation:
        """What is to become of each task, as far as that is known before any of them runs."""
        found: dict[AbstractTask, Decision] = {}
        recall: dict[AbstractTask, list[str]] = {}
        for task in self.tasks:
            record = self._find(task)
            inputs = {name: self._foreseen(datum) for name, datum in task.inputs.items()}
            reasons, gone = self._reasons(task, record, inputs)
            if gone:
                recall[task] = gone
            found[task] = _decision(task, "run", reasons) if reasons else self._by_others(task, found, record)
        wanted: set[AbstractTask] = set()
        more = True
        while more:
            more = False
            for task in recall.keys() - wanted:
                readers = [t for t in self.tasks if task in t.dependencies and found[t].verdict != "fresh"]
                if readers or task in self._ends or found[task].verdict == "run":
                    wanted.add(task)
                    more = True
            for task in self.tasks:
                if found[task].verdict == "fresh" and task in wanted:
                    found[task] = _decision(task, "run", [self._why_wanted(task, recall[task], found)])
                elif found[task].verdict == "fresh":
                    found[task] = self._by_others(task, found, self._find(task))
        self._wanted = frozenset(wanted)
        return Explanation([found[task] for task in self.tasks])

    def _by_others(self, task: AbstractTask, found: Mapping[AbstractTask, Decision], record: Record | None) -> Decision:
        """Of a task that is fresh by itself: what those before it mean for it."""
        before = sorted(t.identifier for t in task.dependencies if found[t].verdict != "fresh")
        if before:
            names = ", ".join(f"`{name}`" for name in before)
            return _decision(task, "perhaps", [f"{names} may give something else"])
        return _fresh(task, record)

    def _why_wanted(self, task: AbstractTask, gone: list[str], found: Mapping[AbstractTask, Decision]) -> str:
        readers = [t.identifier for t in self.tasks if task in t.dependencies and found[t].verdict != "fresh"]
        by = f", which {', '.join(f'`{name}`' for name in readers)} may need" if readers else ""
        return f"{', '.join(f'`{name}`' for name in gone)} was only in memory{by}"

    def _foreseen(self, datum: AbstractDatum) -> str | None:
        """The fingerprint of an input as it will be if every task before gives what it gave the last time."""
        owner = self._owner.get(id(datum))
        if isinstance(datum, DatumList) and owner is None:
            each = [self._foreseen(leaf) for leaf in datum]
            return fingerprint(each) if None not in each else None
        if owner is None:
            return datum.quickhash if datum.verify_available() else None
        record = self._find(owner[0])
        return record.outputs.get(owner[1]) if record is not None else None

    # -- when its inputs are there ---------------------------------------------------------------------------------

    def decide(self, task: AbstractTask) -> Decision:
        """What becomes of a task now. TaskError where an input is not there."""
        record = self._find(task)
        inputs = self._inputs[task] = {name: self._now(task, name, datum) for name, datum in task.inputs.items()}
        reasons, gone = self._reasons(task, record, inputs)
        if not reasons and gone and task in self._wanted and record is not None and not self._spared(task, record):
            reasons = [f"{', '.join(f'`{name}`' for name in gone)} was only in memory"]
        if reasons:
            return _decision(task, "run", reasons)
        assert record is not None
        self._settled.add(task)
        for label, datum in _all(task):
            self._prints[id(datum)] = record.outputs[label]
        return _fresh(task, record)

    def _spared(self, task: AbstractTask, record: Record) -> bool:
        """Whether nobody needs the values of a task that is fresh: all that read them are certainly fresh, too."""
        if task in self._ends:
            return False
        prints = {id(datum): record.outputs[label] for label, datum in _all(task)}
        for reader in (each for each in self.tasks if task in each.dependencies):
            if any(before is not task and before not in self._settled for before in reader.dependencies):
                return False
            inputs: dict[str, str | None] = {}
            for name, datum in reader.inputs.items():
                known = prints.get(id(datum)) or self._prints.get(id(datum))
                inputs[name] = known or (None if datum.parents else self._now(reader, name, datum))
            reasons, gone = self._reasons(reader, self._find(reader), inputs)
            if reasons or gone or None in inputs.values():
                return False
        return True

    def _now(self, task: AbstractTask, name: str, datum: AbstractDatum) -> str:
        if id(datum) in self._prints:
            return self._prints[id(datum)]
        if isinstance(datum, DatumList):
            return fingerprint([self._now(task, name, leaf) for leaf in datum])
        found = datum.quickhash if datum.verify_available() else None
        if found is None:
            raise TaskError(f"its input {name!r} is not there: {datum!r}")
        return found

    def _reasons(
        self, task: AbstractTask, record: Record | None, inputs: Mapping[str, str | None]
    ) -> tuple[list[str], list[str]]:
        """Why it has to run, and which of its values were in memory and are gone."""
        if task not in self._functions:
            try:
                self._functions[task] = parts(task)
            except CodecError as error:
                raise CodecError(f"the task {task.identifier!r}: {error}") from None
        failure = self._records[task].failure(self._key(task))
        reasons = ["it was forced"] if task.identifier in self._force else []
        reasons += differences(record, failure, inputs, self._functions[task])
        lists = [(name, datum) for name, datum in task.outputs.items() if isinstance(datum, DatumList)]
        gone = [name for name, datum in lists if datum.datum_list is None]
        for label, leaf in task.leaves():
            if isinstance(leaf, FileDatum):
                self._vouch(task, leaf)
            there = leaf.verify_available()
            if not there and isinstance(leaf, MemoryDatum):
                gone.append(label)
            elif not there and record is not None:
                reasons.append(f"output `{label}` is not there")
            elif record is not None and leaf.quickhash != record.outputs.get(label):
                reasons.append(f"output `{label}` was changed since")
        return reasons, gone

    def _vouch(self, task: AbstractTask, leaf: FileDatum) -> None:
        """Have a file know whether it is as a task wrote it."""
        path = leaf._path()
        if os.path.lexists(path):
            now = content(path)
            if now in self._records[task].own(path):
                leaf.written = now

    # -- doing it --------------------------------------------------------------------------------------------------

    def begin(self, task: AbstractTask, stage: Staging) -> AbstractTask:
        """The task for whoever does it, writing into hidden folders."""
        staged = task._staged(stage)
        self._records[task].begin(stage.folders())
        return staged

    def settle(self, task: AbstractTask, done: Done, stage: Staging) -> None:
        """Bring what was written to its place, and record it."""
        records, folders = self._records[task], stage.folders()
        contents = {path: content(part) for path, part in stage.parts.items() if os.path.lexists(part)}
        own = [each for path in contents for each in records.own(path)] + task._written()
        records.intend(contents)
        for path, aside in stage.commit(own):
            self.set_aside.append((path, aside))
            _log.warning("%s was not as %s had written it: it is kept as %s", path, task.identifier, aside)
        task._adopt(done.outputs)
        for label, leaf in task.leaves():
            self._owner[id(leaf)] = task, label  # of a list that was empty until now
            self._prints[id(leaf)] = leaf.quickhash or ""
        for datum in task.outputs.values():
            if isinstance(datum, DatumList):
                self._prints[id(datum)] = fingerprint([self._prints[id(leaf)] for leaf in datum])
        outputs = {label: self._prints[id(datum)] for label, datum in _all(task)}
        self._settled.add(task)
        record = Record(self._inputs[task], self._functions[task], outputs, seconds=done.seconds)
        records.keep(self._key(task), record, contents, folders)

    def give_up(self, task: AbstractTask, stage: Staging) -> None:
        """Leave nothing behind of what was not finished."""
        folders = stage.folders()
        stage.discard()
        if folders:
            self._records[task].forget(folders)

    def fail(self, task: AbstractTask, error: BaseException) -> None:
        """Record that it failed."""
        self._records[task].fail(self._key(task), f"{type(error).__name__}: {error}".partition("\n")[0])

    # -- where -----------------------------------------------------------------------------------------------------

    def _places(self, state: str | None) -> dict[AbstractTask, Records]:
        last = self._place(self.tasks[-1], state)
        if last is None:
            last = _kept.setdefault(self.tasks[-1], Records(None))
        return {task: self._place(task, state) or last for task in self.tasks}

    def _place(self, task: AbstractTask, state: str | None) -> Records | None:
        paths = (leaf._path() for _, leaf in task.leaves())
        folder = state or next((os.path.dirname(path) for path in paths if path is not None), None)
        if folder is None:
            return None
        folder = os.path.realpath(folder)
        return self._folders.setdefault(folder, Records(folder))

    def _find(self, task: AbstractTask) -> Record | None:
        record = self._records[task].find(self._key(task))
        if record is not None and any(label not in record.outputs for label, _ in _all(task)):
            return None
        return record

    def _key(self, task: AbstractTask) -> str:
        """A task by its name and by where it writes, beside its records."""
        folder = self._records[task].folder or ""
        places = {}
        for label, leaf in task.leaves():
            path = leaf._path()
            if path is not None:
                places[label] = os.path.relpath(os.path.realpath(path), folder or None)
        return json.dumps([task.identifier, sorted(places.items())])


def _decision(task: AbstractTask, verdict: Verdict, reasons: Iterable[str]) -> Decision:
    return Decision(task.identifier, verdict, tuple(reasons))


def _fresh(task: AbstractTask, record: Record | None) -> Decision:
    took = f"as it was done, in {record.seconds:.2g} s" if record is not None else "as it was done"
    return _decision(task, "fresh", [took])


def _all(task: AbstractTask) -> Iterator[tuple[str, AbstractDatum]]:
    """Its outputs, and what is in those that are lists."""
    yield from task.outputs.items()
    yield from ((label, leaf) for label, leaf in task.leaves() if label not in task.outputs)
