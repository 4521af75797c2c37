"""``python -m benchmarks``: run the cases, print the tables, write results.json and results.md."""

from __future__ import annotations

import argparse
import fnmatch
import signal
import sys
from pathlib import Path

from .harness import run_all
from .registry import CASES
from .report import as_text, describe, machine, tables, write

FOLDER = Path(__file__).parent


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each case; the median is shown (5)")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="cases by name, such as 'datagraph-*'")
    parser.add_argument("--quick", action="store_true", help="one round of a twentieth: does it work at all?")
    parser.add_argument("--pin", action="store_true", help="each case on the first core, its server on the others")
    parser.add_argument("--list", action="store_true", help="name the cases and stop")
    parser.add_argument(
        "--out", type=Path, help="folder for results.json and results.md (benchmarks/; none if --quick)"
    )
    options = parser.parse_args(arguments)

    chosen = [c for c in CASES if not options.only or any(fnmatch.fnmatch(c.name, p) for p in options.only)]
    if not chosen:
        parser.error(f"no case is called {' or '.join(options.only)}; there are {', '.join(c.name for c in CASES)}")
    if options.list:
        print("\n".join(f"{case.name:22}{case.title}" for case in chosen))
        return 0

    rounds = 1 if options.quick else options.rounds
    outcomes = run_all(
        chosen, rounds=rounds, quick=options.quick, pin=options.pin, say=lambda line: print(line, file=sys.stderr)
    )
    about = machine() | {"options": f"{rounds} rounds" + ", quick" * options.quick + ", pinned" * options.pin}
    print(describe(about))
    for rows in tables(outcomes):
        print("\n" + as_text(rows))
    folder = options.out or (None if options.quick or options.only else FOLDER)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write(folder, outcomes, about)
        print(f"\nwritten to {folder}")
    return 1 if any(outcome.problem.startswith("failed") for outcome in outcomes) else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the round that is going is ended as well
    sys.exit(main())
