"""A value that no codec of ours can carry: what it is, where in the value it stands, and what would do."""

from __future__ import annotations

from .text import cut, short, type_name

CURE = "send plain data, or attach with a codec that can: SignedPickle(key)"


class Unfit(Exception):
    """What cannot be encoded; it becomes a CodecError. `steps` is filled on the way out, innermost first."""

    def __init__(self, what: str, cure: str = CURE) -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure
        self.steps: list[str] = []

    @property
    def place(self) -> str:
        """Where in the value it stands, as Python would write it, or nothing if it is the value itself."""
        steps = self.steps[::-1]
        if len(steps) > 6:
            steps[3:-3] = [f"…({len(steps) - 6} more)…"]
        return f" at {cut(''.join(steps), 200)}" if steps else ""


def unfit(value: object) -> Unfit:
    """The `Unfit` of a value of a type that has no tag."""
    name = "lambda" if getattr(value, "__name__", "") == "<lambda>" else type_name(value)
    bases = [base.__name__ for base in (str, int, float, bytes, list, tuple, dict, set) if isinstance(value, base)]
    kind = f"{name} (a subclass of {bases[0]})" if bases else name
    cure = f"send {bases[0]}(value), or attach with a codec that can: SignedPickle(key)" if bases else CURE
    article = "an" if name[:1].lower() in "aeiou" else "a"
    return Unfit(f"{article} {kind} {short(value)}", cure)
