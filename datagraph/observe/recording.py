"""What was seen of a run, without the run: from its journal, or from the file that it was saved in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..drawing.charts import Picture, chart
from ..events.journal import Journal, decode, unpack
from ..events.snapshot import Snapshot
from ..exceptions import CodecError
from ..graph.model import Graph
from ..graph.text import to_text
from . import upstairs
from .frame import history_frame

if TYPE_CHECKING:
    import pandas as pd

PAGE_DATA = re.compile(r'<script type="application/json" id="recording">(.*?)</script>', re.DOTALL)
"""Where the recording stands in a page; see `notebook/page.py`."""


class Recording:
    """The snapshots of one run: a `view` with a scrubber, a `history`, a `plot`. Made by `datagraph.load`."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """See `datagraph.load`."""
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
            found = PAGE_DATA.search(text)
            data = json.loads(found[1] if found else text)
            if not isinstance(data, dict):
                raise TypeError("it holds no object")  # told as the others below
            return cls(Journal.from_dict(data))
        except (UnicodeDecodeError, TypeError, KeyError, json.JSONDecodeError) as error:
            raise CodecError(f"{path} holds no recording: {error}; run.save(path) writes one") from None

    @property
    def id(self) -> str:
        """The run's id."""
        return self.journal.run

    @property
    def name(self) -> str:
        """What the run was called."""
        return self.journal.name

    @property
    def graph(self) -> Graph:
        """What was connected to what."""
        return self.journal.graph

    def __len__(self) -> int:
        return len(self.journal)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        seconds = self.snapshot().elapsed if len(self) else 0.0
        return f"Recording({self.name!r}, {len(self)} moments, {seconds:.1f} s)"

    def snapshot(self, at: float | None = None) -> Snapshot:
        """The run as it was `at` seconds after its start, or at its last moment before; None is the last one of all.

        Raises IndexError where nothing was recorded.
        """
        ticks = [decode(text) for text in self.journal.texts()] if at is not None else []
        before = [tick for tick in ticks if tick["elapsed"] <= (at or 0.0)] or ticks[:1]
        last = self.journal.last()
        if last is None:
            raise IndexError(f"nothing was recorded of the run {self.name!r}")
        return unpack(before[-1] if before else decode(last), self.graph, run=self.id, name=self.name)

    def history(self) -> pd.DataFrame:
        """One row for each recorded moment and each node (`kind` "node") and edge (`kind` "edge").

        The columns: `at` (the server's time, UTC), `elapsed` (seconds since the run began), `kind`, `name`, and what
        there is to know of a node or an edge, as in ``run.nodes()`` and ``run.edges()``; missing where a node or an
        edge has no such thing. Shares have three digits, rates three significant ones. Of a long run the last minutes
        are there twice a second or more, what was before at even gaps.
        """
        return history_frame(self.journal)

    def plot(self) -> Picture:
        """The history as a picture: the fill of each edge and each node's time, over the time of the run."""
        said = f"{self.name}: {len(self)} moments"
        return Picture(chart(self.graph, list(self.journal), name=self.name), said)

    def view(self) -> Any:
        """The recording in a notebook, with its scrubber; MissingExtraError where anywidget is not installed."""
        return upstairs.view(self)

    def save(self, path: str | Path) -> Path:
        """Write it as a page (``.html``) or as data (``.json``); the path. ValueError for any other ending."""
        path = Path(path)
        match path.suffix.lower():
            case ".json":
                path.write_bytes(self.journal.to_json())
            case ".html" | ".htm":
                upstairs.save_page(self, path)
            case other:
                raise ValueError(f"a recording is saved as .html or .json; got {other!r} in {str(path)!r}")
        return path

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from ..drawing.svg import svg  # layout and drawing only where a picture is asked for

        picture = svg(self.graph, self.snapshot() if len(self) else None)
        return {"text/plain": f"{self!r}\n{to_text(self.graph)}", "image/svg+xml": picture}
