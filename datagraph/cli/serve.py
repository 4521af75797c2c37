"""`datagraph server`: a durable server in the foreground."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Literal

import typer

from ..streams.server import durable_server
from .errors import failure


def serve(
    directory: Path, *, port: int, appendfsync: Literal["always", "everysec", "no"], maxmemory: str | None
) -> None:
    """Start it, say where it is, and stop it in an orderly way on Ctrl-C or SIGTERM."""

    def terminated(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        with durable_server(directory, port=port, appendfsync=appendfsync, maxmemory=maxmemory) as server:
            typer.echo(f"{server.url}  (data in {server.directory}; Ctrl-C stops it)")
            try:
                status = server.wait()
            except KeyboardInterrupt:
                typer.echo("stopping")
                return
            raise failure(f"the server ended by itself (exit status {status}): see {server.directory / 'server.log'}")
    finally:
        signal.signal(signal.SIGTERM, before)
