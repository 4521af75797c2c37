"""The commands, each in a process of its own, on a real Valkey."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import datagraph as dg
from tests.cli.kit import FLOWS, cli, command, environment, here

COMMANDS = [
    "break",
    *("demo", "runs", "top", "draw", "forget", "recover", "stop", "pause", "resume", "cancel", "server"),
    *("tune", "changes", "undo", "step"),
]


@pytest.fixture
def flows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a module of flows, to be in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "flows_here.py").write_text(FLOWS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def slow_run(valkey_url: str) -> Iterator[dg.Run]:
    """A run that goes on until it is told not to; its names are hostile to markup."""

    @dg.processor(name="[bold]x[/]", outputs=["n"], capacity=5)
    def words(text: str) -> int:
        return len(text)

    dg.Supervisor.attach(valkey_url)
    run = dg.Flow(words, name="patient").start({"text": dg.OPEN})
    run["text"].send_many(["a b", "c"])
    yield run
    if run.status in {"running", "paused"}:
        run.cancel()
    dg.Supervisor.instance.detach()


def test_version_is_the_packages() -> None:
    """`--version` says what `datagraph.__version__` says."""
    assert cli("--version").stdout.strip() == f"datagraph {dg.__version__}"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_it_does_and_shows_an_example(name: str) -> None:
    """Each command's help has its arguments and a line to copy."""
    shown = here(name, "--help")
    assert shown.exit_code == 0
    assert re.search(rf"Example: datagraph (--url \S+ )?{name}", shown.stdout)


def test_all_commands_are_in_the_help() -> None:
    """There is no command that only its author knows."""
    shown = here("--help").stdout
    assert [name for name in COMMANDS if not re.search(rf"^  {name} ", shown, re.MULTILINE)] == []


def test_runs_lists_name_status_and_nodes(slow_run: dg.Run, valkey_url: str) -> None:
    """One line a run, whole even where it goes into a pipe."""
    shown = here("--url", valkey_url, "runs")
    (line,) = [line for line in shown.stdout.splitlines() if slow_run.id in line]
    assert line.split()[1:3] == ["patient", "running"]
    assert line.split()[-1] == "1"


def test_url_may_come_from_the_environment(slow_run: dg.Run, valkey_url: str) -> None:
    """DATAGRAPH_URL is `--url`."""
    assert slow_run.id in cli("runs", DATAGRAPH_URL=valkey_url).stdout


def test_top_once_prints_one_table_and_names_as_they_are(slow_run: dg.Run, valkey_url: str) -> None:
    """Nodes, edges and the sentence, once; a name that looks like markup stays a name."""
    shown = here("--url", valkey_url, "top", slow_run.id, "--once")
    assert shown.exit_code == 0, shown.stderr
    assert "[bold]x[/]" in shown.stdout
    assert "text → [bold]x[/]" in shown.stdout
    assert shown.stdout.count("written") == 2
    assert "nothing is full" in shown.stdout


def test_top_ends_when_the_run_ends(slow_run: dg.Run, valkey_url: str) -> None:
    """Watching is over when there is nothing more to see."""
    with subprocess.Popen(
        command("--url", valkey_url, "top", "patient"), env=environment(), stdout=subprocess.PIPE, text=True
    ) as watching:
        slow_run["text"].complete()
        slow_run.join()
        said, _ = watching.communicate(timeout=30)
    assert watching.returncode == 0
    assert "Traceback" not in said


def test_run_is_paused_resumed_stopped_and_forgotten(slow_run: dg.Run, valkey_url: str) -> None:
    """What a run handle can, the command line can."""
    assert here("--url", valkey_url, "pause", "patient").exit_code == 0
    assert slow_run.snapshot().paused
    assert here("--url", valkey_url, "resume", "patient").exit_code == 0
    assert not slow_run.snapshot().paused
    refused = here("--url", valkey_url, "forget", slow_run.id)
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "stop or cancel it first" in refused.stderr
    assert here("--url", valkey_url, "stop", "patient").stdout == f"{slow_run.id} completed\n"
    assert here("--url", valkey_url, "forget", slow_run.id).exit_code == 0
    assert slow_run.id not in here("--url", valkey_url, "runs").stdout


def test_run_is_tuned_and_the_change_taken_back(slow_run: dg.Run, valkey_url: str) -> None:
    """By the process that runs its nodes; what may not be done is refused with the reason, and changes nothing."""
    node = "[bold]x[/]"
    tuned = here("--url", valkey_url, "tune", "patient", node, "concurrency=2", "retries=3")
    assert tuned.exit_code == 0, tuned.stderr
    assert "concurrency 1 -> 2; " in tuned.stdout
    assert (slow_run.graph.node(node).attrs["concurrency"], slow_run.graph.node(node).attrs["retries"]) == (2, 3)
    refused = here("--url", valkey_url, "tune", "patient", node, "colour=blue")
    assert refused.exit_code == 1
    assert "no setting is called" in refused.stderr
    assert here("--url", valkey_url, "tune", "patient", node, "faster").exit_code == 2
    assert "concurrency 2 -> 1" in here("--url", valkey_url, "undo", "patient").stdout
    assert slow_run.graph.node(node).attrs["concurrency"] == 1
    listed = here("--url", valkey_url, "changes", "patient").stdout
    assert re.search(r"1 .* 1 -> 2 +undone by 2 *\n.* 0 -> 3 *\n *2 .* 2 -> 1 +undoes 1 *\n", listed)
    again = here("--url", valkey_url, "undo", "patient")
    assert again.exit_code == 1
    assert "can be undone" in again.stderr


def test_values_are_held_shown_and_decided(slow_run: dg.Run, valkey_url: str) -> None:
    """A breakpoint is set, its hits are shown, let go, dropped and replaced, and it is removed, all from a terminal."""

    def stop(*args: str) -> str:
        done = here("--url", valkey_url, "break", "patient", *args)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    edge = "text->[bold]x[/].text"
    assert stop() == "there are no breakpoints\n"
    assert stop(edge, "'q' in value") == f"{edge} stops where 'q' in value\n"
    slow_run["text"].send_many(["q1", "no", "q[b]2", "q3"])
    assert stop(edge, "--wait", "10").endswith(" is held: 'q1'\n")
    at = slow_run.breakpoints[edge].hit.position
    assert stop() == f"{edge} stops where 'q' in value: 1 hit\n  value {at} is held: 'q1'\n"
    elsewhere = cli("--url", valkey_url, "break", "patient", edge, "--go", "--wait", "10")
    assert elsewhere.stdout == f"value {at} goes on\nvalue {at + 2} is held: 'q[b]2'\n"
    assert stop(edge, "--drop", "--wait", "10").endswith(f"value {at + 3} is held: 'q3'\n")
    assert stop(edge, "--replace", '"a longer one"') == f"value {at + 3} is replaced\n"
    assert stop(edge, "--remove") == f"{edge} stops no more\n"
    slow_run["text"].complete()
    assert slow_run.join()["n"].to_list()[-3:] == [2, 2, 12]


def test_a_wrong_breakpoint_is_one_line(slow_run: dg.Run, valkey_url: str) -> None:
    """What is wrong with a condition, an edge or the options, and what to do."""
    edge = "text->[bold]x[/].text"
    for args, code, reason in [
        ((edge, "price > 3"), 1, "'price' is not known; a condition may have"),
        (("text->y.text", "value"), 1, "no processor reads an edge 'text->y.text'"),
        ((edge,), 1, "there is no breakpoint on"),
        ((edge, "--go"), 1, "there is no breakpoint on"),
        ((edge, "--go", "--drop"), 2, "one at a time"),
        (("--go",), 2, "are for one EDGE"),
        ((edge, "--replace", "{"), 2, "is no JSON"),
        ((edge, "value == 'never'", "--wait", "0.05"), 1, "no value was held in 0.05 s"),
    ]:
        refused = here("--url", valkey_url, "break", "patient", *args)
        assert (refused.exit_code, reason in " ".join(refused.stderr.split())) == (code, True), refused.stderr
    slow_run.cancel()


def test_paused_node_is_stepped(slow_run: dg.Run, valkey_url: str) -> None:
    """It does as many values as it is told, and the run goes on when it is resumed."""
    slow_run["n"].peek(2)
    assert here("--url", valkey_url, "pause", "patient", "--node", "[bold]x[/]").exit_code == 0
    done = len(slow_run["n"])
    slow_run["text"].send_many(["d", "e", "f"])
    assert here("--url", valkey_url, "step", "patient", "[bold]x[/]", "2").exit_code == 0
    while len(slow_run["n"]) < done + 2:
        assert slow_run.status == "running"
    assert here("--url", valkey_url, "resume", "patient", "--node", "[bold]x[/]").exit_code == 0
    slow_run["text"].complete()
    assert slow_run.join()["n"].to_list() == [3, 1, 1, 1, 1]


def test_cancelled_run_says_so(slow_run: dg.Run, valkey_url: str) -> None:
    """`cancel` ends it at once."""
    assert here("--url", valkey_url, "cancel", slow_run.id).stdout == f"{slow_run.id} cancelled\n"


def test_draw_prints_a_picture(flows: Path) -> None:
    """Without a file the picture is in the terminal."""
    shown = here("draw", "flows_here:flow")
    assert shown.exit_code == 0, shown.stderr
    assert "● words  (text -> words)" in shown.stdout


@pytest.mark.parametrize(
    "name, begins", [("f.svg", "<svg"), ("f.dot", "digraph"), ("f.mmd", "flowchart"), ("f.txt", "words: 2 processors")]
)
def test_draw_writes_what_the_suffix_says(flows: Path, name: str, begins: str) -> None:
    """A file's name says its kind, from a file's path as from a module's name."""
    shown = here("draw", "flows_here.py:flow", "-o", name)
    assert shown.exit_code == 0, shown.stderr
    text = (flows / name).read_text(encoding="utf-8")
    assert text.startswith(begins)
    if name.endswith(".svg"):
        ET.fromstring(text)


def test_draw_tells_what_keeps_a_flow_from_running(flows: Path) -> None:
    """A flow with problems is drawn all the same, and they are said."""
    shown = here("draw", "flows_here:broken")
    assert "● alone" in shown.stdout
    assert "! the processor 'alone' has no function" in shown.stderr


@pytest.mark.parametrize(
    "args, code, words",
    [
        (["draw", "flows_here"], 2, "module:name"),
        (["draw", "nowhere:flow"], 2, "there is no module 'nowhere'"),
        (["draw", "flows_here:folw"], 2, "its flows are: flow"),
        (["draw", "flows_here:inputs"], 2, "not a Flow"),
        (["draw", "missing.py:flow"], 2, "there is no file"),
        (["draw", "flows_here:flow", "-o", "f.xls"], 2, "of no kind that can be drawn"),
        (["draw", "flows_here:flow", "-o", "nowhere/f.svg"], 1, "nowhere/f.svg"),
        (["--url", "http://localhost", "runs"], 1, "redis://"),
        (["--url", "redis://127.0.0.1:1/0", "runs"], 1, "127.0.0.1:1"),
        (["server", "--appendfsync", "sometimes"], 2, "everysec"),
        (["server", "--maxmemory", "much"], 2, "512mb"),
        (["demo", "--files", "-1"], 2, "--files"),
        (["sing"], 2, "sing"),
    ],
)
def test_bad_argument_is_one_clear_error(flows: Path, args: list[str], code: int, words: str) -> None:
    """What is wrong, on stderr, with an exit code, and no traceback."""
    shown = here(*args)
    assert (shown.exit_code, shown.stdout) == (code, "")
    assert words in shown.stderr
    assert "Traceback" not in shown.stderr


def test_run_that_is_not_there_is_said_so(valkey_url: str) -> None:
    """A name that no run has is an error of one line."""
    shown = here("--url", valkey_url, "top", "nobody", "--once")
    assert (shown.exit_code, shown.stderr.count("\n")) == (1, 1)
    assert "nobody" in shown.stderr


def test_server_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    """It says where it is, answers there, and leaves nothing running."""
    with subprocess.Popen(
        command("server", "--dir", str(tmp_path / "data"), "--port", "0"),
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as serving:
        assert serving.stdout is not None
        found = re.match(r"redis://127\.0\.0\.1:(\d+)", serving.stdout.readline())
        assert found is not None
        port = int(found[1])
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(b"PING\r\n")
            assert client.recv(16) == b"+PONG\r\n"
        serving.send_signal(signal.SIGINT)
        assert serving.wait(20) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5).close()
    assert list((tmp_path / "data").glob("appendonlydir/*"))


def test_killed_run_is_recovered(flows: Path, valkey_url: str) -> None:
    """After a SIGKILL another process goes on with it, and every value is there once."""
    start = (
        "import sys, datagraph as dg, flows_here as f\n"
        f"dg.Supervisor.attach({valkey_url!r})\n"
        "run = f.flow.start(f.inputs)\n"
        "print(run.id, flush=True)\n"
        "run.join()\n"
    )
    environ = environment()
    environ["PYTHONPATH"] += f":{flows}"
    with subprocess.Popen([sys.executable, "-c", start], env=environ, stdout=subprocess.PIPE, text=True) as working:
        assert working.stdout is not None
        name = working.stdout.readline().strip()
        dg.Supervisor.attach(valkey_url)
        try:
            run = dg.attach_run(name)
            while not run.snapshot().edges["text->words.text"].read:
                pass
            working.kill()
            working.wait()
            done = cli(
                "--url",
                valkey_url,
                "recover",
                name,
                "flows_here:flow",
                "--inputs",
                "flows_here:inputs",
                "--force",
                cwd=flows,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.endswith(f"{name} completed\n")
            assert run["words"].to_list() == [3 * len(str(n)) for n in range(200)]
            dg.forget(name)
        finally:
            dg.Supervisor.instance.detach()
