"""A JupyterLab of the tests' own: its configuration, its kernels and its store are in one directory, and end with it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import nbformat
import psutil

from datagraph.streams.server import Server

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
MARK = "DATAGRAPH_TEST_LAB"
DISABLED = ("debugger", "extensionmanager", "lsp")
"""Of JupyterLab's own extensions: they are slow, and complain when a kernel ends."""
QUIET = {"@jupyterlab/apputils-extension": {"notification": {"fetchNews": "false", "checkForUpdates": False}}}


class Jupyter:
    """A server of JupyterLab and Notebook 7, with nobody's settings but ours; ``with`` ends it and all it started."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="dg-lab-"))  # short: unix sockets lie in it
        self.work = self.home / "work"
        self.work.mkdir()
        self.mark = uuid.uuid4().hex
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # Found where an embedded server would be; never idle, so it needs no watchdog: it ends with this.
        self.store = Server(self.home / "store", aof=False)
        self._process: subprocess.Popen[bytes] | None = None
        self._ends: list[threading.Thread] = []

    def environment(self, **more: str) -> dict[str, str]:
        """Of the server and its kernels."""
        places = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
            "DATAGRAPH_HOME": "store",
        }
        return {
            **os.environ,
            **{name: str(self.home / place) for name, place in places.items()},
            "DATAGRAPH_IDLE": "inf",
            "PYTHONPATH": str(ROOT),
            MARK: self.mark,
            **more,
        }

    def __enter__(self) -> Self:
        self.store.__enter__()
        self._settings(QUIET)
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--log-level=WARN", "--allow-root"]
        command += [f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.work}"]
        with (self.home / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self.environment(), cwd=self.work, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused: object) -> None:
        self.wait_for_ends()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        left = self.processes()
        for process in left:
            process.kill()
        self.store.__exit__(None, None, None)
        shutil.rmtree(self.home, ignore_errors=True)
        assert left == [], f"left by JupyterLab: {left}"

    def processes(self) -> list[psutil.Process]:
        """Everything alive that this started, and what that started."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def ask(self, path: str, method: str = "GET") -> Any:
        """What the server's own interface answers."""
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def end_kernels(self, path: str) -> None:
        """End the kernels of a notebook; does not wait."""
        for session in self.ask("sessions"):
            if session["path"] == path:
                self._ends.append(threading.Thread(target=self.ask, args=(f"sessions/{session['id']}", "DELETE")))
                self._ends[-1].start()

    def wait_for_ends(self) -> None:
        """Wait until all of those have ended."""
        while self._ends:
            self._ends.pop().join()

    def write(self, name: str, cells: Iterable[str], kernel: str = "python3") -> None:
        """Write a notebook of these cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
        nbformat.write(notebook, self.work / name)

    def add_kernel(self, name: str, env: Mapping[str, str], command: Sequence[str] = ()) -> None:
        """One more kind of kernel to choose."""
        folder = self.home / "data" / "kernels" / name
        folder.mkdir(parents=True)
        argv = [*(command or (sys.executable, "-m", "ipykernel_launcher")), "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": name, "language": "python", "env": dict(env)}
        (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")

    def _settings(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        for package, plugins in settings.items():
            for plugin, values in plugins.items():
                file = self.home / "settings" / package / f"{plugin}.jupyterlab-settings"
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(values), encoding="utf-8")
        config = {
            "IdentityProvider": {"token": ""},
            "ServerApp": {"disable_check_xsrf": True},  # the tests end kernels by it
            "LabApp": {"expose_app_in_browser": True},
            "JupyterNotebookApp": {"expose_app_in_browser": True},
        }
        (self.home / "config" / "labconfig").mkdir(parents=True)
        without = {f"@jupyterlab/{name}-extension": True for name in DISABLED}
        page = self.home / "config" / "labconfig" / "page_config.json"
        page.write_text(json.dumps({"disabledExtensions": without}), encoding="utf-8")
        (self.home / "config" / "jupyter_server_config.json").write_text(json.dumps(config), encoding="utf-8")

    def _wait(self) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.ask("status")
            except OSError:
                said = (self.home / "log").read_text(errors="replace")
                assert self._process is not None
                assert self._process.poll() is None, f"JupyterLab ended as it started:\n{said}"
                assert time.monotonic() < end, f"JupyterLab did not start in {START_SECONDS:.0f} s:\n{said}"
                time.sleep(0.05)
            else:
                return


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
