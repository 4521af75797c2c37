"""Functions of a module that is written in a test."""

from __future__ import annotations

import types


def made(source: str) -> types.SimpleNamespace:
    """The names of a module with this source; each time it is the same module in another version."""
    names: dict[str, object] = {"__name__": "written_by_a_test"}
    exec(compile(source, "written_by_a_test.py", "exec"), names)
    return types.SimpleNamespace(**{key: value for key, value in names.items() if not key.startswith("__")})
