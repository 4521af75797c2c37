"""Who still owes what: what is finished, and who waits for whom in a ring.

A node is finished when its function has returned, everything it put out is stored, and its last commit says so: that
commit, and only it, closes the node's streams and takes one off the run's count of nodes; the commit that takes off
the last one ends the run. No end marks are counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..streams.records import Probe


def closed_set(probe: Probe) -> frozenset[str]:
    """The nodes that wait only for each other, some of them for room: an artificial deadlock (Parks, 1995).

    A node that waits for room waits for the readers that leave none; one that waits for values waits for their writers.
    What can move by itself is taken out, then what waits for something that was taken out, until nothing changes.
    """
    waits: dict[str, frozenset[str]] = {}
    blocked: set[str] = set()
    writers = {stream: name for name, record in probe.nodes.items() for stream in record.lengths}
    for name, record in probe.nodes.items():  # also those that were dropped and are not done
        if record.status == "done":
            continue
        found: set[str] = set()
        for facts in record.report.values():
            kind, _, what = str(facts.get("waits", "")).partition(":")
            if kind == "room" and what in probe.streams:
                others = {reader[0] for reader in _leave_no_room(probe, what, facts.get("needs", (1, 1)))}
                blocked.add(name)
            elif kind == "values":
                others = _owe_values(probe, writers, [_read_now(probe, name, port) for port in what.split(",")])
            elif kind == "turn":  # for another worker of the same node
                continue
            else:
                others = set()
            if not others:
                found = set()
                break
            found |= others
        if found:
            waits[name] = frozenset(found)
    while True:
        free = {node for node, others in waits.items() if not others <= waits.keys()}
        if not free:
            break
        for node in free:
            del waits[node]
    return frozenset(waits) if blocked & waits.keys() else frozenset()


def _read_now(probe: Probe, node: str, port: str) -> str:
    """The stream that a port waits for: of its parts, one after the other, the first that has more to come."""
    stream = port
    for segment, stream, until in probe.nodes[node].segments:
        if segment != port and segment.rpartition("#")[0] != port:
            continue
        found = probe.streams.get(stream)
        reader = found.readers.get((node, segment)) if found is not None else None
        if found is None or reader is None:
            continue
        if reader.cursor < (found.length if until is None and found.ended else math.inf if until is None else until):
            return stream
    return stream


def _leave_no_room(probe: Probe, name: str, needs: Sequence[int]) -> list[tuple[str, str]]:
    """The readers of whose capacity less is free than a writer needs (values, bytes)."""
    stream = probe.streams[name]
    return [
        key
        for key, reader in stream.readers.items()
        if reader.hold == "hold"
        and (
            reader.cursor + reader.capacity < stream.length + max(1, needs[0])
            or reader.size + reader.capacity_bytes < stream.size + max(1, needs[1])
        )
    ]


def _owe_values(probe: Probe, writers: Mapping[str, str], streams: Sequence[str]) -> set[str]:
    """The nodes that will write to one of the streams."""
    owing = set()
    for stream in streams:
        found = probe.streams.get(stream)
        if found is not None and not found.ended and stream in writers:
            owing.add(writers[stream])
    return owing


def smallest_full_edge(probe: Probe, among: frozenset[str]) -> tuple[tuple[str, str], int, int] | None:
    """The full edge of the least capacity between nodes of a closed set: (node, port), capacity, what it should be.

    Parks doubles; where a writer needs room for several values at once that may not do.
    """
    edges = []
    for node in among:
        for facts in probe.nodes[node].report.values():
            kind, _, name = str(facts.get("waits", "")).partition(":")
            if kind != "room" or name not in probe.streams:
                continue
            stream, needs = probe.streams[name], facts.get("needs", (1, 1))
            for key in _leave_no_room(probe, name, needs):
                if key[0] in among:
                    reader = stream.readers[key]
                    waiting = stream.length - reader.cursor, stream.size - reader.size
                    by_values = (waiting[0] + needs[0]) / reader.capacity
                    by_bytes = (waiting[1] + needs[1]) / reader.capacity_bytes
                    edges.append((reader.capacity, key, math.ceil(reader.capacity * max(2.0, by_values, by_bytes))))
    if not edges:
        return None
    capacity, key, grown = min(edges)
    return key, capacity, grown
