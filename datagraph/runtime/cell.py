"""Saying something where a run was started: in the notebook cell that did, or on standard error."""

from __future__ import annotations

import contextvars
import logging
import sys
from collections.abc import Callable

_logger = logging.getLogger("datagraph")


def teller() -> Callable[[str], None]:
    """A function that says one thing where the caller is now, whenever and from whichever thread it is called.

    In a notebook it writes beneath the cell that runs now, even if another one runs by then; elsewhere it is an error
    of the logger "datagraph", which goes to standard error unless the program has set up its logging otherwise.
    """
    if "ipykernel" not in sys.modules:
        return _logger.error
    context = contextvars.copy_context()  # ipykernel keeps in it which cell output belongs to

    def tell(text: str) -> None:
        context.copy().run(_write, text)

    return tell


def _write(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
