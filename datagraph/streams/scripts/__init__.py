"""The server-side scripts, each in a file of its own; ``--!use`` in a first line names the parts put before it."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from ..resp import Script

_USE = "--!use "


@cache
def script(name: str) -> Script:
    """The script of that file name (without ``.lua``), with the parts that it uses in front."""
    source = _text(name)
    first, _, rest = source.partition("\n")
    if not first.startswith(_USE):
        return Script(source)
    return Script("\n".join([*map(_text, first.removeprefix(_USE).split()), rest]))


def _text(name: str) -> str:
    return files(__package__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
