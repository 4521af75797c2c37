"""The live view as a widget: traits that are saved with the notebook, and the messages that keep it alive."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import anyio.to_thread
import anywidget
import traitlets

from ..drawing.scene import scene
from ..events.journal import Journal
from ..exceptions import DatagraphError
from ..graph.model import Graph
from ..graph.text import clean
from ..observe.watch import MOST_HZ, Message, Subject, Subscription
from . import cells, controls, lens
from .assets import css, esm

ALIVE_SECONDS = 6.0
"""The browser says every two seconds that somebody looks; after three of them were missed nothing is sent."""
TICK_SECONDS = 5.0
RECORDING_SECONDS = 10.0
MOST_SAVED = 2 * 2**20
_SAVED_A_SECOND = 50_000
"""Bytes: the larger a recording is, the more seldom it is saved."""
_ANSWERED = {"lens", "do", *controls.KINDS}
_log = logging.getLogger("datagraph.notebook")


class LiveView(anywidget.AnyWidget):
    """A flow, a run or a recording in a notebook. Made by their `view()`; ``with run.view() as view:`` closes it.

    What is seen comes in messages, at most ten a second, sent from the runtime's thread, so that a busy cell stops
    nothing; and only while a browser says that it shows them. What is saved with the notebook is in the traits.
    """

    _esm = esm()
    _css = css()
    scene = traitlets.Dict().tag(sync=True)
    tick = traitlets.Unicode("").tag(sync=True)
    recording = traitlets.Unicode("").tag(sync=True)
    subject = traitlets.Unicode("").tag(sync=True)

    def __init__(self, graph: Graph, *, kind: str, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._graph = graph
        self._kind = kind
        self._shown_name = name
        self._clock = clock
        self._lock = threading.RLock()
        self._closed = False
        self._subject: Subject | None = None
        self._subscription: Subscription | None = None
        self._journal: Journal | None = None
        self._heard = -math.inf
        self._saved_tick = self._saved_recording = clock()
        self._seq = 0
        self._over = False
        self._offers: list[str] = []
        self._owed = False  # whether a browser waits for what it needs to begin with
        cells.watch_cells()
        super().__init__(scene=scene(graph))
        self.on_msg(self._hear)

    def __repr__(self) -> str:
        nodes, edges = len(self._graph.processors()), len(self._graph.edges)
        counted = f"{nodes} processor{'' if nodes == 1 else 's'}, {edges} edge{'' if edges == 1 else 's'}"
        return f"{self._kind}View({clean(self._shown_name)}, {counted})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Show nothing more; the run goes on."""
        with self._lock:
            self._closed = True
            subscription, self._subscription, self._subject = self._subscription, None, None
        if subscription is not None:
            subscription.end()
        super().close()

    # -- what is shown --------------------------------------------------------------------------------------------

    def show(self, subject: Subject) -> None:
        """Show this from now on, in place of what was shown before; from any thread."""
        with self._lock:
            if self._closed or (self._subject is not None and self._subject.id == subject.id):
                return
            subscription, self._subscription = self._subscription, None
            self._subject = subject
            if subject.graph != self._graph:
                self._graph = subject.graph
                self.scene = scene(subject.graph)
            self.tick = self.recording = ""
            self.subject = subject.id
            self._over = False
        if subscription is not None:
            subscription.end()
        subject.spawn(self._begin, subject)

    async def _begin(self, subject: Subject) -> None:
        """In the subject's loop: hear from its watcher."""
        watcher = subject.watcher
        with self._lock:
            if self._subject is not subject:
                return
            self._journal = watcher.journal
            self._subscription = watcher.subscribe(self._told, MOST_HZ if self._is_looked_at() else 0.0)
        if not self._fits():  # it was changed since `show`
            await self._redraw(subject)
        if self._is_looked_at():
            self._greet()
        if watcher.snapshot is not None and watcher.snapshot.status != "running":
            self._end()

    def show_recording(self, journal: Journal) -> None:
        """Show what was recorded of a run that is not there."""
        self._journal, self._over = journal, True
        self._save(everything=True)

    def _told(self, message: Message) -> None:
        """In the subject's loop, from its watcher."""
        if message["kind"] == "ended":
            self._end()
            return
        if message["kind"] == "graph":
            subject = self._subject
            if subject is not None:
                subject.spawn(self._redraw, subject)
            return
        if message["kind"] == "tick" and not self._fits():
            return
        if not self._is_looked_at():
            self._set_rate(0.0)
        elif message["kind"] == "tick":
            self._over = False
            self._send_tick(message["tick"])
            self._send_offers()
        else:
            self.send(message)
        if message["kind"] == "tick" and (self._is_looked_at() or self._heard == -math.inf):
            self._save()

    def _fits(self) -> bool:
        """Whether what is drawn is the graph whose ticks come; else it is just being drawn anew."""
        return self._journal is None or self._journal.graph == self._graph

    async def _redraw(self, subject: Subject) -> None:
        """The run's graph is another one now: draw it, in a thread, then show it and what is so at this moment."""
        journal = subject.watcher.journal
        graph = journal.graph
        drawn = await anyio.to_thread.run_sync(scene, graph)
        with self._lock:
            if self._subject is not subject or journal.graph is not graph:
                return  # or it has changed again: then that is drawn next
            self._graph, self.scene = graph, drawn
        self._save(everything=True)
        if self._is_looked_at():
            self._send_scene()
            last = journal.last()
            if last is not None:
                self._send_tick(last.decode())

    def _end(self) -> None:
        self._over = True
        self._save(everything=True)
        if self._is_looked_at():
            self.send({"kind": "ended"})

    def _set_rate(self, hz: float) -> None:
        """Have the watcher hurry for this view, or, where nobody looks, not."""
        with self._lock:
            if self._subscription is not None:
                self._subscription.set_rate(hz)

    def _is_looked_at(self) -> bool:
        """Whether a browser said lately that it shows this, or could not be heard since it did."""
        if self._heard == -math.inf:
            return False
        now = self._clock()
        return now - max(self._heard, cells.last_deaf(now)) <= ALIVE_SECONDS

    def _save(self, *, everything: bool = False) -> None:
        """Set what is saved with the notebook, now and then; it is sent to the browser, too."""
        journal, now = self._journal, self._clock()
        last = journal.last() if journal is not None else None
        if journal is None or last is None:
            return
        if everything or now - self._saved_tick >= TICK_SECONDS:
            self._saved_tick = now
            self.tick = last.decode()
        pause = RECORDING_SECONDS + min(journal.size, MOST_SAVED) / _SAVED_A_SECOND
        if everything or now - self._saved_recording >= pause:
            self._saved_recording = now
            self.recording = journal.to_json(MOST_SAVED).decode()

    # -- what is said ---------------------------------------------------------------------------------------------

    def _send(self, msg: Message, buffers: Any = None) -> None:
        """As any widget sends, but for where the browser's answers go."""
        super()._send(msg, buffers)
        # ipykernel 7.4 has answers handled by the shell of the cell that runs, where they wait for its end. Without
        # its note they go where the browser sends them: in JupyterLab to a subshell, which hears at once.
        getattr(self.comm, "__dict__", {}).pop("_reply_subshell_id", None)

    def _send_tick(self, text: str) -> None:
        self._seq += 1
        self.send({"kind": "tick", "tick": text, "seq": self._seq})

    def _send_scene(self) -> None:
        self._offers = controls.redefined(self._subject)
        can = controls.offered(self._subject)
        self.send({"kind": "scene", "scene": self.scene, "controls": can, "offers": self._offers})

    def _send_offers(self) -> None:
        """Say which functions were defined again, when these are others than before."""
        offers = controls.redefined(self._subject)
        if offers != self._offers:
            self._offers = offers
            self.send({"kind": "offers", "offers": offers})

    def _greet(self) -> None:
        """All that a browser needs to begin with: the scene, and what was seen so far, in place of what it has."""
        journal, self._owed = self._journal, False
        self._send_scene()
        texts = journal.texts() if journal is not None else []
        self.send({"kind": "recording", "recording": journal.to_json(MOST_SAVED).decode() if journal and texts else ""})
        if texts:
            self._send_tick(texts[-1].decode())
        if self._over:
            self.send({"kind": "ended"})

    # -- what is heard --------------------------------------------------------------------------------------------

    def _hear(self, _: Any, content: Any, __: Any = None) -> None:
        """On whichever thread the kernel has for it: note that somebody looks, and leave the rest to the loop."""
        if not isinstance(content, dict):
            return
        kind, subject = content.get("kind"), self._subject
        rested = not self._is_looked_at()
        self._heard = self._clock()
        try:
            if kind == "hello" or (kind == "alive" and rested):
                self._owed = True
                if subject is None:
                    self._greet()
                else:
                    subject.spawn(self._greet_once)
            elif kind in _ANSWERED:
                if subject is None:
                    raise DatagraphError("nothing runs yet: start the flow, and this view becomes live")
                subject.spawn(self._answer, subject, content)
        except DatagraphError as error:
            if kind == "hello":
                self._greet()
            self._reply(content, error=str(error))

    async def _greet_once(self) -> None:
        self._set_rate(MOST_HZ)
        if self._owed:
            self._greet()

    async def _answer(self, subject: Subject, content: Message) -> None:
        """In the subject's loop: do what is asked, and say what came of it."""
        try:
            data = await self._done(subject, content)
        except DatagraphError as error:
            self._reply(content, error=str(error))
        except Exception as error:
            _log.exception("a view's request failed")
            self._reply(content, error=f"{type(error).__name__}: {error}")
        else:
            self._reply(content, data=data)
        if content["kind"] == "do" or content["kind"] in controls.ACTING:
            await subject.watcher.look(everybody=True)

    async def _done(self, subject: Subject, content: Message) -> Message:
        if content["kind"] == "do":
            action, node = str(content.get("action")), str(content.get("node") or "")
            return {"action": action, "node": node, "status": await subject.act(action, node)}
        if content["kind"] in controls.KINDS:
            return await controls.answer(subject, content)
        if "edge" in content:
            return await controls.look(subject, content)
        return lens.node_data(await subject.node_lens(str(content.get("node")), lens.MOST_ROWS))

    def _reply(self, content: Message, *, data: Message | None = None, error: str = "") -> None:
        if content.get("kind") not in _ANSWERED:
            return
        outcome = {"ok": True, "data": data} if not error else {"ok": False, "error": clean(error, 500)}
        self.send({"kind": "reply", "id": content.get("id"), **outcome})


def view(target: Any) -> LiveView:
    """A view of a run, a flow or a recording; a second one of the same run has the same poller."""
    if hasattr(target, "follow"):  # a flow: what it shows begins later
        live = LiveView(target.graph, kind="Flow", name=target.name)
        target.follow(live.show)
    elif hasattr(target, "journal"):
        live = LiveView(target.graph, kind="Recording", name=target.name)
        live.show_recording(target.journal)
    else:
        live = LiveView(target.graph, kind="Run", name=target.name)
        live.show(target.subject)
    return live
