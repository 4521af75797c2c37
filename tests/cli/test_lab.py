"""`datagraph lab`: a real JupyterLab over the notebooks; it ends with everything that it started."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from datagraph.cli.lab import copy_notebooks, shipped_notebooks
from tests.cli.kit import command, environment, here
from tests.conftest import need

MARK = "DATAGRAPH_TEST_COMMAND"


@pytest.fixture(autouse=True)
def _lab() -> None:
    need(importlib.util.find_spec("jupyterlab"), "jupyterlab is not installed: pip install 'datagraph[lab]'")


def started_with(mark: str) -> list[list[str]]:
    """The commands of what is alive and was started, by whomever, from there."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()  # a server's has its socket's place; its environment it overwrites
            if process.environ().get(MARK) == mark or any(mark in word for word in command):
                found.append(command)
        except psutil.Error:
            continue
    return found


def ask(url: str, data: bytes | None = None) -> Any:
    """An answer of the server, which says where it is a moment before it listens there."""
    end = time.monotonic() + 20
    while True:
        try:
            return urllib.request.urlopen(url, data, timeout=20)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


@contextmanager
def lab(place: Path, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command, running, and the address that it says: of its first notebook."""
    environ = environment(
        HOME=str(place),
        DATAGRAPH_HOME=str(place / "d"),
        DATAGRAPH_IDLE="1",
        JUPYTER_DATA_DIR=str(place),
        **{MARK: str(place)},
    )
    # As root JupyterLab wants to be told that this is meant.
    options = ["lab", "--no-browser", *more, "--", "--allow-root", "--ServerApp.port_retries=50"]
    with subprocess.Popen(
        command(*options), cwd=place, env=environ, stderr=subprocess.STDOUT, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        said = []
        for line in started.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/lab/tree/1-first-flow.ipynb\?token=(\w+)", line):
                break
        else:
            pytest.fail("".join(said))
        try:
            yield started, f"http://127.0.0.1:{found[1]}/{{}}?token={found[2]}"
        finally:
            if started.poll() is None:
                started.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_lab_serves_the_notebooks_and_leaves_nothing_when_it_ends(tmp_path: Path, ending: signal.Signals) -> None:
    """It answers with the notebooks, and a kernel of it runs; Ctrl-C or SIGTERM ends it, its server and its kernels."""
    with lab(tmp_path) as (started, url):
        with ask(url.format("api/contents")) as answer:
            listed = {each["name"] for each in json.load(answer)["content"]}
        assert {path.name for path in shipped_notebooks()} <= listed
        with ask(url.format("lab")) as answer:
            assert "<title>JupyterLab</title>" in answer.read().decode()
        with ask(url.format("api/kernels"), b"{}") as answer:
            assert answer.status == 201
        assert any("ipykernel_launcher" in " ".join(each) for each in started_with(str(tmp_path)))
        assert any("valkey-server" in " ".join(each) for each in started_with(str(tmp_path)))
        started.send_signal(ending)
        said, _ = started.communicate(timeout=30)
    assert started.returncode == 0, said
    end = time.monotonic() + 15  # the embedded server is all its user's: it ends itself a second after its last client
    while (left := started_with(str(tmp_path))) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == []


def test_copies_of_the_reader_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the directory already is never overwritten; what is missing comes back."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    directory = tmp_path / "mine"
    first, second, *rest = copy_notebooks(directory)
    assert len(rest) == len(shipped_notebooks()) - 2
    first.write_text("my own", encoding="utf-8")
    second.unlink()
    assert copy_notebooks(directory) == [second]
    assert first.read_text(encoding="utf-8") == "my own"


def test_lab_without_jupyterlab_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package is not there, one line names the extra that brings it, and nothing is copied."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "jupyterlab" else real(name, *more)
    )
    shown = here("lab", "--dir", str(tmp_path / "mine"))
    assert shown.exit_code == 1
    assert "jupyterlab is not installed" in shown.stderr
    assert "pip install 'datagraph[lab]'" in shown.stderr
    assert not (tmp_path / "mine").exists()


def test_lab_on_a_port_that_is_taken_says_so(tmp_path: Path) -> None:
    """With --port it is that port or none."""
    with lab(tmp_path) as (_, url):
        port = re.search(r":(\d+)/", url)
        assert port is not None
        done = subprocess.run(
            command("lab", "--no-browser", "--port", port[1], "--", "--allow-root"),
            cwd=tmp_path,
            env=environment(HOME=str(tmp_path), DATAGRAPH_HOME=str(tmp_path / "d"), DATAGRAPH_IDLE="1"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert "not available" in done.stderr
