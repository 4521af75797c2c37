"""What the browser is given: one module of JavaScript and one style sheet, read once."""

from __future__ import annotations

import functools
from importlib.resources import files

from ..drawing import style


@functools.cache
def esm() -> str:
    """The view as one ES module: the files that static/ORDER names, one after the other."""
    folder = files(__package__) / "static"
    names = (folder / "ORDER").read_text(encoding="utf-8").split()
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in names)


@functools.cache
def css() -> str:
    """The colours and marks that pictures share, then what is only the view's."""
    return f"{style.css()}\n{(files(__package__) / 'static' / 'view.css').read_text(encoding='utf-8')}"
