"""Why a change of the wiring is not made, or an ask not answered, in the same words for every store."""

from __future__ import annotations

from ..exceptions import RunError, StreamTrimmedError, UnknownIOError, WiringChangedError


def wiring_changed(run: str, expected: int, found: int) -> WiringChangedError:
    """Somebody else was first."""
    return WiringChangedError(
        f"run {run!r} has been rewired meanwhile: its wiring is version {found}, this change was made for {expected}; "
        f"look at the run again and plan anew",
        expected=expected,
        found=found,
    )


def not_kept(stream: str, expected: int, found: int) -> StreamTrimmedError:
    """A port would read what is gone."""
    return StreamTrimmedError(
        f"stream {stream!r} does not keep the values at {expected} any more: the first one kept is at {found}; have "
        f"the port read from there",
        stream=stream,
        expected=expected,
        found=found,
    )


def cannot_rewire(run: str, why: str) -> RunError:
    """The run is not as the change needs it."""
    return RunError(f"run {run!r} cannot be rewired like this: {why}; look at the run again and plan anew")


def unasked(run: str, ask: str) -> UnknownIOError:
    """Nobody has asked that, or long ago."""
    return UnknownIOError(f"run {run!r} has no ask {ask}: it was never made, or 1,000 others since; there is no answer")
