"""Many datums as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from .datum import NOT_GIVEN, AbstractDatum
from .states import DatumState


class DatumList(AbstractDatum):
    """Datums of one type, as one input or output of a task. Its pointer is the list of theirs.

    As an input it becomes the list of what its datums become, and its tasks are all of theirs.

    Args:
        datum_type: their type, a class of datums; ValueError where one of them is of another.
        datums: the datums, or
        pointer: the pointer of each. Without either the list is EMPTY: how many there are says the task that writes it.
    """

    def __init__(
        self,
        datum_type: type[AbstractDatum],
        datums: Iterable[AbstractDatum] | None = None,
        *,
        pointer: Any = NOT_GIVEN,
    ) -> None:
        self.datum_type = datum_type
        self.datum_list: list[AbstractDatum] | None = None
        super().__init__()
        if datums is not None:
            self.datum_list = list(datums)
            others = [datum for datum in self.datum_list if not isinstance(datum, datum_type)]
            if others:
                raise ValueError(f"`datums` must be a list of {datum_type.__name__} objects; got {others[0]!r}")
            self.state = DatumState.POPULATED
        if pointer is not NOT_GIVEN:
            self.populate(pointer)
        self.parents = list(dict.fromkeys(p for datum in self for p in datum.parents))
        self.verify_available()

    def __iter__(self) -> Iterator[AbstractDatum]:
        return iter(self.datum_list or ())

    def __len__(self) -> int:
        return len(self.datum_list or ())

    @property
    def pointer(self) -> Any:
        """The pointer of each, None while the list is EMPTY."""
        return None if self.datum_list is None else [datum.pointer for datum in self.datum_list]

    @pointer.setter
    def pointer(self, pointer: Any) -> None:
        self.populate(pointer)

    def populate(self, pointer: Any) -> None:
        """Point each of them at its own; ValueError where there are not as many."""
        pointers = list(pointer)
        if self.datum_list is None:
            self.datum_list = [self.datum_type(pointer=each) for each in pointers]
        elif len(pointers) != len(self.datum_list):
            raise ValueError(f"this list has {len(self.datum_list)} datums, and {len(pointers)} pointers were given")
        else:
            for datum, each in zip(self.datum_list, pointers, strict=True):
                datum.populate(each)
        if self._state is not DatumState.POPULATED:
            self.state = DatumState.POPULATED

    def verify_available(self, update: bool = True) -> bool:
        """Whether all of them are there."""
        for datum in self:
            datum.verify_available(update=update)
        return super().verify_available(update=update)

    def _validate_format_logic(self) -> bool:
        return all(datum._validate_format_logic() for datum in self)

    def _verify_available_logic(self) -> bool:
        return all(datum.verify_available(update=False) for datum in self)

    def _check_own(self) -> None:
        for datum in self:
            datum._check_own()

    def _clear_logic(self) -> None:
        for datum in self:
            datum.clear(force=True)

    def _quickhash(self) -> list[str | None]:
        return [datum.quickhash for datum in self]

    def leaves(self) -> Iterator[AbstractDatum]:
        """Its datums, and theirs."""
        for datum in self:
            yield from datum.leaves()

    def _each(self, change: Callable[[AbstractDatum], AbstractDatum]) -> Self:
        other = super()._detached()
        if self.datum_list is not None:
            other.datum_list = [change(datum) for datum in self.datum_list]
        return other

    def _detached(self) -> Self:
        return self._each(lambda datum: datum._detached())

    def _staged(self, place: Callable[[str], str]) -> Self:
        return self._each(lambda datum: datum._staged(place))

    def _adopt(self, done: AbstractDatum) -> None:
        if self.datum_list is None:
            self.populate(done.pointer)
        else:
            for mine, other in zip(self, done, strict=True):  # type: ignore[call-overload]
                mine._adopt(other)
        self.verify_available()

    def _store(self, value: Any) -> None:
        values = list(value)
        if self.datum_list is None:
            self.populate(values)
        elif len(values) != len(self.datum_list):
            raise ValueError(f"this list has {len(self.datum_list)} datums, and {len(values)} values were given")
        else:
            for datum, each in zip(self.datum_list, values, strict=True):
                datum._store(each)
