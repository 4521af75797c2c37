"""A line that shows how far something is, in a terminal or beneath a notebook's cell."""

from __future__ import annotations

import html
import sys
from typing import Any

from ..events.snapshot import Snapshot
from ..graph.model import INPUT_PREFIX
from .progress import progress_line

WIDTH = 24


def share_done(snapshot: Snapshot) -> float | None:
    """How much of what is given has been read by everybody, from 0 to 1; None where more is still to be given."""
    given = [edge for edge in snapshot.edges.values() if edge.source.startswith(INPUT_PREFIX)]
    if not given or not all(edge.ended for edge in given):
        return None
    return min((edge.read / edge.written if edge.written else 1.0) for edge in given)


def can_show() -> bool:
    """Whether there is somebody to show it to: a terminal, or a notebook."""
    return _in_notebook() or sys.stderr.isatty()


class Bar:
    """A progress line: `update` draws it anew, `close` takes it away from a terminal and leaves it in a notebook."""

    def __init__(self) -> None:
        self._shown = 0
        self._display: Any = None

    @property
    def used(self) -> bool:
        """Whether anything is shown."""
        return bool(self._shown) or self._display is not None

    def update(self, snapshot: Snapshot) -> None:
        """Show a run as it is now."""
        self.show(share_done(snapshot), progress_line(snapshot))

    def show(self, share: float | None, line: str) -> None:
        """Show a share from 0 to 1, None where it is not known, and a line of text."""
        if _in_notebook():
            self._in_cell(share, line)
            return
        full = round(WIDTH * share) if share is not None else 0
        text = f"[{'█' * full}{'░' * (WIDTH - full)}] {line}" if share is not None else line
        sys.stderr.write(f"\r{text:<{self._shown}}")
        sys.stderr.flush()
        self._shown = len(text)

    def _in_cell(self, share: float | None, line: str) -> None:
        import IPython.display

        display: Any = IPython.display.display
        value = f' value="{share:.4f}"' if share is not None else ""
        data = {"text/html": f"<progress max=1{value}></progress> {html.escape(line)}", "text/plain": line}
        if self._display is None:
            self._display = display(data, raw=True, display_id=True)
        else:
            self._display.update(data, raw=True)

    def close(self) -> None:
        """Nothing more is shown."""
        if self._shown:
            sys.stderr.write(f"\r{' ' * self._shown}\r")
            sys.stderr.flush()
            self._shown = 0


def _in_notebook() -> bool:
    """Whether a cell of a notebook is run; asked without loading anything."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")
