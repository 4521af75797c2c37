"""The larger tier stays out of a plain run: ``pytest -m faults`` runs it, in about ten minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave tests of this folder that are marked `faults` out unless they are asked for."""
    if "faults" in config.getoption("-m"):
        return
    left_out = [item for item in items if HERE in item.path.parents and item.get_closest_marker("faults") is not None]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)
