"""Looking at a run until it ends: a table that redraws itself, or a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable

import typer
from rich.live import Live

from ..events.snapshot import Snapshot
from ..flow.run import Run
from ..observe.progress import progress_line
from .terminal import console, is_terminal, picture

_LINE_SECONDS = 2.0


def watch(
    run: Run, *, every: float = 0.25, plain: bool = False, note: Callable[[Snapshot], str] = lambda _: ""
) -> Snapshot:
    """Show the run until it ends; the last snapshot. `plain`, or no terminal: a line every two seconds."""
    return _lines(run, note) if plain or not is_terminal() else _table(run, every, note)


def goes_on(run: Run, snapshot: Snapshot) -> bool:
    """Whether it has neither ended nor been lost by this process, as where the store is gone; `run.join()` says why."""
    return snapshot.status == "running" and run._local.error is None


def _table(run: Run, every: float, note: Callable[[Snapshot], str]) -> Snapshot:
    snapshot = run.snapshot()
    with Live(picture(snapshot, note=note(snapshot)), console=console(), auto_refresh=False) as live:
        while goes_on(run, snapshot):
            time.sleep(every)
            snapshot = run.snapshot()
            live.update(picture(snapshot, note=note(snapshot)), refresh=True)
    return snapshot


def _lines(run: Run, note: Callable[[Snapshot], str]) -> Snapshot:
    shown = time.monotonic()
    snapshot = run.snapshot()
    while goes_on(run, snapshot):
        time.sleep(0.1)
        snapshot = run.snapshot()
        if snapshot.status != "running" or time.monotonic() - shown >= _LINE_SECONDS:
            shown = time.monotonic()
            typer.echo(" · ".join(part for part in (note(snapshot), progress_line(snapshot)) if part))
    return snapshot
