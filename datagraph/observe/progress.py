"""How far a run is, in one line for a terminal."""

from __future__ import annotations

from ..drawing.style import number, seconds, short
from ..events.snapshot import EdgeState, Snapshot
from ..graph.model import INPUT_PREFIX, OUTPUT_PREFIX


def progress_line(snapshot: Snapshot) -> str:
    """Done of all, values a second, time left and the bottleneck, as far as each is known.

    ``640 of 13,356 · 103/s · 2 min left · `words` is the bottleneck: ...``
    """
    parts = [_counted(snapshot)]
    if snapshot.status != "running" or snapshot.paused:
        parts.append(
            "paused" if snapshot.status == "running" else f"{snapshot.status} after {seconds(snapshot.elapsed)}"
        )
    else:
        speed = max((node.rate for node in snapshot.nodes.values() if _is_first(snapshot, node.name)), default=0.0)
        parts.append(f"{short(speed)}/s")
        left = seconds_left(snapshot)
        if left is not None:
            parts.append(f"{seconds(left)} left")
        parts.append(snapshot.sentence)
    return " · ".join(part for part in parts if part)


def seconds_left(snapshot: Snapshot) -> float | None:
    """Seconds until all that is given has been read by everybody; None where inputs are still being given."""
    given = [edge for edge in snapshot.edges.values() if edge.source.startswith(INPUT_PREFIX)]
    if not given or not all(edge.ended for edge in given):
        return None
    left = 0.0
    for edge in snapshot.edges.values():
        waits = 0 if edge.target.startswith(OUTPUT_PREFIX) else _behind(snapshot, edge, set())
        if waits and edge.rate_out <= 0:
            return None
        left = max(left, waits / edge.rate_out if waits else 0.0)
    return left


def _behind(snapshot: Snapshot, edge: EdgeState, seen: set[str]) -> int:
    """Values that wait on an edge, and those on the longest way to it, as if each of them became one of its own."""
    if edge.waiting == "closed" or edge.name in seen:
        return 0
    seen.add(edge.name)
    before = (_behind(snapshot, each, seen) for each in snapshot.edges.values() if each.target == edge.source)
    return edge.lag + max(before, default=0)


def _counted(snapshot: Snapshot) -> str:
    """Values read of those given, over the inputs; of those written, where nothing is given."""
    edges = [edge for edge in snapshot.edges.values() if edge.source.startswith(INPUT_PREFIX)]
    if not edges:
        return f"{number(sum(e.written for e in _by_stream(snapshot)))} values"
    slowest: dict[str, EdgeState] = {}
    for edge in edges:
        if edge.stream not in slowest or edge.read < slowest[edge.stream].read:
            slowest[edge.stream] = edge
    done, total = sum(e.read for e in slowest.values()), sum(e.written for e in slowest.values())
    more = "" if all(edge.ended for edge in edges) else "+"
    return f"{number(done)} of {number(total)}{more}"


def _by_stream(snapshot: Snapshot) -> list[EdgeState]:
    return list({edge.stream: edge for edge in snapshot.edges.values()}.values())


def _is_first(snapshot: Snapshot, node: str) -> bool:
    """Whether it reads what is given; of a flow that is given nothing, whether it reads nothing."""
    into = [edge for edge in snapshot.edges.values() if edge.target == node]
    if not any(edge.source.startswith(INPUT_PREFIX) for edge in snapshot.edges.values()):
        return not into
    return any(edge.source.startswith(INPUT_PREFIX) for edge in into)
