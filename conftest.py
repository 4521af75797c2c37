"""For every test of the project: where CI=true, a skipped test is a failure.

A skip is how a missing tool turns a green run into one that shows nothing. A test that may be skipped even there says
so with ``@pytest.mark.may_skip("reason")``. The file stands at the root so that `datagraph`, `tests` and `benchmarks`
can be imported without being installed.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}


def _forbid(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{reason}\nCI=true: a skip is a failure. Have .ci/run install what is missing."


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if IN_CI and item.get_closest_marker("may_skip") is None:
        _forbid(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    report = yield
    if IN_CI:
        _forbid(report)
    return report
