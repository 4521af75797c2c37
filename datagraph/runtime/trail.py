"""What the values that a node puts out were made from: how far it had read by then, and at the safe point before.

A safe point says it exactly. What is stored between two of them came from what was given out since the last one. It
costs a few operations a frame, and none a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..streams.origins import Span, pack_origin
from .outlet import Mark, Outlet
from .sides import Source


class Trail:
    """From one safe point to the next; `cursors` are those of the resume point."""

    def __init__(self, cursors: Mapping[str, tuple[int, int]], outlets: Sequence[Outlet], *, has_inputs: bool) -> None:
        self._since = {segment: cursor for segment, (cursor, _) in cursors.items()}
        self._outlets = outlets
        self._totals = [0] * len(outlets)
        self._claimed: tuple[int | None, int] = (None, 0)
        self._has_inputs = has_inputs

    def origins(self, mark: Mark | None, source: Source, counts: Sequence[int]) -> list[bytes]:
        """Of the next so many values of each outlet: part of what `mark` finished, or (None) of what is open."""
        if not self._has_inputs or not any(counts):
            return [b""] * len(counts)
        if mark is not None and mark.each == len(mark.reads) == len(counts) == 1 and mark.ends is None:
            # By far the most frames are these, and they should cost next to nothing.
            segment, stream, cursor, _ = mark.reads[0]
            since, before = self._since.get(segment, -1), self._totals[0]
            if cursor - since == mark.totals[0] - before:
                at = since + self._outlets[0].gone - before
                return [pack_origin(((segment, stream, at, at + counts[0]),), each=True)]
        spans = self._spans(mark, source)
        moved = [span.stop - span.start for span in spans if span.stop > span.start]
        if mark is None or not moved or min(moved) != max(moved):
            return [pack_origin(spans)] * len(counts)
        found = []
        for outlet, total, before, count in zip(self._outlets, mark.totals, self._totals, counts, strict=True):
            if len(moved) == mark.each and total - before == moved[0]:  # as many values came out as went in
                at = outlet.gone - before
                found.append(pack_origin([_part(span, at, count) for span in spans], each=True))
            else:
                known = len(mark.sizes) == moved[0] and sum(mark.sizes) == count == total - before
                found.append(pack_origin(spans, sizes=mark.sizes if known else b""))
        return found

    def _spans(self, mark: Mark | None, source: Source) -> list[Span]:
        if mark is None:
            ends: Sequence[tuple[str, str, int]] = source.taken()
        elif mark.ends is not None:
            ends = mark.ends
        else:
            ends = [(read.port, read.stream, read.cursor) for read in mark.reads]
        if mark is not None and mark.claim is not None:
            start = self._claimed[1] if self._claimed[0] == mark.claim else mark.since
            return [Span(segment, stream, start, stop) for segment, stream, stop in ends]
        return [Span(segment, stream, self._start(segment, stop, source), stop) for segment, stream, stop in ends]

    def _start(self, segment: str, stop: int, source: Source) -> int:
        start = self._since.get(segment)
        if start is None:
            start = self._since[segment] = source.start_of(segment)
        return start if start <= stop else 0  # its function went back by itself: from anywhere before

    def settled(self, mark: Mark) -> None:
        """That safe point is in the store."""
        for read in mark.reads:
            self._since[read.port] = read.cursor
        self._claimed = (mark.claim, mark.upto)
        self._totals = mark.totals


def _part(span: Span, at: int, count: int) -> Span:
    if span.start == span.stop:
        return span
    return span._replace(start=span.start + at, stop=span.start + at + count)
