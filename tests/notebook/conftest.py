"""A browser without a browser: a comm that keeps what widgets send."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import comm
import pytest
from comm.base_comm import BaseComm
from ipywidgets import Widget

from datagraph import Supervisor
from datagraph.notebook.live import LiveView
from tests.observe.hearing import Hearing


@pytest.fixture(params=["memory", "valkey"])
def supervisor(request: pytest.FixtureRequest) -> Iterator[Supervisor]:
    """A supervisor on each kind of store."""
    url = "memory://" if request.param == "memory" else request.getfixturevalue("valkey_url")
    yield Supervisor.attach(url)
    Supervisor.detach()


class Browser(Hearing):
    """What a browser hears of one widget, and what it says to it."""

    def __init__(self, view: LiveView) -> None:
        super().__init__()
        self.view = view
        self.state: dict[str, Any] = {}
        self._ids = itertools.count(1)

    def say(self, **message: Any) -> None:
        """Send a custom message, as view.js does."""
        self.view._handle_msg({"content": {"data": {"method": "custom", "content": message}}, "buffers": []})

    def ask(self, **message: Any) -> dict[str, Any]:
        """Send a message that is answered; the answer."""
        number = next(self._ids)
        self.say(id=number, **message)
        return self.wait(lambda: [m for m in self.of("reply") if m["id"] == number], f"an answer to {message}")[0]


class Wire:
    """All comms of this process, by id; `browser` is the other end of a view's."""

    def __init__(self) -> None:
        self.sent: dict[str, list[dict[str, Any]]] = {}
        self.browsers: dict[str, Browser] = {}

    def carry(self, comm_id: str, kind: str, data: dict[str, Any]) -> None:
        self.sent.setdefault(comm_id, []).append({"type": kind, **data})
        browser = self.browsers.get(comm_id)
        if browser is not None:
            self.deliver(browser, data)

    def deliver(self, browser: Browser, data: dict[str, Any]) -> None:
        if data.get("method") == "custom":
            browser(data["content"])
        elif data.get("method") == "update":
            browser.state.update(data["state"])
            browser({"kind": "update", "names": sorted(data["state"])})

    def browser(self, view: LiveView) -> Browser:
        """What shows the view: it has heard all that was sent before."""
        browser = Browser(view)
        for data in self.sent.get(view.model_id, []):
            browser.state.update(data.get("state", {}))
        self.browsers[view.model_id] = browser
        return browser


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """Every widget's messages, kept; all widgets are closed afterwards."""
    wire = Wire()

    class Recorded(BaseComm):
        def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
            wire.carry(self.comm_id, msg_type, data or {})

    monkeypatch.setattr(comm, "create_comm", Recorded)
    yield wire
    Widget.close_all()
