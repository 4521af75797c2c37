"""Runs in other processes: a script is written, started, listened to, and killed by its own id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROLOGUE = """
from __future__ import annotations
import os, sys, time
import datagraph as dg
from datagraph import OPEN, Flow, Supervisor

URL, BACKEND = sys.argv[1:3]
def attach(**settings):
    return Supervisor.attach(None if URL == "embedded" else URL, backend=BACKEND, **settings)

@dg.processor
def double(n: int) -> int:
    return 2 * n

@dg.processor
def slow(n: int) -> int:
    time.sleep(0.002)
    return n
"""


class Script:
    """A Python program in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self, sign: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        os.kill(self.process.pid, sign)

    def end(self, timeout: float = 20) -> tuple[int, str, str]:
        """Wait for it: its code, what else it printed, and its errors."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err


@contextmanager
def script(folder: Path, code: str, *args: str, env: dict[str, str] | None = None) -> Iterator[Script]:
    """Run a program of the prologue and `code`, with the store's URL and the backend as its arguments."""
    path = folder / "program.py"
    path.write_text(PROLOGUE + textwrap.dedent(code))
    process = subprocess.Popen(
        [sys.executable, str(path), *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        start_new_session=True,
    )
    try:
        yield Script(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
