"""What a run can be told while it goes on: another wiring, other options, steps, breakpoints, other functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from ..exceptions import UnknownIOError
from ..graph.change import compare
from ..graph.check import suggest
from ..graph.edit import Tune
from ..graph.model import Graph
from ..runtime.bridge import RuntimeThread
from .breakpoints import Breakpoint, breakpoint_at, breakpoints_of
from .changing import Applied
from .local import LocalRun
from .past import PastChanges
from .replay import replayed
from .shadow import Shadow

if TYPE_CHECKING:
    from ..graph.edit import Edit
    from .changing import Planned
    from .flow import Flow
    from .processor import Processor


class Steered:
    """The part of a `Run` that changes it."""

    def __init__(self, thread: RuntimeThread, local: LocalRun) -> None:
        self._thread = thread
        self._local = local

    @property
    def graph(self) -> Graph:
        """What is connected to what, now."""
        return self._local.graph

    def _node(self, node: str | None) -> str:
        if node is None:
            return ""
        known = [each.name for each in self.graph.processors()]
        if node not in known:
            raise UnknownIOError(f"the run has no node {node!r}{suggest(node, known)}; it has: {', '.join(known)}")
        return node

    # -- changing -------------------------------------------------------------------------------------------------

    def plan(self, change: Edit | Sequence[Edit] | Flow) -> Planned:
        """What a change would be, as text and picture, with every reason why it may not be applied.

        Args:
            change: one edit (`Move`, `Swap`, `Insert`, `Drop`, `Connect`, `Disconnect`, `Tune`), several that are one
                change, or a flow that the run shall be like.
        """
        return self._thread.call(self._local.planned, change)

    def apply(self, change: Edit | Sequence[Edit] | Flow) -> Applied:
        """Change the run while it goes on; every value meets exactly one wiring, and none is lost or repeated.

        Takes what `plan` takes. Raises GraphError with every reason where it may not be done, WiringChangedError where
        somebody else was first, RunError where the run has ended; then nothing is changed.
        """
        return self._thread.call(self._local.change, change)

    async def aapply(self, change: Edit | Sequence[Edit] | Flow) -> Applied:
        """`apply`, awaited."""
        return await self._thread.acall(self._local.change, change)

    def undo(self) -> Applied:
        """Take back the last change that was not taken back yet, by a change at this moment; RunError without one."""
        return self._thread.call(self._local.undo)

    @property
    def changes(self) -> PastChanges:
        """What was changed in the run so far, by whichever process, oldest first; also when the run has ended."""
        return PastChanges(self._thread.call(self._local.session.changes))

    def tune(self, node: str, **changes: Any) -> Applied:
        """Change capacity, concurrency, workers, rate, retries, timeout, on_error or a setting of a node.

        >>> run.tune("words", concurrency=2)  # doctest: +SKIP
        `words`: concurrency 1 -> 2 (14 ms; run.undo() takes it back)
        """
        return self.apply(Tune(self._node(node), **changes))

    def seek(self, port: str, position: int) -> Applied:
        """Have an input, "node.port", go on at another position of its stream: back, to read again, or on.

        Raises StreamTrimmedError where the values there are not kept any more.
        """
        node, _, name = port.rpartition(".")
        found = {each.name for each in self.graph.node(self._node(node)).inputs}
        if name not in found:
            raise UnknownIOError(f"{node!r} has no input {name!r}{suggest(name, found)}; it has: {', '.join(found)}")
        if position < 0:
            raise ValueError(f"a position counts values from the start of the stream; got {position}")
        return self._thread.call(self._seek, node, name, position)

    async def _seek(self, node: str, port: str, position: int) -> Applied:
        local = self._local
        if local.is_working:
            return await local.changes.seek(node, port, position)
        answer = await local.steering.do("seek", node=node, port=port, position=position)
        same, (said,) = compare(local.graph, local.graph), answer["lines"]
        return Applied(same, answer["version"], answer["ms"] / 1000, seek=said)

    def step(self, node: str, n: int = 1) -> None:
        """Let a paused node (see `pause`) do `n` values more; what it puts out moves on as far as others are going."""
        if n < 1:
            raise ValueError(f"a step is of one value at least; got {n}")
        self._thread.call(self._step, self._node(node), n)

    async def _step(self, node: str, count: int) -> None:
        await self._local.steering.do("step", node=node, count=count)

    def breakpoint(self, edge: str, where: str | Callable[[Any], Any]) -> Breakpoint:
        """Hold the reader of an edge at each value for which a condition is true, until somebody decides about it.

        It is tried on every value that the reader has not taken yet. Another one on the edge takes its place. It
        outlives a restart of the node, but not of the process: after `dg.recover` there is none.

        Args:
            edge: its name, "words->count.words".
            where: a condition as text, over `value` and `position`, such as ``'value["price"] > 100'``, in any process
                (see `ConditionError` for what it may have); or a function of the value, where the nodes run.

        Raises ConditionError, UnknownIOError, RunError.
        """
        return self._thread.call(breakpoint_at, self._local, edge, where)

    @property
    def breakpoints(self) -> dict[str, Breakpoint]:
        """The breakpoints of the run by edge, whoever has set them."""
        return self._thread.call(breakpoints_of, self._local)

    @property
    def offers(self) -> Mapping[str, Processor]:
        """Processors that were defined again in this process and do something else than their nodes, by node."""
        return self._local.offers.found

    def accept(self, node: str | None = None, *, fresh: bool = False) -> Applied:
        """Swap in what is offered for a node, or all that is offered in one change, `fresh` without the state so far.

        Raises what `apply` raises, RunError where nothing is offered.
        """
        name = None if node is None else self._node(node)
        return self._thread.call(lambda: self._local.offers.accept(name, fresh=fresh))

    @property
    def hot(self) -> bool:
        """Whether a processor that is defined again is swapped in at once; can be set.

        What may not be swapped in stays among the `offers`, and the node's log says why.
        """
        return self._local.offers.hot

    @hot.setter
    def hot(self, hot: bool) -> None:
        self._thread.call(self._local.offers.heat, hot)

    def shadow(self, node: str, candidate: Processor) -> Shadow:
        """Run a candidate beside a node, on what it reads from now on, to compare the two and then `promote` it.

        Raises GraphError where its inputs and outputs are not those of the node, RunError where the run has ended, and
        what its dependencies raise.
        """
        return Shadow(self._thread, self._local, self._node(node), candidate)

    def replay(
        self,
        edge: str,
        start: int = 0,
        stop: int | None = None,
        *,
        into: Processor | None = None,
        speed: float | None = None,
    ) -> Self:
        """Feed what an edge has carried to a processor once more, in a run of its own that touches nothing of this one.

        Args:
            edge: its name, "words->count.words".
            start: the position of the first value, counted from the beginning of the edge's stream.
            stop: the position after the last one; None for what there is now.
            into: a processor with one input, of any name; None for the one that reads the edge, as it is now.
            speed: 0.1 to 100 times the pace at which they once came, as the run's history knows it: twice a second how
                many there were, evenly in between. None for as fast as they are taken.

        Returns the run, called "... replay". Raises StreamTrimmedError where values are not kept any more, ValueError
        for positions that are not there, UnknownIOError for an edge that is not.
        """
        found = self._thread.call(replayed, self._local, edge, start, stop, into, speed)
        return type(self)(self._thread, found)
