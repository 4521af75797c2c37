"""What a process tells of the nodes that it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .breakpoints import Stop
from .node import Node

_SPENT = ("busy", "starved", "blocked", "cpu", "loop")


def report_of(nodes: Iterable[Node], stops: Mapping[tuple[str, str], Stop]) -> dict[str, dict[str, Any]]:
    """What each node here spent its time on, in seconds so far (`Clock`, `Meter`), what it waits for; breakpoints."""
    report: dict[str, dict[str, Any]] = {}
    waits: dict[str, list[str]] = {}
    for node in nodes:
        busy, starved, blocked = node.clock.totals()
        mine = report.setdefault(
            node.name,
            {**dict.fromkeys(_SPENT, 0.0), "workers": 0, "waits": "", "status": node.status},
        )
        for kind, spent in zip(_SPENT, (busy, starved, blocked, node.meter.cpu(), node.meter.loop), strict=True):
            mine[kind] += spent
        mine["workers"] += 1
        mine["concurrency"] = node.work.concurrency
        found = waits.setdefault(node.name, [])
        if not node.over.is_set():
            found.append(node.clock.waits_for)
        needs = node.clock.needs if node.clock.waits_for.startswith("room:") else (0, 0)
        mine["needs"] = max(mine.get("needs", (0, 0)), needs)
    for name, each in waits.items():  # a node waits where all its workers do, and for room where one does
        room_first = sorted(each, key=lambda one: not one.startswith("room:"))
        report[name]["waits"] = "" if "" in each or not each else room_first[0]
    for (name, port), stop in stops.items():
        if name in report:
            report[name].setdefault("stops", {})[port] = stop.facts()
    return report
