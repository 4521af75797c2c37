"""Datagraph attached to a private Valkey, for one round of one of our cases."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import datagraph as dg

from .server import Server, private_server


@contextlib.contextmanager
def attached_server() -> Iterator[Server]:
    """A running server of this process's own, with the supervisor attached to it; both are gone on leaving."""
    with private_server() as server:
        supervisor = dg.Supervisor.attach(redis_config={"url": server.unix_url})
        try:
            yield server
        finally:
            supervisor.detach()
