"""The command line: `datagraph --help`."""

from __future__ import annotations

from . import breaks
from .main import app

__all__ = ["app", "breaks"]
