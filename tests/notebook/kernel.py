"""A real kernel, and a front end that hears everything it says and can speak to it as JupyterLab does."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, Self

from jupyter_client.manager import KernelManager

from tests.observe.hearing import PATIENCE, Hearing

ROOT = Path(__file__).parents[2]
PROLOGUE = """
import time, datagraph as dg
@dg.processor
def double(n: int) -> int:
    return 2 * n
"""


class FrontEnd(Hearing):
    """One kernel and its messages: `messages` has the custom ones of every view, each with its "comm" and "parent"."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.manager = KernelManager(kernel_name="python3")
        self.url = url
        self.views: list[str] = []
        self.output: list[tuple[str, str]] = []
        self._idle: set[str] = set()
        self._told = threading.Condition()

    def __enter__(self) -> Self:
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
        self.manager.start_kernel(env={**os.environ, "PYTHONPATH": path, "PYDEVD_DISABLE_FILE_VALIDATION": "1"})
        self._connect()
        return self

    def __exit__(self, *exc: object) -> None:
        self._leave()
        self.manager.shutdown_kernel(now=True)

    def restart(self) -> None:
        """Another kernel in place of this one, as the menu's "Restart kernel" does."""
        self._leave()
        self.manager.restart_kernel(now=True)
        self._connect()

    def _connect(self) -> None:
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        self.run(f"{PROLOGUE}\ndg.Supervisor.attach({self.url!r}, lease=2)")

    def _leave(self) -> None:
        self._over.set()
        self._thread.join()
        self.client.stop_channels()

    def _listen(self) -> None:
        socket = self.client.iopub_channel.socket
        while not self._over.is_set():
            if socket.poll(50):
                _, message = self.client.session.recv(socket)
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        content, kind = message["content"], message["header"]["msg_type"]
        parent = message.get("parent_header", {}).get("msg_id", "")
        with self._told:
            if kind == "comm_open" and "LiveView" in content["data"]["state"].get("_anywidget_id", ""):
                self.views.append(content["comm_id"])
            if kind in {"stream", "error"}:
                self.output.append((parent, content.get("text") or content["evalue"]))
            if kind == "status" and content["execution_state"] == "idle":
                self._idle.add(parent)
            self._told.notify_all()
        if kind == "comm_msg" and content["data"].get("method") == "custom":
            self({**content["data"]["content"], "comm": content["comm_id"], "parent": parent})

    def start(self, code: str) -> str:
        """Run a cell and go on; its id."""
        return str(self.client.execute(code))

    def finish(self, cell: str) -> str:
        """Wait for a cell; what it printed. An error in it is one here."""
        with self._told:
            assert self._told.wait_for(lambda: cell in self._idle, 3 * PATIENCE), f"{cell} does not end"
        reply = next(r for r in iter(lambda: self.client.get_shell_msg(timeout=5), None) if _parent(r) == cell)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(text for parent, text in self.output if parent == cell)

    def run(self, code: str) -> str:
        """Run a cell to its end; what it printed."""
        return self.finish(self.start(code))

    def say(self, *, subshell: str | None = None, **content: Any) -> None:
        """A custom message to the view that was opened last."""
        data = {"comm_id": self.views[-1], "data": {"method": "custom", "content": content}}
        message = self.client.session.msg("comm_msg", data)
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)

    def subshell(self) -> str:
        """A subshell of the kernel, as JupyterLab opens for its widgets."""
        message = self.client.session.msg("create_subshell_request", {})
        self.client.control_channel.send(message)
        reply = self.client.get_control_msg(timeout=PATIENCE)
        return str(reply["content"]["subshell_id"])


def _parent(message: dict[str, Any]) -> str:
    return str(message["parent_header"].get("msg_id", ""))
