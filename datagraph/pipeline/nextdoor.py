"""The one way to the door beside: a pipeline asks for the flow's here, by name, when it is to become one.

Doors stand on one floor and do not import each other, so that each can be understood, loaded and left by itself. What
`as_flow` needs of the flow's door is these two names, found the moment that somebody asks.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..flow.flow import Flow
    from ..flow.processor import Processor


def flow() -> type[Flow]:
    """The class of flows."""
    found: type[Flow] = importlib.import_module("datagraph.flow.flow").Flow
    return found


def processor() -> type[Processor]:
    """The class of processors."""
    found: type[Processor] = importlib.import_module("datagraph.flow.processor").Processor
    return found
