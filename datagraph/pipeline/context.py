"""What travels with an item: whose it is, where it has been, and what its tasks noted on the way."""

from __future__ import annotations

import copy
import time
import uuid
from dataclasses import dataclass, field
from typing import Any


@dataclass
class PipelineContext:
    """The item's run, its id, the nodes that it has passed, and `meta` for whatever tasks want to note.

    Each branch that an item takes has a copy of its own. `created_at` is in seconds since the epoch.

    >>> context = PipelineContext(run_id="r1", data_id="7").for_node("parse").for_node("load")
    >>> context.current_node, context.log_details()["path"], context.log_details()["task_id"]
    ('load', 'parse->load', 'r1:7')
    """

    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    data_id: str | None = None
    node_path: list[str] = field(default_factory=list)
    created_at: float = field(default_factory=time.time)
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def current_node(self) -> str | None:
        """The last node of the path; None where there is none."""
        return self.node_path[-1] if self.node_path else None

    def for_node(self, node: str) -> PipelineContext:
        """A copy that has come to `node`."""
        found = self.copy()
        found.node_path.append(node)
        return found

    def with_data_id(self, data_id: str | None) -> PipelineContext:
        """A copy for the item of that id."""
        found = self.copy()
        found.data_id = data_id
        return found

    def copy(self) -> PipelineContext:
        """A copy whose path and meta are its own; what in meta cannot be copied (a connection) is shared."""
        meta = _copied(self.meta) if self.meta else {}
        return PipelineContext(self.run_id, self.data_id, self.node_path[:], self.created_at, meta)

    def log_details(self) -> dict[str, Any]:
        """What a log record says of it: run_id, data_id, task_id ("run:data", or the run alone), node and path."""
        return {
            "run_id": self.run_id,
            "data_id": self.data_id,
            "task_id": self.run_id if self.data_id is None else f"{self.run_id}:{self.data_id}",
            "node": self.current_node,
            "path": "->".join(self.node_path),
        }


def _copied(meta: dict[str, Any]) -> dict[str, Any]:
    try:
        return copy.deepcopy(meta)
    except Exception:  # a value that cannot be copied, such as a lock, is handed on as it is
        return {name: _copied_value(value) for name, value in meta.items()}


def _copied_value(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # see above
        return value
