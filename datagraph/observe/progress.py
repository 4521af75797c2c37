"""How far a run is, in one line for a terminal."""

from __future__ import annotations

from ..drawing.style import number, seconds, short
from ..events.snapshot import EdgeState, Snapshot
from ..graph.model import INPUT_PREFIX


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
    waits = [edge for edge in snapshot.edges.values() if edge.lag and edge.waiting != "closed"]
    if any(edge.rate_out <= 0 for edge in waits):
        return None
    return max((edge.lag / edge.rate_out for edge in waits), default=0.0)


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
