"""The command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from datagraph.cli import app

ROOT = Path(__file__).parents[2]
FLOWS = """
from __future__ import annotations
import time
import datagraph as dg

@dg.processor
def text(path: str) -> str:
    return path * 3

@dg.processor(capacity=20)
def words(text: str, pause: float = 0.01) -> int:
    time.sleep(pause)
    return len(text)

flow = dg.Flow(text, words, name="words")
inputs = {"path": [str(n) for n in range(200)]}

def broken() -> dg.Flow:
    return dg.Flow(dg.Processor("alone", inputs=["a"], outputs=["b"]))
"""


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "datagraph", *args]


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in {"DATAGRAPH_URL", "COLUMNS"}}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def cli(*args: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; a minute is far more than any takes."""
    return subprocess.run(
        command(*args), cwd=cwd, env=environment(**environ), capture_output=True, text=True, check=False, timeout=60
    )


def here(*args: str) -> Result:
    """A command in this process, for those that need no other: starting one takes a second."""
    return CliRunner().invoke(app, args, prog_name="datagraph")
