"""From ``module:name`` to the object: a flow, or inputs for one."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from ..flow.flow import Flow
from .errors import misuse


def load_flow(target: str) -> Flow:
    """The flow at ``module:name`` or ``path/to/file.py:name``; a function of that name is called for it."""
    found = _load(target)
    if callable(found) and not isinstance(found, Flow):
        found = found()
    if not isinstance(found, Flow):
        raise misuse(f"{target} is a {type(found).__name__}, not a Flow")
    return found


def load_inputs(target: str) -> Mapping[str, Any]:
    """The inputs at ``module:name``: a mapping, or a function that returns one."""
    found = _load(target)
    if callable(found):
        found = found()
    if not isinstance(found, Mapping):
        raise misuse(f"{target} is a {type(found).__name__}; inputs are a mapping, such as {{'path': [...]}}")
    return found


def _load(target: str) -> Any:
    place, colon, name = target.rpartition(":")
    if not colon or not place or not name:
        raise misuse(f"{target!r} is not of the form module:name or file.py:name")
    module = _module(place)
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            flows = [key for key, value in vars(module).items() if isinstance(value, Flow)]
            raise misuse(f"{place} has no {name!r}; its flows are: {', '.join(flows) or 'none'}")
        found = getattr(found, part)
    return found


def _module(place: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except ImportError as error:
            if error.name is None or not f"{place}.".startswith(f"{error.name}."):
                raise misuse(f"{place} cannot be imported: {error}") from error
            raise misuse(f"there is no module {place!r} here or on the path; a file is written file.py:name") from None
    path = Path(place).absolute()
    if not path.is_file():
        raise misuse(f"there is no file {place}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # annotations are looked up there
    spec.loader.exec_module(module)
    return module
