"""Dead letters: values that a node gave up, with what happened to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..exceptions import UnregisteredProcessorError
from ..runtime.bridge import RuntimeThread
from .local import LocalRun

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One value that was given up: `position` in the stream of `port`, the `error` in one line and its `traceback`."""

    id: str
    value: Any
    port: str
    position: int
    error: str
    traceback: str
    attempts: int
    version: str


class DeadLetters(Sequence[DeadLetter]):
    """The dead letters of one node, as they were when this was made."""

    def __init__(self, thread: RuntimeThread, local: LocalRun, node: str) -> None:
        self._thread = thread
        self._local = local
        self._node = node
        raw = thread.call(lambda: local.session.letters(node, limit=100_000))
        self._letters = [read_letter(local, node, id_, data) for id_, data in raw]

    def __len__(self) -> int:
        return len(self._letters)

    def __getitem__(self, index: Any) -> Any:
        return self._letters[index]

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(self._letters)

    def __repr__(self) -> str:
        return f"DeadLetters({self._node!r}, {len(self)})"

    def to_pandas(self) -> pd.DataFrame:
        """One row a letter."""
        import pandas as pd

        columns = list(DeadLetter.__dataclass_fields__)
        return pd.DataFrame([[getattr(letter, c) for c in columns] for letter in self._letters], columns=columns)

    def resend(self, ids: Sequence[str] | None = None) -> int:
        """Give these values (all of them, or those ids) back to the node alone; how many. An ended run goes on.

        Raises UnregisteredProcessorError where the run has ended and no living process has its functions.
        """
        chosen = [letter.id for letter in self._letters if ids is None or letter.id in ids]
        if not chosen:
            return 0
        return self._thread.call(self._resend, chosen)

    async def _resend(self, chosen: list[str]) -> int:
        local = self._local
        if local.record.status == "completed" and not local.can_work:
            probe = await local.session.probe()
            if not any(worker in probe.workers for worker in probe.nodes[self._node].report):
                raise UnregisteredProcessorError(
                    f"the run {local.record.id!r} has ended, and no living process has its functions: "
                    f"datagraph.recover({local.record.id!r}, flow) first"
                )
        count = await local.session.reopen(self._node, chosen)
        if not local.closing:  # else its session has let go of the run, and a new one takes it up
            local.note(await local.session.beat({}))
        await local.reopen()
        return count


def read_letter(local: LocalRun, node: str, id_: str, data: Any) -> DeadLetter:
    """A dead letter as the store has it, decoded; CodecError."""
    record: dict[str, Any] = data if isinstance(data, dict) else msgspec.msgpack.decode(data)
    codec = local.session.codec.bind(f"{local.session.run}:~{node}".encode())
    values = codec.decode(record["payload"])
    return DeadLetter(
        id_,
        values[0],
        record["port"],
        record["position"],
        record["error"],
        record["traceback"],
        record["attempts"],
        record["version"],
    )
