"""``python -m datagraph`` is `datagraph`."""

from __future__ import annotations

from .cli import app

app(prog_name="datagraph")
