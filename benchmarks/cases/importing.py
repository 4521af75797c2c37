"""``import datagraph`` in fresh interpreters, compiled before, less what an empty program takes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.measure import Measured


def _median_ms(program: str, times: int, compiled: str) -> float:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    took = []
    for _ in range(times + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", program], env=environ | {"PYTHONPYCACHEPREFIX": compiled}, check=True)
        took.append((time.perf_counter() - began) * 1e3)
    return statistics.median(took[1:])  # the first one compiles


def fresh(count: int) -> Measured:
    with tempfile.TemporaryDirectory(prefix="dg-bench-") as compiled:
        empty = _median_ms("", count, compiled)
        return {"import_ms": _median_ms("import datagraph", count, compiled) - empty}
