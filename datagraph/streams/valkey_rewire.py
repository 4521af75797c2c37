"""A change of the wiring on its way to the script that makes it, and what the script answers. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ..exceptions import DatagraphError
from .records import ChangeRecord, Rewire, Rewired
from .refusals import cannot_rewire, not_kept, wiring_changed
from .valkey_wire import HOLDS, pack, pack_nodes, pack_streams, unpack

REFUSALS: Final = (b"WIRING", b"REFUSED", b"TRIMMED")


def pack_rewire(change: Rewire, nonce: str) -> list[Any]:
    """The arguments of the rewire script: the structure of the change, then everything that is only bytes."""
    structure = (
        nonce,
        change.version,
        pack_nodes(change.spec),
        pack_streams(change.spec.streams),
        list(change.cuts),
        [(*join[:-1], HOLDS.index(join.hold)) for join in change.joins],
        list(change.added),
        list(change.struck),
        list(change.fresh),
        len(change.events),
    )
    return [pack(structure), msgspec.json.encode(change.spec), change.note, *change.events]


def rewired(reply: Sequence[Any]) -> Rewired:
    """The script's answer."""
    _, version, cuts, joins = reply
    return Rewired(version, tuple(cuts), tuple(joins))


def change_record(at: float, fields: Sequence[bytes]) -> ChangeRecord:
    """An entry of the list of changes, as the script has written it."""
    _, version, _, note, _, _, _, positions = fields
    cuts, joins = (tuple(each or ()) for each in unpack(positions))  # Lua knows no empty list
    return ChangeRecord(int(version), at, cuts, joins, note)


def rewire_refusal(run: str, version: int, reply: Sequence[Any]) -> DatagraphError:
    """The error for an answer with one of `REFUSALS`."""
    code, *facts = [item.decode() for item in reply]
    match code:
        case "WIRING":
            return wiring_changed(run, version, int(facts[0]))
        case "TRIMMED":
            return not_kept(facts[0], int(facts[1]), int(facts[2]))
        case _:
            return cannot_rewire(run, facts[0])
