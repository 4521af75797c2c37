"""Data in files."""

from __future__ import annotations

import io
import os
import pickle
import shutil
from typing import IO, TYPE_CHECKING, Any, Self

from ..exceptions import CodecRefusedError, ForeignFileError
from ..runtime.files import content, content_of_bytes
from .datum import NOT_GIVEN, AbstractDatum

if TYPE_CHECKING:
    from .task import AbstractTask


class FileDatum(AbstractDatum):
    """A file, by its path; it is AVAILABLE where the file exists, and `quickhash` is its content.

    As an object (`InputForm.OBJECT`) it is what was pickled into it. Loading a pickle runs whatever it says, so that is
    done only with a file as a task of this workflow wrote it, or with ``trusted=True``. A subclass for another format
    has `_dump_logic` and `_load_logic`, and `runs_code = False` where loading it is harmless.

    Args:
        parent: the task that writes it.
        pointer: the path; ValueError for what is none.
        trusted: whether it may be unpickled, whoever wrote it.
    """

    runs_code = True

    def __init__(self, parent: AbstractTask | None = None, *, pointer: Any = NOT_GIVEN, trusted: bool = False) -> None:
        self.trusted = trusted
        self.written = ""  # the content as a task of this workflow wrote it
        self._absolute = ""
        super().__init__(parent, pointer=pointer)

    def populate(self, pointer: Any) -> None:
        """Point at this path."""
        super().populate(os.fspath(pointer) if isinstance(pointer, os.PathLike) else pointer)
        self._absolute = os.path.abspath(self._pointer)

    def _wants(self) -> str:
        return "a path, as text"

    def _validate_format_logic(self) -> bool:
        path = self._pointer
        return isinstance(path, str) and bool(path.strip()) and "\0" not in path

    def _verify_available_logic(self) -> bool:
        return os.path.exists(self._absolute)

    def _clear_logic(self) -> None:
        if os.path.isdir(self._absolute):
            shutil.rmtree(self._absolute)
        elif os.path.lexists(self._absolute):
            os.remove(self._absolute)

    def _quickhash(self) -> str:
        return content(self._absolute)

    def _path(self) -> str:
        return self._absolute

    def _at(self, path: str) -> Self:
        other = super()._at(path)
        other._absolute = path
        return other

    def _check_own(self) -> None:
        if os.path.lexists(self._absolute) and (not self.written or content(self._absolute) != self.written):
            why = "it was changed since a task wrote it" if self.written else "no task of this workflow wrote it"
            raise ForeignFileError(
                f"{self._pointer} is not deleted: {why}; delete it yourself, or say clear(force=True)"
            )

    # -- as an object ----------------------------------------------------------------------------------------------

    def _dump_logic(self, value: Any, file: IO[bytes]) -> None:
        """Write a value into the open file."""
        import cloudpickle

        cloudpickle.dump(value, file)

    def _load_logic(self, file: IO[bytes]) -> Any:
        """The value that was written into it."""
        return pickle.load(file)  # noqa: S301 - `load` has seen to it that somebody vouches for it

    def _store(self, value: Any) -> None:
        self.dump(value)
        self.verify_available()

    def dump(self, value: Any) -> None:
        """Write a value to the path."""
        with open(self._absolute, "wb") as file:
            self._dump_logic(value, file)

    def load(self) -> Any:
        """The value in the file. CodecRefusedError where nobody vouches for what loading it would run."""
        with open(self._absolute, "rb") as file:
            data = file.read()
        if self.runs_code and not self.trusted and content_of_bytes(data) != self.written:
            who = (
                "was changed since a task of this workflow wrote it"
                if self.written
                else ("was not written by a task of this workflow")
            )
            raise CodecRefusedError(
                f"{self._pointer} {who}, and unpickling runs whatever a pickle says. If you trust it: "
                f"FileDatum(pointer={self._pointer!r}, trusted=True); if the task wants the path: "
                f"input_form=InputForm.FILEPATH"
            )
        try:
            return self._load_logic(io.BytesIO(data))
        except pickle.UnpicklingError as error:
            raise ValueError(
                f"{self._pointer} is no pickle ({error}); if the task wants its path: input_form=InputForm.FILEPATH"
            ) from error
