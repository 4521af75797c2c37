"""One round of one case in a process of its own: ``python -m benchmarks.one NAME COUNT``; prints one line of JSON."""

from __future__ import annotations

import importlib
import json
import sys

from .registry import CASES


def main(name: str, count: int) -> None:
    case = next(case for case in CASES if case.name == name)
    run = getattr(importlib.import_module(f"benchmarks.cases.{case.module}"), case.function)
    print(json.dumps(run(count)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
