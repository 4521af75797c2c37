"""`pytest --nbval notebooks`: runs every notebook, and compares its outputs with those that are stored."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """What differs from run to run is told in sanitize.cfg, so that nobody has to name it on the command line."""
    if getattr(config.option, "nbval", False) and not config.option.nbval_sanitize_with:
        config.option.nbval_sanitize_with = str(Path(__file__).with_name("sanitize.cfg"))
