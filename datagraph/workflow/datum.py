"""What tasks pass to each other: a pointer to data that may not be there yet."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

from ..runtime.fingerprint import fingerprint
from ..streams.text import short
from .states import DatumState, moved

if TYPE_CHECKING:
    from .task import AbstractTask

NOT_GIVEN: Any = object()


class AbstractDatum(ABC):
    """A piece of data that a task reads or writes; `pointer` says where it is (or is the data itself).

    A custom datum says with four methods what it is: `_validate_format_logic`, `_verify_available_logic`,
    `_clear_logic` and `_quickhash`. Where its data lies under a path it also says `_path`, so that a task writes it
    beside its place and it comes there whole.

    Args:
        parent: the task that writes it; None for what is given to a workflow.
        pointer: where the data is; without it the datum is EMPTY.
    """

    def __init__(self, parent: AbstractTask | None = None, *, pointer: Any = NOT_GIVEN) -> None:
        if parent is not None and not hasattr(parent, "outputs"):
            kind = type(self).__name__
            raise TypeError(f"{kind} takes its pointer by name, {kind}(pointer={short(parent)}); the parent is a task")
        self._state = DatumState.EMPTY
        self._pointer: Any = None
        self.parents: list[AbstractTask] = [parent] if parent is not None else []
        if pointer is not NOT_GIVEN:
            self.populate(pointer)
            self.verify_available()

    # -- what a custom datum says ----------------------------------------------------------------------------------

    @abstractmethod
    def _validate_format_logic(self) -> bool:
        """Whether the pointer is well formed."""

    @abstractmethod
    def _verify_available_logic(self) -> bool:
        """Whether what the pointer names is there."""

    @abstractmethod
    def _clear_logic(self) -> None:
        """Delete what the pointer names."""

    @abstractmethod
    def _quickhash(self) -> Any:
        """What is another value as soon as the data is another, and the same in every process."""

    def _path(self) -> str | None:
        """Where on this machine the data lies, for data that is written to a path."""
        return None

    def _at(self, path: str) -> Self:
        """The same datum, for data that is to be written to another path; called where `_path` gives one."""
        other = copy.copy(self)
        other._pointer, other._state = path, DatumState.POPULATED
        return other

    # -- what everybody does with it -------------------------------------------------------------------------------

    @property
    def state(self) -> DatumState:
        """EMPTY, POPULATED or AVAILABLE. Setting it raises ValueError where that is no step."""
        return self._state

    @state.setter
    def state(self, new: DatumState) -> None:
        self._state = moved(f"the datum {short(self._pointer, 40)}", self._state, new)

    @property
    def pointer(self) -> Any:
        """Where the data is, or the data itself; None while there is none."""
        return self._pointer

    @pointer.setter
    def pointer(self, pointer: Any) -> None:
        self._pointer = pointer

    @property
    def parent(self) -> AbstractTask | None:
        """The task that writes it."""
        return self.parents[0] if self.parents else None

    @property
    def quickhash(self) -> str | None:
        """A short name of the content, the same in every process; None unless it is AVAILABLE."""
        if self._state is not DatumState.AVAILABLE:
            return None
        found = self._quickhash()
        return found if isinstance(found, str) else fingerprint(found)

    def populate(self, pointer: Any) -> None:
        """Point at this; ValueError where the pointer is malformed, and then the datum is EMPTY."""
        self._pointer = pointer
        if self._state is not DatumState.POPULATED:
            self.state = DatumState.POPULATED
        if not self._validate_format_logic():
            self._pointer = None
            self.state = DatumState.EMPTY
            raise ValueError(f"{type(self).__name__} takes {self._wants()}; got {short(pointer)}")

    def _wants(self) -> str:
        return "a pointer that is well formed"

    def verify_available(self, update: bool = True) -> bool:
        """Whether the data is there now; with `update` the state follows."""
        if self._state is DatumState.EMPTY:
            return False
        found = self._verify_available_logic()
        if update:
            self.state = DatumState.AVAILABLE if found else DatumState.POPULATED
        return found

    def sync(self) -> None:
        """Have the state follow what is there."""
        self.verify_available(update=True)

    def clear(self, *, force: bool = False) -> None:
        """Delete what it points at, where that is there; it is POPULATED then.

        ForeignFileError for a file that no task of this workflow wrote, unless by `force`.
        """
        if self._state is DatumState.AVAILABLE:
            if not force:
                self._check_own()
            self._clear_logic()
            self.state = DatumState.POPULATED

    def _check_own(self) -> None:  # noqa: B027 - most have nothing to lose
        """Raise where the data is not ours to delete."""

    def _detached(self) -> Self:
        """The same datum for another process: without the tasks behind it."""
        other = copy.copy(self)
        other.parents = []
        return other

    def _staged(self, place: Callable[[str], str]) -> Self:
        """The same datum for whoever writes it: with its data at another place, where `_path` says it has one."""
        other, path = self._detached(), self._path()
        return other if path is None else other._at(place(path))

    def _adopt(self, done: AbstractDatum) -> None:
        """Take over what became of the staged one."""
        if self._path() is None:
            self.populate(done.pointer)
        self.verify_available()

    def _store(self, value: Any) -> None:
        """Hold what a function gave."""
        self.populate(value)
        self.verify_available()

    def leaves(self) -> Iterator[AbstractDatum]:
        """Itself, or, of a list, its datums."""
        yield self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({short(self._pointer, 60)}, {self._state.name})"


class MemoryDatum(AbstractDatum):
    """An object in memory: the pointer is the object. None is an object, too: ``MemoryDatum(pointer=None)`` has it."""

    _gone = False

    def populate(self, pointer: Any) -> None:
        """Hold this object."""
        super().populate(pointer)
        self._gone = False

    def _validate_format_logic(self) -> bool:
        return True

    def _verify_available_logic(self) -> bool:
        return not self._gone

    def _clear_logic(self) -> None:
        self._pointer, self._gone = None, True

    def _quickhash(self) -> str:
        return fingerprint(self._pointer)
