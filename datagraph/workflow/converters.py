"""What a task is handed for a datum: the object, or the path of its file."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from .datum import AbstractDatum, MemoryDatum
from .datumlist import DatumList
from .filedatum import FileDatum

Converter = Callable[[Any], Any]


class InputForm(Enum):
    """OBJECT: what the data is. FILEPATH: where it lies."""

    OBJECT = 0
    FILEPATH = 1


class ConverterRegistry:
    """How datums of a type become what tasks take; a type without a converter of its own has those of its bases."""

    def __init__(self) -> None:
        self._converters: dict[tuple[type[AbstractDatum], InputForm], Converter] = {}

    def register(self, datum_type: type[AbstractDatum], form: InputForm, converter: Converter) -> None:
        """Have datums of this type become what `converter(datum)` gives, where a task takes this form."""
        self._converters[datum_type, form] = converter

    def has_converter(self, datum_type: type[AbstractDatum], form: InputForm) -> bool:
        """Whether datums of this type can take this form."""
        return self._found(datum_type, form) is not None

    def convert(self, datum: AbstractDatum, form: InputForm) -> Any:
        """The datum in this form; TypeError where nothing says how."""
        found = self._found(type(datum), form)
        if found is None and isinstance(datum, DatumList):
            return [self.convert(each, form) for each in datum]
        if found is None:
            forms = [known.name for known in InputForm if self.has_converter(type(datum), known)]
            raise TypeError(
                f"No converter registered for {type(datum).__name__} as {form.name}; "
                f"it has: {', '.join(forms) or 'none'}; add one by converter_registry.register(...)"
            )
        return found(datum)

    def entries(self, *datums: AbstractDatum) -> dict[tuple[type[AbstractDatum], InputForm], Converter]:
        """What was registered for these and for what is in them, for another process."""
        kinds = {kind for datum in datums for each in (datum, *datum.leaves()) for kind in type(each).__mro__}
        return {key: found for key, found in self._converters.items() if key[0] in kinds}

    def update(self, entries: dict[tuple[type[AbstractDatum], InputForm], Converter]) -> None:
        """Add what `entries` gave elsewhere."""
        self._converters.update(entries)

    def _found(self, datum_type: type[AbstractDatum], form: InputForm) -> Converter | None:
        ways = (self._converters.get((kind, form)) for kind in datum_type.__mro__)
        return next((way for way in ways if way is not None), None)


def _held(datum: MemoryDatum) -> Any:
    return datum.pointer


def _loaded(datum: FileDatum) -> Any:
    return datum.load()


def _path(datum: FileDatum) -> Any:
    return datum._path()


converter_registry = ConverterRegistry()
"""The one that tasks use."""
converter_registry.register(MemoryDatum, InputForm.OBJECT, _held)
converter_registry.register(FileDatum, InputForm.OBJECT, _loaded)
converter_registry.register(FileDatum, InputForm.FILEPATH, _path)
