"""The one way up: what shows itself in a notebook asks for the notebook's floor here, by name, when it is shown.

A run has a `view()`, and the view is built on floors above the run's. An import would turn the floors round, and would
load ipywidgets and anywidget with ``import datagraph``; so the floor is found by its name the moment somebody looks.
Nothing else may be reached this way, and nothing above is named anywhere else below.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from ..exceptions import MissingExtraError


def view(target: Any) -> Any:
    """The live view of a run, a flow or a recording; MissingExtraError where anywidget is not installed."""
    return _notebook().view(target)


def save_page(recording: Any, path: Path) -> None:
    """Write a recording as one page of HTML that needs nothing else."""
    _notebook().save_page(recording, path)


def _notebook() -> Any:
    try:
        return importlib.import_module("datagraph.notebook")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("datagraph"):
            raise
        raise MissingExtraError(f"a view needs the package {error.name}: `pip install {error.name}`") from None
