"""Control of a run in plain data: by a view, by the command line, by a process that does not run its nodes.

Where the nodes run in this process it is done here. Else it is asked for through the run's store, and the process that
runs them does it and answers.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anyio

from .. import exceptions
from ..exceptions import DatagraphError, RunError, UnknownIOError
from ..graph.check import suggest
from ..graph.edit import Edit, code, edits_of, from_dict, to_dict
from ..graph.model import Graph
from ..runtime.breakpoints import Stop
from ..runtime.conditions import Condition

if TYPE_CHECKING:
    from .local import LocalRun

Answer = dict[str, Any]
PATIENCE = 10.0
"""Seconds that an answer from another process is waited for; a request that is older is not done any more."""


VERDICTS = ("go", "drop", "replace")
"""What can become of a value that is held."""


class Steering:
    """What can be asked of one run; lives in the runtime thread."""

    def __init__(self, local: LocalRun) -> None:
        self._local = local
        self._asked = ""
        self._answering = anyio.Lock()
        self._calls: Mapping[str, Callable[..., Awaitable[Any]]] = {
            "plan": self._plan,
            "change": self._change,
            "undo": self._undo,
            "step": self._step,
            "seek": self._seek,
            "known": self._known,
            "breakpoint": self._breakpoint,
            "decide": self._decide,
        }

    async def do(self, call: str, **facts: Any) -> Any:
        """One of the calls above, here or by whoever runs the nodes; raises what that raised."""
        if self._local.is_working:
            return await self._calls[call](**facts)
        return await self._ask(call, facts)

    # -- done here ------------------------------------------------------------------------------------------------

    def _edits(self, edits: Sequence[Mapping[str, Any]]) -> list[Edit]:
        known = self._local.changes.known()
        return [from_dict(edit, known) for edit in edits]

    async def _plan(self, edits: Sequence[Mapping[str, Any]]) -> Answer:
        found = self._edits(edits)
        change = self._local.changes.plan(found)
        return {"lines": list(change.lines()), "problems": list(change.problems), "code": f"run.apply({code(found)})"}

    async def _change(self, edits: Sequence[Mapping[str, Any]]) -> Answer:
        found = self._edits(edits)
        applied = await self._local.changes.apply(found)
        return {
            "lines": list(applied.change.lines()),
            "ms": round(applied.seconds * 1000, 1),
            "version": applied.version,
            "code": f"run.apply({code(found)})",
        }

    async def _undo(self) -> Answer:
        applied = await self._local.changes.undo()
        lines, milliseconds = list(applied.change.lines()), round(applied.seconds * 1000, 1)
        return {"lines": lines, "ms": milliseconds, "version": applied.version, "code": "run.undo()"}

    async def _step(self, node: str, count: int) -> str:
        self._local.working_engine().step(node, count)
        return "stepping"

    async def _seek(self, node: str, port: str, position: int) -> Answer:
        applied = await self._local.changes.seek(node, port, position)
        return {"lines": list(applied.lines()), "ms": round(applied.seconds * 1000, 1), "version": applied.version}

    async def _known(self) -> list[Answer]:
        names = {node.name for node in self._local.graph}
        return [
            {"name": name, "inputs": list(p.inputs), "outputs": list(p.outputs), "doc": p.doc.partition("\n")[0]}
            for name, p in self._local.changes.known().items()
            if name not in names
        ]

    async def _breakpoint(self, edge: str, where: str | None) -> Answer:
        stop = None if where is None else Stop(Condition(where))
        await self.stop_at(edge, stop)
        return {"edge": edge, "where": None if stop is None else stop.text}

    async def stop_at(self, edge: str, stop: Stop | None) -> None:
        """Put a breakpoint on an edge, here; None takes away what is there."""
        engine = self._local.working_engine()
        engine.set_stop(*port_of(self._local.graph, edge), stop)
        await self._local.session.beat(engine.report())  # whoever looks sees it at once

    async def _decide(self, edge: str, verdict: str, position: int, value: Any = None) -> Answer:
        engine = self._local.working_engine()
        stop = engine.stops.get(port_of(self._local.graph, edge))
        held = None if stop is None else stop.at(position)
        if held is None:
            now = "no value is" if stop is None or stop.held is None else f"the value {stop.held.position} is"
            raise RunError(f"value {position} is not held at {edge!r} any more: {now}; nothing was decided")
        if verdict not in VERDICTS:
            raise RunError(f"{verdict!r} is nothing that can become of a value; it can: {', '.join(VERDICTS)}")
        if verdict == "replace":
            held.value = value
        held.decide("drop" if verdict == "drop" else "go")
        await self._local.session.beat(engine.report())
        return {"edge": edge, "position": position, "verdict": verdict}

    # -- asked for ------------------------------------------------------------------------------------------------

    async def _ask(self, call: str, facts: Mapping[str, Any]) -> Any:
        local = self._local
        if local.record.status != "running":
            raise RunError(f"the run {local.record.id!r} is {local.record.status}: it cannot be changed any more")
        session = local.session
        ident = await session.ask(json.dumps({"call": call, "facts": facts}).encode())
        with anyio.move_on_after(PATIENCE):
            while True:
                event = session.signals.event("run")
                answer = await session.answered(ident)
                if answer is not None:
                    return _read(answer)
                with anyio.move_on_after(1.0):
                    await event.wait()
        raise RunError(
            f"nobody answered in {PATIENCE:.0f} s: the process that runs {local.record.id!r} is gone or held up; "
            f"recover the run, or try again"
        )

    async def answer_all(self) -> None:
        """Do what other processes have asked for and nobody has answered."""
        async with self._answering:
            session = self._local.session
            now = None
            for ident, data in await session.asks(self._asked):
                self._asked = ident
                if await session.answered(ident) is not None:
                    continue
                now = now if now is not None else (await session.probe()).now
                if now - _time_of(ident) > PATIENCE:
                    continue  # nobody waits for it any more
                await session.answer(ident, await self._answer(data))

    async def _answer(self, data: bytes) -> bytes:
        try:
            asked = json.loads(data)
            found = await self._calls[asked["call"]](**asked["facts"])
            return json.dumps({"ok": found}).encode()
        except DatagraphError as error:
            return json.dumps({"error": str(error), "type": type(error).__name__}).encode()
        except (KeyError, TypeError, ValueError) as error:
            why = f"the run was asked for what it does not know ({error}): upgrade datagraph where it runs"
            return json.dumps({"error": why, "type": "RunError"}).encode()


def port_of(graph: Graph, edge: str) -> tuple[str, str]:
    """The node and the port that read an edge; UnknownIOError for one that no processor reads."""
    read = [each for each in graph.edges if graph.node(each.target).kind == "processor"]
    found = next((each for each in read if each.name == edge), None)
    if found is None:
        names = [each.name for each in read]
        raise UnknownIOError(
            f"no processor reads an edge {edge!r}{suggest(edge, names)}; there are: {', '.join(names)}"
        )
    return found.target, found.target_port


def as_data(edits: Edit | Sequence[Edit]) -> list[dict[str, Any]]:
    """Edits as they travel; their processors are names, which the process that runs the nodes must know."""
    return [to_dict(edit) for edit in edits_of(edits)]


def _read(answer: bytes) -> Any:
    data = json.loads(answer)
    if "ok" in data:
        return data["ok"]
    kind = getattr(exceptions, str(data.get("type")), RunError)
    try:
        error = kind(data["error"])
    except TypeError:  # it takes more than a message
        error = RunError(data["error"])
    raise error


def _time_of(ident: str) -> float:
    """Seconds of the server's clock at which an entry was written; of the memory store, where they are counted, now."""
    milliseconds = int(ident.partition("-")[0])
    return milliseconds / 1000 if milliseconds > 10**11 else float("inf")
